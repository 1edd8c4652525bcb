package fhirpath

import (
	"math"
	"strings"

	"github.com/cockroachdb/apd/v3"

	"bulkhead/server/fhir"
)

const invalidArgument = fhir.Processing

// conversionFunctions are those of section 5.5: for each type toT() and convertsToT().
var conversionFunctions = func() map[string]function {
	all := map[string]function{}
	for name, convert := range map[string]conversion{
		"Boolean": toBoolean, "Integer": toInteger, "Long": toLong, "Decimal": toDecimal, "String": toText,
		"Date": toDate, "DateTime": toDateTime, "Time": toTime, "Quantity": toQuantity,
	} {
		most := 0
		if name == "Quantity" || strings.HasPrefix(name, "Date") {
			most = 1 // a unit; a format, which is not supported
		}
		all["to"+name] = function{run: convertRunner(convert, false), max: most}
		all["convertsTo"+name] = function{run: convertRunner(convert, true), max: most}
	}
	return all
}()

// conversion turns a value into another type; it is false when it cannot.
type conversion func(v Value) (Value, bool)

func convertRunner(convert conversion, ask bool) runner {
	return func(c *call, ev *evaluator, sc *scope, in, dst []Item) []Item {
		it, ok := ev.single(in)
		if !ok {
			return dst
		}
		if it.systemKind() == Quantity && it.Kind == Node && !ask {
			if _, _, comparator := fhirQuantity(it.JSON); comparator {
				ev.fail(fhir.Processing, "A Quantity with a comparator is no exact amount.")
				return dst
			}
		}
		v, ok := it.Value()
		if !ok && it.Kind == Node && it.JSON == nil && it.primitive() {
			return dst
		}
		if ok {
			v, ok = convert(v)
		}
		if ok && len(c.args) == 1 && v.Kind == Quantity {
			unit, given := c.argument(ev, sc, 0)
			if !given {
				return dst
			}
			v, ok = v.toUnit(unit)
		}
		switch {
		case ask:
			return append(dst, boolItem(ok))
		case ok:
			return append(dst, valueItem(v))
		default:
			return dst
		}
	}
}

func toBoolean(v Value) (Value, bool) {
	switch v.Kind {
	case Boolean:
		return v, true
	case Integer, Long:
		return Value{Kind: Boolean, Bool: v.Int == 1}, v.Int == 0 || v.Int == 1
	case Decimal:
		return Value{Kind: Boolean, Bool: isOne(v.Dec)}, v.Dec.IsZero() || isOne(v.Dec)
	case String:
		switch strings.ToLower(v.Text) {
		case "true", "t", "yes", "y", "1", "1.0":
			return trueValue, true
		case "false", "f", "no", "n", "0", "0.0":
			return falseValue, true
		}
	}
	return Value{}, false
}

func toLong(v Value) (Value, bool) {
	switch v.Kind {
	case Integer, Long:
		return Value{Kind: Long, Int: v.Int}, true
	case Boolean:
		return Value{Kind: Long, Int: int64(btoi(v.Bool))}, true
	case String:
		digits := strings.TrimPrefix(strings.TrimPrefix(v.Text, "+"), "-")
		if len(v.Text)-len(digits) > 1 || !isASCIIDigits(digits) {
			return Value{}, false
		}
		n, ok := integerValue(Long, strings.TrimPrefix(v.Text, "+"))
		return n, ok && n.Kind == Long
	default:
		return Value{}, false
	}
}

func toInteger(v Value) (Value, bool) {
	if v.Kind == Integer {
		return v, true
	}
	n, ok := toLong(v)
	n.Kind = Integer
	return n, ok && n.Int >= math.MinInt32 && n.Int <= math.MaxInt32
}

func toDecimal(v Value) (Value, bool) {
	switch v.Kind {
	case Decimal:
		return v, true
	case Integer, Long:
		return Value{Kind: Decimal, Dec: fromInt(v.Int)}, true
	case Boolean:
		return Value{Kind: Decimal, Dec: apd.New(int64(btoi(v.Bool))*10, -1)}, true
	case String:
		d, ok := decimalText(v.Text)
		return Value{Kind: Decimal, Dec: d}, ok
	default:
		return Value{}, false
	}
}

// decimalText reads a number as the language writes it: no exponent, digits around the point.
func decimalText(s string) (*apd.Decimal, bool) {
	unsigned := strings.TrimPrefix(strings.TrimPrefix(s, "+"), "-")
	whole, fraction, point := strings.Cut(unsigned, ".")
	if len(s)-len(unsigned) > 1 || !isASCIIDigits(whole) || point && !isASCIIDigits(fraction) {
		return nil, false
	}
	return parseDecimal(strings.TrimPrefix(s, "+"))
}

func toText(v Value) (Value, bool) {
	if v.Kind == TypeInfo || v.Kind == Node {
		return Value{}, false
	}
	return Value{Kind: String, Text: v.String()}, true
}

func toDate(v Value) (Value, bool) {
	switch v.Kind {
	case Date:
		return v, true
	case DateTime:
		m := v.When
		m.Kind, m.Precision, m.HasZone, m.Zone = Date, min(m.Precision, Day), false, 0
		return Value{Kind: Date, When: m}, true
	case String:
		m, ok := parseMoment(Date, v.Text)
		if !ok {
			if m, ok = parseMoment(DateTime, v.Text); ok {
				return toDate(Value{Kind: DateTime, When: m})
			}
		}
		return Value{Kind: Date, When: m}, ok
	default:
		return Value{}, false
	}
}

func toDateTime(v Value) (Value, bool) {
	switch v.Kind {
	case DateTime:
		return v, true
	case Date:
		m := v.When
		m.Kind = DateTime
		return Value{Kind: DateTime, When: m}, true
	case String:
		m, ok := parseMoment(DateTime, v.Text)
		return Value{Kind: DateTime, When: m}, ok
	default:
		return Value{}, false
	}
}

func toTime(v Value) (Value, bool) {
	switch v.Kind {
	case Time:
		return v, true
	case String:
		m, ok := parseMoment(Time, v.Text)
		return Value{Kind: Time, When: m}, ok
	default:
		return Value{}, false
	}
}

func toQuantity(v Value) (Value, bool) {
	switch v.Kind {
	case Quantity:
		return v, v.foreign == ""
	case Integer, Long, Decimal:
		return v.quantity()
	case Boolean:
		d, _ := toDecimal(v)
		return d.quantity()
	case String:
		return quantityText(v.Text)
	default:
		return Value{}, false
	}
}

// quantityText reads "4", "4 days" and "4 'mg'".
func quantityText(s string) (Value, bool) {
	end := strings.IndexFunc(s, func(r rune) bool { return !strings.ContainsRune("+-.0123456789", r) })
	number, unit := s, ""
	if end >= 0 {
		number, unit = s[:end], strings.TrimLeft(s[end:], " \t\r\n")
	}
	d, ok := decimalText(number)
	if !ok {
		return Value{}, false
	}
	v := Value{Kind: Quantity, Dec: d, Unit: "1"}
	switch {
	case end < 0:
		return v, true
	case len(unit) > 2 && unit[0] == '\'' && strings.IndexByte(unit[1:], '\'') == len(unit)-2:
		v.Unit = unit[1 : len(unit)-1]
		return v, true
	default:
		v.Unit, v.Calendar = calendarUnits[unit], true
		return v, v.Unit != ""
	}
}
