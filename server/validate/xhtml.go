package validate

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// xhtmlElements are the elements that a narrative may use (R4 section 2.4.0, invariant txt-1).
var xhtmlElements = words(`a abbr acronym address area b bdo big blockquote br caption cite code col colgroup dd del dfn div
	dl dt em h1 h2 h3 h4 h5 h6 hr i img ins kbd li map ol p pre q samp small span strong sub sup table tbody td
	tfoot th thead tr tt u ul var`)

// xhtmlAttributes are the attributes that a narrative may use. Events are not among them.
var xhtmlAttributes = words(`abbr accesskey align alt axis bgcolor border cellhalign cellpadding cellspacing cellvalign char
	charoff charset cite class color colspan compact coords datetime dir face frame headers height href hreflang hspace id
	ismap lang longdesc name nowrap rel rev rowspan rules scope shape size span src start style summary tabindex target
	title type usemap valign value vspace width xml:lang xml:space xmlns`)

func words(list string) map[string]bool {
	out := map[string]bool{}
	for word := range strings.FieldsSeq(list) {
		out[word] = true
	}
	return out
}

const xhtmlNamespace = "http://www.w3.org/1999/xhtml"

// xhtmlProblem says what is wrong with a Narrative.div, or "". It must be well-formed XML with one
// div, of the elements and attributes for formatting only: no scripts, events, forms, frames, or
// links that run code. A namespace, if given, must be that of XHTML.
//
// empty is txt-2: there is neither text nor an image. The specification calls that an error too,
// but its own examples do it, so it is told apart.
func xhtmlProblem(text string) (problem string, empty bool) {
	s := xhtml{text: text}
	problem = s.document()
	return problem, !s.content
}

// xhtml is a scanner over the text that keeps the stack of open elements.
type xhtml struct {
	text    string
	pos     int
	open    []string
	content bool // text or an image was seen (txt-2)
}

// maxXHTMLDepth bounds the stack.
const maxXHTMLDepth = 200

func (s *xhtml) document() string {
	s.space()
	if !strings.HasPrefix(s.rest(), "<div") {
		return "it must begin with <div"
	}
	for s.pos < len(s.text) {
		var problem string
		if s.text[s.pos] == '<' {
			problem = s.markup()
		} else {
			problem = s.characters()
		}
		if problem != "" {
			return problem + " at byte " + strconv.Itoa(s.pos)
		}
		if len(s.open) == 0 {
			s.space()
			break
		}
	}
	switch {
	case len(s.open) > 0:
		return "<" + s.open[len(s.open)-1] + "> is not closed"
	case s.pos != len(s.text):
		return "there is something after the div"
	}
	return ""
}

func (s *xhtml) rest() string { return s.text[s.pos:] }

func (s *xhtml) space() {
	for s.pos < len(s.text) && isSpace(s.text[s.pos]) {
		s.pos++
	}
}

// characters reads text up to the next tag.
func (s *xhtml) characters() string {
	for s.pos < len(s.text) && s.text[s.pos] != '<' {
		switch c := s.text[s.pos]; {
		case c == '&':
			if problem := s.entity(); problem != "" {
				return problem
			}
			s.content = true
		case c < 0x20 && !isSpace(c):
			return "a control character"
		default:
			if !isSpace(c) {
				s.content = true
			}
			s.pos++
		}
	}
	return ""
}

// entity reads a character reference. XML knows five names; HTML's others are not defined here.
func (s *xhtml) entity() string {
	end := strings.IndexByte(s.rest(), ';')
	if end < 0 || end > 10 {
		return "an & that begins no entity"
	}
	name := s.rest()[1:end]
	switch name {
	case "lt", "gt", "amp", "quot", "apos":
		s.pos += end + 1
		return ""
	}
	if r, ok := charReference(name); !ok || r < 0x20 && r != '\t' && r != '\n' && r != '\r' {
		return "the entity &" + name + "; is not defined in XML"
	}
	s.pos += end + 1
	return ""
}

func charReference(name string) (rune, bool) {
	digits, ok := strings.CutPrefix(name, "#")
	if !ok {
		return 0, false
	}
	base := 10
	if hex, ok := strings.CutPrefix(digits, "x"); ok {
		digits, base = hex, 16
	}
	n, err := strconv.ParseUint(digits, base, 32)
	return rune(n), err == nil && n <= utf8.MaxRune
}

// markup reads a tag or a comment.
func (s *xhtml) markup() string {
	rest := s.rest()
	switch {
	case strings.HasPrefix(rest, "<!--"):
		end := strings.Index(rest[4:], "--")
		if end < 0 || !strings.HasPrefix(rest[4+end:], "-->") {
			return "a broken comment"
		}
		s.pos += 4 + end + 3
		return ""
	case strings.HasPrefix(rest, "<!"), strings.HasPrefix(rest, "<?"):
		return "declarations and processing instructions are not allowed"
	case strings.HasPrefix(rest, "</"):
		s.pos += 2
		name := s.name()
		s.space()
		if !strings.HasPrefix(s.rest(), ">") {
			return "a broken end tag"
		}
		if len(s.open) == 0 || s.open[len(s.open)-1] != name {
			return "</" + name + "> does not close what is open"
		}
		s.open = s.open[:len(s.open)-1]
		s.pos++
		return ""
	default:
		return s.startTag()
	}
}

func (s *xhtml) name() string {
	start := s.pos
	for s.pos < len(s.text) {
		c := s.text[s.pos]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == ':' || c == '-' || c == '_' || c == '.') {
			break
		}
		s.pos++
	}
	return s.text[start:s.pos]
}

func (s *xhtml) startTag() string {
	s.pos++
	name := s.name()
	if !xhtmlElements[name] {
		return "the element <" + cut(name) + "> is not allowed in narrative"
	}
	if len(s.open) >= maxXHTMLDepth {
		return "it nests too deep"
	}
	var seen []string
	for {
		before := s.pos
		s.space()
		switch {
		case strings.HasPrefix(s.rest(), "/>"):
			s.pos += 2
		case strings.HasPrefix(s.rest(), ">"):
			s.pos++
			s.open = append(s.open, name)
		default:
			if before == s.pos {
				return "a broken tag <" + name
			}
			attribute, problem := s.attribute(name)
			if problem != "" {
				return problem
			}
			for _, other := range seen {
				if other == attribute {
					return "the attribute " + attribute + " is given twice"
				}
			}
			seen = append(seen, attribute)
			continue
		}
		break
	}
	if name == "img" {
		s.content = true
	}
	return ""
}

func (s *xhtml) attribute(element string) (name, problem string) {
	name = s.name()
	if name == "" {
		return "", "a broken tag <" + element
	}
	s.space()
	if !strings.HasPrefix(s.rest(), "=") {
		return "", "the attribute " + cut(name) + " has no value"
	}
	s.pos++
	s.space()
	if s.pos >= len(s.text) || s.text[s.pos] != '"' && s.text[s.pos] != '\'' {
		return "", "the value of " + cut(name) + " must be in quotes"
	}
	quote := s.text[s.pos]
	s.pos++
	start := s.pos
	for s.pos < len(s.text) && s.text[s.pos] != quote {
		switch s.text[s.pos] {
		case '<':
			return "", "a < in the value of " + cut(name)
		case '&':
			if problem = s.entity(); problem != "" {
				return "", problem
			}
		default:
			s.pos++
		}
	}
	if s.pos >= len(s.text) {
		return "", "the value of " + cut(name) + " does not end"
	}
	value := s.text[start:s.pos]
	s.pos++
	return name, attributeProblem(element, name, value)
}

func attributeProblem(element, name, value string) string {
	if !xhtmlAttributes[name] && !strings.HasPrefix(name, "xmlns:") {
		return "the attribute " + cut(name) + " is not allowed in narrative"
	}
	switch name {
	case "xmlns":
		if value != xhtmlNamespace {
			return "xmlns must be " + xhtmlNamespace
		}
	case "href", "src", "cite", "longdesc", "usemap":
		if !safeURL(plain(value), element == "img") {
			return "the link in " + name + " is not allowed"
		}
	case "style":
		text := plain(value)
		for _, bad := range [...]string{"javascript:", "vbscript:", "expression(", "@import", "behavior:", "-moz-binding"} {
			if strings.Contains(text, bad) {
				return "the style is not allowed"
			}
		}
	}
	return ""
}

// plain resolves character references, drops white space and controls, and lowers the case, as
// browsers do before they look for a scheme.
func plain(value string) string {
	var b strings.Builder
	for i := 0; i < len(value); i++ {
		c := value[i]
		if c == '&' {
			if end := strings.IndexByte(value[i:], ';'); end > 0 {
				if r, ok := charReference(value[i+1 : i+end]); ok {
					if r > 0x20 {
						b.WriteRune(r)
					}
					i += end
					continue
				}
			}
		}
		if c > 0x20 {
			b.WriteByte(c)
		}
	}
	return strings.ToLower(b.String())
}

// safeURL refuses the schemes that run code; data: may only be a picture.
func safeURL(url string, image bool) bool {
	if strings.HasPrefix(url, "data:") {
		return image && strings.HasPrefix(url, "data:image/") && !strings.HasPrefix(url, "data:image/svg")
	}
	return !strings.HasPrefix(url, "javascript:") && !strings.HasPrefix(url, "vbscript:")
}

// cut shortens a name for an answer.
func cut(name string) string {
	if len(name) > 30 {
		return name[:30] + "..."
	}
	return name
}
