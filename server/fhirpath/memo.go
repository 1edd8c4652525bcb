package fhirpath

// memo is a part of a criterion that depends on nothing but the environment, such as
// %resource.descendants() in dom-3. It is evaluated once, not once for each item.
type memo struct{ inner expr }

func (m *memo) eval(ev *evaluator, sc *scope, dst []Item) []Item {
	items, ok := ev.memo[m]
	if !ok {
		items = m.inner.eval(ev, sc, nil)
		if ev.memo == nil {
			ev.memo = map[*memo][]Item{}
		}
		ev.memo[m] = items
	}
	ev.step(len(items))
	return append(dst, items...)
}

// remember wraps what is worth it: a constant part with a function call, inside an argument.
func (c *compiler) remember(x expr) expr {
	if c.inArgument == 0 || !constant(x) {
		return x
	}
	switch x.(type) {
	case *call, *union:
		return &memo{x}
	default:
		return x
	}
}

// constant tells whether x gives the same result wherever it stands in an evaluation.
func constant(x expr) bool {
	switch x := x.(type) {
	case *literal, empty, *memo:
		return true
	case *envVariable:
		return x.name == "resource" || x.name == "rootResource" || x.name == "context"
	case *path:
		return x.head != nil && constant(x.head)
	case *typeTest:
		return constant(x.operand)
	case *call:
		return x.name != "defineVariable" && x.name != "trace" && x.operand != nil && constant(x.operand) && allConstant(x.args)
	case *union:
		return allConstant(x.parts)
	default:
		return false
	}
}

func allConstant(list []expr) bool {
	for _, x := range list {
		if !constant(x) {
			return false
		}
	}
	return true
}

// unwrapped undoes remember, so that a chain of unions stays one node.
func unwrapped(x expr) expr {
	if m, ok := x.(*memo); ok {
		return m.inner
	}
	return x
}
