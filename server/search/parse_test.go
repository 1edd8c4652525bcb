package search_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
	"bulkhead/server/search"
)

func parse(t testing.TB, r search.Request, query string) (*search.Search, error) {
	t.Helper()
	pairs, err := search.Pairs(query)
	if err != nil {
		return nil, err
	}
	r.Pairs, r.Base, r.Now = pairs, base, time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	return search.Parse(definition.For(fhir.R4), r)
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a,", 600) + "a"
	for _, c := range []struct {
		query, expression string
		code              fhir.IssueType
	}{
		{"nonsense=1", "nonsense", fhir.NotSupported},
		{"family:near=x", "family:near", fhir.NotSupported},
		{"birthdate:exact=2020", "birthdate:exact", fhir.NotSupported},
		{"birthdate=gefoo", "birthdate", fhir.ValueInvalid},
		{"birthdate=2020-13", "birthdate", fhir.ValueInvalid},
		{"birthdate=xx2020", "birthdate", fhir.ValueInvalid},
		{"birthdate=", "birthdate", fhir.ValueInvalid},
		{"family=a,,b", "family", fhir.ValueInvalid},
		{`family=a\x`, "family", fhir.ValueInvalid},
		{`family=a\`, "family", fhir.ValueInvalid},
		{"family=%20", "family", fhir.ValueInvalid},
		{"family=" + long, "family", fhir.TooCostly},
		{"family=" + strings.Repeat("a", 5000), "family", fhir.TooCostly},
		{"gender=|", "gender", fhir.ValueInvalid},
		{"organization=a/b/c", "organization", fhir.ValueInvalid},
		{"organization:Nothing=1", "organization:Nothing", fhir.NotSupported},
		{"family.name=x", "family.name", fhir.ValueInvalid},
		{"organization.nothing=x", "organization.nothing", fhir.NotSupported},
		{"organization.partof.partof.partof.partof.partof.partof.partof.name=x", "organization.partof.partof.partof.partof.partof.partof.partof.name", fhir.TooCostly},
		{"_has:Observation:code:status=x", "_has:Observation:code:status", fhir.ValueInvalid},
		{"_has:Observation=x", "_has:Observation", fhir.ValueInvalid},
		{"_has:Nothing:a:b=x", "_has:Nothing:a:b", fhir.ValueInvalid},
		{"active:missing=perhaps", "active:missing", fhir.ValueInvalid},
		{"_count=-1", "_count", fhir.ValueInvalid},
		{"_count=x", "_count", fhir.ValueInvalid},
		{"_count=1.5", "_count", fhir.ValueInvalid},
		{"_total=some", "_total", fhir.ValueInvalid},
		{"_summary=1", "_summary", fhir.ValueInvalid},
		{"_sort=nothing", "_sort", fhir.NotSupported},
		{"_sort=family,family,family,family,family,family,family,family,family", "_sort", fhir.TooCostly},
		{"_include=Patient", "_include", fhir.ValueInvalid},
		{"_include=Patient:gender", "_include", fhir.ValueInvalid},
		{"_include=Patient:organization:", "_include", fhir.ValueInvalid},
		{"_revinclude=*", "_revinclude", fhir.ValueInvalid},
		{"_include:often=Patient:organization", "_include:often", fhir.NotSupported},
		{"_contained=true", "_contained", fhir.NotSupported},
		{"_text=x", "_text", fhir.NotSupported},
		{"_filter=x", "_filter", fhir.NotSupported},
		{"family=%zz", "family", fhir.ValueInvalid},
		{"family=%ff", "family", fhir.ValueInvalid},
		{"family=a%00", "family", fhir.ValueInvalid},
		{"gender:in=http://nowhere", "gender:in", fhir.ValueInvalid},
		{strings.Repeat("active=true&", 80), "active", fhir.TooCostly},
	} {
		_, err := parse(t, search.Request{Type: "Patient"}, c.query)
		var e *fhir.Error
		if !errors.As(err, &e) {
			t.Errorf("%.80s: %v", c.query, err)
			continue
		}
		issue := e.Issues[0]
		if issue.Code != c.code || len(issue.Expression) != 1 || issue.Expression[0] != c.expression {
			t.Errorf("%.80s: %s %v %q", c.query, issue.Code, issue.Expression, issue.Diagnostics)
		}
	}
	if _, err := parse(t, search.Request{Type: "Nothing"}, ""); err == nil {
		t.Error("an unknown type was accepted")
	}
	if _, err := parse(t, search.Request{}, "_type=Nothing"); err == nil {
		t.Error("an unknown type in _type was accepted")
	}
}

func TestParseQuantityRefuses(t *testing.T) {
	t.Parallel()
	for _, query := range []string{
		"value-quantity=x", "value-quantity=5|a|b|c", "value-quantity=5e999", "value-quantity=", "value-quantity=gt",
		"code-value-quantity=a", "code-value-quantity=a$b$c", "code-value-quantity=a$x", "code-value-quantity=$5", "date=5", "code:above=x",
	} {
		if _, err := parse(t, search.Request{Type: "Observation"}, query); err == nil {
			t.Errorf("%s was accepted", query)
		}
	}
}

func TestLenientHandling(t *testing.T) {
	t.Parallel()
	s, err := parse(t, search.Request{Type: "Patient", Lenient: true}, "nonsense=1&family=x&gender:near=y&_count=5&_cursor=abc")
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Query(); got != "family=x&_count=5" {
		t.Errorf("understood %q", got)
	}
	if len(s.Ignored) != 2 || s.Ignored[0].Severity != "warning" || s.Ignored[1].Expression[0] != "gender:near" {
		t.Errorf("ignored %v", s.Ignored)
	}
	if s.Cursor != "abc" || s.Count != 5 {
		t.Errorf("cursor %q, count %d", s.Cursor, s.Count)
	}
	if _, err := parse(t, search.Request{Type: "Patient", Lenient: true}, "birthdate=gefoo"); err == nil {
		t.Error("a wrong value was left out")
	}
}

func TestParseControls(t *testing.T) {
	t.Parallel()
	s, err := parse(t, search.Request{Type: "Patient"}, "_count=5000&_total=accurate&_summary=text&_elements=name,birthDate&_format=json&_pretty=true")
	if err != nil {
		t.Fatal(err)
	}
	if s.Count != search.MaxCount || s.Total != "accurate" || s.Summary != "text" || len(s.Elements) != 2 || s.CountOnly {
		t.Errorf("%+v", s)
	}
	for _, query := range []string{"_count=0", "_summary=count"} {
		if s, err = parse(t, search.Request{Type: "Patient"}, query); err != nil || !s.CountOnly {
			t.Errorf("%s: %v", query, err)
		}
	}
	if s, err = parse(t, search.Request{}, "_type=Patient,Observation"); err != nil || strings.Join(s.Types(), " ") != "Patient Observation" {
		t.Errorf("types %v, %v", s, err)
	}
}

func TestPlace(t *testing.T) {
	t.Parallel()
	p, err := search.ParsePlace(search.Place(`["a",null]`, 42))
	if err != nil || p.RID != 42 || len(p.Keys) != 2 || *p.Keys[0] != "a" || p.Keys[1] != nil {
		t.Errorf("%+v, %v", p, err)
	}
	for _, broken := range []string{"", "short", "12345678[", "12345678{}"} {
		if _, err := search.ParsePlace([]byte(broken)); err == nil {
			t.Errorf("%q was read", broken)
		}
	}
}

var update = flag.Bool("update", false, "write the golden files anew")

// TestStatements shows the SQL of typical searches, so that a change of shape is seen in review.
func TestStatements(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ typ, query string }{
		"type":         {"Patient", ""},
		"id":           {"Patient", "_id=a,b"},
		"token":        {"Patient", "identifier=urn:s|1,2"},
		"string":       {"Patient", "family=a&gender=male"},
		"date":         {"Observation", "date=ge2020&date=lt2021"},
		"quantity":     {"Observation", "value-quantity=gt5.4|http://unitsofmeasure.org|mg"},
		"reference":    {"Observation", "patient=p1&code=http://loinc.org|1-2&date=ge2020"},
		"composite":    {"Observation", "component-code-value-quantity=x$lt5"},
		"chain":        {"Observation", "patient.family=a&code=x"},
		"has":          {"Patient", "_has:Observation:patient:code=x"},
		"last-updated": {"Patient", "_lastUpdated=ge2020"},
		"sort":         {"Observation", "code=x&_sort=-date"},
		"sort-two":     {"Patient", "_sort=-birthdate,family"},
		"include":      {"Observation", "_include=Observation:patient&_revinclude:iterate=Provenance:target"},
		"missing":      {"Patient", "birthdate:missing=true&gender:not=male"},
		"system":       {"", "_type=Patient,Observation&_tag=x"},
		"compartment":  {"Observation", "code=x"},
		"uri":          {"ValueSet", "url:below=http://a/b"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := search.Request{Type: c.typ}
			if name == "compartment" {
				r.Compartment, r.Owner = "Patient", "p1"
			}
			s, err := parse(t, r, c.query)
			if err != nil {
				t.Fatal(err)
			}
			scope := search.Scope{Tenant: 1, Project: 2}
			key := "k"
			var b strings.Builder
			for _, one := range []struct {
				title     string
				statement search.Statement
			}{
				{"first page", s.Page(scope, nil)},
				{"next page", s.Page(scope, &search.Position{Keys: []*string{&key, nil}[:keys(c.query)], RID: 99})},
				{"count", s.CountMatches(scope)},
			} {
				sql := strings.NewReplacer(" FROM ", "\n FROM ", " WHERE ", "\n WHERE ", " UNION ALL ", "\n UNION ALL ", " AS MATERIALIZED (", " AS MATERIALIZED (\n  ",
					" CROSS JOIN LATERAL", "\n CROSS JOIN LATERAL", " ORDER BY ", "\n ORDER BY ").Replace(one.statement.SQL)
				fmt.Fprintf(&b, "-- %s?%s: %s\n%s\n-- %v\n\n", c.typ, c.query, one.title, sql, one.statement.Args)
			}
			golden := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(golden, []byte(b.String()), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil || string(want) != b.String() {
				t.Errorf("%s differs (%v); run go test -update and look at the difference. Now:\n%s", golden, err, b.String())
			}
		})
	}
}

// keys is how many sort keys the pages of a query have.
func keys(query string) int {
	switch {
	case strings.Contains(query, "_sort=-birthdate,family"):
		return 2
	case strings.Contains(query, "_sort"), strings.HasPrefix(query, "date="), strings.HasPrefix(query, "family="), strings.HasPrefix(query, "value-"):
		return 1
	default:
		return 0
	}
}

// FuzzParse holds the parser to its promise: an error that names a parameter, or a statement whose
// text has nothing of the query in it.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"family=a&_count=3", `code=a\,b|c`, "date=ge2020-01-01T10:00:00Z", "value-quantity=lt5.4|http://unitsofmeasure.org|mg", "code-value-quantity=a|b$gt5",
		"patient:Patient.name:exact=x", "_has:Provenance:target:agent.identifier=x|y", "_sort=-date,code&_include=Observation:*", "subject:identifier=a|b",
		"_lastUpdated=ap2020", "combo-code:not=a,b", "_id=zzinjectionzz';--", "category:in=http://hl7.org/fhir/ValueSet/observation-status",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		s, err := parse(t, search.Request{Type: "Observation"}, query)
		if err != nil {
			var e *fhir.Error
			if !errors.As(err, &e) || len(e.Issues) == 0 || len(e.Issues[0].Expression) == 0 {
				t.Fatalf("%q: %v", query, err)
			}
			return
		}
		for _, statement := range []search.Statement{s.Page(search.Scope{Tenant: 1, Project: 1}, nil), s.CountMatches(search.Scope{Tenant: 1, Project: 1})} {
			if strings.Contains(statement.SQL, "zzinjectionzz") || strings.ContainsAny(statement.SQL, ";\\\x00") {
				t.Fatalf("%q: %s", query, statement.SQL)
			}
		}
	})
}
