package fhirpath

import (
	"errors"
	"strings"
	"testing"
	"time"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
)

func evalText(t *testing.T, env *Env, source string) string {
	t.Helper()
	v, err := fhir.Parse(fuzzPatient)
	if err != nil {
		t.Fatal(err)
	}
	x, err := Compile(source)
	if err != nil {
		return "error"
	}
	items, err := x.Eval(env, &v)
	if err != nil {
		return "error"
	}
	var out []string
	for i := range items {
		out = append(out, items[i].Text())
	}
	return strings.Join(out, " ")
}

func TestEval(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 4, 5, 6, 7, 8e6, time.UTC)
	env := &Env{Set: definition.For(fhir.R4), Now: now, Vars: map[string][]Item{"x": {NewItem(Value{Kind: String, Text: "v"})}}}
	for source, want := range map[string]string{
		"name.given":                           "B C",
		"name.given.where($this = 'C').id":     "x",
		"birthDate.extension.value":            "1974-12-25T14:35:45-05:00",
		"multipleBirth is integer":             "true",
		"multipleBirth + 1":                    "3",
		"extension('q').value.toQuantity('g')": "0.0015 'g'",
		"extension('q').value = 1500 'ug'":     "true",
		"now()":                                "2026-03-04T05:06:07.008Z",
		"today()":                              "2026-03-04",
		"timeOfDay()":                          "05:06:07.008",
		"birthDate + 50 years":                 "2024-12-25",
		"managingOrganization.resolve() is Organization": "true",
		"managingOrganization.resolve().type().name":     "Organization",
		"%x & %ucum":                                        "vhttp://unitsofmeasure.org",
		"%`ext-a` & ' ' & %vs-b":                            "http://hl7.org/fhir/StructureDefinition/a http://hl7.org/fhir/ValueSet/b",
		"(1|2|3).aggregate($this + $total, 0)":              "6",
		"telecom.sort(-rank).value":                         "1 22",
		"telecom.sort(rank desc).value":                     "1 22",
		"name.repeat(given | family)":                       "B C A",
		"defineVariable('n', name.family) | %n":             "error",
		"defineVariable('n', name.family).select(%n & '!')": "A!",
		"(1).combine(1).distinct().count()":                 "1",
		"(0.1 + 0.2) = 0.3":                                 "true",
		"(-1.5).round()":                                    "-1",
		"(-0.05).floor() | 0.05.ceiling()":                  "-1 1",
		"10 / 4":                                            "2.5",
		"1 / 3":                                             "0.3333333333333333333333333333333333",
		"1.0.toString() & 1.50":                             "error",
		"@2020-02-29 + 1 year":                              "2021-02-28",
		"@2020-02-29 + 1 'a'":                               "error",
		"1 'mg' + 1 'm'":                                    "",
		"name.given.single()":                               "error",
		`'\p\3'`:                                            "p3",
		`'a1'.matches('\w\d') and 'a1'.matches('\\w\\d')`:   "true",
		"nme":               "",
		"Observation.value": "",
		"contact.relationship.coding.exists(code = 'N')": "true",
		"9223372036854775807 + 1":                        "",
		"'a'.matches('(?=b)')":                           "error",
		"'2020'.toDate() < @2020-05":                     "",
	} {
		if got := evalText(t, env, source); got != want {
			t.Errorf("%s: got %q, want %q", source, got, want)
		}
	}
}

func TestStrictRefusesPathsToNowhere(t *testing.T) {
	t.Parallel()
	env := &Env{Set: definition.For(fhir.R4), Strict: true}
	for source, want := range map[string]string{
		"nme": "error", "Observation.value": "error", "multipleBirthInteger": "error", "Patient.name.family": "A",
	} {
		if got := evalText(t, env, source); got != want {
			t.Errorf("%s: got %q, want %q", source, got, want)
		}
	}
}

func TestHooksAnswer(t *testing.T) {
	t.Parallel()
	var traced string
	env := &Env{
		Set:        definition.For(fhir.R4),
		MemberOf:   func(it Item, url string) (bool, error) { return it.Text() == "official" && url == "vs", nil },
		ConformsTo: func(Item, string) (bool, error) { return false, errors.New("no such profile") },
		Subsumes:   func(a, b Item) (bool, error) { return a.Text() < b.Text(), nil },
		HTMLChecks: func(div string) bool { return div == "<div>" },
		Trace:      func(name string, items []Item) { traced = name + items[0].Text() },
		Resolve: func(reference string) (Item, bool) {
			return NewItem(Value{Kind: String, Text: "found " + reference}), true
		},
	}
	for source, want := range map[string]string{
		"name.use.memberOf('vs')":                                              "true",
		"conformsTo('http://example.org')":                                     "error",
		"conformsTo('http://hl7.org/fhir/StructureDefinition/DomainResource')": "true",
		"'a'.subsumes('b') and 'b'.subsumedBy('a')":                            "true",
		"'<div>'.htmlChecks()":                                                 "true",
		"managingOrganization.resolve()":                                       "found Organization/1",
		"name.family.trace('t')":                                               "A",
	} {
		if got := evalText(t, env, source); got != want {
			t.Errorf("%s: got %q, want %q", source, got, want)
		}
	}
	if traced != "tA" {
		t.Errorf("traced %q", traced)
	}
}

func TestWorkIsBounded(t *testing.T) {
	t.Parallel()
	env := &Env{Set: definition.For(fhir.R4), MaxSteps: 300_000}
	for _, source := range []string{
		"'a'.repeatAll($this & 'a')",
		"(1|2|3|4).repeatAll($this + 1)",
		"'aaaaaaaaaaaaaaaa'.toChars().aggregate($total & $total & 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa').toChars().toChars().select(1|2|3|4)",
		"'a'" + strings.Repeat(".replace('a', '"+strings.Repeat("a", 70)+"')", 3) + ".matches('(a?){900}b')",
		strings.Repeat("(1|2|3|4|5|6|7|8|9).select(", 12) + "1" + strings.Repeat(")", 12),
	} {
		x, err := Compile(source)
		if err != nil {
			t.Fatal(err)
		}
		v, err := fhir.Parse(fuzzPatient)
		if err != nil {
			t.Fatal(err)
		}
		_, err = x.Eval(env, &v)
		var e *fhir.Error
		if !errors.As(err, &e) || e.Issues[0].Code != fhir.TooCostly {
			t.Errorf("%.60s: %v", source, err)
		}
	}
	for _, source := range []string{
		strings.Repeat("(", 5000) + "1" + strings.Repeat(")", 5000),
		strings.Repeat("-", 5000) + "1",
		strings.Repeat("a.where(", 5000),
		strings.Repeat("1+", 100000) + "1",
	} {
		if _, err := Compile(source); err == nil {
			t.Errorf("%.20s...: compiled", source)
		}
	}
}

func TestPathNamesTheElement(t *testing.T) {
	t.Parallel()
	set := definition.For(fhir.R4)
	v, err := fhir.Parse(`{"resourceType":"Bundle","entry":[{"fullUrl":"u"},{"resource":{"resourceType":"Observation","valueQuantity":{"value":1},"_status":{"id":"s"}}}]}`)
	if err != nil {
		t.Fatal(err)
	}
	root := Root(set, &v)
	for source, want := range map[string]string{
		"entry.resource.value.value": "Bundle.entry[1].resource.value.value",
		"entry.resource.status":      "Bundle.entry[1].resource.status",
		"entry.fullUrl":              "Bundle.entry[0].fullUrl",
		"$this":                      "Bundle",
		"1":                          "",
	} {
		items, err := mustCompile(t, source).Eval(&Env{Set: set}, &v)
		if err != nil || len(items) != 1 {
			t.Fatal(source, items, err)
		}
		if got := Path(set, &root, &items[0]); got != want {
			t.Errorf("%s: got %q, want %q", source, got, want)
		}
	}
}

func mustCompile(t *testing.T, source string) *Expr {
	t.Helper()
	x, err := Cached(source)
	if err != nil {
		t.Fatal(err)
	}
	return x
}
