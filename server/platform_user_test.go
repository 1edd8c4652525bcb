package server_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"bulkhead/db"
	"bulkhead/server"
	"bulkhead/server/login"
)

const newUserBody = `{"resourceType":"User","email":"ada@example.org","name":"Ada","role":"admin"}`

func people(t *testing.T, a *api) []login.Person {
	t.Helper()
	p, err := login.NewPeople(a.server.DB)
	if err != nil {
		t.Fatal(err)
	}
	list, err := p.List(t.Context(), a.tenant.System.Tenant)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestAPersonComesWithTheirUser(t *testing.T) {
	t.Parallel()
	a := newSystemAPI(t)
	got := a.must(201, "POST", "User", newUserBody, "Prefer", "return=representation")
	list := people(t, a)
	if len(list) != 1 || list[0].Email != "ada@example.org" || list[0].State != "active" || list[0].Role != "admin" || list[0].Password {
		t.Fatalf("got %+v", list)
	}
	id := list[0].ID
	path := "User/" + id
	if !strings.Contains(got.body, `"id":"`+id+`"`) {
		t.Errorf("got %s", got.body)
	}
	withID := strings.Replace(newUserBody, `"email"`, `"id":"`+id+`","email"`, 1)
	a.must(200, "PUT", path, strings.Replace(withID, `"name"`, `"status":"inactive","name"`, 1))
	if list = people(t, a); list[0].State != "disabled" {
		t.Errorf("got %+v", list)
	}
	a.must(200, "PUT", path, withID)
	if list = people(t, a); list[0].State != "active" {
		t.Errorf("got %+v", list)
	}
	a.must(204, "DELETE", path, "")
	if list = people(t, a); len(list) != 0 {
		t.Errorf("got %+v", list)
	}
	a.must(410, "GET", path, "")
	a.must(204, "DELETE", path, "")
	a.must(201, "PUT", path, withID)
	if list = people(t, a); len(list) != 1 || list[0].ID != id {
		t.Errorf("got %+v", list)
	}
}

func TestAUserMustMakeSense(t *testing.T) {
	t.Parallel()
	a := newSystemAPI(t)
	a.must(201, "POST", "User", newUserBody)
	for name, body := range map[string]string{
		"an address that is taken": strings.Replace(newUserBody, "ada@", "ADA@", 1),
		"no address":               `{"resourceType":"User","role":"admin"}`,
		"two addresses":            strings.Replace(newUserBody, "ada@example.org", "ada@example.org, eve@example.org", 1),
		"a role that is none":      strings.Replace(newUserBody, `"admin"`, `"root"`, 1),
		"a password":               strings.Replace(newUserBody, `"name"`, `"password":"secret","name"`, 1),
	} {
		if got := a.do("POST", "User", body); got.status < 400 || got.status > 499 {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	if list := people(t, a); len(list) != 1 {
		t.Errorf("got %+v", list)
	}
	a.with("system/Patient.cruds system/User.rs").must(403, "POST", "User", strings.Replace(newUserBody, "ada@", "eve@", 1))
	main := newAPI(t)
	main.must(404, "POST", "User", newUserBody)
}

func TestTheProgramsOwnUsers(t *testing.T) {
	t.Parallel()
	a := newSystemAPI(t)
	system, err := a.server.DB.FindProject(t.Context(), a.tenant.Slug, "system")
	if err != nil {
		t.Fatal(err)
	}
	id, err := a.server.CreateUser(t.Context(), system, login.UserSpec{Email: "ada@example.org", Role: "owner"})
	if err != nil {
		t.Fatal(err)
	}
	a.must(200, "GET", "User/"+id, "")
	if err := a.server.SetUserStatus(t.Context(), system, id, false); err != nil {
		t.Fatal(err)
	}
	if got := a.must(200, "GET", "User/"+id, ""); !strings.Contains(got.body, `"status":"inactive"`) || people(t, a)[0].State != "disabled" {
		t.Errorf("got %s", got.body)
	}
	if err := a.server.SetUserStatus(t.Context(), system, "nobody", false); !errors.Is(err, db.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

func TestPagesAreMounted(t *testing.T) {
	t.Parallel()
	a := newSystemAPI(t)
	pages, err := login.New(login.Config{DB: a.server.DB, BaseURL: baseURL})
	if err != nil {
		t.Fatal(err)
	}
	a.server = newServer(t, a.server.DB, func(c *server.Config) { c.Login = pages })
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		got := a.do(method, "/w/"+a.tenant.Slug+"/login", "")
		if got.status != 200 || got.Header.Get("Access-Control-Allow-Origin") != "" || (got.body == "") != (method == http.MethodHead) {
			t.Errorf("%s: %d %v %s", method, got.status, got.Header, got.body)
		}
	}
	for _, route := range pages.Routes() {
		path := strings.Replace(route.Path, ":tenant", a.tenant.Slug, 1)
		got := a.do(route.Method, path, "")
		switch {
		case route.Method == http.MethodPost && got.status != http.StatusForbidden:
			t.Errorf("POST %s without a form's token: %d", path, got.status)
		case route.SignedIn && route.Method == http.MethodGet && (got.status != http.StatusSeeOther || !strings.Contains(got.Header.Get("Location"), "/login")):
			t.Errorf("GET %s lets a stranger in: %d", path, got.status)
		}
	}
	// A project may be called like a page.
	for _, slug := range []string{"login", "account"} {
		makeProject(t, a, slug)
		a.must(200, "GET", "/w/"+a.tenant.Slug+"/"+slug+"/api/v1/fhir/r4/metadata", "")
	}
}

func makeProject(t *testing.T, a *api, slug string) {
	t.Helper()
	if _, err := a.server.CreateProject(t.Context(), a.tenant.Slug, slug, slug, "r4"); err != nil {
		t.Fatal(err)
	}
}
