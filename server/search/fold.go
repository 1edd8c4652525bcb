package search

import (
	"hash/fnv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

const (
	maxString = 512 // bytes of a folded string that are indexed
	maxKey    = 768 // bytes of a code, system or URI that are indexed as they are
)

// Fold is the form in which strings are compared: compatibility decomposition (NFKD), marks
// removed, case folded, white space trimmed and collapsed to single spaces. The result has at
// most 512 bytes and ends on a rune border.
func Fold(text string) string {
	if plain, ok := foldASCII(text); ok {
		return plain
	}
	folded := cases.Fold().String(norm.NFKD.String(text))
	// Case folding may compose or bring in new marks, so decompose once more.
	folded = norm.NFKD.String(folded)
	var b strings.Builder
	space := false
	for _, r := range folded {
		switch {
		case unicode.Is(unicode.Mn, r), r == 0:
			continue
		case unicode.IsSpace(r):
			space = b.Len() > 0
			continue
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		b.WriteRune(r)
	}
	return cut(b.String(), maxString)
}

// foldASCII is Fold for the common case; it is false when text holds anything but ASCII.
func foldASCII(text string) (string, bool) {
	clean := true
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c >= utf8.RuneSelf {
			return "", false
		}
		if c <= ' ' && (c != ' ' || i == 0 || i == len(text)-1 || text[i-1] == ' ') || c >= 'A' && c <= 'Z' {
			clean = false
		}
	}
	if clean {
		return cut(text, maxString), true
	}
	out := make([]byte, 0, len(text))
	space := false
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == ' ' || c >= '\t' && c <= '\r':
			space = len(out) > 0
			continue
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		}
		if space {
			out = append(out, ' ')
			space = false
		}
		out = append(out, c)
	}
	return cut(string(out), maxString), true
}

// cut shortens text to at most n bytes without splitting a rune.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

// prefixEnd returns the smallest string, by bytes, that is greater than every string with the
// given prefix; all of them sort below "\U0010FFFF" repeated, which stands for no bound.
func prefixEnd(prefix string) string {
	runes := []rune(prefix)
	for i := len(runes) - 1; i >= 0; i-- {
		next := runes[i] + 1
		if next >= 0xD800 && next <= 0xDFFF {
			next = 0xE000
		}
		if next <= unicode.MaxRune {
			return string(runes[:i]) + string(next)
		}
	}
	return lastText
}

// lastText sorts behind every text that can be stored: U+10FFFF is a noncharacter.
const lastText = "\U0010FFFF\U0010FFFF"

// hash64 is the 64-bit FNV-1a hash of text, by which :exact tells strings apart that fold alike.
func hash64(text string) int64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(text))
	return int64(h.Sum64())
}

// key makes a code, system or URI fit for an index entry: what is longer than an entry may be
// keeps its start and ends in a hash, so that equality still means equality.
func key(text string) string {
	if len(text) <= maxKey {
		return text
	}
	h := fnv.New128a()
	_, _ = h.Write([]byte(text))
	sum := h.Sum(nil)
	const digits = "0123456789abcdef"
	out := []byte(cut(text, maxKey-40))
	out = append(out, "\u2026"...)
	for _, c := range sum {
		out = append(out, digits[c>>4], digits[c&15])
	}
	return string(out)
}

// TokenHash is an element of resource.tokens: the hash of a parameter's code in any system.
func TokenHash(param int32, code string) int64 { return tokenHash(param, 'c', "", code) }

// SystemTokenHash is an element of resource.tokens: the hash of a parameter's code in one
// system; system "" means that the resource gives none.
func SystemTokenHash(param int32, system, code string) int64 {
	return tokenHash(param, 's', system, code)
}

func tokenHash(param int32, kind byte, system, code string) int64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for _, c := range [...]byte{byte(param), byte(param >> 8), byte(param >> 16), byte(param >> 24), kind} {
		h = (h ^ uint64(c)) * prime
	}
	for i := 0; i < len(system); i++ {
		h = (h ^ uint64(system[i])) * prime
	}
	h *= prime // a zero byte between the two
	for i := 0; i < len(code); i++ {
		h = (h ^ uint64(code[i])) * prime
	}
	return int64(h)
}
