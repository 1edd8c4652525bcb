package server

import (
	"strconv"
	"strings"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
)

// linkKind says how a link is written, and so what may be replaced in it.
type linkKind uint8

const (
	linkReference linkKind = iota // Reference.reference: the whole text
	linkURI                       // uri, url, oid, uuid, canonical: urn: only, a fragment or version may follow
	linkNarrative                 // Narrative.div: the values of href and src
)

// link is one place in a resource that may name another entry of its bundle.
type link struct {
	at   *fhir.Value // of a String
	sent fhir.Value  // what stood there
	kind linkKind
	cond *criterion // of a conditional reference
}

// findLinks lists the places in a resource that may have to be rewritten, in document order.
// A Bundle that is stored is a world of its own and is left alone.
func findLinks(set *definition.Set, v *fhir.Value) []link {
	f := linkFinder{set: set}
	f.resource(v)
	return f.found
}

type linkFinder struct {
	set   *definition.Set
	found []link
}

func (f *linkFinder) resource(v *fhir.Value) {
	t := f.set.ResourceType(v.Get("resourceType").Text())
	if t == nil || t.Name == "Bundle" {
		return
	}
	f.object(v, t.Block)
}

func (f *linkFinder) object(v *fhir.Value, block *definition.Block) {
	for i := range v.Members {
		m := &v.Members[i]
		field := block.Field(m.Name)
		if field == nil && strings.HasPrefix(m.Name, "_") {
			field = block.Field(m.Name[1:])
		}
		if field != nil {
			f.value(&m.Value, field, block)
		}
	}
}

func (f *linkFinder) value(v *fhir.Value, field *definition.Field, block *definition.Block) {
	switch v.Kind {
	case fhir.Array:
		for i := range v.Items {
			f.value(&v.Items[i], field, block)
		}
	case fhir.Object:
		switch {
		case field.Type.Name == "Resource":
			f.resource(v)
		case field.Block != nil:
			f.object(v, field.Block)
		}
	case fhir.String:
		switch field.Type.Name {
		case "uri", "url", "oid", "uuid", "canonical":
			if strings.HasPrefix(v.Raw, `"urn:`) {
				f.note(v, linkURI)
			}
		case "xhtml":
			if strings.Contains(v.Raw, "href") || strings.Contains(v.Raw, "src") {
				f.note(v, linkNarrative)
			}
		default:
			if field.Name == "reference" && block.Path == "Reference" && !strings.HasPrefix(v.Raw, `"#`) {
				f.note(v, linkReference)
			}
		}
	}
}

func (f *linkFinder) note(v *fhir.Value, kind linkKind) {
	f.found = append(f.found, link{at: v, sent: *v, kind: kind})
}

// rewrite replaces what target knows: it returns the relative reference that a text is to become,
// or "". It starts from what was sent, so it can be called again when targets have changed. It
// tells whether anything was replaced.
func (l *link) rewrite(target func(text string) string) bool {
	*l.at = l.sent
	text := l.sent.Text()
	if l.kind == linkNarrative {
		out := rewriteNarrative(text, target)
		if out == text {
			return false
		}
		*l.at = fhir.StringValue(out)
		return true
	}
	to, rest := target(text), ""
	if cut := strings.IndexAny(text, "#|"); to == "" && cut > 0 {
		to, rest = target(text[:cut]), text[cut:]
	}
	if to == "" {
		return false
	}
	*l.at = fhir.StringValue(to + rest)
	return true
}

// pathTo returns the path of a value inside v as a suffix, ".subject.reference".
func pathTo(v, to *fhir.Value) string {
	for i := range v.Members {
		m := &v.Members[i]
		if &m.Value == to {
			return "." + m.Name
		}
		if path := pathTo(&m.Value, to); path != "" {
			return "." + m.Name + path
		}
	}
	for i := range v.Items {
		if &v.Items[i] == to {
			return "[" + strconv.Itoa(i) + "]"
		}
		if path := pathTo(&v.Items[i], to); path != "" {
			return "[" + strconv.Itoa(i) + "]" + path
		}
	}
	return ""
}

// rewriteNarrative replaces the values of href and src attributes. The narrative is XHTML, so a
// value stands in quotes; the text between tags is never touched.
func rewriteNarrative(div string, target func(string) string) string {
	var b strings.Builder
	done := 0
	for i := 0; i < len(div); {
		tag := strings.IndexByte(div[i:], '<')
		if tag < 0 {
			break
		}
		i += tag + 1
		for i < len(div) && div[i] != '>' {
			quote := div[i]
			if quote != '"' && quote != '\'' {
				i++
				continue
			}
			end := strings.IndexByte(div[i+1:], quote)
			if end < 0 {
				return div
			}
			value := div[i+1 : i+1+end]
			if name := attribute(div[:i]); name == "href" || name == "src" {
				if to := target(value); to != "" {
					b.WriteString(div[done : i+1])
					b.WriteString(to)
					done = i + 1 + end
				}
			}
			i += end + 2
		}
	}
	if done == 0 {
		return div
	}
	b.WriteString(div[done:])
	return b.String()
}

// attribute returns the name before the equals sign that before ends with.
func attribute(before string) string {
	before = strings.TrimRight(before, " \t\r\n")
	before, ok := strings.CutSuffix(before, "=")
	if !ok {
		return ""
	}
	before = strings.TrimRight(before, " \t\r\n")
	return before[strings.LastIndexAny(before, " \t\r\n<")+1:]
}

// fullURLs resolves how the entries of a bundle call each other (R4 section 2.36.4.1).
type fullURLs struct {
	entries map[string]int // fullUrl, or Type/id for an entry that has none, to its index
	bases   []string       // of each entry: what its fullUrl has before Type/id, with the slash, or ""
}

// find returns the index of the entry that a link in entry from leads to, or -1.
func (u *fullURLs) find(from int, text string, kind linkKind) int {
	if i, ok := u.entries[text]; ok && (kind != linkURI || strings.HasPrefix(text, "urn:")) {
		return i
	}
	if kind == linkURI || u.bases[from] == "" || strings.Contains(text, ":") {
		return -1
	}
	if i, ok := u.entries[u.bases[from]+text]; ok {
		return i
	}
	return -1
}

// restBase returns what stands before Type/id in a URL, with the slash, or "" if it does not end so.
func restBase(set *definition.Set, url string) string {
	if !strings.HasPrefix(url, "http://") && !strings.HasPrefix(url, "https://") {
		return ""
	}
	id := strings.LastIndexByte(url, '/')
	typ := strings.LastIndexByte(url[:id], '/')
	if typ < 0 || set.ResourceType(url[typ+1:id]) == nil {
		return ""
	}
	return url[:typ+1]
}
