package search

import (
	"math"
	"strconv"
	"strings"
)

// decimal is a decimal number as it was written: mantissa × 10^exponent, with the exponent of the
// last digit given. 5.40 is 540 × 10^-2.
type decimal struct {
	mantissa int64
	exponent int
	value    float64
}

// parseDecimal reads [-+]digits[.digits][(e|E)[-+]digits]. It refuses what no float64 can hold.
func parseDecimal(text string) (decimal, bool) {
	if text == "" || len(text) > 330 {
		return decimal{}, false
	}
	i := 0
	negative := text[0] == '-'
	if negative || text[0] == '+' {
		i++
	}
	var d decimal
	digits, fraction, significant, dropped := 0, 0, 0, 0
	dot := false
	for ; i < len(text); i++ {
		c := text[i]
		if c == '.' && !dot {
			dot = true
			continue
		}
		if c < '0' || c > '9' {
			break
		}
		digits++
		if significant > 0 || c != '0' {
			significant++
		}
		if significant > 17 {
			dropped++
		} else {
			d.mantissa = d.mantissa*10 + int64(c-'0')
		}
		if dot {
			fraction++
		}
	}
	if digits == 0 || dot && fraction == 0 {
		return decimal{}, false
	}
	if i < len(text) {
		if text[i] != 'e' && text[i] != 'E' {
			return decimal{}, false
		}
		n, err := strconv.Atoi(text[i+1:])
		if err != nil || n > 400 || n < -400 || strings.ContainsRune(text[i+1:], '_') {
			return decimal{}, false
		}
		d.exponent = n
	}
	if negative {
		d.mantissa = -d.mantissa
	}
	d.exponent += dropped - fraction
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(value, 0) || strings.ContainsAny(text, "_xXpP") {
		return decimal{}, false
	}
	d.value = value
	return d, true
}

// bounds returns the implicit range of d: half a unit of the last digit to either side. A number
// like 1e2 counts as two digits (R4 search, number: it stands for 95 to 105). The bounds are the
// floats nearest to the exact decimals, so that 99.985 as the lower bound of 99.99 equals 99.985
// as somebody writes it.
func (d decimal) bounds() (lo, hi float64) {
	if d.exponent > 0 && d.mantissa > -10 && d.mantissa < 10 {
		return scaled(d.mantissa*100-5, d.exponent-2), scaled(d.mantissa*100+5, d.exponent-2)
	}
	return scaled(d.mantissa*10-5, d.exponent-1), scaled(d.mantissa*10+5, d.exponent-1)
}

// scaled returns the float nearest to mantissa × 10^exponent.
func scaled(mantissa int64, exponent int) float64 {
	var buf [32]byte
	text := strconv.AppendInt(buf[:0], mantissa, 10)
	text = append(text, 'e')
	text = strconv.AppendInt(text, int64(exponent), 10)
	value, err := strconv.ParseFloat(string(text), 64)
	if err != nil && !math.IsInf(value, 0) {
		return 0
	}
	return value
}
