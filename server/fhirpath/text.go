package fhirpath

import (
	"encoding/base64"
	"encoding/hex"
	"html"
	"regexp"
	resyntax "regexp/syntax"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"bulkhead/server/fhir"
)

// stringFunctions are those of section 5.6 and their later additions.
var stringFunctions = map[string]function{
	"indexOf":        {run: fnIndexOf, min: 1, max: 1},
	"lastIndexOf":    {run: fnLastIndexOf, min: 1, max: 1},
	"substring":      {run: fnSubstring, min: 1, max: 2},
	"startsWith":     {run: fnStartsWith, min: 1, max: 1},
	"endsWith":       {run: fnEndsWith, min: 1, max: 1},
	"contains":       {run: fnContains, min: 1, max: 1},
	"upper":          {run: fnUpper},
	"lower":          {run: fnLower},
	"replace":        {run: fnReplace, min: 2, max: 2},
	"matches":        {run: fnMatches, min: 1, max: 2},
	"matchesFull":    {run: fnMatches, min: 1, max: 2},
	"replaceMatches": {run: fnReplaceMatches, min: 2, max: 3},
	"length":         {run: fnLength},
	"toChars":        {run: fnToChars},
	"encode":         {run: fnEncode, min: 1, max: 1},
	"decode":         {run: fnDecode, min: 1, max: 1},
	"escape":         {run: fnEscape, min: 1, max: 1},
	"unescape":       {run: fnUnescape, min: 1, max: 1},
	"trim":           {run: fnTrim},
	"split":          {run: fnSplit, min: 1, max: 1},
	"join":           {run: fnJoin, max: 1},
}

// argument evaluates an argument that is a string.
func (c *call) argument(ev *evaluator, sc *scope, i int) (string, bool) {
	if lit, ok := c.args[i].(*literal); ok && lit.item.Kind == String {
		return lit.item.sys.Text, true
	}
	buf := c.args[i].eval(ev, sc, ev.get())
	s, ok := ev.text(buf, c.name+"()")
	ev.put(buf)
	return s, ok
}

// subject returns the string that the function is applied to.
func (c *call) subject(ev *evaluator, in []Item) (string, bool) { return ev.text(in, c.name+"()") }

// onString applies f to the input string.
func (c *call) onString(ev *evaluator, in, dst []Item, f func(s string) Item) []Item {
	s, ok := c.subject(ev, in)
	if !ok {
		return dst
	}
	ev.step(len(s) / 64)
	return append(dst, f(s))
}

// onTwo applies f to the input string and the first argument.
func (c *call) onTwo(ev *evaluator, sc *scope, in, dst []Item, f func(s, arg string) Item) []Item {
	s, ok := c.subject(ev, in)
	arg, okArg := c.argument(ev, sc, 0)
	if !ok || !okArg {
		return dst
	}
	ev.step(len(s) / 64)
	return append(dst, f(s, arg))
}

// runeIndex turns a byte offset into a count of characters.
func runeIndex(s string, at int) Item {
	if at < 0 {
		return intItem(-1)
	}
	return intItem(int64(utf8.RuneCountInString(s[:at])))
}

func fnIndexOf(c *call, ev *evaluator, sc *scope, in, dst []Item) []Item {
	return c.onTwo(ev, sc, in, dst, func(s, t string) Item { return runeIndex(s, strings.Index(s, t)) })
}

func fnLastIndexOf(c *call, ev *evaluator, sc *scope, in, dst []Item) []Item {
	return c.onTwo(ev, sc, in, dst, func(s, t string) Item { return runeIndex(s, strings.LastIndex(s, t)) })
}

func fnStartsWith(c *call, ev *evaluator, sc *scope, in, dst []Item) []Item {
	return c.onTwo(ev, sc, in, dst, func(s, t string) Item { return boolItem(strings.HasPrefix(s, t)) })
}

func fnEndsWith(c *call, ev *evaluator, sc *scope, in, dst []Item) []Item {
	return c.onTwo(ev, sc, in, dst, func(s, t string) Item { return boolItem(strings.HasSuffix(s, t)) })
}

func fnContains(c *call, ev *evaluator, sc *scope, in, dst []Item) []Item {
	return c.onTwo(ev, sc, in, dst, func(s, t string) Item { return boolItem(strings.Contains(s, t)) })
}

func fnUpper(c *call, ev *evaluator, _ *scope, in, dst []Item) []Item {
	return c.onString(ev, in, dst, func(s string) Item { return stringItem(strings.ToUpper(s)) })
}

func fnLower(c *call, ev *evaluator, _ *scope, in, dst []Item) []Item {
	return c.onString(ev, in, dst, func(s string) Item { return stringItem(strings.ToLower(s)) })
}

func fnTrim(c *call, ev *evaluator, _ *scope, in, dst []Item) []Item {
	return c.onString(ev, in, dst, func(s string) Item { return stringItem(strings.TrimSpace(s)) })
}

func fnLength(c *call, ev *evaluator, _ *scope, in, dst []Item) []Item {
	return c.onString(ev, in, dst, func(s string) Item { return intItem(int64(utf8.RuneCountInString(s))) })
}

func fnSubstring(c *call, ev *evaluator, sc *scope, in, dst []Item) []Item {
	s, ok := c.subject(ev, in)
	start, okStart := ev.integer(c.args[0], sc, "substring()")
	if !ok || !okStart || start < 0 || start >= int64(len(s)) {
		return dst
	}
	length := int64(len(s))
	if len(c.args) == 2 {
		n, okN := ev.integer(c.args[1], sc, "substring()")
		if okN {
			length = max(0, n)
		}
	}
	if ev.err != nil {
		return dst
	}
	from := byteIndex(s, start)
	if from == len(s) {
		return dst
	}
	return append(dst, stringItem(s[from:from+byteIndex(s[from:], length)]))
}

// byteIndex returns where the n-th character begins.
func byteIndex(s string, n int64) int {
	for i := range s {
		if n == 0 {
			return i
		}
		n--
	}
	return len(s)
}

func fnReplace(c *call, ev *evaluator, sc *scope, in, dst []Item) []Item {
	s, ok := c.subject(ev, in)
	from, okFrom := c.argument(ev, sc, 0)
	to, okTo := c.argument(ev, sc, 1)
	if !ok || !okFrom || !okTo || !ev.fits(len(s)+(strings.Count(s, from)*len(to))) {
		return dst
	}
	return append(dst, stringItem(strings.ReplaceAll(s, from, to)))
}

// maxPattern bounds a regular expression that is not a literal.
const maxPattern = 4096

var (
	patterns      sync.Map // pattern -> *pattern
	patternsCount atomic.Int64
)

const maxPatterns = 512

// pattern is a compiled regular expression and the size of its program, by which the time of a
// match grows with each character.
type pattern struct {
	*regexp.Regexp
	size int
}

// compilePattern compiles a regular expression: "." matches a line end too, as the language says.
func compilePattern(text string, full bool) (*pattern, error) {
	if full {
		text = `^(?:` + text + `)$`
	}
	text = "(?s)" + text
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, err
	}
	tree, err := resyntax.Parse(text, resyntax.Perl)
	if err != nil {
		return nil, err
	}
	program, err := resyntax.Compile(tree.Simplify())
	if err != nil {
		return nil, err
	}
	return &pattern{re, len(program.Inst)}, nil
}

// run counts the steps of a match on a text.
func (p *pattern) run(ev *evaluator, s string) bool { return ev.step(len(s) * p.size / 32) }

// patternOf returns the regular expression in the first argument.
func (c *call) patternOf(ev *evaluator, sc *scope) (*pattern, bool) {
	if c.pattern != nil {
		return c.pattern, true
	}
	text, ok := c.argument(ev, sc, 0)
	if !ok {
		return nil, false
	}
	full := c.name == "matchesFull"
	key := text
	if full {
		key = "\x00" + text
	}
	if hit, ok := patterns.Load(key); ok {
		return hit.(*pattern), true
	}
	if len(text) > maxPattern || !ev.step(1000+10*len(text)) {
		ev.fail(fhir.TooCostly, "The regular expression is too long.")
		return nil, false
	}
	re, err := compilePattern(text, full)
	if err != nil {
		ev.fail(fhir.Processing, "%q is no regular expression that can be used here.", text)
		return nil, false
	}
	if patternsCount.Load() < maxPatterns {
		if _, loaded := patterns.LoadOrStore(key, re); !loaded {
			patternsCount.Add(1)
		}
	}
	return re, true
}

func fnMatches(c *call, ev *evaluator, sc *scope, in, dst []Item) []Item {
	s, ok := c.subject(ev, in)
	if !ok {
		return dst
	}
	re, ok := c.patternOf(ev, sc)
	if !ok {
		return dst
	}
	if !re.run(ev, s) {
		return dst
	}
	return append(dst, boolItem(re.MatchString(s)))
}

func fnReplaceMatches(c *call, ev *evaluator, sc *scope, in, dst []Item) []Item {
	s, ok := c.subject(ev, in)
	if !ok {
		return dst
	}
	re, ok := c.patternOf(ev, sc)
	to, okTo := c.argument(ev, sc, 1)
	if !ok || !okTo {
		return dst
	}
	if re.String() == "(?s)" { // an empty pattern replaces nothing
		return append(dst, stringItem(s))
	}
	if !ev.fits(len(s)*(1+len(to))) || !re.run(ev, s) {
		return dst
	}
	return append(dst, stringItem(re.ReplaceAllString(s, goTemplate(to))))
}

// goTemplate spells $1 as ${1}, because package regexp would take "$1x" for a name.
func goTemplate(s string) string {
	if !strings.ContainsRune(s, '$') {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		b.WriteByte(s[i])
		if s[i] != '$' || i+1 >= len(s) {
			continue
		}
		end := i + 1
		for end < len(s) && isDigit(s[end]) {
			end++
		}
		if end > i+1 {
			b.WriteString("{" + s[i+1:end] + "}")
			i = end - 1
		}
	}
	return b.String()
}

func fnToChars(c *call, ev *evaluator, _ *scope, in, dst []Item) []Item {
	s, ok := c.subject(ev, in)
	if !ok || !ev.step(len(s)) {
		return dst
	}
	for _, r := range s {
		dst = append(dst, stringItem(string(r)))
	}
	return dst
}

func fnEncode(c *call, ev *evaluator, sc *scope, in, dst []Item) []Item {
	s, ok := c.subject(ev, in)
	format, okFormat := c.argument(ev, sc, 0)
	if !ok || !okFormat || !ev.fits(2*len(s)) {
		return dst
	}
	switch format {
	case "base64":
		return append(dst, stringItem(base64.StdEncoding.EncodeToString([]byte(s))))
	case "urlbase64":
		return append(dst, stringItem(base64.URLEncoding.EncodeToString([]byte(s))))
	case "hex":
		return append(dst, stringItem(hex.EncodeToString([]byte(s))))
	default:
		return dst
	}
}

func fnDecode(c *call, ev *evaluator, sc *scope, in, dst []Item) []Item {
	s, ok := c.subject(ev, in)
	format, okFormat := c.argument(ev, sc, 0)
	if !ok || !okFormat || !ev.fits(len(s)) {
		return dst
	}
	var raw []byte
	var err error
	switch format {
	case "base64":
		raw, err = base64.StdEncoding.DecodeString(s)
	case "urlbase64":
		raw, err = base64.URLEncoding.DecodeString(s)
	case "hex":
		raw, err = hex.DecodeString(s)
	default:
		return dst
	}
	if err != nil || !utf8.Valid(raw) {
		return dst
	}
	return append(dst, stringItem(string(raw)))
}

var htmlEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#39;")

func fnEscape(c *call, ev *evaluator, sc *scope, in, dst []Item) []Item {
	s, ok := c.subject(ev, in)
	format, okFormat := c.argument(ev, sc, 0)
	if !ok || !okFormat || !ev.fits(6*len(s)) {
		return dst
	}
	switch format {
	case "html":
		return append(dst, stringItem(htmlEscapes.Replace(s)))
	case "json":
		quoted := string(fhir.AppendString(nil, s))
		return append(dst, stringItem(quoted[1:len(quoted)-1]))
	default:
		return dst
	}
}

func fnUnescape(c *call, ev *evaluator, sc *scope, in, dst []Item) []Item {
	s, ok := c.subject(ev, in)
	format, okFormat := c.argument(ev, sc, 0)
	if !ok || !okFormat || !ev.fits(len(s)) {
		return dst
	}
	switch format {
	case "html":
		return append(dst, stringItem(html.UnescapeString(s)))
	case "json":
		if v, err := fhir.Parse(`"` + s + `"`); err == nil && v.Kind == fhir.String {
			return append(dst, stringItem(v.Text()))
		}
		return append(dst, stringItem(s)) // it has no escapes that could be resolved
	default:
		return dst
	}
}

func fnSplit(c *call, ev *evaluator, sc *scope, in, dst []Item) []Item {
	s, ok := c.subject(ev, in)
	by, okBy := c.argument(ev, sc, 0)
	if !ok || !okBy || !ev.step(len(s)) {
		return dst
	}
	for _, part := range strings.Split(s, by) {
		dst = append(dst, stringItem(part))
	}
	return dst
}

func fnJoin(c *call, ev *evaluator, sc *scope, in, dst []Item) []Item {
	by := ""
	if len(c.args) == 1 {
		by, _ = c.argument(ev, sc, 0)
	}
	if len(in) == 0 || ev.err != nil {
		return dst
	}
	var b strings.Builder
	first := true
	for i := range in {
		s, ok := ev.text(in[i:i+1], "join()")
		if !ok {
			continue
		}
		if !first {
			b.WriteString(by)
		}
		first = false
		b.WriteString(s)
		if !ev.fits(b.Len()) {
			return dst
		}
	}
	if ev.err != nil {
		return dst
	}
	return append(dst, stringItem(b.String()))
}
