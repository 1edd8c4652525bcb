package fhirpath

import (
	"strconv"
	"strings"
	"time"
)

// Precision is how much of a date or time is known.
type Precision uint8

// The precisions, coarse to fine.
const (
	Year Precision = iota + 1
	Month
	Day
	Hour
	Minute
	Second
	Millisecond
)

// Moment is a date, a date and time, or a time of day, as far as it is known.
type Moment struct {
	Kind      Kind // Date, DateTime or Time
	Precision Precision
	Year      int
	Month     int
	Day       int
	Hour      int
	Minute    int
	Second    int
	Nano      int
	fraction  int // digits of the fraction of a second
	HasZone   bool
	Zone      int // minutes east of UTC
}

// parseMoment reads the written form of FHIR and of literals (without the "@").
func parseMoment(kind Kind, text string) (Moment, bool) {
	m := Moment{Kind: kind}
	if kind == Time {
		rest, ok := m.readTime(strings.TrimPrefix(text, "T"))
		return m, ok && rest == ""
	}
	rest, ok := m.readDate(text)
	if !ok {
		return m, false
	}
	if kind == Date || rest == "" {
		return m, rest == ""
	}
	if rest[0] != 'T' {
		return m, false
	}
	if rest = rest[1:]; rest == "" {
		return m, true // "2015T" is a date and time of which the year is known
	}
	if m.Precision != Day {
		return m, false
	}
	if rest, ok = m.readTime(rest); !ok {
		return m, false
	}
	return m, m.readZone(rest)
}

// digits cuts n digits off the front of s.
func cutDigits(s string, n int) (value int, rest string, ok bool) {
	if len(s) < n {
		return 0, s, false
	}
	for i := range n {
		c := s[i]
		if c < '0' || c > '9' {
			return 0, s, false
		}
		value = value*10 + int(c-'0')
	}
	return value, s[n:], true
}

func (m *Moment) readDate(s string) (string, bool) {
	var ok bool
	if m.Year, s, ok = cutDigits(s, 4); !ok || m.Year == 0 {
		return s, false
	}
	m.Precision = Year
	if s == "" || s[0] != '-' {
		return s, true
	}
	if m.Month, s, ok = cutDigits(s[1:], 2); !ok || m.Month < 1 || m.Month > 12 {
		return s, false
	}
	m.Precision = Month
	if s == "" || s[0] != '-' {
		return s, true
	}
	if m.Day, s, ok = cutDigits(s[1:], 2); !ok || m.Day < 1 || m.Day > daysIn(m.Year, m.Month) {
		return s, false
	}
	m.Precision = Day
	return s, true
}

func (m *Moment) readTime(s string) (string, bool) {
	var ok bool
	if m.Hour, s, ok = cutDigits(s, 2); !ok || m.Hour > 23 {
		return s, false
	}
	m.Precision = Hour
	if s == "" || s[0] != ':' {
		return s, true
	}
	if m.Minute, s, ok = cutDigits(s[1:], 2); !ok || m.Minute > 59 {
		return s, false
	}
	m.Precision = Minute
	if s == "" || s[0] != ':' {
		return s, true
	}
	if m.Second, s, ok = cutDigits(s[1:], 2); !ok || m.Second > 60 {
		return s, false
	}
	m.Precision = Second
	if s == "" || s[0] != '.' {
		return s, true
	}
	s = s[1:]
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	if n == 0 {
		return s, false
	}
	m.Precision, m.fraction = Millisecond, min(n, 9)
	m.Nano, _ = strconv.Atoi((s[:n] + "000000000")[:9])
	return s[n:], true
}

func (m *Moment) readZone(s string) bool {
	if s == "" {
		return true
	}
	m.HasZone = true
	if s == "Z" {
		return true
	}
	sign := 1
	if s[0] == '-' {
		sign = -1
	} else if s[0] != '+' {
		return false
	}
	hour, rest, ok := cutDigits(s[1:], 2)
	if !ok || hour > 14 || rest == "" || rest[0] != ':' {
		return false
	}
	minute, rest, ok := cutDigits(rest[1:], 2)
	m.Zone = sign * (hour*60 + minute)
	return ok && rest == "" && minute < 60 && m.Zone >= -14*60 && m.Zone <= 14*60
}

func daysIn(year, month int) int {
	return time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

func appendPadded(b []byte, n, width int) []byte {
	s := strconv.Itoa(n)
	for i := len(s); i < width; i++ {
		b = append(b, '0')
	}
	return append(b, s...)
}

// String returns the written form, without the "@" (and, for a time, the "T") of a literal.
func (m *Moment) String() string {
	b := make([]byte, 0, 32)
	if m.Kind != Time {
		b = appendPadded(b, m.Year, 4)
		if m.Precision >= Month {
			b = appendPadded(append(b, '-'), m.Month, 2)
		}
		if m.Precision >= Day {
			b = appendPadded(append(b, '-'), m.Day, 2)
		}
		if m.Precision < Hour {
			return string(b)
		}
		b = append(b, 'T')
	}
	b = appendPadded(b, m.Hour, 2)
	if m.Precision >= Minute {
		b = appendPadded(append(b, ':'), m.Minute, 2)
	}
	if m.Precision >= Second {
		b = appendPadded(append(b, ':'), m.Second, 2)
	}
	if m.Precision == Millisecond {
		b = append(b, '.')
		b = append(b, string(appendPadded(nil, m.Nano, 9))[:max(m.fraction, 1)]...)
	}
	return string(m.appendZone(b))
}

func (m *Moment) appendZone(b []byte) []byte {
	switch {
	case !m.HasZone:
		return b
	case m.Zone == 0:
		return append(b, 'Z')
	}
	sign, zone := byte('+'), m.Zone
	if zone < 0 {
		sign, zone = '-', -zone
	}
	b = appendPadded(append(b, sign), zone/60, 2)
	return appendPadded(append(b, ':'), zone%60, 2)
}

// at returns the first instant of m, unknown parts being the least, in m's own zone.
func (m Moment) at() time.Time {
	year := m.Year
	if m.Kind == Time {
		year = 2000
	}
	return time.Date(year, time.Month(max(m.Month, 1)), max(m.Day, 1), m.Hour, m.Minute, m.Second, m.Nano, time.UTC)
}

// set takes the fields that m's precision knows from t.
func (m *Moment) set(t time.Time) {
	if m.Kind != Time {
		m.Year = t.Year()
		if m.Precision >= Month {
			m.Month = int(t.Month())
		}
		if m.Precision >= Day {
			m.Day = t.Day()
		}
	}
	if m.Precision >= Hour {
		m.Hour = t.Hour()
	}
	if m.Precision >= Minute {
		m.Minute = t.Minute()
	}
	if m.Precision >= Second {
		m.Second = t.Second()
	}
	if m.Precision >= Millisecond {
		m.Nano = t.Nanosecond()
	}
}

// momentAt makes a date and time of full precision.
func momentAt(kind Kind, t time.Time) Moment {
	m := Moment{Kind: kind, Precision: Millisecond, fraction: 3}
	if kind == Date {
		m.Precision = Day
	}
	m.set(t)
	m.Nano -= m.Nano % 1e6
	if kind == DateTime {
		_, offset := t.Zone()
		m.HasZone, m.Zone = true, offset/60
	}
	return m
}

// utc returns m shifted to UTC.
func (m Moment) utc() Moment {
	if m.Zone != 0 && m.Precision >= Hour {
		m.set(m.at().Add(-time.Duration(m.Zone) * time.Minute))
		m.Zone = 0
	}
	return m
}

// uncertainZone is how far apart two times must be so that the zone that one of them lacks
// cannot change their order.
const uncertainZone = 14 * time.Hour

// compare orders two moments of the same sort. known is false when the coarser one of them does
// not tell.
func (m Moment) compare(o Moment) (order int, known bool) {
	clocks := m.Precision >= Hour && o.Precision >= Hour
	if clocks && m.Kind != Time && m.HasZone != o.HasZone {
		d := m.utc().at().Sub(o.utc().at())
		switch {
		case d > uncertainZone:
			return 1, true
		case d < -uncertainZone:
			return -1, true
		default:
			return 0, false
		}
	}
	if clocks && m.Zone != o.Zone {
		m, o = m.utc(), o.utc()
	}
	a, b := m.fields(), o.fields()
	least := min(m.Precision, o.Precision)
	for i := range int(min(least, Second)) {
		if a[i] != b[i] {
			return sign(a[i] - b[i]), true
		}
	}
	if least >= Second {
		return sign(m.Nano - o.Nano), true
	}
	return 0, m.Precision == o.Precision
}

func (m *Moment) fields() [6]int {
	return [...]int{m.Year, m.Month, m.Day, m.Hour, m.Minute, m.Second}
}

func sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	default:
		return 0
	}
}

// sameSort tells whether two kinds of moments can be compared.
func sameSort(a, b Kind) bool { return (a == Time) == (b == Time) }

// digits is the precision as lowBoundary() and precision() count it.
func (m *Moment) digits() int64 {
	var table [8]int64
	if m.Kind == Time {
		table = [...]int64{0, 0, 0, 0, 2, 4, 6, 9}
	} else {
		table = [...]int64{0, 4, 6, 8, 10, 12, 14, 17}
	}
	return table[m.Precision]
}

// boundary returns the least or greatest moment that m may stand for, at a precision in digits.
// A missing zone may be any from -12:00 to +14:00.
func (m Moment) boundary(high bool, digits int64) (Moment, bool) {
	target := Precision(0)
	for p := Year; p <= Millisecond; p++ {
		probe := Moment{Kind: m.Kind, Precision: p}
		if probe.digits() == digits {
			target = p
		}
	}
	if target == 0 || m.Kind == Date && target > Day {
		return m, false
	}
	if high {
		m.fillHigh()
	} else {
		m.Month, m.Day = max(m.Month, 1), max(m.Day, 1)
	}
	if target >= Hour && m.Kind == DateTime && !m.HasZone {
		m.HasZone, m.Zone = true, 14*60
		if high {
			m.Zone = -12 * 60
		}
	}
	if target < Hour {
		m.HasZone, m.Zone = false, 0
	}
	m.Precision = target
	m.fraction = 3
	return m, true
}

// fillHigh sets what is unknown to its greatest value.
func (m *Moment) fillHigh() {
	if m.Precision < Month {
		m.Month = 12
	}
	if m.Precision < Day && m.Kind != Time {
		m.Day = daysIn(m.Year, m.Month)
	}
	if m.Precision < Hour {
		m.Hour = 23
	}
	if m.Precision < Minute {
		m.Minute = 59
	}
	if m.Precision < Second {
		m.Second = 59
	}
	if m.Precision < Millisecond {
		m.Nano = 999e6
	}
}
