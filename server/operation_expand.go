package server

import (
	"cmp"
	"net/http"
	"strconv"
	"strings"

	"bulkhead/server/access"
	"bulkhead/server/fhir"
	"bulkhead/server/search"
	"bulkhead/server/terminology"
)

// maxExpansion is how many codes one answer may list. A longer expansion is read page by page.
const maxExpansion = 5000

// expansion is what a $expand asks for.
type expansion struct {
	filter        string
	offset, count int // count -1: all
	designations  bool
	active        bool
	selectable    bool // leave out what is not to be chosen by a user
	language      string
}

// expand answers $expand (http://hl7.org/fhir/R4/valueset-operation-expand.html).
func (s *Server) expand(r *request) error {
	if err := r.permit("ValueSet", access.Read); err != nil {
		return err
	}
	p, err := r.readParams(nil, "url", "valueSet", "valueSetVersion", "filter", "offset", "count", "includeDesignations", "activeOnly",
		"excludeNested", "excludeNotForUI", "excludePostCoordinated", "includeDefinition", "displayLanguage")
	if err != nil {
		return err
	}
	x, err := p.expansion()
	if err != nil {
		return err
	}
	t, err := r.terms()
	if err != nil {
		return err
	}
	vs, err := r.valueSetOf(p, t)
	if err != nil {
		return err
	}
	members, err := terminology.Expand(t, vs)
	if err != nil {
		return err
	}
	members = x.keep(members)
	if x.count < 0 && len(members)-x.offset > maxExpansion {
		return fhir.Errorf(fhir.TooCostly, "The expansion has %d codes, and one answer lists %d at most: ask for it with count and offset.", len(members), maxExpansion).
			With(http.StatusUnprocessableEntity).At("count")
	}
	return r.answer(http.StatusOK, x.write(vs, members))
}

func (p *params) expansion() (x expansion, err error) {
	if x.filter, err = p.text("filter"); err != nil {
		return x, err
	}
	x.filter = search.Fold(x.filter)
	if x.offset, err = p.number("offset", 0); err != nil {
		return x, err
	}
	if x.count, err = p.number("count", -1); err != nil {
		return x, err
	}
	if x.count > maxExpansion {
		return x, fhir.Errorf(fhir.TooCostly, "count may be %d at most.", maxExpansion).At(p.at("count"))
	}
	for name, field := range map[string]*bool{"includeDesignations": &x.designations, "activeOnly": &x.active, "excludeNotForUI": &x.selectable} {
		if *field, err = p.flag(name); err != nil {
			return x, err
		}
	}
	for _, name := range []string{"excludeNested", "excludePostCoordinated", "includeDefinition"} { // an expansion here has none of these
		if _, err := p.flag(name); err != nil {
			return x, err
		}
	}
	x.language, err = p.text("displayLanguage")
	return x, err
}

// keep leaves out what the filter and the flags do not want.
func (x *expansion) keep(members []terminology.Member) []terminology.Member {
	words := strings.Fields(x.filter)
	kept := members[:0]
	for _, m := range members {
		if x.active && m.Inactive || x.selectable && m.Abstract || !hasWords(&m, words) {
			continue
		}
		kept = append(kept, m)
	}
	return kept
}

// hasWords tells whether every word is part of the code, or begins a word of the display.
func hasWords(m *terminology.Member, words []string) bool {
	if len(words) == 0 {
		return true
	}
	code, display := search.Fold(m.Code), " "+search.Fold(m.Display)
	for _, word := range words {
		if !strings.HasPrefix(code, word) && !strings.Contains(strings.ReplaceAll(strings.ReplaceAll(display, "(", " "), "-", " "), " "+word) {
			return false
		}
	}
	return true
}

// write writes a ValueSet with the page of the expansion that is asked for.
func (x *expansion) write(vs *terminology.ValueSet, members []terminology.Member) string {
	b := []byte(`{"resourceType":"ValueSet"`)
	member := func(name, value string) {
		if value != "" {
			b = fhir.AppendString(append(b, `,"`+name+`":`...), value)
		}
	}
	member("url", vs.URL)
	member("version", vs.Version)
	member("name", vs.Name)
	member("title", vs.Title)
	member("status", cmp.Or(vs.Status, "unknown"))
	b = append(b, `,"expansion":{"identifier":"urn:uuid:`+newID()+`","timestamp":"`+fhir.FormatInstant(fhir.Now())+`"`...)
	b = strconv.AppendInt(append(b, `,"total":`...), int64(len(members)), 10)
	if x.offset > 0 || x.count >= 0 {
		b = strconv.AppendInt(append(b, `,"offset":`...), int64(x.offset), 10)
	}
	page := members[min(x.offset, len(members)):]
	if x.count >= 0 {
		page = page[:min(x.count, len(page))]
	}
	for i := range page {
		if i == 0 {
			b = append(b, `,"contains":[`...)
		} else {
			b = append(b, ',')
		}
		b = x.appendMember(b, &page[i])
	}
	if len(page) > 0 {
		b = append(b, ']')
	}
	return string(append(b, "}}"...))
}

func (x *expansion) appendMember(b []byte, m *terminology.Member) []byte {
	b = append(b, '{')
	member := func(name, value string) {
		if value != "" {
			if b[len(b)-1] != '{' {
				b = append(b, ',')
			}
			b = fhir.AppendString(append(b, `"`+name+`":`...), value)
		}
	}
	member("system", m.System)
	if m.Abstract {
		b = append(b, `,"abstract":true`...)
	}
	if m.Inactive {
		b = append(b, `,"inactive":true`...)
	}
	member("version", m.Version)
	member("code", m.Code)
	member("display", displayIn(x.language, m.Display, m.Designations))
	if x.designations && len(m.Designations) > 0 {
		list := fhir.Value{Kind: fhir.Array, Items: m.Designations}
		b = list.Append(append(b, `,"designation":`...))
	}
	return append(b, '}')
}

// displayIn returns the designation in a language, else the display.
func displayIn(language, display string, designations []fhir.Value) string {
	if language == "" {
		return display
	}
	for i := range designations {
		if strings.EqualFold(designations[i].Get("language").Text(), language) {
			return designations[i].Get("value").Text()
		}
	}
	return display
}
