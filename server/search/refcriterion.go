package search

import (
	"slices"

	"bulkhead/server/definition"
)

// target is what a reference may point to: a resource, or with type 0 the text of the reference.
type target struct {
	typ int16
	id  string
}

// references is a criterion on reference parameters.
type references struct {
	fields  []field
	targets []target
}

func (*references) rank() int { return rankReference }

// pairs combines sources and targets, leaving out targets that a source is not about.
func (r *references) pairs() (list []entry, targets []target) {
	for _, e := range entries(r.fields) {
		for _, t := range r.targets {
			switch {
			case e.target == 0 || e.target == t.typ:
			case t.typ == 0:
				if name, _, ok := splitReference(t.id); !ok || name != definition.TypeName(e.target) {
					continue
				}
			default:
				continue
			}
			list, targets = append(list, e), append(targets, t)
		}
	}
	return list, targets
}

func (r *references) alternatives(c *compiler, v string) string {
	list, targets := r.pairs()
	var types, targetTypes []int16
	var params []int32
	var ids []string
	for i, e := range list {
		types, params = append(types, e.typ), append(params, e.param)
		targetTypes, ids = append(targetTypes, targets[i].typ), append(ids, targets[i].id)
	}
	return "unnest(" + c.arg(types, "smallint[]") + ", " + c.arg(params, "int[]") + ", " + c.arg(targetTypes, "smallint[]") + ", " +
		c.arg(ids, "text[]") + ") " + v + "(type, param, target_type, target_id)"
}

func referenceMatch(x, v string) string {
	return x + ".param = " + v + ".param" + " AND " +
		x + ".target_type = " + v + ".target_type" + " AND " +
		x + ".target_id = " + v + ".target_id"
}

func (r *references) test(c *compiler, at place) string {
	list, targets := r.pairs()
	if len(list) == 0 {
		return "false"
	}
	x := c.alias("i")
	if len(list) == 1 {
		return "EXISTS (SELECT 1 FROM index_reference " + x + " WHERE " + c.scope(x) + " AND " + x + ".rid = " + at.rid +
			" AND " + x + ".param = " + c.arg(list[0].param, "int") + " AND " + x + ".target_type = " + c.arg(targets[0].typ, "smallint") +
			" AND " + x + ".target_id = " + c.arg(targets[0].id, "text") + " OFFSET 0)"
	}
	v := c.alias("v")
	return "EXISTS (SELECT 1 FROM index_reference " + x + " JOIN " + r.alternatives(c, v) + " ON " + referenceMatch(x, v) +
		" WHERE " + c.scope(x) + " AND " + x + ".rid = " + at.rid + " OFFSET 0)"
}

func (r *references) gather(c *compiler) string {
	x, v := c.alias("x"), c.alias("v")
	return "SELECT " + v + ".type, " + x + ".rid FROM " + r.alternatives(c, v) + c.lookup("index_reference", x, x+".rid", referenceMatch(x, v))
}

func (r *references) drive(c *compiler, more func(place) string, limit string) string {
	x, v := c.alias("x"), c.alias("v")
	from := r.alternatives(c, v)
	one := "SELECT " + v + ".type, " + x + ".rid FROM index_reference " + x + " WHERE " + c.scope(x) + " AND " + referenceMatch(x, v) +
		more(place{rid: x + ".rid", typ: v + ".type"}) + " ORDER BY " + x + ".rid DESC"
	return c.lateral(from, one, limit)
}

// targetTypes lists the types that reference parameters may point to, by number.
func targetTypes(set *definition.Set, fields []field) []int16 {
	var out []int16
	for _, f := range fields {
		names := f.x.param.Target
		if len(names) == 0 || slices.Contains(names, "Resource") {
			names = nil
			for _, t := range set.ResourceTypes() {
				names = append(names, t.Name)
			}
		}
		restricted := slices.ContainsFunc(f.x.sources, func(s source) bool { return s.target != 0 })
		for _, name := range names {
			id, ok := definition.TypeID(name)
			fits := !restricted || slices.ContainsFunc(f.x.sources, func(s source) bool { return s.target == id || s.target == 0 })
			if ok && fits && !slices.Contains(out, id) {
				out = append(out, id)
			}
		}
	}
	return out
}
