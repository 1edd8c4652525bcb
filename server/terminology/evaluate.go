package terminology

import (
	"regexp"
	"strings"

	"bulkhead/server/fhir"
)

// Resolver finds what value sets refer to. version "" asks for the one that counts without a
// version. It returns nil for what is not there.
type Resolver interface {
	CodeSystem(url, version string) *CodeSystem
	ValueSet(url, version string) *ValueSet
}

// Bounds of one evaluation. Beyond them it ends with an error of type too-costly.
const (
	MaxMembers = 50_000    // codes of an expansion, and of each part of it
	maxWork    = 1_000_000 // concepts looked at
	maxDepth   = 16        // value sets that include each other
	maxPattern = 256       // bytes of a regular expression
)

// Member is a code of a value set.
type Member struct {
	System, Version, Code, Display string
	Designations                   []fhir.Value
	Abstract, Inactive             bool
	Concept                        *Concept // nil if the code system is not known
}

type memberKey struct{ system, code string }

func (m *Member) key() memberKey { return memberKey{m.System, m.Code} }

// evaluation is one question about a value set.
type evaluation struct {
	resolver Resolver
	work     int
}

func (e *evaluation) spend(n int) error {
	if e.work += n; e.work > maxWork {
		return tooCostly("The value set takes too long to evaluate.")
	}
	return nil
}

func tooCostly(text string) error {
	return fhir.Errorf(fhir.TooCostly, "%s", text).With(422)
}

func unknown(what, url string) error {
	return fhir.Errorf(fhir.NotFound, "The %s %s is needed, and it is not here as a whole.", what, quote(url)).With(422)
}

func quote(text string) string {
	const most = 200
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return `"` + text + `"`
}

// Expand lists the codes of a value set in the order of its compose. Errors: too-costly, and
// not-found (with status 422) where a code system or value set is needed that is not known.
func Expand(r Resolver, vs *ValueSet) ([]Member, error) {
	e := &evaluation{resolver: r}
	return e.expand(vs, 0)
}

func (e *evaluation) expand(vs *ValueSet, depth int) ([]Member, error) {
	if depth > maxDepth {
		return nil, tooCostly("The value set includes others too deeply, or itself.")
	}
	var out []Member
	seen := map[memberKey]bool{}
	for i := range vs.includes {
		list, err := e.list(&vs.includes[i], depth)
		if err != nil {
			return nil, err
		}
		for _, m := range list {
			if !seen[m.key()] && (vs.inactive || !m.Inactive) {
				seen[m.key()] = true
				out = append(out, m)
			}
		}
		if len(out) > MaxMembers {
			return nil, tooCostly("The value set has too many codes to be expanded.")
		}
	}
	for i := range vs.excludes {
		list, err := e.list(&vs.excludes[i], depth)
		if err != nil {
			return nil, err
		}
		for _, m := range list {
			delete(seen, m.key())
		}
	}
	kept := out[:0]
	for _, m := range out {
		if seen[m.key()] {
			kept = append(kept, m)
		}
	}
	return kept, nil
}

// system finds the code system of a clause; the version that it names may be another than the one
// that is held.
func (e *evaluation) system(c *clause) *CodeSystem {
	if cs := e.resolver.CodeSystem(c.system, c.version); cs != nil || c.version == "" {
		return cs
	}
	return e.resolver.CodeSystem(c.system, "")
}

func (e *evaluation) valueSet(canonical string) *ValueSet {
	url, version, _ := strings.Cut(canonical, "|")
	if vs := e.resolver.ValueSet(url, version); vs != nil || version == "" {
		return vs
	}
	return e.resolver.ValueSet(url, "")
}

// list lists the codes of one clause: those of its system that are in every value set it names.
func (e *evaluation) list(c *clause, depth int) ([]Member, error) {
	if err := e.spend(1); err != nil {
		return nil, err
	}
	var out []Member
	first := true
	if c.system != "" {
		var err error
		if out, err = e.listSystem(c); err != nil {
			return nil, err
		}
		first = false
	}
	for _, url := range c.valueSets {
		vs := e.valueSet(url)
		if vs == nil {
			return nil, unknown("value set", url)
		}
		inner, err := e.expand(vs, depth+1)
		if err != nil {
			return nil, err
		}
		if first {
			out, first = inner, false
			continue
		}
		in := make(map[memberKey]bool, len(inner))
		for i := range inner {
			in[inner[i].key()] = true
		}
		kept := out[:0:0]
		for _, m := range out {
			if in[m.key()] {
				kept = append(kept, m)
			}
		}
		out = kept
	}
	return out, e.spend(len(out))
}

func (e *evaluation) listSystem(c *clause) ([]Member, error) {
	cs := e.system(c)
	if c.concepts != nil {
		out := make([]Member, 0, len(c.concepts))
		for i := range c.concepts {
			out = append(out, c.member(cs, &c.concepts[i]))
		}
		return out, e.spend(len(out))
	}
	if cs == nil || !cs.Whole() {
		return nil, unknown("code system", c.system)
	}
	match, err := matcher(cs, c.filters)
	if err != nil {
		return nil, err
	}
	var out []Member
	for _, concept := range cs.Concepts {
		if err := e.spend(1 + len(c.filters)); err != nil {
			return nil, err
		}
		if match(concept) {
			if len(out) >= MaxMembers {
				return nil, tooCostly("The value set has too many codes to be expanded.")
			}
			out = append(out, memberOf(cs, concept))
		}
	}
	return out, nil
}

func memberOf(cs *CodeSystem, c *Concept) Member {
	return Member{
		System: cs.URL, Version: cs.Version, Code: c.Code, Display: c.Display, Designations: c.Designations,
		Abstract: c.Abstract, Inactive: c.Inactive, Concept: c,
	}
}

// member is a listed code: what the clause says of it goes before what the code system does.
func (c *clause) member(cs *CodeSystem, l *listed) Member {
	m := Member{System: c.system, Version: c.version, Code: l.code, Display: l.display, Designations: l.designations, Abstract: l.abstract, Inactive: l.inactive}
	if cs == nil {
		return m
	}
	m.Version = cs.Version
	if concept := cs.Find(l.code); concept != nil {
		m.Concept = concept
		m.Abstract, m.Inactive = m.Abstract || concept.Abstract, m.Inactive || concept.Inactive
		if m.Display == "" {
			m.Display = concept.Display
		}
		if m.Designations == nil {
			m.Designations = concept.Designations
		}
	}
	return m
}

// matcher makes one test of the filters of a clause (http://hl7.org/fhir/R4/valueset-filter-operator.html).
func matcher(cs *CodeSystem, filters []filter) (func(*Concept) bool, error) {
	var tests []func(*Concept) bool
	for _, f := range filters {
		test, err := f.test(cs)
		if err != nil {
			return nil, err
		}
		tests = append(tests, test)
	}
	return func(c *Concept) bool {
		for _, test := range tests {
			if !test(c) {
				return false
			}
		}
		return true
	}, nil
}

func (f *filter) test(cs *CodeSystem) (func(*Concept) bool, error) {
	switch f.op {
	case "is-a", "descendent-of", "is-not-a", "generalizes":
		return f.hierarchyTest(cs)
	case "=":
		return func(c *Concept) bool { return f.any(c, func(text string) bool { return text == f.value }) }, nil
	case "in", "not-in":
		in := map[string]bool{}
		for text := range strings.SplitSeq(f.value, ",") {
			in[strings.TrimSpace(text)] = true
		}
		return func(c *Concept) bool {
			return f.any(c, func(text string) bool { return in[text] }) == (f.op == "in")
		}, nil
	case "exists":
		return func(c *Concept) bool { return f.any(c, func(string) bool { return true }) == (f.value == "true") }, nil
	case "regex":
		if len(f.value) > maxPattern {
			return nil, tooCostly("A regular expression in a filter is too long.")
		}
		pattern, err := regexp.Compile(`^(?:` + f.value + `)$`)
		if err != nil {
			return nil, fhir.Errorf(fhir.ValueInvalid, "The regular expression %s of a filter cannot be read.", quote(f.value)).With(422)
		}
		return func(c *Concept) bool { return f.any(c, pattern.MatchString) }, nil
	}
	return nil, fhir.Errorf(fhir.NotSupported, "The filter %s is not known.", quote(f.op)).With(422)
}

func (f *filter) hierarchyTest(cs *CodeSystem) (func(*Concept) bool, error) {
	root := cs.Find(f.value)
	if root == nil {
		return func(*Concept) bool { return f.op == "is-not-a" }, nil
	}
	list := Below(root)
	if f.op == "generalizes" {
		list = Above(root)
	}
	in := make(map[*Concept]bool, len(list))
	for _, c := range list {
		in[c] = true
	}
	if f.op == "descendent-of" {
		delete(in, root)
	}
	return func(c *Concept) bool { return in[c] != (f.op == "is-not-a") }, nil
}

// any tells whether a value of the filter's property passes a test.
func (f *filter) any(c *Concept, test func(string) bool) bool {
	switch f.property {
	case "code", "concept":
		return test(c.Code)
	case "display":
		return test(c.Display)
	}
	for i := range c.Properties {
		if c.Properties[i].Code == f.property && test(c.Properties[i].Text()) {
			return true
		}
	}
	related := map[string][]*Concept{"parent": c.Parents, "child": c.Children}[f.property]
	for _, other := range related {
		if test(other.Code) {
			return true
		}
	}
	return false
}
