package fhirpath

import (
	"strings"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
)

// path is a chain of member names after an operand, or after $this when head is nil.
type path struct {
	head  expr
	names []string
	typed bool // the first name begins the expression with a capital: it may be the type of $this
}

func (p *path) eval(ev *evaluator, sc *scope, dst []Item) []Item {
	if p.head == nil {
		for i := range sc.this {
			if p.typed {
				dst = ev.walkTyped(&sc.this[i], p.names, dst)
			} else {
				dst = ev.walk(&sc.this[i], p.names, dst)
			}
		}
		return dst
	}
	buf := p.head.eval(ev, sc, ev.get())
	for i := range buf {
		dst = ev.walk(&buf[i], p.names, dst)
	}
	ev.put(buf)
	return dst
}

// walkTyped reads the first name as the type of it, as "Patient" in Patient.name. Another type
// yields nothing: expressions of search parameters are unions over types.
func (ev *evaluator) walkTyped(it *Item, names []string, dst []Item) []Item {
	if it.Type != nil {
		for t := it.Type; t != nil; t = t.Base {
			if t.Name == names[0] {
				return ev.walk(it, names[1:], dst)
			}
		}
	} else if it.Kind == Node && it.JSON.Get("resourceType").Text() == names[0] {
		return ev.walk(it, names[1:], dst)
	}
	if ev.env.Strict && it.Type != nil && ev.env.Set != nil && ev.env.Set.Type(names[0]) != nil {
		ev.fail(fhir.Processing, "The expression is about %s, not about %s.", names[0], it.Type.Name)
		return dst
	}
	return ev.walk(it, names, dst)
}

// walk appends what the names lead to from it, depth first.
func (ev *evaluator) walk(it *Item, names []string, dst []Item) []Item {
	if !ev.step(1) {
		return dst
	}
	if len(names) == 0 {
		return append(dst, *it)
	}
	if it.Kind != Node {
		if child, ok := computedMember(it, names[0]); ok {
			return ev.walk(&child, names[1:], dst)
		}
		return dst
	}
	object := it.JSON
	if object == nil || object.Kind != fhir.Object {
		object = it.Extra // of a primitive
	}
	if object == nil || object.Kind != fhir.Object {
		return dst
	}
	block := it.block()
	if block == nil {
		return ev.walkUntyped(object, names, dst)
	}
	element := block.Element(names[0])
	switch {
	case element == nil:
		if field := block.Field(names[0]); field != nil && !ev.env.Strict {
			return ev.walkField(object, field, names[1:], dst)
		}
		if ev.env.Strict && names[0] != "resourceType" {
			ev.fail(fhir.Processing, "%s has no element %s.", block.Path, names[0])
		}
		return dst
	case element.Choice:
		return ev.walkChoice(object, block, element, names[1:], dst)
	default:
		return ev.walkField(object, element.Fields[0], names[1:], dst)
	}
}

// walkField follows one JSON member and its "_" sibling.
func (ev *evaluator) walkField(object *fhir.Value, field *definition.Field, rest []string, dst []Item) []Item {
	value, extra := member(object, field.Name, field.Type.Kind == definition.Primitive)
	return ev.each(field, value, extra, rest, dst)
}

// member finds a member and, for a primitive, its "_" sibling.
func member(object *fhir.Value, name string, primitive bool) (value, extra *fhir.Value) {
	for i := range object.Members {
		m := &object.Members[i]
		switch len(m.Name) {
		case len(name):
			if m.Name == name {
				value = &m.Value
				if !primitive {
					return value, nil
				}
			}
		case len(name) + 1:
			if primitive && m.Name[0] == '_' && m.Name[1:] == name {
				extra = &m.Value
			}
		}
	}
	return value, extra
}

// walkChoice follows whichever member a choice element appears as.
func (ev *evaluator) walkChoice(object *fhir.Value, block *definition.Block, element *definition.Element, rest []string, dst []Item) []Item {
	for i := range object.Members {
		name := object.Members[i].Name
		if name != "" && name[0] == '_' {
			name = name[1:]
		}
		if len(name) <= len(element.Name) || !strings.HasPrefix(name, element.Name) {
			continue
		}
		field := block.Field(name)
		if field == nil || field.Element != element {
			continue
		}
		value, extra := member(object, name, field.Type.Kind == definition.Primitive)
		if object.Members[i].Name[0] == '_' && value != nil {
			continue // seen at the member itself
		}
		dst = ev.each(field, value, extra, rest, dst)
	}
	return dst
}

// each follows the rest of a path from a member: from each item of an array.
func (ev *evaluator) each(field *definition.Field, value, extra *fhir.Value, rest []string, dst []Item) []Item {
	n := 1
	isArray := value != nil && value.Kind == fhir.Array
	extraArray := extra != nil && extra.Kind == fhir.Array
	if isArray || extraArray {
		n = 0
		if isArray {
			n = len(value.Items)
		}
		if extraArray {
			n = max(n, len(extra.Items))
		}
	}
	for i := range n {
		child := Item{Field: field, JSON: at(value, i), Extra: at(extra, i)}
		if child.JSON == nil && child.Extra == nil {
			continue
		}
		if field != nil {
			child.Type = ev.typeOf(field, child.JSON)
		} else {
			child.Type = Root(ev.env.Set, child.JSON).Type
		}
		dst = ev.walk(&child, rest, dst)
	}
	return dst
}

// at returns the i-th of what may be an array; nil for null.
func at(v *fhir.Value, i int) *fhir.Value {
	if v == nil {
		return nil
	}
	if v.Kind == fhir.Array {
		if i >= len(v.Items) {
			return nil
		}
		v = &v.Items[i]
	} else if i > 0 {
		return nil
	}
	if v.Kind == fhir.Null {
		return nil
	}
	return v
}

// typeOf returns the type of a value at a field: for a resource the one that it names.
func (ev *evaluator) typeOf(field *definition.Field, v *fhir.Value) *definition.Type {
	if field.Type.Kind != definition.Resource || ev.env.Set == nil {
		return field.Type
	}
	if t := ev.env.Set.ResourceType(v.Get("resourceType").Text()); t != nil {
		return t
	}
	return field.Type
}

// walkUntyped follows JSON names. Extensions are typed all the same, they look alike everywhere.
func (ev *evaluator) walkUntyped(object *fhir.Value, names []string, dst []Item) []Item {
	value, extra := member(object, names[0], true)
	return ev.each(ev.commonField(names[0]), value, extra, names[1:], dst)
}

// commonField is the definition of a member that has the same meaning in every object.
func (ev *evaluator) commonField(name string) *definition.Field {
	if name != "extension" || ev.env.Set == nil {
		return nil
	}
	return ev.env.Set.Type("Element").Field(name)
}

// computedMember is a member of a computed item: the parts of a Quantity and of type().
func computedMember(it *Item, name string) (Item, bool) {
	switch {
	case it.Kind == Quantity && name == "value":
		return decimalItem(it.sys.Dec), true
	case it.Kind == Quantity && name == "unit":
		return stringItem(it.sys.Unit), true
	case it.Kind == TypeInfo && name == "name":
		return stringItem(it.sys.Text), true
	case it.Kind == TypeInfo && name == "namespace":
		return stringItem(it.sys.Unit), true
	default:
		return Item{}, false
	}
}

// children appends the children of it in the order in which they were sent.
func (ev *evaluator) children(it *Item, dst []Item) []Item {
	if it.Kind != Node {
		return dst
	}
	object := it.JSON
	if object == nil || object.Kind != fhir.Object {
		object = it.Extra
	}
	if object == nil || object.Kind != fhir.Object {
		return dst
	}
	block := it.block()
	for i := range object.Members {
		m := &object.Members[i]
		if m.Name == "resourceType" || m.Name == "" {
			continue
		}
		name, sibling := strings.CutPrefix(m.Name, "_")
		value, extra := member(object, name, true)
		if sibling && value != nil {
			continue // comes with the member itself
		}
		field := ev.commonField(name)
		if block != nil {
			if field = block.Field(name); field == nil {
				continue
			}
		}
		dst = ev.each(field, value, extra, nil, dst)
	}
	return dst
}
