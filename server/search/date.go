package search

import (
	"math"
	"time"
)

// Moments are microseconds since 1970-01-01T00:00:00Z, the precision of Postgres.
const (
	pastForever   int64 = math.MinInt64
	futureForever int64 = math.MaxInt64
)

// wideDate is the longest interval that is not marked wide: a leap year.
const wideDate = 366 * 24 * 3600 * 1_000_000

// parseDate reads a date, dateTime or instant of any precision and returns the interval that it
// means, [lo, hi). Without a time zone it is taken as offset minutes east of UTC. Digits beyond
// microseconds are cut.
//
// Searches may leave out the minutes, and may have a space where a plus sign was not escaped.
func parseDate(text string, offset int) (lo, hi int64, ok bool) {
	p := dateParser{text: text, offset: offset}
	year := p.number(4)
	if p.bad || year == 0 {
		return 0, 0, false
	}
	if p.done() {
		return p.span(year, 1, 1, year+1, 1, 1)
	}
	p.expect('-')
	month := p.number(2)
	if p.bad || month < 1 || month > 12 {
		return 0, 0, false
	}
	if p.done() {
		return p.span(year, month, 1, year, month+1, 1)
	}
	p.expect('-')
	day := p.number(2)
	if p.bad || day < 1 || day > daysIn(year, month) {
		return 0, 0, false
	}
	if p.done() {
		return p.span(year, month, day, year, month, day+1)
	}
	p.expect('T')
	return p.timeOfDay(year, month, day)
}

// dateParser reads fixed-width fields; bad says that something did not fit.
type dateParser struct {
	text   string
	offset int
	pos    int
	bad    bool
}

func (p *dateParser) done() bool { return p.pos == len(p.text) }

func (p *dateParser) peek() byte {
	if p.done() {
		return 0
	}
	return p.text[p.pos]
}

func (p *dateParser) expect(c byte) {
	if p.peek() != c {
		p.bad = true
		return
	}
	p.pos++
}

func (p *dateParser) number(width int) int {
	if p.bad || p.pos+width > len(p.text) {
		p.bad = true
		return 0
	}
	n := 0
	for _, c := range []byte(p.text[p.pos : p.pos+width]) {
		if c < '0' || c > '9' {
			p.bad = true
			return 0
		}
		n = n*10 + int(c-'0')
	}
	p.pos += width
	return n
}

func (p *dateParser) timeOfDay(year, month, day int) (lo, hi int64, ok bool) {
	hour, minute, second := p.number(2), 0, 0
	width := int64(time.Hour)
	micros := int64(0)
	if p.peek() == ':' {
		p.pos++
		minute, width = p.number(2), int64(time.Minute)
		if p.peek() == ':' {
			p.pos++
			second, width = p.number(2), int64(time.Second)
			if p.peek() == '.' {
				p.pos++
				micros, width = p.fraction()
			}
		}
	}
	offset := p.zone()
	if p.bad || !p.done() || hour > 23 || minute > 59 || second > 60 {
		return 0, 0, false
	}
	lo = time.Date(year, time.Month(month), day, hour, minute-offset, second, 0, time.UTC).UnixMicro() + micros
	return lo, lo + width/1000, true
}

// fraction returns microseconds and the width of the last digit in nanoseconds.
func (p *dateParser) fraction() (micros, width int64) {
	unit := int64(1_000_000)
	start := p.pos
	for c := p.peek(); c >= '0' && c <= '9'; c = p.peek() {
		if unit > 1 {
			unit /= 10
			micros += int64(c-'0') * unit
		}
		p.pos++
	}
	if p.pos == start {
		p.bad = true
	}
	return micros, unit * 1000
}

// zone returns the offset east of UTC in minutes.
func (p *dateParser) zone() int {
	switch c := p.peek(); c {
	case 0:
		return p.offset
	case 'Z':
		p.pos++
		return 0
	case '+', '-', ' ':
		p.pos++
		h := p.number(2)
		p.expect(':')
		m := p.number(2)
		if h > 14 || m > 59 {
			p.bad = true
		}
		if c == '-' {
			return -(h*60 + m)
		}
		return h*60 + m
	default:
		p.bad = true
		return 0
	}
}

func daysIn(year, month int) int {
	return time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

func (p *dateParser) span(y1, m1, d1, y2, m2, d2 int) (lo, hi int64, ok bool) {
	return time.Date(y1, time.Month(m1), d1, 0, -p.offset, 0, 0, time.UTC).UnixMicro(),
		time.Date(y2, time.Month(m2), d2, 0, -p.offset, 0, 0, time.UTC).UnixMicro(), true
}

// epochSeconds is how composites keep a moment among numbers.
func epochSeconds(micros int64) float64 {
	switch micros {
	case pastForever:
		return math.Inf(-1)
	case futureForever:
		return math.Inf(1)
	}
	return float64(micros) / 1e6
}
