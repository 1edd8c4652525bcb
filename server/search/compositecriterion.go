package search

import (
	"strings"

	"bulkhead/server/definition"
)

// tuple is one alternative of a composite criterion: a criterion per component, on the
// component's own parameter, whose fields are those of the component at the root.
type tuple struct {
	components []criterion
}

// composites is a criterion on a composite parameter of one type.
type composites struct {
	field  field
	tuples []tuple
}

func (m *composites) rank() int {
	for _, t := range m.tuples {
		if m.rooted() && (allOf{t.components}).rank() >= rankTest {
			return rankTest
		}
	}
	return rankComposite
}

func (m *composites) stored() bool  { return len(m.field.x.sources) > 0 }
func (m *composites) rooted() bool  { return len(m.field.x.compound.root) > 0 }
func (m *composites) slots() []slot { return m.field.x.compound.slots() }

func (m *composites) test(c *compiler, at place) string {
	return joined(m.tuples, " OR ", func(t tuple) string {
		var parts []string
		if m.rooted() {
			parts = append(parts, allOf{t.components}.test(c, at))
		}
		if m.stored() {
			i := c.alias("i")
			parts = append(parts, "EXISTS (SELECT 1 FROM index_composite "+i+" WHERE "+c.scope(i)+" AND "+i+".rid = "+at.rid+" AND "+
				m.condition(c, i, t)+" OFFSET 0)")
		}
		return joined(parts, " OR ", func(s string) string { return s })
	})
}

// condition compares the row i of index_composite with a tuple.
func (m *composites) condition(c *compiler, i string, t tuple) string {
	slots := m.slots()
	parts := []string{c.oneOf(i+".param", params([]field{m.field}))}
	for n, one := range t.components {
		parts = append(parts, "("+componentCondition(c, i, slots[n], one)+")")
	}
	return strings.Join(parts, " AND ")
}

func componentCondition(c *compiler, i string, s slot, one criterion) string {
	code, system := i+".code", i+".system"
	if s == slotCode2 {
		code, system = i+".code2", i+".system2"
	}
	lo, hi := i+".lo", i+".hi"
	if s == slotNumber2 {
		lo, hi = i+".lo2", i+".hi2"
	}
	if s == slotNone {
		return "false"
	}
	switch x := one.(type) {
	case *tokens:
		return joined(x.values, " OR ", func(v tokenValue) string {
			if v.anyCode {
				return system + " = " + c.arg(key(v.system), "text")
			}
			return joined(codeForms(x.fields[0], v), " OR ", func(f tokenValue) string {
				sql := code + " = " + c.arg(f.code, "text")
				if !f.anySystem {
					sql += " AND " + system + " = " + c.arg(f.system, "text")
				}
				return sql
			})
		})
	case *references:
		return joined(x.targets, " OR ", func(t target) string {
			return code + " = " + c.arg(t.id, "text") + " AND " + system + " = " + c.arg(definition.TypeName(t.typ), "text")
		})
	case *uris:
		return code + " = ANY(" + c.arg(x.exact, "text[]") + ")"
	case *texts:
		column := i + ".value"
		if s == slotString2 {
			column = i + ".code2"
		}
		return joined(x.values, " OR ", func(v textValue) string {
			return column + " >= " + c.arg(v.from, "text") + " AND " + column + " < " + c.arg(v.to, "text")
		})
	case *numbers:
		return joined(x.any, " OR ", func(q quantityCondition) string { return q.condition(c, i+".unit", lo, hi) })
	case *datesCriterion:
		return joined(x.any, " OR ", func(v interval) string {
			return lo + " >= " + c.arg(epochSeconds(v.loMin), "float8") + " AND " + lo + " < " + c.arg(epochSeconds(v.loMax), "float8") +
				" AND " + hi + " > " + c.arg(epochSeconds(v.hiMin), "float8") + " AND " + hi + " <= " + c.arg(epochSeconds(v.hiMax), "float8")
		})
	default:
		return "false"
	}
}

func (m *composites) gather(c *compiler) string {
	var parts []string
	typ := number(m.field.plan.typeID)
	for _, t := range m.tuples {
		if m.rooted() {
			parts = append(parts, allOf{t.components}.gather(c))
		}
		if m.stored() {
			i := c.alias("i")
			parts = append(parts, "SELECT "+typ+" AS type, "+i+".rid FROM index_composite "+i+" WHERE "+c.scope(i)+" AND "+m.condition(c, i, t))
		}
	}
	return strings.Join(parts, " UNION ALL ")
}

// compositePresent extends :missing to composites without rows.
func compositePresent(c *compiler, fields []field, at place, has string) string {
	var parts []string
	for _, f := range fields {
		if len(f.x.sources) > 0 {
			parts = append(parts, has)
		}
		if len(f.x.compound.root) == 0 {
			continue
		}
		var all []criterion
		for _, x := range f.x.compound.root {
			all = append(all, missing{fields: []field{{f.plan, x}}})
		}
		parts = append(parts, allOf{all}.test(c, at))
	}
	return "(" + joined(parts, " OR ", func(s string) string { return s }) + ")"
}
