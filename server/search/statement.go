package search

import (
	"strconv"
	"strings"
)

// Page returns the statement of one page: Count+1 matches at most, so that the caller sees whether
// there is a next one, and with them the resources of _include and _revinclude. Its columns are
//
//	type smallint, id text, version int, last_updated timestamptz, body text, rid bigint,
//	mode text ('match' or 'include'), key text
//
// in the order of the page, matches first. key with rid is what a cursor keeps. Resources that
// come along belong to the first Count matches; there are at most MaxIncludes+1 of them, and one
// more than MaxIncludes means that the page has too many.
func (s *Search) Page(scope Scope, after *Position) Statement {
	c := newCompiler(scope)
	b := &pageBuilder{compiler: c, s: s, limit: c.arg(s.Count+1, "int")}
	if after != nil {
		b.after = &position{keys: after.Keys, rid: after.RID}
	}
	q := b.build()
	ordered := order(q.keys, "p")
	columns := "p.type, p.rid"
	for i := range q.keys {
		columns += ", p.k" + strconv.Itoa(i+1)
	}
	// The same resource may come from two alternatives with the same keys.
	b.cte("page", "SELECT DISTINCT "+columns+" FROM ("+q.sql+") p ORDER BY "+ordered+" LIMIT "+b.limit)
	b.cte("numbered", "SELECT p.*, row_number() OVER (ORDER BY "+ordered+") AS n FROM page p")
	match := "SELECT " + rowColumns + ", 'match' AS mode, " + keyText(q.keys) + " AS key, p.n FROM numbered p" +
		c.lookup("resource", "r", rowColumns, "r.type = p.type AND r.rid = p.rid AND NOT r.deleted")
	include := s.includes(b)
	sql := match + " ORDER BY n"
	if include != "" {
		sql = "SELECT type, id, version, last_updated, body, rid, mode, key FROM (" + match + " UNION ALL " + include + ") a ORDER BY n"
	} else {
		sql = "SELECT type, id, version, last_updated, body, rid, mode, key FROM (" + sql + ") a"
	}
	with := "WITH "
	if b.recursive {
		with = "WITH RECURSIVE "
	}
	return Statement{SQL: with + strings.Join(b.ctes, ", ") + " " + sql, Args: c.args}
}

const rowColumns = "r.type, r.id, r.version, r.last_updated, r.body, r.rid"

// keyText writes a row's keys as a JSON array of texts.
func keyText(keys []keyColumn) string {
	if len(keys) == 0 {
		return "''"
	}
	parts := make([]string, len(keys))
	for i := range keys {
		parts[i] = "p.k" + strconv.Itoa(i+1) + "::text"
	}
	return "json_build_array(" + strings.Join(parts, ", ") + ")::text"
}

// CountMatches returns the statement that counts all matches: one row with one bigint.
func (s *Search) CountMatches(scope Scope) Statement {
	c := newCompiler(scope)
	b := &pageBuilder{compiler: c, s: s}
	best := s.best()
	if best < 0 {
		r := c.alias("r")
		sql := "SELECT count(*) FROM resource " + r + " WHERE " + c.scope(r) + " AND " + r + ".type = ANY(" + c.arg(s.typeIDs(), "smallint[]") +
			") AND NOT " + r + ".deleted" + b.others(-1)(place{rid: r + ".rid", typ: r + ".type", row: r})
		return Statement{SQL: sql, Args: c.args}
	}
	from := s.criteria[best].gather(c)
	sql := "SELECT count(*) FROM (SELECT DISTINCT type, rid FROM (" + from + ") g) q WHERE true" + b.others(best)(place{rid: "q.rid", typ: "q.type"})
	return Statement{SQL: sql, Args: c.args}
}
