package search

import (
	"bulkhead/server/definition"
)

// criterion is one condition on a resource. Its values are alternatives; the criteria of a search
// must all hold.
type criterion interface {
	// rank says how well the criterion drives a search: lower is better. From rankTest on it
	// can only be tested.
	rank() int
	// test returns an SQL condition on the resource at a place.
	test(c *compiler, at place) string
	// gather returns a SELECT of (type, rid) of the resources that meet the criterion, in no
	// order and perhaps with duplicates. Only criteria below rankTest have one.
	gather(c *compiler) string
}

// driver is a criterion that can be read in the default order, newest resource first.
type driver interface {
	criterion
	// drive returns a SELECT of (type, rid) that reads at most limit resources of each
	// alternative value in falling order of rid. more adds conditions, each led by AND.
	drive(c *compiler, more func(place) string, limit string) string
}

// The ranks: how few resources a criterion of a kind can be expected to leave.
const (
	rankID         = 10
	rankIdentifier = 20
	rankReference  = 30
	rankURI        = 40
	rankExact      = 45
	rankChain      = 50
	rankConcept    = 60 // a coded concept
	rankComposite  = 55
	rankRange      = 70 // strings, dates, numbers
	rankCode       = 80 // a code with few values, such as status or gender
	rankUpdated    = 90
	rankTest       = 100
)

// place is where a test stands: expressions for the resource's rid and type, and the alias of its
// row in table resource if the query has it at hand.
type place struct {
	rid, typ, row string
}

// field is a search parameter of one of the types that are searched.
type field struct {
	plan *plan
	x    *indexed
}

// entry is a field's source of rows.
type entry struct {
	typ    int16
	param  int32
	target int16
	field  field
}

func entries(fields []field) []entry {
	var out []entry
	for _, f := range fields {
		for _, s := range f.x.sources {
			out = append(out, entry{typ: f.plan.typeID, param: s.id, target: s.target, field: f})
		}
	}
	return out
}

// params returns the distinct parameters of fields.
func params(fields []field) []int32 {
	var out []int32
	seen := map[int32]bool{}
	for _, e := range entries(fields) {
		if !seen[e.param] {
			seen[e.param] = true
			out = append(out, e.param)
		}
	}
	return out
}

// table is the index table of a parameter type.
func table(t definition.ParamType) string {
	switch t {
	case definition.TokenParam:
		return "index_token"
	case definition.StringParam:
		return "index_string"
	case definition.DateParam:
		return "index_date"
	case definition.NumberParam, definition.QuantityParam:
		return "index_number"
	case definition.ReferenceParam:
		return "index_reference"
	case definition.URIParam:
		return "index_uri"
	default:
		return "index_composite"
	}
}

// testOnly is embedded by criteria that cannot drive.
type testOnly struct{}

func (testOnly) rank() int               { return rankTest }
func (testOnly) gather(*compiler) string { return "" }

// not is a criterion that must not hold.
type not struct {
	testOnly
	inner criterion
}

func (n not) test(c *compiler, at place) string { return "NOT (" + n.inner.test(c, at) + ")" }

// anyOf holds where one of several criteria does.
type anyOf struct {
	testOnly
	inner []criterion
}

func (a anyOf) test(c *compiler, at place) string {
	return joined(a.inner, " OR ", func(x criterion) string { return x.test(c, at) })
}

// allOf holds where all of several criteria do; the best of them drives.
type allOf struct{ inner []criterion }

func (a allOf) best() int {
	best := 0
	for i, x := range a.inner {
		if x.rank() < a.inner[best].rank() {
			best = i
		}
	}
	return best
}

func (a allOf) rank() int { return a.inner[a.best()].rank() }

func (a allOf) test(c *compiler, at place) string {
	return joined(a.inner, " AND ", func(x criterion) string { return x.test(c, at) })
}

func (a allOf) gather(c *compiler) string {
	best := a.best()
	g := c.alias("g")
	sql := "SELECT " + g + ".type, " + g + ".rid FROM (" + a.inner[best].gather(c) + ") " + g + " WHERE true"
	at := place{rid: g + ".rid", typ: g + ".type"}
	for i, x := range a.inner {
		if u, ok := x.(*updated); ok && i == best {
			sql += " AND " + u.alive(c, at)
		}
		if i != best {
			sql += c.and(at, x)
		}
	}
	return sql
}

// constant holds everywhere or nowhere.
type constant struct {
	testOnly
	holds bool
}

func (k constant) test(*compiler, place) string {
	if k.holds {
		return "true"
	}
	return "false"
}

// missing holds where a parameter has no value, or has one.
type missing struct {
	testOnly
	fields []field
	want   bool // :missing=true
}

func (m missing) test(c *compiler, at place) string {
	t := m.fields[0].x.param.Type
	i := c.alias("i")
	has := "EXISTS (SELECT 1 FROM " + table(t) + " " + i + " WHERE " + c.scope(i) + " AND " + i + ".rid = " + at.rid +
		" AND " + c.oneOf(i+".param", params(m.fields)) + " OFFSET 0)"
	if t == definition.CompositeParam {
		has = compositePresent(c, m.fields, at, has)
	}
	if m.want {
		return "NOT " + has
	}
	return has
}
