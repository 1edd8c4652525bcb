package server_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"bulkhead/db"
	"bulkhead/db/dbtest"
	"bulkhead/server"
	"bulkhead/server/fhir"
	"bulkhead/server/oauth"
)

const baseURL = "https://fhir.example"

// newServer builds a server on d as the program does.
func newServer(t testing.TB, d *db.DB, change ...func(*server.Config)) *server.Server {
	t.Helper()
	authorization, err := oauth.New(d, oauth.Config{BaseURL: baseURL})
	if err != nil {
		t.Fatal(err)
	}
	config := server.Config{
		DB: d, OAuth: authorization,
		Log: slog.New(slog.NewTextHandler(testLog{t}, &slog.HandlerOptions{Level: slog.LevelError})),
	}
	for _, f := range change {
		f(&config)
	}
	s, err := server.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// testLog shows what the server logs as failures.
type testLog struct{ t testing.TB }

func (l testLog) Write(line []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(line)))
	return len(line), nil
}

// api is one project's FHIR API as a client with a token sees it.
type api struct {
	t      testing.TB
	server *server.Server
	tenant dbtest.Tenant
	caller db.Caller
	path   string // of the FHIR base
	client string // its id
	secret string
	token  string
}

// newAPI makes a tenant with a project of FHIR R4, or of the version given, a client, and a token
// for everything in the project.
func newAPI(t testing.TB, version ...string) *api {
	t.Helper()
	d := dbtest.Open(t)
	tenant := d.NewTenant(t, version...)
	return apiOf(t, newServer(t, d.DB), tenant, tenant.Caller, tenant.ProjectSlug, version...)
}

// apiOf makes a client in a project that exists.
func apiOf(t testing.TB, s *server.Server, tenant dbtest.Tenant, caller db.Caller, project string, version ...string) *api {
	t.Helper()
	a := &api{t: t, server: s, tenant: tenant, caller: caller, client: "client-" + project}
	a.path = "/w/" + tenant.Slug + "/" + project + "/api/v1/fhir/" + append(version, "r4")[0]
	spec, err := fhir.Parse(`{"resourceType":"ClientApplication","name":"test","grantType":["client_credentials"],"scope":"system/*.cruds"}`)
	if err != nil {
		t.Fatal(err)
	}
	client, err := s.OAuth.ReadClient(&spec)
	if err != nil {
		t.Fatal(err)
	}
	err = s.DB.Update(t.Context(), db.Identity, caller, func(tx *db.Tx) (err error) {
		a.secret, err = s.OAuth.PutClient(t.Context(), tx, caller, a.client, client)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	a.token = a.newToken("system/*.cruds")
	return a
}

// newToken gets an access token from the token endpoint.
func (a *api) newToken(scope string, more ...string) string {
	a.t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {a.client}, "client_secret": {a.secret}, "scope": {scope}}
	for i := 0; i < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	req := httptest.NewRequest(http.MethodPost, "/w/"+a.tenant.Slug+"/token", strings.NewReader(form.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	a.server.ServeHTTP(w, req)
	v, err := fhir.Parse(w.Body.String())
	if err != nil || v.Get("access_token") == nil {
		a.t.Fatalf("no token: %d %s", w.Code, w.Body)
	}
	return v.Get("access_token").Text()
}

// with is the same API with a token of fewer scopes.
func (a *api) with(scope string) *api {
	a.t.Helper()
	b := *a
	b.token = a.newToken(scope)
	return &b
}

// answer is what came back.
type answer struct {
	*http.Response
	status int
	body   string
}

// outcome is the code and diagnostics of the first issue, "" when the body is no OperationOutcome.
func (a answer) outcome() (code, diagnostics string) {
	v, err := fhir.Parse(a.body)
	if err != nil || v.Get("resourceType").Text() != "OperationOutcome" {
		return "", ""
	}
	issue := &v.Get("issue").Items[0]
	return issue.Get("code").Text(), issue.Get("diagnostics").Text()
}

// do sends one request with the api's token. path is below the FHIR base, or begins with a
// slash. headers are pairs; they win over the defaults.
func (a *api) do(method, path, body string, headers ...string) answer {
	a.t.Helper()
	if path == "" || path[0] == '?' || path == "/" {
		path = a.path + path
	} else if path[0] != '/' {
		path = a.path + "/" + path
	}
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	req.Header.Set("Authorization", "Bearer "+a.token)
	if body != "" {
		req.Header.Set("Content-Type", "application/fhir+json")
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i+1] == "" {
			req.Header.Del(headers[i])
		} else {
			req.Header.Set(headers[i], headers[i+1])
		}
	}
	w := httptest.NewRecorder()
	a.server.ServeHTTP(w, req)
	res := w.Result()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	return answer{res, res.StatusCode, string(text)}
}

// must is do for a request that is to succeed with status.
func (a *api) must(status int, method, path, body string, headers ...string) answer {
	a.t.Helper()
	got := a.do(method, path, body, headers...)
	if got.status != status {
		a.t.Fatalf("%s %s: %d, want %d: %s", method, path, got.status, status, got.body)
	}
	return got
}

// create stores a resource and returns its id.
func (a *api) create(body string) string {
	a.t.Helper()
	v, err := fhir.Parse(body)
	if err != nil {
		a.t.Fatal(err)
	}
	got := a.must(201, "POST", v.Get("resourceType").Text(), body)
	stored, err := fhir.Parse(got.body)
	if err != nil {
		a.t.Fatal(err)
	}
	return stored.Get("id").Text()
}

// count is the number of versions of resources that the project holds.
func (a *api) count() int {
	a.t.Helper()
	conn := dbtest.Open(a.t).Connect(a.t, "")
	var n int
	err := conn.QueryRow(context.Background(), fmt.Sprintf(`SELECT (SELECT count(*) FROM public.resource WHERE tenant_id = %[1]d AND project_id = %[2]d)
		+ (SELECT count(*) FROM public.resource_history WHERE tenant_id = %[1]d AND project_id = %[2]d)`, a.caller.Tenant, a.caller.Project)).Scan(&n)
	if err != nil {
		a.t.Fatal(err)
	}
	return n
}
