package validate_test

import (
	"strings"
	"testing"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
	"bulkhead/server/validate"
)

// defective says which examples break the standard, and how. Everything else must be accepted.
var defective = map[string]string{
	"r4-instances ImplementationGuide-fhir.json":                     "lacks name and status (1..1), and refers to an id of more than 64 characters",
	"r4-instances Questionnaire-qs1.json":                            "items lack linkId (1..1)",
	"r4-instances Observation-clinical-gender.json":                  "performer refers to an Encounter",
	"r4b-instances Observation-clinical-gender.json":                 "performer refers to an Encounter",
	"r4-instances DeviceMetric-example.json":                         "parent refers to a DeviceDefinition, only Device is allowed",
	"r4b-instances Bundle-conceptmaps.json":                          "targets that are narrower or inexact lack a comment (cmd-1)",
	"r4b-instances Questionnaire-qs1.json":                           "link ids are not unique (que-2)",
	"r4b-instances DeviceMetric-example.json":                        "parent refers to a DeviceDefinition, only Device is allowed",
	"r4-instances DeviceUseStatement-example.json":                   "reasonReference refers to a Procedure",
	"uscore-3.1.1-instances DiagnosticReport-cardiology-report.json": "presentedForm.hash is a placeholder with dots, not base64",
	"ibm-complete-mock EvidenceVariable-5.json":                      "definitionReference refers to an ActivityDefinition, only Group is allowed",
}

// errorsOf leaves warnings out.
func errorsOf(issues []fhir.Issue) []fhir.Issue {
	var out []fhir.Issue
	for _, issue := range issues {
		if issue.Severity == "error" {
			out = append(out, issue)
		}
	}
	return out
}

// TestExamplesAreValid runs the examples of the specification, those of US Core, and those of
// another server's test suite. Of the first, the broken invariants are compared with what an
// independent FHIRPath implementation found, warnings included.
func TestExamplesAreValid(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		file    string
		version fhir.Version
		option  validate.Option
	}{
		{file: "r4-instances", version: fhir.R4},
		{file: "r4b-instances", version: fhir.R4B},
		// The required elements alone, or all of them at once with random text or none: only the
		// structure is meant to be valid.
		{file: "ibm-minimal", version: fhir.R4, option: validate.StructureOnly()},
		{file: "ibm-complete-mock", version: fhir.R4, option: validate.StructureOnly()},
		{file: "ibm-complete-absent", version: fhir.R4, option: validate.StructureOnly()},
		{file: "uscore-3.1.1-instances", version: fhir.R4},
		{file: "uscore-6.1.0-instances", version: fhir.R4},
		{file: "uscore-7.0.0-instances", version: fhir.R4},
	} {
		t.Run(test.file, func(t *testing.T) {
			t.Parallel()
			set := definition.For(test.version)
			var options []validate.Option
			if test.option != nil {
				options = append(options, test.option)
			}
			var broken map[string]string
			if strings.HasPrefix(test.file, "r4") {
				broken = oracleInvariants(t, test.version)
				options = append(options, validate.WithWarnings())
			}
			agree, judged, valid, total := 0, 0, 0, 0
			examples(t, "examples/"+test.file+".ndjson.gz", func(file string, resource *fhir.Value) {
				total++
				issues := validate.Resource(set, resource, options...)
				if want, known := broken[file]; known {
					judged++
					if got := brokenInvariants(issues); got == want {
						agree++
					} else {
						t.Errorf("%s\n broken %s\n oracle %s", file, got, want)
					}
				}
				issues = errorsOf(issues)
				why := defective[test.file+" "+file]
				switch {
				case len(issues) == 0 && why == "":
					valid++
				case len(issues) == 0:
					t.Errorf("%s: accepted, though %s", file, why)
				case why == "":
					for _, issue := range issues[:min(4, len(issues))] {
						t.Errorf("%s: %v: %s", file, issue.Expression, issue.Diagnostics)
					}
				}
			})
			t.Logf("%s: %d of %d accepted, the others break the standard", test.file, valid, total)
			if broken != nil {
				t.Logf("%s: %d of %d break the same invariants as the oracle says", test.file, agree, judged)
			}
		})
	}
}

// TestSyntheaIsValid runs generated patients: one resource a line, and whole transactions.
func TestSyntheaIsValid(t *testing.T) {
	t.Parallel()
	set := definition.For(fhir.R4)
	for _, file := range []string{"small/resources-refs-resolved", "small/patients", "infra/blaze-2021-infra"} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			valid, total := 0, 0
			lines(t, "synthea/"+file+".ndjson.gz", func(line string) {
				v, err := fhir.Parse(line)
				if err != nil {
					t.Fatal(err)
				}
				total++
				issues := validate.Resource(set, &v)
				if len(issues) == 0 {
					valid++
					return
				}
				t.Errorf("%v: %s", issues[0].Expression, issues[0].Diagnostics)
			})
			t.Logf("synthea/%s: %d of %d accepted", file, valid, total)
		})
	}
}
