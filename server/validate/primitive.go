package validate

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
)

// maxString is the limit of string and markdown in characters.
const maxString = 1024 * 1024

// expected says in words what each format wants.
var expected = [...]string{
	definition.Boolean:      "true or false",
	definition.Integer:      "a whole number from -2147483648 to 2147483647",
	definition.UnsignedInt:  "a whole number from 0 to 2147483647",
	definition.PositiveInt:  "a whole number from 1 to 2147483647",
	definition.Decimal:      "a number",
	definition.String:       "a string of 1 to 1048576 characters",
	definition.Markdown:     "a string of 1 to 1048576 characters",
	definition.Code:         "a code: no white space at either end, single spaces within",
	definition.ID:           "an id: 1 to 64 of A-Z, a-z, 0-9, - and .",
	definition.URI:          "a URI without white space",
	definition.URL:          "a URL without white space",
	definition.Canonical:    "a canonical URL without white space",
	definition.OID:          "an OID such as urn:oid:1.2.3",
	definition.UUID:         "a UUID such as urn:uuid:c757873d-ec9a-4326-a141-556f43239520 in lower case",
	definition.Base64Binary: "base64",
	definition.Date:         "a date that exists: YYYY, YYYY-MM or YYYY-MM-DD",
	definition.DateTime:     "a date that exists, alone or with time and zone: YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss+zz:zz",
	definition.Instant:      "a date, time and zone: YYYY-MM-DDThh:mm:ss.sss+zz:zz",
	definition.Time:         "a time: hh:mm:ss",
	definition.XHTML:        "an XHTML div",
}

// primitive checks the JSON kind and the format of a primitive value.
func (w *walker) primitive(field *definition.Field, v *fhir.Value) {
	format := field.Type.Format
	if !kindOK(format, v.Kind) {
		w.add(fhir.Structure, "%s must be %s (a JSON %s), but it is a JSON %s.",
			field.Element.Path, expected[format], jsonKind(format), v.Kind)
		return
	}
	text := v.Text()
	if v.Kind == fhir.String && text == "" {
		w.add(fhir.ValueInvalid, "An empty string is not allowed: leave the element out.")
		return
	}
	if !Primitive(format, text) {
		w.add(fhir.ValueInvalid, "%s is not %s.", quote(text), expected[format])
		return
	}
	switch format {
	default:
	case definition.URI, definition.URL, definition.Canonical:
		w.scope.use(text)
		w.checkURI(field, text)
	case definition.XHTML:
		switch problem, empty := xhtmlProblem(text); {
		case problem != "":
			w.add(fhir.Invariant, "txt-1: The narrative is not allowed: %s.", problem)
		case empty:
			w.warn(fhir.Invariant, "txt-2: The narrative should have some text or an image.")
		}
	}
	w.meaning(field, v)
}

// checkURI holds the rules about the kinds of URIs: a UUID and an OID have their forms wherever
// they stand, and Bundle.entry.fullUrl is absolute. Capitals in a UUID and an OID that is none
// are warnings: the specification's own examples have them.
func (w *walker) checkURI(field *definition.Field, text string) {
	switch {
	case w.lenient:
	case strings.HasPrefix(text, "urn:uuid:") && !isUUID(strings.ToLower(text)):
		w.add(fhir.ValueInvalid, "%s is not %s.", quote(text), expected[definition.UUID])
	case strings.HasPrefix(text, "urn:uuid:") && !isUUID(text):
		w.warn(fhir.ValueInvalid, "%s should be %s.", quote(text), expected[definition.UUID])
	case strings.HasPrefix(text, "urn:oid:") && !isOID(text):
		w.warn(fhir.ValueInvalid, "%s should be %s.", quote(text), expected[definition.OID])
	case field.Element == w.fullURL && !hasScheme(text):
		w.add(fhir.ValueInvalid, "fullUrl must be absolute, but %s is not.", quote(text))
	}
}

func jsonKind(format definition.Format) string {
	switch format {
	case definition.Boolean:
		return "boolean"
	case definition.Integer, definition.UnsignedInt, definition.PositiveInt, definition.Decimal:
		return "number"
	default:
		return "string"
	}
}

func kindOK(format definition.Format, kind fhir.Kind) bool {
	switch format {
	case definition.Boolean:
		return kind == fhir.True || kind == fhir.False
	case definition.Integer, definition.UnsignedInt, definition.PositiveInt, definition.Decimal:
		return kind == fhir.Number
	default:
		return kind == fhir.String
	}
}

// Primitive tells whether text has the format of a primitive type (R4 section 2.24.0.1): a
// string without quotes and escapes, a number's lexeme, true or false. The JSON kind and, for
// xhtml, the content are not judged.
func Primitive(format definition.Format, text string) bool {
	switch format {
	case definition.Boolean:
		return text == "true" || text == "false"
	case definition.Integer:
		return wholeNumber(text, -1<<31)
	case definition.UnsignedInt:
		return wholeNumber(text, 0)
	case definition.PositiveInt:
		return wholeNumber(text, 1)
	case definition.Decimal:
		return isDecimal(text)
	case definition.String, definition.Markdown:
		return text != "" && (len(text) <= maxString || utf8.RuneCountInString(text) <= maxString) && noControls(text)
	case definition.Code:
		return isCode(text)
	case definition.ID:
		return fhirID(text)
	case definition.URI, definition.URL, definition.Canonical:
		return text != "" && !hasSpace(text)
	case definition.OID:
		return isOID(text)
	case definition.UUID:
		return isUUID(text)
	case definition.Base64Binary:
		return isBase64(text)
	case definition.Date:
		n, _ := scanDate(text)
		return n > 0 && n == len(text)
	case definition.DateTime:
		return isDateTime(text)
	case definition.Instant:
		return isInstant(text)
	case definition.Time:
		n := scanTime(text)
		return n > 0 && n == len(text)
	default:
		return text != ""
	}
}

// wholeNumber is [0]|-?[1-9][0-9]* within 32 bits and not below min. -0 is none.
func wholeNumber(text string, min int64) bool {
	digits := strings.TrimPrefix(text, "-")
	if digits == "" || len(digits) > 10 || digits[0] == '+' || digits[0] == '0' && text != "0" {
		return false
	}
	n, err := strconv.ParseInt(text, 10, 32)
	return err == nil && n >= min
}

// isDecimal is -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?, the grammar of a JSON number too.
func isDecimal(text string) bool {
	rest := strings.TrimPrefix(text, "-")
	n := countDigits(rest)
	if n == 0 || n > 1 && rest[0] == '0' {
		return false
	}
	rest = rest[n:]
	if strings.HasPrefix(rest, ".") {
		if n = countDigits(rest[1:]); n == 0 {
			return false
		}
		rest = rest[1+n:]
	}
	if rest == "" {
		return true
	}
	if rest[0] != 'e' && rest[0] != 'E' {
		return false
	}
	rest = rest[1:]
	if rest != "" && (rest[0] == '+' || rest[0] == '-') {
		rest = rest[1:]
	}
	return rest != "" && countDigits(rest) == len(rest)
}

func countDigits(text string) int {
	n := 0
	for n < len(text) && text[n] >= '0' && text[n] <= '9' {
		n++
	}
	return n
}

// noControls refuses the control characters that neither XML nor FHIR knows.
func noControls(text string) bool {
	for i := 0; i < len(text); i++ {
		if c := text[i]; c < 0x20 && c != '\t' && c != '\n' && c != '\r' {
			return false
		}
	}
	return true
}

// isSpace is the \s of XML Schema and of the ECMAScript patterns in the specification, ASCII
// part and no-break space.
func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func hasSpace(text string) bool {
	for i := 0; i < len(text); i++ {
		if isSpace(text[i]) {
			return true
		}
	}
	return false
}

// isCode is [^\s]+(\s[^\s]+)*.
func isCode(text string) bool {
	space := true
	for i := 0; i < len(text); i++ {
		now := isSpace(text[i])
		if now && space {
			return false
		}
		space = now
	}
	return !space
}

// fhirID is [A-Za-z0-9\-\.]{1,64}.
func fhirID(text string) bool {
	if text == "" || len(text) > 64 {
		return false
	}
	for i := 0; i < len(text); i++ {
		c := text[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.') {
			return false
		}
	}
	return true
}

// isOID is urn:oid:[0-2](\.(0|[1-9][0-9]*))+.
func isOID(text string) bool {
	const prefix = "urn:oid:"
	if len(text) < len(prefix)+3 || text[:len(prefix)] != prefix || text[len(prefix)] > '2' || text[len(prefix)] < '0' {
		return false
	}
	rest := text[len(prefix)+1:]
	for rest != "" {
		if rest[0] != '.' {
			return false
		}
		n := 1
		for n < len(rest) && rest[n] >= '0' && rest[n] <= '9' {
			n++
		}
		if n == 1 || n > 2 && rest[1] == '0' {
			return false
		}
		rest = rest[n:]
	}
	return true
}

// isUUID is urn:uuid: and a UUID in lower case.
func isUUID(text string) bool {
	const prefix = "urn:uuid:"
	if len(text) != len(prefix)+36 || text[:len(prefix)] != prefix {
		return false
	}
	for i, c := range []byte(text[len(prefix):]) {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		hex := c >= '0' && c <= '9' || c >= 'a' && c <= 'f'
		if dash && c != '-' || !dash && !hex {
			return false
		}
	}
	return true
}

// isBase64 is RFC 4648 base64 with padding; white space may stand anywhere.
func isBase64(text string) bool {
	n, pad := 0, 0
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case isSpace(c):
			continue
		case c == '=':
			pad++
		case pad > 0:
			return false
		case !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '+' || c == '/'):
			return false
		}
		n++
	}
	return n > 0 && n%4 == 0 && pad <= 2
}
