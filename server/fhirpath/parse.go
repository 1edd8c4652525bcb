package fhirpath

import (
	"strings"
)

// Bounds on an expression.
const (
	maxLength = 64 << 10
	maxDepth  = 120
	maxNodes  = 20000
)

// nodeKind is what a syntax node stands for.
type nodeKind uint8

const (
	nLiteral nodeKind = iota
	nEmpty            // {}
	nScope            // $this, $index, $total
	nVariable
	nMember   // operand (or the focus) . name
	nFunction // operand (or the focus) . name(args)
	nIndex
	nUnary
	nBinary
	nType // is, as: operand and a type name
)

// syntax is a node of the syntax tree.
type syntax struct {
	kind    nodeKind
	name    string // identifier, function, variable, operator; the type name of nType
	value   Value  // nLiteral
	operand *syntax
	args    []*syntax
	pos     int
	start   bool // a member at the beginning of a path: it may name the type of the root
	quoted  bool // a delimited identifier
	desc    bool // an argument of sort() that ends in desc
}

// parser is a recursive descent with precedence climbing.
type parser struct {
	lex   lexer
	tok   token
	depth int
	nodes int
	err   error
}

// parse reads a whole expression.
func parse(src string) (*syntax, error) {
	if len(src) > maxLength {
		return nil, syntaxError(maxLength, "the expression is too long")
	}
	p := parser{lex: lexer{src: src}}
	p.advance()
	n := p.expression(0)
	if p.err == nil && p.tok.kind != tokEnd {
		p.fail("the end of the expression or an operator is expected")
	}
	if p.err != nil {
		return nil, p.err
	}
	return n, nil
}

func (p *parser) fail(reason string) {
	if p.err == nil {
		p.err = syntaxError(p.tok.pos, reason)
	}
}

func (p *parser) advance() {
	if p.err != nil {
		p.tok = token{kind: tokEnd}
		return
	}
	if p.tok, p.err = p.lex.next(); p.err != nil {
		p.tok = token{kind: tokEnd}
	}
}

func (p *parser) symbol(text string) bool { return p.tok.kind == tokSymbol && p.tok.text == text }

func (p *parser) accept(text string) bool {
	if !p.symbol(text) {
		return false
	}
	p.advance()
	return true
}

func (p *parser) expect(text string) {
	if !p.accept(text) {
		p.fail("'" + text + "' is expected")
	}
}

func (p *parser) node(n syntax) *syntax {
	if p.nodes++; p.nodes > maxNodes {
		p.fail("the expression has too many parts")
	}
	return &n
}

// precedence of the binary operators, from loose to tight.
var precedence = map[string]int{
	"implies": 1,
	"or":      2, "xor": 2,
	"and": 3,
	"in":  4, "contains": 4,
	"=": 5, "~": 5, "!=": 5, "!~": 5,
	"<": 6, "<=": 6, ">": 6, ">=": 6,
	"|":  7,
	"is": 8, "as": 8,
	"+": 9, "-": 9, "&": 9,
	"*": 10, "/": 10, "div": 10, "mod": 10,
}

// operator returns the binary operator at hand and its precedence, 0 if there is none.
func (p *parser) operator() (string, int) {
	if p.tok.kind != tokSymbol && p.tok.kind != tokIdentifier {
		return "", 0
	}
	return p.tok.text, precedence[p.tok.text]
}

func (p *parser) expression(least int) *syntax {
	if p.depth++; p.depth > maxDepth {
		p.fail("the expression is nested too deeply")
		return nil
	}
	defer func() { p.depth-- }()
	left := p.unary()
	for p.err == nil {
		op, prec := p.operator()
		if prec == 0 || prec <= least {
			break
		}
		pos := p.tok.pos
		p.advance()
		if op == "is" || op == "as" {
			left = p.node(syntax{kind: nType, value: Value{Text: op}, operand: left, name: p.typeName(), pos: pos})
			continue
		}
		right := p.expression(prec)
		left = p.node(syntax{kind: nBinary, name: op, args: []*syntax{left, right}, pos: pos})
	}
	return left
}

func (p *parser) unary() *syntax {
	if p.symbol("-") || p.symbol("+") {
		pos, op := p.tok.pos, p.tok.text
		if p.depth++; p.depth > maxDepth {
			p.fail("the expression is nested too deeply")
			return nil
		}
		defer func() { p.depth-- }()
		p.advance()
		return p.node(syntax{kind: nUnary, name: op, operand: p.unary(), pos: pos})
	}
	n := p.term()
	for p.err == nil {
		switch {
		case p.accept("."):
			n = p.invocation(n)
		case p.symbol("["):
			pos := p.tok.pos
			p.advance()
			index := p.expression(0)
			p.expect("]")
			n = p.node(syntax{kind: nIndex, operand: n, args: []*syntax{index}, pos: pos})
		default:
			return n
		}
	}
	return n
}

func (p *parser) term() *syntax {
	t := p.tok
	switch t.kind {
	case tokSymbol:
		switch {
		case p.accept("("):
			n := p.expression(0)
			p.expect(")")
			return n
		case p.accept("{"):
			p.expect("}")
			return p.node(syntax{kind: nEmpty, pos: t.pos})
		}
	case tokVariable:
		p.advance()
		return p.node(syntax{kind: nVariable, name: t.text, pos: t.pos})
	case tokIdentifier:
		if t.text == "true" || t.text == "false" {
			p.advance()
			return p.literal(t, Value{Kind: Boolean, Bool: t.text == "true"})
		}
		return p.invocation(nil)
	case tokDelimited, tokScope:
		return p.invocation(nil)
	case tokEnd:
	default:
		return p.literalTerm()
	}
	p.fail("a term is expected")
	return nil
}

func (p *parser) literal(t token, v Value) *syntax {
	return p.node(syntax{kind: nLiteral, value: v, pos: t.pos})
}

// literalTerm reads a string, number, quantity, date or time.
func (p *parser) literalTerm() *syntax {
	t := p.tok
	p.advance()
	switch t.kind {
	case tokString:
		return p.literal(t, Value{Kind: String, Text: t.text})
	case tokDate, tokDateTime, tokTime:
		kind := map[tokenKind]Kind{tokDate: Date, tokDateTime: DateTime, tokTime: Time}[t.kind]
		when, _ := parseMoment(kind, t.text) // the lexer has checked it
		return p.literal(t, Value{Kind: kind, When: when})
	case tokLong:
		v, ok := integerValue(Long, t.text)
		if !ok || v.Kind != Long {
			p.fail("the number is too large")
		}
		return p.literal(t, v)
	}
	return p.numberOrQuantity(t)
}

func (p *parser) numberOrQuantity(t token) *syntax {
	unit, word := p.tok.text, ""
	if p.tok.kind == tokIdentifier {
		word = calendarUnits[unit]
	}
	if p.tok.kind == tokString || word != "" {
		p.advance()
		d, ok := parseDecimal(t.text)
		if !ok {
			p.fail("the number is too large")
		}
		v := Value{Kind: Quantity, Dec: d, Unit: unit}
		if word != "" {
			v.Unit, v.Calendar = word, true
		}
		return p.literal(t, v)
	}
	if t.kind == tokInteger {
		v, ok := integerValue(Integer, t.text)
		if !ok {
			p.fail("the number is too large")
		}
		return p.literal(t, v)
	}
	d, ok := parseDecimal(t.text)
	if !ok {
		p.fail("the number is too large")
	}
	return p.literal(t, Value{Kind: Decimal, Dec: d})
}

// invocation reads a member, a function or a scope variable; operand is what stands before.
func (p *parser) invocation(operand *syntax) *syntax {
	t := p.tok
	switch t.kind {
	case tokScope:
		p.advance()
		if operand != nil {
			p.fail("$" + t.text + " cannot follow a dot")
		}
		return p.node(syntax{kind: nScope, name: t.text, pos: t.pos})
	case tokIdentifier, tokDelimited:
		p.advance()
	default:
		p.fail("a name is expected")
		return nil
	}
	if !p.symbol("(") || t.kind == tokDelimited {
		return p.node(syntax{kind: nMember, name: t.text, operand: operand, pos: t.pos, start: operand == nil, quoted: t.kind == tokDelimited})
	}
	p.advance()
	n := p.node(syntax{kind: nFunction, name: t.text, operand: operand, pos: t.pos})
	for !p.symbol(")") && p.err == nil {
		arg := p.expression(0)
		if t.text == "sort" && p.tok.kind == tokIdentifier && (p.tok.text == "asc" || p.tok.text == "desc") {
			if p.tok.text == "desc" && arg != nil {
				arg.desc = true
			}
			p.advance()
		}
		n.args = append(n.args, arg)
		if !p.accept(",") {
			break
		}
	}
	p.expect(")")
	return n
}

// typeName reads NAME or NAMESPACE.NAME after is and as.
func (p *parser) typeName() string {
	name := ""
	for {
		if p.tok.kind != tokIdentifier && p.tok.kind != tokDelimited {
			p.fail("the name of a type is expected")
			return name
		}
		name += p.tok.text
		p.advance()
		if !p.symbol(".") || strings.Contains(name, ".") {
			return name
		}
		name += "."
		p.advance()
	}
}

// typeArgument turns an argument that is a path into the name of a type; "" if it is none.
func (n *syntax) typeArgument() string {
	if n == nil || n.kind != nMember {
		return ""
	}
	if n.operand == nil {
		return n.name
	}
	if ns := n.operand.typeArgument(); ns != "" {
		return ns + "." + n.name
	}
	return ""
}
