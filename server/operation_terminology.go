package server

import (
	"net/http"
	"strconv"
	"strings"

	"bulkhead/server/access"
	"bulkhead/server/fhir"
	"bulkhead/server/terminology"
)

// terms is what a caller may use of the terminology of its project and of the release. What the
// token's scopes do not let the caller read of the project is as if it was not there.
type terms struct {
	project, release *terminology.Library
	may              map[string]bool // resource types that the caller may read
}

// terms returns the terminology for the request.
func (r *request) terms() (*terms, error) {
	k, err := r.know()
	if err != nil {
		return nil, err
	}
	t := &terms{project: k.terms, release: terminology.Standard(r.set), may: map[string]bool{}}
	for _, typ := range []string{"CodeSystem", "ValueSet", "ConceptMap"} {
		t.may[typ] = r.permit(typ, access.Read) == nil
	}
	return t, nil
}

func (t *terms) shelf(typ string) *terminology.Library {
	if t.may[typ] {
		return t.project
	}
	return t.release
}

// CodeSystem makes terms a terminology.Resolver.
func (t *terms) CodeSystem(url, version string) *terminology.CodeSystem {
	return t.shelf("CodeSystem").CodeSystem(url, version)
}

// ValueSet makes terms a terminology.Resolver.
func (t *terms) ValueSet(url, version string) *terminology.ValueSet {
	return t.shelf("ValueSet").ValueSet(url, version)
}

// on makes an operation one of a resource type alone.
func on(typ string, handle func(*request) error) func(*request) error {
	return func(r *request) error {
		if r.typ != typ {
			return fhir.Errorf(fhir.NotSupported, "This operation is one of %s.", typ).With(http.StatusNotFound)
		}
		return handle(r)
	}
}

// anyOf picks the operation of a resource type where several have one of the same name.
func anyOf(handlers map[string]func(*request) error) func(*request) error {
	return func(r *request) error {
		handle := handlers[r.typ]
		if handle == nil {
			return fhir.Errorf(fhir.NotSupported, "%s has no such operation.", r.typ).With(http.StatusNotFound)
		}
		return handle(r)
	}
}

// unknownCanonical is the error for a canonical URL that leads to nothing here.
func unknownCanonical(what, url, at string) error {
	if len(url) > 200 {
		url = strings.ToValidUTF8(url[:200], "") + "..."
	}
	return fhir.Errorf(fhir.NotFound, "Neither this project nor the specification holds the %s %q.", what, url).At(at)
}

// valueSetOf finds the value set that an operation is about: the stored one of the path, the one
// sent along, or the one with a canonical URL.
func (r *request) valueSetOf(p *params, t *terms) (*terminology.ValueSet, error) {
	if id := r.Param("id"); id != "" {
		if !validID(id) {
			return nil, notFound()
		}
		v, err := r.readStored(id)
		if err != nil {
			return nil, err
		}
		return terminology.ReadValueSet(v, ""), nil
	}
	sent, err := p.object("valueSet")
	if err != nil {
		return nil, err
	}
	if sent != nil {
		if sent.Get("resourceType").Text() != "ValueSet" {
			return nil, fhir.Errorf(fhir.Invalid, "The parameter valueSet must be a ValueSet.").At(p.at("valueSet"))
		}
		return terminology.ReadValueSet(sent, ""), nil
	}
	url, err := p.text("url")
	if err != nil {
		return nil, err
	}
	if url == "" {
		return nil, fhir.Errorf(fhir.Required, "The operation needs url, valueSet, or the id of a ValueSet in the path.").At("url")
	}
	version, err := p.text("valueSetVersion")
	if err != nil {
		return nil, err
	}
	plain, tail, _ := strings.Cut(url, "|")
	if version == "" {
		version = tail
	}
	if vs := t.ValueSet(plain, version); vs != nil {
		return vs, nil
	}
	return nil, unknownCanonical("value set", url, p.at("url"))
}

// codeSystemOf finds the code system that an operation is about.
func (r *request) codeSystemOf(p *params, t *terms, name, url, version string) (*terminology.CodeSystem, error) {
	if id := r.Param("id"); id != "" {
		if !validID(id) {
			return nil, notFound()
		}
		v, err := r.readStored(id)
		if err != nil {
			return nil, err
		}
		cs := terminology.ReadCodeSystem(v, "")
		if url != "" && url != cs.URL {
			return nil, fhir.Errorf(fhir.Invalid, "The code system in the path is %s, not that of the parameter.", cs.URL).At(p.at(name))
		}
		return cs, nil
	}
	if url == "" {
		return nil, fhir.Errorf(fhir.Required, "The operation needs the URL of a code system.").At(name)
	}
	plain, tail, _ := strings.Cut(url, "|")
	if version == "" {
		version = tail
	}
	if cs := t.CodeSystem(plain, version); cs != nil {
		return cs, nil
	}
	return nil, unknownCanonical("code system", url, p.at(name))
}

// coding is a code that an operation was given.
type coding struct {
	system, version, code, display string
	at                             string // the parameter that it came in
}

func codingOf(v *fhir.Value, at string) coding {
	return coding{v.Get("system").Text(), v.Get("version").Text(), v.Get("code").Text(), v.Get("display").Text(), at}
}

// codings reads the codes of an operation: from code with system, from a coding, or from a
// codeableConcept. There is at least one, each with a code.
func (p *params) codings(system, version string) ([]coding, error) {
	plain := coding{at: p.at("code")}
	for name, field := range map[string]*string{"code": &plain.code, system: &plain.system, version: &plain.version, "display": &plain.display} {
		var err error
		if *field, err = p.text(name); err != nil {
			return nil, err
		}
	}
	var list []coding
	if plain.code != "" {
		list = append(list, plain)
	}
	one, err := p.object("coding")
	if err != nil {
		return nil, err
	}
	if one != nil {
		list = append(list, codingOf(one, p.at("coding")))
	}
	concept, err := p.object("codeableConcept")
	if err != nil {
		return nil, err
	}
	if all := concept.Get("coding"); all != nil {
		if len(all.Items) > maxParams {
			return nil, fhir.Errorf(fhir.TooCostly, "The concept has too many codings.").At(p.at("codeableConcept"))
		}
		for i := range all.Items {
			list = append(list, codingOf(&all.Items[i], p.at("codeableConcept")))
		}
	}
	if len(list) == 0 || list[0].code == "" {
		return nil, fhir.Errorf(fhir.Required, "The operation needs a code.").At("code")
	}
	return list, nil
}

// parameters writes a Parameters resource.
type parameters struct {
	b    []byte
	more bool // a comma comes before the next parameter
}

func newParameters() *parameters {
	return &parameters{b: []byte(`{"resourceType":"Parameters","parameter":[`)}
}

func (w *parameters) begin(name string) {
	if w.more {
		w.b = append(w.b, ',')
	}
	w.b = append(w.b, `{"name":`...)
	w.b = fhir.AppendString(w.b, name)
	w.more = true
}

// text writes a parameter of a type that JSON has as a string; nothing if value is "".
func (w *parameters) text(name, typ, value string) {
	if value == "" {
		return
	}
	w.begin(name)
	w.b = append(w.b, `,"value`+typ+`":`...)
	w.b = append(fhir.AppendString(w.b, value), '}')
}

func (w *parameters) flag(name string, value bool) {
	w.begin(name)
	w.b = append(w.b, `,"valueBoolean":`+strconv.FormatBool(value)+`}`...)
}

// value writes a parameter whose value comes from a resource.
func (w *parameters) value(name, typ string, value *fhir.Value) {
	w.begin(name)
	w.b = append(w.b, `,"value`+typ+`":`...)
	w.b = append(value.Append(w.b), '}')
}

func (w *parameters) coding(name, system, code, display string) {
	w.begin(name)
	c := fhir.Coding{System: system, Code: code, Display: display}
	w.b = append(w.b, `,"valueCoding":`...)
	if system == "" {
		w.b = append(fhir.AppendString(append(w.b, `{"code":`...), code), "}}"...)
		return
	}
	w.b = append(c.Append(w.b), '}')
}

// parts writes a parameter that has parts.
func (w *parameters) parts(name string, fill func()) {
	w.begin(name)
	w.b, w.more = append(w.b, `,"part":[`...), false
	fill()
	w.b, w.more = append(w.b, "]}"...), true
}

func (w *parameters) String() string { return string(w.b) + "]}" }
