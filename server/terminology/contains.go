package terminology

import "bulkhead/server/definition"

// Contains tells whether a value set has a code, and what is known of it. system "" asks for the
// code in any system. The answer is Unknown where a code system is needed that is not here.
func Contains(r Resolver, vs *ValueSet, system, code string) (Member, definition.Membership, error) {
	e := &evaluation{resolver: r}
	return e.find(vs, system, code, 0)
}

func (e *evaluation) find(vs *ValueSet, system, code string, depth int) (Member, definition.Membership, error) {
	if depth > maxDepth {
		return Member{}, definition.Unknown, tooCostly("The value set includes others too deeply, or itself.")
	}
	answer := definition.NotMember
	for i := range vs.includes {
		m, in, err := e.in(&vs.includes[i], system, code, depth)
		if err != nil {
			return m, in, err
		}
		if in == definition.Unknown {
			answer = in
		}
		if in != definition.Member || m.Inactive && !vs.inactive {
			continue
		}
		out, err := e.excluded(vs, &m, depth)
		if err != nil || out == definition.NotMember {
			return m, definition.Member, err
		}
		if out == definition.Unknown {
			answer = out
		}
	}
	return Member{}, answer, nil
}

func (e *evaluation) excluded(vs *ValueSet, m *Member, depth int) (definition.Membership, error) {
	answer := definition.NotMember
	for i := range vs.excludes {
		_, in, err := e.in(&vs.excludes[i], m.System, m.Code, depth)
		if err != nil || in == definition.Member {
			return in, err
		}
		if in == definition.Unknown {
			answer = in
		}
	}
	return answer, nil
}

// in tells whether one clause has a code.
func (e *evaluation) in(c *clause, system, code string, depth int) (m Member, answer definition.Membership, err error) {
	if err := e.spend(1 + len(c.filters)); err != nil {
		return m, definition.Unknown, err
	}
	if c.system != "" {
		if m, answer, err = e.inSystem(c, system, code); err != nil || answer == definition.NotMember {
			return m, answer, err
		}
		system = c.system
	} else {
		answer = definition.Member
	}
	for _, url := range c.valueSets {
		vs := e.valueSet(url)
		if vs == nil {
			answer = definition.Unknown
			continue
		}
		inner, in, err := e.find(vs, system, code, depth+1)
		if err != nil || in == definition.NotMember {
			return m, in, err
		}
		if in == definition.Unknown {
			answer = in
		} else if m.Code == "" {
			m, system = inner, inner.System
		}
	}
	if c.system == "" && len(c.valueSets) == 0 {
		return m, definition.NotMember, nil
	}
	return m, answer, nil
}

func (e *evaluation) inSystem(c *clause, system, code string) (Member, definition.Membership, error) {
	if system != "" && system != c.system {
		return Member{}, definition.NotMember, nil
	}
	cs := e.system(c)
	if c.concepts != nil {
		if l := c.codes[code]; l != nil {
			return c.member(cs, l), definition.Member, nil
		}
		if cs != nil {
			if concept := cs.Find(code); concept != nil && c.codes[concept.Code] != nil { // in other letters
				return c.member(cs, c.codes[concept.Code]), definition.Member, nil
			}
		}
		return Member{}, definition.NotMember, nil
	}
	if cs == nil {
		return Member{}, definition.Unknown, nil
	}
	concept := cs.Find(code)
	if concept == nil {
		if cs.Whole() {
			return Member{}, definition.NotMember, nil
		}
		return Member{}, definition.Unknown, nil
	}
	match, err := matcher(cs, c.filters)
	if err != nil || !match(concept) {
		return Member{}, definition.NotMember, err
	}
	return memberOf(cs, concept), definition.Member, nil
}
