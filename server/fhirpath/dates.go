package fhirpath

import (
	"github.com/cockroachdb/apd/v3"
)

// dateFunctions are those about dates, times and the precision of values.
var dateFunctions = map[string]function{
	"now":              {run: fnNow},
	"today":            {run: fnToday},
	"timeOfDay":        {run: fnTimeOfDay},
	"lowBoundary":      {run: fnLowBoundary, max: 1},
	"highBoundary":     {run: fnHighBoundary, max: 1},
	"precision":        {run: fnPrecision},
	"comparable":       {run: fnComparable, min: 1, max: 1},
	"yearOf":           {run: part(Year)},
	"monthOf":          {run: part(Month)},
	"dayOf":            {run: part(Day)},
	"hourOf":           {run: part(Hour)},
	"minuteOf":         {run: part(Minute)},
	"secondOf":         {run: part(Second)},
	"millisecondOf":    {run: part(Millisecond)},
	"timezoneOffsetOf": {run: fnZoneOf},
	"dateOf":           {run: fnDateOf},
	"timeOf":           {run: fnTimeOf},
}

func fnNow(_ *call, ev *evaluator, _ *scope, _, dst []Item) []Item {
	return append(dst, valueItem(Value{Kind: DateTime, When: momentAt(DateTime, ev.clock())}))
}

func fnToday(_ *call, ev *evaluator, _ *scope, _, dst []Item) []Item {
	return append(dst, valueItem(Value{Kind: Date, When: momentAt(Date, ev.clock())}))
}

func fnTimeOfDay(_ *call, ev *evaluator, _ *scope, _, dst []Item) []Item {
	return append(dst, valueItem(Value{Kind: Time, When: momentAt(Time, ev.clock())}))
}

func fnLowBoundary(c *call, ev *evaluator, sc *scope, in, dst []Item) []Item {
	return c.boundary(ev, sc, in, dst, false)
}

func fnHighBoundary(c *call, ev *evaluator, sc *scope, in, dst []Item) []Item {
	return c.boundary(ev, sc, in, dst, true)
}

// maxPlaces is the greatest precision of a decimal boundary.
const maxPlaces = 28

// boundary is the least or greatest value that a value of limited precision may stand for.
func (c *call) boundary(ev *evaluator, sc *scope, in, dst []Item, high bool) []Item {
	it, ok := ev.single(in)
	if !ok {
		return dst
	}
	v, ok := it.Value()
	if !ok {
		return dst
	}
	digits := int64(8)
	switch v.Kind {
	case DateTime:
		digits = 17
	case Time:
		digits = 9
	}
	if len(c.args) == 1 {
		if digits, ok = ev.integer(c.args[0], sc, c.name+"()"); !ok {
			return dst
		}
	}
	switch {
	case v.isMoment():
		m, ok := v.When.boundary(high, digits)
		if !ok {
			return dst
		}
		v.When = m
	case v.isNumber() || v.Kind == Quantity:
		d := v.Dec
		if d == nil {
			d, v.Kind = fromInt(v.Int), Decimal
		}
		if digits < 0 || digits > maxPlaces {
			return dst
		}
		if v.Dec, ok = decimalBoundary(d, int32(digits), high); !ok {
			return dst
		}
	default:
		ev.unsuited(c, &it)
		return dst
	}
	return append(dst, valueItem(v))
}

// decimalBoundary moves a number by half of its last digit and rounds away from it.
func decimalBoundary(d *apd.Decimal, digits int32, high bool) (*apd.Decimal, bool) {
	half := apd.New(5, min(d.Exponent, 0)-1)
	out := new(apd.Decimal)
	if high {
		if _, err := exact.Add(out, d, half); err != nil {
			return nil, false
		}
		return roundTo(out, digits, ceiling)
	}
	if _, err := exact.Sub(out, d, half); err != nil {
		return nil, false
	}
	return roundTo(out, digits, floor)
}

func fnPrecision(c *call, ev *evaluator, _ *scope, in, dst []Item) []Item {
	it, ok := ev.single(in)
	if !ok {
		return dst
	}
	v, ok := it.Value()
	switch {
	case !ok:
		return dst
	case v.isMoment():
		return append(dst, intItem(v.When.digits()))
	case v.isNumber():
		return append(dst, intItem(int64(max(-v.decimal().Exponent, 0))))
	default:
		ev.unsuited(c, &it)
		return dst
	}
}

func fnComparable(c *call, ev *evaluator, sc *scope, in, dst []Item) []Item {
	a, okA := ev.single(in)
	b, okB := ev.one(c.args[0], sc)
	if !okA || !okB {
		return dst
	}
	x, okX := ev.operand(&a, c.name+"()")
	y, okY := ev.operand(&b, c.name+"()")
	if !okX || !okY {
		if ev.err != nil {
			return dst
		}
		return append(dst, boolItem(false))
	}
	p, q, ok := bothQuantities(x, y)
	if !ok {
		ev.unsuited(c, &a)
		return dst
	}
	_, known := compareQuantities(p, q)
	return append(dst, boolItem(known))
}

// moment returns the date or time that the function is applied to.
func (c *call) moment(ev *evaluator, in []Item) (Value, bool) {
	it, ok := ev.single(in)
	if !ok {
		return Value{}, false
	}
	v, ok := it.Value()
	if ok && !v.isMoment() {
		ev.unsuited(c, &it)
	}
	return v, ok && v.isMoment()
}

// part makes yearOf() and its like; a part that is not known is empty.
func part(p Precision) runner {
	return func(c *call, ev *evaluator, _ *scope, in, dst []Item) []Item {
		v, ok := c.moment(ev, in)
		m := &v.When
		if !ok || m.Precision < p && !(p == Millisecond && m.Precision == Second) || v.Kind == Time && p < Hour {
			return dst
		}
		n := [...]int{m.Year, m.Month, m.Day, m.Hour, m.Minute, m.Second, m.Nano / 1e6}[p-1]
		return append(dst, intItem(int64(n)))
	}
}

func fnZoneOf(c *call, ev *evaluator, _ *scope, in, dst []Item) []Item {
	v, ok := c.moment(ev, in)
	if !ok || !v.When.HasZone {
		return dst
	}
	hours, exists := divideDecimals(fromInt(int64(v.When.Zone)), fromInt(60))
	if !exists {
		return dst
	}
	return append(dst, decimalItem(hours))
}

func fnDateOf(c *call, ev *evaluator, _ *scope, in, dst []Item) []Item {
	v, ok := c.moment(ev, in)
	if !ok {
		return dst
	}
	if v, ok = toDate(v); !ok {
		return dst
	}
	return append(dst, valueItem(v))
}

func fnTimeOf(c *call, ev *evaluator, _ *scope, in, dst []Item) []Item {
	v, ok := c.moment(ev, in)
	if !ok || v.When.Precision < Hour {
		return dst
	}
	m := v.When
	m.Kind, m.HasZone, m.Zone, m.Year, m.Month, m.Day = Time, false, 0, 0, 0, 0
	return append(dst, valueItem(Value{Kind: Time, When: m}))
}
