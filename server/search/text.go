package search

// textMode is how a string is compared.
type textMode uint8

const (
	textPrefix   textMode = iota + 1
	textExact             // :exact
	textContains          // :contains
)

// textValue is one alternative of a string criterion.
type textValue struct {
	folded   string
	from, to string // of the folded value, to excluded
	hash     int64  // of the original, for :exact
}

func newTextValue(text string, mode textMode) textValue {
	v := textValue{folded: Fold(text), hash: hash64(text)}
	v.from, v.to = v.folded, prefixEnd(v.folded)
	if mode == textExact {
		v.to = v.folded + "\x01"
	}
	return v
}

// texts is a criterion on a string parameter, or on the texts of a token parameter (:text).
type texts struct {
	fields []field
	mode   textMode
	values []textValue
}

func (t *texts) rank() int {
	switch t.mode {
	case textExact:
		return rankExact
	case textPrefix:
		return rankRange
	default:
		return rankTest
	}
}

// condition compares the row i of index_string.
func (t *texts) condition(c *compiler, i string) string {
	return joined(t.values, " OR ", func(v textValue) string {
		switch t.mode {
		case textExact:
			return i + ".value = " + c.arg(v.folded, "text") + " AND " + i + ".hash = " + c.arg(v.hash, "bigint")
		case textContains:
			return "strpos(" + i + ".value, " + c.arg(v.folded, "text") + ") > 0"
		default:
			return i + ".value >= " + c.arg(v.from, "text") + " AND " + i + ".value < " + c.arg(v.to, "text")
		}
	})
}

func (t *texts) test(c *compiler, at place) string {
	i := c.alias("i")
	return "EXISTS (SELECT 1 FROM index_string " + i + " WHERE " + c.scope(i) + " AND " + i + ".rid = " + at.rid +
		" AND " + c.oneOf(i+".param", params(t.fields)) + " AND (" + t.condition(c, i) + ") OFFSET 0)"
}

const textColumns = "(type, param, from_value, to_value, hash)"

// alternatives lists every value for every source.
func (t *texts) alternatives(c *compiler, v string) string {
	var types []int16
	var params []int32
	var from, to []string
	var hashes []int64
	for _, e := range entries(t.fields) {
		for _, v := range t.values {
			types, params = append(types, e.typ), append(params, e.param)
			from, to, hashes = append(from, v.from), append(to, v.to), append(hashes, v.hash)
		}
	}
	return "unnest(" + c.arg(types, "smallint[]") + ", " + c.arg(params, "int[]") + ", " + c.arg(from, "text[]") + ", " +
		c.arg(to, "text[]") + ", " + c.arg(hashes, "bigint[]") + ") " + v + textColumns
}

func (t *texts) match(x, v string) string {
	if t.mode == textExact {
		return x + ".param = " + v + ".param AND " + x + ".value = " + v + ".from_value AND " + x + ".hash = " + v + ".hash"
	}
	return x + ".param = " + v + ".param AND " + x + ".value >= " + v + ".from_value AND " + x + ".value < " + v + ".to_value"
}

func (t *texts) gather(c *compiler) string {
	x, v := c.alias("x"), c.alias("v")
	return "SELECT " + v + ".type, " + x + ".rid FROM " + t.alternatives(c, v) + c.lookup("index_string", x, x+".rid", t.match(x, v))
}

// drive is for :exact only: prefixes come in the order of their values (range.go).
func (t *texts) drive(c *compiler, more func(place) string, limit string) string {
	x, v := c.alias("x"), c.alias("v")
	from := t.alternatives(c, v)
	one := "SELECT DISTINCT " + v + ".type, " + x + ".rid FROM index_string " + x + " WHERE " + c.scope(x) + " AND " + t.match(x, v) +
		more(place{rid: x + ".rid", typ: v + ".type"}) + " ORDER BY " + x + ".rid DESC"
	return c.lateral(from, one, limit)
}

// ordered reads the matches of prefixes in alphabetical order.
func (t *texts) ordered(c *compiler, more func(place) string, after *position, limit string) (string, keyColumn) {
	column := keyColumn{cast: "text"}
	x, v, y, w, m := c.alias("x"), c.alias("v"), c.alias("y"), c.alias("w"), c.alias("m")
	from := t.alternatives(c, v)
	again := from[:len(from)-len(v+textColumns)] + w + textColumns
	// A resource stands where its first match does.
	return "SELECT DISTINCT " + m + ".type, " + m + ".rid, " + m + ".k FROM " + from + " CROSS JOIN LATERAL (SELECT " + v + ".type, " + x + ".rid, " + x + ".value AS k FROM index_string " + x +
		" WHERE " + c.scope(x) + " AND " + t.match(x, v) + column.beyond(c, x+".value", x+".rid", after) +
		" AND NOT EXISTS (SELECT 1 FROM " + again + " JOIN index_string " + y + " ON " + c.scope(y) + " AND " + t.match(y, w) +
		" WHERE " + y + ".rid = " + x + ".rid AND (" + y + ".value < " + x + ".value OR " + y + ".value = " + x + ".value AND " + y + ".hash < " + x + ".hash) OFFSET 0)" +
		more(place{rid: x + ".rid", typ: v + ".type"}) + " ORDER BY " + x + ".value, " + x + ".rid LIMIT " + limit + ") " + m, column
}
