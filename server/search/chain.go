package search

import (
	"strconv"

	"bulkhead/server/definition"
)

// chain is a criterion on the targets of references: subject:Patient.name=x.
type chain struct {
	fields []field
	types  []int16 // of the targets
	inner  criterion
}

func (h *chain) rank() int {
	if h.inner.rank() >= rankTest {
		return rankTest
	}
	return rankChain
}

// columns lists the sources as a FROM item: the references of a parameter to a type.
func (h *chain) alternatives(c *compiler, v string) string {
	var types, targets []int16
	var params []int32
	for _, e := range entries(h.fields) {
		for _, t := range h.types {
			if e.target == 0 || e.target == t {
				types, params, targets = append(types, e.typ), append(params, e.param), append(targets, t)
			}
		}
	}
	return "unnest(" + c.arg(types, "smallint[]") + ", " + c.arg(params, "int[]") + ", " + c.arg(targets, "smallint[]") + ") " + v + "(type, param, target_type)"
}

// test reads the references of the resource and looks their targets up.
func (h *chain) test(c *compiler, at place) string {
	f, v, r := c.alias("f"), c.alias("v"), c.alias("r")
	return "EXISTS (SELECT 1 FROM " + h.alternatives(c, v) +
		c.lookup("index_reference", f, f+".target_type, "+f+".target_id", f+".rid = "+at.rid+" AND "+f+".param = "+v+".param AND "+f+".target_type = "+v+".target_type") +
		c.byReference(f, r) + " WHERE true" + c.and(place{rid: r + ".rid", typ: r + ".type", row: r}, h.inner) + " OFFSET 0)"
}

// gather goes from the targets that match to what refers to them.
func (h *chain) gather(c *compiler) string {
	g, f, v, r := c.alias("g"), c.alias("f"), c.alias("v"), c.alias("r")
	return "SELECT " + v + ".type, " + f + ".rid FROM (" + h.inner.gather(c) + ") " + g + c.byRID(g+".type", g+".rid", r) +
		" JOIN " + h.alternatives(c, v) + " ON " + v + ".target_type = " + r + ".type" +
		c.lookup("index_reference", f, f+".rid", f+".param = "+v+".param AND "+f+".target_type = "+v+".target_type AND "+f+".target_id = "+r+".id")
}

// has is a criterion on the resources that refer to this one: _has:Observation:patient:code=x.
type has struct {
	types  []int16 // that are searched
	fields []field // of the resources that refer
	inner  criterion
}

func (h *has) rank() int {
	if h.inner.rank() >= rankTest {
		return rankTest
	}
	return rankChain
}

func (h *has) test(c *compiler, at place) string {
	return c.row(at, func(row string) string {
		f := c.alias("f")
		source, _ := definition.TypeID(h.fields[0].plan.typ.Name)
		return "EXISTS (SELECT 1 FROM index_reference " + f + " WHERE " + c.scope(f) + " AND " + c.oneOf(f+".param", params(h.fields)) +
			" AND " + f + ".target_type = " + row + ".type AND " + f + ".target_id = " + row + ".id" +
			c.and(place{rid: f + ".rid", typ: number(source)}, h.inner) + " OFFSET 0)"
	})
}

func (h *has) gather(c *compiler) string {
	g, f, r := c.alias("g"), c.alias("f"), c.alias("r")
	return "SELECT " + r + ".type, " + r + ".rid FROM (" + h.inner.gather(c) + ") " + g +
		c.lookup("index_reference", f, f+".target_type, "+f+".target_id",
			f+".rid = "+g+".rid AND "+c.oneOf(f+".param", params(h.fields))+" AND "+f+".target_type = ANY("+c.arg(h.types, "smallint[]")+")") +
		c.byReference(f, r)
}

// number writes one of the program's own numbers, such as that of a resource type, into SQL.
func number(n int16) string { return strconv.Itoa(int(n)) + "::smallint" }
