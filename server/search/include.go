package search

import "strings"

// MaxIncludes is how many resources may come along with a page.
const MaxIncludes = 1000

// Include is one _include or _revinclude.
type Include struct {
	Reverse bool
	Iterate bool
	fields  []field // the reference parameters followed; none means all
	target  int16   // 0 is any type
}

// includes adds the CTEs of what comes along and returns the SELECT of its rows, or "".
func (s *Search) includes(b *pageBuilder) string {
	if len(s.Includes) == 0 {
		return ""
	}
	c := b.compiler
	b.cte("matched", "SELECT r.type, r.rid, r.id FROM numbered p"+c.byRID("p.type", "p.rid", "r")+" WHERE p.n <= "+c.arg(s.Count, "int"))
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
	return "SELECT " + rowColumns + ", 'include', '', 1000000 + row_number() OVER (ORDER BY r.type, r.rid DESC) FROM " + from + " a" +
		c.lookup("resource", "r", rowColumns, "r.type = a.type AND r.rid = a.rid AND NOT r.deleted")
}

// follow selects (type, rid, id) of the resources that the rows of from lead to. The from "s" is
// the row of an outer query.
func (i Include) follow(c *compiler, from string) string {
	x, r, v := c.alias("x"), c.alias("r"), c.alias("v")
	source := from + " s CROSS JOIN "
	if from == "s" {
		source = ""
	}
	columns := "SELECT " + r + ".type, " + r + ".rid, " + r + ".id FROM " + source + i.alternatives(c, v)
	if i.Reverse {
		where := x + ".param = " + v + ".param AND " + x + ".target_type = s.type AND " + x + ".target_id = s.id"
		return columns + c.lookup("index_reference", x, x+".rid", where) + c.byRID(v+".type", x+".rid", r) +
			" WHERE (" + v + ".target_type = 0 OR " + v + ".target_type = s.type)"
	}
	where := x + ".rid = s.rid AND (" + v + ".param = 0 OR " + x + ".param = " + v + ".param) AND (" + v + ".target_type = 0 OR " + x + ".target_type = " + v + ".target_type)"
	return columns + c.lookup("index_reference", x, x+".target_type, "+x+".target_id", where) + c.byReference(x, r) +
		" WHERE (" + v + ".type = 0 OR " + v + ".type = s.type)"
}

// alternatives lists the references followed: the type that has them, the parameter and the type
// of their targets, where 0 is any.
func (i Include) alternatives(c *compiler, v string) string {
	list := entries(i.fields)
	if len(i.fields) == 0 {
		list = []entry{{}}
	}
	var types, targets []int16
	var params []int32
	for _, e := range list {
		if i.target != 0 && e.target != 0 && i.target != e.target {
			continue
		}
		types, params, targets = append(types, e.typ), append(params, e.param), append(targets, max(i.target, e.target))
	}
	return "unnest(" + c.arg(types, "smallint[]") + ", " + c.arg(params, "int[]") + ", " + c.arg(targets, "smallint[]") + ") " + v + "(type, param, target_type)"
}
