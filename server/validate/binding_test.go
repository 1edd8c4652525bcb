package validate_test

import (
	"strings"
	"testing"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
	"bulkhead/server/validate"
)

func TestRequiredBindings(t *testing.T) {
	t.Parallel()
	condition := func(clinical string) string {
		return `{"resourceType":"Condition","subject":{"display":"a"},"clinicalStatus":` + clinical + `}`
	}
	const clinical = `"system":"http://terminology.hl7.org/CodeSystem/condition-clinical"`
	tests := []struct{ name, text, path, says string }{
		{"code", `{"resourceType":"Patient","gender":"male"}`, "", ""},
		{"wrong code", `{"resourceType":"Patient","gender":"Male"}`, "Patient.gender", "expected: female, male, other, unknown"},
		{"repeating code", `{"resourceType":"AllergyIntolerance","patient":{"display":"a"},"clinicalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical","code":"active"}]},"category":["food","fod"]}`, "AllergyIntolerance.category[1]", "expected: biologic"},
		{"concept", condition(`{"coding":[{` + clinical + `,"code":"active"}]}`), "", ""},
		{"second coding", condition(`{"coding":[{"system":"a:b","code":"x"},{` + clinical + `,"code":"active"}]}`), "", ""},
		{"concept of another system", condition(`{"coding":[{"system":"a:b","code":"active"}]}`), "Condition.clinicalStatus", "required value set"},
		{"concept of another code", condition(`{"coding":[{` + clinical + `,"code":"actve"}]}`), "Condition.clinicalStatus", "expected: active"},
		{"concept as text", condition(`{"text":"active"}`), "Condition.clinicalStatus", "is required"},
		{"concept by extension", condition(`{"extension":[{"url":"a:b","valueCode":"x"}]}`), "", ""},
		{"language", `{"resourceType":"Patient","language":"de-CH-1996"}`, "", ""},
		{"private language", `{"resourceType":"Patient","language":"x-klingon"}`, "", ""},
		{"wrong language", `{"resourceType":"Patient","language":"d3"}`, "Patient.language", "BCP 47"},
		{"wrong language separator", `{"resourceType":"Patient","language":"de_CH"}`, "Patient.language", "BCP 47"},
		{"media type", `{"resourceType":"Patient","photo":[{"contentType":"image/svg+xml; charset=utf-8"}]}`, "", ""},
		{"wrong media type", `{"resourceType":"Patient","photo":[{"contentType":"image"}]}`, "Patient.photo[0].contentType", "BCP 13"},
		{"currency", `{"resourceType":"Account","status":"active","extension":[{"url":"a:b","valueMoney":{"value":1,"currency":"CHF"}}]}`, "", ""},
		{"wrong currency", `{"resourceType":"Account","status":"active","extension":[{"url":"a:b","valueMoney":{"value":1,"currency":"chf"}}]}`, "Account.extension[0].valueMoney.currency", "ISO 4217"},
		{"platform", `{"resourceType":"Project","name":"a","fhirVersion":"r5"}`, "Project.fhirVersion", "expected: r4, r4b"},
	}
	for _, version := range []fhir.Version{fhir.R4, fhir.R4B} {
		set := definition.For(version)
		for _, test := range tests {
			t.Run(string(version)+" "+test.name, func(t *testing.T) {
				t.Parallel()
				v := parse(t, test.text)
				if issues := validate.Resource(set, v, validate.StructureOnly()); len(issues) > 0 {
					t.Errorf("its structure is not to blame: %+v", issues)
				}
				issues := validate.Resource(set, v)
				if test.path == "" {
					if len(issues) > 0 {
						t.Errorf("%+v", issues)
					}
					return
				}
				if len(issues) != 1 || issues[0].Expression[0] != test.path || !strings.Contains(issues[0].Diagnostics, test.says) {
					t.Errorf("wanted %s: %s\ngot %+v", test.path, test.says, issues)
				}
			})
		}
	}
}
