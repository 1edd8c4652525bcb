package fhirpath

import "bulkhead/server/fhir"

// existenceFunctions are those of section 5.1.
var existenceFunctions = map[string]function{
	"empty":      {run: fnEmpty},
	"not":        {run: fnNot},
	"exists":     {run: fnExists, max: 1},
	"all":        {run: fnAll, min: 1, max: 1},
	"allTrue":    {run: fnAllTrue},
	"anyTrue":    {run: fnAnyTrue},
	"allFalse":   {run: fnAllFalse},
	"anyFalse":   {run: fnAnyFalse},
	"subsetOf":   {run: fnSubsetOf, min: 1, max: 1},
	"supersetOf": {run: fnSupersetOf, min: 1, max: 1},
	"isDistinct": {run: fnIsDistinct},
	"distinct":   {run: fnDistinct},
	"count":      {run: fnCount},
}

func fnEmpty(_ *call, _ *evaluator, _ *scope, in, dst []Item) []Item {
	return append(dst, boolItem(len(in) == 0))
}

func fnCount(_ *call, _ *evaluator, _ *scope, in, dst []Item) []Item {
	return append(dst, intItem(int64(len(in))))
}

func fnNot(_ *call, ev *evaluator, _ *scope, in, dst []Item) []Item {
	value, ok := ev.truth(in)
	if !ok {
		return dst
	}
	return append(dst, boolItem(!value))
}

func fnExists(c *call, ev *evaluator, sc *scope, in, dst []Item) []Item {
	if len(c.args) == 0 {
		return append(dst, boolItem(len(in) > 0))
	}
	found := false
	ev.lambda(c.args[0], sc, in, func(_ int, result []Item) bool {
		value, ok := ev.truth(result)
		found = ok && value
		return !found
	})
	return append(dst, boolItem(found))
}

func fnAll(c *call, ev *evaluator, sc *scope, in, dst []Item) []Item {
	all := true
	ev.lambda(c.args[0], sc, in, func(_ int, result []Item) bool {
		value, ok := ev.truth(result)
		all = ok && value
		return all
	})
	return append(dst, boolItem(all))
}

// booleans visits the input of allTrue() and its like, which must be Booleans.
func (ev *evaluator) booleans(in []Item, visit func(b bool)) {
	for i := range in {
		v, ok := in[i].Value()
		if !ok || v.Kind != Boolean {
			ev.fail(fhir.Processing, "A Boolean is expected, not %s.", in[i].TypeName())
			return
		}
		visit(v.Bool)
	}
}

func fnAllTrue(_ *call, ev *evaluator, _ *scope, in, dst []Item) []Item {
	result := true
	ev.booleans(in, func(b bool) { result = result && b })
	return append(dst, boolItem(result))
}

func fnAnyTrue(_ *call, ev *evaluator, _ *scope, in, dst []Item) []Item {
	result := false
	ev.booleans(in, func(b bool) { result = result || b })
	return append(dst, boolItem(result))
}

func fnAllFalse(_ *call, ev *evaluator, _ *scope, in, dst []Item) []Item {
	result := true
	ev.booleans(in, func(b bool) { result = result && !b })
	return append(dst, boolItem(result))
}

func fnAnyFalse(_ *call, ev *evaluator, _ *scope, in, dst []Item) []Item {
	result := false
	ev.booleans(in, func(b bool) { result = result || !b })
	return append(dst, boolItem(result))
}

// within tells whether every item of a is in b.
func (ev *evaluator) within(a, b []Item) bool {
	for i := range a {
		if !ev.contains(b, &a[i]) {
			return false
		}
	}
	return true
}

func fnSubsetOf(c *call, ev *evaluator, sc *scope, in, dst []Item) []Item {
	other := c.args[0].eval(ev, sc, ev.get())
	result := ev.within(in, other)
	ev.put(other)
	return append(dst, boolItem(result))
}

func fnSupersetOf(c *call, ev *evaluator, sc *scope, in, dst []Item) []Item {
	other := c.args[0].eval(ev, sc, ev.get())
	result := ev.within(other, in)
	ev.put(other)
	return append(dst, boolItem(result))
}

func fnIsDistinct(_ *call, ev *evaluator, _ *scope, in, dst []Item) []Item {
	buf := ev.distinct(append(ev.get(), in...), 0)
	same := len(buf) == len(in)
	ev.put(buf)
	return append(dst, boolItem(same))
}

func fnDistinct(_ *call, ev *evaluator, _ *scope, in, dst []Item) []Item {
	base := len(dst)
	return ev.distinct(append(dst, in...), base)
}
