package fhirpath

import (
	"math/big"
	"strings"

	"github.com/cockroachdb/apd/v3"
)

// Decimals are exact for + - * and carry 34 digits where a result has no end. A result outside
// 10^±maxExponent is treated as the language treats overflow: there is none.
const (
	maxDigits   = 400
	maxExponent = 400
	quoDigits   = 34
)

var (
	exact    = apd.Context{Precision: maxDigits, MaxExponent: 2000, MinExponent: -2000, Rounding: apd.RoundHalfUp}
	rounded  = apd.Context{Precision: quoDigits, MaxExponent: 2000, MinExponent: -2000, Rounding: apd.RoundHalfUp}
	oneThing = apd.New(1, 0)
)

// parseDecimal reads a JSON number or a decimal literal.
func parseDecimal(text string) (*apd.Decimal, bool) {
	if len(text) > maxDigits || text == "" || strings.ContainsAny(text, "nNiI_ ") {
		return nil, false
	}
	d, _, err := apd.NewFromString(text)
	if err != nil || d.Form != apd.Finite || !bounded(d) {
		return nil, false
	}
	return d, true
}

// bounded tells whether d may take part in further arithmetic.
func bounded(d *apd.Decimal) bool {
	if d.Form != apd.Finite {
		return false
	}
	if d.IsZero() {
		return d.Exponent > -maxExponent && d.Exponent < maxExponent
	}
	top := int64(d.Exponent) + d.NumDigits()
	return top < maxExponent && d.Exponent > -maxExponent
}

// checked returns d unless the operation failed or left the bounds.
func checked(d *apd.Decimal, err error) (*apd.Decimal, bool) {
	if err != nil || !bounded(d) {
		return nil, false
	}
	return d, true
}

func fromInt(n int64) *apd.Decimal { return apd.New(n, 0) }

func isOne(d *apd.Decimal) bool { return d.Cmp(oneThing) == 0 }

// places returns the number of digits after the point that count: trailing zeros do not.
func places(d *apd.Decimal) int32 {
	var r apd.Decimal
	r.Reduce(d)
	if r.Exponent >= 0 {
		return 0
	}
	return -r.Exponent
}

// rounding says where a number goes whose last digits are cut off.
type rounding uint8

const (
	halfUp   rounding = iota // the half away from zero
	halfCeil                 // the half towards plus infinity
	down                     // towards zero
	floor                    // towards minus infinity
	ceiling                  // towards plus infinity
)

// roundTo returns d with a number of digits after the point. (apd's Quantize takes a number much
// smaller than the last digit for zero, whichever way it should go.)
func roundTo(d *apd.Decimal, digits int32, to rounding) (*apd.Decimal, bool) {
	drop := -digits - d.Exponent
	if drop <= 0 || d.IsZero() {
		out := new(apd.Decimal)
		_, err := exact.Quantize(out, d, -digits)
		return checked(out, err)
	}
	var unit, quo, rem big.Int
	unit.Exp(big.NewInt(10), big.NewInt(int64(drop)), nil)
	quo.QuoRem(d.Coeff.MathBigInt(), &unit, &rem)
	away := false
	switch to {
	case halfUp:
		away = rem.Lsh(&rem, 1).Cmp(&unit) >= 0
	case halfCeil:
		order := rem.Lsh(&rem, 1).Cmp(&unit)
		away = order > 0 || order == 0 && !d.Negative
	case floor:
		away = d.Negative && rem.Sign() != 0
	case ceiling:
		away = !d.Negative && rem.Sign() != 0
	}
	if away {
		quo.Add(&quo, big.NewInt(1))
	}
	out := &apd.Decimal{Negative: d.Negative && quo.Sign() != 0, Exponent: -digits}
	out.Coeff.SetMathBigInt(&quo)
	return checked(out, nil)
}

// toInt returns a whole decimal as an integer.
func toInt(d *apd.Decimal) (int64, bool) {
	n, err := d.Int64()
	return n, err == nil
}

// truncated cuts the part after the point off.
func truncated(d *apd.Decimal) (*apd.Decimal, bool) { return roundTo(d, 0, down) }

// toRat converts exactly.
func toRat(d *apd.Decimal) *big.Rat {
	r := new(big.Rat).SetInt(d.Coeff.MathBigInt())
	if d.Negative {
		r.Neg(r)
	}
	scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(d.Exponent, -d.Exponent))), nil)
	if d.Exponent < 0 {
		return r.Quo(r, new(big.Rat).SetInt(scale))
	}
	return r.Mul(r, new(big.Rat).SetInt(scale))
}

// fromRat converts exactly where the fraction has an end, otherwise to quoDigits digits.
func fromRat(r *big.Rat) (*apd.Decimal, bool) {
	if r.Num().BitLen() > 8192 || r.Denom().BitLen() > 8192 {
		return nil, false
	}
	var num, den, out apd.Decimal
	num.Coeff.SetMathBigInt(new(big.Int).Abs(r.Num()))
	num.Negative = r.Sign() < 0
	den.Coeff.SetMathBigInt(r.Denom())
	ctx := rounded
	if digits, ends := r.FloatPrec(); ends && digits < 200 {
		ctx = exact
	}
	_, err := ctx.Quo(&out, &num, &den)
	if err == nil {
		out.Reduce(&out)
		if out.Exponent > 0 { // Reduce turns 100 into 1E+2
			_, err = exact.Quantize(&out, &out, 0)
		}
	}
	return checked(&out, err)
}
