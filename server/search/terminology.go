package search

import (
	"strings"
)

// maxExpansion is how many codes a value set may list for :in.
const maxExpansion = 10000

// inValueSet understands :in and :not-in, whose values name value sets.
func (p *parser) inValueSet(fields []field, modifier string, values []string, name string) (criterion, error) {
	t := &tokens{fields: fields}
	for _, v := range values {
		url, ok := unescape(v)
		if !ok {
			return nil, badEscape(name)
		}
		codes, ok := p.expand(url)
		if !ok {
			return nil, wrong(name, "The value set %s is not known here, or its codes cannot be listed.", cut(url, 256))
		}
		if len(t.values)+len(codes) > maxExpansion {
			return nil, tooCostly(name, "A value set may have %d codes at most for :%s.", maxExpansion, modifier)
		}
		for _, c := range codes {
			t.values = append(t.values, tokenValue{system: c.System, code: c.Code})
		}
	}
	var one criterion = t
	if len(t.values) == 0 {
		one = constant{}
	}
	if modifier == "not-in" {
		return not{inner: one}, nil
	}
	return one, nil
}

// expand lists the codes of a value set of the project, else of the release.
func (p *parser) expand(url string) ([]Code, bool) {
	if p.Terminology != nil {
		return p.Terminology.Expand(url)
	}
	if t := p.catalog.Terminology; t != nil {
		if codes, ok := t.Expand(url); ok {
			return codes, true
		}
	}
	bare, _, _ := strings.Cut(url, "|")
	set := p.set.ValueSet(bare)
	if set == nil {
		return nil, false
	}
	var codes []Code
	complete := set.Each(func(system, code string) { codes = append(codes, Code{system, code}) })
	return codes, complete
}

// subsumed understands :above and :below, whose values are system|code.
func (p *parser) subsumed(fields []field, modifier string, values []string, name string) (criterion, error) {
	t := &tokens{fields: fields}
	for _, text := range values {
		v, err := parseToken(text, name)
		if err != nil {
			return nil, err
		}
		if v.anySystem || v.anyCode {
			return nil, wrong(name, "A value of :%s must be system|code.", modifier)
		}
		t.values = append(t.values, v)
		terminology := p.Terminology
		if terminology == nil {
			terminology = p.catalog.Terminology
		}
		if terminology == nil {
			continue
		}
		related := terminology.Below
		if modifier == "above" {
			related = terminology.Above
		}
		for _, c := range related(Code{v.system, v.code}) {
			t.values = append(t.values, tokenValue{system: c.System, code: c.Code})
		}
		if len(t.values) > maxExpansion {
			return nil, tooCostly(name, "A code may be related to %d codes at most for :%s.", maxExpansion, modifier)
		}
	}
	return t, nil
}
