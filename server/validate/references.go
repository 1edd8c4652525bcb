package validate

import (
	"strconv"
	"strings"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
)

// Target is a resource of the same server that a document refers to.
type Target struct {
	Type string
	ID   string // "" for a conditional reference, which must be resolved before it is stored
	Text string // the reference as it was sent
	Path string // of the first Reference to it, as in issues: "Observation.subject.reference"
}

// References returns the distinct targets of the literal relative references in a resource, and
// of the conditional ones, in the order they stand in it. An absolute reference below base, the
// URL of the project's FHIR API, counts as a relative one; base may be "". References in contained
// resources count; what stands inside the entries of a Bundle or the parameters of Parameters does
// not, because it is of another resource. A resource that Resource would refuse may yield less.
func References(set *definition.Set, v *fhir.Value, base string) []Target {
	t := set.ResourceType(v.Get("resourceType").Text())
	if t == nil {
		return nil
	}
	f := finder{core: coreOf(set), base: base}
	f.path = append(f.path, t.Name...)
	f.object(v, t.Block)
	return f.found
}

// finder walks down the fields that hold objects; primitives are passed over.
type finder struct {
	*core
	base  string
	path  []byte
	found []Target
}

func (f *finder) object(v *fhir.Value, block *definition.Block) {
	for i := range v.Members {
		m := &v.Members[i]
		kind := m.Value.Kind
		if kind != fhir.Object && kind != fhir.Array {
			continue
		}
		field := block.Field(m.Name)
		if field == nil && len(m.Name) > 1 && m.Name[0] == '_' {
			field = block.Field(m.Name[1:])
		}
		if field == nil {
			continue
		}
		length := len(f.path)
		f.path = append(append(f.path, '.'), field.Name...)
		if kind == fhir.Object {
			f.value(&m.Value, field)
		} else {
			f.array(&m.Value, field)
		}
		f.path = f.path[:length]
	}
}

func (f *finder) array(v *fhir.Value, field *definition.Field) {
	length := len(f.path)
	for i := range v.Items {
		if v.Items[i].Kind != fhir.Object {
			continue
		}
		f.path = append(strconv.AppendInt(append(f.path, '['), int64(i), 10), ']')
		f.value(&v.Items[i], field)
		f.path = f.path[:length]
	}
}

func (f *finder) value(v *fhir.Value, field *definition.Field) {
	switch field.Type {
	case f.resource:
		if field.Element.Name == "contained" {
			if t := f.set.ResourceType(v.Get("resourceType").Text()); t != nil {
				f.object(v, t.Block)
			}
		}
		return
	case f.reference:
		if literal := v.Get("reference"); literal != nil && literal.Kind == fhir.String {
			f.note(literal.Text())
		}
	}
	f.object(v, field.Block)
}

func (f *finder) note(text string) {
	own := text
	if rest, ok := strings.CutPrefix(text, f.base); ok && f.base != "" && strings.HasPrefix(rest, "/") {
		own = rest[1:]
	}
	r := ParseReference(f.set, own)
	if r.Form != RelativeReference && r.Form != ConditionalReference {
		return
	}
	for i := range f.found {
		if f.found[i].Type == r.Type && f.found[i].ID == r.ID && (r.ID != "" || f.found[i].Text == text) {
			return
		}
	}
	f.found = append(f.found, Target{Type: r.Type, ID: r.ID, Text: text, Path: string(f.path) + ".reference"})
}
