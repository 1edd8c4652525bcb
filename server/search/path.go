package search

import (
	"strconv"
	"strings"
)

// A path is one branch of a search parameter's expression in the part of FHIRPath that nearly all
// of them keep to: member access, as, ofType, an index, extension(url) and where() with one of a
// few conditions. Evaluating it needs no interpreter: paths of a type are merged into one tree
// that is walked once along the resource (tree.go).
type path []step

type stepKind uint8

const (
	stepName      stepKind = iota + 1
	stepAs                 // keep nodes of the type arg; case does not matter ("as(DateTime)")
	stepIndex              // keep item n
	stepEqual              // keep nodes whose member name equals arg
	stepResolves           // keep references to a resource of type arg
	stepExtension          // keep nodes that have an extension with the URL arg
	stepResource           // start again at the resource (%resource)
)

type step struct {
	kind stepKind
	name string
	arg  string
	n    int
}

func (s step) String() string {
	switch s.kind {
	case stepName:
		return "." + s.name
	case stepAs:
		return ":as(" + strings.ToLower(s.arg) + ")"
	case stepIndex:
		return "[" + strconv.Itoa(s.n) + "]"
	case stepEqual:
		return ":where(" + s.name + "=" + strconv.Quote(s.arg) + ")"
	case stepResolves:
		return ":resolves(" + s.arg + ")"
	case stepExtension:
		return ":has(" + strconv.Quote(s.arg) + ")"
	default:
		return "%resource"
	}
}

// String is a normal form: equal paths have equal strings.
func (p path) String() string {
	var b strings.Builder
	for _, s := range p {
		b.WriteString(s.String())
	}
	return b.String()
}

// parsePaths splits an expression into the branches of its union. It is false when the
// expression goes beyond what a path can say.
func parsePaths(expression string) ([]path, bool) {
	p := pathParser{text: expression}
	var all []path
	for {
		one, ok := p.branch()
		if !ok {
			return nil, false
		}
		all = append(all, one)
		p.space()
		if p.pos == len(p.text) {
			return all, true
		}
		if !p.take("|") {
			return nil, false
		}
	}
}

type pathParser struct {
	text string
	pos  int
}

func (p *pathParser) space() {
	for p.pos < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.pos]) >= 0 {
		p.pos++
	}
}

func (p *pathParser) take(token string) bool {
	p.space()
	if !strings.HasPrefix(p.text[p.pos:], token) {
		return false
	}
	p.pos += len(token)
	return true
}

// word takes a keyword that is not the start of a longer name.
func (p *pathParser) word(keyword string) bool {
	start := p.pos
	if p.take(keyword) && (p.pos == len(p.text) || !isNameByte(p.text[p.pos])) {
		return true
	}
	p.pos = start
	return false
}

func isNameByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func (p *pathParser) name() (string, bool) {
	p.space()
	start := p.pos
	for p.pos < len(p.text) && isNameByte(p.text[p.pos]) {
		p.pos++
	}
	return p.text[start:p.pos], p.pos > start
}

// literal takes a string in single quotes without escapes.
func (p *pathParser) literal() (string, bool) {
	if !p.take("'") {
		return "", false
	}
	end := strings.IndexByte(p.text[p.pos:], '\'')
	if end < 0 || strings.IndexByte(p.text[p.pos:p.pos+end], '\\') >= 0 {
		return "", false
	}
	text := p.text[p.pos : p.pos+end]
	p.pos += end + 1
	return text, true
}

func (p *pathParser) branch() (path, bool) {
	var out path
	if p.take("(") {
		inner, ok := p.branch()
		if !ok || !p.take(")") {
			return nil, false
		}
		out = inner
	} else {
		if p.take("%resource") {
			out = append(out, step{kind: stepResource})
			if !p.take(".") {
				return nil, false
			}
		}
		if !p.step(&out) {
			return nil, false
		}
	}
	for {
		switch {
		case p.take("."):
			if !p.step(&out) {
				return nil, false
			}
		case p.take("["):
			digits, _ := p.name()
			n, err := strconv.Atoi(digits)
			if err != nil || !p.take("]") {
				return nil, false
			}
			out = append(out, step{kind: stepIndex, n: n})
		case p.word("as"):
			name, ok := p.typeName()
			if !ok {
				return nil, false
			}
			return append(out, step{kind: stepAs, arg: name}), true
		default:
			return out, true
		}
	}
}

// typeName takes a type with or without "FHIR.".
func (p *pathParser) typeName() (string, bool) {
	name, ok := p.name()
	if ok && name == "FHIR" && p.take(".") {
		return p.name()
	}
	return name, ok
}

// step takes a member name or a function call.
func (p *pathParser) step(out *path) bool {
	name, ok := p.name()
	if !ok {
		return false
	}
	if !p.take("(") {
		*out = append(*out, step{kind: stepName, name: name})
		return true
	}
	switch name {
	case "as", "ofType":
		arg, ok := p.typeName()
		*out = append(*out, step{kind: stepAs, arg: arg})
		return ok && p.take(")")
	case "extension":
		url, ok := p.literal()
		*out = append(*out, step{kind: stepName, name: "extension"}, step{kind: stepEqual, name: "url", arg: url})
		return ok && p.take(")")
	case "where":
		return p.condition(out) && p.take(")")
	default:
		return false
	}
}

// condition takes what stands in where().
func (p *pathParser) condition(out *path) bool {
	name, ok := p.name()
	if !ok {
		return false
	}
	if p.take("=") {
		value, ok := p.literal()
		*out = append(*out, step{kind: stepEqual, name: name, arg: value})
		return ok
	}
	if !p.take("(") {
		return false
	}
	switch name {
	case "resolve":
		if !p.take(")") || !p.word("is") {
			return false
		}
		target, ok := p.typeName()
		*out = append(*out, step{kind: stepResolves, arg: target})
		return ok
	case "hasExtension", "extension":
		url, ok := p.literal()
		if !ok || !p.take(")") {
			return false
		}
		*out = append(*out, step{kind: stepExtension, arg: url})
		return name == "hasExtension" || p.take(".exists()")
	default:
		return false
	}
}
