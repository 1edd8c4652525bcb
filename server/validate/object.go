package validate

import (
	"strings"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
	"bulkhead/server/fhirpath"
)

// object checks the members of a JSON object that stands for a value of type t, whose members
// are those of block (t.Block, or that of a backbone element).
func (w *walker) object(v *fhir.Value, block *definition.Block, t *definition.Type) {
	var seen uint64
	var chosen [4]*definition.Field // choices met so far; no type has more
	choices := 0
	for i := range v.Members {
		if w.full() {
			return
		}
		m := &v.Members[i]
		if m.Name == "resourceType" && t.Kind == definition.Resource {
			continue
		}
		field, sibling := w.lookup(block, m.Name)
		if field == nil {
			w.unknown(block, m.Name)
			continue
		}
		e := field.Element
		bit := uint64(1) << e.Index
		if e.Choice {
			if other := otherChoice(chosen[:choices], field); other != nil {
				w.addAt(m.Name, fhir.Structure, "%s may have one type only, but both %s and %s are given.", e.Path, other.Name, field.Name)
				w.alsoAt(other.Name)
			} else if seen&bit == 0 && choices < len(chosen) {
				chosen[choices] = field
				choices++
			}
		}
		seen |= bit
		switch {
		case sibling:
			w.siblingMember(v, field, m)
		case e.Repeats():
			w.array(v, field, &m.Value)
		default:
			w.single(field, &m.Value)
		}
	}
	if missing := block.Required &^ seen; missing != 0 {
		w.missing(block, missing)
	}
	w.content(v, seen, t)
}

// lookup finds the field of a member; sibling is true for the _name form beside a primitive.
func (w *walker) lookup(block *definition.Block, name string) (field *definition.Field, sibling bool) {
	if field = block.Field(name); field != nil || !strings.HasPrefix(name, "_") {
		return field, false
	}
	field = block.Field(name[1:])
	if field == nil || field.Type.Format == definition.NoFormat {
		return nil, false
	}
	return field, true
}

// otherChoice returns a field met before that gives the same choice another type, or nil.
func otherChoice(chosen []*definition.Field, field *definition.Field) *definition.Field {
	for _, c := range chosen {
		if c.Element == field.Element && c != field {
			return c
		}
	}
	return nil
}

// unknown notes a member that the type does not have; for a choice it says which types there are.
func (w *walker) unknown(block *definition.Block, name string) {
	for _, e := range block.Elements {
		if !e.Choice || !strings.HasPrefix(name, e.Name) {
			continue
		}
		var names []string
		for _, f := range e.Fields {
			names = append(names, f.Name)
		}
		if len(names) > 12 {
			names = append(names[:12], "...")
		}
		w.addAt(name, fhir.Structure, "%s is no member of %s; %s may be %s.",
			quote(name), block.Path, e.Path, strings.Join(names, ", "))
		w.alsoAt(e.Name)
		return
	}
	w.addAt(name, fhir.Structure, "%s is no member of %s.", quote(name), block.Path)
}

func (w *walker) missing(block *definition.Block, mask uint64) {
	for _, e := range block.Elements {
		if mask>>e.Index&1 == 0 {
			continue
		}
		if e.Choice {
			w.addAt(e.Name, fhir.Required, "%s is required: one of its types must be given.", e.Path)
			continue
		}
		w.addAt(e.Name, fhir.Required, "%s is required, but it is missing.", e.Path)
	}
}

// content holds the rules about an object as a whole: ele-1, and those of Extension.
func (w *walker) content(v *fhir.Value, seen uint64, t *definition.Type) {
	if t.Kind == definition.Resource {
		return
	}
	if seen == 0 || seen == 1 && len(v.Members) == 1 && v.Members[0].Name == "id" {
		if len(v.Members) == 0 {
			w.add(fhir.Invariant, "An empty object is not allowed: ele-1 demands a value or children.")
		} else if seen == 1 {
			w.add(fhir.Invariant, "ele-1: besides its id this element has no value and no children.")
		}
		return
	}
	if t == w.extension {
		w.extensionRules(seen)
	}
}

// extensionRules is ext-1: a value or extensions, not both and not neither.
func (w *walker) extensionRules(seen uint64) {
	nested := seen>>w.extensionNested&1 == 1
	value := seen>>w.extensionValue&1 == 1
	switch {
	case nested && value:
		w.add(fhir.Invariant, "ext-1: an extension must have either extensions or value[x], not both.")
	case !nested && !value:
		w.add(fhir.Invariant, "ext-1: an extension must have extensions or value[x].")
	}
}

// array checks a repeating element.
func (w *walker) array(parent *fhir.Value, field *definition.Field, v *fhir.Value) {
	e := field.Element
	if v.Kind != fhir.Array {
		w.addAt(field.Name, fhir.Structure, "%s repeats, so it must be an array of %s, but it is a JSON %s.", e.Path, field.Type.Name, v.Kind)
		return
	}
	if len(v.Items) == 0 {
		w.addAt(field.Name, fhir.Structure, "An empty array is not allowed: leave %s out.", field.Name)
		return
	}
	if e.Max != definition.Unbounded && len(v.Items) > e.Max {
		w.addAt(field.Name, fhir.Structure, "%s may have at most %d values, but there are %d.", e.Path, e.Max, len(v.Items))
	}
	for i := range v.Items {
		item := &v.Items[i]
		w.push(field.Name, i)
		if item.Kind == fhir.Null && field.Type.Format != definition.NoFormat {
			if !siblingAt(parent, field.Name, i) {
				w.add(fhir.Structure, "null is allowed only where _%s has an object at the same index.", field.Name)
			}
		} else {
			w.value(field, item)
		}
		w.pop()
		if w.full() {
			return
		}
	}
}

// siblingAt tells whether the _name array holds an object at an index.
func siblingAt(parent *fhir.Value, name string, i int) bool {
	sibling := parent.Get("_" + name)
	return sibling != nil && sibling.Kind == fhir.Array && i < len(sibling.Items) && sibling.Items[i].Kind == fhir.Object
}

// single checks an element that does not repeat.
func (w *walker) single(field *definition.Field, v *fhir.Value) {
	if v.Kind == fhir.Array {
		w.addAt(field.Name, fhir.Structure, "%s does not repeat, so it must not be an array.", field.Element.Path)
		return
	}
	w.push(field.Name, -1)
	w.value(field, v)
	w.pop()
}

// value checks one value of a field.
func (w *walker) value(field *definition.Field, v *fhir.Value) {
	switch {
	case v.Kind == fhir.Null:
		w.add(fhir.Structure, "null is not allowed: leave the element out.")
	case field.Type.Format != definition.NoFormat:
		w.primitive(field, v)
	case field.Type == w.core.resource:
		w.resource(v, field.Type, field.Element)
	case v.Kind != fhir.Object:
		w.add(fhir.Structure, "%s must be an object (%s), but it is a JSON %s.", field.Element.Path, field.Type.Name, v.Kind)
	default:
		w.object(v, field.Block, field.Type)
		w.complex(field, v)
		w.meaning(field, v)
	}
}

// meaning checks what a value stands for: its binding and the constraints on it.
func (w *walker) meaning(field *definition.Field, v *fhir.Value) {
	if w.lenient {
		return
	}
	if b := field.Element.Binding; b != nil {
		w.checkBinding(field, b, v)
	}
	if len(field.Type.Constraints) == 0 && len(field.Element.Constraints) == 0 {
		return
	}
	it := fhirpath.Element(field, v, nil)
	w.checkInvariants(field.Type.Constraints, &it)
	w.checkInvariants(field.Element.Constraints, &it)
}

// siblingMember checks the _name member beside a primitive: id and extensions of its value, or of
// each of its values.
func (w *walker) siblingMember(parent *fhir.Value, field *definition.Field, m *fhir.Member) {
	e, v := field.Element, &m.Value
	if !e.Repeats() {
		if v.Kind != fhir.Object {
			w.addAt(m.Name, fhir.Structure, "%s must be an object with the id and extensions of %s, but it is a JSON %s.", m.Name, field.Name, v.Kind)
			return
		}
		w.push(field.Name, -1)
		w.sibling(field, v, parent.Get(field.Name) != nil)
		w.pop()
		return
	}
	if v.Kind != fhir.Array {
		w.addAt(m.Name, fhir.Structure, "%s must be an array beside %s, but it is a JSON %s.", m.Name, field.Name, v.Kind)
		return
	}
	if len(v.Items) == 0 {
		w.addAt(m.Name, fhir.Structure, "An empty array is not allowed: leave %s out.", m.Name)
		return
	}
	values := parent.Get(field.Name)
	if values != nil && values.Kind == fhir.Array && len(v.Items) > len(values.Items) {
		w.addAt(m.Name, fhir.Structure, "%s has %d items, but %s has %d.", m.Name, len(v.Items), field.Name, len(values.Items))
		return
	}
	for i := range v.Items {
		item := &v.Items[i]
		present := values != nil && i < len(values.Items) && values.Items[i].Kind != fhir.Null
		w.push(field.Name, i)
		switch {
		case item.Kind == fhir.Object:
			w.sibling(field, item, present)
		case item.Kind == fhir.Null && !present:
			w.add(fhir.Structure, "There is neither a value nor an object in %s at this index.", m.Name)
		case item.Kind != fhir.Null:
			w.add(fhir.Structure, "%s may hold objects and null only, but this is a JSON %s.", m.Name, item.Kind)
		}
		w.pop()
	}
}

// sibling checks one object beside a primitive; without a value it needs an extension (ele-1).
func (w *walker) sibling(field *definition.Field, v *fhir.Value, present bool) {
	if present && len(v.Members) == 1 && v.Members[0].Name == "id" {
		w.object(v, field.Type.Block, idOnly)
		return
	}
	w.object(v, field.Type.Block, field.Type)
}

// idOnly marks an object that may consist of an id alone, because the value stands beside it.
var idOnly = &definition.Type{Name: "Element", Kind: definition.Resource}
