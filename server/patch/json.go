package patch

import (
	"fmt"
	"strings"

	"bulkhead/server/fhir"
)

// JSON applies a JSON Patch (RFC 6902) to a document.
//
// The error is a *fhir.Error: invalid when operations are no JSON Patch, processing when one of
// them cannot be applied (a test that fails included), too-costly when the result is too large.
// Its expression names the operation: "[2]".
func JSON(document, operations *fhir.Value) (fhir.Value, error) {
	if operations.Kind != fhir.Array {
		return fhir.Value{}, fhir.Errorf(fhir.Invalid, "A JSON Patch is an array of operations.")
	}
	if len(operations.Items) > maxOperations {
		return fhir.Value{}, fhir.Errorf(fhir.TooCostly, "A patch may have %d operations, this one has %d.", maxOperations, len(operations.Items))
	}
	p := jsonPatch{doc: *document, budget: budget{maxSize}}
	for i := range operations.Items {
		if err := p.apply(&operations.Items[i]); err != nil {
			return fhir.Value{}, err.At(fmt.Sprintf("[%d]", i))
		}
	}
	return p.doc, nil
}

type jsonPatch struct {
	doc    fhir.Value
	budget budget
}

func (p *jsonPatch) apply(op *fhir.Value) *fhir.Error {
	name := op.Get("op").Text()
	path, err := pointer(op, "path")
	if err != nil {
		return err
	}
	value := op.Get("value")
	switch name {
	case "add", "replace", "test":
		if value == nil {
			return fhir.Errorf(fhir.Invalid, "The operation %s needs a value.", name)
		}
	case "remove":
		return p.remove(path)
	case "move", "copy":
		from, err := pointer(op, "from")
		if err != nil {
			return err
		}
		return p.transfer(name, from, path)
	default:
		return fhir.Errorf(fhir.Invalid, "JSON Patch has no operation %q.", name)
	}
	switch name {
	case "add":
		return p.add(path, *value)
	case "replace":
		return p.replace(path, *value)
	default:
		return p.test(path, value)
	}
}

// pointer reads a JSON Pointer (RFC 6901) into its tokens.
func pointer(op *fhir.Value, name string) ([]string, *fhir.Error) {
	v := op.Get(name)
	if v == nil || v.Kind != fhir.String {
		return nil, fhir.Errorf(fhir.Invalid, "An operation needs %q, a JSON Pointer.", name)
	}
	text := v.Text()
	if text == "" {
		return nil, nil
	}
	if text[0] != '/' {
		return nil, fhir.Errorf(fhir.Invalid, "The JSON Pointer %q does not begin with a slash.", text)
	}
	tokens := strings.Split(text[1:], "/")
	for i, token := range tokens {
		if !strings.ContainsRune(token, '~') {
			continue
		}
		plain := strings.ReplaceAll(strings.ReplaceAll(token, "~1", ""), "~0", "")
		if strings.ContainsRune(plain, '~') {
			return nil, fhir.Errorf(fhir.Invalid, "The JSON Pointer %q has a ~ that is no escape.", text)
		}
		tokens[i] = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
	}
	return tokens, nil
}

func missing(tokens []string) *fhir.Error {
	return fhir.Errorf(fhir.Processing, "There is nothing at /%s.", strings.Join(tokens, "/"))
}

func (p *jsonPatch) add(tokens []string, value fhir.Value) *fhir.Error {
	if !p.budget.take(&value, len(tokens)) {
		return tooLarge()
	}
	if len(tokens) == 0 {
		p.doc = value
		return nil
	}
	last := tokens[len(tokens)-1]
	doc, ok := edit(p.doc, tokens[:len(tokens)-1], func(parent fhir.Value) (fhir.Value, bool) {
		switch parent.Kind {
		case fhir.Object:
			return setMember(parent, last, value), true
		case fhir.Array:
			if last == "-" {
				return insertItem(parent, len(parent.Items), value), true
			}
			i, ok := arrayIndex(last, len(parent.Items))
			if !ok {
				return parent, false
			}
			return insertItem(parent, i, value), true
		default:
			return parent, false
		}
	})
	if !ok {
		return missing(tokens)
	}
	p.doc = doc
	return nil
}

func (p *jsonPatch) remove(tokens []string) *fhir.Error {
	if len(tokens) == 0 {
		return fhir.Errorf(fhir.Processing, "The whole document cannot be removed.")
	}
	last := tokens[len(tokens)-1]
	doc, ok := edit(p.doc, tokens[:len(tokens)-1], func(parent fhir.Value) (fhir.Value, bool) {
		if parent.Kind == fhir.Object && parent.Get(last) != nil {
			return dropMember(parent, last), true
		}
		if i, ok := arrayIndex(last, len(parent.Items)-1); ok && parent.Kind == fhir.Array {
			return dropItem(parent, i), true
		}
		return parent, false
	})
	if !ok {
		return missing(tokens)
	}
	p.doc = doc
	return nil
}

func (p *jsonPatch) replace(tokens []string, value fhir.Value) *fhir.Error {
	if !p.budget.take(&value, len(tokens)) {
		return tooLarge()
	}
	doc, ok := edit(p.doc, tokens, func(fhir.Value) (fhir.Value, bool) { return value, true })
	if !ok {
		return missing(tokens)
	}
	p.doc = doc
	return nil
}

func (p *jsonPatch) test(tokens []string, value *fhir.Value) *fhir.Error {
	found := at(&p.doc, tokens)
	if found == nil {
		return missing(tokens)
	}
	if !equal(found, value) {
		return fhir.Errorf(fhir.Processing, "The test at /%s fails: the value there is another.", strings.Join(tokens, "/"))
	}
	return nil
}

func (p *jsonPatch) transfer(name string, from, to []string) *fhir.Error {
	found := at(&p.doc, from)
	if found == nil {
		return missing(from)
	}
	value := *found
	if name == "copy" {
		return p.add(to, value)
	}
	if len(to) > len(from) && hasPrefix(to, from) {
		return fhir.Errorf(fhir.Processing, "A value cannot be moved into itself.")
	}
	if len(from) == len(to) && hasPrefix(to, from) {
		return nil
	}
	if err := p.remove(from); err != nil {
		return err
	}
	return p.add(to, value)
}

// hasPrefix tells whether long begins with short.
func hasPrefix(long, short []string) bool {
	for i := range short {
		if long[i] != short[i] {
			return false
		}
	}
	return true
}
