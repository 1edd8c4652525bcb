package patch

import (
	"strings"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
)

// made is a value ready to be put into an object.
type made struct {
	name    string   // of the JSON member: "valueQuantity" for a choice
	others  []string // all the names that the element can have
	repeats bool
	json    *fhir.Value // nil for a primitive without a value
	extra   *fhir.Value // its "_" sibling
}

// make turns the part named value into a value for the element called name.
func (p *pathPatch) make(part *fhir.Value, block *definition.Block, name string) (made, *fhir.Error) {
	element := elementOf(block, name)
	if element == nil {
		return made{}, fhir.Errorf(fhir.Processing, "There is no element %s here.", name)
	}
	return p.makeFor(part, element, name)
}

func (p *pathPatch) makeFor(part *fhir.Value, element *definition.Element, name string) (made, *fhir.Error) {
	v := made{repeats: element.Repeats(), name: element.Name}
	for _, f := range element.Fields {
		v.others = append(v.others, f.Name)
	}
	typ := ""
	for i := range part.Members {
		m := &part.Members[i]
		if t, ok := strings.CutPrefix(m.Name, "_value"); ok {
			v.extra, typ = &m.Value, t
		} else if t, ok := strings.CutPrefix(m.Name, "value"); ok {
			v.json, typ = &m.Value, t
		}
	}
	switch parts, resource := part.Get("part"), part.Get("resource"); {
	case v.json != nil || v.extra != nil:
	case resource != nil:
		v.json = resource
	case parts != nil && parts.Kind == fhir.Array:
		object, err := p.backbone(parts, element)
		if err != nil {
			return v, err
		}
		v.json = &object
	default:
		return v, fhir.Errorf(fhir.Invalid, "The value of an operation is missing.")
	}
	if element.Choice {
		if v.name = choiceName(element, name, typ); v.name == "" {
			return v, fhir.Errorf(fhir.Processing, "The element %s cannot have a value of type %s.", element.Name, typ)
		}
	}
	return v, nil
}

// choiceName returns the JSON name of a choice element for a value of a type, as it stands in
// Parameters ("Quantity", "String").
func choiceName(element *definition.Element, name, typ string) string {
	for _, f := range element.Fields {
		if f.Name == element.Name+typ {
			return f.Name
		}
	}
	for _, f := range element.Fields {
		if f.Name == name {
			return name
		}
	}
	return ""
}

// backbone makes an object of parts that are named after its members.
func (p *pathPatch) backbone(parts *fhir.Value, element *definition.Element) (fhir.Value, *fhir.Error) {
	block := element.Fields[0].Block
	object := fhir.Value{Kind: fhir.Object}
	for i := range parts.Items {
		name := parts.Items[i].Get("name").Text()
		v, err := p.make(&parts.Items[i], block, name)
		if err != nil {
			return object, err
		}
		switch {
		case v.repeats:
			object = v.insertInto(object, listLength(&object, v.name))
		case object.Get(v.name) != nil || object.Get("_"+v.name) != nil:
			return object, fhir.Errorf(fhir.Processing, "The element %s does not repeat.", name)
		default:
			object = v.setIn(object)
		}
	}
	return object, nil
}

// setIn sets the element of an object, where it does not repeat.
func (v *made) setIn(object fhir.Value) fhir.Value {
	if v.json != nil {
		object = setMember(object, v.name, *v.json)
	}
	if v.extra != nil {
		object = setMember(object, "_"+v.name, *v.extra)
	}
	return object
}

// insertInto puts the element before the i-th of a list, and keeps the "_" sibling in step.
func (v *made) insertInto(object fhir.Value, i int) fhir.Value {
	n := listLength(&object, v.name)
	return v.eachList(object, func(list *fhir.Value, item *fhir.Value) fhir.Value {
		if list == nil && item == nil {
			return fhir.Value{}
		}
		full := fhir.Value{Kind: fhir.Array}
		if list != nil {
			full = *list
		}
		return insertItem(pad(full, n), i, orNull(item))
	})
}

func orNull(v *fhir.Value) fhir.Value {
	if v == nil {
		return fhir.Value{Kind: fhir.Null}
	}
	return *v
}

// eachList changes the array of values and the array of siblings.
func (v *made) eachList(object fhir.Value, f func(list, item *fhir.Value) fhir.Value) fhir.Value {
	for _, side := range []struct {
		member string
		item   *fhir.Value
	}{{v.name, v.json}, {"_" + v.name, v.extra}} {
		list := object.Get(side.member)
		if list != nil && list.Kind != fhir.Array {
			list = nil
		}
		if changed := f(list, side.item); changed.Kind == fhir.Array {
			object = setOrDrop(object, side.member, changed)
		}
	}
	return object
}

// replaceIn puts the value in the place of an element. A choice may change its name.
func (v *made) replaceIn(object fhir.Value, w place) fhir.Value {
	if w.index < 0 {
		if w.name == v.name && v.json != nil && object.Get(w.name) != nil {
			object = dropMember(object, "_"+w.name)
			return v.setIn(object)
		}
		return v.setIn(rename(object, w.name, v))
	}
	return v.eachList(object, func(list, item *fhir.Value) fhir.Value {
		if list == nil && item == nil {
			return fhir.Value{}
		}
		full := fhir.Value{Kind: fhir.Array}
		if list != nil {
			full = *list
		}
		full = pad(full, w.index+1)
		return insertItem(dropItem(full, w.index), w.index, orNull(item))
	})
}

// rename gives the member another name in its place, or drops it when the new value has none.
func rename(object fhir.Value, old string, v *made) fhir.Value {
	members := make([]fhir.Member, 0, len(object.Members))
	for _, m := range object.Members {
		if m.Name == "_"+old {
			continue
		}
		if m.Name == old {
			if v.json == nil {
				continue
			}
			m.Name = v.name
		}
		members = append(members, m)
	}
	return fhir.Value{Kind: fhir.Object, Members: members}
}
