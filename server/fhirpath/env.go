package fhirpath

import (
	"time"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
)

// Env is what an evaluation may know besides its input. The zero Env is usable: untyped, without
// resolution. An Env is not changed by an evaluation and may serve many at once.
type Env struct {
	// Set gives types to nodes; nil reads the tree by JSON names alone.
	Set *definition.Set
	// Resource is %resource, RootResource %rootResource and Context %context; a nil one is the
	// input itself (for %rootResource: %resource).
	Resource, RootResource, Context *Item
	// Vars are further environment variables, named without "%".
	Vars map[string][]Item

	// Resolve answers resolve() for a reference that is not contained in %rootResource. It must not
	// reach outside the project. Without it, or where it is false, a reference that names a type
	// ("Patient/1", an absolute URL of that form, or Reference.type) resolves to a stand-in of
	// that type without content.
	Resolve func(reference string) (Item, bool)
	// MemberOf, ConformsTo and Subsumes answer the functions of those names. A function whose hook
	// is missing yields nothing. An error ends the evaluation.
	MemberOf   func(it Item, valueSet string) (bool, error)
	ConformsTo func(it Item, profile string) (bool, error)
	Subsumes   func(a, b Item) (bool, error)
	// HTMLChecks tells whether a narrative holds nothing but the XHTML that FHIR allows. Without it
	// whatever looks like a <div> will do.
	HTMLChecks func(div string) bool
	// Trace is told what trace() passes on.
	Trace func(name string, items []Item)

	// Now is the time of now(), today() and timeOfDay(); the zero time means the clock.
	Now time.Time
	// SingleAs makes "as" on several items an error, as the language says. Search parameters and
	// constraints of FHIR count on it to filter.
	SingleAs bool
	// Strict refuses besides what a check against the definitions refuses: paths that begin with
	// another type than that of the input, or that name no element.
	Strict bool
	// MaxSteps bounds the work of one evaluation; 0 means DefaultMaxSteps.
	MaxSteps int
}

// DefaultMaxSteps is the number of items that one evaluation may touch: about half a second.
const DefaultMaxSteps = 4_000_000

const (
	maxTextLength = 4 << 20 // of a computed string
	maxCallDepth  = 400
	maxFree       = 32
	maxKept       = 1024 // capacity of a slice worth keeping
)

// scope is what $this, $index and $total mean, and the variables defined so far.
type scope struct {
	this  []Item
	index int
	total []Item
	vars  *variable
}

// variable is one that defineVariable() made; the list is never changed, only extended.
type variable struct {
	name  string
	items []Item
	next  *variable
}

// evaluator is one evaluation in progress. It fails once and then lets everything run out, so
// that the nodes need not hand errors around.
type evaluator struct {
	env   *Env
	input []Item
	left  int // steps
	depth int
	err   error
	now   time.Time
	free  [][]Item
	// scopes are lent like slices; root is the outermost one.
	scopes []*scope
	root   scope
	memo   map[*memo][]Item
}

func (ev *evaluator) fail(code fhir.IssueType, format string, args ...any) {
	if ev.err == nil {
		ev.err = fhir.Errorf(code, format, args...)
	}
}

// step counts n items of work; false means that the evaluation is over.
func (ev *evaluator) step(n int) bool {
	ev.left -= n
	if ev.left < 0 {
		ev.fail(fhir.TooCostly, "The FHIRPath expression takes too many steps.")
	}
	return ev.err == nil
}

// get lends an empty slice, put takes it back.
func (ev *evaluator) get() []Item {
	if n := len(ev.free); n > 0 {
		s := ev.free[n-1]
		ev.free = ev.free[:n-1]
		return s[:0]
	}
	return make([]Item, 0, 8)
}

// put takes a slice back. It is cleared as far as it was used: to clear all that is kept after
// each evaluation would make small ones pay for a large one before.
func (ev *evaluator) put(s []Item) {
	clear(s)
	if cap(s) > 0 && cap(s) <= maxKept && len(ev.free) < maxFree {
		ev.free = append(ev.free, s)
	}
}

// enter lends a copy of a scope, leave takes it back.
func (ev *evaluator) enter(sc *scope) *scope {
	n := len(ev.scopes)
	if n == 0 {
		inner := *sc
		return &inner
	}
	inner := ev.scopes[n-1]
	ev.scopes = ev.scopes[:n-1]
	*inner = *sc
	return inner
}

func (ev *evaluator) leave(sc *scope) {
	*sc = scope{}
	if len(ev.scopes) < maxFree {
		ev.scopes = append(ev.scopes, sc)
	}
}

// clock returns the one time of this evaluation.
func (ev *evaluator) clock() time.Time {
	if ev.now.IsZero() {
		if ev.now = ev.env.Now; ev.now.IsZero() {
			ev.now = time.Now()
		}
	}
	return ev.now
}

// one evaluates x to a single item. ok is false for none; several are an error.
func (ev *evaluator) one(x expr, sc *scope) (it Item, ok bool) {
	buf := x.eval(ev, sc, ev.get())
	if len(buf) > 0 {
		it, ok = ev.single(buf)
	}
	ev.put(buf)
	return it, ok
}

// single returns the only item of items. ok is false for none; several are an error.
func (ev *evaluator) single(items []Item) (it Item, ok bool) {
	switch {
	case ev.err != nil || len(items) == 0:
		return Item{}, false
	case len(items) > 1:
		ev.fail(fhir.Processing, "A single item is expected, but there are %d.", len(items))
		return Item{}, false
	}
	return items[0], true
}

// truth is singleton evaluation to a Boolean: what is no Boolean but there counts as true.
func (ev *evaluator) truth(items []Item) (value, ok bool) {
	it, ok := ev.single(items)
	if !ok {
		return false, false
	}
	if it.Kind == Node && it.JSON == nil && it.primitive() {
		return false, false
	}
	if v, is := it.Value(); is && v.Kind == Boolean {
		return v.Bool, true
	}
	return true, true
}

// test evaluates x to a Boolean.
func (ev *evaluator) test(x expr, sc *scope) (value, ok bool) {
	buf := x.eval(ev, sc, ev.get())
	value, ok = ev.truth(buf)
	ev.put(buf)
	return value, ok
}

// text returns the string that a single item is. ok is false when there is none; another type is
// an error.
func (ev *evaluator) text(items []Item, what string) (string, bool) {
	it, ok := ev.single(items)
	if !ok {
		return "", false
	}
	v, is := it.Value()
	if !is {
		if it.Kind == Node && it.JSON == nil {
			return "", false
		}
		ev.fail(fhir.Processing, "%s needs a string, not %s.", what, it.TypeName())
		return "", false
	}
	if v.Kind == String {
		return v.Text, true
	}
	if it.Kind == Node && it.JSON != nil && it.JSON.Kind == fhir.String {
		return it.JSON.Text(), true // a date or time as it is written
	}
	ev.fail(fhir.Processing, "%s needs a string, not %s.", what, it.TypeName())
	return "", false
}

// lambda evaluates x for each item in turn, with $this and $index set, until visit says stop.
func (ev *evaluator) lambda(x expr, sc *scope, in []Item, visit func(i int, result []Item) bool) {
	if len(in) == 0 {
		return
	}
	inner := ev.enter(sc)
	defer ev.leave(inner)
	for i := range in {
		if !ev.step(1) {
			return
		}
		inner.this, inner.index, inner.vars = in[i:i+1], i, sc.vars
		buf := x.eval(ev, inner, ev.get())
		more := ev.err == nil && visit(i, buf)
		ev.put(buf)
		if !more {
			return
		}
	}
}
