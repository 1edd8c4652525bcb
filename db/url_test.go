package db_test

import (
	"strings"
	"testing"

	"bulkhead/db"
)

func TestURLAsKeepsEverythingButTheRole(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"postgres://admin:secret@db.example:6432/fhir?sslmode=verify-full":       "postgres://app:p%20w@db.example:6432/fhir?sslmode=verify-full",
		"postgres://admin@/fhir?host=%2Ftmp%2Fa%20b&port=6432&password=secret":   "postgres://app:p%20w@/fhir?host=%2Ftmp%2Fa%20b&port=6432",
		"postgres://a,b/fhir?target_session_attrs=read-write&user=admin":         "postgres://app:p%20w@a,b/fhir?target_session_attrs=read-write",
		"host=db.example user=admin password=secret dbname=fhir sslmode=require": "host=db.example user=admin password=secret dbname=fhir sslmode=require user='app' password='p w'",
	} {
		got, err := db.URLAs(address, "app", "p w")
		if err != nil || got != want {
			t.Errorf("%s\n is %s, %v\nwant %s", address, got, err, want)
		}
		if user, err := db.UserOf(got); err != nil || user != "app" {
			t.Errorf("%s connects as %q, %v", got, user, err)
		}
		without, password, err := db.SplitPassword(got)
		if err != nil || password != "p w" || strings.HasPrefix(got, "postgres:") && strings.Contains(without, "p%20w") {
			t.Errorf("%s splits into %s and %q, %v", got, without, password, err)
		}
	}
}

func TestABadURLIsNotRepeated(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"postgres://u:secret@host:port/x", "postgres://u:secret%zz@h/"} {
		if _, err := db.URLAs(address, "a", "b"); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", address, err)
		}
		if _, err := db.UserOf(address); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", address, err)
		}
	}
}
