package search

import "strings"

// MaxIncludes is how many resources may come along with a page.
const MaxIncludes = 1000

// Include is one _include or _revinclude.
type Include struct {
	Reverse bool
	Iterate bool
	// fields are the reference parameters followed; none means every one of types.
	fields []field
	types  []int16 // source types of a wildcard; nil means any
	target int16   // 0 is any type
}

// includes adds the CTEs of what comes along and returns the SELECT of its rows, or "".
func (s *Search) includes(b *pageBuilder) string {
	if len(s.Includes) == 0 {
		return ""
	}
	c := b.compiler
	b.cte("matched", "SELECT r.type, r.rid, r.id FROM numbered p JOIN resource r ON "+c.scope("r")+" AND r.type = p.type AND r.rid = p.rid WHERE p.n <= "+c.arg(s.Count, "int"))
	var direct, iterated []string
	for _, i := range s.Includes {
		direct = append(direct, i.follow(c, "matched"))
		if i.Iterate {
			iterated = append(iterated, i.follow(c, "s"))
		}
	}
	limit := " LIMIT " + c.arg(MaxIncludes+1, "int")
	b.cte("along", "SELECT DISTINCT type, rid, id FROM ("+strings.Join(direct, " UNION ALL ")+") d WHERE NOT EXISTS (SELECT 1 FROM matched m WHERE m.type = d.type AND m.rid = d.rid)"+limit)
	from := "along"
	if len(iterated) > 0 {
		b.recursive = true
		// UNION leaves out what has been reached before, so cycles end.
		b.ctes = append(b.ctes, "reached AS (SELECT type, rid, id FROM along UNION SELECT t.type, t.rid, t.id FROM reached s CROSS JOIN LATERAL ("+
			strings.Join(iterated, " UNION ALL ")+") t)")
		b.cte("further", "SELECT f.type, f.rid, f.id FROM reached f WHERE NOT EXISTS (SELECT 1 FROM matched m WHERE m.type = f.type AND m.rid = f.rid)"+limit)
		from = "further"
	}
	return "SELECT r.type, r.id, r.version, r.last_updated, r.body, r.rid, 'include', '', 1000000 + row_number() OVER (ORDER BY r.type, r.rid DESC) FROM " +
		from + " a JOIN resource r ON " + c.scope("r") + " AND r.type = a.type AND r.rid = a.rid AND NOT r.deleted"
}

// follow selects (type, rid, id) of the resources that the rows of from lead to. A table named s
// is the row of an outer query.
func (i Include) follow(c *compiler, from string) string {
	x, r := c.alias("x"), c.alias("r")
	source := from + " s JOIN "
	on := " ON "
	if from == "s" {
		source, on = "", " WHERE "
	}
	if i.Reverse {
		return i.reverse(c, source, on, x, r)
	}
	sql := "SELECT " + r + ".type, " + r + ".rid, " + r + ".id FROM " + source + "index_reference " + x + on + c.scope(x) + " AND " + x + ".rid = s.rid"
	if len(i.fields) > 0 {
		sql += " AND (" + joined(entries(i.fields), " OR ", func(e entry) string {
			one := "s.type = " + c.arg(e.typ, "smallint") + " AND " + x + ".param = " + c.arg(e.param, "int")
			if e.target != 0 {
				one += " AND " + x + ".target_type = " + c.arg(e.target, "smallint")
			}
			return one
		}) + ")"
	} else if i.types != nil {
		sql += " AND s.type = ANY(" + c.arg(i.types, "smallint[]") + ")"
	}
	if i.target != 0 {
		sql += " AND " + x + ".target_type = " + c.arg(i.target, "smallint")
	}
	return c.resolved(sql, x, r)
}

// resolved looks the target of reference x up as r. The lookup is a lateral one, so that it also
// stands behind a WHERE.
func (c *compiler) resolved(sql, x, r string) string {
	at := strings.Index(sql, " FROM ")
	where := strings.Index(sql, " WHERE ")
	join := " JOIN resource " + r + " ON " + c.scope(r) + " AND " + r + ".type = " + x + ".target_type AND " + r + ".id = " + x + ".target_id AND NOT " + r + ".deleted"
	if where > at {
		return sql[:where] + join + sql[where:]
	}
	return sql + join
}

// reverse selects the resources that refer to the rows of from.
func (i Include) reverse(c *compiler, source, on, x, r string) string {
	list := entries(i.fields)
	var types []int16
	var ids []int32
	for _, e := range list {
		types, ids = append(types, e.typ), append(ids, e.param)
	}
	v := c.alias("v")
	alternatives := "unnest(" + c.arg(types, "smallint[]") + ", " + c.arg(ids, "int[]") + ") " + v + "(type, param)"
	condition := c.scope(x) + " AND " + x + ".param = " + v + ".param AND " + x + ".target_type = s.type AND " + x + ".target_id = s.id"
	if i.target != 0 {
		condition += " AND s.type = " + c.arg(i.target, "smallint")
	}
	for _, e := range list {
		if e.target != 0 {
			condition += " AND s.type = " + c.arg(e.target, "smallint")
			break
		}
	}
	join := " JOIN resource " + r + " ON " + c.scope(r) + " AND " + r + ".type = " + v + ".type AND " + r + ".rid = " + x + ".rid AND NOT " + r + ".deleted"
	columns := "SELECT " + r + ".type, " + r + ".rid, " + r + ".id FROM "
	if source == "" {
		return columns + alternatives + " JOIN index_reference " + x + " ON " + condition + join
	}
	return columns + source + alternatives + " ON true JOIN index_reference " + x + " ON " + condition + join
}
