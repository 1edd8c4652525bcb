package terminology

import (
	"strings"

	"bulkhead/server/fhir"
)

// ConceptMap is a ConceptMap resource, ready to be asked. It is read-only.
type ConceptMap struct {
	URL, Version   string
	Source, Target string // canonical URLs of value sets, without version; "" if it does not say
	groups         []mapGroup
}

type mapGroup struct {
	source, target string
	elements       []mapping
	unmapped       *fhir.Value
}

type mapping struct {
	code, display string
	targets       []Match
}

// Match is one code that another one is mapped to.
type Match struct {
	Equivalence           string // "" where the map says nothing
	System, Code, Display string
	Map                   string // canonical URL of the map
}

// ReadConceptMap makes a ConceptMap of a resource.
func ReadConceptMap(v *fhir.Value, version string) *ConceptMap {
	m := &ConceptMap{URL: v.Get("url").Text(), Version: version}
	if own := v.Get("version").Text(); own != "" {
		m.Version = own
	}
	plain := func(names ...string) string {
		for _, name := range names {
			if text, _, _ := strings.Cut(v.Get(name).Text(), "|"); text != "" {
				return text
			}
		}
		return ""
	}
	m.Source, m.Target = plain("sourceCanonical", "sourceUri"), plain("targetCanonical", "targetUri")
	for _, g := range items(v.Get("group")) {
		m.groups = append(m.groups, m.readGroup(&g))
	}
	return m
}

func (m *ConceptMap) readGroup(v *fhir.Value) mapGroup {
	g := mapGroup{source: v.Get("source").Text(), target: v.Get("target").Text(), unmapped: v.Get("unmapped")}
	for _, e := range items(v.Get("element")) {
		one := mapping{code: e.Get("code").Text(), display: e.Get("display").Text()}
		for _, t := range items(e.Get("target")) {
			one.targets = append(one.targets, Match{
				Equivalence: t.Get("equivalence").Text(), System: g.target, Code: t.Get("code").Text(), Display: t.Get("display").Text(), Map: m.URL,
			})
		}
		g.elements = append(g.elements, one)
	}
	return g
}

// inverse is the equivalence of a mapping that is read backwards.
var inverse = map[string]string{"wider": "narrower", "narrower": "wider", "subsumes": "specializes", "specializes": "subsumes"}

// Translate appends what a code of a system is mapped to; targetSystem "" allows any. reverse asks
// what is mapped to the code. Of other maps that the map points to for codes it does not have, none
// is followed.
func (m *ConceptMap) Translate(system, code, targetSystem string, reverse bool, out []Match) []Match {
	for i := range m.groups {
		g := &m.groups[i]
		from, to := g.source, g.target
		if reverse {
			from, to = to, from
		}
		if system != "" && from != system || targetSystem != "" && to != targetSystem {
			continue
		}
		if reverse {
			out = g.backwards(m.URL, code, out)
		} else {
			out = g.forwards(m.URL, code, out)
		}
	}
	return out
}

func (g *mapGroup) forwards(url, code string, out []Match) []Match {
	for i := range g.elements {
		if g.elements[i].code == code {
			return append(out, g.elements[i].targets...)
		}
	}
	switch g.unmapped.Get("mode").Text() {
	case "fixed":
		return append(out, Match{Equivalence: "inexact", System: g.target, Code: g.unmapped.Get("code").Text(), Display: g.unmapped.Get("display").Text(), Map: url})
	case "provided":
		return append(out, Match{Equivalence: "equal", System: g.target, Code: code, Map: url})
	}
	return out
}

func (g *mapGroup) backwards(url, code string, out []Match) []Match {
	for i := range g.elements {
		e := &g.elements[i]
		for _, t := range e.targets {
			if t.Code != code {
				continue
			}
			equivalence := t.Equivalence
			if other := inverse[equivalence]; other != "" {
				equivalence = other
			}
			out = append(out, Match{Equivalence: equivalence, System: g.source, Code: e.code, Display: e.display, Map: url})
		}
	}
	return out
}

// Maps tells whether a match counts as a translation.
func (m *Match) Maps() bool {
	return m.Code != "" && m.Equivalence != "unmatched" && m.Equivalence != "disjoint"
}
