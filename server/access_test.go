package server_test

import (
	"strings"
	"testing"

	"bulkhead/db"
	"bulkhead/db/dbtest"
)

func TestStrangersAreRefused(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	path := "Patient/" + a.create(`{"resourceType":"Patient"}`)
	got := a.must(401, "GET", path, "", "Authorization", "")
	if challenge := got.Header.Get("WWW-Authenticate"); !strings.HasPrefix(challenge, "Bearer ") || strings.Contains(challenge, "error=") {
		t.Error(challenge)
	}
	for name, header := range map[string]string{
		"rubbish": "Bearer rubbish", "another scheme": "Basic YTpi", "a changed token": "Bearer " + a.token[:len(a.token)-4] + "AAAA",
		"a token without signature": "Bearer " + a.token[:strings.LastIndexByte(a.token, '.')+1],
	} {
		got := a.do("GET", path, "", "Authorization", header)
		if code, _ := got.outcome(); got.status != 401 || code != "login" || got.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
}

func TestScopesBoundWhatATokenMayDo(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	const patient = `{"resourceType":"Patient","id":"a"}`
	path := "Patient/" + a.create(patient)
	reader := a.with("system/Patient.r")
	reader.must(200, "GET", path, "")
	reader.must(200, "GET", path+"/_history/1", "")
	for _, c := range [][3]string{{"POST", "Patient", patient}, {"PUT", "Patient/a", patient}, {"DELETE", path, ""}, {"GET", "Observation/a", ""}} {
		got := reader.do(c[0], c[1], c[2])
		if code, _ := got.outcome(); got.status != 403 || code != "forbidden" {
			t.Errorf("%s %s: %d %s", c[0], c[1], got.status, got.body)
		}
	}
	writer := a.with("system/Patient.c")
	writer.must(201, "POST", "Patient", patient)
	writer.must(403, "GET", path, "")
}

// TestOtherTenantsAndProjectsAreClosed is B against A with B's own good token.
func TestOtherTenantsAndProjectsAreClosed(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t)
	s := newServer(t, d.DB)
	tenantA, tenantB := d.NewTenant(t), d.NewTenant(t)
	a := apiOf(t, s, tenantA, tenantA.Caller, "main")
	b := apiOf(t, s, tenantB, tenantB.Caller, "main")
	sibling := apiOf(t, s, tenantA, d.NewProject(t, tenantA, "other", "r4"), "other")
	id := a.create(`{"resourceType":"Patient"}`)
	const patient = `{"resourceType":"Patient","id":"x"}`

	for name, stranger := range map[string]*api{"another tenant": b, "another project": sibling} {
		want := map[string]int{"another tenant": 401, "another project": 403}[name]
		for _, c := range [][3]string{
			{"GET", "/Patient/" + id, ""},
			{"GET", "/Patient/" + id + "/_history/1", ""},
			{"GET", "/Patient/nothing", ""},
			{"POST", "/Patient", patient},
			{"PUT", "/Patient/x", patient},
			{"DELETE", "/Patient/" + id, ""},
		} {
			if got := stranger.do(c[0], a.path+c[1], c[2]); got.status != want || strings.Contains(got.body, id) {
				t.Errorf("%s: %s %s: %d %s", name, c[0], c[1], got.status, got.body)
			}
		}
		missing, hidden := stranger.must(404, "GET", "Patient/nothing", ""), stranger.must(404, "GET", "Patient/"+id, "")
		if missing.body != hidden.body {
			t.Errorf("%s: %s and %s", name, missing.body, hidden.body)
		}
		stranger.must(204, "DELETE", "Patient/"+id, "")
		stranger.must(201, "PUT", "Patient/"+id, `{"resourceType":"Patient","id":"`+id+`","active":true}`)
	}
	if got := a.must(200, "GET", "Patient/"+id, ""); strings.Contains(got.body, "active") {
		t.Error("a stranger's update reached it")
	}
}

func TestAPathWithoutProjectIsNotFound(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	want := a.must(404, "GET", "Patient/nothing", "")
	for _, path := range []string{
		"/w/nobody/main/api/v1/fhir/r4/Patient/1", "/w/" + a.tenant.Slug + "/nothing/api/v1/fhir/r4/Patient/1",
		"/w/%00/main/api/v1/fhir/r4/Patient/1", "/w/%ff/main/api/v1/fhir/r4/Patient/1",
	} {
		if got := a.must(404, "GET", path, ""); got.body != want.body {
			t.Errorf("%s: %s", path, got.body)
		}
	}
	base := strings.TrimSuffix(a.path, "r4")
	if got := a.must(404, "GET", base+"r4b/Patient/1", ""); !strings.Contains(got.body, baseURL+base+"r4.") {
		t.Error(got.body)
	}
	a.must(404, "GET", base+"r5/Patient/1", "")
}

func TestAProjectOfR4BHasItsTypes(t *testing.T) {
	t.Parallel()
	four, b := newAPI(t), newAPI(t, "r4b")
	const citation = `{"resourceType":"SubscriptionTopic","url":"http://x/y","status":"draft"}`
	four.must(404, "POST", "SubscriptionTopic", citation)
	got := b.must(201, "POST", "SubscriptionTopic", citation)
	if got.Header.Get("Content-Type") != "application/fhir+json; fhirVersion=4.3" {
		t.Error(got.Header)
	}
}

// TestWhatEndsATokenBitesOnTheNextRequest holds for suspension, deletion and disabled clients.
func TestWhatEndsATokenBitesOnTheNextRequest(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t)
	s := newServer(t, d.DB)
	tenant := d.NewTenant(t)
	a := apiOf(t, s, tenant, tenant.Caller, "main")
	other := apiOf(t, s, tenant, d.NewProject(t, tenant, "other", "r4"), "other")
	path := "Patient/" + a.create(`{"resourceType":"Patient"}`)
	err := d.Update(t.Context(), db.Identity, tenant.System, func(tx *db.Tx) error {
		return s.OAuth.DisableClient(t.Context(), tx, a.caller, a.client)
	})
	if err != nil {
		t.Fatal(err)
	}
	got := a.must(401, "GET", path, "")
	if !strings.Contains(got.Header.Get("WWW-Authenticate"), "invalid_token") {
		t.Error(got.Header)
	}
	a.must(401, "POST", "Patient", `{"resourceType":"Patient"}`)
	other.must(404, "GET", path, "")
	err = d.Update(t.Context(), db.Identity, tenant.System, func(tx *db.Tx) error {
		_, err := tx.SetProjectState(t.Context(), "suspended", tenant.System.Tenant, other.caller.Project)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	other.must(404, "POST", "Patient", `{"resourceType":"Patient"}`)
	if other.count() != 0 {
		t.Error("stored in a suspended project")
	}
}
