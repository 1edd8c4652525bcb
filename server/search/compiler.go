package search

import (
	"strconv"
	"strings"
	"time"
)

// Statement is SQL made of constants, and the values for its parameters.
type Statement struct {
	SQL  string
	Args []any
}

// compiler puts a statement together. $1 is the tenant and $2 the project; every table is
// restricted to them besides what row-level security does.
type compiler struct {
	args    []any
	aliases int
}

func newCompiler(scope Scope) *compiler {
	return &compiler{args: []any{scope.Tenant, scope.Project}}
}

// arg adds a value and returns its parameter, cast to a type.
func (c *compiler) arg(value any, cast string) string {
	c.args = append(c.args, value)
	return "$" + strconv.Itoa(len(c.args)) + "::" + cast
}

// moments adds a list of moments.
func (c *compiler) moments(micros []int64) string {
	times := make([]time.Time, len(micros))
	for i, m := range micros {
		times[i] = instant(m)
	}
	return c.arg(times, "timestamptz[]")
}

func (c *compiler) moment(micros int64) string { return c.arg(instant(micros), "timestamptz") }

// instant makes a moment that can be an argument. The ends of time are the ends of what Postgres
// can hold, which is beyond every moment that is stored.
func instant(micros int64) time.Time {
	switch micros {
	case pastForever:
		return time.Date(-4700, 1, 1, 0, 0, 0, 0, time.UTC)
	case futureForever:
		return time.Date(294000, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return time.UnixMicro(micros).UTC()
}

// alias returns a new name for a table.
func (c *compiler) alias(letter string) string {
	c.aliases++
	return letter + strconv.Itoa(c.aliases)
}

// scope restricts a table to the tenant and project.
func (c *compiler) scope(alias string) string {
	return alias + ".tenant_id = $1 AND " + alias + ".project_id = $2"
}

// oneOf compares a column with one or several numbers.
func (c *compiler) oneOf(column string, numbers []int32) string {
	if len(numbers) == 1 {
		return column + " = " + c.arg(numbers[0], "int")
	}
	return column + " = ANY(" + c.arg(numbers, "int[]") + ")"
}

// and returns tests at a place, each led by AND (the first by WHERE where one is needed is the
// caller's business: see where).
func (c *compiler) and(at place, tests ...criterion) string {
	var b strings.Builder
	for _, t := range tests {
		b.WriteString(" AND (")
		b.WriteString(t.test(c, at))
		b.WriteString(")")
	}
	return b.String()
}

// lateral reads the first rows of each alternative.
func (c *compiler) lateral(alternatives, one, limit string) string {
	m := c.alias("m")
	return "SELECT " + m + ".type, " + m + ".rid FROM " + alternatives + " CROSS JOIN LATERAL (" + one + " LIMIT " + limit + ") " + m
}

// lookup joins a table to the items of a FROM clause that stand before it, one index lookup for
// each of their rows. OFFSET 0 keeps the planner from other kinds of joins, which it prefers
// while its statistics are young and which read a project's whole table.
func (c *compiler) lookup(table, alias, columns, where string) string {
	return " CROSS JOIN LATERAL (SELECT " + columns + " FROM " + table + " " + alias + " WHERE " + c.scope(alias) + " AND " + where + " OFFSET 0) " + alias
}

// byReference looks the resource that a reference names up, as r.
func (c *compiler) byReference(x, r string) string {
	return c.lookup("resource", r, r+".type, "+r+".rid, "+r+".id, "+r+".tokens, "+r+".last_updated",
		r+".type = "+x+".target_type AND "+r+".id = "+x+".target_id AND NOT "+r+".deleted")
}

// byRID looks a resource up by type and rid, as r.
func (c *compiler) byRID(typ, rid, r string) string {
	return c.lookup("resource", r, r+".type, "+r+".rid, "+r+".id", r+".type = "+typ+" AND "+r+".rid = "+rid+" AND NOT "+r+".deleted")
}

// row runs a condition on the resource row at a place, fetching the row if it is not at hand.
func (c *compiler) row(at place, condition func(row string) string) string {
	if at.row != "" {
		return condition(at.row)
	}
	r := c.alias("r")
	return "EXISTS (SELECT 1 FROM resource " + r + " WHERE " + c.scope(r) + " AND " + r + ".type = " + at.typ +
		" AND " + r + ".rid = " + at.rid + " AND (" + condition(r) + ") OFFSET 0)"
}

func joined[T any](list []T, separator string, f func(T) string) string {
	parts := make([]string, len(list))
	for i, x := range list {
		parts[i] = "(" + f(x) + ")"
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return strings.Join(parts, separator)
}
