package server

import (
	"slices"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
	"bulkhead/server/search"
)

// shape is what of a resource the client wants to see (http://hl7.org/fhir/R4/search.html#summary).
type shape struct {
	summary  string // true, text, data; "" or false for everything
	elements []string
}

func shapeOf(found *search.Search) shape {
	return shape{summary: found.Summary, elements: found.Elements}
}

// apply returns what is to be shown of a stored resource: its own bytes, unless less was asked for.
// Then it is tagged as a part, so that nobody takes it for the whole.
func (s shape) apply(set *definition.Set, typ, body string) (string, error) {
	if (s.summary == "" || s.summary == "false") && s.elements == nil {
		return body, nil
	}
	v, err := fhir.Parse(body)
	if err != nil {
		return "", err
	}
	t := set.ResourceType(typ)
	if t == nil {
		return body, nil
	}
	out := s.cut(&v, t.Block, true)
	tagSubsetted(&out)
	return string(out.Append(make([]byte, 0, len(body)+128))), nil
}

// cut leaves out the members that are not wanted. Elements that are mandatory stay, so that what
// is left is valid.
func (s shape) cut(v *fhir.Value, block *definition.Block, top bool) fhir.Value {
	out := fhir.Value{Kind: fhir.Object, Members: make([]fhir.Member, 0, len(v.Members))}
	for i := range v.Members {
		m := v.Members[i]
		name := m.Name
		if name[:1] == "_" {
			name = name[1:]
		}
		field := block.Field(name)
		if top && (name == "resourceType" || name == "id" || name == "meta") {
			out.Members = append(out.Members, m)
			continue
		}
		if field == nil || !s.wants(field.Element, top) {
			continue
		}
		// Backbone elements have summary elements of their own; data types are shown whole.
		if inner := field.Element.Content; inner != nil && s.summary == "true" && s.elements == nil {
			m.Value = s.cutAll(&m.Value, inner)
		}
		out.Members = append(out.Members, m)
	}
	return out
}

func (s shape) cutAll(v *fhir.Value, block *definition.Block) fhir.Value {
	switch v.Kind {
	case fhir.Array:
		out := fhir.Value{Kind: fhir.Array, Items: make([]fhir.Value, len(v.Items))}
		for i := range v.Items {
			out.Items[i] = s.cutAll(&v.Items[i], block)
		}
		return out
	case fhir.Object:
		return s.cut(v, block, false)
	default:
		return *v
	}
}

func (s shape) wants(e *definition.Element, top bool) bool {
	switch {
	case e.Min > 0 || e.Modifier && top:
		return true
	case s.elements != nil:
		return slices.Contains(s.elements, e.Name)
	case s.summary == "true":
		return e.Summary
	case s.summary == "text":
		return e.Name == "text"
	default: // data
		return e.Name != "text"
	}
}

var subsetted = fhir.Coding{System: "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", Code: "SUBSETTED"}

// tagSubsetted adds the tag that tells a part of a resource from the whole.
func tagSubsetted(v *fhir.Value) {
	tag := fhir.Value{Kind: fhir.Object, Members: []fhir.Member{
		{Name: "system", Value: fhir.StringValue(subsetted.System)}, {Name: "code", Value: fhir.StringValue(subsetted.Code)},
	}}
	meta := v.Get("meta")
	if meta == nil || meta.Kind != fhir.Object {
		v.Members = append(v.Members, fhir.Member{Name: "meta", Value: fhir.Value{
			Kind: fhir.Object, Members: []fhir.Member{{Name: "tag", Value: fhir.Value{Kind: fhir.Array, Items: []fhir.Value{tag}}}},
		}})
		return
	}
	if tags := meta.Get("tag"); tags != nil {
		tags.Items = append(tags.Items, tag)
		return
	}
	meta.Members = append(meta.Members, fhir.Member{Name: "tag", Value: fhir.Value{Kind: fhir.Array, Items: []fhir.Value{tag}}})
}
