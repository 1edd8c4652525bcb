package validate

import (
	"strings"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
)

// checkReference checks a Reference: the form of the literal, that its type is known, that
// Reference.type agrees, and that the target is of an allowed type (nil targets: any).
func (w *walker) checkReference(targets []string, v *fhir.Value) {
	said := v.Get("type").Text()
	literal := v.Get("reference")
	target := ""
	if literal != nil && literal.Kind == fhir.String && literal.Raw != `""` {
		if text := literal.Text(); w.scope.missing(text) {
			w.broken("ref-1", quote(text)+" refers to a contained resource that is not there.")
			return
		}
		var problem string
		target, problem = w.target(literal.Text())
		if problem != "" {
			w.addAt("reference", fhir.ValueInvalid, "%s", problem)
			return
		}
	}
	if said != "" && target != "" && said != target && w.set.ResourceType(said) != nil {
		w.addAt("type", fhir.ValueInvalid, "type says %s, but the reference is to a %s.", said, target)
		return
	}
	member := "reference"
	if target == "" && w.set.ResourceType(said) != nil {
		member, target = "type", said
	}
	if target == "" || targets == nil || allowed(w.set, targets, target) {
		return
	}
	w.addAt(member, fhir.ValueInvalid, "A reference to %s is not allowed here; expected: %s.", target, strings.Join(targets, ", "))
}

func allowed(set *definition.Set, targets []string, target string) bool {
	for _, t := range targets {
		if t == target || set.IsSubtype(target, t) {
			return true
		}
	}
	return false
}

// target returns the resource type that a literal reference points to, "" if that cannot be
// known, or what is wrong with it.
func (w *walker) target(text string) (typeName, problem string) {
	if strings.HasPrefix(text, "#") {
		return w.fragment(text), ""
	}
	if hasSpace(text) {
		return "", quote(text) + " is no reference: it contains white space."
	}
	literal := ParseReference(w.set, text)
	switch literal.Form {
	case RelativeReference:
		return literal.Type, ""
	case AbsoluteReference:
		if entry := w.scope.entry(text); entry != nil {
			return entry.Get("resourceType").Text(), ""
		}
		return literal.Type, ""
	case ConditionalReference: // to be resolved before the resource is stored; see References
		return literal.Type, ""
	default:
		return "", quote(text) + " is no reference. Expected is Type/id with a resource type of FHIR " +
			w.set.Version.Number() + ", an absolute URL, urn:uuid:..., or #id of a contained resource."
	}
}

// fragment resolves "#id" among the contained resources, of which it must be one, and "#" to the
// container.
func (w *walker) fragment(text string) (typeName string) {
	if text == "#" {
		if w.scope.inside {
			w.useInside()
		}
		return w.scope.typ.Name
	}
	c := w.scope.find(text[1:])
	c.used = true
	return c.typ
}

// useInside marks the contained resource that the walk is in: it refers to its container.
func (w *walker) useInside() {
	for i := len(w.path) - 1; i >= 0; i-- {
		if w.path[i].name == "contained" && w.path[i].index >= 0 && w.path[i].index < len(w.scope.contained) {
			w.scope.contained[w.path[i].index].used = true
			return
		}
	}
}

// ReferenceForm is the form of Reference.reference.
type ReferenceForm uint8

// The forms (R4 section 2.3.0.1).
const (
	NoReference          ReferenceForm = iota // none of the others
	RelativeReference                         // Type/id, Type/id/_history/vid
	AbsoluteReference                         // a URI with a scheme
	FragmentReference                         // #id
	ConditionalReference                      // Type?search, in transactions only
)

// Literal is a Reference.reference taken apart.
type Literal struct {
	Form    ReferenceForm
	Type    string // relative, conditional, and absolute if the URL ends like a FHIR server's
	ID      string // relative and absolute likewise
	Version string // the part after _history, or ""
}

// ParseReference takes a literal reference apart; it says NoReference for a relative one whose
// type the release does not know.
func ParseReference(set *definition.Set, text string) Literal {
	switch {
	case text == "":
		return Literal{}
	case text[0] == '#':
		return Literal{Form: FragmentReference}
	}
	if query := strings.IndexByte(text, '?'); query > 0 && set.ResourceType(text[:query]) != nil {
		return Literal{Form: ConditionalReference, Type: text[:query]}
	}
	if hasScheme(text) {
		out := Literal{Form: AbsoluteReference}
		if strings.HasPrefix(text, "http://") || strings.HasPrefix(text, "https://") {
			if tail := restTail(set, text); tail.Form == RelativeReference {
				tail.Form = AbsoluteReference
				return tail
			}
		}
		return out
	}
	return splitRelative(set, text)
}

// splitRelative reads Type/id and Type/id/_history/vid.
func splitRelative(set *definition.Set, text string) Literal {
	slash := strings.IndexByte(text, '/')
	if slash < 0 || set.ResourceType(text[:slash]) == nil {
		return Literal{}
	}
	out := Literal{Form: RelativeReference, Type: text[:slash]}
	id, rest, versioned := strings.Cut(text[slash+1:], "/")
	out.ID = id
	if versioned {
		version, ok := strings.CutPrefix(rest, "_history/")
		if !ok || !fhirID(version) {
			return Literal{}
		}
		out.Version = version
	}
	if !fhirID(id) {
		return Literal{}
	}
	return out
}

// restTail reads the last segments of an absolute URL as a relative reference.
func restTail(set *definition.Set, url string) Literal {
	segments := strings.Split(url, "/")
	n := len(segments)
	if n >= 4 && segments[n-2] == "_history" {
		return splitRelative(set, strings.Join(segments[n-4:], "/"))
	}
	if n < 5 { // scheme, empty, host, type, id
		return Literal{}
	}
	return splitRelative(set, segments[n-2]+"/"+segments[n-1])
}

// hasScheme tells whether text begins with a URI scheme and a colon (RFC 3986 section 3.1).
func hasScheme(text string) bool {
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
		case i > 0 && (c >= '0' && c <= '9' || c == '+' || c == '-' || c == '.'):
		case c == ':':
			return i > 1 && i+1 < len(text)
		default:
			return false
		}
	}
	return false
}
