package server_test

import (
	"strings"
	"testing"

	"bulkhead/db/dbtest"
	"bulkhead/server/definition"
	"bulkhead/server/fhir"
	"bulkhead/server/validate"
)

func TestCapabilitiesAreOpenValidAndOfTheProject(t *testing.T) {
	t.Parallel()
	a := newAPI(t, "r4b")
	s := newSystemAPI(t)
	for version, x := range map[fhir.Version]*api{fhir.R4B: a, fhir.R4: s} {
		got := x.must(200, "GET", "metadata", "", "Authorization", "")
		v, err := fhir.Parse(got.body)
		if err != nil {
			t.Fatal(err)
		}
		for _, issue := range validate.Resource(definition.For(version), &v) {
			if !strings.Contains(issue.Diagnostics, "Project") && !strings.Contains(issue.Diagnostics, "ClientApplication") { // no types of FHIR's own value set
				t.Errorf("%s: %v", version, issue)
			}
		}
		rest := path(&v, "rest", 0)
		if v.Get("fhirVersion").Text() != version.Number() || path(&v, "implementation", "url").Text() != baseURL+x.path ||
			path(rest, "security", "service", 0, "coding", 0, "code").Text() != "SMART-on-FHIR" ||
			path(rest, "security", "extension", 0, "extension", 0, "valueUri").Text() != baseURL+"/w/"+x.tenant.Slug+"/token" {
			t.Errorf("%s", got.body[:2000])
		}
		types := map[string]bool{}
		for i := range rest.Get("resource").Items {
			types[path(rest, "resource", i, "type").Text()] = true
		}
		if types["Patient"] != (x == a) || types["Project"] != (x == s) || !types["ClientApplication"] {
			t.Errorf("types: %v", types)
		}
		if again := x.do("GET", "metadata", "", "If-None-Match", got.Header.Get("ETag"), "Authorization", ""); again.StatusCode != 304 {
			t.Errorf("%d", again.StatusCode)
		}
	}
	a.must(400, "GET", "metadata?mode=terminology", "")
	if got := a.must(200, "GET", "$versions", "", "Authorization", ""); !strings.Contains(got.body, `"4.3"`) {
		t.Error(got.body)
	}
}

// L10: what one tenant's metadata says is not another's.
func TestL10CapabilitiesNameNoOtherTenant(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	tenant := dbtest.Open(t).NewTenant(t)
	b := apiOf(t, a.server, tenant, tenant.Caller, tenant.ProjectSlug)
	for range 2 {
		for _, x := range []*api{a, b} {
			got := x.must(200, "GET", "metadata", "")
			for _, other := range []*api{a, b} {
				if strings.Contains(got.body, "/w/"+other.tenant.Slug+"/") != (x == other) {
					t.Errorf("%s answers with the URLs of %s", x.tenant.Slug, other.tenant.Slug)
				}
			}
		}
	}
}
