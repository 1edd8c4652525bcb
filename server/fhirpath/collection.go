package fhirpath

import (
	"sort"

	"github.com/cockroachdb/apd/v3"

	"bulkhead/server/fhir"
)

// collectionFunctions are those of sections 5.2 to 5.4, 5.8 and 7.
var collectionFunctions = map[string]function{
	"where":       {run: fnWhere, min: 1, max: 1},
	"select":      {run: fnSelect, min: 1, max: 1},
	"repeat":      {run: fnRepeat, min: 1, max: 1},
	"repeatAll":   {run: fnRepeatAll, min: 1, max: 1},
	"ofType":      {run: fnOfType, min: 1, max: 1, takesType: true},
	"is":          {run: fnIs, min: 1, max: 1, takesType: true},
	"as":          {run: fnAs, min: 1, max: 1, takesType: true},
	"single":      {run: fnSingle},
	"first":       {run: fnFirst},
	"last":        {run: fnLast},
	"tail":        {run: fnTail},
	"skip":        {run: fnSkip, min: 1, max: 1},
	"take":        {run: fnTake, min: 1, max: 1},
	"intersect":   {run: fnIntersect, min: 1, max: 1},
	"exclude":     {run: fnExclude, min: 1, max: 1},
	"union":       {run: fnUnion, min: 1, max: 1},
	"combine":     {run: fnCombine, min: 1, max: 2},
	"children":    {run: fnChildren},
	"descendants": {run: fnDescendants},
	"sort":        {run: fnSort, max: many},
	"aggregate":   {run: fnAggregate, min: 1, max: 2},
	"sum":         {run: fnSum},
	"avg":         {run: fnAvg},
	"min":         {run: fnMin},
	"max":         {run: fnMax},
}

func fnWhere(c *call, ev *evaluator, sc *scope, in, dst []Item) []Item {
	return ev.filter(c.args[0], sc, in, dst)
}

func fnSelect(c *call, ev *evaluator, sc *scope, in, dst []Item) []Item {
	ev.lambda(c.args[0], sc, in, func(_ int, result []Item) bool {
		dst = append(dst, result...)
		return ev.step(len(result))
	})
	return dst
}

// fnRepeat projects what it has found again and again, until nothing new comes.
func fnRepeat(c *call, ev *evaluator, sc *scope, in, dst []Item) []Item {
	base := len(dst)
	for from := -1; ev.err == nil; {
		round := in
		if from >= 0 {
			round = append([]Item(nil), dst[from:]...) // dst may move while it grows
		}
		start := len(dst)
		ev.lambda(c.args[0], sc, round, func(_ int, result []Item) bool {
			for i := range result {
				if !ev.contains(dst[base:], &result[i]) {
					dst = append(dst, result[i])
				}
			}
			return ev.step(len(result))
		})
		if from = start; len(dst) == start {
			break
		}
	}
	return dst
}

func fnRepeatAll(c *call, ev *evaluator, sc *scope, in, dst []Item) []Item {
	for round := in; len(round) > 0 && ev.err == nil; {
		start := len(dst)
		ev.lambda(c.args[0], sc, round, func(_ int, result []Item) bool {
			dst = append(dst, result...)
			return ev.step(len(result) + 1)
		})
		round = append([]Item(nil), dst[start:]...)
	}
	return dst
}

func fnSingle(_ *call, ev *evaluator, _ *scope, in, dst []Item) []Item {
	if it, ok := ev.single(in); ok {
		dst = append(dst, it)
	}
	return dst
}

func fnFirst(_ *call, _ *evaluator, _ *scope, in, dst []Item) []Item {
	return append(dst, in[:min(1, len(in))]...)
}

func fnLast(_ *call, _ *evaluator, _ *scope, in, dst []Item) []Item {
	return append(dst, in[max(0, len(in)-1):]...)
}

func fnTail(_ *call, _ *evaluator, _ *scope, in, dst []Item) []Item {
	return append(dst, in[min(1, len(in)):]...)
}

func fnSkip(c *call, ev *evaluator, sc *scope, in, dst []Item) []Item {
	n, ok := ev.integer(c.args[0], sc, "skip()")
	if !ok {
		return dst
	}
	return append(dst, in[max(0, min(n, int64(len(in)))):]...)
}

func fnTake(c *call, ev *evaluator, sc *scope, in, dst []Item) []Item {
	n, ok := ev.integer(c.args[0], sc, "take()")
	if !ok {
		return dst
	}
	return append(dst, in[:max(0, min(n, int64(len(in))))]...)
}

func fnIntersect(c *call, ev *evaluator, sc *scope, in, dst []Item) []Item {
	other := c.args[0].eval(ev, sc, ev.get())
	base := len(dst)
	for i := range in {
		if ev.contains(other, &in[i]) {
			dst = append(dst, in[i])
		}
	}
	ev.put(other)
	return ev.distinct(dst, base)
}

func fnExclude(c *call, ev *evaluator, sc *scope, in, dst []Item) []Item {
	other := c.args[0].eval(ev, sc, ev.get())
	for i := range in {
		if !ev.contains(other, &in[i]) {
			dst = append(dst, in[i])
		}
	}
	ev.put(other)
	return dst
}

func fnUnion(c *call, ev *evaluator, sc *scope, in, dst []Item) []Item {
	base := len(dst)
	dst = append(dst, in...)
	dst = c.args[0].eval(ev, sc, dst)
	return ev.distinct(dst, base)
}

func fnCombine(c *call, ev *evaluator, sc *scope, in, dst []Item) []Item {
	dst = append(dst, in...)
	dst = c.args[0].eval(ev, sc, dst)
	ev.step(len(in))
	return dst
}

func fnChildren(_ *call, ev *evaluator, _ *scope, in, dst []Item) []Item {
	for i := range in {
		dst = ev.children(&in[i], dst)
	}
	return dst
}

// fnDescendants goes level by level, as repeat(children()) does.
func fnDescendants(_ *call, ev *evaluator, _ *scope, in, dst []Item) []Item {
	start := len(dst)
	for i := range in {
		dst = ev.children(&in[i], dst)
	}
	for ; start < len(dst) && ev.err == nil; start++ {
		it := dst[start]
		dst = ev.children(&it, dst)
	}
	return dst
}

// fnSort orders by the keys given, or by the items themselves. What has no key comes first.
func fnSort(c *call, ev *evaluator, sc *scope, in, dst []Item) []Item {
	type row struct {
		item Item
		keys []Item
	}
	rows := make([]row, len(in))
	inner := ev.enter(sc)
	defer ev.leave(inner)
	for i := range in {
		rows[i].item = in[i]
		if len(c.args) == 0 {
			rows[i].keys = in[i : i+1]
		}
		inner.this, inner.index = in[i:i+1], i
		for _, arg := range c.args {
			key, ok := ev.one(arg, inner)
			if !ok {
				key = Item{}
			}
			rows[i].keys = append(rows[i].keys, key)
		}
	}
	sort.SliceStable(rows, func(i, j int) bool {
		for k := range rows[i].keys {
			if !ev.step(1) {
				return false
			}
			order := ev.sortOrder(&rows[i].keys[k], &rows[j].keys[k])
			if k < len(c.desc) && c.desc[k] {
				order = -order
			}
			if order != 0 {
				return order < 0
			}
		}
		return false
	})
	for i := range rows {
		dst = append(dst, rows[i].item)
	}
	return dst
}

func (ev *evaluator) sortOrder(a, b *Item) int {
	_, okA := a.Value()
	_, okB := b.Value()
	if !okA || !okB {
		return sign(btoi(okA) - btoi(okB))
	}
	order, _ := ev.order(a, b)
	return order
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func fnAggregate(c *call, ev *evaluator, sc *scope, in, dst []Item) []Item {
	inner := ev.enter(sc)
	defer ev.leave(inner)
	inner.total = nil
	if len(c.args) == 2 {
		inner.total = c.args[1].eval(ev, sc, nil)
	}
	for i := range in {
		if !ev.step(1) {
			return dst
		}
		inner.this, inner.index = in[i:i+1], i
		inner.total = c.args[0].eval(ev, inner, nil)
	}
	return append(dst, inner.total...)
}

// fold runs an operation over the values of the input; none of it is empty.
func (ev *evaluator) fold(in []Item, step func(total, v Value) (Value, bool)) (total Value, ok bool) {
	for i := range in {
		v, is := ev.operand(&in[i], "an aggregate")
		if !is || !ev.step(1) {
			return total, false
		}
		if i == 0 {
			total = v
			continue
		}
		if total, ok = step(total, v); !ok {
			return total, false
		}
	}
	return total, len(in) > 0 && ev.err == nil
}

func fnSum(_ *call, ev *evaluator, _ *scope, in, dst []Item) []Item {
	total, ok := ev.fold(in, func(t, v Value) (Value, bool) { return ev.calculate("+", t, v) })
	if !ok {
		return dst
	}
	return append(dst, valueItem(total))
}

func fnAvg(_ *call, ev *evaluator, _ *scope, in, dst []Item) []Item {
	total, ok := ev.fold(in, func(t, v Value) (Value, bool) { return ev.calculate("+", t, v) })
	if !ok {
		return dst
	}
	n := Value{Kind: Decimal, Dec: apd.New(int64(len(in)), 0)}
	if total, ok = ev.calculate("/", total, n); !ok {
		return dst
	}
	return append(dst, valueItem(total))
}

func fnMin(_ *call, ev *evaluator, _ *scope, in, dst []Item) []Item {
	return ev.extreme(in, dst, -1)
}

func fnMax(_ *call, ev *evaluator, _ *scope, in, dst []Item) []Item {
	return ev.extreme(in, dst, 1)
}

func (ev *evaluator) extreme(in, dst []Item, want int) []Item {
	total, ok := ev.fold(in, func(t, v Value) (Value, bool) {
		a, b := valueItem(t), valueItem(v)
		order, known := ev.order(&b, &a)
		if !known {
			return t, false
		}
		if order == want {
			return v, true
		}
		return t, true
	})
	if !ok {
		return dst
	}
	return append(dst, valueItem(total))
}

// noSuch is the error of a function that the input does not suit.
func (ev *evaluator) unsuited(c *call, it *Item) {
	ev.fail(fhir.Processing, "%s() does not suit %s.", c.name, it.TypeName())
}
