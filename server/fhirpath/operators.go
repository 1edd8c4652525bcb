package fhirpath

import (
	"strings"

	"bulkhead/server/fhir"
)

// logic is and, or, xor or implies, in three-valued logic. The right side is not evaluated when
// the left one decides.
type logic struct {
	op          string
	left, right expr
}

func (x *logic) eval(ev *evaluator, sc *scope, dst []Item) []Item {
	a := ev.three(x.left, sc)
	switch {
	case x.op == "and" && a == no, x.op == "or" && a == yes:
		return append(dst, boolItem(a == yes))
	case x.op == "implies" && a == no:
		return append(dst, boolItem(true))
	case ev.err != nil:
		return dst
	}
	b := ev.three(x.right, sc)
	if o := combine(x.op, a, b); o != unknown && ev.err == nil {
		return append(dst, boolItem(o == yes))
	}
	return dst
}

func (ev *evaluator) three(x expr, sc *scope) outcome {
	value, ok := ev.test(x, sc)
	if !ok {
		return unknown
	}
	return outcomeOf(value)
}

func combine(op string, a, b outcome) outcome {
	switch op {
	case "and":
		if a == no || b == no {
			return no
		}
		if a == yes && b == yes {
			return yes
		}
	case "or":
		if a == yes || b == yes {
			return yes
		}
		if a == no && b == no {
			return no
		}
	case "implies":
		if a == no || b == yes {
			return yes
		}
		if a == yes && b == no {
			return no
		}
	case "xor":
		if a != unknown && b != unknown {
			return outcomeOf(a != b)
		}
	}
	return unknown
}

// comparison is <, <=, > or >=.
type comparison struct {
	op          string
	left, right expr
}

func (x *comparison) eval(ev *evaluator, sc *scope, dst []Item) []Item {
	a, okA := ev.one(x.left, sc)
	b, okB := ev.one(x.right, sc)
	if !okA || !okB || ev.err != nil {
		return dst
	}
	order, known := ev.order(&a, &b)
	if !known {
		return dst
	}
	switch x.op {
	case "<":
		return append(dst, boolItem(order < 0))
	case "<=":
		return append(dst, boolItem(order <= 0))
	case ">":
		return append(dst, boolItem(order > 0))
	default:
		return append(dst, boolItem(order >= 0))
	}
}

// order compares two items of one type; other types are an error, missing values are not known.
func (ev *evaluator) order(a, b *Item) (order int, known bool) {
	x, okX := ev.comparable(a)
	y, okY := ev.comparable(b)
	if !okX || !okY {
		return 0, false
	}
	switch {
	case x.isNumber() && y.isNumber():
		return compareNumbers(x, y), true
	case x.Kind == Quantity || y.Kind == Quantity:
		if p, q, ok := bothQuantities(x, y); ok {
			return compareQuantities(p, q)
		}
	case x.isMoment() || y.isMoment():
		if p, q, ok := bothMoments(x, y); ok {
			return p.compare(q)
		}
	case x.Kind == String && y.Kind == String:
		return strings.Compare(x.Text, y.Text), true
	}
	ev.fail(fhir.Processing, "%s cannot be compared with %s.", a.TypeName(), b.TypeName())
	return 0, false
}

// comparable returns the value of an item that is to be compared; a complex one is an error.
func (ev *evaluator) comparable(it *Item) (Value, bool) {
	v, ok := it.Value()
	if !ok && it.complex() {
		ev.fail(fhir.Processing, "%s has no order.", it.TypeName())
	}
	return v, ok
}

// membership is in, or contains with the sides changed.
type membership struct{ item, list expr }

func (x *membership) eval(ev *evaluator, sc *scope, dst []Item) []Item {
	it, ok := ev.one(x.item, sc)
	if !ok {
		return dst
	}
	buf := x.list.eval(ev, sc, ev.get())
	found := ev.contains(buf, &it)
	ev.put(buf)
	return append(dst, boolItem(found))
}

func (ev *evaluator) contains(list []Item, it *Item) bool {
	for i := range list {
		if !ev.step(1) {
			return false
		}
		if ev.equal(&list[i], it) == yes {
			return true
		}
	}
	return false
}

// concat is &: a missing side counts as an empty string.
type concat struct{ left, right expr }

func (x *concat) eval(ev *evaluator, sc *scope, dst []Item) []Item {
	a := ev.concatText(x.left, sc)
	b := ev.concatText(x.right, sc)
	if ev.err != nil || !ev.fits(len(a)+len(b)) {
		return dst
	}
	return append(dst, stringItem(a+b))
}

func (ev *evaluator) concatText(x expr, sc *scope) string {
	buf := x.eval(ev, sc, ev.get())
	s, _ := ev.text(buf, "&")
	ev.put(buf)
	return s
}

// fits refuses a text that is too long to be computed.
func (ev *evaluator) fits(n int) bool {
	if n > maxTextLength {
		ev.fail(fhir.TooCostly, "The FHIRPath expression makes a text that is too long.")
		return false
	}
	return ev.step(n / 16)
}

// negate is the unary minus, plus the unary plus.
type negate struct{ operand expr }

func (x *negate) eval(ev *evaluator, sc *scope, dst []Item) []Item {
	it, ok := ev.one(x.operand, sc)
	if !ok {
		return dst
	}
	v, is := it.Value()
	switch {
	case !is && it.Kind == Node && it.primitive():
		return dst
	case is && (v.Kind == Integer || v.Kind == Long):
		v.Int = -v.Int
	case is && (v.Kind == Decimal || v.Kind == Quantity):
		v.Dec = negated(v.Dec)
	default:
		ev.fail(fhir.Processing, "%s has no negative.", it.TypeName())
		return dst
	}
	return append(dst, valueItem(v))
}

type plus struct{ operand expr }

func (x *plus) eval(ev *evaluator, sc *scope, dst []Item) []Item {
	it, ok := ev.one(x.operand, sc)
	if !ok {
		return dst
	}
	if v, is := it.Value(); is && !v.isNumber() && v.Kind != Quantity || !is {
		ev.fail(fhir.Processing, "%s is no number.", it.TypeName())
		return dst
	}
	return append(dst, it)
}

// union is a chain of |: all items that differ, in the order of their first appearance.
type union struct {
	parts []expr
	// roots are the types that the parts begin with, "" for none. An expression of a search
	// parameter is a union over many types, of which one applies.
	roots []string
}

func newUnion(left, right expr) expr {
	u, ok := left.(*union)
	if !ok {
		u = &union{[]expr{left}, []string{rootType(left)}}
	}
	n := len(u.parts)
	return &union{append(u.parts[:n:n], right), append(u.roots[:n:n], rootType(right))}
}

// rootType returns the type that an expression is about, if it yields nothing for all others.
func rootType(x expr) string {
	switch x := x.(type) {
	case *path:
		if x.head == nil && x.typed {
			return x.names[0]
		}
		return rootType(x.head)
	case *typeTest:
		return rootType(x.operand)
	case *call:
		switch x.name {
		case "where", "ofType", "as", "extension", "select", "first":
			return rootType(x.operand)
		}
	case *index:
		return rootType(x.operand)
	}
	return ""
}

// about tells whether an expression on a root type can yield something for it.
func (ev *evaluator) about(root string, it *Item) bool {
	if root == "" || it.Type == nil || it.Type.Name == root || ev.env.Strict {
		return true
	}
	for t := it.Type.Base; t != nil; t = t.Base {
		if t.Name == root {
			return true
		}
	}
	return false
}

func (x *union) eval(ev *evaluator, sc *scope, dst []Item) []Item {
	base := len(dst)
	for i, part := range x.parts {
		if len(sc.this) == 1 && !ev.about(x.roots[i], &sc.this[0]) {
			continue
		}
		inner := ev.enter(sc) // what one side defines is not known to the other
		dst = part.eval(ev, inner, dst)
		ev.leave(inner)
		if ev.err != nil {
			return dst
		}
	}
	return ev.distinct(dst, base)
}

// distinct removes from dst[base:] what is equal to an earlier item there.
func (ev *evaluator) distinct(dst []Item, base int) []Item {
	if len(dst)-base < 2 {
		return dst
	}
	if len(dst)-base > 24 {
		return ev.distinctMany(dst, base)
	}
	out := dst[:base+1]
	for i := base + 1; i < len(dst); i++ {
		if !ev.contains(out[base:], &dst[i]) {
			out = append(out, dst[i])
		}
	}
	return out
}

// distinctMany sorts the items into buckets by what equal items have in common.
func (ev *evaluator) distinctMany(dst []Item, base int) []Item {
	buckets := make(map[string][]int32, len(dst)-base)
	out := dst[:base]
	var key []byte
	for i := base; i < len(dst); i++ {
		it := dst[i]
		key = bucketKey(key[:0], &it)
		seen := false
		for _, j := range buckets[string(key)] {
			if !ev.step(1) {
				return out
			}
			if ev.equal(&out[j], &it) == yes {
				seen = true
				break
			}
		}
		if !seen {
			buckets[string(key)] = append(buckets[string(key)], int32(len(out)))
			out = append(out, it)
		}
	}
	return out
}

// bucketKey returns something that is the same for equal items. What may be written in several
// ways (numbers, times, objects with numbers) shares one key for its sort.
func bucketKey(key []byte, it *Item) []byte {
	if s, ok := it.plainString(); ok {
		return append(append(key, 's'), s...)
	}
	if it.complex() {
		return objectKey(append(key, 'o'), it.JSON, 0)
	}
	v, ok := it.Value()
	switch {
	case !ok:
		return append(key, '0')
	case v.Kind == Integer || v.Kind == Long:
		return append(append(key, 'n'), v.String()...)
	case v.isNumber():
		if n, whole := toInt(v.Dec); whole {
			return append(append(key, 'n'), (&Value{Kind: Integer, Int: n}).String()...)
		}
		return append(key, 'd')
	case v.isMoment():
		return append(key, 't')
	default:
		return append(key, 'v', byte(v.Kind))
	}
}

// objectKey gathers the strings of an object in an order that does not depend on that of its
// members: their lengths and bytes are summed up.
func objectKey(key []byte, v *fhir.Value, depth int) []byte {
	var sum uint64
	var walk func(v *fhir.Value, salt uint64, depth int)
	walk = func(v *fhir.Value, salt uint64, depth int) {
		switch v.Kind {
		case fhir.String:
			sum += hashText(v.Text(), salt)
		case fhir.Object:
			for i := range v.Members {
				if depth < fhir.MaxDepth {
					walk(&v.Members[i].Value, hashText(v.Members[i].Name, salt), depth+1)
				}
			}
		case fhir.Array:
			for i := range v.Items {
				if depth < fhir.MaxDepth {
					walk(&v.Items[i], salt+uint64(i), depth+1)
				}
			}
		}
	}
	if v != nil {
		walk(v, 1, depth)
	}
	for range 8 {
		key = append(key, byte(sum))
		sum >>= 8
	}
	return key
}

// hashText is FNV-1a from a given beginning.
func hashText(s string, h uint64) uint64 {
	h ^= 14695981039346656037
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}
