package patch

import (
	"strconv"
	"strings"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
	"bulkhead/server/fhirpath"
)

// place is where an element stands: in the object at parent, as the member name, and in an array
// at index (-1: in none).
type place struct {
	parent []string
	name   string
	index  int
}

// placeOf finds an element in the document. The root itself has no place.
func placeOf(doc *fhir.Value, it *fhirpath.Item) (place, bool) {
	tokens, ok := fhirpath.Locate(doc, it)
	if !ok || len(tokens) == 0 {
		return place{}, false
	}
	w := place{index: -1}
	n := len(tokens)
	if parent := at(doc, tokens[:n-1]); parent != nil && parent.Kind == fhir.Array && n > 1 {
		w.index, _ = strconv.Atoi(tokens[n-1])
		n--
	}
	w.parent = tokens[:n-1]
	w.name = strings.TrimPrefix(tokens[n-1], "_")
	return w, true
}

// blockOf returns the definition of the members of an item.
func blockOf(it *fhirpath.Item) *definition.Block {
	if it.Field != nil && it.Type == it.Field.Type {
		return it.Field.Block
	}
	if it.Type != nil {
		return it.Type.Block
	}
	return nil
}

// holder is the object that holds a list.
type holder struct {
	tokens []string
	object *fhir.Value
	block  *definition.Block
}

// list finds the list that a path names: the one that all its elements are in, or, when there are
// none yet, the last name of the path below the one element that comes before it.
func (p *pathPatch) list(path string) (holder, string, *fhir.Error) {
	items, err := p.find(path)
	if err != nil {
		return holder{}, "", err
	}
	if len(items) == 0 {
		return p.emptyList(path)
	}
	first, ok := placeOf(&p.doc, &items[0])
	for i := 1; ok && i < len(items); i++ {
		var w place
		w, ok = placeOf(&p.doc, &items[i])
		ok = ok && w.name == first.name && strings.Join(w.parent, "/") == strings.Join(first.parent, "/")
	}
	if !ok || first.index < 0 {
		return holder{}, "", fhir.Errorf(fhir.Processing, "The path %q leads to no list.", path)
	}
	h := holder{tokens: first.parent, object: at(&p.doc, first.parent)}
	name := first.name
	if items[0].Field != nil {
		h.block = blockWith(items[0].Field)
		name = items[0].Field.Element.Name
	}
	return h, name, nil
}

// blockWith makes a block that knows the one element, which is all that making a value needs.
func blockWith(f *definition.Field) *definition.Block {
	return &definition.Block{Elements: []*definition.Element{f.Element}}
}

func (p *pathPatch) emptyList(path string) (holder, string, *fhir.Error) {
	dot := strings.LastIndexByte(path, '.')
	name := strings.TrimSpace(path[dot+1:])
	if dot < 0 || name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "" {
		return holder{}, "", fhir.Errorf(fhir.Processing, "The path %q leads to nothing.", path)
	}
	items, err := p.find(path[:dot])
	if err != nil {
		return holder{}, "", err
	}
	if len(items) != 1 {
		return holder{}, "", fhir.Errorf(fhir.Processing, "The path %q leads to nothing.", path)
	}
	tokens, ok := fhirpath.Locate(&p.doc, &items[0])
	if !ok || items[0].JSON == nil || items[0].JSON.Kind != fhir.Object {
		return holder{}, "", fhir.Errorf(fhir.Processing, "The path %q leads to nothing.", path)
	}
	return holder{tokens, items[0].JSON, blockOf(&items[0])}, name, nil
}

// elementOf returns the element called name in a block: by its FHIRPath name, or by a JSON name
// of a choice, which then decides the type.
func elementOf(block *definition.Block, name string) *definition.Element {
	if block == nil {
		return nil
	}
	if e := block.Element(name); e != nil {
		return e
	}
	if f := block.Field(name); f != nil {
		return f.Element
	}
	for _, e := range block.Elements {
		if e.Name == name {
			return e
		}
	}
	return nil
}

// listLength counts the elements of a repeating element, those without a value included.
func listLength(object *fhir.Value, name string) int {
	n := 0
	for _, member := range []string{name, "_" + name} {
		if list := object.Get(member); list != nil {
			n = max(n, len(list.Items))
		}
	}
	return n
}

// pad fills an array with null up to n items.
func pad(list fhir.Value, n int) fhir.Value {
	if len(list.Items) >= n {
		return list
	}
	items := append([]fhir.Value(nil), list.Items...)
	for len(items) < n {
		items = append(items, fhir.Value{Kind: fhir.Null})
	}
	return fhir.Value{Kind: fhir.Array, Items: items}
}

// removeFrom removes an element with its "_" sibling.
func removeFrom(object fhir.Value, w place) fhir.Value {
	for _, member := range []string{w.name, "_" + w.name} {
		list := object.Get(member)
		switch {
		case list == nil:
		case w.index < 0 || list.Kind != fhir.Array:
			object = dropMember(object, member)
		case w.index < len(list.Items):
			object = setOrDrop(object, member, dropItem(*list, w.index))
		}
	}
	return object
}

// setOrDrop sets a member to an array, or drops it when the array holds nothing but null.
func setOrDrop(object fhir.Value, member string, list fhir.Value) fhir.Value {
	for i := range list.Items {
		if list.Items[i].Kind != fhir.Null {
			return setMember(object, member, list)
		}
	}
	return dropMember(object, member)
}
