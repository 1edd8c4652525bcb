package server

import (
	"strings"

	"bulkhead/server/search"
	"bulkhead/server/terminology"
)

// parseSearch understands a query with the terminology that the caller may read.
func (r *request) parseSearch(asked search.Request) (*search.Search, error) {
	terms := &searchTerms{r: r}
	asked.Terminology = terms
	found, err := search.Parse(r.set, asked)
	if terms.err != nil {
		return nil, terms.err
	}
	return found, err
}

// searchTerms answers :in, :not-in, :above and :below of one query. The project's definitions are
// read only if one of these is asked.
type searchTerms struct {
	r     *request
	terms *terms
	err   error // the definitions could not be read, or a value set costs too much
}

func (s *searchTerms) open() bool {
	if s.terms == nil && s.err == nil {
		s.terms, s.err = s.r.terms()
	}
	return s.err == nil
}

// Expand lists the codes of the value set with a canonical URL.
func (s *searchTerms) Expand(valueSet string) ([]search.Code, bool) {
	if !s.open() {
		return nil, false
	}
	vs := s.find(valueSet)
	if vs == nil {
		return nil, false
	}
	members, err := terminology.Expand(s.terms, vs)
	if err != nil {
		return nil, false
	}
	codes := make([]search.Code, len(members))
	for i := range members {
		codes[i] = search.Code{System: members[i].System, Code: members[i].Code}
	}
	return codes, true
}

func (s *searchTerms) find(valueSet string) *terminology.ValueSet {
	url, version, _ := strings.Cut(valueSet, "|")
	return s.terms.ValueSet(url, version)
}

// Above lists a code and all that subsume it.
func (s *searchTerms) Above(c search.Code) []search.Code { return s.related(c, terminology.Above) }

// Below lists a code and all that it subsumes.
func (s *searchTerms) Below(c search.Code) []search.Code { return s.related(c, terminology.Below) }

func (s *searchTerms) related(c search.Code, reach func(*terminology.Concept) []*terminology.Concept) []search.Code {
	codes := []search.Code{c}
	if c.System == "" || !s.open() {
		return codes
	}
	cs := s.terms.CodeSystem(c.System, "")
	if cs == nil {
		return codes
	}
	if concept := cs.Find(c.Code); concept != nil {
		for _, other := range reach(concept) {
			codes = append(codes, search.Code{System: c.System, Code: other.Code})
		}
	}
	return codes
}
