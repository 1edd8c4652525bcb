package main

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"bulkhead/db"
	"bulkhead/db/embedded"
)

// stage is an embedded database with two tenants, which all tests of commands share. Each command
// attaches to it, as it would beside a running `bulkhead dev`.
type stage struct {
	dir    string
	server *embedded.Server
}

var setStage = sync.OnceValues(func() (stage, error) {
	ctx := context.Background()
	// It ends, and its directory goes, with this process, however that ends.
	server, err := embedded.Start(ctx, embedded.Config{Temporary: true, Fast: true})
	if err != nil {
		return stage{}, err
	}
	s := stage{dir: server.Dir(), server: server}
	if _, err := db.LoadMasterKey(filepath.Join(s.dir, masterKeyName), true); err != nil {
		return stage{}, err
	}
	d, err := prepareEmbedded(ctx, server, true)
	if err != nil {
		return stage{}, err
	}
	opened, err := d.open(ctx)
	if err != nil {
		return stage{}, err
	}
	defer opened.Close()
	for _, slug := range []string{"acme", "globex"} {
		id, err := opened.CreateTenant(ctx, slug, slug)
		if err != nil {
			return stage{}, err
		}
		err = opened.Update(ctx, db.Identity, db.Caller{Tenant: id, Project: db.SystemProject}, func(tx *db.Tx) error {
			_, err := tx.CreateProject(ctx, "main", "Main", "r4", nil)
			return err
		})
		if err != nil {
			return stage{}, err
		}
	}
	return s, nil
})

func openStage(t *testing.T) stage {
	t.Helper()
	s, err := setStage()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestCommandsNeedADatabase(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		environment map[string]string
		args        []string
		code        int
		says        string
	}{
		"none":               {nil, []string{"doctor"}, exitUsage, "--data DIR or --database-url"},
		"both":               {nil, []string{"doctor", "--data", "x", "--database-url", "y"}, exitUsage, "none of the others can be"},
		"no master key":      {nil, []string{"migrate", "up", "--database-url", "postgres://h/d"}, exitUsage, "openssl rand -hex 32"},
		"a short master key": {map[string]string{"BULKHEAD_MASTER_KEY": "abc"}, []string{"migrate", "up", "--database-url", "postgres://h/d"}, exitFailed, "64 hexadecimal digits"},
		"no server there": {
			map[string]string{"BULKHEAD_MASTER_KEY": strings.Repeat("ab", 32)},
			[]string{"migrate", "up", "--database-url", "postgres://u:secret@127.0.0.1:1/d?sslmode=disable"},
			exitFailed, "cannot be reached",
		},
		"only the roles' URLs": {
			map[string]string{"BULKHEAD_MASTER_KEY": strings.Repeat("ab", 32), "BULKHEAD_APP_URL": "postgres://h/d"},
			[]string{"migrate", "status"},
			exitUsage, "the roles' own URLs do not serve",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := call(t, c.environment, c.args...)
			if r.code != c.code || !strings.Contains(r.stderr, c.says) || strings.Contains(r.stderr, "secret") {
				t.Errorf("code %d, want %d with %q:\n%s", r.code, c.code, c.says, r.stderr)
			}
		})
	}
}

func TestMigrateStatus(t *testing.T) {
	t.Parallel()
	s := openStage(t)
	var schema db.Schema
	r := call(t, nil, "migrate", "status", "--data", s.dir, "--json")
	if err := json.Unmarshal([]byte(r.stdout), &schema); err != nil || r.code != exitDone || schema.Version == 0 || schema.Version != schema.Latest {
		t.Errorf("code %d, %+v, %v\n%s", r.code, schema, err, r.stderr)
	}
}

func TestMigrateDownAndUpAgain(t *testing.T) {
	t.Parallel()
	s := openStage(t)
	// Another database on the same server, reached by URL with the same master key as the first, so
	// that the roles' passwords stay what they are.
	url, err := s.server.CreateDatabase(t.Context(), "migrated")
	if err != nil {
		t.Fatal(err)
	}
	environment := map[string]string{"BULKHEAD_DATABASE_URL": url, "BULKHEAD_MASTER_KEY_FILE": filepath.Join(s.dir, masterKeyName)}
	for _, step := range []struct {
		args string
		code int
		says string
	}{
		{"migrate status", exitFailed, "bootstrapped"},
		{"migrate up", exitDone, "migration "},
		{"doctor", exitFailed, "setting fsync"}, // the test's own server, and nothing else
		{"migrate down", exitDone, "run `bulkhead migrate up`"},
		{"migrate down --steps 0", exitUsage, "--steps must be 1 or more"},
		{"migrate down --all", exitDone, "migration 0 of "},
		{"doctor", exitFailed, "schema: is at migration 0"},
		{"migrate up", exitDone, "migration "},
		{"migrate up", exitDone, "migration "},
	} {
		r := call(t, environment, strings.Fields(step.args)...)
		if r.code != step.code || !strings.Contains(r.stdout+r.stderr, step.says) {
			t.Errorf("%s: code %d, want %d with %q:\n%s%s", step.args, r.code, step.code, step.says, r.stdout, r.stderr)
		}
	}
}

func TestDoctor(t *testing.T) {
	t.Parallel()
	s := openStage(t)
	diagnose := func(environment map[string]string, args ...string) diagnosis {
		t.Helper()
		r := call(t, environment, append([]string{"doctor", "--json"}, args...)...)
		var d diagnosis
		if err := json.Unmarshal([]byte(r.stdout), &d); err != nil {
			t.Fatalf("code %d, %v: %s%s", r.code, err, r.stdout, r.stderr)
		}
		if d.Healthy != (r.code == exitDone) || d.Healthy != (len(d.Findings) == 0) {
			t.Errorf("code %d, %+v", r.code, d)
		}
		return d
	}
	d := diagnose(nil, "--data", s.dir)
	for _, f := range d.Findings {
		// The tests' server forgoes durability, and that is all there is to say about it.
		if f.Object != "setting fsync" && f.Object != "setting full_page_writes" && f.Object != "setting synchronous_commit" || f.Remedy == "" {
			t.Errorf("%+v", f)
		}
	}
	if len(d.Findings) != 3 || len(d.Facts) != 7 {
		t.Errorf("%+v", d)
	}

	wrongKey := diagnose(map[string]string{
		"BULKHEAD_MASTER_KEY": strings.Repeat("ab", 32), "BULKHEAD_APP_URL": s.url(t, "bulkhead_app"), "BULKHEAD_AUTH_URL": s.url(t, "bulkhead_auth"),
	})
	if !names(wrongKey, "master key") {
		t.Errorf("a wrong master key goes unnoticed: %+v", wrongKey)
	}
	superuser := diagnose(map[string]string{
		"BULKHEAD_MASTER_KEY_FILE": filepath.Join(s.dir, masterKeyName), "BULKHEAD_APP_URL": s.server.SuperuserDSN(databaseName),
	})
	if !names(superuser, "role postgres") {
		t.Errorf("a superuser in the place of bulkhead_app goes unnoticed: %+v", superuser)
	}
	password := diagnose(map[string]string{
		"BULKHEAD_MASTER_KEY_FILE": filepath.Join(s.dir, masterKeyName), "BULKHEAD_APP_URL": s.server.LoopbackDSN("bulkhead_app", "wrong", databaseName),
	})
	if !names(password, "role bulkhead_app") {
		t.Errorf("a wrong password goes unnoticed: %+v", password)
	}
}

func names(d diagnosis, object string) bool {
	for _, f := range d.Findings {
		if f.Object == object && f.Problem != "" && f.Remedy != "" {
			return true
		}
	}
	return false
}

// url is a login role's on the stage.
func (s stage) url(t *testing.T, role string) string {
	t.Helper()
	master, err := db.LoadMasterKey(filepath.Join(s.dir, masterKeyName), false)
	if err != nil {
		t.Fatal(err)
	}
	return s.server.DSN(role, (&database{master: master}).password(role), databaseName)
}

func TestPsql(t *testing.T) {
	t.Parallel()
	s := openStage(t)
	acme := []string{"--tenant", "acme", "--project", "main"}
	acme = acme[:len(acme):len(acme)]
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"shows one project of one tenant":           {append(acme, "--role", "auth", "-c", "SELECT 'tenants: ' || count(DISTINCT tenant_id) FROM directory.project"), exitDone, "tenants: 1"},
		"shows nothing without a context":           {[]string{"--no-context", "-c", "SELECT 'rows: ' || count(*) FROM resource"}, exitDone, "rows: 0"},
		"is the runtime role":                       {append(acme, "-c", "SELECT session_user, current_user"), exitDone, "bulkhead_app"},
		"keeps the auditor from contents":           {[]string{"--role", "auditor", "-c", "SELECT count(*) FROM resource"}, exitFailed, "permission denied"},
		"enters no project of another tenant":       {[]string{"--tenant", "acme", "--project", "none", "-c", "SELECT 1"}, exitFailed, "no such project"},
		"knows three roles":                         {append(acme, "--role", "postgres"), exitUsage, "--role must be"},
		"needs a project":                           {nil, exitUsage, "give --tenant and --project"},
		"enters nothing with --no-context":          {append(acme, "--no-context"), exitUsage, "--no-context goes without"},
		"fails when the statement does":             {append(acme, "-c", "SELECT nonsense"), exitFailed, "nonsense"},
		"does not become another role":              {append(acme, "-c", "SET ROLE bulkhead_owner"), exitFailed, "permission denied"},
		"does not enter a second time from outside": {append(acme, "-c", "SELECT app.enter('x', 'y')"), exitFailed, "has a context"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := call(t, nil, append([]string{"psql", "--data", s.dir}, c.args...)...)
			if r.code != c.code || !strings.Contains(r.stdout+r.stderr, c.says) {
				t.Errorf("code %d, want %d with %q:\n%s%s", r.code, c.code, c.says, r.stdout, r.stderr)
			}
		})
	}
}

func TestPsqlPrintsATableByItself(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	printTable(&b, db.Table{Columns: []string{"id", "family"}, Rows: [][]string{{"1", "Aznavour"}, {"2", ""}}, Tag: "SELECT 2"})
	if got, want := b.String(), "id  family\n1   Aznavour\n2   \nSELECT 2\n"; got != want {
		t.Errorf("%q\nwant %q", got, want)
	}
}

func TestPsqlShell(t *testing.T) {
	t.Parallel()
	s := openStage(t)
	if embedded.FindPsql(t.Context(), func(string) string { return "" }) == "" {
		r := call(t, nil, "psql", "--data", s.dir, "--no-context")
		if r.code != exitFailed || !strings.Contains(r.stderr, "psql is not installed") {
			t.Errorf("code %d, %s", r.code, r.stderr)
		}
		return
	}
	r := callWith(t.Context(), "SELECT 'inside: ' || count(DISTINCT tenant_id) FROM directory.project;\nCOMMIT;\nSELECT 'outside: ' || count(*) FROM directory.project;\n", nil,
		"psql", "--data", s.dir, "--tenant", "globex", "--project", "main", "--role", "auth")
	for _, want := range []string{"inside: 1", "outside: 0", "bulkhead_auth inside globex/main"} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("%q is missing in\n%s%s", want, r.stdout, r.stderr)
		}
	}
}
