package validate

import (
	"bulkhead/server/definition"
	"bulkhead/server/fhir"
	"bulkhead/server/fhirpath"
)

// maxSteps bounds the work for one invariant on one element.
const maxSteps = 1_000_000

// invariant is a constraint of the definitions, ready to be evaluated. done marks one that the
// walk itself checks, or that needs no check.
type invariant struct {
	expr *fhirpath.Expr
	done bool
}

// native are the constraints that the walk checks: they are about the form of JSON, or FHIRPath
// would have to look through the whole resource again for each element.
var native = map[string]bool{
	"ele-1": true, "ext-1": true, "dom-2": true, "dom-3": true, "dom-4": true, "dom-5": true,
	"ref-1": true, "txt-1": true, "txt-2": true,
}

// compileInvariants prepares all constraints of a release. One that cannot be compiled is left
// out; a test lists which.
func compileInvariants(set *definition.Set) []invariant {
	out := make([]invariant, len(set.Constraints()))
	for i, c := range set.Constraints() {
		if native[c.Key] || c.Expression == "" {
			out[i].done = true
			continue
		}
		expr, err := fhirpath.Compile(c.Expression)
		out[i] = invariant{expr: expr, done: err != nil}
	}
	return out
}

// checkInvariants evaluates constraints on a value of the current element. Only a result of false
// breaks one; what is empty or cannot be evaluated does not.
func (w *walker) checkInvariants(list []*definition.Constraint, it *fhirpath.Item) {
	for _, c := range list {
		inv := &w.invariants[c.Index]
		if inv.done || c.Warning && !w.warnings {
			continue
		}
		holds, known, err := inv.expr.Test(w.env, it)
		switch {
		case err != nil:
			w.warn(fhir.Processing, "%s could not be evaluated: %s", c.Key, err)
		case holds || !known:
		case c.Warning:
			w.warn(fhir.Invariant, "%s: %s", c.Key, c.Human)
		default:
			w.add(fhir.Invariant, "%s: %s", c.Key, c.Human)
		}
	}
}

// newEnv makes what the invariants of a resource see: root is the one that is not contained.
func (w *walker) newEnv(resource *fhirpath.Item, root *fhirpath.Item) *fhirpath.Env {
	s := w.scope
	return &fhirpath.Env{
		Set: w.set, Resource: resource, RootResource: root, MaxSteps: maxSteps,
		Resolve: func(reference string) (fhirpath.Item, bool) {
			entry := s.entry(reference)
			if entry == nil {
				return fhirpath.Item{}, false
			}
			return fhirpath.Root(w.set, entry), true
		},
	}
}
