package oauth_test

import (
	"hash/fnv"
	"strings"
	"testing"

	"bulkhead/server/definition"
	"bulkhead/server/login"
)

// storeMembership writes a Membership with the index row that its user has.
func storeMembership(a *app, id, person, body string) {
	a.Helper()
	kind, _ := definition.TypeID("Membership")
	user, _ := definition.TypeID("User")
	h := fnv.New64a()
	h.Write([]byte(id))
	rid := int64(h.Sum64() >> 1)
	c := a.tenant.Caller
	a.sql(`INSERT INTO identity.resource (tenant_id, project_id, type, id, rid, version, last_updated, method, tokens, body)
		VALUES ($1, $2, $3, $4, $5, 1, now(), 'PUT', '{}', $6)`, c.Tenant, c.Project, kind, id, rid, body)
	a.sql(`INSERT INTO identity.index_reference (tenant_id, project_id, param, target_type, target_id, rid)
		VALUES ($1, $2, $3, $4, $5, $6)`, c.Tenant, c.Project, definition.ParamID("Membership", "user"), user, person, rid)
}

func TestLaunchContextIsThePersonsOwnPatient(t *testing.T) {
	t.Parallel()
	a := newApp(t, appClient)
	a.enroll("m1", a.user, "Patient/p1")
	got := a.tokens("scope", "openid fhirUser launch/patient patient/Observation.rs offline_access")
	if got.str("patient") != "p1" || got.body["need_patient_banner"] != true || !strings.Contains(got.str("scope"), "patient/Observation.rs") {
		t.Errorf("%s", got.text)
	}
	if claims := claimsOf(a, got.str("id_token")); claims["fhirUser"] != a.base+"/Patient/p1" {
		t.Errorf("%v", claims)
	}
	if again := a.refresh(got.str("refresh_token")); again.str("patient") != "p1" {
		t.Errorf("after refresh: %s", again.text)
	}
	if seen := post(t, a.issuer+"/introspect", &a.theClient, "token", got.str("access_token")); seen.str("patient") != "p1" || seen.str("fhirUser") == "" {
		t.Errorf("introspection: %s", seen.text)
	}
	a.enroll("m2", a.user, "Patient/p2")
	if got := a.tokens("scope", "openid fhirUser launch/patient patient/Observation.rs"); got.str("patient") != "" || got.str("scope") != "openid" {
		t.Errorf("two patients: %s", got.text)
	}
}

func TestPeopleWithoutAPlaceHandOnNothing(t *testing.T) {
	t.Parallel()
	a := newApp(t, appClient)
	a.signIn(a.person("bob", login.RoleMember))
	if got := a.back(a.ask("scope", "user/*.rs offline_access")); got.Get("error") != "access_denied" || got.Has("code") {
		t.Errorf("%v", got)
	}
	if got := a.tokens("scope", "openid user/*.rs patient/*.rs launch/patient fhirUser"); got.str("scope") != "openid" {
		t.Errorf("%s", got.text)
	}
	a.enroll("m1", "bob", "Practitioner/d1")
	if got := a.tokens("scope", "openid user/*.rs patient/*.rs launch/patient fhirUser"); got.str("scope") != "openid user/*.rs fhirUser" {
		t.Errorf("%s", got.text)
	}
	other := newApp(t, appClient)
	other.enroll("m1", "bob", "Practitioner/d1")
	other.signIn(other.person("carol", login.RoleMember))
	if got := other.tokens("scope", "openid user/*.rs"); got.str("scope") != "openid" {
		t.Errorf("somebody else's place: %s", got.text)
	}
}
