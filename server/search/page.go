package search

import (
	"strconv"
	"strings"

	"bulkhead/server/definition"
)

// Scope is the project that a statement is for. It goes into every statement besides what
// row-level security does.
type Scope struct{ Tenant, Project int32 }

// How many resources a driver may yield for a page to be made by gathering and sorting them. When
// it yields more, the page is read from an index in its order, which finds matches soon unless
// the two are correlated; so with _sort, where they may well be, more is gathered.
const (
	fewMatches = 2000
	fewSorted  = 10000
)

// keyColumn is a sort key of a page.
type keyColumn struct {
	cast string // its type
	desc bool
}

func (k keyColumn) direction() string {
	if k.desc {
		return " DESC"
	}
	return ""
}

// position is where a page begins: behind the row with these keys and rid. A key that is nil
// stands for a resource without a value, and those come last.
type position struct {
	keys []*string
	rid  int64
}

// beyond is the condition that a row with one key comes after a position: a row comparison spelt
// out, of which the first part can be an index condition.
func (k keyColumn) beyond(c *compiler, column, rid string, after *position) string {
	if after == nil {
		return ""
	}
	if len(after.keys) != 1 || after.keys[0] == nil {
		return " AND false"
	}
	key, last := c.arg(*after.keys[0], "text")+"::"+k.cast, c.arg(after.rid, "bigint")
	op, edge := ">", " >= "
	if k.desc {
		op, edge = "<", " <= "
	}
	return " AND " + column + edge + key + " AND (" + column + " " + op + " " + key + " OR " + rid + " " + op + " " + last + ")"
}

// pageQuery selects a page's (type, rid, k1, k2, ...) in their order.
type pageQuery struct {
	sql  string
	keys []keyColumn
}

// order is the ORDER BY of a page. The rid goes the way of the last key, as in the indexes.
func order(keys []keyColumn, alias string) string {
	var b strings.Builder
	desc := true
	for i, k := range keys {
		b.WriteString(alias + ".k" + strconv.Itoa(i+1) + k.direction() + " NULLS LAST, ")
		desc = k.desc
	}
	b.WriteString(alias + ".rid")
	if desc {
		b.WriteString(" DESC")
	}
	return b.String()
}

// pageBuilder makes the query of one page.
type pageBuilder struct {
	*compiler
	s     *Search
	after *position
	limit string
	ctes  []string
	// recursive says that one of them refers to itself.
	recursive bool
}

// cte adds a common table expression.
func (b *pageBuilder) cte(name, sql string) {
	b.ctes = append(b.ctes, name+" AS MATERIALIZED ("+sql+")")
}

// bounded is a criterion that only so many resources can meet.
type bounded interface {
	criterion
	bound() int
}

// best returns the index of the criterion that drives, or -1.
func (s *Search) best() int {
	best := -1
	for i, x := range s.criteria {
		if x.rank() < rankTest && (best < 0 || x.rank() < s.criteria[best].rank()) {
			best = i
		}
	}
	return best
}

// others returns the tests of all criteria but one.
func (b *pageBuilder) others(but int) func(place) string {
	return func(at place) string {
		var sql strings.Builder
		for i, x := range b.s.criteria {
			if i != but {
				sql.WriteString(b.and(at, x))
			} else if u, ok := x.(*updated); ok {
				sql.WriteString(" AND " + u.alive(b.compiler, at))
			}
		}
		return sql.String()
	}
}

func (b *pageBuilder) build() pageQuery {
	best := b.s.best()
	switch {
	case len(b.s.sort) > 0:
		return b.sorted(best)
	case best < 0:
		return pageQuery{sql: b.walk("", b.others(-1))}
	}
	switch x := b.s.criteria[best].(type) {
	case interface {
		ordered(c *compiler, more func(place) string, after *position, limit string) (string, keyColumn)
	}:
		if x.(criterion).rank() != rankRange {
			break // :exact comes in the default order
		}
		sql, column := x.ordered(b.compiler, b.others(best), b.after, b.limit)
		return pageQuery{sql: "SELECT type, rid, k AS k1 FROM (" + sql + ") q", keys: []keyColumn{column}}
	}
	if x, ok := b.s.criteria[best].(driver); ok {
		sql := x.drive(b.compiler, func(at place) string { return b.older(at) + b.others(best)(at) }, b.limit)
		return pageQuery{sql: "SELECT DISTINCT type, rid FROM (" + sql + ") q"}
	}
	more := b.others(best)
	if x, ok := b.s.criteria[best].(bounded); ok && x.bound() <= fewMatches {
		return pageQuery{sql: "SELECT q.type, q.rid FROM (" + x.gather(b.compiler) + ") q WHERE true" + b.older(place{rid: "q.rid"}) + more(place{rid: "q.rid", typ: "q.type"})}
	}
	few := b.few(best, fewMatches)
	return pageQuery{sql: "SELECT q.type, q.rid FROM (SELECT DISTINCT type, rid FROM " + few + ") q WHERE (SELECT yes FROM few)" +
		b.older(place{rid: "q.rid"}) + more(place{rid: "q.rid", typ: "q.type"}) + " UNION ALL " + b.many(best)}
}

// many reads a page, in the default order, when the best criterion has turned out to leave many
// resources: by another criterion if there is one, else by trying one resource after the other.
func (b *pageBuilder) many(best int) string {
	const gate = " AND NOT (SELECT yes FROM few)"
	next := -1
	for i, x := range b.s.criteria {
		if _, ok := x.(driver); ok && i != best && x.rank() < rankCode && x.rank() != rankRange && (next < 0 || x.rank() < b.s.criteria[next].rank()) {
			next = i
		}
	}
	if next < 0 {
		return b.walk(gate, b.others(-1))
	}
	return "SELECT DISTINCT type, rid FROM (" + b.s.criteria[next].(driver).drive(b.compiler, func(at place) string {
		return gate + b.older(at) + b.others(next)(at)
	}, b.limit) + ") w"
}

// older is the condition of the default order.
func (b *pageBuilder) older(at place) string {
	if b.after == nil {
		return ""
	}
	return " AND " + at.rid + " < " + b.arg(b.after.rid, "bigint")
}

// few adds the CTEs that gather a driver's matches up to a limit and tell whether that is all.
func (b *pageBuilder) few(best, limit int) string {
	b.cte("gathered", "SELECT type, rid FROM ("+b.s.criteria[best].gather(b.compiler)+") q LIMIT "+strconv.Itoa(limit+1))
	b.cte("few", "SELECT count(*) <= "+strconv.Itoa(limit)+" AS yes FROM gathered")
	return "gathered"
}

// walk reads the resources of the types newest first and tests each.
func (b *pageBuilder) walk(gate string, tests func(place) string) string {
	r, v := b.alias("r"), b.alias("v")
	at := place{rid: r + ".rid", typ: r + ".type", row: r}
	one := "SELECT " + r + ".type, " + r + ".rid FROM resource " + r + " WHERE " + b.scope(r) + " AND " + r + ".type = " + v + ".type AND NOT " +
		r + ".deleted" + gate + b.older(at) + tests(at) + " ORDER BY " + r + ".rid DESC"
	m := b.alias("m")
	return "SELECT " + m + ".type, " + m + ".rid FROM unnest(" + b.arg(b.s.typeIDs(), "smallint[]") + ") " + v + "(type) CROSS JOIN LATERAL (" +
		one + " LIMIT " + b.limit + ") " + m
}

// sorted makes the page of a search with _sort.
func (b *pageBuilder) sorted(best int) pageQuery {
	var keys []keyColumn
	for _, k := range b.s.sort {
		keys = append(keys, keyColumn{cast: k.cast(), desc: k.desc})
	}
	if len(b.s.sort) > 1 {
		from := b.everything()
		if best >= 0 {
			from = b.s.criteria[best].gather(b.compiler)
		}
		return pageQuery{sql: b.sorting(from, "", best, keys), keys: keys}
	}
	if best < 0 {
		return pageQuery{sql: b.inOrder("", keys[0]), keys: keys}
	}
	few := b.few(best, fewSorted)
	return pageQuery{
		sql:  b.sorting("SELECT type, rid FROM "+few, " AND (SELECT yes FROM few)", best, keys) + " UNION ALL " + b.inOrder(" AND NOT (SELECT yes FROM few)", keys[0]),
		keys: keys,
	}
}

// everything selects all resources of the types.
func (b *pageBuilder) everything() string {
	r := b.alias("r")
	return "SELECT " + r + ".type, " + r + ".rid FROM resource " + r + " WHERE " + b.scope(r) + " AND " + r + ".type = ANY(" +
		b.arg(b.s.typeIDs(), "smallint[]") + ") AND NOT " + r + ".deleted"
}

// sorting sorts what from selects, after testing it.
func (b *pageBuilder) sorting(from, gate string, best int, keys []keyColumn) string {
	q := b.alias("q")
	at := place{rid: q + ".rid", typ: q + ".type"}
	inner := "SELECT " + q + ".type, " + q + ".rid"
	for i, k := range b.s.sort {
		inner += ", " + k.value(b.compiler, at) + " AS k" + strconv.Itoa(i+1)
	}
	inner += " FROM (SELECT DISTINCT type, rid FROM (" + from + ") d) " + q + " WHERE true" + gate + b.others(best)(at)
	s := b.alias("s")
	sql := "(SELECT " + s + ".* FROM (" + inner + ") " + s
	if b.after != nil {
		sql += " WHERE " + b.behind(s, keys)
	}
	return sql + " ORDER BY " + order(keys, s) + " LIMIT " + b.limit + ")"
}

// behind is the condition that a row with columns k1, k2, ... comes after the position.
func (b *pageBuilder) behind(s string, keys []keyColumn) string {
	var options []string
	equal := ""
	desc := true
	for i, k := range keys {
		column, value := s+".k"+strconv.Itoa(i+1), b.after.keys[i]
		desc = k.desc
		if value == nil {
			equal += column + " IS NULL AND "
			continue
		}
		arg, op := b.arg(*value, "text")+"::"+k.cast, " > "
		if k.desc {
			op = " < "
		}
		options = append(options, equal+"("+column+op+arg+" OR "+column+" IS NULL)")
		equal += column + " = " + arg + " AND "
	}
	op := " > "
	if desc {
		op = " < "
	}
	options = append(options, equal+s+".rid"+op+b.arg(b.after.rid, "bigint"))
	return "(" + strings.Join(options, " OR ") + ")"
}

// inOrder reads the index of a sort key in order and tests each resource; those without a value
// follow when it is exhausted.
func (b *pageBuilder) inOrder(gate string, k keyColumn) string {
	key := b.s.sort[0]
	if key.kind != sortParam {
		return b.resourceOrder(gate, k)
	}
	x, v, m := b.alias("x"), b.alias("v"), b.alias("m")
	column := x + "." + key.column()
	at := place{rid: x + ".rid", typ: v + ".type"}
	one := "SELECT " + v + ".type, " + x + ".rid, " + column + " AS k1 FROM " + table(key.paramType()) + " " + x + " WHERE " + b.scope(x) + " AND " +
		x + ".param = " + v + ".param" + key.rows(x) + gate + k.beyond(b.compiler, column, x+".rid", b.after) + key.first(b.compiler, x) + b.others(-1)(at) +
		" ORDER BY " + column + k.direction() + ", " + x + ".rid" + k.direction() + " LIMIT " + b.limit
	valued := b.alias("valued")
	b.cte(valued, "SELECT "+m+".type, "+m+".rid, "+m+".k1 FROM "+key.alternatives(b.compiler, v)+" CROSS JOIN LATERAL ("+one+") "+m+
		" ORDER BY "+m+".k1"+k.direction()+", "+m+".rid"+k.direction()+" LIMIT "+b.limit)
	return "SELECT type, rid, k1 FROM " + valued + " UNION ALL " + b.valueless(gate, valued, k)
}

// valueless reads the resources that have no value for the sort key.
func (b *pageBuilder) valueless(gate, valued string, k keyColumn) string {
	r, v, m := b.alias("r"), b.alias("v"), b.alias("m")
	at := place{rid: r + ".rid", typ: r + ".type", row: r}
	op := " > "
	if k.desc {
		op = " < "
	}
	behind := ""
	if b.after != nil && b.after.keys[0] == nil {
		behind = " AND " + r + ".rid" + op + b.arg(b.after.rid, "bigint")
	}
	return "SELECT " + m + ".type, " + m + ".rid, NULL::" + k.cast + " FROM unnest(" + b.arg(b.s.typeIDs(), "smallint[]") + ") " + v + "(type) CROSS JOIN LATERAL (SELECT " +
		r + ".type, " + r + ".rid FROM resource " + r + " WHERE " + b.scope(r) + " AND " + r + ".type = " + v + ".type AND NOT " + r + ".deleted" + gate +
		" AND (SELECT count(*) FROM " + valued + ") < " + b.limit + behind + " AND " + missing{fields: b.s.sort[0].fields, want: true}.test(b.compiler, at) +
		b.others(-1)(at) + " ORDER BY " + r + ".rid" + k.direction() + " LIMIT " + b.limit + ") " + m
}

// resourceOrder reads table resource in the order of id or last_updated.
func (b *pageBuilder) resourceOrder(gate string, k keyColumn) string {
	r, v, m := b.alias("r"), b.alias("v"), b.alias("m")
	at := place{rid: r + ".rid", typ: r + ".type", row: r}
	column := r + "." + b.s.sort[0].column()
	return "SELECT " + m + ".type, " + m + ".rid, " + m + ".k1 FROM unnest(" + b.arg(b.s.typeIDs(), "smallint[]") + ") " + v + "(type) CROSS JOIN LATERAL (SELECT " +
		r + ".type, " + r + ".rid, " + column + " AS k1 FROM resource " + r + " WHERE " + b.scope(r) + " AND " + r + ".type = " + v + ".type AND NOT " + r + ".deleted" +
		gate + k.beyond(b.compiler, column, r+".rid", b.after) + b.others(-1)(at) +
		" ORDER BY " + column + k.direction() + ", " + r + ".rid" + k.direction() + " LIMIT " + b.limit + ") " + m
}

// sortKey is a key of _sort.
type sortKey struct {
	kind   sortKind
	desc   bool
	fields []field
}

type sortKind uint8

const (
	sortParam sortKind = iota
	sortID
	sortUpdated
)

func (k sortKey) paramType() definition.ParamType { return k.fields[0].x.param.Type }

// column is the column that holds the key's values.
func (k sortKey) column() string {
	switch k.kind {
	case sortID:
		return "id"
	case sortUpdated:
		return "last_updated"
	}
	switch k.paramType() {
	case definition.TokenParam:
		return "code"
	case definition.ReferenceParam:
		return "target_id"
	case definition.StringParam, definition.URIParam:
		return "value"
	default:
		return "lo"
	}
}

func (k sortKey) cast() string {
	switch k.column() {
	case "last_updated":
		return "timestamptz"
	case "lo":
		if k.paramType() == definition.DateParam {
			return "timestamptz"
		}
		return "float8"
	default:
		return "text"
	}
}

// rows restricts a key's table to the rows that count: of a quantity the bare value.
func (k sortKey) rows(x string) string {
	if t := k.paramType(); t == definition.NumberParam || t == definition.QuantityParam {
		return " AND " + x + ".unit = ''"
	}
	return ""
}

// value is the key of the resource at a place: its least value, or its greatest if the order falls.
func (k sortKey) value(c *compiler, at place) string {
	x := c.alias("x")
	if k.kind != sortParam {
		return "(SELECT " + x + "." + k.column() + " FROM resource " + x + " WHERE " + c.scope(x) + " AND " + x + ".type = " + at.typ + " AND " + x + ".rid = " + at.rid + ")"
	}
	f := "min"
	if k.desc {
		f = "max"
	}
	return "(SELECT " + f + "(" + x + "." + k.column() + ") FROM " + table(k.paramType()) + " " + x + " WHERE " + c.scope(x) + " AND " + x + ".rid = " + at.rid +
		" AND " + c.oneOf(x+".param", params(k.fields)) + k.rows(x) + ")"
}

// first keeps of the rows x of a resource only the one that is its key.
func (k sortKey) first(c *compiler, x string) string {
	if t := k.paramType(); (t == definition.DateParam || t == definition.NumberParam || t == definition.QuantityParam) && allSingle(k.fields) {
		return ""
	}
	y := c.alias("y")
	op := " < "
	if k.desc {
		op = " > "
	}
	column := k.column()
	return " AND NOT EXISTS (SELECT 1 FROM " + table(k.paramType()) + " " + y + " WHERE " + c.scope(y) + " AND " + y + ".rid = " + x + ".rid AND " +
		c.oneOf(y+".param", params(k.fields)) + k.rows(y) + " AND " + y + "." + column + op + x + "." + column + " OFFSET 0)"
}

func (k sortKey) alternatives(c *compiler, v string) string {
	var types []int16
	var list []int32
	for _, e := range entries(k.fields) {
		types, list = append(types, e.typ), append(list, e.param)
	}
	return "unnest(" + c.arg(types, "smallint[]") + ", " + c.arg(list, "int[]") + ") " + v + "(type, param)"
}
