package server_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"bulkhead/db"
	"bulkhead/db/dbtest"
	"bulkhead/server/access"
	"bulkhead/server/fhir"
	"bulkhead/server/oauth"
)

// newSystemAPI is an API on a tenant's project system, with a client of the whole tenant.
func newSystemAPI(t testing.TB) *api {
	t.Helper()
	d := dbtest.Open(t)
	tenant := d.NewTenant(t)
	return apiOf(t, newServer(t, d.DB), tenant, tenant.System, "system")
}

// token asks the token endpoint as another client.
func (a *api) tokenOf(id, secret string) int {
	a.t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret}}
	req := httptest.NewRequest(http.MethodPost, "/w/"+a.tenant.Slug+"/token", strings.NewReader(form.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	a.server.ServeHTTP(w, req)
	return w.Code
}

const newClientBody = `{"resourceType":"ClientApplication","name":"n","grantType":["client_credentials"],"scope":"system/Patient.rs"}`

// shownSecret is the secret in an answer.
func shownSecret(t testing.TB, body string) (id, secret string) {
	t.Helper()
	v, err := fhir.Parse(body)
	if err != nil {
		t.Fatal(err)
	}
	if extension := v.Get("extension"); extension != nil {
		secret = extension.Items[len(extension.Items)-1].Get("valueString").Text()
	}
	return v.Get("id").Text(), secret
}

func TestAClientComesWithItsClientApplication(t *testing.T) {
	t.Parallel()
	a := newSystemAPI(t)
	got := a.must(201, "POST", "ClientApplication", newClientBody, "Prefer", "return=minimal")
	id, secret := shownSecret(t, got.body)
	if secret == "" || got.Header.Get("Cache-Control") != "no-store" || a.tokenOf(id, secret) != 200 {
		t.Fatalf("got %s", got.body)
	}
	path := "ClientApplication/" + id
	for _, from := range []string{path, path + "/_history/1"} {
		if read := a.must(200, "GET", from, ""); strings.Contains(read.body, secret) || strings.Contains(read.body, "client-secret") {
			t.Errorf("the secret is stored: %s", read.body)
		}
	}
	withID := strings.Replace(newClientBody, `"name"`, `"id":"`+id+`","name"`, 1)
	if again := a.must(200, "PUT", path, withID); strings.Contains(again.body, "client-secret") {
		t.Errorf("an update made a secret: %s", again.body)
	}
	if a.tokenOf(id, secret) != 200 {
		t.Error("an update ended the secret")
	}
	a.must(200, "PUT", path, strings.Replace(withID, `"name"`, `"status":"inactive","name"`, 1))
	if a.tokenOf(id, secret) != 401 {
		t.Error("an inactive client gets a token")
	}
	a.must(200, "PUT", path, withID)
	if a.tokenOf(id, secret) != 200 {
		t.Error("an active client gets no token")
	}
	a.must(204, "DELETE", path, "")
	if a.tokenOf(id, secret) != 401 {
		t.Error("a deleted client gets a token")
	}
	a.must(410, "GET", path, "")
	a.must(204, "DELETE", path, "")
}

func TestAClientCannotHandOnMoreThanItHas(t *testing.T) {
	t.Parallel()
	a := newSystemAPI(t)
	strong, _ := shownSecret(t, a.must(201, "POST", "ClientApplication", strings.Replace(newClientBody, "system/Patient.rs", "system/*.cruds", 1)).body)
	weak := a.with("system/ClientApplication.cruds system/Patient.rs")
	weak.must(201, "POST", "ClientApplication", newClientBody)
	for _, scope := range []string{"system/*.rs", "system/Patient.cruds", "system/Observation.r", "user/Patient.cruds", "patient/Observation.r", "openid user/*.rs"} {
		if got := weak.do("POST", "ClientApplication", strings.Replace(newClientBody, "system/Patient.rs", scope, 1)); got.status != 403 {
			t.Errorf("%s: %d %s", scope, got.status, got.body)
		}
	}
	// Who people are is theirs to tell, and what an app does for them counts like its own.
	for _, scope := range []string{"openid offline_access", "user/Patient.rs", "patient/Patient.r"} {
		weak.must(201, "POST", "ClientApplication", strings.Replace(newClientBody, "system/Patient.rs", scope, 1))
	}
	// Taking over a stronger client by giving it other keys would be the same.
	takeover := `{"resourceType":"ClientApplication","id":"` + strong + `","name":"n","grantType":["client_credentials"],"scope":"system/*.cruds","jwksUri":"https://evil.example/jwks"}`
	weak.must(403, "PUT", "ClientApplication/"+strong, takeover)
	weak.must(403, "POST", "ClientApplication", strings.Replace(takeover, `"id":"`+strong+`",`, "", 1))
	a.with("system/Patient.cruds").must(403, "POST", "ClientApplication", newClientBody)
}

func TestAClientApplicationMustMakeSense(t *testing.T) {
	t.Parallel()
	a := newSystemAPI(t)
	for name, members := range map[string]string{
		"a scope that is none":      `"grantType":["client_credentials"],"scope":"system/Patient.sr"`,
		"a grant that is none":      `"grantType":["password"]`,
		"no grant":                  `"scope":"system/*.rs"`,
		"keys that are none":        `"grantType":["client_credentials"],"jwks":"{}"`,
		"keys inside":               `"grantType":["client_credentials"],"jwksUri":"https://169.254.169.254/latest"`,
		"keys in the clear":         `"grantType":["client_credentials"],"jwksUri":"http://example.org/jwks"`,
		"private_key_jwt, no keys":  `"grantType":["client_credentials"],"tokenEndpointAuthMethod":"private_key_jwt"`,
		"no authentication":         `"grantType":["client_credentials"],"tokenEndpointAuthMethod":"none"`,
		"an access token for a day": `"grantType":["client_credentials"],"accessTokenLifetime":86400`,
		"an unknown member":         `"grantType":["client_credentials"],"secret":"mine"`,
	} {
		got := a.do("POST", "ClientApplication", `{"resourceType":"ClientApplication","name":"n",`+members+`}`)
		if code, _ := got.outcome(); got.status < 400 || got.status > 422 || code == "" {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
}

// TestTheServerNamesClients: client ids are unique in the tenant, and whether one is free must not
// tell of another project.
func TestTheServerNamesClients(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t)
	s := newServer(t, d.DB)
	tenant := d.NewTenant(t)
	one := apiOf(t, s, tenant, tenant.Caller, "main")
	two := apiOf(t, s, tenant, d.NewProject(t, tenant, "two", "r4"), "two")
	id, secret := shownSecret(t, one.must(201, "POST", "ClientApplication", newClientBody).body)
	path := "ClientApplication/" + id
	withID := func(id string) string { return strings.Replace(newClientBody, `"name"`, `"id":"`+id+`","name"`, 1) }
	taken := two.must(405, "PUT", path, withID(id))
	free := two.must(405, "PUT", "ClientApplication/free", withID("free"))
	if taken.body != free.body {
		t.Errorf("an id that is taken elsewhere: %s; a free one: %s", taken.body, free.body)
	}
	two.must(404, "GET", path, "")
	two.must(204, "DELETE", path, "")
	one.must(200, "GET", path, "")
	if one.tokenOf(id, secret) != 200 {
		t.Error("another project ended the client")
	}
	// A client that was deleted may be made again by who had it, with a new secret.
	one.must(204, "DELETE", path, "")
	again, fresh := shownSecret(t, one.must(201, "PUT", path, withID(id)).body)
	if again != id || fresh == secret || one.tokenOf(id, fresh) != 200 || one.tokenOf(id, secret) != 401 {
		t.Error("a client made again")
	}
}

func TestPlatformTypesAreNotWrittenConditionally(t *testing.T) {
	t.Parallel()
	a := newSystemAPI(t)
	for name, got := range map[string]answer{
		"create": a.do("POST", "ClientApplication", newClientBody, "If-None-Exist", "name=n"),
		"update": a.do("PUT", "ClientApplication?name=n", newClientBody),
		"delete": a.do("DELETE", "ClientApplication?name=n", ""),
	} {
		if code, _ := got.outcome(); got.status != 400 || code != "not-supported" {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
}

func TestCommandsKeepClientAndResourceInStep(t *testing.T) {
	t.Parallel()
	a := newSystemAPI(t)
	s, ctx := a.server, t.Context()
	project, err := s.DB.FindProject(ctx, a.tenant.Slug, "system")
	if err != nil {
		t.Fatal(err)
	}
	scopes, err := access.ParseScopes("system/*.cruds")
	if err != nil {
		t.Fatal(err)
	}
	id, secret, err := s.CreateClient(ctx, project, oauth.ClientSpec{Name: "by \"hand\"", GrantTypes: []string{"client_credentials"}, Scopes: scopes})
	if err != nil || a.tokenOf(id, secret) != 200 {
		t.Fatalf("got %v", err)
	}
	if got := a.must(200, "GET", "ClientApplication/"+id, ""); !strings.Contains(got.body, `"name":"by \"hand\""`) {
		t.Error(got.body)
	}
	if err := s.DisableClient(ctx, project, id); err != nil || a.tokenOf(id, secret) != 401 {
		t.Errorf("got %v", err)
	}
	if got := a.must(200, "GET", "ClientApplication/"+id, ""); !strings.Contains(got.body, `"status":"inactive"`) {
		t.Error(got.body)
	}
	if err := s.DeleteClient(ctx, project, id); err != nil {
		t.Error(err)
	}
	a.must(410, "GET", "ClientApplication/"+id, "")
	for _, err := range []error{s.DeleteClient(ctx, project, "nobody"), s.DisableClient(ctx, project, "nobody")} {
		if !errors.Is(err, db.ErrNotFound) {
			t.Errorf("got %v", err)
		}
	}
}
