package search

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
)

// Limits of a query. Beyond them it is refused.
const (
	DefaultCount  = 20
	MaxCount      = 1000
	MaxCriteria   = 64   // parameters in one query
	MaxValues     = 500  // alternatives of one parameter
	MaxChain      = 6    // steps of a chain or of nested _has
	MaxIncluded   = 32   // _include and _revinclude in one query
	MaxSortKeys   = 8    // keys of _sort
	maxValue      = 4096 // bytes of one alternative
	cursorParam   = "_cursor"
	idParam       = "_id"
	updatedParam  = "_lastUpdated"
	typeParam     = "_type"
	hasPrefix     = "_has:"
	wildcardParam = "*"
)

// Pair is one parameter of a query, decoded, in the order sent.
type Pair struct{ Name, Value string }

// Pairs decodes a query string or an x-www-form-urlencoded body and keeps the order, which
// url.ParseQuery does not.
func Pairs(query string) ([]Pair, error) {
	var out []Pair
	for part := range strings.SplitSeq(query, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		n, err1 := url.QueryUnescape(name)
		v, err2 := url.QueryUnescape(value)
		if err1 != nil || err2 != nil || !utf8.ValidString(n) || !utf8.ValidString(v) || strings.ContainsRune(n+v, 0) {
			return nil, fhir.Errorf(fhir.ValueInvalid, "The query has a broken percent escape, or text that is not UTF-8.").At(cut(name, 64))
		}
		out = append(out, Pair{n, v})
	}
	return out, nil
}

// Request is what is asked.
type Request struct {
	Type        string // resource type; "" searches all, or those of _type
	Compartment string // "Patient" of Patient/1/Observation; "" for none
	Owner       string // "1" of Patient/1/Observation
	Pairs       []Pair
	Lenient     bool      // Prefer: handling=lenient: leave out what is not understood
	Base        string    // URL of the project's FHIR API, without a slash at the end
	Now         time.Time // for the prefix ap

	// Terminology answers :in, :not-in, :above and :below in place of the catalog's, for one caller.
	// What it does not know is not looked for elsewhere.
	Terminology Terminology
}

// Search is a query that has been understood.
type Search struct {
	Count      int
	CountOnly  bool   // _summary=count
	Total      string // none, accurate or estimate
	Summary    string // "", true, text, data or false
	Elements   []string
	Includes   []Include
	Cursor     string       // the cursor as sent, "" on the first page
	Ignored    []fhir.Issue // what lenient handling left out
	Reached    []string     // types whose parameters chains and _has ask besides those searched
	Understood []Pair       // the query without what was left out and without the cursor

	set      *definition.Set
	plans    []*plan
	criteria []criterion
	sort     []sortKey
}

// Query is the query as it was understood, in normal form: the text for a self link, and what a
// cursor is bound to.
func (s *Search) Query() string {
	var b strings.Builder
	for i, p := range s.Understood {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(escapeName(p.Name))
		b.WriteByte('=')
		b.WriteString(url.QueryEscape(p.Value))
	}
	return b.String()
}

// escapeName escapes a parameter's name but leaves the colons of modifiers readable.
func escapeName(name string) string {
	return strings.ReplaceAll(url.QueryEscape(name), "%3A", ":")
}

// Types returns the resource types that are searched.
func (s *Search) Types() []string {
	out := make([]string, len(s.plans))
	for i, p := range s.plans {
		out[i] = p.typ.Name
	}
	return out
}

func (s *Search) typeIDs() []int16 {
	out := make([]int16, len(s.plans))
	for i, p := range s.plans {
		out[i] = p.typeID
	}
	return out
}

// Parse understands a query. What it does not understand is an error that names the parameter,
// unless handling is lenient. A value that is wrong is always an error.
func (c *Catalog) Parse(r Request) (*Search, error) {
	s := &Search{Count: DefaultCount, Total: "none", set: c.set}
	p := &parser{Request: r, s: s, set: c.set, catalog: c}
	if err := p.types(); err != nil {
		return nil, err
	}
	if err := p.compartment(); err != nil {
		return nil, err
	}
	for _, pair := range r.Pairs {
		if len(s.Understood) >= MaxCriteria {
			return nil, tooCostly(pair.Name, "A query may have %d parameters at most.", MaxCriteria)
		}
		err := p.parameter(pair)
		var u *unknownError
		if errors.As(err, &u) {
			if !r.Lenient {
				return nil, u.strict()
			}
			issue := u.issue
			issue.Severity = "warning"
			s.Ignored = append(s.Ignored, issue)
			continue
		}
		if err != nil {
			return nil, err
		}
		if pair.Name != cursorParam {
			s.Understood = append(s.Understood, pair)
		}
	}
	return s, nil
}

// Parse is Catalog.Parse with the parameters of a release.
func Parse(set *definition.Set, r Request) (*Search, error) { return Standard(set).Parse(r) }

// parser is the state of Parse.
type parser struct {
	Request
	s       *Search
	set     *definition.Set
	catalog *Catalog
}

// unknownError says that a parameter is not known or not supported: lenient handling leaves it out.
type unknownError struct{ issue fhir.Issue }

func (u *unknownError) Error() string { return u.issue.Diagnostics }

// strict is the error for strict handling.
func (u *unknownError) strict() *fhir.Error {
	return (&fhir.Error{Issues: []fhir.Issue{u.issue}}).With(400)
}

func unknown(name, format string, args ...any) error {
	e := fhir.Errorf(fhir.NotSupported, format, args...).At(name)
	return &unknownError{e.Issues[0]}
}

// wrong is an error in a value.
func wrong(name, format string, args ...any) error {
	return fhir.Errorf(fhir.ValueInvalid, format, args...).At(name).With(400)
}

func tooCostly(name, format string, args ...any) error {
	return fhir.Errorf(fhir.TooCostly, format, args...).At(name).With(400)
}

// types finds the types that are searched.
func (p *parser) types() error {
	if p.Type != "" {
		one := p.catalog.plan(p.Type)
		if one == nil {
			return fhir.Errorf(fhir.NotSupported, "%s is no resource type of FHIR %s.", p.Type, p.set.Version.Number()).With(404)
		}
		p.s.plans = []*plan{one}
		return nil
	}
	var names []string
	for _, pair := range p.Pairs {
		if pair.Name != typeParam {
			continue
		}
		for name := range strings.SplitSeq(pair.Value, ",") {
			if p.set.ResourceType(name) == nil {
				return wrong(typeParam, "%q is no resource type of FHIR %s.", cut(name, 64), p.set.Version.Number())
			}
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	if names == nil {
		for _, t := range p.set.ResourceTypes() {
			names = append(names, t.Name)
		}
	}
	for _, name := range names {
		p.s.plans = append(p.s.plans, p.catalog.plan(name))
	}
	return nil
}

// compartment restricts the search to what refers to the compartment's owner.
func (p *parser) compartment() error {
	if p.Compartment == "" {
		return nil
	}
	c := p.set.Compartment(p.Compartment)
	owner, known := definition.TypeID(p.Compartment)
	if c == nil || !known || !validID(p.Owner) {
		return fhir.Errorf(fhir.NotSupported, "There is no compartment %s/%s.", p.Compartment, cut(p.Owner, 64)).With(404)
	}
	var fields []field
	var kept []*plan
	var self []int16
	for _, one := range p.s.plans {
		in := false
		for _, code := range c.Params[one.typ.Name] {
			if code == "{def}" {
				self = append(self, one.typeID)
				in = true
			} else if x := one.byCode[code]; x != nil {
				fields = append(fields, field{one, x})
				in = true
			}
		}
		if in {
			kept = append(kept, one)
		}
	}
	p.s.plans = kept
	var inside []criterion
	if len(fields) > 0 {
		inside = append(inside, &references{fields: fields, targets: []target{{owner, p.Owner}}})
	}
	if len(self) > 0 {
		inside = append(inside, &ids{types: self, ids: []string{p.Owner}})
	}
	switch len(inside) {
	case 0:
		p.s.criteria = append(p.s.criteria, constant{})
	case 1:
		p.s.criteria = append(p.s.criteria, inside[0])
	default:
		p.s.criteria = append(p.s.criteria, anyOf{inner: inside})
	}
	return nil
}

// parameter understands one parameter of the query.
func (p *parser) parameter(pair Pair) error {
	name, modifier, _ := strings.Cut(pair.Name, ":")
	if handled, err := p.control(name, modifier, pair); handled {
		return err
	}
	one, err := p.criterion(p.s.plans, pair.Name, pair, 0)
	if err != nil {
		return err
	}
	p.s.add(one)
	return nil
}

// add adds a criterion. Two conditions on a date that a resource has at most once become one, so
// that date=ge2020&date=lt2021 is one stretch of the index.
func (s *Search) add(one criterion) {
	if all, ok := one.(allOf); ok {
		for _, x := range all.inner {
			s.add(x)
		}
		return
	}
	d, ok := one.(*datesCriterion)
	if ok && len(d.any) == 1 && allSingle(d.fields) {
		for _, other := range s.criteria {
			o, ok := other.(*datesCriterion)
			if ok && len(o.any) == 1 && slices.Equal(o.fields, d.fields) {
				o.any[0] = o.any[0].and(d.any[0])
				return
			}
		}
	}
	s.criteria = append(s.criteria, one)
}
