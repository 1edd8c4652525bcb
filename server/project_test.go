package server_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"bulkhead/db"
	"bulkhead/db/dbtest"
)

// clientOf takes what POST ClientApplication answered as an api for a project of the same tenant.
func (a *api) clientOf(got answer, project string) *api {
	a.t.Helper()
	b := *a
	b.client, b.secret = shownSecret(a.t, got.body)
	b.path = "/w/" + a.tenant.Slug + "/" + project + "/api/v1/fhir/r4"
	return &b
}

const application = `{"resourceType":"ClientApplication","name":"app","grantType":["client_credentials"],"scope":"system/*.cruds"}`

func TestAProjectIsMadeUsedAndDeletedOverFHIR(t *testing.T) {
	t.Parallel()
	s := newSystemAPI(t)
	got := s.must(201, "POST", "Project", `{"resourceType":"Project","id":"clinic","name":"The clinic","fhirVersion":"r4"}`)
	if !strings.HasSuffix(got.Header.Get("Location"), "/Project/clinic/_history/1") {
		t.Error(got.Header.Get("Location"))
	}
	s.must(409, "POST", "Project", `{"resourceType":"Project","id":"clinic","name":"Again","fhirVersion":"r4"}`)
	s.must(200, "GET", "Project/clinic", "")

	for query, want := range map[string]string{
		"Project?name=the": "Project/clinic", "Project?_id=clinic&fhir-version=r4": "Project/clinic", "ClientApplication?grant-type=client_credentials": "",
		"?_type=Project": "Project/clinic", "Project?_sort=-_lastUpdated": "Project/clinic",
	} {
		if got := s.found(query); strings.Join(got, " ") != want {
			t.Errorf("%s: %v", query, got)
		}
	}
	if got := s.entries("Project/_history"); len(got) != 1 {
		t.Errorf("history: %v", got)
	}

	// A client of system acts in the new project with a token for it.
	inside := s.clientOf(s.must(201, "POST", "ClientApplication", application), "clinic")
	inside.token = inside.newToken("system/*.cruds", "resource", baseURL+inside.path)
	id := inside.create(`{"resourceType":"Patient"}`)
	inside.must(200, "GET", "Patient/"+id, "")
	project, err := s.server.DB.FindProject(context.Background(), s.tenant.Slug, "clinic")
	if err != nil {
		t.Fatal(err)
	}

	// What is in the project is known to nobody in system.
	s.must(404, "GET", "Patient/"+id, "")
	s.must(404, "POST", "Patient", `{"resourceType":"Patient"}`)
	inside.must(404, "POST", "Project", `{"resourceType":"Project","name":"x","fhirVersion":"r4"}`)

	s.must(204, "DELETE", "Project/clinic", "")
	if got := inside.do("GET", "Patient/"+id, ""); got.StatusCode != 404 && got.StatusCode != 401 {
		t.Errorf("a token outlived its project: %d %s", got.StatusCode, got.body)
	}
	s.must(410, "GET", "Project/clinic", "")
	s.must(204, "DELETE", "Project/clinic", "")
	if n := rowsOf(t, project.Tenant, project.Project); n != 0 {
		t.Errorf("%d rows are left", n)
	}
	s.must(201, "PUT", "Project/clinic", `{"resourceType":"Project","id":"clinic","name":"Another","fhirVersion":"r4"}`)
	again, err := s.server.DB.FindProject(context.Background(), s.tenant.Slug, "clinic")
	if err != nil || again.Project == project.Project {
		t.Errorf("a number was used twice: %v %v", again, err)
	}
}

// rowsOf counts the rows of a project over all tables that have projects.
func rowsOf(t testing.TB, tenant, project int32) (n int) {
	t.Helper()
	conn := dbtest.Open(t).Connect(t, "")
	ctx := context.Background()
	rows, err := conn.Query(ctx, `SELECT attrelid::regclass::text FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
		WHERE attname = 'project_id' AND relkind = 'r'`)
	if err != nil {
		t.Fatal(err)
	}
	var tables []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		tables = append(tables, name)
	}
	for _, name := range tables {
		var own int
		if err := conn.QueryRow(ctx, fmt.Sprintf("SELECT count(*) FROM %s WHERE tenant_id = $1 AND project_id = $2", name), tenant, project).Scan(&own); err != nil {
			t.Fatal(err)
		}
		n += own
	}
	if len(tables) < 15 {
		t.Errorf("only %d tables looked at", len(tables))
	}
	return n
}

func TestAProjectKeepsItsRules(t *testing.T) {
	t.Parallel()
	s := newSystemAPI(t)
	s.must(201, "POST", "Project", `{"resourceType":"Project","name":"Übersicht & Co","fhirVersion":"r4b","danglingReferences":true}`)
	p, err := s.server.DB.FindProject(t.Context(), s.tenant.Slug, "ubersicht-co")
	if err != nil || p.FHIRVersion != "r4b" || !p.AllowDanglingReferences || p.Name != "Übersicht & Co" {
		t.Errorf("%+v %v", p, err)
	}
	s.must(201, "POST", "Project", `{"resourceType":"Project","name":"Übersicht & Co","fhirVersion":"r4"}`)
	s.must(200, "GET", "Project/ubersicht-co-2", "")
	for name, c := range map[string]struct {
		method, path, body string
		status             int
	}{
		"delete system":     {"DELETE", "Project/system", "", 422},
		"rename system":     {"PUT", "Project/system", `{"resourceType":"Project","id":"system","name":"x","fhirVersion":"r4"}`, 422},
		"make system":       {"POST", "Project", `{"resourceType":"Project","id":"system","name":"x","fhirVersion":"r4"}`, 422},
		"no slug":           {"PUT", "Project/Clinic", `{"resourceType":"Project","id":"Clinic","name":"x","fhirVersion":"r4"}`, 400},
		"no name":           {"POST", "Project", `{"resourceType":"Project","fhirVersion":"r4"}`, 400},
		"another version":   {"PUT", "Project/ubersicht-co", `{"resourceType":"Project","id":"ubersicht-co","name":"x","fhirVersion":"r4"}`, 422},
		"no such version":   {"POST", "Project", `{"resourceType":"Project","name":"x","fhirVersion":"r5"}`, 400},
		"stale If-Match":    {"DELETE", "Project/ubersicht-co", "", 412},
		"a type unwritten":  {"POST", "AccessPolicyV2", `{"resourceType":"AccessPolicyV2","name":"x","engine":"full-access"}`, 405},
		"a clinical type":   {"POST", "Observation", `{"resourceType":"Observation"}`, 404},
		"clinical in batch": {"POST", "", transaction(`POST Patient {"resourceType":"Patient"}`), 404},
	} {
		headers := []string{}
		if name == "stale If-Match" {
			headers = []string{"If-Match", `W/"7"`}
		}
		if got := s.do(c.method, c.path, c.body, headers...); got.StatusCode != c.status && (c.status != 400 || got.StatusCode != 422) {
			t.Errorf("%s: %d, want %d: %s", name, got.StatusCode, c.status, got.body)
		}
	}
	s.must(200, "GET", "Project/ubersicht-co", "") // still there
	s.must(200, "PUT", "Project/ubersicht-co", `{"resourceType":"Project","id":"ubersicht-co","name":"Renamed","fhirVersion":"r4b","status":"suspended"}`)
	if p, err := s.server.DB.FindProject(t.Context(), s.tenant.Slug, "ubersicht-co"); err != nil || p.State != "suspended" || p.Name != "Renamed" {
		t.Errorf("%+v %v", p, err)
	}
}

func TestAProjectOfAnotherTenantIsOutOfReach(t *testing.T) {
	t.Parallel()
	a, b := newSystemAPI(t), newSystemAPI(t)
	for _, s := range []*api{a, b} {
		s.must(201, "PUT", "Project/shared", `{"resourceType":"Project","id":"shared","name":"x","fhirVersion":"r4"}`)
	}
	b.must(201, "PUT", "Project/own", `{"resourceType":"Project","id":"own","name":"x","fhirVersion":"r4"}`)
	a.must(404, "GET", "Project/own", "")
	a.must(204, "DELETE", "Project/own", "")
	a.must(204, "DELETE", "Project/shared", "")
	for _, slug := range []string{"own", "shared"} {
		if _, err := b.server.DB.FindProject(t.Context(), b.tenant.Slug, slug); err != nil {
			t.Errorf("%s: %v", slug, err)
		}
	}
}

func TestCommandsMakeAndDeleteProjects(t *testing.T) {
	t.Parallel()
	s := newSystemAPI(t)
	ctx := t.Context()
	slug, err := s.server.CreateProject(ctx, s.tenant.Slug, "", "Ward 7", "r4b")
	if err != nil || slug != "ward-7" {
		t.Fatal(slug, err)
	}
	s.must(200, "GET", "Project/ward-7", "")
	if _, err := s.server.CreateProject(ctx, s.tenant.Slug, "ward-7", "x", "r4"); err == nil {
		t.Error("a slug was given twice")
	}
	if err := s.server.DeleteProject(ctx, s.tenant.Slug, "ward-7", nil); err != nil {
		t.Error(err)
	}
	s.must(410, "GET", "Project/ward-7", "")
	for slug, want := range map[string]error{"ward-7": db.ErrNoProject, "none": db.ErrNoProject} {
		if err := s.server.DeleteProject(ctx, s.tenant.Slug, slug, nil); !errors.Is(err, want) {
			t.Errorf("%s: %v", slug, err)
		}
	}
	if err := s.server.DeleteProject(ctx, s.tenant.Slug, "system", nil); err == nil {
		t.Error("project system was deleted")
	}
}
