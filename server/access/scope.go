package access

import (
	"errors"
	"net/url"
	"strings"
)

// Context is the part of a SMART resource scope before the slash: on whose behalf the client acts.
type Context uint8

// The contexts of SMART App Launch 2.2. None marks a scope that grants no resource.
const (
	None    Context = iota
	Patient         // the patient of the launch context
	User            // whatever the person who signed in may see
	System          // the client itself, without a person
)

var contextNames = [...]string{"", "patient", "user", "system"}

func (c Context) String() string { return contextNames[c] }

// Interaction is a set of the five permissions of SMART App Launch 2.2, one bit each.
type Interaction uint8

// The permissions in the order in which a version 2 scope must write them. Read covers read, vread
// and instance history; Update covers patch; Search covers type and system history too.
const (
	Create Interaction = 1 << iota
	Read
	Update
	Delete
	Search

	All = Create | Read | Update | Delete | Search
)

const interactionLetters = "cruds"

// String writes the permissions as the suffix of a version 2 scope, "rs" for Read|Search.
func (i Interaction) String() string {
	var b strings.Builder
	for n := range len(interactionLetters) {
		if i&(1<<n) != 0 {
			b.WriteByte(interactionLetters[n])
		}
	}
	return b.String()
}

// parseInteraction reads the suffix of a resource scope: version 1's read, write and *, or a
// non-empty subset of "cruds" in this order.
func parseInteraction(s string) (Interaction, bool) {
	switch s {
	case "read":
		return Read | Search, true
	case "write":
		return Create | Update | Delete, true
	case "*":
		return All, true
	}
	var set Interaction
	next := 0
	for i := range len(s) {
		n := strings.IndexByte(interactionLetters[next:], s[i])
		if n < 0 {
			return 0, false
		}
		set |= 1 << (next + n)
		next += n + 1
	}
	return set, set != 0
}

// AnyType is the type of a scope that is granted for every resource type.
const AnyType = "*"

// Scope is one scope value (RFC 6749 section 3.3) that Bulkhead understands.
type Scope struct {
	Context Context     // None for scopes that grant no resource, such as openid
	Type    string      // a resource type name or AnyType; "" when Context is None
	Allow   Interaction // 0 when Context is None
	Query   string      // the search criteria after '?', as written; "" when there are none
	Text    string      // the whole scope as it was written
}

// Bounds of what is parsed: a scope string travels in every token and in every request.
const (
	MaxScopes      = 256
	MaxScopeLength = 512
	MaxTotalLength = 4096
)

// The ways a scope or a scope string can be wrong.
var (
	ErrUnknownScope  = errors.New("the scope is not one that this server knows")
	ErrTooManyScopes = errors.New("the scope string is longer than this server reads")
)

// plainScopes grant no resource by themselves.
var plainScopes = map[string]bool{
	"openid": true, "fhirUser": true, "profile": true, "email": true,
	"launch": true, "launch/patient": true, "launch/encounter": true,
	"offline_access": true, "online_access": true,
}

// ParseScope reads one scope value: (patient|user|system)/(Type|*).(cruds|read|write|*)[?query],
// openid, fhirUser and their like. Everything else is ErrUnknownScope.
func ParseScope(text string) (Scope, error) {
	if len(text) > MaxScopeLength {
		return Scope{}, ErrUnknownScope
	}
	if plainScopes[text] {
		return Scope{Text: text}, nil
	}
	name, rest, ok := strings.Cut(text, "/")
	if !ok {
		return Scope{}, ErrUnknownScope
	}
	var context Context
	switch name {
	case "patient":
		context = Patient
	case "user":
		context = User
	case "system":
		context = System
	default:
		return Scope{}, ErrUnknownScope
	}
	rest, query, hasQuery := strings.Cut(rest, "?")
	if hasQuery && !validQuery(query) {
		return Scope{}, ErrUnknownScope
	}
	typeName, suffix, ok := strings.Cut(rest, ".")
	if !ok || !validType(typeName) {
		return Scope{}, ErrUnknownScope
	}
	allow, ok := parseInteraction(suffix)
	if !ok {
		return Scope{}, ErrUnknownScope
	}
	return Scope{Context: context, Type: typeName, Allow: allow, Query: query, Text: text}, nil
}

// validType tells whether s is * or has the shape of a resource type name.
func validType(s string) bool {
	if s == AnyType {
		return true
	}
	if s == "" || len(s) > 64 || s[0] < 'A' || s[0] > 'Z' {
		return false
	}
	for i := 1; i < len(s); i++ {
		c := s[i] | 0x20
		if (c < 'a' || c > 'z') && (s[i] < '0' || s[i] > '9') {
			return false
		}
	}
	return true
}

// validQuery tells whether s is one or more name=value pairs made of the characters that RFC 6749
// allows in a scope.
func validQuery(s string) bool {
	if s == "" {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c < 0x21 || c > 0x7e || c == '"' || c == '\\' {
			return false
		}
	}
	values, err := url.ParseQuery(s)
	if err != nil || len(values) == 0 {
		return false
	}
	for name, list := range values {
		for _, value := range list {
			if name == "" || value == "" {
				return false
			}
		}
	}
	return true
}

// covers tells whether holding s alone grants everything that wanted asks, apart from the
// permissions in which s falls short.
func (s Scope) covers(wanted Scope) bool {
	return s.Context == wanted.Context &&
		(s.Type == AnyType || s.Type == wanted.Type) &&
		(s.Query == "" || s.Query == wanted.Query)
}
