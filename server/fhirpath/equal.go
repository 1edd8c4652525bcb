package fhirpath

import (
	"strings"
	"unicode"

	"github.com/cockroachdb/apd/v3"

	"bulkhead/server/fhir"
)

// outcome is the answer to a comparison: no, yes, or not to be told ({}).
type outcome uint8

const (
	no outcome = iota
	yes
	unknown
)

func outcomeOf(b bool) outcome {
	if b {
		return yes
	}
	return no
}

// equality is = or !=.
type equality struct {
	left, right expr
	not         bool
}

func (x *equality) eval(ev *evaluator, sc *scope, dst []Item) []Item {
	a := x.left.eval(ev, sc, ev.get())
	b := x.right.eval(ev, sc, ev.get())
	if len(a) > 0 && len(b) > 0 && ev.err == nil {
		if o := ev.equalAll(a, b); o != unknown {
			dst = append(dst, boolItem((o == yes) != x.not))
		}
	}
	ev.put(b)
	ev.put(a)
	return dst
}

func (ev *evaluator) equalAll(a, b []Item) outcome {
	if len(a) != len(b) {
		return no
	}
	result := yes
	for i := range a {
		if !ev.step(1) {
			return unknown
		}
		switch ev.equal(&a[i], &b[i]) {
		case no:
			return no
		case unknown:
			result = unknown
		}
	}
	return result
}

// equal compares two items. Of two primitive nodes the ids and extensions count too.
func (ev *evaluator) equal(a, b *Item) outcome {
	if a.Kind == Node && b.Kind == Node {
		if a.JSON == b.JSON && a.Extra == b.Extra {
			return yes
		}
		if !a.primitive() || !b.primitive() {
			return ev.equalNodes(a, b)
		}
		if a.JSON == nil && b.JSON == nil {
			return outcomeOf(ev.sameJSON(a.Extra, b.Extra))
		}
		if o := ev.equalValues(a, b); o != yes || a.Extra == nil && b.Extra == nil {
			return o
		}
		return outcomeOf(ev.sameJSON(a.Extra, b.Extra))
	}
	return ev.equalValues(a, b)
}

func (ev *evaluator) equalNodes(a, b *Item) outcome {
	if a.primitive() != b.primitive() {
		return no
	}
	return outcomeOf(ev.sameJSON(a.JSON, b.JSON))
}

func (ev *evaluator) equalValues(a, b *Item) outcome {
	if s, t, ok := bothStrings(a, b); ok {
		return outcomeOf(s == t)
	}
	x, okX := a.Value()
	y, okY := b.Value()
	if !okX || !okY {
		if a.complex() != b.complex() {
			return no
		}
		return unknown
	}
	return equal(x, y)
}

// complex tells whether it is a node that is no primitive and no Quantity.
func (it *Item) complex() bool { return it.Kind == Node && !it.primitive() && it.systemKind() == Node }

// bothStrings is the quick way for the most frequent comparison: code = 'literal'.
func bothStrings(a, b *Item) (s, t string, ok bool) {
	s, ok = a.plainString()
	if !ok {
		return "", "", false
	}
	t, ok = b.plainString()
	return s, t, ok
}

func (it *Item) plainString() (string, bool) {
	if it.Kind == String {
		return it.sys.Text, true
	}
	if it.Kind != Node || it.JSON == nil || it.JSON.Kind != fhir.String {
		return "", false
	}
	if it.Type != nil {
		if k, other := primitiveKinds[it.Type.Name]; other && k != String {
			return "", false
		}
	}
	return it.JSON.Text(), true
}

func equal(x, y Value) outcome {
	switch {
	case x.Kind == Quantity || y.Kind == Quantity:
		a, b, ok := bothQuantities(x, y)
		if !ok {
			return no
		}
		order, known := compareQuantities(a, b)
		if !known {
			return unknown
		}
		return outcomeOf(order == 0)
	case x.isNumber() && y.isNumber():
		return outcomeOf(compareNumbers(x, y) == 0)
	case x.isMoment() || y.isMoment():
		a, b, ok := bothMoments(x, y)
		if !ok {
			return no
		}
		order, known := a.compare(b)
		if !known {
			return unknown
		}
		return outcomeOf(order == 0)
	case x.Kind != y.Kind:
		return no
	default:
		return outcomeOf(x.Bool == y.Bool && x.Text == y.Text && x.Unit == y.Unit)
	}
}

func (v *Value) isNumber() bool { return v.Kind == Integer || v.Kind == Long || v.Kind == Decimal }

func (v *Value) isMoment() bool { return v.Kind == Date || v.Kind == DateTime || v.Kind == Time }

// decimal returns a number as a decimal.
func (v *Value) decimal() *apd.Decimal {
	if v.Kind == Decimal {
		return v.Dec
	}
	return fromInt(v.Int)
}

func compareNumbers(x, y Value) int {
	if x.Kind != Decimal && y.Kind != Decimal {
		switch {
		case x.Int < y.Int:
			return -1
		case x.Int > y.Int:
			return 1
		default:
			return 0
		}
	}
	return x.decimal().Cmp(y.decimal())
}

// bothQuantities lets a number stand for a quantity of unit 1.
func bothQuantities(x, y Value) (a, b Value, ok bool) {
	a, okA := x.quantity()
	b, okB := y.quantity()
	return a, b, okA && okB
}

func (v Value) quantity() (Value, bool) {
	if v.isNumber() {
		return Value{Kind: Quantity, Dec: v.decimal(), Unit: "1"}, true
	}
	return v, v.Kind == Quantity
}

// bothMoments lets a string that is written like a date stand for it.
func bothMoments(x, y Value) (a, b Moment, ok bool) {
	a, okA := x.moment(y.Kind)
	b, okB := y.moment(x.Kind)
	return a, b, okA && okB && sameSort(a.Kind, b.Kind)
}

func (v *Value) moment(other Kind) (Moment, bool) {
	if v.isMoment() {
		return v.When, true
	}
	if v.Kind != String {
		return Moment{}, false
	}
	if other == Date {
		other = DateTime
	}
	return parseMoment(other, v.Text)
}

// sameJSON compares two trees: members in any order, null as if it were not there, numbers by
// value.
func (ev *evaluator) sameJSON(a, b *fhir.Value) bool {
	if !ev.step(1) {
		return false
	}
	if a == nil || b == nil || a.Kind != b.Kind {
		return (a == nil || a.Kind == fhir.Null) && (b == nil || b.Kind == fhir.Null)
	}
	switch a.Kind {
	case fhir.String:
		return a.Raw == b.Raw || a.Text() == b.Text()
	case fhir.Number:
		return sameNumber(a.Raw, b.Raw)
	case fhir.Array:
		if len(a.Items) != len(b.Items) {
			return false
		}
		for i := range a.Items {
			if !ev.sameJSON(&a.Items[i], &b.Items[i]) {
				return false
			}
		}
	case fhir.Object:
		if filled(a) != filled(b) {
			return false
		}
		for i := range a.Members {
			m := &a.Members[i]
			if m.Value.Kind != fhir.Null && !ev.sameJSON(&m.Value, b.Get(m.Name)) {
				return false
			}
		}
	}
	return true
}

// filled counts the members that are not null.
func filled(v *fhir.Value) (n int) {
	for i := range v.Members {
		if v.Members[i].Value.Kind != fhir.Null {
			n++
		}
	}
	return n
}

func sameNumber(a, b string) bool {
	if a == b {
		return true
	}
	x, okX := parseDecimal(a)
	y, okY := parseDecimal(b)
	return okX && okY && x.Cmp(y) == 0
}

// equivalence is ~ or !~.
type equivalence struct {
	left, right expr
	not         bool
}

func (x *equivalence) eval(ev *evaluator, sc *scope, dst []Item) []Item {
	a := x.left.eval(ev, sc, ev.get())
	b := x.right.eval(ev, sc, ev.get())
	same := ev.equivalentAll(a, b)
	ev.put(b)
	ev.put(a)
	return append(dst, boolItem(same != x.not))
}

// equivalentAll compares without regard to order.
func (ev *evaluator) equivalentAll(a, b []Item) bool {
	if len(a) != len(b) {
		return false
	}
	used := make([]bool, len(b))
next:
	for i := range a {
		for j := range b {
			if !ev.step(1) {
				return false
			}
			if !used[j] && ev.equivalent(&a[i], &b[j]) {
				used[j] = true
				continue next
			}
		}
		return false
	}
	return true
}

func (ev *evaluator) equivalent(a, b *Item) bool {
	x, okX := a.Value()
	y, okY := b.Value()
	if okX && okY {
		return equivalent(x, y)
	}
	if okX != okY || a.Kind != Node || b.Kind != Node {
		return false
	}
	if a.JSON == nil || b.JSON == nil {
		return a.JSON == b.JSON
	}
	return ev.similarJSON(a.JSON, b.JSON)
}

func equivalent(x, y Value) bool {
	switch {
	case x.Kind == Quantity || y.Kind == Quantity:
		a, b, ok := bothQuantities(x, y)
		return ok && equivalentQuantities(a, b)
	case x.isNumber() && y.isNumber():
		return equivalentNumbers(x, y)
	case x.isMoment() || y.isMoment():
		a, b, ok := bothMoments(x, y)
		if !ok {
			return false
		}
		order, known := a.compare(b)
		return known && order == 0
	case x.Kind == String && y.Kind == String:
		return x.Text == y.Text || looseText(x.Text) == looseText(y.Text)
	default:
		return equal(x, y) == yes
	}
}

// equivalentNumbers compares to the places of the coarser number, trailing zeros not counted.
func equivalentNumbers(x, y Value) bool {
	if x.Kind != Decimal && y.Kind != Decimal {
		return x.Int == y.Int
	}
	a, b := x.decimal(), y.decimal()
	digits := min(places(a), places(b))
	p, okP := roundTo(a, digits, halfUp)
	q, okQ := roundTo(b, digits, halfUp)
	return okP && okQ && p.Cmp(q) == 0
}

// looseText folds case and takes every white space for a blank.
func looseText(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		return unicode.ToLower(r)
	}, s)
}

// similarJSON is sameJSON with the rules of equivalence: arrays in any order, ids do not count.
func (ev *evaluator) similarJSON(a, b *fhir.Value) bool {
	if !ev.step(1) || a == nil || b == nil || a.Kind != b.Kind {
		return false
	}
	switch a.Kind {
	case fhir.String:
		return a.Raw == b.Raw || looseText(a.Text()) == looseText(b.Text())
	case fhir.Number:
		x, okX := parseDecimal(a.Raw)
		y, okY := parseDecimal(b.Raw)
		return okX && okY && equivalentNumbers(Value{Kind: Decimal, Dec: x}, Value{Kind: Decimal, Dec: y})
	case fhir.Array:
		return ev.similarItems(a.Items, b.Items)
	case fhir.Object:
		if filled(a) != filled(b) {
			return false
		}
		for i := range a.Members {
			m := &a.Members[i]
			if m.Value.Kind != fhir.Null && !ev.similarJSON(&m.Value, b.Get(m.Name)) {
				return false
			}
		}
	}
	return true
}

func (ev *evaluator) similarItems(a, b []fhir.Value) bool {
	if len(a) != len(b) {
		return false
	}
	used := make([]bool, len(b))
next:
	for i := range a {
		for j := range b {
			if !used[j] && ev.similarJSON(&a[i], &b[j]) {
				used[j] = true
				continue next
			}
		}
		return false
	}
	return true
}
