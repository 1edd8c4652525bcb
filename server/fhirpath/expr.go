package fhirpath

import (
	"sync"
	"sync/atomic"

	"bulkhead/server/fhir"
)

// Expr is a compiled expression. It is read-only and may be shared.
type Expr struct {
	source string
	root   expr
}

// expr is a node of a compiled expression: it appends what it yields to dst.
type expr interface {
	eval(ev *evaluator, sc *scope, dst []Item) []Item
}

// Compile reads an expression. The error is a *fhir.Error of type invalid that names the place.
func Compile(source string) (*Expr, error) {
	tree, err := parse(source)
	if err != nil {
		return nil, err
	}
	c := compiler{}
	root := c.compile(tree)
	if c.err != nil {
		return nil, c.err
	}
	return &Expr{source: source, root: root}, nil
}

// maxCached bounds the expressions remembered: projects bring their own.
const maxCached = 8192

var (
	cache  sync.Map // source -> *Expr
	cached atomic.Int64
)

// Cached is Compile that remembers. Once the memory is full, further expressions are compiled
// each time.
func Cached(source string) (*Expr, error) {
	if hit, ok := cache.Load(source); ok {
		return hit.(*Expr), nil
	}
	x, err := Compile(source)
	if err == nil && cached.Load() < maxCached {
		if _, loaded := cache.LoadOrStore(source, x); !loaded {
			cached.Add(1)
		}
	}
	return x, err
}

// String returns the expression as it was written.
func (x *Expr) String() string { return x.source }

// Eval evaluates the expression on a resource.
//
// The error is a *fhir.Error: processing when the expression does not fit the data (several items
// where one is expected), too-costly when a bound was reached.
func (x *Expr) Eval(env *Env, resource *fhir.Value) ([]Item, error) {
	root := Root(env.Set, resource)
	return x.Append(nil, env, &root)
}

// Append evaluates the expression on an item and appends the result to dst.
func (x *Expr) Append(dst []Item, env *Env, input *Item) ([]Item, error) {
	ev := evaluators.Get().(*evaluator)
	out := ev.run(x, env, input, dst)
	err := ev.err
	ev.close()
	if err != nil {
		return dst, err
	}
	return out, nil
}

// Test evaluates a constraint on an item: known is false when the result is empty, which is no
// violation. What is no Boolean counts as true.
func (x *Expr) Test(env *Env, input *Item) (holds, known bool, err error) {
	ev := evaluators.Get().(*evaluator)
	buf := ev.run(x, env, input, ev.get())
	holds, known = ev.truth(buf)
	err = ev.err
	ev.put(buf)
	ev.close()
	return holds, known, err
}

var evaluators = sync.Pool{New: func() any { return &evaluator{input: make([]Item, 1)} }}

func (ev *evaluator) run(x *Expr, env *Env, input *Item, dst []Item) []Item {
	ev.env = env
	ev.input[0] = *input
	if ev.left = env.MaxSteps; ev.left == 0 {
		ev.left = DefaultMaxSteps
	}
	ev.root = scope{this: ev.input[:1:1], index: -1}
	return x.root.eval(ev, &ev.root, dst)
}

// close gives the evaluator back without anything of the caller's.
func (ev *evaluator) close() {
	*ev = evaluator{input: ev.input, free: ev.free, scopes: ev.scopes}
	ev.input[0] = Item{}
	evaluators.Put(ev)
}
