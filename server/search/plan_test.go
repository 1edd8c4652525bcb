package search_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"bulkhead/db/dbtest"
	"bulkhead/server/definition"
	"bulkhead/server/fhir"
	"bulkhead/server/search"
)

// explain returns the generic plan of a statement under the runtime role, with the settings
// that the role has.
func explain(t *testing.T, conn *pgx.Conn, name string, s search.Statement) string {
	t.Helper()
	ctx := context.Background()
	if _, err := conn.Exec(ctx, "PREPARE "+name+" AS "+s.SQL); err != nil {
		t.Fatalf("%v\n%s", err, s.SQL)
	}
	nulls := strings.TrimSuffix(strings.Repeat("NULL, ", len(s.Args)), ", ")
	rows, err := conn.Query(ctx, "EXPLAIN EXECUTE "+name+"("+nulls+")")
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

// indexConditions returns the conditions of each scan of an index.
func indexConditions(plan, index string) []string {
	var out []string
	lines := strings.Split(plan, "\n")
	for i, line := range lines {
		if strings.Contains(line, "using "+index+" ") && i+1 < len(lines) && strings.Contains(lines[i+1], "Index Cond:") {
			out = append(out, strings.TrimSpace(lines[i+1]))
		}
	}
	return out
}

// fill gives a project and another one rows in every table, and the planner statistics of them.
const fill = `
INSERT INTO resource (tenant_id, project_id, type, id, rid, version, last_updated, method, tokens, body)
  SELECT t, 1, 1 + i % 5, i, i, 1, '2020-01-01'::timestamptz + i * interval '1 minute', 'POST', ARRAY[i], repeat('x', 300) FROM generate_series(1, 5000) i, generate_series(1, 2) t;
INSERT INTO index_token SELECT t, 1, i % 10, 'c' || i % 300, 's', i FROM generate_series(1, 8000) i, generate_series(1, 2) t;
INSERT INTO index_string SELECT t, 1, i % 20, md5(i::text), i, i FROM generate_series(1, 6000) i, generate_series(1, 2) t;
INSERT INTO index_date SELECT t, 1, i % 20, l, l + interval '1 s', i, i % 100 = 0 FROM generate_series(1, 6000) i, generate_series(1, 2) t,
  LATERAL (SELECT '2010-01-01'::timestamptz + (hashint4(i) & 268435455) * interval '1 s' AS l) d;
INSERT INTO index_number SELECT t, 1, i % 20, CASE WHEN i % 2 = 0 THEN '' ELSE '|mg' END, i % 300, i % 300 + 0.1, i FROM generate_series(1, 6000) i, generate_series(1, 2) t;
INSERT INTO index_reference SELECT t, 1, i % 20, 1 + i % 3, 'p' || i % 100, i FROM generate_series(1, 6000) i, generate_series(1, 2) t;
INSERT INTO index_uri SELECT t, 1, i % 10, 'http://u/' || i % 500, i FROM generate_series(1, 5000) i, generate_series(1, 2) t;
INSERT INTO index_composite SELECT t, 1, i % 10, 'c' || i % 500, 's', '', '', i, i + 1, '', '', 0, 0, i, 0 FROM generate_series(1, 5000) i, generate_series(1, 2) t;
ANALYZE`

func TestPlansUseIndexConditions(t *testing.T) {
	t.Parallel()
	d := dbtest.Clone(t)
	if _, err := d.Connect(t, "").Exec(context.Background(), fill); err != nil {
		t.Fatal(err)
	}
	conn := d.Connect(t, "bulkhead_app")
	for _, setting := range []string{"plan_cache_mode = force_generic_plan", "max_parallel_workers_per_gather = 0", "jit = off"} {
		if _, err := conn.Exec(context.Background(), "SET "+setting); err != nil {
			t.Fatal(err)
		}
	}
	w := &world{t: t, catalog: search.Standard(definition.For(fhir.R4))}
	for i, c := range []struct {
		typ, query, index string
		columns           []string // that must be in one index condition
	}{
		{"Patient", "", "resource_tenant_id_project_id_type_rid_key", []string{"tenant_id", "project_id", "type"}},
		{"Patient", "_id=a", "resource_pkey", []string{"tenant_id", "project_id", "type", "id ="}},
		{"Patient", "_lastUpdated=ge2020", "resource_last_updated", []string{"type", "last_updated >="}},
		{"Patient", "_sort=-_lastUpdated", "resource_last_updated", []string{"type"}},
		{"Patient", "gender=male", "index_token_pkey", []string{"tenant_id", "project_id", "param", "code =", "system >="}},
		{"Patient", "identifier=urn:s|1", "index_token_pkey", []string{"param", "code =", "system <="}},
		{"Patient", "identifier=urn:s|&name=x", "index_token_rid", []string{"rid", "param"}},
		{"Patient", "family=x", "index_string_pkey", []string{"tenant_id", "project_id", "param", "value >=", "value <"}},
		{"Patient", "family:exact=x", "index_string_pkey", []string{"param", "value =", "hash ="}},
		{"Observation", "code=x&date=ge2020", "index_date_rid", []string{"rid", "param"}},
		{"Observation", "date=ge2020", "index_date_pkey", []string{"tenant_id", "project_id", "param", "lo >=", "lo <", "hi >"}},
		{"Observation", "date=ge2020", "index_date_wide", []string{"param", "lo <", "hi >"}},
		{"Observation", "value-quantity=gt5||mg", "index_number_pkey", []string{"tenant_id", "project_id", "param", "unit =", "lo >=", "hi >="}},
		{"Observation", "patient=p&code=x", "index_reference_pkey", []string{"tenant_id", "project_id", "param", "target_type =", "target_id ="}},
		{"Observation", "patient.family=x", "index_reference_pkey", []string{"param", "target_type =", "target_id ="}},
		{"Patient", "_has:Observation:patient:code=x", "index_reference_rid", []string{"rid", "param"}},
		{"Patient", "_profile=x", "index_uri_pkey", []string{"tenant_id", "project_id", "param", "value ="}},
		{"Observation", "component-code-value-quantity=x$5", "index_composite_pkey", []string{"tenant_id", "project_id", "param", "code ="}},
		{"Observation", "_sort=-date", "index_date_pkey", []string{"param"}},
		{"Observation", "_include=Observation:patient", "index_reference_rid", []string{"rid"}},
		{"Patient", "_revinclude=Observation:patient", "index_reference_pkey", []string{"param", "target_type =", "target_id ="}},
	} {
		s, err := w.parse(c.typ, c.query)
		if err != nil {
			t.Fatal(err)
		}
		for name, after := range map[string]*search.Position{"first": nil, "next": {RID: 7, Keys: keysOf(s)}} {
			plan := explain(t, conn, fmt.Sprintf("guard_%d_%s", i, name), s.Page(search.Scope{}, after))
			found := false
			for _, condition := range indexConditions(plan, c.index) {
				all := true
				for _, column := range c.columns {
					all = all && strings.Contains(condition, column)
				}
				found = found || all
			}
			if !found || strings.Contains(plan, "Seq Scan") {
				t.Errorf("%s?%s, %s page: no condition on %v of %s in\n%s", c.typ, c.query, name, c.columns, c.index, plan)
			}
		}
	}
}

// keysOf returns keys of the right number for a position in a search.
func keysOf(s *search.Search) []*string {
	key := "2020-01-01"
	if strings.Contains(s.Query(), "quantity=gt") {
		key = "1"
	}
	return []*string{&key}
}
