package access

import "strings"

// Scopes is what a client may ask for, or what a token was granted: a set of scopes that add up.
type Scopes []Scope

// ParseScopes reads a scope string (RFC 6749 section 3.3): values between spaces, in any order.
// Repeated values count once. One unknown value fails the whole string, as ErrUnknownScope.
func ParseScopes(text string) (Scopes, error) {
	if len(text) > MaxTotalLength {
		return nil, ErrTooManyScopes
	}
	fields := strings.Fields(text)
	if len(fields) > MaxScopes {
		return nil, ErrTooManyScopes
	}
	set := make(Scopes, 0, len(fields))
	for _, field := range fields {
		if set.Has(field) {
			continue
		}
		scope, err := ParseScope(field)
		if err != nil {
			return nil, err
		}
		set = append(set, scope)
	}
	return set, nil
}

// ReadScopes reads a list of scopes that was accepted before, such as a stored one. What it does
// not understand grants nothing and is left out.
func ReadScopes(list []string) Scopes {
	set := make(Scopes, 0, len(list))
	for _, text := range list {
		if scope, err := ParseScope(text); err == nil {
			set = append(set, scope)
		}
	}
	return set
}

// String writes the scopes as they were written, between single spaces.
func (s Scopes) String() string { return strings.Join(s.Strings(), " ") }

// Strings lists the scopes as they were written.
func (s Scopes) Strings() []string {
	list := make([]string, len(s))
	for i := range s {
		list[i] = s[i].Text
	}
	return list
}

// Has tells whether the scope written exactly so is in the set.
func (s Scopes) Has(text string) bool {
	for i := range s {
		if s[i].Text == text {
			return true
		}
	}
	return false
}

// In returns the scopes of one context.
func (s Scopes) In(context Context) Scopes {
	var found Scopes
	for i := range s {
		if s[i].Context == context {
			found = append(found, s[i])
		}
	}
	return found
}

// Cover tells whether a holder of s may be given wanted. Permissions of several scopes add up:
// Patient.r and *.s together cover Patient.rs. A scope with a query covers only the same query; a
// scope without one covers any.
func (s Scopes) Cover(wanted Scope) bool {
	if wanted.Context == None {
		return s.Has(wanted.Text)
	}
	var got Interaction
	for i := range s {
		if s[i].covers(wanted) {
			got |= s[i].Allow
		}
	}
	return wanted.Allow&^got == 0
}

// CoverAll tells whether a holder of s may be given every one of wanted.
func (s Scopes) CoverAll(wanted Scopes) bool {
	for i := range wanted {
		if !s.Cover(wanted[i]) {
			return false
		}
	}
	return true
}

// Allows tells whether the set permits every one of the interactions on all resources of a type;
// typeName AnyType asks for all types (a search of the whole system).
//
// Only system scopes without a query count. A scope with a query allows some of the resources, and
// patient and user scopes those of one person: until a request can be narrowed to these, counting
// them would show too much.
func (s Scopes) Allows(typeName string, interactions Interaction) bool {
	var got Interaction
	for i := range s {
		if s[i].Context == System && s[i].Query == "" && (s[i].Type == AnyType || s[i].Type == typeName) {
			got |= s[i].Allow
		}
	}
	return interactions != 0 && interactions&^got == 0
}
