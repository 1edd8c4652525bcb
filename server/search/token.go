package search

import (
	"slices"
	"strings"

	"bulkhead/server/definition"
)

// tokenValue is code, system|code, |code or system|.
type tokenValue struct {
	system    string
	code      string
	anySystem bool
	anyCode   bool
}

// tokens is a criterion on a token parameter.
type tokens struct {
	fields []field
	values []tokenValue
	param  func(entry) int32 // the rows' parameter, if it is not the field's own (:of-type)
}

// tokenRow is what one value asks of one source: a code in a range of systems.
type tokenRow struct {
	typ      int16
	param    int32
	code     string
	from, to string // of the system, both included
}

func (t *tokens) rank() int {
	for _, v := range t.values {
		if v.anyCode {
			return rankTest
		}
	}
	for _, f := range t.fields {
		if f.x.param.Code == "identifier" || t.param != nil {
			return rankIdentifier
		}
		for _, kind := range f.x.types {
			if kind.Type.Name == "Identifier" {
				return rankIdentifier
			}
			if kind.Type.Kind == definition.Primitive {
				return rankCode
			}
		}
	}
	return rankConcept
}

func (t *tokens) source(e entry) int32 {
	if t.param != nil {
		return t.param(e)
	}
	return e.param
}

// rows lists what the values with a code look for.
func (t *tokens) rows() []tokenRow {
	var out []tokenRow
	seen := map[tokenRow]bool{}
	for _, e := range entries(t.fields) {
		row := tokenRow{typ: e.typ, param: t.source(e)}
		for _, v := range t.values {
			if v.anyCode {
				continue
			}
			for _, form := range codeForms(e.field, v) {
				row.code, row.from, row.to = form.code, form.system, form.system
				if form.anySystem {
					row.from, row.to = "", lastText
				}
				if !seen[row] {
					seen[row] = true
					out = append(out, row)
				}
			}
		}
	}
	return out
}

// codeForms lists the (system, code) pairs in the index that a value means.
func codeForms(f field, v tokenValue) []tokenValue {
	lower := key(strings.ToLower(v.code))
	if v.anySystem {
		out := []tokenValue{{code: lower, anySystem: true}}
		if exact := key(v.code); exact != lower {
			out = append(out, tokenValue{code: exact, anySystem: true})
		}
		return out
	}
	out := []tokenValue{{system: key(v.system), code: key(foldCode(v.system, v.code))}}
	if v.system != "" && impliedSystem(f, v.system, v.code) {
		out = append(out, tokenValue{code: lower})
	}
	return out
}

// impliedSystem tells whether an element of type code (or boolean) without a system means this
// one: the system of its binding.
func impliedSystem(f field, system, code string) bool {
	for _, kind := range f.x.types {
		if kind.Type.Name == "boolean" && system == "http://terminology.hl7.org/CodeSystem/special-values" {
			return true
		}
		binding := kind.Element.Binding
		if kind.Type.Name != "code" || binding == nil {
			continue
		}
		url, _, _ := strings.Cut(binding.ValueSet, "|")
		if set := f.plan.set.ValueSet(url); set != nil && set.Has(system, code) != definition.NotMember {
			return true
		}
	}
	return false
}

// hashes lists the elements of resource.tokens, any of which means a match.
func (t *tokens) hashes() []int64 {
	var out []int64
	for _, r := range t.rows() {
		if r.from == r.to {
			out = append(out, SystemTokenHash(r.param, r.from, r.code))
		} else {
			out = append(out, TokenHash(r.param, r.code))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (t *tokens) test(c *compiler, at place) string {
	var parts []string
	if hashes := t.hashes(); len(hashes) > 0 {
		parts = append(parts, c.row(at, func(row string) string {
			return row + ".tokens && " + c.arg(hashes, "bigint[]")
		}))
	}
	for _, v := range t.values {
		if v.anyCode {
			parts = append(parts, t.inSystem(c, at, v.system))
		}
	}
	return joined(parts, " OR ", func(s string) string { return s })
}

// inSystem tests for any code of a system.
func (t *tokens) inSystem(c *compiler, at place, system string) string {
	var own []int32
	var implied []string
	for _, e := range entries(t.fields) {
		own = append(own, t.source(e))
		for _, kind := range e.field.x.types {
			if kind.Type.Name != "code" || kind.Element.Binding == nil {
				continue
			}
			url, _, _ := strings.Cut(kind.Element.Binding.ValueSet, "|")
			if set := e.field.plan.set.ValueSet(url); set != nil && set.HasSystem(system) {
				implied = append(implied, "")
			}
		}
	}
	i := c.alias("i")
	systems := append([]string{key(system)}, implied...)
	return "EXISTS (SELECT 1 FROM index_token " + i + " WHERE " + c.scope(i) + " AND " + i + ".rid = " + at.rid +
		" AND " + c.oneOf(i+".param", own) + " AND " + i + ".system = ANY(" + c.arg(systems, "text[]") + ") OFFSET 0)"
}

// alternatives adds the values as arrays and returns them as a FROM item v.
func (t *tokens) alternatives(c *compiler, v string) string {
	var types []int16
	var params []int32
	var codes, from, to []string
	for _, r := range t.rows() {
		types, params, codes = append(types, r.typ), append(params, r.param), append(codes, r.code)
		from, to = append(from, r.from), append(to, r.to)
	}
	return "unnest(" + c.arg(types, "smallint[]") + ", " + c.arg(params, "int[]") + ", " + c.arg(codes, "text[]") + ", " +
		c.arg(from, "text[]") + ", " + c.arg(to, "text[]") + ") " + v + "(type, param, code, from_system, to_system)"
}

func tokenMatch(x, v string) string {
	return x + ".param = " + v + ".param AND " + x + ".code = " + v + ".code AND " +
		x + ".system >= " + v + ".from_system AND " + x + ".system <= " + v + ".to_system"
}

func (t *tokens) drive(c *compiler, more func(place) string, limit string) string {
	x, v := c.alias("x"), c.alias("v")
	from := t.alternatives(c, v)
	one := "SELECT DISTINCT " + v + ".type, " + x + ".rid FROM index_token " + x + " WHERE " + c.scope(x) + " AND " + tokenMatch(x, v) +
		more(place{rid: x + ".rid", typ: v + ".type"}) + " ORDER BY " + x + ".rid DESC"
	return c.lateral(from, one, limit)
}

func (t *tokens) gather(c *compiler) string {
	x, v := c.alias("x"), c.alias("v")
	return "SELECT " + v + ".type, " + x + ".rid FROM " + t.alternatives(c, v) + c.lookup("index_token", x, x+".rid", tokenMatch(x, v))
}
