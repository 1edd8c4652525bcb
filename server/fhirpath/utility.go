package fhirpath

import "bulkhead/server/fhir"

// utilityFunctions are those of section 5.9 and their later additions.
var utilityFunctions = map[string]function{
	"iif":            {run: fnIif, min: 2, max: 3},
	"trace":          {run: fnTrace, min: 1, max: 2},
	"type":           {run: fnType},
	"defineVariable": {run: fnDefineVariable, min: 1, max: 2},
	"coalesce":       {run: fnCoalesce, min: 1, max: many},
}

func fnIif(c *call, ev *evaluator, sc *scope, in, dst []Item) []Item {
	if len(in) > 1 {
		ev.single(in)
		return dst
	}
	inner := ev.enter(sc)
	defer ev.leave(inner)
	inner.this = in
	value, ok := ev.test(c.args[0], inner)
	switch {
	case ev.err != nil:
		return dst
	case ok && value:
		return c.args[1].eval(ev, inner, dst)
	case len(c.args) == 3:
		return c.args[2].eval(ev, inner, dst)
	default:
		return dst
	}
}

func fnTrace(c *call, ev *evaluator, sc *scope, in, dst []Item) []Item {
	name, _ := c.argument(ev, sc, 0)
	if ev.env.Trace != nil && ev.err == nil {
		shown := in
		if len(c.args) == 2 {
			shown = nil
			ev.lambda(c.args[1], sc, in, func(_ int, result []Item) bool {
				shown = append(shown, result...)
				return true
			})
		}
		ev.env.Trace(name, append([]Item(nil), shown...))
	}
	return append(dst, in...)
}

// reservedVariables cannot be defined again.
var reservedVariables = map[string]bool{
	"context": true, "resource": true, "rootResource": true, "ucum": true, "sct": true, "loinc": true, "factory": true,
}

func fnDefineVariable(c *call, ev *evaluator, sc *scope, in, dst []Item) []Item {
	name, ok := c.argument(ev, sc, 0)
	if !ok {
		ev.fail(fhir.Processing, "defineVariable() needs a name.")
		return dst
	}
	_, given := ev.env.Vars[name]
	for v := sc.vars; v != nil; v = v.next {
		given = given || v.name == name
	}
	if given || reservedVariables[name] {
		ev.fail(fhir.Processing, "The variable %%%s is already defined.", name)
		return dst
	}
	items := append([]Item(nil), in...)
	if len(c.args) == 2 {
		inner := ev.enter(sc)
		inner.this = items
		items = c.args[1].eval(ev, inner, nil)
		ev.leave(inner)
	}
	sc.vars = &variable{name, items, sc.vars}
	return append(dst, in...)
}

func fnCoalesce(c *call, ev *evaluator, sc *scope, _, dst []Item) []Item {
	for _, arg := range c.args {
		n := len(dst)
		if dst = arg.eval(ev, sc, dst); len(dst) > n || ev.err != nil {
			return dst
		}
	}
	return dst
}
