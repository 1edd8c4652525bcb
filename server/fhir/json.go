package fhir

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Kind is the JSON kind of a Value.
type Kind uint8

// The kinds of JSON values (RFC 8259 section 3).
const (
	Null Kind = iota
	False
	True
	Number
	String
	Array
	Object
)

var kindNames = [...]string{"null", "boolean", "boolean", "number", "string", "array", "object"}

func (k Kind) String() string { return kindNames[k] }

// Value is one JSON value exactly as it was sent: member order, number lexemes and string
// escapes survive, because a FHIR decimal carries its precision ("1.50" is not "1.5") and stored
// text is returned as it came.
//
// A parsed tree is read-only; rooms share it without copying.
type Value struct {
	Kind    Kind
	Raw     string   // String: the token with its quotes; Number: the lexeme; otherwise empty
	Members []Member // Object: in the order sent
	Items   []Value  // Array
}

// Member is one name and value of an Object.
type Member struct {
	Name  string // unescaped
	Value Value
}

// Get returns the member called name, or nil when v is no object or has none.
func (v *Value) Get(name string) *Value {
	if v == nil || v.Kind != Object {
		return nil
	}
	for i := range v.Members {
		if v.Members[i].Name == name {
			return &v.Members[i].Value
		}
	}
	return nil
}

// Text returns a String without quotes and escapes, a Number's lexeme, "true" or "false", and ""
// for everything else (a nil Value included).
func (v *Value) Text() string {
	if v == nil {
		return ""
	}
	switch v.Kind {
	case String:
		inner := v.Raw[1 : len(v.Raw)-1]
		if strings.IndexByte(inner, '\\') < 0 {
			return inner
		}
		return unescape(inner)
	case Number:
		return v.Raw
	case True:
		return "true"
	case False:
		return "false"
	default:
		return ""
	}
}

// StringValue makes a String from text.
func StringValue(text string) Value {
	return Value{Kind: String, Raw: string(AppendString(nil, text))}
}

// Append writes v as compact JSON to dst and returns the extended slice.
func (v *Value) Append(dst []byte) []byte {
	switch v.Kind {
	case Null:
		return append(dst, "null"...)
	case False:
		return append(dst, "false"...)
	case True:
		return append(dst, "true"...)
	case Array:
		dst = append(dst, '[')
		for i := range v.Items {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = v.Items[i].Append(dst)
		}
		return append(dst, ']')
	case Object:
		dst = append(dst, '{')
		for i := range v.Members {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = AppendString(dst, v.Members[i].Name)
			dst = append(dst, ':')
			dst = v.Members[i].Value.Append(dst)
		}
		return append(dst, '}')
	default:
		return append(dst, v.Raw...)
	}
}

const hexDigits = "0123456789abcdef"

// AppendString writes text as a JSON string token. Only what JSON demands is escaped.
func AppendString(dst []byte, text string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, text[start:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		start = i + 1
	}
	dst = append(dst, text[start:]...)
	return append(dst, '"')
}

// MaxDepth is how deep a document may nest. The deepest official example reaches 21.
const MaxDepth = 64

// Parse reads one JSON document. It refuses what RFC 8259 refuses, and besides: invalid UTF-8,
// U+0000 and lone surrogates (Postgres text cannot hold them), duplicate member names, nesting
// beyond MaxDepth, and numbers that no float64 can hold.
//
// Every error is an *Error of type structure whose diagnostics name the byte offset. For a
// duplicate name the expression is its path below the root.
func Parse(src string) (Value, error) {
	p := parser{src: src}
	p.space()
	v, ok := p.value(0)
	if ok {
		p.space()
		if p.pos != len(src) {
			p.fail("unexpected text after the end of the document")
		}
	}
	if p.err != "" {
		issue := Issue{
			Code:        Structure,
			Diagnostics: fmt.Sprintf("The body is not well-formed JSON: %s at byte %d.", p.err, p.errPos),
		}
		if p.errPath != "" {
			issue.Expression = []string{p.errPath}
		}
		return Value{}, &Error{Issues: []Issue{issue}}
	}
	return v, nil
}

// parser is a recursive descent over src. Children of an object or array gather on a stack that
// all levels share and are copied out once their number is known, so that each node costs one
// allocation of the right size.
type parser struct {
	src     string
	pos     int
	members []Member
	items   []Value
	err     string
	errPos  int
	errPath string // of a member that appears twice, below the root: "name[0].given"
}

func (p *parser) fail(reason string) bool {
	if p.err == "" {
		p.err, p.errPos = reason, p.pos
	}
	return false
}

func (p *parser) space() {
	for p.pos < len(p.src) {
		switch p.src[p.pos] {
		case ' ', '\t', '\n', '\r':
			p.pos++
		default:
			return
		}
	}
}

func (p *parser) value(depth int) (Value, bool) {
	if p.pos >= len(p.src) {
		return Value{}, p.fail("unexpected end")
	}
	if depth > MaxDepth {
		return Value{}, p.fail("nesting deeper than " + strconv.Itoa(MaxDepth))
	}
	switch c := p.src[p.pos]; {
	case c == '"':
		raw, ok := p.string()
		return Value{Kind: String, Raw: raw}, ok
	case c == '{':
		return p.object(depth)
	case c == '[':
		return p.array(depth)
	case c == '-' || c >= '0' && c <= '9':
		raw, ok := p.number()
		return Value{Kind: Number, Raw: raw}, ok
	case strings.HasPrefix(p.src[p.pos:], "true"):
		p.pos += 4
		return Value{Kind: True}, true
	case strings.HasPrefix(p.src[p.pos:], "false"):
		p.pos += 5
		return Value{Kind: False}, true
	case strings.HasPrefix(p.src[p.pos:], "null"):
		p.pos += 4
		return Value{Kind: Null}, true
	default:
		return Value{}, p.fail("unexpected character")
	}
}

func (p *parser) object(depth int) (Value, bool) {
	p.pos++
	base := len(p.members)
	p.space()
	if p.pos < len(p.src) && p.src[p.pos] == '}' {
		p.pos++
		return Value{Kind: Object}, true
	}
	for {
		p.space()
		if p.pos >= len(p.src) || p.src[p.pos] != '"' {
			return Value{}, p.fail("a member name in double quotes is expected")
		}
		at := p.pos
		raw, ok := p.string()
		if !ok {
			return Value{}, false
		}
		name := raw[1 : len(raw)-1]
		if strings.IndexByte(name, '\\') >= 0 {
			name = unescape(name)
		}
		p.space()
		if p.pos >= len(p.src) || p.src[p.pos] != ':' {
			return Value{}, p.fail("a colon is expected")
		}
		p.pos++
		p.space()
		v, ok := p.value(depth + 1)
		if !ok {
			p.inside(name)
			return Value{}, false
		}
		p.members = append(p.members, Member{Name: name, Value: v})
		p.space()
		if p.pos >= len(p.src) {
			return Value{}, p.fail("unexpected end of an object")
		}
		switch p.src[p.pos] {
		case ',':
			p.pos++
		case '}':
			p.pos++
			own := append([]Member(nil), p.members[base:]...)
			p.members = p.members[:base]
			if dup := duplicate(own); dup != "" {
				p.pos, p.errPath = at, dup
				return Value{}, p.fail("the member " + strconv.Quote(dup) + " appears twice in one object")
			}
			return Value{Kind: Object, Members: own}, true
		default:
			return Value{}, p.fail("a comma or closing brace is expected")
		}
	}
}

func (p *parser) array(depth int) (Value, bool) {
	p.pos++
	base := len(p.items)
	p.space()
	if p.pos < len(p.src) && p.src[p.pos] == ']' {
		p.pos++
		return Value{Kind: Array}, true
	}
	for {
		p.space()
		v, ok := p.value(depth + 1)
		if !ok {
			p.inside("[" + strconv.Itoa(len(p.items)-base) + "]")
			return Value{}, false
		}
		p.items = append(p.items, v)
		p.space()
		if p.pos >= len(p.src) {
			return Value{}, p.fail("unexpected end of an array")
		}
		switch p.src[p.pos] {
		case ',':
			p.pos++
		case ']':
			p.pos++
			own := append([]Value(nil), p.items[base:]...)
			p.items = p.items[:base]
			return Value{Kind: Array, Items: own}, true
		default:
			return Value{}, p.fail("a comma or closing bracket is expected")
		}
	}
}

// inside puts the name of an enclosing member, or the index of an item, before the path.
func (p *parser) inside(name string) {
	switch {
	case p.errPath == "":
	case p.errPath[0] == '[':
		p.errPath = name + p.errPath
	default:
		p.errPath = name + "." + p.errPath
	}
}

// duplicate returns a name that occurs twice, or "".
func duplicate(members []Member) string {
	if len(members) <= 16 {
		for i := range members {
			for j := range i {
				if members[i].Name == members[j].Name {
					return members[i].Name
				}
			}
		}
		return ""
	}
	seen := make(map[string]struct{}, len(members))
	for i := range members {
		if _, twice := seen[members[i].Name]; twice {
			return members[i].Name
		}
		seen[members[i].Name] = struct{}{}
	}
	return ""
}

func (p *parser) string() (string, bool) {
	start := p.pos
	p.pos++
	for p.pos < len(p.src) {
		c := p.src[p.pos]
		switch {
		case c == '"':
			p.pos++
			return p.src[start:p.pos], true
		case c == '\\':
			if !p.escape() {
				return "", false
			}
		case c < 0x20:
			return "", p.fail("an unescaped control character in a string")
		case c < utf8.RuneSelf:
			p.pos++
		default:
			r, n := utf8.DecodeRuneInString(p.src[p.pos:])
			if r == utf8.RuneError && n == 1 {
				return "", p.fail("invalid UTF-8")
			}
			p.pos += n
		}
	}
	return "", p.fail("unexpected end of a string")
}

// escape checks one escape sequence and moves past it.
func (p *parser) escape() bool {
	rest := p.src[p.pos+1:]
	if rest == "" {
		return p.fail("unexpected end of a string")
	}
	switch rest[0] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		p.pos += 2
		return true
	case 'u':
		r, ok := hex4(rest[1:])
		switch {
		case !ok:
			return p.fail("a broken \\u escape")
		case r == 0:
			return p.fail("U+0000 is not allowed")
		case !utf16.IsSurrogate(r):
			p.pos += 6
			return true
		}
		if len(rest) >= 11 && rest[5] == '\\' && rest[6] == 'u' {
			if low, ok := hex4(rest[7:]); ok && utf16.DecodeRune(r, low) != utf8.RuneError {
				p.pos += 12
				return true
			}
		}
		return p.fail("a lone surrogate")
	default:
		return p.fail("an unknown escape")
	}
}

func hex4(s string) (rune, bool) {
	if len(s) < 4 {
		return 0, false
	}
	n, err := strconv.ParseUint(s[:4], 16, 16)
	return rune(n), err == nil
}

// unescape resolves the escapes of a string token that string has already checked.
func unescape(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		i++
		switch s[i] {
		case 'b':
			b.WriteByte('\b')
		case 'f':
			b.WriteByte('\f')
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		case 't':
			b.WriteByte('\t')
		case 'u':
			r, _ := hex4(s[i+1:])
			i += 4
			if utf16.IsSurrogate(r) {
				low, _ := hex4(s[i+3:])
				r = utf16.DecodeRune(r, low)
				i += 6
			}
			b.WriteRune(r)
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

func (p *parser) digits() bool {
	start := p.pos
	for p.pos < len(p.src) && p.src[p.pos] >= '0' && p.src[p.pos] <= '9' {
		p.pos++
	}
	return p.pos > start || p.fail("a digit is expected")
}

func (p *parser) number() (string, bool) {
	start := p.pos
	if p.src[p.pos] == '-' {
		p.pos++
	}
	zero := p.pos < len(p.src) && p.src[p.pos] == '0'
	first := p.pos
	if !p.digits() {
		return "", false
	}
	if zero && p.pos > first+1 {
		p.pos = first
		return "", p.fail("a number with a leading zero")
	}
	if p.pos < len(p.src) && p.src[p.pos] == '.' {
		p.pos++
		if !p.digits() {
			return "", false
		}
	}
	exponent := false
	if p.pos < len(p.src) && (p.src[p.pos] == 'e' || p.src[p.pos] == 'E') {
		exponent = true
		p.pos++
		if p.pos < len(p.src) && (p.src[p.pos] == '+' || p.src[p.pos] == '-') {
			p.pos++
		}
		if !p.digits() {
			return "", false
		}
	}
	lexeme := p.src[start:p.pos]
	if exponent || len(lexeme) > 300 {
		if f, err := strconv.ParseFloat(lexeme, 64); err != nil || math.IsInf(f, 0) {
			p.pos = start
			return "", p.fail("a number beyond the range of a 64-bit float")
		}
	}
	return lexeme, true
}
