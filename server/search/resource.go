package search

// ids is a criterion on _id.
type ids struct {
	types []int16
	ids   []string
}

func (*ids) rank() int { return rankID }

func (i *ids) bound() int { return len(i.types) * len(i.ids) }

func (i *ids) test(c *compiler, at place) string {
	return c.row(at, func(row string) string { return row + ".id = ANY(" + c.arg(i.ids, "text[]") + ")" })
}

func (i *ids) gather(c *compiler) string {
	x, t, v := c.alias("x"), c.alias("t"), c.alias("v")
	return "SELECT " + x + ".type, " + x + ".rid FROM unnest(" + c.arg(i.types, "smallint[]") + ") " + t + "(type) CROSS JOIN unnest(" +
		c.arg(i.ids, "text[]") + ") " + v + "(id)" + c.lookup("resource", x, x+".type, "+x+".rid", x+".type = "+t+".type AND "+x+".id = "+v+".id AND NOT "+x+".deleted")
}

// updated is a criterion on _lastUpdated. A moment is an interval of one microsecond.
type updated struct {
	types []int16
	any   []interval
}

func (*updated) rank() int { return rankUpdated }

// conditions turns an interval into bounds on one moment t, which covers [t, t+1).
func (i interval) moment() (from, to int64) {
	from, to = i.loMin, i.loMax
	if i.hiMin != pastForever {
		from = max(from, i.hiMin)
	}
	if i.hiMax != futureForever {
		to = min(to, i.hiMax)
	}
	return from, to
}

func (u *updated) condition(c *compiler, row string) string {
	return joined(u.any, " OR ", func(i interval) string {
		from, to := i.moment()
		return row + ".last_updated >= " + c.moment(from) + " AND " + row + ".last_updated < " + c.moment(to)
	})
}

func (u *updated) test(c *compiler, at place) string {
	return c.row(at, func(row string) string { return u.condition(c, row) })
}

func (u *updated) gather(c *compiler) string {
	x, t, v := c.alias("x"), c.alias("t"), c.alias("v")
	var from, to []int64
	for _, i := range u.any {
		a, b := i.moment()
		from, to = append(from, a), append(to, b)
	}
	return "SELECT " + x + ".type, " + x + ".rid FROM unnest(" + c.arg(u.types, "smallint[]") + ") " + t + "(type) CROSS JOIN unnest(" +
		c.moments(from) + ", " + c.moments(to) + ") " + v + "(from_time, to_time)" + c.lookup("resource", x, x+".type, "+x+".rid", x+".type = "+t+".type AND "+
		x+".last_updated >= "+v+".from_time AND "+x+".last_updated < "+v+".to_time")
}

// alive tests what gather leaves out: the index on last_updated holds deleted resources too, and
// does not say which.
func (*updated) alive(c *compiler, at place) string {
	return c.row(at, func(row string) string { return "NOT " + row + ".deleted" })
}
