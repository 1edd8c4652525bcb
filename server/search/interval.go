package search

import "math"

// interval is a condition on a value that covers [lo, hi): on dates in microseconds.
//
//	loMin <= lo < loMax  and  hiMin < hi <= hiMax
type interval struct {
	loMin, loMax, hiMin, hiMax int64
}

// everything holds for every value.
var everything = interval{pastForever, futureForever, pastForever, futureForever}

// dateIntervals returns the conditions, any of which must hold, for a prefix and the interval
// [a, b) that a search gives. They are those of the table in R4 search, prefixes.
func dateIntervals(prefix string, a, b, now int64) []interval {
	i := everything
	switch prefix {
	case "ne":
		before, after := i, i
		before.loMax, after.hiMin = a, b
		return []interval{before, after}
	case "lt":
		i.loMax = a
	case "le":
		i.loMax = b
	case "gt":
		i.hiMin = b
	case "ge":
		i.hiMin = a
	case "sa":
		i.loMin = b
	case "eb":
		i.hiMax = a
	case "ap":
		// A tenth of the distance to now, to both sides.
		slack := abs(now-a) / 10
		i.loMax, i.hiMin = b+slack, a-slack
	default:
		i.loMin, i.loMax, i.hiMax = a, b, b
	}
	return []interval{i}
}

func abs(n int64) int64 {
	if n < 0 {
		return -n
	}
	return n
}

// and returns the condition that holds where i and j do.
func (i interval) and(j interval) interval {
	return interval{max(i.loMin, j.loMin), min(i.loMax, j.loMax), max(i.hiMin, j.hiMin), min(i.hiMax, j.hiMax)}
}

// narrow returns where lo begins for values that are not wide.
func (i interval) narrow() int64 {
	if i.hiMin == pastForever {
		return i.loMin
	}
	return max(i.loMin, i.hiMin-wideDate)
}

// numeric is a condition on a number that covers [lo, hi], with all limits included. mid is lo +
// hi, twice the number itself where lo and hi are its implicit precision.
type numeric struct {
	loMin, loMax, hiMin, hiMax float64
	midMin, midMax             float64
	notMidMin, notMidMax       float64
}

// anyNumber holds for every number. Postgres sorts NaN, the sum of two infinities, behind all
// numbers.
func anyNumber() numeric {
	return numeric{
		loMin: math.Inf(-1), loMax: math.Inf(1), hiMin: math.Inf(-1), hiMax: math.Inf(1),
		midMin: math.Inf(-1), midMax: math.NaN(), notMidMin: math.Inf(1), notMidMax: math.Inf(-1),
	}
}

func next(x float64) float64     { return math.Nextafter(x, math.Inf(1)) }
func previous(x float64) float64 { return math.Nextafter(x, math.Inf(-1)) }

// near is the relative error that conversions between units may bring.
const near = 1e-12

// scalarConditions returns the conditions for numbers with implicit precision. x is the number
// searched for and [a, b) its implicit range.
//
// Equality asks for values in that range (R4 search, number: "values in the range 99.5 to
// 100.5"). The other prefixes take x as exact and compare it with the range of the target; a
// value of exactly x is neither less nor greater than it ("less than exactly 100").
func scalarConditions(prefix string, x, a, b float64) []numeric {
	n := anyNumber()
	slack := near * math.Max(math.Abs(x), b-a)
	switch prefix {
	case "ne":
		n.notMidMin, n.notMidMax = 2*(a-slack), previous(2*(b-slack))
	case "lt", "gt":
		if prefix == "lt" {
			n.loMax = previous(x)
		} else {
			n.hiMin = next(x)
		}
		n.notMidMin, n.notMidMax = 2*(x-slack), 2*(x+slack)
	case "le":
		n.loMax = previous(x)
	case "ge":
		n.hiMin = next(x)
	case "sa":
		n.loMin = next(x)
	case "eb":
		n.hiMax = previous(x)
	case "ap":
		tenth := math.Abs(x) / 10
		n.loMax, n.hiMin = b+tenth, a-tenth
	default:
		n.midMin, n.midMax = 2*(a-slack), previous(2*(b-slack))
		n.loMax, n.hiMin = b, a
	}
	return []numeric{n}
}

// rangeConditions returns the conditions for values that are ranges themselves.
func rangeConditions(prefix string, x, a, b float64) []numeric {
	n := anyNumber()
	slack := near * math.Max(math.Abs(x), b-a)
	switch prefix {
	case "ne":
		below, above := n, n
		below.loMax, above.hiMin = previous(a-slack), next(b+slack)
		return []numeric{below, above}
	case "lt":
		n.loMax = previous(x)
	case "le":
		n.loMax = x
	case "gt":
		n.hiMin = next(x)
	case "ge":
		n.hiMin = x
	case "sa":
		n.loMin = next(x)
	case "eb":
		n.hiMax = previous(x)
	case "ap":
		tenth := math.Abs(x) / 10
		n.loMax, n.hiMin = b+tenth, a-tenth
	default:
		n.loMin, n.loMax, n.hiMax = a-slack, b, b+slack
	}
	return []numeric{n}
}

// isNarrow tells whether a number's implicit precision is small enough beside the number to be
// stored under its plain unit; the others are stored like ranges. It lets a search bound lo by hi.
func isNarrow(lo, hi float64) bool {
	if lo < 0 {
		return hi-lo <= 1
	}
	return hi-lo <= 1+3*lo
}

// narrow returns a bound below which no narrow number reaches up to hiMin.
func (n numeric) narrow() float64 {
	if n.hiMin < 1 {
		return n.loMin
	}
	return math.Max(n.loMin, (n.hiMin-1)/4)
}
