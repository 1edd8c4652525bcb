package search

import (
	"bulkhead/server/definition"
	"bulkhead/server/fhir"
)

// maxTuples bounds the rows that one composite node may yield.
const maxTuples = 256

// partTree extracts one component below a node of the composite, or below the resource.
type partTree struct {
	top      *node
	resource bool
}

// partTrees makes the trees of a component for one node of its composite.
func (p *plan) partTrees(one part, n *node) []partTree {
	var out []partTree
	for _, b := range one.branches {
		top := &node{typ: n.typ, block: n.block}
		resource := len(b) > 0 && b[0].kind == stepResource
		if resource {
			top, b = &node{typ: p.typ, block: p.typ.Block}, b[1:]
		}
		for _, leaf := range top.follow(top, b) {
			leaf.addLeaf(0)
		}
		out = append(out, partTree{top, resource})
	}
	return out
}

// composite adds the tuples of one node: every combination of the values of its components.
func (e *extractor) composite(x *indexed, n *node, v *fhir.Value) {
	slots := x.compound.slots()
	tuples := []Composite{{Param: x.id}}
	for i, one := range x.compound.parts {
		rows := e.component(one, x.compound.trees[n][i], v)
		var next []Composite
		for _, t := range tuples {
			for _, row := range rows {
				next = append(next, t.with(row, slots[i]))
			}
		}
		if tuples = next; len(tuples) > maxTuples {
			tuples = tuples[:maxTuples]
		}
	}
	e.rows.Composites = append(e.rows.Composites, tuples...)
}

// component extracts the values of one component of a composite's node v, each as a tuple that
// has the first slots of its kind filled.
func (e *extractor) component(one part, trees []partTree, v *fhir.Value) []Composite {
	sub := extractor{plan: &plan{set: e.plan.set, typ: e.plan.typ}, base: e.base, offset: e.offset}
	sub.plan.params = []*indexed{{param: one.param}}
	sub.walker = walker{resource: e.walker.resource, to: &sub}
	for _, t := range trees {
		if t.resource {
			sub.walker.visit(t.top, e.walker.resource, nil, 0)
		} else {
			sub.walker.visit(t.top, v, nil, 0)
		}
	}
	return sub.rows.tuples()
}

// tuples lists rows as one-component tuples.
func (r *Rows) tuples() []Composite {
	var out []Composite
	for _, t := range r.Tokens {
		out = append(out, Composite{Code: t.Code, System: t.System})
	}
	for _, t := range r.References {
		out = append(out, Composite{Code: t.TargetID, System: definition.TypeName(t.TargetType)})
	}
	for _, t := range r.URIs {
		out = append(out, Composite{Code: t.Value})
	}
	if len(out) > 0 {
		return out // a token's display is no component of its own
	}
	for _, t := range r.Dates {
		out = append(out, Composite{Lo: epochSeconds(t.Lo), Hi: epochSeconds(t.Hi)})
	}
	for _, t := range r.Numbers {
		out = append(out, Composite{Lo: t.Lo, Hi: t.Hi, Unit: t.Unit})
	}
	for _, t := range r.Strings {
		out = append(out, Composite{Value: t.Value})
	}
	return out
}

// slot is where a component's values stand in a Composite.
type slot uint8

const (
	slotCode slot = iota + 1
	slotCode2
	slotNumber
	slotNumber2
	slotString
	slotString2 // in Code2
	slotNone    // no room: the component cannot be told apart and is not indexed
)

// slots returns the slot of each component, by the types of the components.
func (c *compound) slots() []slot {
	codes, numbers, strings := []slot{slotCode, slotCode2}, []slot{slotNumber, slotNumber2}, []slot{slotString, slotString2}
	pop := func(free *[]slot) slot {
		if len(*free) == 0 {
			return slotNone
		}
		s := (*free)[0]
		*free = (*free)[1:]
		return s
	}
	out := make([]slot, len(c.parts))
	for i, one := range c.parts {
		switch one.param.Type {
		case definition.TokenParam, definition.ReferenceParam, definition.URIParam:
			out[i] = pop(&codes)
		case definition.StringParam:
			out[i] = pop(&strings)
		default:
			out[i] = pop(&numbers)
		}
	}
	return out
}

// with returns t with a component's value in its slot.
func (t Composite) with(row Composite, s slot) Composite {
	switch s {
	case slotCode:
		t.Code, t.System = row.Code, row.System
	case slotCode2:
		t.Code2, t.System2 = row.Code, row.System
	case slotNumber:
		t.Lo, t.Hi = row.Lo, row.Hi
	case slotNumber2:
		t.Lo2, t.Hi2 = row.Lo, row.Hi
	case slotString:
		t.Value = row.Value
	case slotString2:
		t.Code2 = row.Value
	}
	if row.Unit != "" {
		t.Unit = row.Unit
	}
	return t
}
