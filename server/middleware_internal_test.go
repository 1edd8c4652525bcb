package server

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"bulkhead/db"
	"bulkhead/db/dbtest"
	"bulkhead/server/fhir"
	"bulkhead/server/oauth"
)

// TestWhatIsNotUnderstoodIsNotTold covers panics and errors that no one foresaw.
func TestWhatIsNotUnderstoodIsNotTold(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t)
	authorization, err := oauth.New(d.DB, oauth.Config{BaseURL: "https://fhir.example"})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	s, err := New(Config{DB: d.DB, OAuth: authorization, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	for path, handle := range map[string]func(*request) error{
		"/panic": func(*request) error { panic("the secret cause") },
		"/nil":   func(r *request) error { return r.String(int(*(*uint8)(nil)), "") },
		"/error": func(*request) error { return errors.New("the secret cause") },
	} {
		s.echo.GET(path, s.handle(route{public, http.MethodGet, path, 0, handle}))
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		id := w.Header().Get("X-Request-Id")
		if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "secret") || !strings.Contains(w.Body.String(), id) {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
		if !strings.Contains(log.String(), id) {
			t.Errorf("%s: the log does not know request %s", path, id)
		}
	}
	if !strings.Contains(log.String(), "the secret cause") {
		t.Error("the cause is not in the log")
	}
}

// TestEveryErrorOfTheDatabaseHasAnAnswer fails when package db learns to fail in a new way.
func TestEveryErrorOfTheDatabaseHasAnAnswer(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]int{
		db.ErrNotFound: 404, db.ErrNoProject: 404, db.ErrRevoked: 401, db.ErrDangling: 422, db.ErrDuplicate: 409, db.ErrConflict: 409,
		db.ErrInvalid: 400, db.ErrTimeout: 503, db.ErrUnknownOutcome: 503, db.ErrUnavailable: 503, db.ErrReadOnly: 503, db.ErrContext: 503,
		db.ErrForbidden: 500, fhir.Errorf(fhir.Deleted, "x"): 410, fhir.Errorf(fhir.Structure, "x").With(418): 418,
	} {
		status, issues := explain(fmt.Errorf("wrapped: %w", err), "r1")
		if status != want || len(issues) != 1 {
			t.Errorf("%v: %d, want %d", err, status, want)
		}
	}
}

// TestEveryRouteRefusesStrangers walks the table: whatever is not public asks for a token.
func TestEveryRouteRefusesStrangers(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t)
	tenant := d.NewTenant(t)
	authorization, err := oauth.New(d.DB, oauth.Config{BaseURL: "https://fhir.example"})
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{DB: d.DB, OAuth: authorization, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	names := strings.NewReplacer(":tenant", tenant.Slug, ":project", "main", ":version", "r4", ":type", "Patient", ":id", "a", ":vid", "1", ":member", "Observation")
	closed := 0
	for _, route := range s.routes() {
		if route.class == public {
			continue
		}
		closed++
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(route.method, names.Replace(route.path), nil))
		if w.Code != http.StatusUnauthorized || w.Header().Get("WWW-Authenticate") == "" {
			t.Errorf("%s %s: %d", route.method, route.path, w.Code)
		}
	}
	if closed < 5 {
		t.Errorf("only %d routes ask for a token", closed)
	}
}
