package fhirpath

import (
	"strings"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
)

// typeSpec is the name of a type as an expression gives it.
type typeSpec struct {
	namespace string // "", FHIR or System
	name      string
}

func parseTypeSpec(name string) typeSpec {
	if ns, rest, ok := strings.Cut(name, "."); ok {
		return typeSpec{ns, rest}
	}
	return typeSpec{"", name}
}

func (t typeSpec) String() string {
	if t.namespace == "" {
		return t.name
	}
	return t.namespace + "." + t.name
}

// systemKinds maps the names of the system types.
var systemKinds = func() map[string]Kind {
	m := map[string]Kind{}
	for k := Boolean; k <= Quantity; k++ {
		m[k.String()] = k
	}
	return m
}()

// known tells whether there is such a type. Nothing of FHIR is known without definitions.
func (t typeSpec) known(set *definition.Set) bool {
	switch t.namespace {
	case "System":
		return true
	case "", "FHIR":
		if _, system := systemKinds[t.name]; system && t.namespace == "" {
			return true
		}
		return set != nil && set.Type(t.name) != nil
	default:
		return false
	}
}

// matches tells whether it is of the type or of one derived from it.
func (t typeSpec) matches(it *Item) bool {
	if it.Kind != Node {
		return t.namespace != "FHIR" && t.name == it.Kind.String()
	}
	if it.Type == nil {
		return t.matchesUntyped(it)
	}
	if t.namespace == "System" {
		// Element.id is of type System.String in the definitions.
		return t.name == "String" && it.Field != nil && it.Field.Element.Path == "Element.id"
	}
	for base := it.Type; base != nil; base = base.Base {
		if base.Name == t.name {
			return true
		}
	}
	return false
}

func (t typeSpec) matchesUntyped(it *Item) bool {
	if k := jsonKind(it.JSON); k != Node {
		return t.namespace != "FHIR" && t.name == k.String()
	}
	name := it.JSON.Get("resourceType").Text()
	return t.namespace != "System" && name != "" && (t.name == name || t.name == "Resource")
}

// selects is matches() for ofType() and as: a FHIR primitive is also selected by the system type
// that it converts to, if the expression spells the namespace out.
func (t typeSpec) selects(it *Item) bool {
	if t.matches(it) {
		return true
	}
	return t.namespace == "System" && it.Kind == Node && it.primitive() && it.JSON != nil && systemKinds[t.name] == it.systemKind()
}

// check fails for a type that does not exist.
func (ev *evaluator) check(t typeSpec) bool {
	if !t.known(ev.env.Set) {
		ev.fail(fhir.Processing, "There is no type %s.", t)
		return false
	}
	return true
}

// typeTest is the operator is or as.
type typeTest struct {
	operand expr
	typ     typeSpec
	as      bool
}

func (x *typeTest) eval(ev *evaluator, sc *scope, dst []Item) []Item {
	if !ev.check(x.typ) {
		return dst
	}
	buf := x.operand.eval(ev, sc, ev.get())
	if x.as {
		dst = ev.as(x.typ, buf, dst)
	} else {
		dst = ev.is(x.typ, buf, dst)
	}
	ev.put(buf)
	return dst
}

func (ev *evaluator) is(t typeSpec, in, dst []Item) []Item {
	it, ok := ev.single(in)
	if !ok {
		return dst
	}
	return append(dst, boolItem(t.matches(&it)))
}

// as selects by type. On several items it filters, unless the environment is strict: the search
// parameters of FHIR count on that.
func (ev *evaluator) as(t typeSpec, in, dst []Item) []Item {
	if ev.env.SingleAs && len(in) > 1 {
		ev.single(in)
		return dst
	}
	for i := range in {
		if t.selects(&in[i]) {
			dst = append(dst, in[i])
		}
	}
	return dst
}

func fnIs(c *call, ev *evaluator, _ *scope, in, dst []Item) []Item {
	if !ev.check(c.typ) {
		return dst
	}
	return ev.is(c.typ, in, dst)
}

func fnAs(c *call, ev *evaluator, _ *scope, in, dst []Item) []Item {
	if !ev.check(c.typ) {
		return dst
	}
	return ev.as(c.typ, in, dst)
}

func fnOfType(c *call, ev *evaluator, _ *scope, in, dst []Item) []Item {
	if !ev.check(c.typ) {
		return dst
	}
	for i := range in {
		if c.typ.selects(&in[i]) {
			dst = append(dst, in[i])
		}
	}
	return dst
}

func fnType(_ *call, ev *evaluator, _ *scope, in, dst []Item) []Item {
	for i := range in {
		if !ev.step(1) {
			return dst
		}
		dst = append(dst, valueItem(Value{Kind: TypeInfo, Text: in[i].TypeName(), Unit: in[i].Namespace()}))
	}
	return dst
}
