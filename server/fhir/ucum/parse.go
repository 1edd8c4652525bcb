package ucum

import (
	"math/big"
	"strconv"
	"strings"
	"sync"
)

// Bounds on a code, which a client may have written.
const (
	maxLength   = 200
	maxDepth    = 16
	maxExponent = 99
	maxBits     = 8192 // of the factor
)

// atom is a unit that the table defines.
type atom struct {
	unit   *Unit
	metric bool
}

// atoms resolves the table once.
var atoms = sync.OnceValue(func() map[string]atom {
	all := map[string]atom{}
	for i, name := range baseUnits {
		u := one()
		u.dims[i] = 1
		all[name] = atom{u, true}
	}
	for _, line := range strings.Split(strings.TrimSpace(table), "\n") {
		f := strings.Fields(line)
		all[f[0]] = atom{define(all, f), strings.Contains(f[1], "m")}
	}
	for _, t := range temperatures {
		u := all["K"].unit.times(one(), 1)
		u.factor, _ = new(big.Rat).SetString(t.factor)
		u.offset, _ = new(big.Rat).SetString(t.offset)
		all[t.code] = atom{u, t.code == "Cel"}
	}
	return all
})

// temperatures are the scales with their zero elsewhere: kelvin = (x + offset) * factor.
var temperatures = []struct{ code, factor, offset string }{
	{"Cel", "1", "273.15"},
	{"[degF]", "5/9", "459.67"},
	{"[degRe]", "5/4", "218.52"},
}

func define(all map[string]atom, f []string) *Unit {
	code, flags := f[0], f[1]
	switch {
	case strings.Contains(flags, "a"):
		u := one()
		u.arbitrary = []power{{code, 1}}
		return u
	case strings.Contains(flags, "s"):
		u := one()
		u.special = code
		return u
	}
	p := parser{src: f[3], atoms: all}
	u := p.main()
	if u == nil {
		return one()
	}
	out := *u // an atom alone is shared
	if factor, ok := new(big.Rat).SetString(f[2]); ok {
		out.factor = factor.Mul(factor, u.factor)
	}
	return &out
}

// prefixes are the metric and binary prefixes as powers of ten, or of two with a leading b.
var prefixes = map[string]string{
	"Y": "24", "Z": "21", "E": "18", "P": "15", "T": "12", "G": "9", "M": "6", "k": "3", "h": "2", "da": "1",
	"d": "-1", "c": "-2", "m": "-3", "u": "-6", "n": "-9", "p": "-12", "f": "-15", "a": "-18", "z": "-21", "y": "-24",
	"Ki": "b10", "Mi": "b20", "Gi": "b30", "Ti": "b40",
}

// prefix returns the factor of a prefix, or nil.
func prefix(name string) *big.Rat {
	power, ok := prefixes[name]
	if !ok {
		return nil
	}
	base := int64(10)
	if power[0] == 'b' {
		base, power = 2, power[1:]
	}
	n, _ := strconv.Atoi(power)
	abs := max(n, -n)
	x := new(big.Int).Exp(big.NewInt(base), big.NewInt(int64(abs)), nil)
	if n < 0 {
		return new(big.Rat).SetFrac(big.NewInt(1), x)
	}
	return new(big.Rat).SetInt(x)
}

// parse reads a code; nil when it is no unit.
func parse(code string) *Unit {
	if code == "" || len(code) > maxLength {
		return nil
	}
	p := parser{src: code, atoms: atoms()}
	u := p.main()
	if u == nil || u.beyond(maxExponent) {
		return nil
	}
	out := *u
	out.finish()
	return &out
}

// parser is a recursive descent over the grammar of UCUM section 2.2. A nil unit is a failure.
type parser struct {
	src   string
	pos   int
	depth int
	atoms map[string]atom
	// A special unit stands alone: it is no factor of a product.
	special bool
	parts   int
}

func (p *parser) main() *Unit {
	u := p.term()
	if u == nil || p.pos != len(p.src) || p.special && p.parts > 1 {
		return nil
	}
	return u
}

func (p *parser) peek() byte {
	if p.pos < len(p.src) {
		return p.src[p.pos]
	}
	return 0
}

func (p *parser) term() *Unit {
	if p.depth++; p.depth > maxDepth {
		return nil
	}
	defer func() { p.depth-- }()
	var out *Unit
	sign := 1
	if p.peek() == '/' {
		p.pos++
		p.parts++
		out, sign = one(), -1
	}
	for {
		u := p.component()
		if u == nil {
			return nil
		}
		if out == nil {
			out = u
		} else {
			out = out.times(u, sign)
		}
		if out.factor.Num().BitLen()+out.factor.Denom().BitLen() > maxBits {
			return nil
		}
		switch p.peek() {
		case '.':
			sign = 1
		case '/':
			sign = -1
		default:
			return out
		}
		p.pos++
	}
}

func (p *parser) component() *Unit {
	p.parts++
	switch c := p.peek(); {
	case c == '(':
		p.pos++
		u := p.term()
		if u == nil || p.peek() != ')' {
			return nil
		}
		p.pos++
		return p.annotated(u)
	case c == '{':
		return p.annotated(one())
	case c >= '0' && c <= '9' && !p.powerOfTen():
		return p.annotated(p.integer())
	default:
		return p.annotated(p.power(p.symbol()))
	}
}

// annotated skips an annotation, which has no meaning of its own.
func (p *parser) annotated(u *Unit) *Unit {
	if p.peek() != '{' {
		return u
	}
	end := strings.IndexByte(p.src[p.pos:], '}')
	if end < 0 || strings.ContainsRune(p.src[p.pos+1:p.pos+end], '{') {
		return nil
	}
	for _, r := range p.src[p.pos : p.pos+end] {
		if r < ' ' || r > '~' {
			return nil
		}
	}
	p.pos += end + 1
	return u
}

func (p *parser) powerOfTen() bool {
	rest := p.src[p.pos:]
	return strings.HasPrefix(rest, "10*") || strings.HasPrefix(rest, "10^")
}

func (p *parser) digits() string {
	start := p.pos
	for c := p.peek(); c >= '0' && c <= '9'; c = p.peek() {
		p.pos++
	}
	return p.src[start:p.pos]
}

func (p *parser) integer() *Unit {
	n, ok := new(big.Int).SetString(p.digits(), 10)
	if !ok || n.Sign() == 0 {
		return nil
	}
	return &Unit{factor: new(big.Rat).SetInt(n)}
}

// symbol reads an atom with its prefix; what stands in square brackets belongs to the name.
func (p *parser) symbol() *Unit {
	start := p.pos
	if p.powerOfTen() {
		p.pos += 3
		return p.resolve(p.src[start:p.pos])
	}
	for p.pos < len(p.src) {
		c := p.src[p.pos]
		if c == '[' {
			end := strings.IndexByte(p.src[p.pos:], ']')
			if end < 0 {
				return nil
			}
			p.pos += end + 1
			continue
		}
		if c <= ' ' || c > '~' || strings.IndexByte("0123456789+-.(){}/", c) >= 0 {
			break
		}
		p.pos++
	}
	return p.resolve(p.src[start:p.pos])
}

func (p *parser) resolve(name string) *Unit {
	if a, ok := p.atoms[name]; ok {
		p.special = p.special || a.unit.special != "" || a.unit.offset != nil
		return a.unit
	}
	for n := 1; n <= 2 && n < len(name); n++ {
		factor := prefix(name[:n])
		a, ok := p.atoms[name[n:]]
		if factor == nil || !ok || !a.metric {
			continue
		}
		if a.unit.special != "" || a.unit.offset != nil {
			return p.scaled(a.unit, factor)
		}
		out := a.unit.times(one(), 1)
		out.factor.Mul(out.factor, factor)
		return out
	}
	return nil
}

// scaled is a prefix before a special unit: the prefix applies before the scale does.
func (p *parser) scaled(u *Unit, factor *big.Rat) *Unit {
	p.special = true
	out := *u
	out.factor = new(big.Rat).Mul(u.factor, factor)
	if u.offset != nil {
		out.offset = new(big.Rat).Quo(u.offset, factor)
	}
	return &out
}

// power reads the exponent after an atom.
func (p *parser) power(u *Unit) *Unit {
	if u == nil {
		return nil
	}
	sign := 1
	switch p.peek() {
	case '-':
		sign = -1
		p.pos++
	case '+':
		p.pos++
	default:
		if c := p.peek(); c < '0' || c > '9' {
			return u
		}
	}
	n, err := strconv.Atoi(p.digits())
	if err != nil || n > maxExponent || n == 0 {
		return nil
	}
	if p.special {
		return nil
	}
	return u.raise(sign * n)
}
