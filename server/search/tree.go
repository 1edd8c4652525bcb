package search

import (
	"strings"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
)

// node is a place in the JSON of one resource type. All paths of the type's parameters share one
// tree, so that a resource is walked once however many parameters there are.
type node struct {
	edges  map[string]*node // by JSON member
	cases  []*filtered
	leaves []int // parameters, as indexes into the plan, that take the value here

	typ   *definition.Type // type of the value; for a backbone element BackboneElement
	block *definition.Block
	field *definition.Field
}

// filtered is a node that is entered only by values that meet a condition.
type filtered struct {
	cond step
	node *node
}

func (n *node) edge(f *definition.Field) *node {
	if n.edges == nil {
		n.edges = map[string]*node{}
	}
	next := n.edges[f.Name]
	if next == nil {
		next = &node{typ: f.Type, block: f.Block, field: f}
		n.edges[f.Name] = next
	}
	return next
}

func (n *node) filter(cond step) *node {
	for _, c := range n.cases {
		if c.cond == cond {
			return c.node
		}
	}
	next := &node{typ: n.typ, block: n.block, field: n.field}
	n.cases = append(n.cases, &filtered{cond: cond, node: next})
	return next
}

// follow returns the nodes that a path leads to from n, adding them where they are missing. An
// unknown member leads nowhere, as in FHIRPath.
func (n *node) follow(root *node, p path) []*node {
	at := []*node{n}
	for _, s := range p {
		var next []*node
		for _, from := range at {
			switch s.kind {
			case stepName:
				element := from.block.Element(s.name)
				if element == nil {
					continue
				}
				for _, f := range element.Fields {
					next = append(next, from.edge(f))
				}
			case stepAs:
				if is(from.typ, s.arg) {
					next = append(next, from)
				}
			case stepResource:
				next = append(next, root)
			default:
				next = append(next, from.filter(s))
			}
		}
		at = next
	}
	return at
}

// is tells whether t is the named type or derived from it; "DateTime" means dateTime.
func is(t *definition.Type, name string) bool {
	for ; t != nil; t = t.Base {
		if strings.EqualFold(t.Name, name) {
			return true
		}
	}
	return false
}

func (n *node) addLeaf(param int) {
	for _, have := range n.leaves {
		if have == param {
			return
		}
	}
	n.leaves = append(n.leaves, param)
}

// visitor receives the values that the tree's leaves select. v is nil for a primitive that has
// no value; shadow is the object beside a primitive ("_birthDate"), if the walker looks for it.
type visitor interface {
	take(n *node, v, shadow *fhir.Value)
	enter(member string, index int) // index is -1 outside an array
	leave()
}

// walker carries what stays the same on the way through a resource.
type walker struct {
	resource *fhir.Value // for references to contained resources
	shadows  bool        // also visit primitives that have extensions instead of a value
	to       visitor
}

// members visits what n selects among the members of v. Arrays are entered item by item.
func (w *walker) members(n *node, v *fhir.Value) {
	for i := range v.Members {
		m := &v.Members[i]
		next := n.edges[m.Name]
		if next == nil {
			if w.shadows && strings.HasPrefix(m.Name, "_") {
				w.valueless(n.edges[m.Name[1:]], m, v)
			}
			continue
		}
		if m.Value.Kind == fhir.Array {
			for j := range m.Value.Items {
				w.to.enter(m.Name, j)
				w.visit(next, &m.Value.Items[j], w.shadow(v, m.Name, j), j)
				w.to.leave()
			}
			continue
		}
		w.to.enter(m.Name, -1)
		w.visit(next, &m.Value, w.shadow(v, m.Name, -1), 0)
		w.to.leave()
	}
}

// shadow returns the object beside a primitive, or nil.
func (w *walker) shadow(parent *fhir.Value, member string, index int) *fhir.Value {
	if !w.shadows {
		return nil
	}
	s := parent.Get("_" + member)
	if index >= 0 && s != nil {
		if index >= len(s.Items) || s.Items[index].Kind == fhir.Null {
			return nil
		}
		return &s.Items[index]
	}
	return s
}

// valueless visits the primitives of a member "_name" that have no value in "name".
func (w *walker) valueless(next *node, m *fhir.Member, parent *fhir.Value) {
	if next == nil {
		return
	}
	plain := parent.Get(m.Name[1:])
	if m.Value.Kind == fhir.Object && plain == nil {
		w.to.enter(m.Name[1:], -1)
		w.visit(next, nil, &m.Value, 0)
		w.to.leave()
	}
	for j := range m.Value.Items {
		missing := plain == nil || j >= len(plain.Items) || plain.Items[j].Kind == fhir.Null
		if m.Value.Items[j].Kind == fhir.Object && missing {
			w.to.enter(m.Name[1:], j)
			w.visit(next, nil, &m.Value.Items[j], j)
			w.to.leave()
		}
	}
}

func (w *walker) visit(n *node, v, shadow *fhir.Value, index int) {
	if v != nil && v.Kind == fhir.Null {
		return
	}
	if len(n.leaves) > 0 {
		w.to.take(n, v, shadow)
	}
	for _, c := range n.cases {
		if v != nil && w.holds(c.cond, v, index) {
			w.visit(c.node, v, shadow, index)
		}
	}
	if v == nil {
		return
	}
	if n.edges != nil && v.Kind == fhir.Object {
		w.members(n, v)
	}
}

func (w *walker) holds(s step, v *fhir.Value, index int) bool {
	switch s.kind {
	case stepIndex:
		return index == s.n
	case stepEqual:
		return v.Get(s.name).Text() == s.arg
	case stepResolves:
		return w.targetType(v) == s.arg
	case stepExtension:
		list := v.Get("extension")
		if list == nil {
			return false
		}
		for i := range list.Items {
			if list.Items[i].Get("url").Text() == s.arg {
				return true
			}
		}
	}
	return false
}

// targetType tells the type of the resource that a Reference (or canonical) names, without
// looking beyond this resource: by its URL, by the contained resource, else by Reference.type.
func (w *walker) targetType(v *fhir.Value) string {
	text := v.Text()
	if v.Kind == fhir.Object {
		text = v.Get("reference").Text()
	}
	if id, ok := strings.CutPrefix(text, "#"); ok {
		return w.contained(id)
	}
	if name, _, ok := splitReference(text); ok {
		return name
	}
	if v.Kind == fhir.Object {
		return v.Get("type").Text()
	}
	return ""
}

func (w *walker) contained(id string) string {
	list := w.resource.Get("contained")
	if list == nil {
		return ""
	}
	for i := range list.Items {
		if list.Items[i].Get("id").Text() == id {
			return list.Items[i].Get("resourceType").Text()
		}
	}
	return ""
}
