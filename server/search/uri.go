package search

import "strings"

// uris is a criterion on a uri parameter. :below and :above follow the segments of a path.
type uris struct {
	fields []field
	exact  []string    // equal to one of these
	below  []textValue // or in one of these ranges
}

func (u *uris) rank() int {
	if len(u.below) > 0 {
		return rankTest
	}
	return rankURI
}

// addBelow adds a URL and what is below it.
func (u *uris) addBelow(url string) {
	u.exact = append(u.exact, key(url))
	stem := url + "/"
	u.below = append(u.below, textValue{from: stem, to: prefixEnd(stem)})
}

// addAbove adds a URL and what is above it, down to the authority.
func (u *uris) addAbove(url string) {
	u.exact = append(u.exact, key(url))
	_, rest, found := strings.Cut(url, "://")
	if !found {
		return
	}
	start := len(url) - len(rest)
	for i := len(url) - 1; i > start; i-- {
		if url[i] == '/' {
			u.exact = append(u.exact, key(url[:i]), key(url[:i+1]))
		}
	}
}

func (u *uris) test(c *compiler, at place) string {
	i := c.alias("i")
	conditions := []string{i + ".value = ANY(" + c.arg(u.exact, "text[]") + ")"}
	for _, v := range u.below {
		conditions = append(conditions, i+".value >= "+c.arg(v.from, "text")+" AND "+i+".value < "+c.arg(v.to, "text"))
	}
	return "EXISTS (SELECT 1 FROM index_uri " + i + " WHERE " + c.scope(i) + " AND " + i + ".rid = " + at.rid +
		" AND " + c.oneOf(i+".param", params(u.fields)) +
		" AND (" + joined(conditions, " OR ", func(s string) string { return s }) + ") OFFSET 0)"
}

func (u *uris) alternatives(c *compiler, v string) string {
	var types []int16
	var params []int32
	var values []string
	for _, e := range entries(u.fields) {
		for _, v := range u.exact {
			types, params, values = append(types, e.typ), append(params, e.param), append(values, v)
		}
	}
	return "unnest(" + c.arg(types, "smallint[]") + ", " + c.arg(params, "int[]") + ", " + c.arg(values, "text[]") + ") " + v + "(type, param, value)"
}

func uriMatch(x, v string) string {
	return x + ".param = " + v + ".param" + " AND " +
		x + ".value = " + v + ".value"
}

func (u *uris) gather(c *compiler) string {
	x, v := c.alias("x"), c.alias("v")
	return "SELECT " + v + ".type, " + x + ".rid FROM " + u.alternatives(c, v) + c.lookup("index_uri", x, x+".rid", uriMatch(x, v))
}

func (u *uris) drive(c *compiler, more func(place) string, limit string) string {
	x, v := c.alias("x"), c.alias("v")
	from := u.alternatives(c, v)
	one := "SELECT " + v + ".type, " + x + ".rid FROM index_uri " + x + " WHERE " + c.scope(x) + " AND " + uriMatch(x, v) +
		more(place{rid: x + ".rid", typ: v + ".type"}) + " ORDER BY " + x + ".rid DESC"
	return c.lateral(from, one, limit)
}
