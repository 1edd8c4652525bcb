package fhirpath

import (
	"math"

	"github.com/cockroachdb/apd/v3"

	"bulkhead/server/fhir"
)

// arithmetic is + - * / div or mod. A result that no number can hold is empty, as is a division
// by zero.
type arithmetic struct {
	op          string
	left, right expr
}

func (x *arithmetic) eval(ev *evaluator, sc *scope, dst []Item) []Item {
	a, okA := ev.one(x.left, sc)
	b, okB := ev.one(x.right, sc)
	if !okA || !okB || ev.err != nil {
		return dst
	}
	u, okU := ev.operand(&a, x.op)
	v, okV := ev.operand(&b, x.op)
	if !okU || !okV {
		return dst
	}
	if out, ok := ev.calculate(x.op, u, v); ok {
		return append(dst, valueItem(out))
	}
	return dst
}

// operand returns the value of an item that is to be calculated with; a complex one is an error.
func (ev *evaluator) operand(it *Item, op string) (Value, bool) {
	if it.systemKind() == Quantity && it.Kind == Node {
		if _, _, comparator := fhirQuantity(it.JSON); comparator {
			ev.fail(fhir.Processing, "A Quantity with a comparator is no exact amount.")
			return Value{}, false
		}
	}
	v, ok := it.Value()
	if !ok && it.complex() {
		ev.fail(fhir.Processing, "%s is no operand of %s.", it.TypeName(), op)
	}
	return v, ok
}

func (ev *evaluator) calculate(op string, a, b Value) (Value, bool) {
	switch {
	case a.isNumber() && b.isNumber():
		return calculateNumbers(op, a, b)
	case a.Kind == String && b.Kind == String && op == "+":
		if !ev.fits(len(a.Text) + len(b.Text)) {
			return Value{}, false
		}
		return Value{Kind: String, Text: a.Text + b.Text}, true
	case (op == "+" || op == "-") && a.isMoment() && b.Kind == Quantity:
		return ev.shift(a, b, op == "-")
	case op == "+" && b.isMoment() && a.Kind == Quantity:
		return ev.shift(b, a, false)
	case a.Kind == Quantity || b.Kind == Quantity:
		if p, q, ok := bothQuantities(a, b); ok {
			return calculateQuantities(op, p, q)
		}
	}
	ev.fail(fhir.Processing, "%s does not go between %s and %s.", op, a.Kind, b.Kind)
	return Value{}, false
}

func (ev *evaluator) shift(m, q Value, subtract bool) (Value, bool) {
	when, ok, valid := addDuration(m.When, q, subtract)
	if !ok {
		ev.fail(fhir.Processing, "A quantity in '%s' cannot be added to a %s.", q.Unit, m.Kind)
		return Value{}, false
	}
	m.When = when
	return m, valid
}

func calculateNumbers(op string, a, b Value) (Value, bool) {
	if a.Kind != Decimal && b.Kind != Decimal {
		return calculateIntegers(op, a, b)
	}
	d, ok := calculateDecimals(op, a.decimal(), b.decimal())
	if !ok {
		return Value{}, false
	}
	if op == "div" {
		n, whole := toInt(d)
		return Value{Kind: Integer, Int: n}, whole
	}
	return Value{Kind: Decimal, Dec: d}, true
}

// wider is the integer type of a result.
func wider(a, b Kind) Kind {
	if a == Long || b == Long {
		return Long
	}
	return Integer
}

func calculateIntegers(op string, a, b Value) (Value, bool) {
	out := Value{Kind: wider(a.Kind, b.Kind)}
	x, y := a.Int, b.Int
	ok := true
	switch op {
	case "+":
		out.Int = x + y
		ok = (out.Int > x) == (y > 0)
	case "-":
		out.Int = x - y
		ok = (out.Int < x) == (y > 0)
	case "*":
		out.Int = x * y
		ok = x == 0 || out.Int/x == y && (x != -1 || y != math.MinInt64)
	case "/":
		d, ok := divideDecimals(fromInt(x), fromInt(y))
		return Value{Kind: Decimal, Dec: d}, ok
	case "div", "mod":
		if y == 0 || x == math.MinInt64 && y == -1 {
			return out, false
		}
		if out.Int = x / y; op == "mod" {
			out.Int = x % y
		}
	}
	return out, ok
}

func calculateDecimals(op string, x, y *apd.Decimal) (*apd.Decimal, bool) {
	out := new(apd.Decimal)
	var err error
	switch op {
	case "+":
		_, err = exact.Add(out, x, y)
	case "-":
		_, err = exact.Sub(out, x, y)
	case "*":
		_, err = exact.Mul(out, x, y)
	case "/":
		return divideDecimals(x, y)
	default:
		if y.IsZero() {
			return nil, false
		}
		ctx := exact
		ctx.Precision = 2 * maxDigits
		if op == "mod" {
			_, err = ctx.Rem(out, x, y)
		} else {
			_, err = ctx.QuoInteger(out, x, y)
		}
	}
	return checked(out, err)
}

func divideDecimals(x, y *apd.Decimal) (*apd.Decimal, bool) {
	if y.IsZero() {
		return nil, false
	}
	out := new(apd.Decimal)
	_, err := rounded.Quo(out, x, y)
	if err == nil && out.Exponent < 0 {
		out.Reduce(out)
		if out.Exponent > 0 {
			_, err = exact.Quantize(out, out, 0)
		}
	}
	return checked(out, err)
}

func negated(d *apd.Decimal) *apd.Decimal {
	out := new(apd.Decimal)
	out.Neg(d)
	return out
}

func calculateQuantities(op string, a, b Value) (Value, bool) {
	switch op {
	case "+", "-":
		return addQuantities(a, b, op == "-")
	case "*", "/":
		return multiplyQuantities(a, b, op == "/")
	default: // div and mod take quantities that are plain numbers
		x, okX := a.dimensionless()
		y, okY := b.dimensionless()
		if !okX || !okY {
			return Value{}, false
		}
		d, ok := calculateDecimals(op, x, y)
		return Value{Kind: Quantity, Dec: d, Unit: "1"}, ok
	}
}
