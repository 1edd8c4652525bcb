package search

import (
	"strconv"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
)

// Description is what one search parameter selects in one resource, before it is turned into
// rows: the line that `bulkhead fhir index` prints.
type Description struct {
	ResourceType string
	ID           string
	Param        string
	Type         definition.ParamType
	Values       []Selected
}

// Selected is a value that a parameter's expression yields. For a composite Components holds the
// values of each component, in order; some may have none.
type Selected struct {
	Type       string // of FHIR; empty for a composite
	Path       string
	Value      *fhir.Value // nil for a primitive without value
	Shadow     *fhir.Value // the object beside a primitive ("_birthDate"), or nil
	Components []SelectedComponent
}

// SelectedComponent is one component of a composite.
type SelectedComponent struct {
	Definition string
	Values     []Selected
}

// Describe lists what every search parameter of the resource's type selects, by parameter code.
// Parameters that select nothing are left out. It is false when the type is unknown.
func (c *Catalog) Describe(resource *fhir.Value) ([]Description, bool) {
	p := c.plan(resource.Get("resourceType").Text())
	if p == nil {
		return nil, false
	}
	d := describer{plan: p, found: make([][]Selected, len(p.params)), path: []byte(p.typ.Name)}
	d.walker = walker{resource: resource, shadows: true, to: &d}
	d.walker.visit(p.all, resource, nil, 0)
	var out []Description
	for i, x := range p.params {
		if x.param.ID == "Patient-deceased" && d.found[i] == nil {
			d.found[i] = []Selected{{Type: "boolean", Value: &fhir.Value{Kind: fhir.False}}}
		}
		if len(d.found[i]) > 0 {
			out = append(out, Description{
				ResourceType: p.typ.Name, ID: resource.Get("id").Text(),
				Param: x.param.Code, Type: x.param.Type, Values: d.found[i],
			})
		}
	}
	return out, true
}

// Describe is Catalog.Describe with the parameters of a release.
func Describe(set *definition.Set, resource *fhir.Value) ([]Description, bool) {
	return Standard(set).Describe(resource)
}

// describer is the visitor that keeps values as they are.
type describer struct {
	plan   *plan
	walker walker
	found  [][]Selected
	path   []byte
	marks  []int
}

func (d *describer) enter(member string, index int) {
	d.marks = append(d.marks, len(d.path))
	d.path = append(d.path, '.')
	d.path = append(d.path, member...)
	if index >= 0 {
		d.path = append(d.path, '[')
		d.path = strconv.AppendInt(d.path, int64(index), 10)
		d.path = append(d.path, ']')
	}
}

func (d *describer) leave() {
	last := len(d.marks) - 1
	d.path, d.marks = d.path[:d.marks[last]], d.marks[:last]
}

func (d *describer) take(n *node, v, shadow *fhir.Value) {
	for _, leaf := range n.leaves {
		x := d.plan.params[leaf]
		s := Selected{Type: n.typ.Name, Path: d.fhirPath(n), Value: v, Shadow: shadow}
		switch {
		case x.compound != nil:
			s = Selected{Path: d.fhirPath(n), Components: d.components(x, n, v)}
		case x.param.ID == "Patient-deceased":
			s = Selected{Type: "boolean", Value: &fhir.Value{Kind: fhir.True}}
			if deceased(v) == "false" {
				s.Value.Kind = fhir.False
			}
		}
		d.found[leaf] = append(d.found[leaf], s)
	}
}

// fhirPath names the element in FHIRPath's way: a choice without its type.
func (d *describer) fhirPath(n *node) string {
	path := string(d.path)
	if n.field == nil || !n.field.Element.Choice {
		return path
	}
	if start := d.marks[len(d.marks)-1] + 1; start+len(n.field.Name) <= len(path) {
		return path[:start] + n.field.Element.Name + path[start+len(n.field.Name):]
	}
	return path
}

func (d *describer) components(x *indexed, n *node, v *fhir.Value) []SelectedComponent {
	var out []SelectedComponent
	for i, one := range x.compound.parts {
		sub := describer{plan: &plan{params: []*indexed{{param: one.param}}}, found: make([][]Selected, 1)}
		sub.walker = walker{resource: d.walker.resource, shadows: true, to: &sub}
		for _, t := range x.compound.trees[n][i] {
			if t.resource {
				sub.path = []byte(d.plan.typ.Name)
				sub.walker.visit(t.top, d.walker.resource, nil, 0)
			} else {
				sub.path = append([]byte(nil), d.path...)
				sub.walker.visit(t.top, v, nil, 0)
			}
		}
		out = append(out, SelectedComponent{Definition: one.param.URL, Values: sub.found[0]})
	}
	return out
}

// Append writes d as one line of JSON without the line end.
func (d *Description) Append(dst []byte) []byte {
	dst = append(dst, `{"resourceType":`...)
	dst = fhir.AppendString(dst, d.ResourceType)
	if d.ID != "" {
		dst = append(dst, `,"id":`...)
		dst = fhir.AppendString(dst, d.ID)
	}
	dst = append(dst, `,"param":`...)
	dst = fhir.AppendString(dst, d.Param)
	dst = append(dst, `,"type":`...)
	dst = fhir.AppendString(dst, string(d.Type))
	dst = append(dst, `,"values":`...)
	return append(appendSelected(dst, d.Values), '}')
}

func appendSelected(dst []byte, values []Selected) []byte {
	dst = append(dst, '[')
	for i, v := range values {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = v.append(dst)
	}
	return append(dst, ']')
}

func (s *Selected) append(dst []byte) []byte {
	dst = append(dst, '{')
	member := func(name string) {
		if dst[len(dst)-1] != '{' {
			dst = append(dst, ',')
		}
		dst = append(dst, '"')
		dst = append(dst, name...)
		dst = append(dst, '"', ':')
	}
	if s.Type != "" {
		member("type")
		dst = fhir.AppendString(dst, s.Type)
	}
	if s.Path != "" {
		member("path")
		dst = fhir.AppendString(dst, s.Path)
	}
	if s.Value != nil {
		member("value")
		dst = appendValue(dst, s.Value)
	}
	if s.Shadow != nil {
		member("_value")
		dst = s.Shadow.Append(dst)
	}
	if s.Components != nil {
		member("components")
		dst = append(dst, '[')
		for i, c := range s.Components {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, `{"definition":`...)
			dst = fhir.AppendString(dst, c.Definition)
			dst = append(dst, `,"values":`...)
			dst = append(appendSelected(dst, c.Values), '}')
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

// appendValue writes a value; of a resource (Bundle.entry.resource) only what tells it apart.
func appendValue(dst []byte, v *fhir.Value) []byte {
	kind := v.Get("resourceType")
	if kind == nil {
		return v.Append(dst)
	}
	short := fhir.Value{Kind: fhir.Object, Members: []fhir.Member{{Name: "resourceType", Value: *kind}}}
	if id := v.Get("id"); id != nil {
		short.Members = append(short.Members, fhir.Member{Name: "id", Value: *id})
	}
	return short.Append(dst)
}
