package validate_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
	"bulkhead/server/validate"
)

// hl7Case is one case of the HL7 validator's own tests and what that validator said.
type hl7Case struct {
	Name         string
	File         string
	FHIRVersion  string
	ErrorCount   *int
	ErrorClasses []string
	BaseUsable   bool `json:"base_usable"`
	Issues       []struct {
		Severity, Class, Text string
		Expression            []string
	}
}

// usable tells whether the case can be judged without terminology, profiles and other packages:
// its errors, if any, are of structure, values or invariants.
func (c *hl7Case) usable() bool {
	if !c.BaseUsable || c.ErrorCount == nil {
		return false
	}
	for _, class := range c.ErrorClasses {
		if class != "structure" && class != "value" && class != "invariant" {
			return false
		}
	}
	return true
}

// disagree says where and why this validator differs from the HL7 one.
var disagree = map[string]string{
	"obs-temp-bad":                     "that one adds the vital-signs profiles by the code of an Observation, named or not",
	"patient-ig-bad":                   "that one was given an implementation guide with a profile for every Patient",
	"contained-resource-bad-id-ignore": "that one was told to ignore ids that are too long",
	"vs-bad-ecl-us":                    "that one reads the expression language of SNOMED CT",
}

// TestHL7ValidatorCases compares the verdict, valid or not, with the HL7 validator's.
func TestHL7ValidatorCases(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(corpus(t, "validation/hl7-validator/cases-r4.json"))
	if err != nil {
		t.Fatal(err)
	}
	var cases []hl7Case
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	agree, total := 0, 0
	for _, c := range cases {
		if !c.usable() {
			continue
		}
		total++
		version := fhir.R4
		if c.FHIRVersion == "4.3" {
			version = fhir.R4B
		}
		issues := judgeFile(t, definition.For(version), corpus(t, "validation/hl7-validator/files/"+c.File))
		why := disagree[c.Name]
		switch same := (len(issues) == 0) == (*c.ErrorCount == 0); {
		case same && why == "":
			agree++
		case same:
			t.Errorf("%s: agrees, though %s", c.Name, why)
		case why == "" && len(issues) > 0:
			t.Errorf("%s: refused: %v %s", c.Name, issues[0].Expression, issues[0].Diagnostics)
		case why == "":
			t.Errorf("%s: accepted, though: %+v", c.Name, c.Issues)
		}
	}
	t.Logf("hl7-validator: %d of %d agree", agree, total)
}

func judgeFile(t *testing.T, set *definition.Set, name string) []fhir.Issue {
	t.Helper()
	text, err := os.ReadFile(filepath.Clean(name))
	if err != nil {
		t.Fatal(err)
	}
	v, err := fhir.Parse(string(text))
	if err != nil {
		return issuesOf(t, err)
	}
	return validate.Resource(set, &v)
}
