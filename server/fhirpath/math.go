package fhirpath

import (
	"github.com/cockroachdb/apd/v3"
)

// mathFunctions are those of section 5.7.
var mathFunctions = map[string]function{
	"abs":      {run: fnAbs},
	"ceiling":  {run: fnCeiling},
	"floor":    {run: fnFloor},
	"truncate": {run: fnTruncate},
	"round":    {run: fnRound, max: 1},
	"exp":      {run: fnExp},
	"ln":       {run: fnLn},
	"log":      {run: fnLog, min: 1, max: 1},
	"power":    {run: fnPower, min: 1, max: 1},
	"sqrt":     {run: fnSqrt},
}

// transcendental is the context of exp() and its like: results are rounded to shown digits, so
// that 16.log(2) is 4.
var (
	transcendental = apd.Context{Precision: 34, MaxExponent: 2000, MinExponent: -2000, Rounding: apd.RoundHalfUp}
	shown          = apd.Context{Precision: 28, MaxExponent: 2000, MinExponent: -2000, Rounding: apd.RoundHalfUp}
)

// number returns the number that the function is applied to; ok is false when there is none.
func (c *call) number(ev *evaluator, in []Item) (Value, bool) {
	it, ok := ev.single(in)
	if !ok {
		return Value{}, false
	}
	v, is := it.Value()
	if !is && it.Kind == Node && it.primitive() {
		return Value{}, false
	}
	if !is || !v.isNumber() && v.Kind != Quantity {
		ev.unsuited(c, &it)
		return Value{}, false
	}
	return v, true
}

// plainNumber is number() for functions that take no quantities.
func (c *call) plainNumber(ev *evaluator, in []Item) (*apd.Decimal, bool) {
	v, ok := c.number(ev, in)
	if !ok {
		return nil, false
	}
	if v.Kind == Quantity {
		it := valueItem(v)
		ev.unsuited(c, &it)
		return nil, false
	}
	return v.decimal(), true
}

func fnAbs(c *call, ev *evaluator, _ *scope, in, dst []Item) []Item {
	v, ok := c.number(ev, in)
	if !ok {
		return dst
	}
	if v.Dec == nil {
		v.Int = max(v.Int, -v.Int)
	} else if v.Dec.Negative {
		v.Dec = negated(v.Dec)
	}
	return append(dst, valueItem(v))
}

// whole rounds to an integer.
func (c *call) whole(ev *evaluator, in, dst []Item, to rounding) []Item {
	v, ok := c.number(ev, in)
	if !ok {
		return dst
	}
	if v.Dec == nil {
		return append(dst, valueItem(v))
	}
	d, ok := roundTo(v.Dec, 0, to)
	if !ok {
		return dst
	}
	if v.Kind == Quantity {
		v.Dec = d
		return append(dst, valueItem(v))
	}
	if n, fits := toInt(d); fits {
		return append(dst, intItem(n))
	}
	return append(dst, decimalItem(d))
}

func fnCeiling(c *call, ev *evaluator, _ *scope, in, dst []Item) []Item {
	return c.whole(ev, in, dst, ceiling)
}

func fnFloor(c *call, ev *evaluator, _ *scope, in, dst []Item) []Item {
	return c.whole(ev, in, dst, floor)
}

func fnTruncate(c *call, ev *evaluator, _ *scope, in, dst []Item) []Item {
	return c.whole(ev, in, dst, down)
}

func fnRound(c *call, ev *evaluator, sc *scope, in, dst []Item) []Item {
	v, ok := c.number(ev, in)
	if !ok {
		return dst
	}
	digits := int64(0)
	if len(c.args) == 1 {
		if digits, ok = ev.integer(c.args[0], sc, "round()"); !ok {
			return dst
		}
	}
	if digits < 0 || digits > maxExponent {
		ev.fail(invalidArgument, "round() takes a number of places that is not negative.")
		return dst
	}
	if v.Dec == nil {
		return append(dst, valueItem(v))
	}
	d := v.Dec
	if int64(-d.Exponent) > digits {
		if d, ok = roundTo(d, int32(digits), halfCeil); !ok {
			return dst
		}
	}
	v.Dec = d
	return append(dst, valueItem(v))
}

// computed runs an operation whose result is rounded to what is shown.
func computed(ev *evaluator, dst []Item, op func(out *apd.Decimal) error) []Item {
	if !ev.step(500) {
		return dst
	}
	d := new(apd.Decimal)
	if err := op(d); err != nil {
		return dst
	}
	_, err := shown.Round(d, d)
	if d, ok := checked(d, err); ok {
		d.Reduce(d)
		if d.Exponent > 0 {
			_, err = exact.Quantize(d, d, 0)
		}
		if err == nil {
			return append(dst, decimalItem(d))
		}
	}
	return dst
}

func fnExp(c *call, ev *evaluator, _ *scope, in, dst []Item) []Item {
	x, ok := c.plainNumber(ev, in)
	if !ok || x.Cmp(apd.New(1000, 0)) > 0 || x.Cmp(apd.New(-1000, 0)) < 0 {
		return dst
	}
	return computed(ev, dst, func(out *apd.Decimal) error {
		_, err := transcendental.Exp(out, x)
		return err
	})
}

func fnLn(c *call, ev *evaluator, _ *scope, in, dst []Item) []Item {
	x, ok := c.plainNumber(ev, in)
	if !ok || x.Sign() <= 0 {
		return dst
	}
	return computed(ev, dst, func(out *apd.Decimal) error {
		_, err := transcendental.Ln(out, x)
		return err
	})
}

// numberArgument evaluates the first argument to a number.
func (c *call) numberArgument(ev *evaluator, sc *scope) (Value, bool) {
	it, ok := ev.one(c.args[0], sc)
	if !ok {
		return Value{}, false
	}
	return c.number(ev, []Item{it})
}

func fnLog(c *call, ev *evaluator, sc *scope, in, dst []Item) []Item {
	x, ok := c.plainNumber(ev, in)
	base, okBase := c.numberArgument(ev, sc)
	if !ok || !okBase || base.Kind == Quantity || x.Sign() <= 0 {
		return dst
	}
	b := base.decimal()
	if b.Sign() <= 0 || isOne(b) {
		return dst
	}
	return computed(ev, dst, func(out *apd.Decimal) error {
		var lower apd.Decimal
		if _, err := transcendental.Ln(&lower, b); err != nil {
			return err
		}
		if _, err := transcendental.Ln(out, x); err != nil {
			return err
		}
		_, err := transcendental.Quo(out, out, &lower)
		return err
	})
}

func fnPower(c *call, ev *evaluator, sc *scope, in, dst []Item) []Item {
	v, ok := c.number(ev, in)
	exponent, okExponent := c.numberArgument(ev, sc)
	if !ok || !okExponent || v.Kind == Quantity || exponent.Kind == Quantity {
		return dst
	}
	x, y := v.decimal(), exponent.decimal()
	if y.Cmp(apd.New(5000, 0)) > 0 || y.Cmp(apd.New(-5000, 0)) < 0 {
		return dst
	}
	if _, whole := toInt(y); !whole && x.Negative || x.IsZero() && y.Negative {
		return dst
	}
	out := computed(ev, dst, func(out *apd.Decimal) error {
		_, err := transcendental.Pow(out, x, y)
		return err
	})
	if n := len(out) - 1; n == len(dst) && v.Dec == nil && exponent.Dec == nil {
		if whole, ok := toInt(out[n].sys.Dec); ok {
			out[n] = intItem(whole)
		}
	}
	return out
}

func fnSqrt(c *call, ev *evaluator, _ *scope, in, dst []Item) []Item {
	x, ok := c.plainNumber(ev, in)
	if !ok || x.Negative && !x.IsZero() {
		return dst
	}
	return computed(ev, dst, func(out *apd.Decimal) error {
		_, err := transcendental.Sqrt(out, x)
		return err
	})
}
