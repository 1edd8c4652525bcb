package ucum

import (
	"math/big"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// baseUnits are the dimensions in the order in which a canonical unit lists them.
var baseUnits = [...]string{"m", "s", "g", "rad", "K", "C", "cd"}

// power is an arbitrary unit and its exponent.
type power struct {
	name string
	exp  int
}

// Unit is a unit that was understood: magnitude in base units = (x + offset) * factor.
type Unit struct {
	factor    *big.Rat
	offset    *big.Rat // nil for 0; only temperatures have one
	dims      [len(baseUnits)]int
	arbitrary []power // by name, no zero exponents
	special   string  // code of a scale without a factor; "" for all others
	canonical string
	factor64  float64
	offset64  float64
}

// Canonical returns the product of base units to which u converts, such as "g.m-3"; "1" when it
// has no dimension. Two units with the same canonical unit measure the same kind of quantity.
func (u *Unit) Canonical() string { return u.canonical }

// Special tells whether u is on a scale that no factor converts, such as pH.
func (u *Unit) Special() bool { return u.special != "" }

// Comparable tells whether a magnitude in u can be expressed in v.
func (u *Unit) Comparable(v *Unit) bool { return u.canonical == v.canonical }

// ToBase converts a magnitude in u to base units.
func (u *Unit) ToBase(x *big.Rat) *big.Rat {
	y := new(big.Rat).Set(x)
	if u.offset != nil {
		y.Add(y, u.offset)
	}
	return y.Mul(y, u.factor)
}

// FromBase converts a magnitude in base units to u.
func (u *Unit) FromBase(x *big.Rat) *big.Rat {
	y := new(big.Rat).Quo(x, u.factor)
	if u.offset != nil {
		y.Sub(y, u.offset)
	}
	return y
}

// Float converts a magnitude in u to base units in floating point: the same input always gives
// the same bits, so the result may be stored and compared.
func (u *Unit) Float(x float64) float64 { return (x + u.offset64) * u.factor64 }

// Scale returns the factor from u to base units, without the offset of temperatures.
func (u *Unit) Scale() *big.Rat { return new(big.Rat).Set(u.factor) }

// Canonical converts a magnitude to base units: ("4", "mg/dl") gives (40, "g.m-3"). It is false
// when value is no decimal number, unit is no UCUM unit, or no factor converts it.
func Canonical(value, unit string) (*big.Rat, string, bool) {
	u, ok := Lookup(unit)
	if !ok || u.Special() || len(value) > 400 {
		return nil, "", false
	}
	if i := strings.IndexAny(value, "eE"); i >= 0 {
		if e, err := strconv.Atoi(value[i+1:]); err != nil || e > 400 || e < -400 {
			return nil, "", false
		}
	}
	x, ok := new(big.Rat).SetString(value)
	if !ok || strings.ContainsRune(value, '/') {
		return nil, "", false
	}
	return u.ToBase(x), u.canonical, true
}

// maxCached bounds the units remembered: codes come from clients.
const maxCached = 4096

var (
	cache  sync.Map // code -> *Unit, nil for what is no unit
	cached atomic.Int64
)

// Lookup reads a unit; it is false when code is no UCUM unit. Units are remembered and shared.
func Lookup(code string) (*Unit, bool) {
	if hit, ok := cache.Load(code); ok {
		u := hit.(*Unit)
		return u, u != nil
	}
	u := parse(code)
	if cached.Load() < maxCached {
		if _, loaded := cache.LoadOrStore(strings.Clone(code), u); !loaded {
			cached.Add(1)
		}
	}
	return u, u != nil
}

// Valid tells whether code is a UCUM unit.
func Valid(code string) bool {
	_, ok := Lookup(code)
	return ok
}

// finish works out what is derived from the factors.
func (u *Unit) finish() {
	u.factor64, _ = u.factor.Float64()
	if u.offset != nil {
		u.offset64, _ = u.offset.Float64()
	}
	if u.special != "" {
		u.canonical = u.special
		return
	}
	var parts []string
	for i, n := range u.dims {
		parts = appendPower(parts, baseUnits[i], n)
	}
	for _, p := range u.arbitrary {
		parts = appendPower(parts, p.name, p.exp)
	}
	if len(parts) == 0 {
		u.canonical = "1"
		return
	}
	u.canonical = strings.Join(parts, ".")
}

func appendPower(parts []string, name string, exp int) []string {
	switch exp {
	case 0:
		return parts
	case 1:
		return append(parts, name)
	default:
		return append(parts, name+strconv.Itoa(exp))
	}
}

// beyond tells whether a dimension has an exponent larger than limit.
func (u *Unit) beyond(limit int) bool {
	for _, n := range u.dims {
		if max(n, -n) > limit {
			return true
		}
	}
	for _, p := range u.arbitrary {
		if max(p.exp, -p.exp) > limit {
			return true
		}
	}
	return false
}

func one() *Unit { return &Unit{factor: big.NewRat(1, 1)} }

// times returns u * v, or u / v when sign is -1.
func (u *Unit) times(v *Unit, sign int) *Unit {
	out := &Unit{dims: u.dims}
	if sign > 0 {
		out.factor = new(big.Rat).Mul(u.factor, v.factor)
	} else {
		out.factor = new(big.Rat).Quo(u.factor, v.factor)
	}
	for i, n := range v.dims {
		out.dims[i] += sign * n
	}
	out.arbitrary = append([]power(nil), u.arbitrary...)
	for _, p := range v.arbitrary {
		out.arbitrary = addPower(out.arbitrary, power{p.name, sign * p.exp})
	}
	return out
}

func addPower(list []power, p power) []power {
	i := sort.Search(len(list), func(i int) bool { return list[i].name >= p.name })
	if i < len(list) && list[i].name == p.name {
		list[i].exp += p.exp
		if list[i].exp == 0 {
			list = append(list[:i], list[i+1:]...)
		}
		return list
	}
	list = append(list, power{})
	copy(list[i+1:], list[i:])
	list[i] = p
	return list
}

// raise returns u to the power n.
func (u *Unit) raise(n int) *Unit {
	out, sign := one(), 1
	if n < 0 {
		n, sign = -n, -1
	}
	for range n {
		out = out.times(u, sign)
	}
	return out
}
