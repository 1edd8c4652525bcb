package fhirpath

import (
	"math/big"
	"strings"
	"time"

	"github.com/cockroachdb/apd/v3"

	"bulkhead/server/fhir/ucum"
)

// calendarUnits maps the words of the language, singular and plural, to the singular.
var calendarUnits = map[string]string{
	"year": "year", "years": "year", "month": "month", "months": "month", "week": "week", "weeks": "week",
	"day": "day", "days": "day", "hour": "hour", "hours": "hour", "minute": "minute", "minutes": "minute",
	"second": "second", "seconds": "second", "millisecond": "millisecond", "milliseconds": "millisecond",
}

// ucumToCalendar maps the UCUM units of time to calendar units; calendarToUCUM is the way back.
// A calendar year or month is not the UCUM one, the others are the same.
var (
	ucumToCalendar = map[string]string{
		"a": "year", "mo": "month", "wk": "week", "d": "day", "h": "hour", "min": "minute", "s": "second", "ms": "millisecond",
	}
	calendarToUCUM = map[string]string{
		"year": "a", "month": "mo", "week": "wk", "day": "d", "hour": "h", "minute": "min", "second": "s", "millisecond": "ms",
	}
)

// calendarMillis is how long a calendar unit is where the language converts between them.
var calendarMillis = map[string]int64{
	"year": 365 * 86400000, "month": 30 * 86400000, "week": 7 * 86400000, "day": 86400000,
	"hour": 3600000, "minute": 60000, "second": 1000, "millisecond": 1,
}

// isVariable tells whether a calendar unit has no fixed length.
func isVariable(unit string) bool { return unit == "year" || unit == "month" }

// asCalendar returns q with a calendar unit, if that means the same.
func (v Value) asCalendar() (Value, bool) {
	if v.Calendar {
		return v, true
	}
	unit, ok := ucumToCalendar[v.Unit]
	if !ok || v.foreign != "" || isVariable(unit) && !v.fromFHIR {
		return v, false
	}
	v.Unit, v.Calendar = unit, true
	return v, true
}

// asUCUM returns q with a UCUM unit, if that means the same.
func (v Value) asUCUM() (Value, bool) {
	if !v.Calendar {
		return v, true
	}
	if isVariable(v.Unit) {
		return v, false
	}
	v.Unit, v.Calendar = calendarToUCUM[v.Unit], false
	return v, true
}

// aligned returns two quantities in one system of units, or false when none holds both.
func aligned(a, b Value) (Value, Value, bool) {
	if a.Calendar == b.Calendar {
		return a, b, true
	}
	x, okA := a.asCalendar()
	y, okB := b.asCalendar()
	if okA && okB && (a.fromFHIR || b.fromFHIR || !isVariable(x.Unit) && !isVariable(y.Unit)) {
		return x, y, true
	}
	if isMeanTime(a.Unit) || isMeanTime(b.Unit) {
		return a, b, false
	}
	x, okA = a.asUCUM()
	y, okB = b.asUCUM()
	return x, y, okA && okB
}

// isMeanTime tells whether a unit is a UCUM year or month, a mean that no calendar unit equals.
func isMeanTime(unit string) bool {
	return unit == "a" || unit == "mo" || strings.HasPrefix(unit, "a_") || strings.HasPrefix(unit, "mo_")
}

// magnitudes returns two quantities as multiples of one unit.
func magnitudes(a, b Value) (x, y *big.Rat, ok bool) {
	if a, b, ok = aligned(a, b); !ok {
		return nil, nil, false
	}
	x, y = toRat(a.Dec), toRat(b.Dec)
	if a.Unit == b.Unit {
		return x, y, true
	}
	if a.Calendar {
		if isVariable(a.Unit) && isVariable(b.Unit) {
			return x.Mul(x, months(a.Unit)), y.Mul(y, months(b.Unit)), true
		}
		return x.Mul(x, millis(a.Unit)), y.Mul(y, millis(b.Unit)), true
	}
	u, v, ok := unitsOf(a, b)
	if !ok || !u.Comparable(v) {
		return nil, nil, false
	}
	return u.ToBase(x), v.ToBase(y), true
}

func unitsOf(a, b Value) (u, v *ucum.Unit, ok bool) {
	if a.foreign != "" || b.foreign != "" {
		return nil, nil, false
	}
	u, okA := ucum.Lookup(a.Unit)
	v, okB := ucum.Lookup(b.Unit)
	return u, v, okA && okB && !u.Special() && !v.Special()
}

func months(unit string) *big.Rat {
	if unit == "year" {
		return big.NewRat(12, 1)
	}
	return big.NewRat(1, 1)
}

func millis(unit string) *big.Rat { return big.NewRat(calendarMillis[unit], 1) }

// compareQuantities orders two quantities; it is false when their units have nothing in common.
func compareQuantities(a, b Value) (int, bool) {
	if a.foreign != b.foreign {
		return 0, false
	}
	if a.Unit == b.Unit && a.Calendar == b.Calendar {
		return a.Dec.Cmp(b.Dec), true
	}
	x, y, ok := magnitudes(a, b)
	if !ok {
		return 0, false
	}
	return x.Cmp(y), true
}

// equivalentQuantities compares in the smaller of the two units, to the places of the coarser
// number. Here a calendar year is as good as a UCUM one.
func equivalentQuantities(a, b Value) bool {
	if a.foreign != b.foreign {
		return false
	}
	if a.Calendar != b.Calendar {
		a, b = loose(a), loose(b)
	}
	converted, other, ok := intoSmaller(a, b)
	if !ok {
		return false
	}
	digits := min(places(a.Dec), places(b.Dec))
	x, okX := roundTo(converted, digits, halfUp)
	y, okY := roundTo(other, digits, halfUp)
	return okX && okY && x.Cmp(y) == 0
}

// loose takes a UCUM unit of time for the calendar unit.
func loose(v Value) Value {
	if unit, ok := ucumToCalendar[v.Unit]; ok && !v.Calendar {
		v.Unit, v.Calendar = unit, true
	}
	return v
}

// intoSmaller expresses both quantities in the one of their units that is smaller.
func intoSmaller(a, b Value) (x, y *apd.Decimal, ok bool) {
	if a, b, ok = aligned(a, b); !ok {
		return nil, nil, false
	}
	if a.Unit == b.Unit {
		return a.Dec, b.Dec, true
	}
	if smaller(b, a) {
		x, ok = convert(a, b.Unit, b.Calendar)
		return x, b.Dec, ok
	}
	y, ok = convert(b, a.Unit, a.Calendar)
	return a.Dec, y, ok
}

// smaller tells whether the unit of a is smaller than that of b. Both are of one system.
func smaller(a, b Value) bool {
	if a.Calendar {
		return calendarMillis[a.Unit] < calendarMillis[b.Unit]
	}
	u, v, ok := unitsOf(a, b)
	return ok && u.Scale().Cmp(v.Scale()) < 0
}

// convert returns the magnitude of v in another unit of the same system.
func convert(v Value, unit string, calendar bool) (*apd.Decimal, bool) {
	if v.Unit == unit {
		return v.Dec, true
	}
	x := toRat(v.Dec)
	if calendar {
		if isVariable(v.Unit) && isVariable(unit) {
			return fromRat(x.Mul(x, new(big.Rat).Quo(months(v.Unit), months(unit))))
		}
		return fromRat(x.Mul(x, new(big.Rat).Quo(millis(v.Unit), millis(unit))))
	}
	from, to, ok := unitsOf(v, Value{Unit: unit})
	if !ok || !from.Comparable(to) {
		return nil, false
	}
	return fromRat(to.FromBase(from.ToBase(x)))
}

// toUnit is toQuantity(unit): a calendar word asks for a calendar unit, all else for UCUM.
func (v Value) toUnit(unit string) (Value, bool) {
	out := Value{Kind: Quantity, Unit: unit}
	if word, ok := calendarUnits[unit]; ok {
		out.Unit, out.Calendar = word, true
		from, ok := v.asCalendar()
		if !ok {
			return v, false
		}
		out.Dec, ok = convert(from, word, true)
		return out, ok
	}
	if !v.Calendar && v.Unit == unit {
		return v, true
	}
	from, ok := v.asUCUM()
	if !ok || v.Calendar && isMeanTime(unit) {
		return v, false
	}
	out.Dec, ok = convert(from, unit, false)
	return out, ok
}

// dimensionless returns the number that a quantity without dimension is.
func (v Value) dimensionless() (*apd.Decimal, bool) {
	if v.Calendar || v.foreign != "" {
		return nil, false
	}
	if v.Unit == "1" {
		return v.Dec, true
	}
	u, ok := ucum.Lookup(v.Unit)
	if !ok || u.Special() || u.Canonical() != "1" {
		return nil, false
	}
	return fromRat(u.ToBase(toRat(v.Dec)))
}

// addQuantities returns a + b, or a - b, in the smaller unit.
func addQuantities(a, b Value, subtract bool) (Value, bool) {
	calendar := a.Calendar || b.Calendar
	if !calendar {
		if _, _, ok := unitsOf(a, b); !ok {
			return Value{}, false
		}
	}
	left, right, ok := aligned(a, b)
	if !ok {
		return Value{}, false
	}
	x, y, ok := intoSmaller(left, right)
	if !ok {
		return Value{}, false
	}
	out := Value{Kind: Quantity, Dec: new(apd.Decimal), Unit: left.Unit, Calendar: left.Calendar}
	if left.Unit != right.Unit && smaller(right, left) {
		out.Unit = right.Unit
	}
	op := exact.Add
	if subtract {
		op = exact.Sub
	}
	_, err := op(out.Dec, x, y)
	out.Dec, ok = checked(out.Dec, err)
	return out, ok
}

// multiplyQuantities returns a * b, or a / b. A calendar duration takes a plain number only.
func multiplyQuantities(a, b Value, divide bool) (Value, bool) {
	if n, ok := b.dimensionless(); ok {
		return scaleQuantity(a, n, divide)
	}
	if n, ok := a.dimensionless(); ok && !divide {
		return scaleQuantity(b, n, false)
	}
	if a.Calendar || b.Calendar {
		return Value{}, false
	}
	u, v, ok := unitsOf(a, b)
	if !ok {
		return Value{}, false
	}
	x, y := u.ToBase(toRat(a.Dec)), v.ToBase(toRat(b.Dec))
	code := "(" + u.Canonical() + ").(" + v.Canonical() + ")"
	if divide {
		if y.Sign() == 0 {
			return Value{}, false
		}
		y.Inv(y)
		code = "(" + u.Canonical() + ")/(" + v.Canonical() + ")"
	}
	unit, ok := ucum.Lookup(code)
	if !ok {
		return Value{}, false
	}
	out := Value{Kind: Quantity, Unit: unit.Canonical()}
	out.Dec, ok = fromRat(x.Mul(x, y))
	return out, ok
}

func scaleQuantity(q Value, n *apd.Decimal, divide bool) (Value, bool) {
	if q.foreign != "" {
		return Value{}, false
	}
	if !q.Calendar {
		if u, ok := ucum.Lookup(q.Unit); !ok || u.Special() {
			return Value{}, false
		}
	}
	op := "*"
	if divide {
		op = "/"
	}
	out, ok := calculateDecimals(op, q.Dec, n)
	q.Dec = out
	return q, ok
}

// addDuration moves a moment by a quantity of time. ok is false when the unit is none that the
// language allows here; valid is false when the result is no date any more.
func addDuration(m Moment, q Value, subtract bool) (out Moment, ok, valid bool) {
	unit, known := calendarUnits[q.Unit]
	if c, is := q.asCalendar(); is {
		unit, known = c.Unit, true
	}
	if !known || m.Kind == Time && calendarMillis[unit] >= calendarMillis["day"] {
		return m, false, false
	}
	amount, millisecs, valid := wholeAmount(q.Dec, unit)
	if !valid {
		return m, true, false
	}
	if subtract {
		amount, millisecs = -amount, -millisecs
	}
	unit, amount = m.coarsen(unit, amount, millisecs)
	if m.Second == 60 {
		m.Second = 59
	}
	t := m.at()
	switch unit {
	case "year":
		t = addMonths(t, 12*amount)
	case "month":
		t = addMonths(t, amount)
	default:
		t = t.Add(time.Duration(amount * calendarMillis[unit] * int64(time.Millisecond)))
	}
	if unit == "millisecond" && m.Precision == Second && t.Nanosecond() != 0 {
		m.Precision, m.fraction = Millisecond, 3
	}
	m.set(t)
	return m, true, m.Kind == Time || m.Year >= 1 && m.Year <= 9999
}

// maxDuration bounds an amount to what cannot overflow a time.Duration: 250 years.
const maxDuration = 250 * 365 * 86400000

// wholeAmount cuts a fraction off, apart from that of seconds, which become milliseconds.
func wholeAmount(d *apd.Decimal, unit string) (amount, millisecs int64, ok bool) {
	if unit == "second" {
		var scaled apd.Decimal
		if _, err := exact.Mul(&scaled, d, apd.New(1000, 0)); err != nil {
			return 0, 0, false
		}
		whole, ok := truncated(&scaled)
		if !ok {
			return 0, 0, false
		}
		n, ok := toInt(whole)
		return n, n, ok && max(n, -n) < maxDuration
	}
	whole, ok := truncated(d)
	if !ok {
		return 0, 0, false
	}
	n, ok := toInt(whole)
	if !ok || max(n, -n) > 400000000 {
		return 0, 0, false
	}
	if isVariable(unit) {
		return n, 0, max(n, -n) < 120000
	}
	ms := n * calendarMillis[unit]
	return n, ms, max(ms, -ms) < maxDuration
}

// coarsen turns an amount of a unit finer than the moment's precision into one that the moment
// has, cutting off what is less: 364 days added to a year are nothing, 365 are a year.
func (m *Moment) coarsen(unit string, amount, millisecs int64) (string, int64) {
	if unit == "second" {
		unit = "millisecond" // wholeAmount counted those
		amount = millisecs
	}
	switch m.Precision {
	case Year:
		if unit == "month" {
			return "year", amount / 12
		}
		if unit != "year" {
			return "year", millisecs / calendarMillis["year"]
		}
	case Month:
		if !isVariable(unit) {
			return "month", millisecs / calendarMillis["month"]
		}
	case Day:
		if !isVariable(unit) {
			return "day", millisecs / calendarMillis["day"]
		}
	case Hour:
		if !isVariable(unit) {
			return "hour", millisecs / calendarMillis["hour"]
		}
	case Minute:
		if !isVariable(unit) {
			return "minute", millisecs / calendarMillis["minute"]
		}
	}
	if !isVariable(unit) {
		return "millisecond", millisecs
	}
	return unit, amount
}

// addMonths keeps the day unless the month has fewer days.
func addMonths(t time.Time, n int64) time.Time {
	first := time.Date(t.Year(), t.Month()+time.Month(n), 1, 0, 0, 0, 0, time.UTC)
	day := min(t.Day(), daysIn(first.Year(), int(first.Month())))
	return time.Date(first.Year(), first.Month(), day, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}
