package server

import (
	"net/http"
	"strings"

	"bulkhead/server/access"
	"bulkhead/server/fhir"
	"bulkhead/server/terminology"
)

// maxMatches is how many translations one answer may list.
const maxMatches = 1000

// translate answers $translate (http://hl7.org/fhir/R4/conceptmap-operation-translate.html). Without
// a concept map it asks all of the project and of the specification.
func (s *Server) translate(r *request) error {
	if err := r.permit("ConceptMap", access.Read); err != nil {
		return err
	}
	p, err := r.readParams(nil, "url", "conceptMap", "conceptMapVersion", "code", "system", "version", "source", "coding", "codeableConcept", "target", "targetsystem", "reverse")
	if err != nil {
		return err
	}
	codings, err := p.codings("system", "version")
	if err != nil {
		return err
	}
	var source, target, targetSystem string
	for name, field := range map[string]*string{"source": &source, "target": &target, "targetsystem": &targetSystem} {
		if *field, err = p.text(name); err != nil {
			return err
		}
	}
	reverse, err := p.flag("reverse")
	if err != nil {
		return err
	}
	maps, err := r.conceptMaps(p)
	if err != nil {
		return err
	}
	if reverse {
		source, target = target, source
	}
	var found []terminology.Match
	for _, m := range maps {
		if source != "" && m.Source != source || target != "" && m.Target != target {
			continue
		}
		for _, c := range codings {
			found = m.Translate(c.system, c.code, targetSystem, reverse, found)
		}
		if len(found) > maxMatches {
			return fhir.Errorf(fhir.TooCostly, "There are more than %d translations: name a concept map or a target.", maxMatches).With(http.StatusUnprocessableEntity).At("url")
		}
	}
	return r.answer(http.StatusOK, writeMatches(found))
}

func writeMatches(found []terminology.Match) string {
	ok := false
	for i := range found {
		ok = ok || found[i].Maps()
	}
	w := newParameters()
	w.flag("result", ok)
	if !ok {
		w.text("message", "String", "No translation of the code is known here.")
	}
	for i := range found {
		m := &found[i]
		w.parts("match", func() {
			w.text("equivalence", "Code", m.Equivalence)
			if m.Code != "" {
				w.coding("concept", m.System, m.Code, m.Display)
			}
			w.text("source", "Uri", m.Map)
		})
	}
	return w.String()
}

// conceptMaps finds the maps to ask: the stored one of the path, the one sent along, the one with a
// canonical URL, or all.
func (r *request) conceptMaps(p *params) ([]*terminology.ConceptMap, error) {
	if id := r.Param("id"); id != "" {
		if !validID(id) {
			return nil, notFound()
		}
		v, err := r.readStored(id)
		if err != nil {
			return nil, err
		}
		return []*terminology.ConceptMap{terminology.ReadConceptMap(v, "")}, nil
	}
	sent, err := p.object("conceptMap")
	if err != nil {
		return nil, err
	}
	if sent != nil {
		return []*terminology.ConceptMap{terminology.ReadConceptMap(sent, "")}, nil
	}
	url, err := p.text("url")
	if err != nil {
		return nil, err
	}
	version, err := p.text("conceptMapVersion")
	if err != nil {
		return nil, err
	}
	t, err := r.terms()
	if err != nil {
		return nil, err
	}
	library := t.shelf("ConceptMap")
	if url == "" {
		return library.ConceptMaps(), nil
	}
	plain, tail, _ := strings.Cut(url, "|")
	if version == "" {
		version = tail
	}
	if m := library.ConceptMap(plain, version); m != nil {
		return []*terminology.ConceptMap{m}, nil
	}
	return nil, unknownCanonical("concept map", url, p.at("url"))
}
