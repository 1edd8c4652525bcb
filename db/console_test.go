package db_test

import (
	"strings"
	"testing"

	"bulkhead/db"
	"bulkhead/db/dbtest"
)

func TestConsoleRunsOneStatementInsideItsProject(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t)
	c := d.NewProject(t, d.NewTenant(t), "console", "r4")
	console := d.Console(d.URL("bulkhead_auth"), db.Identity, &c)
	table, err := console.Run(t.Context(), "SELECT count(*) AS systems, NULL AS nothing FROM directory.project WHERE kind = 'system'")
	if err != nil {
		t.Fatal(err)
	}
	if len(table.Rows) != 1 || table.Rows[0][0] != "1" || table.Rows[0][1] != "" || table.Columns[0] != "systems" || table.Tag != "SELECT 1" {
		t.Errorf("%+v", table)
	}
	for sql, want := range map[string]string{
		"SELECT 1; COMMIT; SELECT 2":                 "cannot insert multiple commands",
		"SELECT count(*) FROM directory.signing_key": "",
	} {
		if _, err := console.Run(t.Context(), sql); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", sql, err)
		}
	}
	outside := d.Console(d.URL("bulkhead_auth"), db.Identity, nil)
	table, err = outside.Run(t.Context(), "SELECT count(*) FROM directory.project")
	if err != nil || table.Rows[0][0] != "0" {
		t.Errorf("without a context: %+v, %v", table, err)
	}
}

func TestExamineNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t)
	version, findings, err := db.Examine(t.Context(), d.SuperuserURL(), "bulkhead_app")
	if err != nil || version == "" {
		t.Fatalf("%q, %v", version, err)
	}
	said := ""
	for _, f := range findings {
		said += f.String() + "\n"
	}
	if !strings.Contains(said, "should be bulkhead_app's") {
		t.Errorf("a superuser goes unnoticed: %s", said)
	}
	if fits, err := d.KeyFits(t.Context()); err != nil || !fits {
		t.Errorf("the key fits: %v, %v", fits, err)
	}
	config := d.Config()
	config.Master = db.NewMasterKey()
	other, err := db.Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if fits, err := other.KeyFits(t.Context()); err != nil || fits {
		t.Errorf("another key fits: %v, %v", fits, err)
	}
}
