package server

import (
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"bulkhead/db/dbsqlc"
	"bulkhead/server/definition"
	"bulkhead/server/search"
)

// columns are the arrays of WriteResources: one element a row, one array a column.
type columns struct{ dbsqlc.WriteResourcesParams }

// params turns changes of the plan into columns, with all of its checks if checked is set.
func (p *plan) params(changes []*change, checked bool) *columns {
	w := &columns{dbsqlc.WriteResourcesParams{TenantID: p.r.caller.Tenant, ProjectID: p.r.caller.Project, LastUpdated: p.at}}
	for _, ch := range changes {
		if ch.held == nil {
			w.insert(ch, p.r.server.rids.next())
		} else {
			w.update(ch, p.r.indexed(ch.held))
		}
	}
	if !checked {
		return w
	}
	for n, c := range p.checks {
		id, _ := definition.TypeID(c.target.Type)
		w.CheckType = append(w.CheckType, id)
		w.CheckID = append(w.CheckID, c.target.ID)
		// The number and not the text: it would stand in Postgres's log.
		w.CheckReference = append(w.CheckReference, strconv.Itoa(n))
	}
	return w
}

func (w *columns) insert(ch *change, rid int64) {
	w.Types = append(w.Types, ch.typeID)
	w.Ids = append(w.Ids, ch.id)
	w.Rids = append(w.Rids, rid)
	w.Methods = append(w.Methods, ch.method)
	w.Tokens = append(w.Tokens, bigints(ch.rows.Hashes))
	w.Bodies = append(w.Bodies, ch.body)
	w.add(ch.rows, rid)
}

// update writes the new version of a resource whose version so far has the index rows old.
func (w *columns) update(ch *change, old *search.Rows) {
	rid := ch.held.rid
	w.UpdateTypes = append(w.UpdateTypes, ch.typeID)
	w.UpdateRids = append(w.UpdateRids, rid)
	w.UpdateVersions = append(w.UpdateVersions, ch.version)
	w.UpdateMethods = append(w.UpdateMethods, ch.method)
	w.UpdateDeleted = append(w.UpdateDeleted, ch.method == http.MethodDelete)
	w.UpdateTokens = append(w.UpdateTokens, bigints(ch.rows.Hashes))
	w.UpdateBodies = append(w.UpdateBodies, ch.body)
	w.remove(without(old, ch.rows), rid)
	w.add(without(ch.rows, old), rid)
}

// without is the rows of a that b has not.
func without(a, b *search.Rows) *search.Rows {
	return &search.Rows{
		Tokens:     minus(a.Tokens, b.Tokens),
		Strings:    minus(a.Strings, b.Strings),
		Dates:      minus(a.Dates, b.Dates),
		Numbers:    minus(a.Numbers, b.Numbers),
		References: minus(a.References, b.References),
		URIs:       minus(a.URIs, b.URIs),
		Composites: minus(a.Composites, b.Composites),
	}
}

func minus[T comparable](a, b []T) []T {
	if len(b) == 0 {
		return a
	}
	if slices.Equal(a, b) {
		return nil
	}
	known := make(map[T]struct{}, len(b))
	for _, row := range b {
		known[row] = struct{}{}
	}
	var rest []T
	for _, row := range a {
		if _, ok := known[row]; !ok {
			rest = append(rest, row)
		}
	}
	return rest
}

// add appends the index rows of a resource.
func (w *columns) add(rows *search.Rows, rid int64) {
	for i := range rows.Tokens {
		t := &rows.Tokens[i]
		w.TokenParam, w.TokenCode, w.TokenSystem = append(w.TokenParam, t.Param), append(w.TokenCode, t.Code), append(w.TokenSystem, t.System)
	}
	w.TokenRid = repeat(w.TokenRid, rid, len(rows.Tokens))
	for i := range rows.Strings {
		s := &rows.Strings[i]
		w.StringParam, w.StringValue, w.StringHash = append(w.StringParam, s.Param), append(w.StringValue, s.Value), append(w.StringHash, s.Hash)
	}
	w.StringRid = repeat(w.StringRid, rid, len(rows.Strings))
	for i := range rows.Dates {
		d := &rows.Dates[i]
		w.DateParam, w.DateWide = append(w.DateParam, d.Param), append(w.DateWide, d.Wide)
		w.DateLo, w.DateHi = append(w.DateLo, instant(d.Lo)), append(w.DateHi, instant(d.Hi))
	}
	w.DateRid = repeat(w.DateRid, rid, len(rows.Dates))
	for i := range rows.Numbers {
		n := &rows.Numbers[i]
		w.NumberParam, w.NumberUnit = append(w.NumberParam, n.Param), append(w.NumberUnit, n.Unit)
		w.NumberLo, w.NumberHi = append(w.NumberLo, n.Lo), append(w.NumberHi, n.Hi)
	}
	w.NumberRid = repeat(w.NumberRid, rid, len(rows.Numbers))
	for i := range rows.References {
		r := &rows.References[i]
		w.ReferenceParam = append(w.ReferenceParam, r.Param)
		w.ReferenceTargetType, w.ReferenceTargetID = append(w.ReferenceTargetType, r.TargetType), append(w.ReferenceTargetID, r.TargetID)
	}
	w.ReferenceRid = repeat(w.ReferenceRid, rid, len(rows.References))
	for i := range rows.URIs {
		u := &rows.URIs[i]
		w.UriParam, w.UriValue = append(w.UriParam, u.Param), append(w.UriValue, u.Value)
	}
	w.UriRid = repeat(w.UriRid, rid, len(rows.URIs))
	for i := range rows.Composites {
		w.addComposite(&rows.Composites[i])
	}
	w.CompositeRid = repeat(w.CompositeRid, rid, len(rows.Composites))
}

func (w *columns) addComposite(c *search.Composite) {
	w.CompositeParam, w.CompositeN = append(w.CompositeParam, c.Param), append(w.CompositeN, c.N)
	w.CompositeCode, w.CompositeSystem = append(w.CompositeCode, c.Code), append(w.CompositeSystem, c.System)
	w.CompositeCode2, w.CompositeSystem2 = append(w.CompositeCode2, c.Code2), append(w.CompositeSystem2, c.System2)
	w.CompositeLo, w.CompositeHi, w.CompositeUnit = append(w.CompositeLo, c.Lo), append(w.CompositeHi, c.Hi), append(w.CompositeUnit, c.Unit)
	w.CompositeLo2, w.CompositeHi2, w.CompositeValue = append(w.CompositeLo2, c.Lo2), append(w.CompositeHi2, c.Hi2), append(w.CompositeValue, c.Value)
}

// remove appends the keys of index rows that a resource has no more.
func (w *columns) remove(rows *search.Rows, rid int64) {
	for i := range rows.Tokens {
		t := &rows.Tokens[i]
		w.GoneTokenParam, w.GoneTokenCode, w.GoneTokenSystem = append(w.GoneTokenParam, t.Param), append(w.GoneTokenCode, t.Code), append(w.GoneTokenSystem, t.System)
	}
	w.GoneTokenRid = repeat(w.GoneTokenRid, rid, len(rows.Tokens))
	for i := range rows.Strings {
		s := &rows.Strings[i]
		w.GoneStringParam, w.GoneStringValue, w.GoneStringHash = append(w.GoneStringParam, s.Param), append(w.GoneStringValue, s.Value), append(w.GoneStringHash, s.Hash)
	}
	w.GoneStringRid = repeat(w.GoneStringRid, rid, len(rows.Strings))
	for i := range rows.Dates {
		d := &rows.Dates[i]
		w.GoneDateParam, w.GoneDateLo, w.GoneDateHi = append(w.GoneDateParam, d.Param), append(w.GoneDateLo, instant(d.Lo)), append(w.GoneDateHi, instant(d.Hi))
	}
	w.GoneDateRid = repeat(w.GoneDateRid, rid, len(rows.Dates))
	for i := range rows.Numbers {
		n := &rows.Numbers[i]
		w.GoneNumberParam, w.GoneNumberUnit = append(w.GoneNumberParam, n.Param), append(w.GoneNumberUnit, n.Unit)
		w.GoneNumberLo, w.GoneNumberHi = append(w.GoneNumberLo, n.Lo), append(w.GoneNumberHi, n.Hi)
	}
	w.GoneNumberRid = repeat(w.GoneNumberRid, rid, len(rows.Numbers))
	for i := range rows.References {
		r := &rows.References[i]
		w.GoneReferenceParam = append(w.GoneReferenceParam, r.Param)
		w.GoneReferenceTargetType, w.GoneReferenceTargetID = append(w.GoneReferenceTargetType, r.TargetType), append(w.GoneReferenceTargetID, r.TargetID)
	}
	w.GoneReferenceRid = repeat(w.GoneReferenceRid, rid, len(rows.References))
	for i := range rows.URIs {
		u := &rows.URIs[i]
		w.GoneUriParam, w.GoneUriValue = append(w.GoneUriParam, u.Param), append(w.GoneUriValue, u.Value)
	}
	w.GoneUriRid = repeat(w.GoneUriRid, rid, len(rows.URIs))
	for i := range rows.Composites {
		c := &rows.Composites[i]
		w.GoneCompositeParam, w.GoneCompositeCode, w.GoneCompositeN = append(w.GoneCompositeParam, c.Param), append(w.GoneCompositeCode, c.Code), append(w.GoneCompositeN, c.N)
	}
	w.GoneCompositeRid = repeat(w.GoneCompositeRid, rid, len(rows.Composites))
}

func repeat(column []int64, rid int64, n int) []int64 {
	for range n {
		column = append(column, rid)
	}
	return column
}

// Open ends of periods as instants that Postgres holds and pgx can write; every date of FHIR lies
// between them.
var (
	longAgo = time.Date(-4000, 1, 1, 0, 0, 0, 0, time.UTC)
	farOff  = time.Date(200000, 1, 1, 0, 0, 0, 0, time.UTC)
)

func instant(microseconds int64) time.Time {
	switch microseconds {
	case math.MinInt64:
		return longAgo
	case math.MaxInt64:
		return farOff
	default:
		return time.UnixMicro(microseconds)
	}
}

// bigints writes a bigint[] as text.
func bigints(list []int64) string {
	b := make([]byte, 0, 2+20*len(list))
	b = append(b, '{')
	for i, n := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, n, 10)
	}
	return string(append(b, '}'))
}

// insertOnly is the part of w that a statement without updates takes.
func (w *columns) insertOnly() dbsqlc.InsertResourcesParams {
	return dbsqlc.InsertResourcesParams{
		CheckType: w.CheckType, CheckID: w.CheckID, CheckReference: w.CheckReference,
		TenantID: w.TenantID, ProjectID: w.ProjectID, Types: w.Types, Ids: w.Ids, Rids: w.Rids, LastUpdated: w.LastUpdated,
		Methods: w.Methods, Tokens: w.Tokens, Bodies: w.Bodies,
		ReferenceParam: w.ReferenceParam, ReferenceTargetType: w.ReferenceTargetType, ReferenceTargetID: w.ReferenceTargetID, ReferenceRid: w.ReferenceRid,
		TokenParam: w.TokenParam, TokenCode: w.TokenCode, TokenSystem: w.TokenSystem, TokenRid: w.TokenRid,
		StringParam: w.StringParam, StringValue: w.StringValue, StringRid: w.StringRid, StringHash: w.StringHash,
		DateParam: w.DateParam, DateLo: w.DateLo, DateHi: w.DateHi, DateRid: w.DateRid, DateWide: w.DateWide,
		NumberParam: w.NumberParam, NumberUnit: w.NumberUnit, NumberLo: w.NumberLo, NumberHi: w.NumberHi, NumberRid: w.NumberRid,
		UriParam: w.UriParam, UriValue: w.UriValue, UriRid: w.UriRid,
		CompositeParam: w.CompositeParam, CompositeCode: w.CompositeCode, CompositeSystem: w.CompositeSystem, CompositeCode2: w.CompositeCode2, CompositeSystem2: w.CompositeSystem2, CompositeLo: w.CompositeLo,
		CompositeHi: w.CompositeHi, CompositeUnit: w.CompositeUnit, CompositeValue: w.CompositeValue, CompositeLo2: w.CompositeLo2, CompositeHi2: w.CompositeHi2, CompositeRid: w.CompositeRid,
		CompositeN: w.CompositeN,
	}
}
