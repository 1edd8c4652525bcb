package search

import "strings"

// split cuts a parameter value at a separator that is not escaped, without resolving escapes.
func split(text string, separator byte) []string {
	var out []string
	start := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case separator:
			out = append(out, text[start:i])
			start = i + 1
		}
	}
	return append(out, text[start:])
}

// unescape resolves \, \| \$ and \\ (R4 search, escaping). It is false for every other use of a
// backslash.
func unescape(text string) (string, bool) {
	if strings.IndexByte(text, '\\') < 0 {
		return text, true
	}
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' {
			i++
			if i == len(text) || strings.IndexByte(`,|$\`, text[i]) < 0 {
				return "", false
			}
		}
		out = append(out, text[i])
	}
	return string(out), true
}
