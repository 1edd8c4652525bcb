package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestValidateCommand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lines := filepath.Join(dir, "resources.ndjson")
	text := `{"resourceType":"Patient","active":true}` + "\n\n" +
		`{"resourceType":"Patient","gender":"Male","nom":1}` + "\n" +
		`{"resourceType":"Patient",` + "\n"
	if err := os.WriteFile(lines, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	whole := filepath.Join(dir, "ingredient.json")
	ingredient := "{\n \"resourceType\": \"Ingredient\"\n}\n"
	if err := os.WriteFile(whole, []byte(ingredient), 0o600); err != nil {
		t.Fatal(err)
	}
	guide := filepath.Join(dir, "guide")
	if err := os.Mkdir(guide, 0o700); err != nil {
		t.Fatal(err)
	}
	profile := `{"resourceType":"StructureDefinition","url":"x:named","type":"Patient","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Patient",
		"differential":{"element":[{"id":"Patient.name","path":"Patient.name","min":1}]}}`
	if err := os.WriteFile(filepath.Join(guide, "named.json"), []byte(profile), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		says []string
	}{
		"lines": {[]string{lines}, exitDone, []string{
			`{"line":1,"valid":true,"issues":[]}`,
			`{"line":3,"valid":false,"issues":[`, `"expression":["Patient.gender"]`, `"expression":["Patient.nom"]`,
			`{"line":4,"valid":false,"issues":[{"severity":"error","code":"structure"`,
		}},
		"structure":       {[]string{"--structure", lines}, exitDone, []string{`"expression":["Patient.nom"]`}},
		"check":           {[]string{"--check", lines}, exitFailed, []string{`"line":4`}},
		"a whole file":    {[]string{whole}, exitDone, []string{`"line":1,"valid":false`, "no resource type of FHIR 4.0.1"}},
		"another release": {[]string{"--fhir-version", "r4b", whole}, exitDone, []string{"Ingredient.role is required"}},
		"a profile of all": {[]string{"--definitions", guide, "--profile", "x:named", lines}, exitDone, []string{
			`{"line":1,"valid":false`, "x:named: name must be there at least 1 times",
		}},
		"a profile nobody asked for": {[]string{"--definitions", guide, lines}, exitDone, []string{`{"line":1,"valid":true`}},
		"an unknown profile":         {[]string{"--definitions", guide, "--profile", "x:other", lines}, exitUsage, []string{"no usable profile x:other"}},
		"a profile out of nowhere":   {[]string{"--profile", "x:other", lines}, exitUsage, []string{"needs --definitions"}},
		"several files":              {[]string{whole, lines}, exitDone, []string{`{"file":"` + whole + `","line":1`, `{"file":"` + lines + `","line":1,"valid":true`}},
		"standard input":             {[]string{"-"}, exitDone, []string{`{"line":1,"valid":true`}},
		"an unknown release":         {[]string{"--fhir-version", "r5", whole}, exitUsage, []string{"r4 or r4b"}},
		"no such file":               {[]string{filepath.Join(dir, "none")}, exitFailed, []string{"no such file"}},
		"no file":                    {nil, exitUsage, []string{"requires at least 1 arg"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := callWith(t.Context(), `{"resourceType":"Patient"}`, nil, append([]string{"fhir", "validate"}, c.args...)...)
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
