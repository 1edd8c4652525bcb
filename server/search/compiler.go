package search

import (
	"strconv"
	"strings"
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

// moments adds a list of moments. They travel as text because of the infinities.
func (c *compiler) moments(micros []int64) string {
	texts := make([]string, len(micros))
	for i, m := range micros {
		texts[i] = Timestamp(m)
	}
	return c.arg(texts, "text[]") + "::timestamptz[]"
}

func (c *compiler) moment(micros int64) string {
	return c.arg(Timestamp(micros), "text") + "::timestamptz"
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
