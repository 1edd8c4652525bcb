package validate_test

import (
	"fmt"
	"strings"
	"testing"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
	"bulkhead/server/validate"
)

func parse(t testing.TB, text string) *fhir.Value {
	t.Helper()
	v, err := fhir.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return &v
}

func TestFaultsAreNamedWithTheirPath(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, path, says string }{
		{"no object", `[]`, "", "object with resourceType"},
		{"no resource type", `{"id":"a"}`, "resourceType", "needs the member"},
		{"resource type of another kind", `{"resourceType":1}`, "resourceType", "must be a string"},
		{"abstract resource type", `{"resourceType":"DomainResource"}`, "resourceType", "no resource type"},
		{"unknown member", `{"resourceType":"Patient","nickname":[]}`, "Patient.nickname", "no member of Patient"},
		{"unknown member below", `{"resourceType":"Patient","name":[{"given":["a"],"firstName":"b"}]}`, "Patient.name[0].firstName", "no member of HumanName"},
		{"resourceType below", `{"resourceType":"Patient","name":[{"resourceType":"HumanName","text":"a"}]}`, "Patient.name[0].resourceType", "no member"},
		{"object for array", `{"resourceType":"Patient","name":{"text":"a"}}`, "Patient.name", "must be an array of HumanName"},
		{"array for object", `{"resourceType":"Patient","birthDate":["2020"]}`, "Patient.birthDate", "must not be an array"},
		{"empty array", `{"resourceType":"Patient","name":[]}`, "Patient.name", "empty array"},
		{"empty object", `{"resourceType":"Patient","name":[{}]}`, "Patient.name[0]", "empty object"},
		{"id alone", `{"resourceType":"Patient","name":[{"id":"a"}]}`, "Patient.name[0]", "ele-1"},
		{"empty string", `{"resourceType":"Patient","name":[{"text":""}]}`, "Patient.name[0].text", "empty string"},
		{"null", `{"resourceType":"Patient","active":null}`, "Patient.active", "null"},
		{"null for object", `{"resourceType":"Patient","name":[null]}`, "Patient.name[0]", "null"},
		{"null without sibling", `{"resourceType":"Patient","name":[{"given":["a",null]}]}`, "Patient.name[0].given[1]", "_given"},
		{"null beside null", `{"resourceType":"Patient","name":[{"given":["a",null],"_given":[null,null]}]}`, "Patient.name[0].given[1]", "neither"},
		{"sibling too long", `{"resourceType":"Patient","name":[{"given":["a"],"_given":[null,{"id":"x"}]}]}`, "Patient.name[0]._given", "2 items"},
		{"sibling of an object", `{"resourceType":"Patient","_name":[{"id":"a"}]}`, "Patient._name", "no member"},
		{"sibling of another kind", `{"resourceType":"Patient","_birthDate":"x"}`, "Patient._birthDate", "must be an object"},
		{"sibling with id alone", `{"resourceType":"Patient","_birthDate":{"id":"x"}}`, "Patient.birthDate", "ele-1"},
		{"sibling with unknown member", `{"resourceType":"Patient","birthDate":"2020","_birthDate":{"value":"x"}}`, "Patient.birthDate.value", "no member"},
		{"required", `{"resourceType":"Observation","code":{"text":"a"}}`, "Observation.status", "required"},
		{"required choice", `{"resourceType":"MedicationRequest","status":"active","intent":"order","subject":{"display":"a"}}`, "MedicationRequest.medication", "one of its types"},
		{"two choices", `{"resourceType":"Patient","deceasedBoolean":true,"deceasedDateTime":"2020"}`, "Patient.deceasedDateTime", "one type only"},
		{"two choices by sibling", `{"resourceType":"Patient","deceasedBoolean":true,"_deceasedDateTime":{"extension":[{"url":"a:b","valueCode":"x"}]}}`, "Patient._deceasedDateTime", "one type only"},
		{"choice of wrong type", `{"resourceType":"Patient","deceasedString":"no"}`, "Patient.deceasedString", "deceasedBoolean, deceasedDateTime"},
		{"wrong kind", `{"resourceType":"Patient","active":"true"}`, "Patient.active", "JSON boolean"},
		{"bad date", `{"resourceType":"Patient","birthDate":"2021-02-29"}`, "Patient.birthDate", "a date that exists"},
		{"bad id", `{"resourceType":"Patient","id":"a b"}`, "Patient.id", "an id"},
		{"extension without url", `{"resourceType":"Patient","extension":[{"valueCode":"a"}]}`, "Patient.extension[0].url", "required"},
		{"extension without value", `{"resourceType":"Patient","extension":[{"url":"a:b"}]}`, "Patient.extension[0]", "ext-1"},
		{"extension with both", `{"resourceType":"Patient","extension":[{"url":"a:b","valueCode":"a","extension":[{"url":"c","valueCode":"a"}]}]}`, "Patient.extension[0]", "not both"},
		{"reference to an unknown type", `{"resourceType":"Patient","managingOrganization":{"reference":"Org/1"}}`, "Patient.managingOrganization.reference", "no reference"},
		{"reference without type", `{"resourceType":"Patient","managingOrganization":{"reference":"1"}}`, "Patient.managingOrganization.reference", "Type/id"},
		{"reference to another type", `{"resourceType":"Patient","managingOrganization":{"reference":"Patient/1"}}`, "Patient.managingOrganization.reference", "expected: Organization"},
		{"absolute reference to another type", `{"resourceType":"Patient","managingOrganization":{"reference":"https://example.org/fhir/Patient/1/_history/2"}}`, "Patient.managingOrganization.reference", "expected: Organization"},
		{"reference with a bad id", `{"resourceType":"Patient","managingOrganization":{"reference":"Organization/a_b"}}`, "Patient.managingOrganization.reference", "no reference"},
		{"reference type that disagrees", `{"resourceType":"Patient","managingOrganization":{"reference":"Organization/1","type":"Patient"}}`, "Patient.managingOrganization.type", "type says"},
		{"logical reference of another type", `{"resourceType":"Patient","managingOrganization":{"type":"Patient","identifier":{"value":"1"}}}`, "Patient.managingOrganization.type", "expected: Organization"},
		{"reference to nothing contained", `{"resourceType":"Patient","managingOrganization":{"reference":"#o"}}`, "Patient.managingOrganization", "ref-1"},
		{"reference to a contained resource of another type", `{"resourceType":"Patient","contained":[{"resourceType":"Basic","id":"o","code":{"text":"a"}}],"managingOrganization":{"reference":"#o"}}`, "Patient.managingOrganization.reference", "expected: Organization"},
		{"contained without id", `{"resourceType":"Patient","contained":[{"resourceType":"Organization","name":"a"}]}`, "Patient.contained[0].id", "needs an id"},
		{"contained twice", `{"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"o","name":"a"},{"resourceType":"Organization","id":"o","name":"a"}],"managingOrganization":{"reference":"#o"}}`, "Patient.contained[1].id", "used twice"},
		{"contained in contained", `{"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"o","name":"a","contained":[{"resourceType":"Basic","id":"p"}]}],"managingOrganization":{"reference":"#o"}}`, "Patient.contained[0]", "dom-2"},
		{"contained and not used", `{"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"o","name":"a"}]}`, "Patient.contained[0]", "dom-3"},
		{"contained with a version", `{"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"o","name":"a","meta":{"versionId":"1"}}],"managingOrganization":{"reference":"#o"}}`, "Patient.contained[0]", "dom-4"},
		{"in a Bundle", `{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Patient","gendre":"male"}}]}`, "Bundle.entry[0].resource.gendre", "no member"},
		{"unknown type in a Bundle", `{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Patent"}}]}`, "Bundle.entry[0].resource.resourceType", "no resource type"},
		{
			"entry of another type in a Bundle", `{"resourceType":"Bundle","type":"collection","entry":[
			{"fullUrl":"urn:uuid:c757873d-ec9a-4326-a141-556f43239520","resource":{"resourceType":"Patient","active":true}},
			{"fullUrl":"urn:uuid:c757873d-ec9a-4326-a141-556f43239521","resource":{"resourceType":"Patient","managingOrganization":{"reference":"urn:uuid:c757873d-ec9a-4326-a141-556f43239520"}}}]}`,
			"Bundle.entry[1].resource.managingOrganization.reference", "expected: Organization",
		},
		{"size of an attachment", `{"resourceType":"Patient","photo":[{"contentType":"a/b","data":"YWJj\nZA==","size":5}]}`, "Patient.photo[0].size", "holds 4"},
		{"simple quantity", `{"resourceType":"Observation","status":"final","code":{"text":"a"},"valueRange":{"low":{"value":1,"comparator":"<"}}}`, "Observation.valueRange.low.comparator", "sqty-1"},
		{"uuid too short", `{"resourceType":"Patient","identifier":[{"system":"urn:uuid:c757873d-ec9a-4326-a141-556f4323952"}]}`, "Patient.identifier[0].system", "is not a UUID"},
		{"relative fullUrl", `{"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"Patient/1","resource":{"resourceType":"Patient","id":"1"}}]}`, "Bundle.entry[0].fullUrl", "absolute"},
		{"platform type", `{"resourceType":"Project","name":"a"}`, "Project.fhirVersion", "required"},
	}
	for _, version := range []fhir.Version{fhir.R4, fhir.R4B} {
		set := definition.For(version)
		for _, test := range tests {
			t.Run(string(version)+" "+test.name, func(t *testing.T) {
				t.Parallel()
				issues := validate.Resource(set, parse(t, test.text))
				for _, issue := range issues {
					if issue.Expression[0] == test.path && strings.Contains(issue.Diagnostics, test.says) {
						return
					}
				}
				t.Errorf("wanted %s: %s\ngot %+v", test.path, test.says, issues)
			})
		}
	}
}

func TestValidResourcesHaveNoIssues(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"minimal":                       `{"resourceType":"Patient"}`,
		"value by extension":            `{"resourceType":"Patient","_birthDate":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"unknown"}]}}`,
		"array with gaps":               `{"resourceType":"Patient","name":[{"given":["a",null],"_given":[null,{"extension":[{"url":"a:b","valueCode":"x"}]}]}]}`,
		"sibling array alone":           `{"resourceType":"Patient","name":[{"_given":[{"extension":[{"url":"a:b","valueCode":"x"}]}]}]}`,
		"sibling array shorter":         `{"resourceType":"Patient","name":[{"given":["a","b"],"_given":[{"id":"x"}]}]}`,
		"id of a value":                 `{"resourceType":"Patient","birthDate":"2020","_birthDate":{"id":"x"}}`,
		"required value by extension":   `{"resourceType":"Observation","_status":{"extension":[{"url":"a:b","valueCode":"x"}]},"code":{"text":"a"}}`,
		"contained used":                `{"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"o","name":"a"}],"managingOrganization":{"reference":"#o"}}`,
		"contained refers to container": `{"resourceType":"Organization","contained":[{"resourceType":"Patient","id":"p","managingOrganization":{"reference":"#"}}],"name":"a"}`,
		"contained used by canonical":   `{"resourceType":"QuestionnaireResponse","contained":[{"resourceType":"Questionnaire","id":"q","status":"draft"}],"questionnaire":"#q","status":"completed"}`,
		"urn reference":                 `{"resourceType":"Patient","managingOrganization":{"reference":"urn:uuid:c757873d-ec9a-4326-a141-556f43239520"}}`,
		"absolute reference":            `{"resourceType":"Patient","managingOrganization":{"reference":"https://example.org/anything"}}`,
		"versioned reference":           `{"resourceType":"Patient","managingOrganization":{"reference":"Organization/1/_history/2"}}`,
		"conditional in transaction":    `{"resourceType":"Bundle","type":"transaction","entry":[{"resource":{"resourceType":"Patient","managingOrganization":{"reference":"Organization?identifier=a|b"}},"request":{"method":"POST","url":"Patient"}}]}`,
		"platform type":                 `{"resourceType":"Project","name":"a","fhirVersion":"r4"}`,
	} {
		for _, version := range []fhir.Version{fhir.R4, fhir.R4B} {
			t.Run(string(version)+" "+name, func(t *testing.T) {
				t.Parallel()
				if issues := validate.Resource(definition.For(version), parse(t, text)); len(issues) > 0 {
					t.Errorf("%+v", issues)
				}
			})
		}
	}
}

func TestWarningsAreAskedFor(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		`{"resourceType":"Patient","identifier":[{"system":"urn:uuid:C757873D-ec9a-4326-a141-556f43239520"}]}`:            "should be a UUID",
		`{"resourceType":"Patient","identifier":[{"system":"urn:oid:x"}]}`:                                                "should be an OID",
		`{"resourceType":"Patient","communication":[{"language":{"coding":[{"system":"urn:ietf:bcp:47","code":"d3"}]}}]}`: "BCP 47",
		`{"resourceType":"Patient","active":true}`:                                                                        "dom-6",
	} {
		v := parse(t, text)
		if issues := validate.Resource(definition.For(fhir.R4), v); len(issues) > 0 {
			t.Errorf("%s\n%+v", text, issues)
		}
		found := false
		for _, issue := range validate.Resource(definition.For(fhir.R4), v, validate.WithWarnings()) {
			found = found || issue.Severity == "warning" && strings.Contains(issue.Diagnostics, says)
		}
		if !found {
			t.Errorf("%s: no warning with %s", text, says)
		}
	}
}

func TestIssuesAreCapped(t *testing.T) {
	t.Parallel()
	text := `{"resourceType":"Patient","name":[` + strings.Repeat(`{},`, 500) + `{}],"bogus":1}`
	if n := len(validate.Resource(definition.For(fhir.R4), parse(t, text))); n != validate.MaxIssues {
		t.Errorf("%d issues", n)
	}
}

func TestReferencesAreFound(t *testing.T) {
	t.Parallel()
	v := parse(t, `{"resourceType":"Observation","status":"final","code":{"text":"a"},
		"contained":[{"resourceType":"Patient","id":"p","managingOrganization":{"reference":"Organization/o"}}],
		"subject":{"reference":"Patient/1","_reference":{"extension":[{"url":"a:b","valueReference":{"reference":"Group/g"}}]}},
		"focus":[{"reference":"#p"},{"reference":"Patient/1"},{"reference":"Device/d/_history/3"}],
		"performer":[{"reference":"https://example.org/Practitioner/1"},{"reference":"urn:uuid:c757873d-ec9a-4326-a141-556f43239520"},{"reference":"Practitioner?x=y"},
			{"reference":"https://here.example/fhir/Practitioner/2"},{"reference":"https://here.example/fhirs/Practitioner/3"}],
		"component":[{"code":{"text":"b"},"extension":[{"url":"c:d","valueReference":{"reference":"Location/l"}}]}]}`)
	var got []string
	for _, target := range validate.References(definition.For(fhir.R4), v, "https://here.example/fhir") {
		got = append(got, fmt.Sprintf("%s/%s %s", target.Type, target.ID, target.Path))
	}
	want := []string{
		"Organization/o Observation.contained[0].managingOrganization.reference",
		"Patient/1 Observation.subject.reference",
		"Group/g Observation.subject.reference.extension[0].valueReference.reference",
		"Device/d Observation.focus[2].reference",
		"Practitioner/ Observation.performer[2].reference",
		"Practitioner/2 Observation.performer[3].reference",
		"Location/l Observation.component[0].extension[0].valueReference.reference",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
	bundle := parse(t, `{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Patient","managingOrganization":{"reference":"Organization/o"}}}]}`)
	if found := validate.References(definition.For(fhir.R4), bundle, ""); found != nil {
		t.Errorf("references of a Bundle's entries are not the Bundle's: %v", found)
	}
}

const observation = `{"resourceType":"Observation","id":"0fbd4e0c-4e22-4e7c-b2d9-6d1d2b5f7a10",
	"meta":{"versionId":"1","lastUpdated":"2024-05-01T10:00:00.000Z","profile":["http://hl7.org/fhir/us/core/StructureDefinition/us-core-observation-lab"]},
	"status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs","display":"vital-signs"}]}],
	"code":{"coding":[{"system":"http://loinc.org","code":"55284-4","display":"Blood Pressure"}],"text":"Blood Pressure"},
	"subject":{"reference":"Patient/77cbd8f2-04b1-4d3f-a2f7-5e1a6cc3a0b7"},"encounter":{"reference":"Encounter/4b3d66c3-3b46-4e93-8b9b-5d2b1f4e3c11"},
	"effectiveDateTime":"2015-06-21T03:14:47-04:00","issued":"2015-06-21T03:14:47.123-04:00",
	"component":[{"code":{"coding":[{"system":"http://loinc.org","code":"8462-4","display":"Diastolic Blood Pressure"}],"text":"Diastolic Blood Pressure"},
		"valueQuantity":{"value":82.91,"unit":"mm[Hg]","system":"http://unitsofmeasure.org","code":"mm[Hg]"}},
		{"code":{"coding":[{"system":"http://loinc.org","code":"8480-6","display":"Systolic Blood Pressure"}],"text":"Systolic Blood Pressure"},
		"valueQuantity":{"value":120.5,"unit":"mm[Hg]","system":"http://unitsofmeasure.org","code":"mm[Hg]"}}]}`

func BenchmarkObservation(b *testing.B) {
	set := definition.For(fhir.R4)
	v := parse(b, observation)
	if issues := validate.Resource(set, v); len(issues) > 0 {
		b.Fatal(issues)
	}
	b.ReportAllocs()
	for b.Loop() {
		validate.Resource(set, v)
	}
}

func BenchmarkReferences(b *testing.B) {
	set := definition.For(fhir.R4)
	v := parse(b, observation)
	b.ReportAllocs()
	for b.Loop() {
		validate.References(set, v, "")
	}
}

func FuzzResource(f *testing.F) {
	for _, seed := range []string{
		observation,
		`{"resourceType":"Patient","name":[{"given":["a",null],"_given":[null,{"id":"x"}]}],"contained":[{"contained":[{}]}]}`,
		`{"resourceType":"Bundle","entry":[{"fullUrl":"urn:uuid:a","resource":{"resourceType":"Parameters","parameter":[{"resource":null}]}}]}`,
		`{"resourceType":"Basic","text":{"div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><a href='#x'>&amp;</a></div>"}}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := fhir.Parse(text)
		if err != nil {
			return
		}
		for _, version := range []fhir.Version{fhir.R4, fhir.R4B} {
			set := definition.For(version)
			if issues := validate.Resource(set, &v); len(issues) > validate.MaxIssues {
				t.Errorf("%d issues", len(issues))
			}
			validate.References(set, &v, "")
		}
	})
}
