package server

import (
	"net/http"
	"slices"

	"bulkhead/server/access"
	"bulkhead/server/fhir"
	"bulkhead/server/terminology"
)

// lookup answers $lookup (http://hl7.org/fhir/R4/codesystem-operation-lookup.html).
func (s *Server) lookup(r *request) error {
	if err := r.permit("CodeSystem", access.Read); err != nil {
		return err
	}
	p, err := r.readParams(nil, "code", "system", "version", "coding", "property", "displayLanguage", "date")
	if err != nil {
		return err
	}
	if p.all("date") != nil {
		return fhir.Errorf(fhir.NotSupported, "Code systems are held as they are now; date is not supported.").At(p.at("date"))
	}
	codings, err := p.codings("system", "version")
	if err != nil {
		return err
	}
	language, err := p.text("displayLanguage")
	if err != nil {
		return err
	}
	t, err := r.terms()
	if err != nil {
		return err
	}
	c := codings[0]
	cs, err := r.codeSystemOf(p, t, "system", c.system, c.version)
	if err != nil {
		return err
	}
	concept := cs.Find(c.code)
	if concept == nil {
		return fhir.Errorf(fhir.NotFound, "The code system %s has no code %s here.", cs.URL, short(c.code)).At(c.at)
	}
	var wanted []string
	for _, one := range p.all("property") {
		if one.value != nil {
			wanted = append(wanted, one.value.Text())
		}
	}
	return r.answer(http.StatusOK, writeConcept(cs, concept, wanted, language))
}

// writeConcept says what is known of a concept; wanted nil asks for all properties.
func writeConcept(cs *terminology.CodeSystem, c *terminology.Concept, wanted []string, language string) string {
	wants := func(name string) bool { return wanted == nil || slices.Contains(wanted, name) }
	w := newParameters()
	name := cs.Title
	if name == "" {
		name = cs.Name
	}
	if name == "" {
		name = cs.URL
	}
	w.text("name", "String", name)
	w.text("version", "String", cs.Version)
	display := displayIn(language, c.Display, c.Designations)
	if display == "" {
		display = c.Code
	}
	w.text("display", "String", display)
	if wants("designation") {
		for i := range c.Designations {
			d := &c.Designations[i]
			w.parts("designation", func() {
				w.text("language", "Code", d.Get("language").Text())
				if use := d.Get("use"); use != nil {
					w.value("use", "Coding", use)
				}
				w.text("value", "String", d.Get("value").Text())
			})
		}
	}
	property := func(code string, value func()) {
		if wants(code) {
			w.parts("property", func() {
				w.text("code", "Code", code)
				value()
			})
		}
	}
	for i := range c.Properties {
		if p := &c.Properties[i]; p.Code != "parent" && p.Code != "child" && p.Code != "inactive" && p.Type != "" {
			property(p.Code, func() { w.value("value", p.Type, &p.Value) })
		}
	}
	property("inactive", func() { w.flag("value", c.Inactive) })
	for _, related := range []struct {
		name string
		list []*terminology.Concept
	}{{"parent", c.Parents}, {"child", c.Children}} {
		for _, other := range related.list {
			property(related.name, func() {
				w.text("value", "Code", other.Code)
				w.text("description", "String", other.Display)
			})
		}
	}
	return w.String()
}

// subsumes answers $subsumes (http://hl7.org/fhir/R4/codesystem-operation-subsumes.html).
func (s *Server) subsumes(r *request) error {
	if err := r.permit("CodeSystem", access.Read); err != nil {
		return err
	}
	p, err := r.readParams(nil, "codeA", "codeB", "system", "version", "codingA", "codingB")
	if err != nil {
		return err
	}
	t, err := r.terms()
	if err != nil {
		return err
	}
	var cs *terminology.CodeSystem
	var found [2]*terminology.Concept
	var systems [2]string
	for i, letter := range []string{"A", "B"} {
		c, err := p.codeOf(letter)
		if err != nil {
			return err
		}
		if systems[i] = c.system; i > 0 && systems[0] != c.system {
			return fhir.Errorf(fhir.Invalid, "The two codes are of different code systems.").At(c.at)
		}
		if cs == nil {
			if cs, err = r.codeSystemOf(p, t, "system", c.system, c.version); err != nil {
				return err
			}
		}
		if found[i] = cs.Find(c.code); found[i] == nil {
			return fhir.Errorf(fhir.NotFound, "The code system %s has no code %s here.", cs.URL, short(c.code)).At(c.at)
		}
	}
	outcome := "not-subsumed"
	switch a, b := found[0], found[1]; {
	case a == b:
		outcome = "equivalent"
	case terminology.Subsumes(a, b):
		outcome = "subsumes"
	case terminology.Subsumes(b, a):
		outcome = "subsumed-by"
	}
	w := newParameters()
	w.text("outcome", "Code", outcome)
	return r.answer(http.StatusOK, w.String())
}

// codeOf reads one of the two codes of $subsumes.
func (p *params) codeOf(letter string) (coding, error) {
	sent, err := p.object("coding" + letter)
	if err != nil {
		return coding{}, err
	}
	c := coding{at: p.at("code" + letter)}
	if sent != nil {
		c = codingOf(sent, p.at("coding"+letter))
	}
	for name, field := range map[string]*string{"code" + letter: &c.code, "system": &c.system, "version": &c.version} {
		text, err := p.text(name)
		if err != nil {
			return c, err
		}
		if text != "" && *field == "" {
			*field = text
		}
	}
	if c.code == "" {
		return c, fhir.Errorf(fhir.Required, "The operation needs two codes.").At("code" + letter)
	}
	return c, nil
}
