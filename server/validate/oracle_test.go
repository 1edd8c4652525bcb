package validate_test

import (
	"sort"
	"strings"
	"testing"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
	"bulkhead/server/validate"
)

// TestInvariantsAgreeWithTheOracle compares which invariants are broken, and where, with what an
// independent FHIRPath implementation found on the official examples.
func TestInvariantsAgreeWithTheOracle(t *testing.T) {
	t.Parallel()
	for _, version := range []fhir.Version{fhir.R4, fhir.R4B} {
		t.Run(string(version), func(t *testing.T) {
			t.Parallel()
			want := oracleInvariants(t, version)
			agree, total := 0, 0
			examples(t, "examples/"+string(version)+"-instances.ndjson.gz", func(file string, resource *fhir.Value) {
				expected, known := want[file]
				if !known {
					return
				}
				total++
				got := brokenInvariants(validate.Resource(definition.For(version), resource, validate.WithWarnings()))
				if got == expected {
					agree++
					return
				}
				t.Errorf("%s\n got  %s\n want %s", file, got, expected)
			})
			t.Logf("invariants %s: %d of %d examples agree", version, agree, total)
		})
	}
}

// oracleInvariants returns the broken invariants of each example, sorted.
func oracleInvariants(t *testing.T, version fhir.Version) map[string]string {
	out := map[string]string{}
	lines(t, "oracle/invariants-"+string(version)+".ndjson.gz", func(line string) {
		var row struct {
			File    string
			NotTrue []struct {
				Key, Path string
				Result    any
			} `json:"not_true"`
		}
		decode(t, line, &row)
		var broken []string
		for _, c := range row.NotTrue {
			if c.Result == false {
				broken = append(broken, c.Key+" "+c.Path)
			}
		}
		out[row.File] = joinSorted(broken)
	})
	return out
}

func brokenInvariants(issues []fhir.Issue) string {
	var broken []string
	for _, issue := range issues {
		if key, _, ok := strings.Cut(issue.Diagnostics, ":"); ok && issue.Code == fhir.Invariant && key != "txt-2" { // the oracle leaves txt-2 out
			broken = append(broken, key+" "+issue.Expression[0])
		}
	}
	return joinSorted(broken)
}

func joinSorted(list []string) string {
	sort.Strings(list)
	return strings.Join(list, ", ")
}
