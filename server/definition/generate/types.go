package main

import (
	"fmt"
	"strings"
)

const (
	specURL     = "http://hl7.org/fhir/StructureDefinition/"
	systemType  = "http://hl7.org/fhirpath/System."
	maxValueSet = specURL + "elementdefinition-maxValueSet"
)

// typeBuilder boils StructureDefinitions down. It gathers the constraints that the types name
// and the value sets that they bind to.
type typeBuilder struct {
	src         *source
	constraints map[string]constraint
	rootKeys    map[string]map[string]bool // type -> keys of the constraints on its root
	valueSets   map[string]bool
}

func newTypeBuilder(src *source) *typeBuilder {
	b := &typeBuilder{
		src:         src,
		constraints: map[string]constraint{},
		rootKeys:    map[string]map[string]bool{},
		valueSets:   map[string]bool{},
	}
	for _, d := range src.structures {
		keys := map[string]bool{}
		for _, c := range d.Snapshot.Element[0].Constraint {
			keys[c.Key] = true
		}
		b.rootKeys[d.Type] = keys
	}
	return b
}

func (b *typeBuilder) types() ([]typeDef, error) {
	var out []typeDef
	for _, d := range b.src.structures {
		t := typeDef{
			Name:     d.Type,
			Kind:     strings.TrimSuffix(d.Kind, "-type"),
			Abstract: d.Abstract,
			Base:     strings.TrimPrefix(d.Base, specURL),
		}
		t.Constraints = b.keys(d.Snapshot.Element[0], b.rootKeys[t.Base])
		for _, e := range d.Snapshot.Element[1:] {
			if inherited(d, e) {
				continue
			}
			own, err := b.element(t, e)
			if err != nil {
				return nil, err
			}
			t.Elements = append(t.Elements, own)
		}
		out = append(out, t)
	}
	return out, nil
}

// inherited tells whether e repeats an element of a base type, which the loader adds again. A
// primitive's value is no member of JSON objects and is left out as well.
func inherited(d structureDef, e rawElement) bool {
	return e.Base.Path != e.Path || d.Kind == "primitive-type" && strings.HasSuffix(e.Path, ".value")
}

func (b *typeBuilder) element(t typeDef, e rawElement) (element, error) {
	out := element{
		Path:     strings.TrimPrefix(e.Path, t.Name+"."),
		Min:      e.Min,
		Modifier: e.IsModifier,
		Summary:  e.IsSummary,
	}
	if e.Max != "1" {
		out.Max = e.Max
	}
	if _, path, ok := strings.Cut(e.ContentReference, "#"); ok {
		out.Content = path
	}
	skip := map[string]bool{}
	for _, typ := range e.Type {
		ref := typeRef{Code: b.code(t, out.Path, typ.Code)}
		if ref.Code == "" {
			return out, fmt.Errorf("%s: unknown type %s", e.Path, typ.Code)
		}
		for _, url := range typ.TargetProfile {
			ref.Targets = append(ref.Targets, strings.TrimPrefix(url, specURL))
		}
		for _, url := range typ.Profile {
			ref.Profiles = append(ref.Profiles, strings.TrimPrefix(url, specURL))
		}
		for key := range b.rootKeys[ref.Code] {
			skip[key] = true
		}
		out.Types = append(out.Types, ref)
	}
	out.Constraints = b.keys(e, skip)
	out.Binding = b.binding(e)
	return out, nil
}

// code resolves the FHIRPath system types, which stand for the ids and for Extension.url.
func (b *typeBuilder) code(t typeDef, path, code string) string {
	if !strings.HasPrefix(code, systemType) {
		if _, known := b.rootKeys[code]; known {
			return code
		}
		return ""
	}
	switch {
	case path == "id" && t.Kind == "resource":
		return "id"
	case path == "url":
		return "uri"
	case path == "id" || strings.HasSuffix(path, ".id"):
		return "string"
	default:
		return ""
	}
}

// keys returns the constraints of e that its type or base does not already bring, and files them.
// ele-1 holds for every element and is left out. A key used with different meanings gets its
// path appended in the table.
func (b *typeBuilder) keys(e rawElement, skip map[string]bool) []string {
	var out []string
	for _, c := range e.Constraint {
		if c.Key == "ele-1" || skip[c.Key] {
			continue
		}
		name := c.Key
		entry := constraint{Severity: c.Severity, Human: c.Human, Expression: c.Expression}
		if prev, taken := b.constraints[name]; taken && prev != entry {
			name = c.Key + "@" + e.Path
			entry.Key = c.Key
		}
		b.constraints[name] = entry
		out = append(out, name)
	}
	return out
}

func (b *typeBuilder) binding(e rawElement) *binding {
	if e.Binding == nil {
		return nil
	}
	out := &binding{Strength: e.Binding.Strength, ValueSet: unversioned(e.Binding.ValueSet)}
	for _, x := range e.Binding.Extension {
		if x.URL == maxValueSet {
			out.Max = unversioned(x.ValueCanonical)
			b.valueSets[out.Max] = true
		}
	}
	if out.ValueSet != "" && (out.Strength == "required" || out.Strength == "extensible") {
		b.valueSets[out.ValueSet] = true
	}
	return out
}

// unversioned cuts the |version off a canonical URL.
func unversioned(url string) string {
	url, _, _ = strings.Cut(url, "|")
	return url
}
