package main

import (
	"strings"
	"testing"
)

func TestIndexCommand(t *testing.T) {
	t.Parallel()
	patient := `{"resourceType":"Patient","id":"p1","name":[{"family":"Chalmers"}]}`
	for name, c := range map[string]struct {
		input string
		code  int
		says  []string
	}{
		"a resource": {patient, exitDone, []string{
			`{"resourceType":"Patient","id":"p1","param":"family","type":"string","values":[{"type":"string","path":"Patient.name[0].family","value":"Chalmers"}]}` + "\n",
			`"param":"deceased","type":"token","values":[{"type":"boolean","value":false}]`,
		}},
		"an example of the corpora": {`{"file":"Patient-p1.json","resource":` + patient + `}`, exitDone, []string{
			`{"file":"Patient-p1.json","resourceType":"Patient","id":"p1","param":"_id"`,
		}},
		"a composite": {`{"resourceType":"Observation","component":[{"code":{"text":"x"},"valueQuantity":{"value":1.50}}]}`, exitDone, []string{
			`"components":[{"definition":"http://hl7.org/fhir/SearchParameter/Observation-component-code","values":[{"type":"CodeableConcept"`, `"value":1.50`,
		}},
		"two lines, one broken": {"{\n" + patient, exitFailed, []string{"-:1: ", `"param":"family"`}},
		"no resource":           {`{"resourceType":"Nothing"}`, exitFailed, []string{`"Nothing" is no resource type of FHIR 4.0.1`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := callWith(t.Context(), c.input, nil, "fhir", "index", "-")
			if r.code != c.code {
				t.Errorf("code %d, want %d: %s", r.code, c.code, r.stderr)
			}
			for _, says := range c.says {
				if !strings.Contains(r.stdout+r.stderr, says) {
					t.Errorf("%s is missing in\n%s%s", says, r.stdout, r.stderr)
				}
			}
		})
	}
}
