package search

import (
	"strings"

	"bulkhead/server/definition"
)

// splitReference takes the type and id off the end of a literal reference: "Patient/1",
// "Patient/1/_history/2", "http://host/base/Patient/1". It is false when the reference does not
// end in a resource type known to R4 or R4B and an id.
func splitReference(text string) (name, id string, ok bool) {
	if i := strings.Index(text, "/_history/"); i >= 0 {
		text = text[:i]
	}
	cutAt := strings.LastIndexByte(text, '/')
	if cutAt < 0 || !validID(text[cutAt+1:]) {
		return "", "", false
	}
	name, id = text[:cutAt], text[cutAt+1:]
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		name = name[i+1:]
	}
	if _, known := definition.TypeID(name); !known {
		return "", "", false
	}
	return name, id, true
}

// validID tells whether text is a FHIR id: 1 to 64 of A-Z a-z 0-9 - and dot.
func validID(text string) bool {
	if text == "" || len(text) > 64 {
		return false
	}
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c != '-' && c != '.' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}

// isAbsolute tells whether a reference carries a scheme: http, https, urn and so on.
func isAbsolute(text string) bool {
	i := strings.IndexByte(text, ':')
	return i > 0 && strings.IndexByte(text[:i], '/') < 0
}

// local splits a reference to a resource of this server: relative, or absolute below base.
func local(text, base string) (name, id string, ok bool) {
	if isAbsolute(text) {
		if base == "" || !strings.HasPrefix(text, base) {
			return "", "", false
		}
		text = strings.TrimPrefix(text[len(base):], "/")
	}
	if i := strings.Index(text, "/_history/"); i >= 0 {
		text = text[:i]
	}
	if strings.Count(text, "/") != 1 {
		return "", "", false
	}
	return splitReference(text)
}
