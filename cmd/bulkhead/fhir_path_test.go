package main

import (
	"strings"
	"testing"
)

func TestPathCommand(t *testing.T) {
	t.Parallel()
	patient := `{"resourceType":"Patient","id":"p1","_birthDate":{"id":"b"},"name":[{"family":"Chalmers","given":["Peter","James"]}]}`
	for name, c := range map[string]struct {
		input string
		args  []string
		code  int
		out   string
	}{
		"nodes": {patient, []string{"Patient.name.given", "-"}, exitDone, `{"line":1,"type":"string","path":"Patient.name[0].given[0]","value":"Peter"}
{"line":1,"type":"string","path":"Patient.name[0].given[1]","value":"James"}
`},
		"a primitive without a value": {patient, []string{"birthDate", "-"}, exitDone, `{"line":1,"type":"date","path":"Patient.birthDate","_value":{"id":"b"}}
`},
		"computed items": {patient, []string{"name.exists() | 2 | 1.50 | 'x' | @2020 | 4 days | 2L", "-"}, exitDone, `{"line":1,"type":"System.Boolean","value":true}
{"line":1,"type":"System.Integer","value":2}
{"line":1,"type":"System.Decimal","value":1.50}
{"line":1,"type":"System.String","value":"x"}
{"line":1,"type":"System.Date","value":"2020"}
{"line":1,"type":"System.Quantity","value":"4 days"}
`},
		"a type":            {patient, []string{"name.type()", "-"}, exitDone, `"value":{"namespace":"FHIR","name":"HumanName"}}` + "\n"},
		"no input":          {"", []string{"@2024-02-29 + 1 year"}, exitDone, `{"type":"System.Date","value":"2025-02-28"}` + "\n"},
		"variables":         {"", []string{"%n.sum() + %m", "--var", "n=[1,2]", "--var", "m=3"}, exitDone, `{"type":"System.Integer","value":6}` + "\n"},
		"without types":     {patient, []string{"name.family.is(String)", "-", "--fhir-version", "none"}, exitDone, `{"line":1,"type":"System.Boolean","value":true}` + "\n"},
		"syntax":            {"", []string{"1 +"}, exitFailed, "cannot be read"},
		"does not fit":      {patient, []string{"name.given.single()", "-"}, exitFailed, "-:1: processing: A single item"},
		"as on many":        {patient, []string{"name.given.as(string)", "-"}, exitFailed, "A single item"},
		"as on many, let":   {patient, []string{"name.given.as(string).count()", "-", "--lenient"}, exitDone, `"value":2`},
		"a path to nowhere": {patient, []string{"Patient.nme", "-", "--strict"}, exitFailed, "has no element nme"},
		"broken input":      {"{", []string{"id", "-"}, exitFailed, "not well-formed"},
		"a bad variable":    {"", []string{"1", "--var", "x"}, exitUsage, "NAME=JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := callWith(t.Context(), c.input, nil, append([]string{"fhir", "path"}, c.args...)...)
			if r.code != c.code || !strings.Contains(r.stdout+r.stderr, c.out) {
				t.Errorf("code %d, want %d:\n%s%s", r.code, c.code, r.stdout, r.stderr)
			}
		})
	}
}
