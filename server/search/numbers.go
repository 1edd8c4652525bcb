package search

import (
	"math"
	"strings"
)

// quantityCondition is one alternative of a number or quantity criterion: rows of one unit form.
type quantityCondition struct {
	unit string
	// system asks for any code of the system that unit names, "system|"; it can only be tested.
	system bool
	numeric
}

// numbers is a criterion on a number or quantity parameter.
type numbers struct {
	fields []field
	any    []quantityCondition
}

func (n *numbers) rank() int {
	for _, q := range n.any {
		if q.system {
			return rankTest
		}
	}
	return rankRange
}

// newQuantityConditions returns the conditions for a value in a unit form.
func newQuantityConditions(prefix, unit string, system bool, x, lo, hi float64) []quantityCondition {
	var out []quantityCondition
	for _, n := range scalarConditions(prefix, x, lo, hi) {
		out = append(out, quantityCondition{unit, system, n})
	}
	for _, n := range rangeConditions(prefix, x, lo, hi) {
		out = append(out, quantityCondition{"~" + unit, system, n})
		// Of a Range with one limit (rangeOf).
		half := "~" + halfKnown
		if prefix == "eq" || prefix == "ne" || prefix == "sa" || prefix == "eb" {
			half = "~" + halfOpen
		}
		out = append(out, quantityCondition{half + unit, system, n})
	}
	return out
}

func numberMatch(x, v string) string {
	return x + ".param = " + v + ".param AND " + x + ".unit = " + v + ".unit AND " +
		x + ".lo >= " + v + ".lo_min AND " + x + ".lo <= " + v + ".lo_max AND " + x + ".hi >= " + v + ".hi_min AND " + x + ".hi <= " + v + ".hi_max AND " +
		x + ".lo + " + x + ".hi >= " + v + ".mid_min AND " + x + ".lo + " + x + ".hi <= " + v + ".mid_max AND NOT (" +
		x + ".lo + " + x + ".hi >= " + v + ".not_min AND " + x + ".lo + " + x + ".hi <= " + v + ".not_max)"
}

// condition compares the row i of index_number, or that of index_composite.
func (q quantityCondition) condition(c *compiler, unit, lo, hi string) string {
	sql := ""
	if !q.system {
		sql = unit + " = " + c.arg(q.unit, "text")
	} else {
		sql = unit + " >= " + c.arg(q.unit, "text") + " AND " + unit + " < " + c.arg(prefixEnd(q.unit), "text")
	}
	limit := func(value string, op string, x, none float64) {
		if x != none && !math.IsNaN(x) {
			sql += " AND " + value + op + c.arg(x, "float8")
		}
	}
	mid := lo + " + " + hi
	limit(lo, " >= ", q.loMin, math.Inf(-1))
	limit(lo, " <= ", q.loMax, math.Inf(1))
	limit(hi, " >= ", q.hiMin, math.Inf(-1))
	limit(hi, " <= ", q.hiMax, math.Inf(1))
	limit(mid, " >= ", q.midMin, math.Inf(-1))
	limit(mid, " <= ", q.midMax, math.NaN())
	if q.notMidMin <= q.notMidMax {
		sql += " AND NOT (" + mid + " >= " + c.arg(q.notMidMin, "float8") + " AND " + mid + " <= " + c.arg(q.notMidMax, "float8") + ")"
	}
	return sql
}

func (n *numbers) test(c *compiler, at place) string {
	i := c.alias("i")
	return "EXISTS (SELECT 1 FROM index_number " + i + " WHERE " + c.scope(i) + " AND " + i + ".rid = " + at.rid +
		" AND " + c.oneOf(i+".param", params(n.fields)) + " AND (" +
		joined(n.any, " OR ", func(q quantityCondition) string { return q.condition(c, i+".unit", i+".lo", i+".hi") }) + ") OFFSET 0)"
}

func (n *numbers) alternatives(c *compiler) func(v string) string {
	var types []int16
	var params []int32
	var units []string
	limits := make([][]float64, 8)
	for _, e := range entries(n.fields) {
		for _, q := range n.any {
			types, params, units = append(types, e.typ), append(params, e.param), append(units, q.unit)
			loMin := q.loMin
			if !strings.HasPrefix(q.unit, "~") {
				loMin = q.narrow()
			}
			for i, limit := range []float64{loMin, q.loMax, q.hiMin, q.hiMax, q.midMin, q.midMax, q.notMidMin, q.notMidMax} {
				limits[i] = append(limits[i], limit)
			}
		}
	}
	sql := "unnest(" + c.arg(types, "smallint[]") + ", " + c.arg(params, "int[]") + ", " + c.arg(units, "text[]")
	for _, list := range limits {
		sql += ", " + c.arg(list, "float8[]")
	}
	return func(v string) string {
		return sql + ") " + v + "(type, param, unit, lo_min, lo_max, hi_min, hi_max, mid_min, mid_max, not_min, not_max)"
	}
}

func (n *numbers) gather(c *compiler) string {
	x, v := c.alias("x"), c.alias("v")
	return "SELECT " + v + ".type, " + x + ".rid FROM " + n.alternatives(c)(v) + c.lookup("index_number", x, x+".rid", numberMatch(x, v))
}

// ordered reads the matches from the greatest down.
func (n *numbers) ordered(c *compiler, more func(place) string, after *position, limit string) (string, keyColumn) {
	from := n.alternatives(c)
	column := keyColumn{cast: "float8", desc: true}
	x, v, y, w, m := c.alias("x"), c.alias("v"), c.alias("y"), c.alias("w"), c.alias("m")
	first := ""
	if !allSingle(n.fields) {
		// A resource stands where its greatest match does.
		first = " AND NOT EXISTS (SELECT 1 FROM " + from(w) + " JOIN index_number " + y + " ON " + c.scope(y) + " AND " + numberMatch(y, w) +
			" WHERE " + y + ".rid = " + x + ".rid AND (" + y + ".lo > " + x + ".lo OR " + y + ".lo = " + x + ".lo AND " + y + ".hi > " + x + ".hi) OFFSET 0)"
	}
	one := "SELECT " + v + ".type, " + x + ".rid, " + x + ".lo AS k FROM index_number " + x + " WHERE " + c.scope(x) + " AND " + numberMatch(x, v) +
		column.beyond(c, x+".lo", x+".rid", after) + first + more(place{rid: x + ".rid", typ: v + ".type"}) + " ORDER BY " + x + ".lo DESC, " + x + ".rid DESC LIMIT " + limit
	return "SELECT DISTINCT " + m + ".type, " + m + ".rid, " + m + ".k FROM " + from(v) + " CROSS JOIN LATERAL (" + one + ") " + m, column
}
