package patch

import (
	"fmt"
	"strconv"
	"strings"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
	"bulkhead/server/fhirpath"
)

// FHIRPath applies a FHIRPath Patch, a Parameters resource, to a resource.
//
// The error is a *fhir.Error: invalid when parameters is no FHIRPath Patch, processing when an
// operation cannot be applied, too-costly when the result is too large. Its expression names the
// operation: "Parameters.parameter[2]".
func FHIRPath(set *definition.Set, resource, parameters *fhir.Value) (fhir.Value, error) {
	if parameters.Get("resourceType").Text() != "Parameters" {
		return fhir.Value{}, fhir.Errorf(fhir.Invalid, "A FHIRPath Patch is a Parameters resource.")
	}
	p := pathPatch{set: set, doc: *resource, budget: budget{maxSize}}
	list := parameters.Get("parameter")
	if list == nil {
		return p.doc, nil
	}
	if len(list.Items) > maxOperations {
		return fhir.Value{}, fhir.Errorf(fhir.TooCostly, "A patch may have %d operations, this one has %d.", maxOperations, len(list.Items))
	}
	for i := range list.Items {
		if err := p.apply(&list.Items[i]); err != nil {
			return fhir.Value{}, err.At(fmt.Sprintf("Parameters.parameter[%d]", i))
		}
	}
	return p.doc, nil
}

type pathPatch struct {
	set    *definition.Set
	doc    fhir.Value
	budget budget
}

// operation is one parameter named operation, taken apart.
type operation struct {
	kind, path, name           string
	value                      *fhir.Value // the part named value
	index, source, destination int         // -1 when missing
}

func readOperation(parameter *fhir.Value) (op operation, err *fhir.Error) {
	op.index, op.source, op.destination = -1, -1, -1
	if parameter.Get("name").Text() != "operation" {
		return op, fhir.Errorf(fhir.Invalid, "Every parameter of a FHIRPath Patch is named operation.")
	}
	parts := parameter.Get("part")
	for i := 0; parts != nil && i < len(parts.Items); i++ {
		part := &parts.Items[i]
		number, text := -1, ""
		for j := range part.Members {
			if m := &part.Members[j]; strings.HasPrefix(m.Name, "value") {
				text = m.Value.Text()
				if n, err := strconv.Atoi(text); err == nil && n >= 0 && m.Value.Kind == fhir.Number {
					number = n
				}
			}
		}
		switch part.Get("name").Text() {
		case "type":
			op.kind = text
		case "path":
			op.path = text
		case "name":
			op.name = text
		case "value":
			op.value = part
		case "index":
			op.index = number
		case "source":
			op.source = number
		case "destination":
			op.destination = number
		}
	}
	if op.path == "" {
		return op, fhir.Errorf(fhir.Invalid, "An operation needs a path.")
	}
	return op, nil
}

func (p *pathPatch) apply(parameter *fhir.Value) *fhir.Error {
	op, err := readOperation(parameter)
	if err != nil {
		return err
	}
	var missing string
	switch op.kind {
	case "add":
		if missing = "name"; op.name != "" {
			missing = "value"
		}
		if op.name != "" && op.value != nil {
			return p.add(op)
		}
	case "insert":
		if missing = "index"; op.index >= 0 {
			missing = "value"
		}
		if op.index >= 0 && op.value != nil {
			return p.insert(op)
		}
	case "replace":
		if missing = "value"; op.value != nil {
			return p.replace(op)
		}
	case "delete":
		return p.remove(op)
	case "move":
		if missing = "source and a destination"; op.source >= 0 && op.destination >= 0 {
			return p.move(op)
		}
	default:
		return fhir.Errorf(fhir.Invalid, "FHIRPath Patch has no operation %q.", op.kind)
	}
	return fhir.Errorf(fhir.Invalid, "The operation %s needs a %s.", op.kind, missing)
}

// find evaluates a path on the resource as it is now.
func (p *pathPatch) find(path string) ([]fhirpath.Item, *fhir.Error) {
	x, err := fhirpath.Compile(path)
	if err != nil {
		return nil, fhir.Errorf(fhir.Invalid, "The path %q cannot be read.", path).Because(err)
	}
	items, err := x.Eval(&fhirpath.Env{Set: p.set}, &p.doc)
	if err != nil {
		return nil, fhir.Errorf(fhir.Processing, "The path %q cannot be evaluated on this resource.", path).Because(err)
	}
	return items, nil
}

// one finds the single element that a path must lead to.
func (p *pathPatch) one(path string) (fhirpath.Item, place, *fhir.Error) {
	items, err := p.find(path)
	switch {
	case err != nil:
		return fhirpath.Item{}, place{}, err
	case len(items) == 0:
		return fhirpath.Item{}, place{}, fhir.Errorf(fhir.Processing, "The path %q leads to nothing.", path)
	case len(items) > 1:
		return fhirpath.Item{}, place{}, fhir.Errorf(fhir.Processing, "The path %q leads to %d elements, one is expected.", path, len(items))
	}
	where, ok := placeOf(&p.doc, &items[0])
	if !ok {
		return fhirpath.Item{}, place{}, fhir.Errorf(fhir.Processing, "The path %q leads to no element of the resource.", path)
	}
	return items[0], where, nil
}

// change edits the object that holds an element.
func (p *pathPatch) change(parent []string, f func(object fhir.Value) fhir.Value) *fhir.Error {
	doc, ok := edit(p.doc, parent, func(v fhir.Value) (fhir.Value, bool) { return f(v), true })
	if !ok {
		return fhir.Errorf(fhir.Processing, "The path leads to no element of the resource.")
	}
	p.doc = doc
	return nil
}

func (p *pathPatch) add(op operation) *fhir.Error {
	items, err := p.find(op.path)
	if err != nil {
		return err
	}
	if len(items) != 1 || items[0].Kind != fhirpath.Node {
		return fhir.Errorf(fhir.Processing, "The path %q leads to %d elements, one is expected.", op.path, len(items))
	}
	tokens, ok := fhirpath.Locate(&p.doc, &items[0])
	if !ok || items[0].JSON == nil || items[0].JSON.Kind != fhir.Object {
		return fhir.Errorf(fhir.Processing, "Nothing can be added to what %q leads to.", op.path)
	}
	block := blockOf(&items[0])
	v, err := p.make(op.value, block, op.name)
	if err != nil {
		return err
	}
	if !v.repeats {
		for _, name := range v.others {
			if items[0].JSON.Get(name) != nil || items[0].JSON.Get("_"+name) != nil {
				return fhir.Errorf(fhir.Processing, "The element %s is there already and does not repeat.", op.name)
			}
		}
	}
	if !p.take(v, len(tokens)) {
		return tooLarge()
	}
	return p.change(tokens, func(object fhir.Value) fhir.Value {
		if v.repeats {
			return v.insertInto(object, listLength(&object, v.name))
		}
		return v.setIn(object)
	})
}

func (p *pathPatch) insert(op operation) *fhir.Error {
	parent, name, err := p.list(op.path)
	if err != nil {
		return err
	}
	v, err := p.make(op.value, parent.block, name)
	if err != nil {
		return err
	}
	n := listLength(parent.object, v.name)
	if op.index > n {
		return fhir.Errorf(fhir.Processing, "The index %d is beyond the %d elements of the list.", op.index, n)
	}
	if !v.repeats {
		return fhir.Errorf(fhir.Processing, "The element %s does not repeat.", name)
	}
	if !p.take(v, len(parent.tokens)) {
		return tooLarge()
	}
	return p.change(parent.tokens, func(object fhir.Value) fhir.Value { return v.insertInto(object, op.index) })
}

func (p *pathPatch) replace(op operation) *fhir.Error {
	item, where, err := p.one(op.path)
	if err != nil {
		return err
	}
	if item.Field == nil {
		return fhir.Errorf(fhir.Processing, "The path %q leads to no element that can be replaced.", op.path)
	}
	parent := at(&p.doc, where.parent)
	v, err := p.makeFor(op.value, item.Field.Element, where.name)
	if err != nil {
		return err
	}
	if !p.take(v, len(where.parent)) || parent == nil {
		return tooLarge()
	}
	return p.change(where.parent, func(object fhir.Value) fhir.Value { return v.replaceIn(object, where) })
}

func (p *pathPatch) remove(op operation) *fhir.Error {
	items, err := p.find(op.path)
	if err != nil || len(items) == 0 {
		return err // what is not there need not be deleted
	}
	_, where, err := p.one(op.path)
	if err != nil {
		return err
	}
	if err := p.change(where.parent, func(object fhir.Value) fhir.Value { return removeFrom(object, where) }); err != nil {
		return err
	}
	p.prune(where.parent)
	return nil
}

func (p *pathPatch) move(op operation) *fhir.Error {
	parent, name, err := p.list(op.path)
	if err != nil {
		return err
	}
	n := listLength(parent.object, name)
	if op.source >= n || op.destination >= n {
		return fhir.Errorf(fhir.Processing, "The list has %d elements, so %d cannot go to %d.", n, op.source, op.destination)
	}
	return p.change(parent.tokens, func(object fhir.Value) fhir.Value {
		for _, member := range []string{name, "_" + name} {
			if list := object.Get(member); list != nil && list.Kind == fhir.Array {
				padded := pad(*list, n)
				moved := insertItem(dropItem(padded, op.source), op.destination, padded.Items[op.source])
				object = setMember(object, member, moved)
			}
		}
		return object
	})
}

// prune removes what has become empty on the way from tokens to the root: FHIR knows no empty
// objects and arrays.
func (p *pathPatch) prune(tokens []string) {
	for n := len(tokens); n > 0; n-- {
		v := at(&p.doc, tokens[:n])
		if v == nil || len(v.Members) > 0 || len(v.Items) > 0 {
			return
		}
		last := tokens[n-1]
		doc, ok := edit(p.doc, tokens[:n-1], func(parent fhir.Value) (fhir.Value, bool) {
			if parent.Kind == fhir.Object {
				return dropMember(parent, last), true
			}
			i, ok := arrayIndex(last, len(parent.Items)-1)
			if !ok {
				return parent, false
			}
			return dropItem(parent, i), true
		})
		if !ok {
			return
		}
		p.doc = doc
	}
}

func (p *pathPatch) take(v made, depth int) bool {
	return (v.json == nil || p.budget.take(v.json, depth)) && (v.extra == nil || p.budget.take(v.extra, depth))
}

func tooLarge() *fhir.Error {
	return fhir.Errorf(fhir.TooCostly, "The patch makes the resource too large or too deep.")
}
