package validate_test

import (
	"sort"
	"strings"
	"testing"

	"bulkhead/server/fhir"
)

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
