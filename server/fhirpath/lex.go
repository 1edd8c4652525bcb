package fhirpath

import (
	"strings"
	"unicode/utf8"

	"bulkhead/server/fhir"
)

type tokenKind uint8

const (
	tokEnd tokenKind = iota
	tokIdentifier
	tokDelimited // `name`
	tokString
	tokInteger
	tokLong
	tokDecimal
	tokDate
	tokDateTime
	tokTime
	tokVariable // %name
	tokScope    // $this, $index, $total
	tokSymbol
)

type token struct {
	kind tokenKind
	text string // value without quotes and escapes; the symbol itself
	pos  int
}

// lexer cuts an expression into tokens, one ahead of the parser.
type lexer struct {
	src string
	pos int
}

// syntaxError is the error of an expression that cannot be read.
func syntaxError(pos int, reason string) error {
	return fhir.Errorf(fhir.Invalid, "The FHIRPath expression cannot be read: %s at byte %d.", reason, pos)
}

// space skips white space and comments.
func (l *lexer) space() error {
	for l.pos < len(l.src) {
		rest := l.src[l.pos:]
		switch {
		case rest[0] == ' ' || rest[0] == '\t' || rest[0] == '\n' || rest[0] == '\r':
			l.pos++
		case strings.HasPrefix(rest, "//"):
			if end := strings.IndexAny(rest, "\r\n"); end >= 0 {
				l.pos += end
			} else {
				l.pos = len(l.src)
			}
		case strings.HasPrefix(rest, "/*"):
			end := strings.Index(rest[2:], "*/")
			if end < 0 {
				return syntaxError(l.pos, "a comment has no end")
			}
			l.pos += end + 4
		default:
			return nil
		}
	}
	return nil
}

func (l *lexer) next() (token, error) {
	if err := l.space(); err != nil {
		return token{}, err
	}
	start := l.pos
	if start >= len(l.src) {
		return token{kind: tokEnd, pos: start}, nil
	}
	switch c := l.src[start]; {
	case isLetter(c):
		return token{tokIdentifier, l.word(), start}, nil
	case c >= '0' && c <= '9':
		return l.number()
	case c == '\'' || c == '"':
		text, err := l.quoted(c)
		return token{tokString, text, start}, err
	case c == '`':
		text, err := l.quoted(c)
		return token{tokDelimited, text, start}, err
	case c == '@':
		return l.moment()
	case c == '%':
		return l.variable()
	case c == '$':
		l.pos++
		switch name := l.word(); name {
		case "this", "index", "total":
			return token{tokScope, name, start}, nil
		}
		return token{}, syntaxError(start, "$this, $index or $total is expected")
	default:
		return l.symbol()
	}
}

func isLetter(c byte) bool { return c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z' }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func (l *lexer) word() string {
	start := l.pos
	for l.pos < len(l.src) && (isLetter(l.src[l.pos]) || isDigit(l.src[l.pos])) {
		l.pos++
	}
	return l.src[start:l.pos]
}

func (l *lexer) symbol() (token, error) {
	rest := l.src[l.pos:]
	n := 1
	for _, two := range []string{"<=", ">=", "!=", "!~"} {
		if strings.HasPrefix(rest, two) {
			n = 2
		}
	}
	if n == 1 && strings.IndexByte(".,()[]{}+-*/|&=~<>", rest[0]) < 0 {
		r, _ := utf8.DecodeRuneInString(rest)
		return token{}, syntaxError(l.pos, "the character "+string(r)+" is not expected")
	}
	t := token{tokSymbol, rest[:n], l.pos}
	l.pos += n
	return t, nil
}

func (l *lexer) number() (token, error) {
	start := l.pos
	for l.pos < len(l.src) && isDigit(l.src[l.pos]) {
		l.pos++
	}
	kind := tokInteger
	rest := l.src[l.pos:]
	switch {
	case len(rest) > 1 && rest[0] == '.' && isDigit(rest[1]):
		kind = tokDecimal
		l.pos++
		for l.pos < len(l.src) && isDigit(l.src[l.pos]) {
			l.pos++
		}
	case rest != "" && rest[0] == 'L' && (len(rest) == 1 || !isLetter(rest[1]) && !isDigit(rest[1])):
		l.pos++
		return token{tokLong, l.src[start : l.pos-1], start}, nil
	}
	return token{kind, l.src[start:l.pos], start}, nil
}

// quoted reads a string or delimited identifier. An escape that the language does not know stands
// for the character itself, but what looks like the escape of a regular expression keeps its
// backslash: profiles often write '\d+' where the language wants '\\d+'.
func (l *lexer) quoted(quote byte) (string, error) {
	start := l.pos
	l.pos++
	plain := l.pos
	var b strings.Builder
	for l.pos < len(l.src) {
		switch c := l.src[l.pos]; c {
		case quote:
			b.WriteString(l.src[plain:l.pos])
			l.pos++
			return b.String(), nil
		case '\\':
			b.WriteString(l.src[plain:l.pos])
			if !l.escape(&b) {
				return "", syntaxError(l.pos, "an escape is broken")
			}
			plain = l.pos
		default:
			l.pos++
		}
	}
	return "", syntaxError(start, "a closing quote is missing")
}

func (l *lexer) escape(b *strings.Builder) bool {
	rest := l.src[l.pos+1:]
	if rest == "" {
		return false
	}
	l.pos += 2
	switch c := rest[0]; c {
	case '\'', '"', '`', '\\', '/':
		b.WriteByte(c)
	case 'f':
		b.WriteByte('\f')
	case 'n':
		b.WriteByte('\n')
	case 'r':
		b.WriteByte('\r')
	case 't':
		b.WriteByte('\t')
	case 'u':
		return l.unicode(b, rest[1:])
	default:
		if strings.IndexByte(regexpEscapes, c) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	return true
}

const regexpEscapes = "dDwWsSbB.[](){}+*?^$|-"

func (l *lexer) unicode(b *strings.Builder, hex string) bool {
	if len(hex) < 4 {
		return false
	}
	var r rune
	for i := range 4 {
		d := strings.IndexByte("0123456789abcdef", hex[i]|0x20)
		if isDigit(hex[i]) {
			d = int(hex[i] - '0')
		}
		if d < 0 {
			return false
		}
		r = r<<4 | rune(d)
	}
	b.WriteRune(r) // a lone surrogate becomes U+FFFD
	l.pos += 4
	return true
}

func (l *lexer) variable() (token, error) {
	start := l.pos
	l.pos++
	if l.pos < len(l.src) {
		switch c := l.src[l.pos]; {
		case isLetter(c):
			name := l.word()
			// Names with hyphens are in use although the grammar wants them delimited.
			for strings.HasPrefix(name, "ext-") || strings.HasPrefix(name, "vs-") || l.hyphenated(name) {
				l.pos++
				name += "-" + l.word()
				if l.pos >= len(l.src) || l.src[l.pos] != '-' {
					break
				}
			}
			return token{tokVariable, name, start}, nil
		case c == '`' || c == '\'' || c == '"':
			text, err := l.quoted(c)
			return token{tokVariable, text, start}, err
		}
	}
	return token{}, syntaxError(start, "a name is expected after %")
}

// hyphenated tells whether a word is the beginning of %ext-NAME or %vs-NAME.
func (l *lexer) hyphenated(word string) bool {
	return (word == "ext" || word == "vs") && l.pos+1 < len(l.src) && l.src[l.pos] == '-' && isLetter(l.src[l.pos+1])
}

// moment reads @2015-02-04T14:34:28.123+10:00 and its shorter forms, and @T14:34.
func (l *lexer) moment() (token, error) {
	start := l.pos
	l.pos++
	if strings.HasPrefix(l.src[l.pos:], "T") {
		l.pos++
		l.clock()
		return l.checked(tokTime, Time, start, l.src[start+2:l.pos])
	}
	l.take(4)
	for l.pos+1 < len(l.src) && l.src[l.pos] == '-' && isDigit(l.src[l.pos+1]) {
		l.pos++
		l.take(2)
	}
	if l.pos >= len(l.src) || l.src[l.pos] != 'T' {
		return l.checked(tokDate, Date, start, l.src[start+1:l.pos])
	}
	l.pos++
	if l.pos < len(l.src) && isDigit(l.src[l.pos]) {
		l.clock()
		l.zone()
	}
	return l.checked(tokDateTime, DateTime, start, l.src[start+1:l.pos])
}

func (l *lexer) checked(kind tokenKind, sort Kind, start int, text string) (token, error) {
	if _, ok := parseMoment(sort, text); !ok {
		return token{}, syntaxError(start, "this is no date or time")
	}
	return token{kind, text, start}, nil
}

func (l *lexer) take(n int) {
	for ; n > 0 && l.pos < len(l.src) && isDigit(l.src[l.pos]); n-- {
		l.pos++
	}
}

func (l *lexer) clock() {
	l.take(2)
	for range 2 {
		if l.pos+1 < len(l.src) && l.src[l.pos] == ':' && isDigit(l.src[l.pos+1]) {
			l.pos++
			l.take(2)
		}
	}
	if l.pos+1 < len(l.src) && l.src[l.pos] == '.' && isDigit(l.src[l.pos+1]) {
		l.pos++
		l.take(len(l.src))
	}
}

func (l *lexer) zone() {
	if l.pos >= len(l.src) {
		return
	}
	switch l.src[l.pos] {
	case 'Z':
		l.pos++
	case '+', '-':
		rest := l.src[l.pos:]
		if len(rest) >= 6 && isDigit(rest[1]) && isDigit(rest[2]) && rest[3] == ':' {
			l.pos += 4
			l.take(2)
		}
	}
}
