package fhirpath

import (
	"bulkhead/server/fhir"
)

// call is a function applied to its operand, or to $this when there is none.
type call struct {
	name    string
	f       runner
	operand expr
	args    []expr
	typ     typeSpec // of is(), as(), ofType()
	desc    []bool   // of sort()
	pattern *pattern // of matches() and its like, when it is a literal
}

// runner appends what a function yields for the input in to dst. Arguments that are criteria or
// projections are evaluated per item, all others in the scope sc.
type runner func(c *call, ev *evaluator, sc *scope, in, dst []Item) []Item

func (c *call) eval(ev *evaluator, sc *scope, dst []Item) []Item {
	if !ev.step(1) {
		return dst
	}
	if ev.depth++; ev.depth > maxCallDepth {
		ev.fail(fhir.TooCostly, "The FHIRPath expression is nested too deeply.")
	}
	if c.operand == nil {
		dst = c.f(c, ev, sc, sc.this, dst)
	} else {
		buf := c.operand.eval(ev, sc, ev.get())
		if ev.err == nil {
			dst = c.f(c, ev, sc, buf, dst)
		}
		ev.put(buf)
	}
	ev.depth--
	return dst
}

// function is how a name is bound.
type function struct {
	run       runner
	min, max  int
	takesType bool
}

const many = 1 << 10

// functions are all that the language knows.
var functions = func() map[string]function {
	all := map[string]function{}
	for _, table := range []map[string]function{
		existenceFunctions, collectionFunctions, stringFunctions, mathFunctions,
		conversionFunctions, dateFunctions, fhirFunctions, utilityFunctions,
	} {
		for name, f := range table {
			all[name] = f
		}
	}
	return all
}()

// filter keeps the items for which the criterion is true.
func (ev *evaluator) filter(criterion expr, sc *scope, in, dst []Item) []Item {
	ev.lambda(criterion, sc, in, func(i int, result []Item) bool {
		if value, ok := ev.truth(result); ok && value {
			dst = append(dst, in[i])
		}
		return true
	})
	return dst
}
