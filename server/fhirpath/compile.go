package fhirpath

import (
	"bulkhead/server/fhir"
)

// compiler turns the syntax tree into nodes that evaluate themselves.
type compiler struct {
	err        error
	inArgument int // depth of function arguments
}

func (c *compiler) fail(n *syntax, reason string) expr {
	if c.err == nil {
		c.err = syntaxError(n.pos, reason)
	}
	return empty{}
}

func (c *compiler) compile(n *syntax) expr {
	switch n.kind {
	case nLiteral:
		return &literal{valueItem(n.value)}
	case nEmpty:
		return empty{}
	case nScope:
		return scopeVariable(n.name)
	case nVariable:
		return &envVariable{n.name}
	case nMember:
		return c.member(n)
	case nFunction:
		return c.function(n)
	case nIndex:
		return &index{c.compile(n.operand), c.compile(n.args[0])}
	case nUnary:
		return c.unary(n)
	case nType:
		return &typeTest{operand: c.compile(n.operand), typ: parseTypeSpec(n.name), as: n.value.Text == "as"}
	default:
		return c.binary(n)
	}
}

func (c *compiler) compileAll(list []*syntax) []expr {
	out := make([]expr, len(list))
	for i, n := range list {
		out[i] = c.compile(n)
	}
	return out
}

// member joins chains of names into one path.
func (c *compiler) member(n *syntax) expr {
	if n.operand == nil {
		first := n.name[:min(1, len(n.name))]
		return &path{names: []string{n.name}, typed: first >= "A" && first <= "Z"}
	}
	operand := c.compile(n.operand)
	if p, ok := operand.(*path); ok {
		return &path{head: p.head, names: append(p.names[:len(p.names):len(p.names)], n.name), typed: p.typed}
	}
	if s, ok := operand.(scopeVariable); ok && s == "this" {
		return &path{names: []string{n.name}}
	}
	return &path{head: operand, names: []string{n.name}}
}

func (c *compiler) unary(n *syntax) expr {
	operand := c.compile(n.operand)
	if n.name == "+" {
		return &plus{operand}
	}
	return &negate{operand}
}

func (c *compiler) binary(n *syntax) expr {
	left, right := c.compile(n.args[0]), c.compile(n.args[1])
	switch n.name {
	case "and", "or", "xor", "implies":
		return &logic{n.name, left, right}
	case "|":
		return c.remember(newUnion(unwrapped(left), right))
	case "=", "!=":
		return &equality{left, right, n.name == "!="}
	case "~", "!~":
		return &equivalence{left, right, n.name == "!~"}
	case "<", "<=", ">", ">=":
		return &comparison{n.name, left, right}
	case "in":
		return &membership{item: left, list: right}
	case "contains":
		return &membership{item: right, list: left}
	case "&":
		return &concat{left, right}
	case "+", "-", "*", "/", "div", "mod":
		return &arithmetic{n.name, left, right}
	default:
		return c.fail(n, "an unknown operator")
	}
}

func (c *compiler) function(n *syntax) expr {
	if n.operand != nil && n.operand.kind == nVariable && n.operand.name == "factory" {
		return c.factory(n)
	}
	f, ok := functions[n.name]
	if !ok {
		return c.fail(n, "the function "+n.name+"() is not known")
	}
	if len(n.args) < f.min || len(n.args) > f.max {
		return c.fail(n, n.name+"() has another number of arguments")
	}
	x := &call{name: n.name, f: f.run}
	if n.operand != nil {
		x.operand = c.compile(n.operand)
	}
	if f.takesType {
		name := n.args[0].typeArgument()
		if name == "" {
			return c.fail(n.args[0], "the name of a type is expected")
		}
		x.typ = parseTypeSpec(name)
		return c.remember(x)
	}
	c.inArgument++
	x.args = c.compileAll(n.args)
	c.inArgument--
	if n.name == "sort" {
		x.desc = make([]bool, len(n.args))
		for i, a := range n.args {
			x.desc[i] = a.desc
			if a.kind == nUnary && a.name == "-" { // also for what has no negative, such as strings
				x.desc[i] = !a.desc
				x.args[i] = c.compile(a.operand)
			}
		}
	}
	c.literalPattern(x)
	return c.remember(x)
}

// literalPattern compiles the regular expression of matches() and its like when it is a literal.
func (c *compiler) literalPattern(x *call) {
	switch x.name {
	case "matches", "matchesFull", "replaceMatches":
		if lit, ok := x.args[0].(*literal); ok && lit.item.Kind == String {
			if re, err := compilePattern(lit.item.sys.Text, x.name == "matchesFull"); err == nil {
				x.pattern = re
			}
		}
	}
}

type empty struct{}

func (empty) eval(_ *evaluator, _ *scope, dst []Item) []Item { return dst }

type literal struct{ item Item }

func (l *literal) eval(_ *evaluator, _ *scope, dst []Item) []Item { return append(dst, l.item) }

// scopeVariable is $this, $index or $total.
type scopeVariable string

func (s scopeVariable) eval(ev *evaluator, sc *scope, dst []Item) []Item {
	switch s {
	case "this":
		return append(dst, sc.this...)
	case "index":
		if sc.index < 0 {
			return dst // not inside a criterion
		}
		return append(dst, intItem(int64(sc.index)))
	default:
		ev.step(len(sc.total))
		return append(dst, sc.total...)
	}
}

// envVariable is %name.
type envVariable struct{ name string }

const (
	extensionURL = "http://hl7.org/fhir/StructureDefinition/"
	valueSetURL  = "http://hl7.org/fhir/ValueSet/"
)

func (v *envVariable) eval(ev *evaluator, sc *scope, dst []Item) []Item {
	for d := sc.vars; d != nil; d = d.next {
		if d.name == v.name {
			ev.step(len(d.items))
			return append(dst, d.items...)
		}
	}
	if items, ok := ev.env.Vars[v.name]; ok {
		ev.step(len(items))
		return append(dst, items...)
	}
	switch v.name {
	case "context":
		return append(dst, ev.orInput(ev.env.Context))
	case "resource":
		return append(dst, ev.orInput(ev.env.Resource))
	case "rootResource":
		if ev.env.RootResource != nil {
			return append(dst, *ev.env.RootResource)
		}
		return append(dst, ev.orInput(ev.env.Resource))
	case "ucum":
		return append(dst, stringItem(ucumSystem))
	case "sct":
		return append(dst, stringItem("http://snomed.info/sct"))
	case "loinc":
		return append(dst, stringItem("http://loinc.org"))
	}
	if len(v.name) > 4 && v.name[:4] == "ext-" {
		return append(dst, stringItem(extensionURL+v.name[4:]))
	}
	if len(v.name) > 3 && v.name[:3] == "vs-" {
		return append(dst, stringItem(valueSetURL+v.name[3:]))
	}
	ev.fail(fhir.Processing, "There is no variable %%%s.", v.name)
	return dst
}

func (ev *evaluator) orInput(it *Item) Item {
	if it != nil {
		return *it
	}
	return ev.input[0]
}

// index is operand[n].
type index struct{ operand, n expr }

func (x *index) eval(ev *evaluator, sc *scope, dst []Item) []Item {
	n, ok := ev.integer(x.n, sc, "An index")
	if !ok {
		return dst
	}
	buf := x.operand.eval(ev, sc, ev.get())
	if n >= 0 && n < int64(len(buf)) {
		dst = append(dst, buf[n])
	}
	ev.put(buf)
	return dst
}

// integer evaluates x to an integer. ok is false when there is none; another type is an error.
func (ev *evaluator) integer(x expr, sc *scope, what string) (int64, bool) {
	it, ok := ev.one(x, sc)
	if !ok {
		return 0, false
	}
	v, is := it.Value()
	if is && (v.Kind == Integer || v.Kind == Long) {
		return v.Int, true
	}
	if is && v.Kind == Decimal {
		if n, whole := toInt(v.Dec); whole {
			return n, true
		}
	}
	if is || it.JSON != nil {
		ev.fail(fhir.Processing, "%s needs an integer, not %s.", what, it.TypeName())
	}
	return 0, false
}
