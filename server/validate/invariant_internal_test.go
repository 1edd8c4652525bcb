package validate

import (
	"testing"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
)

func TestEveryConstraintCompiles(t *testing.T) {
	t.Parallel()
	for _, version := range []fhir.Version{fhir.R4, fhir.R4B} {
		set := definition.For(version)
		for _, c := range set.Constraints() {
			inv := coreOf(set).invariants[c.Index]
			if inv.done && !native[c.Key] {
				t.Errorf("%s: %s is not checked: %s", version, c.Key, c.Expression)
			}
		}
	}
}
