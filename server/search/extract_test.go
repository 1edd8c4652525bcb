package search

import (
	"math"
	"slices"
	"testing"
	"time"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
)

func extract(t testing.TB, text string) *Rows {
	t.Helper()
	rows, ok := Extract(definition.For(fhir.R4), parseJSON(t, text), "https://here.example/fhir")
	if !ok {
		t.Fatal("unknown type")
	}
	return rows
}

func param(typeName, code string) int32 { return definition.ParamID(typeName, code) }

// observation is a small resource of the shape that Synthea writes.
const observation = `{"resourceType":"Observation","id":"o1","status":"final",
 "category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs","display":"vital-signs"}]}],
 "code":{"coding":[{"system":"http://loinc.org","code":"8302-2","display":"Body Height"}],"text":"Body Height"},
 "subject":{"reference":"Patient/p1"},"encounter":{"reference":"Encounter/e1"},
 "effectiveDateTime":"2010-05-01T10:11:12+02:00","issued":"2010-05-01T10:11:12.345+02:00",
 "valueQuantity":{"value":5.0,"unit":"mg per dl","system":"http://unitsofmeasure.org","code":"mg/dL"}}`

func TestExtractRows(t *testing.T) {
	t.Parallel()
	rows := extract(t, observation)
	code, value, date := param("Observation", "code"), param("Observation", "value-quantity"), param("Observation", "date")
	if !slices.Contains(rows.Tokens, Token{code, "8302-2", "http://loinc.org"}) {
		t.Errorf("no token for the code: %v", rows.Tokens)
	}
	if !slices.Contains(rows.Hashes, TokenHash(code, "8302-2")) || !slices.Contains(rows.Hashes, SystemTokenHash(code, "http://loinc.org", "8302-2")) {
		t.Error("no hash for the code")
	}
	for _, want := range []Number{
		{value, "", 4.95, 5.05},
		{value, "|mg/dL", 4.95, 5.05},
		{value, "|mg per dl", 4.95, 5.05},
	} {
		if !slices.Contains(rows.Numbers, want) {
			t.Errorf("no row %v among %v", want, rows.Numbers)
		}
	}
	canonical := slices.IndexFunc(rows.Numbers, func(n Number) bool { return n.Unit == "=m-3.g" })
	if canonical < 0 || math.Abs(rows.Numbers[canonical].Lo-49.5) > 1e-9 {
		t.Errorf("no canonical row among %v", rows.Numbers)
	}
	if want := []Date{{date, 1272701472000000, 1272701473000000, false}}; !slices.Equal(rows.Dates, want) {
		t.Errorf("dates %v, want %v", rows.Dates, want)
	}
	patient, _ := definition.TypeID("Patient")
	if !slices.Contains(rows.References, Reference{param("Observation", "subject"), patient, "p1"}) || len(rows.References) != 2 {
		t.Errorf("references %v", rows.References)
	}
	if len(rows.Composites) != 0 {
		t.Errorf("tuples of the resource itself need no rows: %v", rows.Composites)
	}
}

func TestExtractReferences(t *testing.T) {
	t.Parallel()
	patient, _ := definition.TypeID("Patient")
	subject := param("Observation", "subject")
	for text, want := range map[string][]Reference{
		"Patient/p1":                                {{subject, patient, "p1"}},
		"Patient/p1/_history/3":                     {{subject, patient, "p1"}},
		"https://here.example/fhir/Patient/p1":      {{subject, patient, "p1"}},
		"https://there.example/fhir/Patient/p1":     {{subject, 0, "https://there.example/fhir/Patient/p1"}},
		"urn:uuid:1a4a0ac8-9d1c-4b0c-a0b5-6a8f0b1e": {{subject, 0, "urn:uuid:1a4a0ac8-9d1c-4b0c-a0b5-6a8f0b1e"}},
		"#contained":                                nil,
		"p2":                                        {{subject, 0, "p2"}},
	} {
		rows := extract(t, `{"resourceType":"Observation","subject":{"reference":"`+text+`"}}`)
		if !slices.Equal(rows.References, want) {
			t.Errorf("%s: %v, want %v", text, rows.References, want)
		}
	}
}

func TestExtractComposites(t *testing.T) {
	t.Parallel()
	rows := extract(t, `{"resourceType":"Observation","component":[
	 {"code":{"coding":[{"system":"http://loinc.org","code":"8480-6"}]},"valueQuantity":{"value":107,"code":"mm[Hg]","system":"http://unitsofmeasure.org"}},
	 {"code":{"coding":[{"system":"http://loinc.org","code":"8462-4"}]},"valueQuantity":{"value":60}}]}`)
	var got []Composite
	for _, c := range rows.Composites {
		if c.N = 0; c.Unit == "" {
			got = append(got, c)
		}
	}
	id := param("Observation", "combo-code-value-quantity")
	want := []Composite{
		{Param: id, Code: "8462-4", System: "http://loinc.org", Lo: 59.5, Hi: 60.5},
		{Param: id, Code: "8480-6", System: "http://loinc.org", Lo: 106.5, Hi: 107.5},
	}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestExtractIsDeterministic(t *testing.T) {
	t.Parallel()
	seen := 0
	lines(t, "synthea/small/resources-refs-resolved.ndjson.gz", func(line string) {
		if seen++; seen > 500 {
			return
		}
		resource := parseJSON(t, line)
		a, _ := Extract(definition.For(fhir.R4), resource, "")
		b, _ := Extract(definition.For(fhir.R4), resource, "")
		if !slices.Equal(a.Tokens, b.Tokens) || !slices.Equal(a.Composites, b.Composites) || !slices.Equal(a.Hashes, b.Hashes) || !slices.Equal(a.Numbers, b.Numbers) {
			t.Fatalf("two extractions differ: %s", line)
		}
	})
}

func BenchmarkExtractObservation(b *testing.B) {
	set, resource := definition.For(fhir.R4), parseJSON(b, observation)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := Extract(set, resource, ""); !ok {
			b.Fatal("unknown type")
		}
	}
}

func TestFold(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                 "",
		"  Anna   Maria\t": "anna maria",
		"MÜLLER":           "muller",
		"Strauß":           "strauss",
		"Ångström":         "angstrom",
		"Nguyễn":           "nguyen",
		"ﬁn":               "fin",
		"İstanbul":         "istanbul",
		"Ωmega":            "ωmega",
		"a\u00a0b":         "a b",
		"x\u0301":          "x",
		"山田":               "山田",
	} {
		if got := Fold(text); got != want {
			t.Errorf("Fold(%q) = %q, want %q", text, got, want)
		}
		if twice := Fold(Fold(text)); twice != Fold(text) {
			t.Errorf("Fold is not idempotent on %q", text)
		}
	}
}

func TestPrefixEnd(t *testing.T) {
	t.Parallel()
	for prefix, want := range map[string]string{"a": "b", "az": "a{", "a\U0010FFFF": "b", "\uD7FF": "\uE000", "": lastText} {
		if got := prefixEnd(prefix); got != want {
			t.Errorf("prefixEnd(%q) = %q, want %q", prefix, got, want)
		}
	}
}

func TestDecimalBounds(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][2]float64{
		"100": {99.5, 100.5}, "100.00": {99.995, 100.005}, "1e2": {95, 105}, "1.2E+2": {115, 125},
		"99.99": {99.985, 99.995}, "-5.4": {-5.45, -5.35}, "0": {-0.5, 0.5}, "0.0": {-0.05, 0.05}, "9999e-2": {99.985, 99.995},
	} {
		d, ok := parseDecimal(text)
		lo, hi := d.bounds()
		if !ok || lo != want[0] || hi != want[1] {
			t.Errorf("%s: %v to %v, %v; want %v", text, lo, hi, ok, want)
		}
	}
	for _, text := range []string{"", "a", "1.", ".5e", "1e", "1e999", "0x1p4", "1_000", "Inf", "NaN", "--1", "1 "} {
		if _, ok := parseDecimal(text); ok {
			t.Errorf("%q was read as a number", text)
		}
	}
}

func TestParseDate(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][2]string{
		"2020":                           {"2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z"},
		"2020-02":                        {"2020-02-01T00:00:00Z", "2020-03-01T00:00:00Z"},
		"2020-02-29":                     {"2020-02-29T00:00:00Z", "2020-03-01T00:00:00Z"},
		"2020-02-29T23:30Z":              {"2020-02-29T23:30:00Z", "2020-02-29T23:31:00Z"},
		"2020-02-29T23:30:05-04:00":      {"2020-03-01T03:30:05Z", "2020-03-01T03:30:06Z"},
		"2020-02-29T23:30:05.25+01:00":   {"2020-02-29T22:30:05.25Z", "2020-02-29T22:30:05.26Z"},
		"2020-02-29T23:30:05.000001999Z": {"2020-02-29T23:30:05.000001Z", "2020-02-29T23:30:05.000002Z"},
		"2018-10-29T21":                  {"2018-10-29T21:00:00Z", "2018-10-29T22:00:00Z"},
		"2018-10-29T21:12:44 00:00":      {"2018-10-29T21:12:44Z", "2018-10-29T21:12:45Z"},
		"0001-01-01":                     {"0001-01-01T00:00:00Z", "0001-01-02T00:00:00Z"},
	} {
		lo, hi, ok := parseDate(text, 0)
		if !ok || stamp(lo) != want[0] || stamp(hi) != want[1] {
			t.Errorf("%s: %s to %s, %v; want %v", text, stamp(lo), stamp(hi), ok, want)
		}
	}
	for _, text := range []string{"", "20", "2020-13", "2020-02-30", "2020-2-3", "2020-01-01T", "2020-01-01T25:00Z", "2020-01-01T10:00:00.Z", "foo", "2020-01-01T10:00+25:00", "0000", "2020-01-01Z"} {
		if _, _, ok := parseDate(text, 0); ok {
			t.Errorf("%q was read as a date", text)
		}
	}
}

func stamp(micros int64) string {
	return time.UnixMicro(micros).UTC().Format("2006-01-02T15:04:05.999999Z")
}
