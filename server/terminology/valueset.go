package terminology

import "bulkhead/server/fhir"

// ValueSet is a ValueSet resource, ready to be evaluated. It is read-only.
type ValueSet struct {
	URL, Version, Name, Title, Status string
	includes, excludes                []clause
	inactive                          bool // codes that are inactive belong too
}

// clause is an include or exclude of a compose.
type clause struct {
	system, version string
	concepts        []listed // nil: not listed
	codes           map[string]*listed
	filters         []filter
	valueSets       []string
}

// listed is a concept that a clause lists, with what it says of it.
type listed struct {
	code, display string
	designations  []fhir.Value
	abstract      bool
	inactive      bool
}

type filter struct{ property, op, value string }

// ReadValueSet makes a ValueSet of a resource: its compose, or its expansion where there is none.
// version is that of the resource where the resource does not say it.
func ReadValueSet(v *fhir.Value, version string) *ValueSet {
	vs := &ValueSet{URL: v.Get("url").Text(), Version: version, Name: v.Get("name").Text(), Title: v.Get("title").Text(), Status: v.Get("status").Text(), inactive: true}
	if own := v.Get("version").Text(); own != "" {
		vs.Version = own
	}
	compose := v.Get("compose")
	if compose == nil {
		vs.includes = readExpansion(items(v.Get("expansion").Get("contains")), nil)
		for i := range vs.includes {
			vs.includes[i].index()
		}
		return vs
	}
	vs.inactive = compose.Get("inactive").Text() != "false"
	for _, c := range items(compose.Get("include")) {
		vs.includes = append(vs.includes, readClause(&c))
	}
	for _, c := range items(compose.Get("exclude")) {
		vs.excludes = append(vs.excludes, readClause(&c))
	}
	return vs
}

func readClause(v *fhir.Value) clause {
	c := clause{system: v.Get("system").Text(), version: v.Get("version").Text()}
	for _, one := range items(v.Get("concept")) {
		c.concepts = append(c.concepts, listed{code: one.Get("code").Text(), display: one.Get("display").Text(), designations: items(one.Get("designation"))})
	}
	for _, f := range items(v.Get("filter")) {
		c.filters = append(c.filters, filter{f.Get("property").Text(), f.Get("op").Text(), f.Get("value").Text()})
	}
	for _, url := range items(v.Get("valueSet")) {
		c.valueSets = append(c.valueSets, url.Text())
	}
	c.index()
	return c
}

func (c *clause) index() {
	if c.concepts == nil {
		return
	}
	c.codes = make(map[string]*listed, len(c.concepts))
	for i := range c.concepts {
		c.codes[c.concepts[i].code] = &c.concepts[i]
	}
}

// readExpansion makes clauses of an expansion, one for each run of codes of one system.
func readExpansion(list []fhir.Value, out []clause) []clause {
	for i := range list {
		v := &list[i]
		if code := v.Get("code").Text(); code != "" {
			system := v.Get("system").Text()
			if len(out) == 0 || out[len(out)-1].system != system {
				out = append(out, clause{system: system, version: v.Get("version").Text()})
			}
			last := &out[len(out)-1]
			last.concepts = append(last.concepts, listed{
				code: code, display: v.Get("display").Text(), designations: items(v.Get("designation")),
				abstract: v.Get("abstract").Text() == "true", inactive: v.Get("inactive").Text() == "true",
			})
		}
		out = readExpansion(items(v.Get("contains")), out)
	}
	return out
}
