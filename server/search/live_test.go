package search_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"bulkhead/db"
	"bulkhead/db/dbsqlc"
	"bulkhead/db/dbtest"
	"bulkhead/server/definition"
	"bulkhead/server/fhir"
	"bulkhead/server/search"
)

// world is a project with resources, searched as the runtime role.
type world struct {
	t       testing.TB
	d       *dbtest.Database
	caller  db.Caller
	catalog *search.Catalog
	rid     int64
}

const base = "https://example.com"

func newWorld(t testing.TB, own ...*definition.SearchParam) *world {
	t.Helper()
	d := dbtest.Open(t)
	return &world{
		t: t, d: d, caller: d.NewTenant(t).Caller,
		catalog: search.NewCatalog(definition.For(fhir.R4), own), rid: 1000,
	}
}

// store writes resources, in the order given from old to new, and returns their rids.
func (w *world) store(resources ...string) {
	w.t.Helper()
	ctx := context.Background()
	p := dbsqlc.InsertResourcesParams{TenantID: w.caller.Tenant, ProjectID: w.caller.Project, LastUpdated: time.Now()}
	for _, text := range resources {
		v, err := fhir.Parse(text)
		if err != nil {
			w.t.Fatal(err)
		}
		rows, ok := w.catalog.Extract(&v, base)
		if !ok {
			w.t.Fatalf("unknown type: %s", text)
		}
		w.rid++
		typ, _ := definition.TypeID(v.Get("resourceType").Text())
		p.Types, p.Ids, p.Rids = append(p.Types, typ), append(p.Ids, v.Get("id").Text()), append(p.Rids, w.rid)
		p.Methods, p.Bodies, p.Tokens = append(p.Methods, "POST"), append(p.Bodies, text), append(p.Tokens, array(rows.Hashes))
		addRows(&p, rows, w.rid)
	}
	if err := w.d.Update(ctx, db.Clinical, w.caller, func(tx *db.Tx) error { return tx.Last().InsertResources(ctx, p) }); err != nil {
		w.t.Fatal(err)
	}
}

func array(hashes []int64) string {
	parts := make([]string, len(hashes))
	for i, h := range hashes {
		parts[i] = strconv.FormatInt(h, 10)
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func addRows(p *dbsqlc.InsertResourcesParams, rows *search.Rows, rid int64) {
	for _, r := range rows.Tokens {
		p.TokenParam, p.TokenCode, p.TokenSystem, p.TokenRid = append(p.TokenParam, r.Param), append(p.TokenCode, r.Code), append(p.TokenSystem, r.System), append(p.TokenRid, rid)
	}
	for _, r := range rows.Strings {
		p.StringParam, p.StringValue, p.StringHash, p.StringRid = append(p.StringParam, r.Param), append(p.StringValue, r.Value), append(p.StringHash, r.Hash), append(p.StringRid, rid)
	}
	for _, r := range rows.Dates {
		p.DateParam, p.DateRid, p.DateWide = append(p.DateParam, r.Param), append(p.DateRid, rid), append(p.DateWide, r.Wide)
		p.DateLo, p.DateHi = append(p.DateLo, moment(r.Lo)), append(p.DateHi, moment(r.Hi))
	}
	for _, r := range rows.Numbers {
		p.NumberParam, p.NumberUnit, p.NumberRid = append(p.NumberParam, r.Param), append(p.NumberUnit, r.Unit), append(p.NumberRid, rid)
		p.NumberLo, p.NumberHi = append(p.NumberLo, r.Lo), append(p.NumberHi, r.Hi)
	}
	for _, r := range rows.References {
		p.ReferenceParam, p.ReferenceTargetType = append(p.ReferenceParam, r.Param), append(p.ReferenceTargetType, r.TargetType)
		p.ReferenceTargetID, p.ReferenceRid = append(p.ReferenceTargetID, r.TargetID), append(p.ReferenceRid, rid)
	}
	for _, r := range rows.URIs {
		p.UriParam, p.UriValue, p.UriRid = append(p.UriParam, r.Param), append(p.UriValue, r.Value), append(p.UriRid, rid)
	}
	for _, r := range rows.Composites {
		p.CompositeParam, p.CompositeRid, p.CompositeN = append(p.CompositeParam, r.Param), append(p.CompositeRid, rid), append(p.CompositeN, r.N)
		p.CompositeCode, p.CompositeSystem = append(p.CompositeCode, r.Code), append(p.CompositeSystem, r.System)
		p.CompositeCode2, p.CompositeSystem2 = append(p.CompositeCode2, r.Code2), append(p.CompositeSystem2, r.System2)
		p.CompositeLo, p.CompositeHi, p.CompositeUnit = append(p.CompositeLo, r.Lo), append(p.CompositeHi, r.Hi), append(p.CompositeUnit, r.Unit)
		p.CompositeValue, p.CompositeLo2, p.CompositeHi2 = append(p.CompositeValue, r.Value), append(p.CompositeLo2, r.Lo2), append(p.CompositeHi2, r.Hi2)
	}
}

// moment is how the server writes a moment: infinities as times before and after all others.
func moment(micros int64) time.Time {
	switch micros {
	case math.MinInt64:
		return time.Date(-4000, 1, 1, 0, 0, 0, 0, time.UTC)
	case math.MaxInt64:
		return time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
	}
	return time.UnixMicro(micros)
}

func (w *world) parse(typ, query string) (*search.Search, error) {
	pairs, err := search.Pairs(query)
	if err != nil {
		return nil, err
	}
	return w.catalog.Parse(search.Request{Type: typ, Pairs: pairs, Base: base, Now: now()})
}

type hit struct {
	typ, id, mode, key string
	rid                int64
}

// now is the moment that the prefix ap measures from.
func now() time.Time { return time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC) }

// page runs one page and returns its matches and what came along.
func (w *world) page(s *search.Search, after *search.Position) []hit {
	w.t.Helper()
	var out []hit
	statement := s.Page(search.Scope{Tenant: w.caller.Tenant, Project: w.caller.Project}, after)
	err := w.d.View(context.Background(), db.Clinical, w.caller, func(v *db.View) error {
		hits, err := v.Search(context.Background(), statement.SQL, statement.Args)
		for _, h := range hits {
			out = append(out, hit{definition.TypeName(h.Type), h.ID, h.Mode, h.Key, h.RID})
		}
		return err
	})
	if err != nil {
		w.t.Fatalf("%v\n%s\n%v", err, statement.SQL, statement.Args)
	}
	return out
}

func (w *world) count(s *search.Search) int64 {
	w.t.Helper()
	var n int64
	statement := s.CountMatches(search.Scope{Tenant: w.caller.Tenant, Project: w.caller.Project})
	err := w.d.View(context.Background(), db.Clinical, w.caller, func(v *db.View) (err error) {
		n, err = v.Count(context.Background(), statement.SQL, statement.Args)
		return err
	})
	if err != nil {
		w.t.Fatalf("%v\n%s\n%v", err, statement.SQL, statement.Args)
	}
	return n
}

// find returns the ids of all matches, page by page, and checks that the total agrees.
func (w *world) find(typ, query string) ([]string, error) {
	w.t.Helper()
	s, err := w.parse(typ, query)
	if err != nil {
		return nil, err
	}
	var found []string
	var after *search.Position
	for {
		hits := w.page(s, after)
		matches := slices.DeleteFunc(hits, func(h hit) bool { return h.mode != "match" })
		for i, h := range matches {
			if i == s.Count {
				break
			}
			found = append(found, h.id)
		}
		if len(matches) <= s.Count {
			break
		}
		last := matches[s.Count-1]
		if after, err = search.ParsePlace(search.Place(last.key, last.rid)); err != nil {
			w.t.Fatal(err)
		}
	}
	if n := w.count(s); n != int64(len(found)) {
		w.t.Errorf("%s?%s: counted %d, found %v", typ, query, n, found)
	}
	return found, nil
}

// ids finds in no order.
func (w *world) ids(typ, query string) string {
	w.t.Helper()
	found, err := w.find(typ, query)
	if err != nil {
		return "error: " + err.Error()
	}
	slices.Sort(found)
	return strings.Join(found, " ")
}

// clinic is a project of 12 patients, p00 to p11, and 24 observations, o00 to o23, from old to new.
func clinic(t testing.TB) *world {
	w := newWorld(t)
	var all []string
	for i := range 12 {
		all = append(all, fmt.Sprintf(`{"resourceType":"Patient","id":"p%02d","active":%v,"gender":%q,"birthDate":"19%02d-05-01",
			"name":[{"family":"Müller%c","given":["Anna","Eva"]}],"identifier":[{"system":"urn:s","value":"v%d"}]}`,
			i, i%2 == 0, []string{"male", "female"}[i%2], 50+i, 'A'+i, i))
	}
	for i := range 24 {
		all = append(all, fmt.Sprintf(`{"resourceType":"Observation","id":"o%02d","status":"final",
			"code":{"coding":[{"system":"http://loinc.org","code":"C%d"}],"text":"Body height"},"subject":{"reference":"Patient/p%02d"},
			"effectiveDateTime":"2020-01-%02dT10:00:00Z","valueQuantity":{"value":%d.0,"unit":"milligram","system":"http://unitsofmeasure.org","code":"mg"}}`,
			i, i%3, i%12, 1+i, i))
	}
	w.store(all...)
	return w
}

func TestSearchFindsInOrder(t *testing.T) {
	t.Parallel()
	w := clinic(t)
	for _, c := range []struct{ typ, query, want string }{
		{"Patient", "_count=5", "p11 p10 p09 p08 p07 p06 p05 p04 p03 p02 p01 p00"},
		{"Patient", "gender=male&_count=4", "p10 p08 p06 p04 p02 p00"},
		{"Patient", "gender=MALE,other", "p10 p08 p06 p04 p02 p00"},
		{"Patient", "gender=http://hl7.org/fhir/administrative-gender|male", "p10 p08 p06 p04 p02 p00"},
		{"Patient", "gender=http://hl7.org/fhir/administrative-gender|&_count=9", "p11 p10 p09 p08 p07 p06 p05 p04 p03 p02 p01 p00"},
		{"Patient", "gender=urn:x|male", ""},
		{"Patient", "gender:not=male&_count=4", "p11 p09 p07 p05 p03 p01"},
		{"Patient", "identifier=urn:s|v3,v4", "p04 p03"},
		{"Patient", "identifier=urn:s|&_count=11", "p11 p10 p09 p08 p07 p06 p05 p04 p03 p02 p01 p00"},
		{"Patient", "identifier=|v3", ""},
		{"Patient", "family=mull&_count=5", "p00 p01 p02 p03 p04 p05 p06 p07 p08 p09 p10 p11"},
		{"Patient", "family=MÜLLERB,mullerd,x", "p01 p03"},
		{"Patient", "family:exact=MüllerB", "p01"},
		{"Patient", "family:exact=müllerb", ""},
		{"Patient", "family:contains=LLERC", "p02"},
		{"Patient", "name=anna,eva&_count=5", "p00 p01 p02 p03 p04 p05 p06 p07 p08 p09 p10 p11"},
		{"Patient", "phonetic=mullera", "p00"},
		{"Patient", "gender=female&family=muller&_count=4", "p01 p03 p05 p07 p09 p11"},
		{"Patient", "given:exact=Anna&_count=5", "p11 p10 p09 p08 p07 p06 p05 p04 p03 p02 p01 p00"},
		{"Patient", "birthdate=ge1952&birthdate=lt1956&_count=3", "p05 p04 p03 p02"},
		{"Patient", "birthdate=ne1955-05-01&birthdate=gt1953&_count=3", "p11 p10 p09 p08 p07 p06 p04"},
		{"Patient", "birthdate=1951,1953-05", "p03 p01"},
		{"Patient", "_id=p01,p02,zz", "p02 p01"},
		{"Patient", "_id:not=p01&_id=p01,p02", "p02"},
		{"Patient", "_lastUpdated=ge2020&_count=7", "p11 p10 p09 p08 p07 p06 p05 p04 p03 p02 p01 p00"},
		{"Patient", "_lastUpdated=lt2020", ""},
		{"Patient", "_sort=birthdate&_count=5", "p00 p01 p02 p03 p04 p05 p06 p07 p08 p09 p10 p11"},
		{"Patient", "_sort=-birthdate,family&_count=5", "p11 p10 p09 p08 p07 p06 p05 p04 p03 p02 p01 p00"},
		{"Patient", "_sort=gender,-family&_count=5", "p11 p09 p07 p05 p03 p01 p10 p08 p06 p04 p02 p00"},
		{"Patient", "gender=male&_sort=-family&_count=4", "p10 p08 p06 p04 p02 p00"},
		{"Patient", "_sort=_id&_count=5", "p00 p01 p02 p03 p04 p05 p06 p07 p08 p09 p10 p11"},
		{"Patient", "_sort=-_lastUpdated&_count=5", "p11 p10 p09 p08 p07 p06 p05 p04 p03 p02 p01 p00"},
		{"Patient", "_sort=death-date&_count=5", "p00 p01 p02 p03 p04 p05 p06 p07 p08 p09 p10 p11"},
		{"Patient", "active:missing=true", ""},
		{"Patient", "death-date:missing=true&gender=male", "p10 p08 p06 p04 p02 p00"},
		{"Patient", "_has:Observation:patient:code=C1&_count=3", "p10 p07 p04 p01"},
		{"Patient", "_has:Observation:patient:value-quantity=gt22", "p11"},
		{"Patient", "_type=Observation", ""},
		{"Observation", "code=c1&_count=3", "o22 o19 o16 o13 o10 o07 o04 o01"},
		{"Observation", "combo-code=http://loinc.org|C1&date=ge2020-01-15", "o22 o19 o16"},
		{"Observation", "combo-code=C1&code=C2", ""},
		{"Observation", "patient=p03", "o15 o03"},
		{"Observation", "patient=Patient/p03&code=C0", "o15 o03"},
		{"Observation", "patient=" + base + "/Patient/p03&code=C1", ""},
		{"Observation", "subject:Patient=p03&date=ge2020-01-05", "o15"},
		{"Observation", "subject:Device=p03", ""},
		{"Observation", "patient.family=mullerd", "o15 o03"},
		{"Observation", "subject.identifier=urn:s|v3", "o15 o03"},
		{"Observation", "patient:Patient.gender=female&code=C1&_count=3", "o19 o13 o07 o01"},
		{"Observation", "patient.gender:not=female&code=C1", "o22 o16 o10 o04"},
		{"Observation", "value-quantity=gt20&_count=2", "o23 o22 o21"},
		{"Observation", "value-quantity=5|http://unitsofmeasure.org|mg", "o05"},
		{"Observation", "value-quantity=0.0050|http://unitsofmeasure.org|g", "o05"},
		{"Observation", "value-quantity=5||milligram", "o05"},
		{"Observation", "value-quantity=le1||mg", "o01 o00"},
		{"Observation", "value-quantity=lt1||mg", "o00"},
		{"Observation", "code-value-quantity=C1$gt10&_count=3", "o22 o19 o16 o13"},
		{"Observation", "combo-code-value-quantity=http://loinc.org|C1$gt10", "o22 o19 o16 o13"},
		{"Observation", "date=2020-01-05,2020-01-06", "o05 o04"},
		{"Observation", "code:text=body&patient=p00", "o12 o00"},
		{"Observation", "date=ge2020-01-01&_sort=date&_count=20&code=C2", "o02 o05 o08 o11 o14 o17 o20 o23"},
		{"", "_type=Patient,Observation&_id=p03,o03", "o03 p03"},
		{"", "_id=p03", "p03"},
	} {
		found, err := w.find(c.typ, c.query)
		if got := strings.Join(found, " "); err != nil || got != c.want {
			t.Errorf("%s?%s: %v, %v; want %v", c.typ, c.query, got, err, c.want)
		}
	}
}

func TestIncludes(t *testing.T) {
	t.Parallel()
	w := clinic(t)
	for _, c := range []struct{ typ, query, want string }{
		{"Observation", "_count=2&_include=Observation:patient", "o23 o22 | p11 p10"},
		{"Observation", "_count=2&_include=Observation:subject:Group", "o23 o22 |"},
		{"Observation", "patient=p03&_include=*", "o15 o03 | p03"},
		{"Observation", "patient=p03&_include=Observation:*", "o15 o03 | p03"},
		{"Patient", "_id=p03&_revinclude=Observation:subject", "p03 | o15 o03"},
		{"Patient", "_id=p03&_revinclude=Observation:patient:Patient", "p03 | o15 o03"},
		{"Patient", "_id=p03&_revinclude=Observation:*", "p03 | o15 o03"},
		{"Observation", "_id=o03&_include=Observation:subject&_revinclude:iterate=Observation:subject", "o03 | o15 p03"},
		{"Observation", "_id=o03&_revinclude:iterate=Observation:subject", "o03 |"},
	} {
		s, err := w.parse(c.typ, c.query)
		if err != nil {
			t.Errorf("%s?%s: %v", c.typ, c.query, err)
			continue
		}
		var matches, along []string
		for i, h := range w.page(s, nil) {
			switch {
			case h.mode == "include":
				along = append(along, h.id)
			case i < s.Count:
				matches = append(matches, h.id)
			}
		}
		if got := strings.TrimSpace(strings.Join(matches, " ") + " | " + strings.Join(along, " ")); got != c.want {
			t.Errorf("%s?%s: %s, want %s", c.typ, c.query, got, c.want)
		}
	}
}

func TestPagesHoldStillWhileRowsAreAdded(t *testing.T) {
	t.Parallel()
	for _, query := range []string{"", "gender=male", "family=muller", "birthdate=ge1900", "_sort=-birthdate", "_sort=death-date", "_sort=_id", "active:missing=false"} {
		t.Run(query, func(t *testing.T) {
			t.Parallel()
			w := clinic(t)
			before, err := w.find("Patient", query)
			if err != nil {
				t.Fatal(err)
			}
			s, _ := w.parse("Patient", query+"&_count=2")
			seen := map[string]int{}
			var after *search.Position
			for i := 0; ; i++ {
				hits := w.page(s, after)
				for n, h := range hits {
					if n < s.Count {
						seen[h.id]++
					}
				}
				if len(hits) <= s.Count || i > 30 {
					break
				}
				last := hits[s.Count-1]
				after, _ = search.ParsePlace(search.Place(last.key, last.rid))
				if i < 10 {
					w.store(fmt.Sprintf(`{"resourceType":"Patient","id":"new%d","active":true,"gender":"male","birthDate":"19%02d-01-01","name":[{"family":"Muller%c"}]}`, i, 45+3*i, 'A'+2*i))
				}
			}
			for _, id := range before {
				if seen[id] != 1 {
					t.Errorf("%s was seen %d times", id, seen[id])
				}
			}
		})
	}
}

func TestDeletedResourcesAreNotFound(t *testing.T) {
	t.Parallel()
	w := clinic(t)
	conn := w.d.Connect(t, "")
	// As package server leaves them: no index rows, no tokens, no body.
	if _, err := conn.Exec(context.Background(), `UPDATE resource SET deleted = true, body = '' WHERE tenant_id = $1 AND project_id = $2 AND id = 'p03'`,
		w.caller.Tenant, w.caller.Project); err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{"", "_id=p03", "_lastUpdated=ge2020", "_sort=_id", "_sort=-_lastUpdated", "gender:not=other", "_id=p03,p04&_sort=birthdate"} {
		s, err := w.parse("Patient", query)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range w.page(s, nil) {
			if h.id == "p03" {
				t.Errorf("%s found a deleted resource", query)
			}
		}
	}
	if got := w.ids("Observation", "patient.birthdate:missing=false&patient=p03"); got != "" {
		t.Errorf("a chain went through a deleted resource: %s", got)
	}
}
