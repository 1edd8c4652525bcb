package search

// datesCriterion is a criterion on a date parameter: any of the intervals.
type datesCriterion struct {
	fields []field
	any    []interval
}

func (*datesCriterion) rank() int { return rankRange }

// condition compares the row i of index_date.
func (d *datesCriterion) condition(c *compiler, i string) string {
	return joined(d.any, " OR ", func(v interval) string {
		sql := i + ".param > 0"
		if v.loMin != pastForever {
			sql += " AND " + i + ".lo >= " + c.moment(v.loMin)
		}
		if v.loMax != futureForever {
			sql += " AND " + i + ".lo < " + c.moment(v.loMax)
		}
		if v.hiMin != pastForever {
			sql += " AND " + i + ".hi > " + c.moment(v.hiMin)
		}
		if v.hiMax != futureForever {
			sql += " AND " + i + ".hi <= " + c.moment(v.hiMax)
		}
		return sql
	})
}

func (d *datesCriterion) test(c *compiler, at place) string {
	i := c.alias("i")
	return "EXISTS (SELECT 1 FROM index_date " + i + " WHERE " + c.scope(i) + " AND " + i + ".rid = " + at.rid +
		" AND " + c.oneOf(i+".param", params(d.fields)) + " AND (" + d.condition(c, i) + ") OFFSET 0)"
}

func (d *datesCriterion) alternatives(c *compiler) func(v string) string {
	var types []int16
	var params []int32
	var loMin, loMax, hiMin, hiMax, narrow []int64
	for _, e := range entries(d.fields) {
		for _, v := range d.any {
			types, params = append(types, e.typ), append(params, e.param)
			loMin, loMax = append(loMin, v.loMin), append(loMax, v.loMax)
			hiMin, hiMax, narrow = append(hiMin, v.hiMin), append(hiMax, v.hiMax), append(narrow, v.narrow())
		}
	}
	sql := "unnest(" + c.arg(types, "smallint[]") + ", " + c.arg(params, "int[]") + ", " + c.moments(loMin) + ", " + c.moments(loMax) + ", " +
		c.moments(hiMin) + ", " + c.moments(hiMax) + ", " + c.moments(narrow) + ") "
	return func(v string) string { return sql + v + "(type, param, lo_min, lo_max, hi_min, hi_max, narrow)" }
}

func dateMatch(x, v string) string {
	return x + ".param = " + v + ".param AND " + x + ".lo < " + v + ".lo_max AND " + x + ".hi > " + v + ".hi_min AND " + x + ".hi <= " + v + ".hi_max"
}

// The two parts of an index that a date is looked for in: lo can be bounded by hi in all values
// but the wide ones, and those have an index of their own.
func dateParts(x, v string) [2]string {
	return [2]string{
		x + ".lo >= " + v + ".narrow",
		x + ".wide AND " + x + ".lo >= " + v + ".lo_min AND " + x + ".lo < " + v + ".narrow",
	}
}

func (d *datesCriterion) gather(c *compiler) string {
	from := d.alternatives(c)
	parts := make([]string, 0, 2)
	for n := range 2 {
		x, v := c.alias("x"), c.alias("v")
		parts = append(parts, "SELECT "+v+".type, "+x+".rid FROM "+from(v)+c.lookup("index_date", x, x+".rid", dateMatch(x, v)+" AND "+dateParts(x, v)[n]))
	}
	return parts[0] + " UNION ALL " + parts[1]
}

// ordered reads the matches newest first: by lo, then rid, both falling.
func (d *datesCriterion) ordered(c *compiler, more func(place) string, after *position, limit string) (string, keyColumn) {
	from := d.alternatives(c)
	column := keyColumn{cast: "timestamptz", desc: true}
	outer := c.alias("v")
	parts := make([]string, 0, 2)
	for n := range 2 {
		x := c.alias("x")
		sql := "(SELECT " + outer + ".type, " + x + ".rid, " + x + ".lo AS k FROM index_date " + x + " WHERE " + c.scope(x) + " AND " + dateMatch(x, outer) +
			" AND " + dateParts(x, outer)[n] + column.beyond(c, x+".lo", x+".rid", after)
		if !allSingle(d.fields) {
			y, w := c.alias("y"), c.alias("w")
			sql += " AND NOT EXISTS (SELECT 1 FROM " + from(w) + " JOIN index_date " + y + " ON " + c.scope(y) + " AND " + dateMatch(y, w) +
				" AND " + y + ".lo >= " + w + ".lo_min WHERE " + y + ".rid = " + x + ".rid AND (" + y + ".lo > " + x + ".lo OR " +
				y + ".lo = " + x + ".lo AND " + y + ".hi > " + x + ".hi) OFFSET 0)"
		}
		parts = append(parts, sql+more(place{rid: x + ".rid", typ: outer + ".type"})+" ORDER BY "+x+".lo DESC, "+x+".rid DESC LIMIT "+limit+")")
	}
	m := c.alias("m")
	return "SELECT DISTINCT " + m + ".type, " + m + ".rid, " + m + ".k FROM " + from(outer) +
		" CROSS JOIN LATERAL (" + parts[0] + " UNION ALL " + parts[1] + ") " + m, column
}

func allSingle(fields []field) bool {
	for _, f := range fields {
		if !f.x.single || len(f.x.sources) != 1 {
			return false
		}
	}
	return true
}
