package server

import (
	"net/http"
	"strings"

	"bulkhead/server/access"
	"bulkhead/server/definition"
	"bulkhead/server/terminology"
)

// verdict is the answer of $validate-code.
type verdict struct {
	ok                    bool
	message               string
	system, code, display string
}

func (v *verdict) write() string {
	w := newParameters()
	w.flag("result", v.ok)
	w.text("message", "String", v.message)
	w.text("code", "Code", v.code)
	w.text("system", "Uri", v.system)
	w.text("display", "String", v.display)
	return w.String()
}

// checkDisplay makes a verdict of a code that is right: its display must be one that is known.
func checkDisplay(c coding, system, code, display string, designations []string) verdict {
	v := verdict{ok: true, system: system, code: code, display: display}
	if c.display == "" || display == "" || strings.EqualFold(c.display, display) {
		return v
	}
	for _, other := range designations {
		if strings.EqualFold(c.display, other) {
			return v
		}
	}
	v.ok, v.message = false, "The code is right, but its display is "+short(display)+"."
	return v
}

func short(text string) string {
	const most = 200
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return `"` + text + `"`
}

// validateCode answers $validate-code on a ValueSet
// (http://hl7.org/fhir/R4/valueset-operation-validate-code.html): whether one of the codes given
// belongs to it. What cannot be known is not right.
func (s *Server) validateCode(r *request) error {
	if err := r.permit("ValueSet", access.Read); err != nil {
		return err
	}
	p, err := r.readParams(nil, "url", "valueSet", "valueSetVersion", "code", "system", "systemVersion", "display", "coding", "codeableConcept", "abstract", "displayLanguage")
	if err != nil {
		return err
	}
	t, err := r.terms()
	if err != nil {
		return err
	}
	codings, err := p.codings("system", "systemVersion")
	if err != nil {
		return err
	}
	abstract := true
	if p.all("abstract") != nil {
		if abstract, err = p.flag("abstract"); err != nil {
			return err
		}
	}
	vs, err := r.valueSetOf(p, t)
	if err != nil {
		return err
	}
	var first *verdict
	for _, c := range codings {
		v, err := judge(t, vs, c, abstract)
		if err != nil {
			return err
		}
		if v.ok {
			return r.answer(http.StatusOK, v.write())
		}
		if first == nil {
			first = &v
		}
	}
	return r.answer(http.StatusOK, first.write())
}

func judge(t *terms, vs *terminology.ValueSet, c coding, abstract bool) (verdict, error) {
	m, in, err := terminology.Contains(t, vs, c.system, c.code)
	if err != nil {
		return verdict{}, err
	}
	switch {
	case in == definition.Unknown:
		return verdict{message: "Whether the code " + short(c.code) + " belongs to the value set cannot be known: a code system or value set that it needs is not here as a whole.", system: c.system, code: c.code}, nil
	case in == definition.NotMember:
		return verdict{message: "The code " + short(c.code) + " of " + short(c.system) + " does not belong to the value set " + short(vs.URL) + ".", system: c.system, code: c.code}, nil
	case m.Abstract && !abstract:
		return verdict{message: "The code " + short(c.code) + " is abstract.", system: m.System, code: m.Code, display: m.Display}, nil
	}
	var others []string
	for i := range m.Designations {
		others = append(others, m.Designations[i].Get("value").Text())
	}
	return checkDisplay(c, m.System, m.Code, m.Display, others), nil
}

// validateSystemCode answers $validate-code on a CodeSystem
// (http://hl7.org/fhir/R4/codesystem-operation-validate-code.html).
func (s *Server) validateSystemCode(r *request) error {
	if err := r.permit("CodeSystem", access.Read); err != nil {
		return err
	}
	p, err := r.readParams(nil, "url", "version", "code", "display", "coding", "codeableConcept", "displayLanguage")
	if err != nil {
		return err
	}
	t, err := r.terms()
	if err != nil {
		return err
	}
	codings, err := p.codings("url", "version")
	if err != nil {
		return err
	}
	url, err := p.text("url")
	if err != nil {
		return err
	}
	var first *verdict
	for _, c := range codings {
		if url != "" && c.system != "" && c.system != url {
			continue
		}
		cs, err := r.codeSystemOf(p, t, "url", c.system, c.version)
		if err != nil {
			return err
		}
		v := verdict{message: "The code " + short(c.code) + " is none of " + short(cs.URL) + ".", system: cs.URL, code: c.code}
		if concept := cs.Find(c.code); concept != nil {
			var others []string
			for i := range concept.Designations {
				others = append(others, concept.Designations[i].Get("value").Text())
			}
			v = checkDisplay(c, cs.URL, concept.Code, concept.Display, others)
		}
		if v.ok {
			return r.answer(http.StatusOK, v.write())
		}
		if first == nil {
			first = &v
		}
	}
	if first == nil {
		first = &verdict{message: "None of the codings is of the code system " + short(url) + "."}
	}
	return r.answer(http.StatusOK, first.write())
}
