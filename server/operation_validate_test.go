package server_test

import (
	"fmt"
	"strings"
	"testing"

	"bulkhead/db"
	"bulkhead/db/dbtest"
	"bulkhead/server"
	"bulkhead/server/fhir"
)

// pair is two tenants on one server, with the same slugs, for content that must not meet.
func pair(t *testing.T) (a, b *api) {
	t.Helper()
	d := dbtest.Open(t)
	s := newServer(t, d.DB)
	tenantA, tenantB := d.NewTenant(t), d.NewTenant(t)
	return apiOf(t, s, tenantA, tenantA.Caller, "main"), apiOf(t, s, tenantB, tenantB.Caller, "main")
}

// profileOf is a profile of Patient in which one element is mandatory.
func profileOf(element string) string {
	return fmt.Sprintf(`{"resourceType":"StructureDefinition","id":"p","url":"http://example.org/p","name":"P","status":"active","kind":"resource","abstract":false,
		"type":"Patient","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Patient","derivation":"constraint",
		"differential":{"element":[{"id":"Patient","path":"Patient"},{"id":"Patient.%[1]s","path":"Patient.%[1]s","min":1}]}}`, element)
}

func profiled(members string) string {
	return `{"resourceType":"Patient","meta":{"profile":["http://example.org/p"]}` + members + `}`
}

// expressions are those of the errors of an OperationOutcome.
func (a answer) expressions() (list []string) {
	v, err := fhir.Parse(a.body)
	if err != nil || v.Get("issue") == nil {
		return nil
	}
	for i := range v.Get("issue").Items {
		issue := &v.Get("issue").Items[i]
		if e := issue.Get("expression"); e != nil && issue.Get("severity").Text() == "error" {
			list = append(list, e.Items[0].Text())
		}
	}
	return list
}

func TestAProfileThatTheProjectHoldsIsCheckedOnWrite(t *testing.T) {
	t.Parallel()
	a, b := pair(t)
	for range 2 { // the second time everything is remembered
		a.must(201, "POST", "Patient", profiled("")) // neither holds the profile yet
	}
	a.must(201, "PUT", "StructureDefinition/p", profileOf("birthDate"))
	b.must(201, "PUT", "StructureDefinition/p", profileOf("gender"))
	for range 2 {
		if got := a.do("POST", "Patient", profiled(`,"gender":"male"`)); got.status < 400 || !strings.Contains(got.body, "birthDate") {
			t.Errorf("a: %d %s", got.status, got.body)
		}
		if got := b.do("POST", "Patient", profiled(`,"birthDate":"2000"`)); got.status < 400 || !strings.Contains(got.body, "gender") {
			t.Errorf("b: %d %s", got.status, got.body)
		}
		a.must(201, "POST", "Patient", profiled(`,"birthDate":"2000"`))
		b.must(201, "POST", "Patient", profiled(`,"gender":"male"`))
		if got := a.do("POST", "", transaction(`POST Patient `+profiled(""))); got.status < 400 || !strings.HasPrefix(strings.Join(got.expressions(), ""), "Bundle.entry[0].resource") {
			t.Errorf("in a transaction: %d %s", got.status, got.body)
		}
	}
	born := "Patient/" + a.create(profiled(`,"birthDate":"2000"`))
	a.must(200, "PUT", "StructureDefinition/p", strings.Replace(profileOf("birthDate"), `"name":"P"`, `"name":"Q"`, 1)) // nothing is remembered now
	if got := a.do("PATCH", born, `[{"op":"remove","path":"/birthDate"}]`, "Content-Type", "application/json-patch+json"); got.status < 400 || !strings.Contains(got.body, "birthDate") {
		t.Errorf("by a patch: %d %s", got.status, got.body)
	}
	a.must(200, "PATCH", born, `[{"op":"replace","path":"/birthDate","value":"2001"}]`, "Content-Type", "application/json-patch+json")
	a.must(200, "PUT", "StructureDefinition/p", profileOf("name"))
	if got := a.do("POST", "Patient", profiled(`,"birthDate":"2000"`)); got.status < 400 || !strings.Contains(got.body, "name") {
		t.Errorf("a changed profile counts at once: %d %s", got.status, got.body)
	}
	a.must(204, "DELETE", "StructureDefinition/p", "")
	a.must(201, "POST", "Patient", profiled(""))
}

func TestABindingIsCheckedAgainstTheValueSetOfTheProject(t *testing.T) {
	t.Parallel()
	a, b := pair(t)
	const profile = `{"resourceType":"StructureDefinition","id":"p","url":"http://example.org/p","name":"P","status":"active","kind":"resource","abstract":false,
		"type":"Patient","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Patient","derivation":"constraint","differential":{"element":[
		{"id":"Patient.maritalStatus","path":"Patient.maritalStatus","binding":{"strength":"required","valueSet":"http://example.org/vs"}}]}}`
	for x, code := range map[*api]string{a: "red", b: "blue"} {
		x.must(201, "PUT", "StructureDefinition/p", profile)
		x.must(201, "PUT", "ValueSet/v", `{"resourceType":"ValueSet","id":"v","url":"http://example.org/vs","status":"active",
			"compose":{"include":[{"system":"http://example.org/cs","concept":[{"code":"`+code+`"}]}]}}`)
	}
	married := func(code string) string {
		return profiled(`,"maritalStatus":{"coding":[{"system":"http://example.org/cs","code":"` + code + `"}]}`)
	}
	for range 2 {
		a.must(201, "POST", "Patient", married("red"))
		b.must(201, "POST", "Patient", married("blue"))
		if got := a.do("POST", "Patient", married("blue")); got.status < 400 {
			t.Errorf("a: %d", got.status)
		}
		if got := b.do("POST", "Patient", married("red")); got.status < 400 {
			t.Errorf("b: %d", got.status)
		}
	}
}

func TestAProfileThatCannotBeUsedIsRefusedAtWrite(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	for name, body := range map[string]string{
		"an unknown base": strings.Replace(profileOf("name"), "http://hl7.org/fhir/StructureDefinition/Patient", "http://example.org/none", 1),
		"a broken constraint": strings.Replace(profileOf("name"), `"min":1`,
			`"constraint":[{"key":"x-1","severity":"error","human":"x","expression":"name.(("}]`, 1),
	} {
		if got := a.do("PUT", "StructureDefinition/p", body); got.status != 422 || len(got.expressions()) != 1 {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	child := strings.NewReplacer(`"id":"p"`, `"id":"c"`, "http://example.org/p", "http://example.org/c", "http://hl7.org/fhir/StructureDefinition/Patient", "http://example.org/p").
		Replace(profileOf("birthDate"))
	a.must(200, "POST", "", transaction(`PUT StructureDefinition/c `+child, `PUT StructureDefinition/p `+profileOf("name")))
	got := a.do("POST", "Patient", `{"resourceType":"Patient","meta":{"profile":["http://example.org/c"]}}`)
	if !strings.Contains(got.body, "birthDate") || !strings.Contains(got.body, "name") {
		t.Errorf("a profile on a profile: %d %s", got.status, got.body)
	}
}

func TestValidateSaysWhatIsWrongAndStoresNothing(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.must(201, "PUT", "StructureDefinition/p", profileOf("birthDate"))
	a.must(201, "PUT", "Patient/x", `{"resourceType":"Patient","id":"x"}`)
	before := a.count()
	parameters := func(rest string) string { return `{"resourceType":"Parameters","parameter":[` + rest + `]}` }
	const resource = `{"name":"resource","resource":{"resourceType":"Patient","gender":"x"}}`
	for name, c := range map[string]struct {
		method, path, body string
		errors             string // expressions
	}{
		"a good resource":              {"POST", "Patient/$validate", `{"resourceType":"Patient"}`, ""},
		"a bad one":                    {"POST", "Patient/$validate", `{"resourceType":"Patient","gender":"x"}`, "Patient.gender"},
		"in Parameters":                {"POST", "Patient/$validate", parameters(resource), "Parameters.parameter[0].resource.gender"},
		"Parameters themselves":        {"POST", "Parameters/$validate", parameters(`{"name":"a","valueString":""}`), "Parameters.parameter[0].value"},
		"a profile in the query":       {"POST", "Patient/$validate?profile=http://example.org/p", `{"resourceType":"Patient"}`, "Patient.birthDate"},
		"a profile in Parameters":      {"POST", "Patient/$validate", parameters(resource + `,{"name":"profile","valueUri":"http://example.org/p"}`), "Parameters.parameter[0].resource.gender Parameters.parameter[0].resource.birthDate"},
		"the base profile":             {"POST", "Patient/$validate?profile=http://hl7.org/fhir/StructureDefinition/Patient", `{"resourceType":"Patient"}`, ""},
		"a dangling reference":         {"POST", "Patient/$validate?mode=create", `{"resourceType":"Patient","managingOrganization":{"reference":"Organization/none"}}`, "Patient.managingOrganization"},
		"the id of another":            {"POST", "Patient/x/$validate?mode=update", `{"resourceType":"Patient","id":"y"}`, "id"},
		"a stored one":                 {"GET", "Patient/x/$validate", "", ""},
		"a stored one and a profile":   {"GET", "Patient/x/$validate?mode=profile&profile=http://example.org/p", "", "Patient.birthDate"},
		"whether it could be deleted":  {"GET", "Patient/x/$validate?mode=delete", "", ""},
		"in a resource that will come": {"POST", "Patient/new/$validate?mode=update", `{"resourceType":"Patient","id":"new"}`, ""},
	} {
		got := a.do(c.method, c.path, c.body)
		if have := strings.Join(got.expressions(), " "); got.status != 200 || len(strings.Fields(have)) != len(strings.Fields(c.errors)) || !strings.HasPrefix(have, c.errors) {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	for name, c := range map[string]struct {
		method, path, body string
		status             int
		expression         string
	}{
		"no resource":        {"POST", "Patient/$validate", "", 400, "resource"},
		"no JSON":            {"POST", "Patient/$validate", "{", 400, ""},
		"another type":       {"POST", "Patient/$validate", `{"resourceType":"Observation"}`, 400, "resourceType"},
		"a mode":             {"POST", "Patient/$validate?mode=x", `{"resourceType":"Patient"}`, 400, "mode"},
		"a parameter":        {"POST", "Patient/$validate?x=y", `{"resourceType":"Patient"}`, 400, "x"},
		"an unknown profile": {"POST", "Patient/$validate?profile=http://example.org/none", `{"resourceType":"Patient"}`, 400, "profile"},
		"delete of a type":   {"POST", "Patient/$validate?mode=delete", "", 400, "resource"},
		"nothing stored":     {"GET", "Patient/none/$validate", "", 404, ""},
		"no type":            {"POST", "Nothing/$validate", "{}", 404, ""},
	} {
		got := a.do(c.method, c.path, c.body)
		if have := strings.Join(got.expressions(), " "); got.status != c.status || have != c.expression {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	if after := a.count(); after != before {
		t.Errorf("$validate has stored %d versions", after-before)
	}
	a.with("system/Observation.cruds").must(403, "POST", "Patient/$validate", `{"resourceType":"Patient"}`)
	a.with("system/Patient.c").must(403, "GET", "Patient/x/$validate", "")
}

func TestAProfileOfAnotherProjectIsNotKnown(t *testing.T) {
	t.Parallel()
	a, b := pair(t)
	a.must(201, "PUT", "StructureDefinition/p", profileOf("birthDate"))
	a.must(201, "PUT", "Patient/x", `{"resourceType":"Patient","id":"x"}`)
	if got := b.do("POST", "Patient/$validate?profile=http://example.org/p", `{"resourceType":"Patient"}`); got.status != 400 {
		t.Errorf("%d %s", got.status, got.body)
	}
	b.must(404, "GET", "Patient/x/$validate", "")
	b.must(201, "POST", "Patient", profiled(""))
}

// TestLenientValidationIsASettingOfTheProject also covers what the commands set.
func TestLenientValidationIsASettingOfTheProject(t *testing.T) {
	t.Parallel()
	s := newSystemAPI(t)
	slug, err := s.server.CreateProject(t.Context(), s.tenant.Slug, "relaxed", "Relaxed", "r4", server.ProjectSettings{Validation: "lenient"})
	if err != nil {
		t.Fatal(err)
	}
	project, err := s.server.DB.FindProject(t.Context(), s.tenant.Slug, slug)
	if err != nil || !project.LenientValidation || project.AllowDanglingReferences {
		t.Fatal(project, err)
	}
	a := apiOf(t, s.server, s.tenant, db.Caller{Tenant: project.Tenant, Project: project.Project}, slug)
	a.must(201, "POST", "Patient", `{"resourceType":"Patient","gender":"unheard-of"}`)
	if got := a.do("POST", "Patient", `{"resourceType":"Patient","nothing":1}`); got.status < 400 {
		t.Error("its structure must be right all the same")
	}
	const dangling = `{"resourceType":"Patient","managingOrganization":{"reference":"Organization/none"}}`
	a.must(422, "POST", "Patient", dangling)
	yes := true
	if err := s.server.UpdateProject(t.Context(), s.tenant.Slug, slug, server.ProjectSettings{Validation: "strict", DanglingReferences: &yes}); err != nil {
		t.Fatal(err)
	}
	if got := a.do("POST", "Patient", `{"resourceType":"Patient","gender":"unheard-of"}`); got.status < 400 {
		t.Error("strict again")
	}
	a.must(201, "POST", "Patient", dangling)
	if got := s.must(200, "GET", "Project/relaxed", ""); !strings.Contains(got.body, `"validation":"strict"`) || !strings.Contains(got.body, `"danglingReferences":true`) || !strings.Contains(got.body, `"Relaxed"`) {
		t.Error(got.body)
	}
}
