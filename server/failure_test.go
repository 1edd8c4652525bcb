package server_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"bulkhead/db/dbtest"
	"bulkhead/server"
)

// hold locks a resource from outside until release is called, so that a request waits for it.
func (a *api) hold(id string) (release func()) {
	a.t.Helper()
	conn := dbtest.Open(a.t).Connect(a.t, "")
	ctx := context.Background()
	for _, sql := range []string{"BEGIN", fmt.Sprintf("SELECT FROM public.resource WHERE tenant_id = %d AND project_id = %d AND id = '%s' FOR UPDATE",
		a.caller.Tenant, a.caller.Project, id)} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			a.t.Fatal(err)
		}
	}
	return sync.OnceFunc(func() { _, _ = conn.Exec(ctx, "ROLLBACK") })
}

// waiting returns when a session of the project's database waits for the lock that hold took.
func (a *api) waiting() {
	a.t.Helper()
	conn := dbtest.Open(a.t).Connect(a.t, "")
	for range 500 {
		var n int
		if err := conn.QueryRow(context.Background(), "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()").Scan(&n); err != nil {
			a.t.Fatal(err)
		}
		if n > 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	a.t.Fatal("no request waits")
}

func TestADatabaseThatGoesAwayIsA503AndComesBack(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t)
	over, line := dbtest.OpenLine(t, d)
	tenant := d.NewTenant(t)
	quiet := func(c *server.Config) { c.Log = slog.New(slog.DiscardHandler) }
	a := apiOf(t, newServer(t, over, quiet), tenant, tenant.Caller, tenant.ProjectSlug)
	id := a.create(`{"resourceType":"Patient"}`)
	body := `{"resourceType":"Patient","id":"` + id + `"}`

	release := a.hold(id)
	defer release()
	answers := make(chan answer)
	go func() { answers <- a.do("PUT", "Patient/"+id, body) }()
	a.waiting()
	line.Cut()
	for name, got := range map[string]answer{
		"a request in flight": <-answers, "a read": a.do("GET", "Patient/"+id, ""), "a create": a.do("POST", "Patient", body), "readiness": a.do("GET", "/readyz", ""),
	} {
		code, text := got.outcome()
		if got.status != 503 || code != "transient" || got.Header.Get("Retry-After") == "" || strings.Contains(text, "SQLSTATE") {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	line.Mend()
	release()
	if got := a.must(200, "GET", "Patient/"+id, ""); got.Header.Get("ETag") != `W/"1"` {
		t.Error("the request that was cut off was stored")
	}
	a.must(200, "PUT", "Patient/"+id, body)
}

func TestStoppingFinishesWhatIsInFlight(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	id := a.create(`{"resourceType":"Patient"}`)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- a.server.Serve(ctx, listener) }()

	release := a.hold(id)
	defer release()
	url := "http://" + listener.Addr().String()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url+a.path+"/Patient/"+id, strings.NewReader(`{"resourceType":"Patient","id":"`+id+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+a.token)
	req.Header.Set("Content-Type", "application/fhir+json")
	status := make(chan int, 1)
	go func() {
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			status <- 0
			return
		}
		_ = res.Body.Close()
		status <- res.StatusCode
	}()
	a.waiting()
	stop()
	for range 500 { // until the listener is closed
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			break
		}
		_ = conn.Close()
		time.Sleep(10 * time.Millisecond)
	}
	release()
	if got := <-status; got != 200 {
		t.Errorf("the request in flight: %d", got)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", listener.Addr().String()); err == nil {
		t.Error("it still listens")
	}
}

func TestARequestHasADeadline(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t)
	tenant := d.NewTenant(t)
	s := newServer(t, d.DB, func(c *server.Config) { c.Timeout, c.Log = 300*time.Millisecond, slog.New(slog.DiscardHandler) })
	a := apiOf(t, s, tenant, tenant.Caller, tenant.ProjectSlug)
	id := a.create(`{"resourceType":"Patient"}`)
	release := a.hold(id)
	got := a.do("DELETE", "Patient/"+id, "")
	release()
	if code, _ := got.outcome(); got.status != 503 || code != "timeout" {
		t.Errorf("%d %s", got.status, got.body)
	}
	a.must(200, "GET", "Patient/"+id, "")
}

// TestLogsTellNothingOfPatients looks for what was sent in what was logged.
func TestLogsTellNothingOfPatients(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t)
	tenant := d.NewTenant(t)
	var log bytes.Buffer
	s := newServer(t, d.DB, func(c *server.Config) {
		c.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	a := apiOf(t, s, tenant, tenant.Caller, tenant.ProjectSlug)
	a.must(201, "PUT", "Patient/secret-1", `{"resourceType":"Patient","id":"secret-1","name":[{"family":"Secret-2"}]}`)
	a.must(200, "GET", "Patient/secret-1?x=secret-3", "")
	a.must(404, "GET", "Patient/secret-4", "")
	a.must(400, "POST", "Patient", `{"resourceType":"Patient","birthDate":"secret-5"}`)
	a.must(422, "PUT", "Observation/secret-6", `{"resourceType":"Observation","id":"secret-6","status":"final","code":{"text":"secret-7"},"subject":{"reference":"Patient/secret-8"}}`)
	a.must(412, "PUT", "Patient/secret-1", `{"resourceType":"Patient","id":"secret-1"}`, "If-Match", `W/"secret-9"`)
	text := log.String()
	if strings.Contains(strings.ToLower(text), "secret-") || strings.Contains(text, a.token[:20]) || strings.Contains(text, a.secret) {
		t.Error(text)
	}
	for _, want := range []string{"route=/w/:tenant/:project/api/v1/fhir/:version/:type/:id", "status=412", "tenant=" + tenant.Slug, "client=" + a.client, "type=Observation"} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is not in the log", want)
		}
	}
}
