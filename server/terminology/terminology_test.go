package terminology_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
	"bulkhead/server/terminology"
)

func parse(t testing.TB, text string) *fhir.Value {
	t.Helper()
	v, err := fhir.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return &v
}

// library holds resources of a test above R4.
func library(t testing.TB, texts ...string) *terminology.Library {
	t.Helper()
	l := terminology.NewLibrary(terminology.Standard(definition.For(fhir.R4)))
	for _, text := range texts {
		l.Add(parse(t, text))
	}
	return l
}

const animals = `{"resourceType":"CodeSystem","url":"http://x/animals","version":"2","status":"active","content":"complete","caseSensitive":false,"concept":[
	{"code":"mammal","display":"Mammal","property":[{"code":"notSelectable","valueBoolean":true}],"concept":[
		{"code":"dog","display":"Dog","property":[{"code":"legs","valueInteger":4}]},
		{"code":"whale","display":"Whale","property":[{"code":"legs","valueInteger":0}]}]},
	{"code":"bird","display":"Bird","property":[{"code":"legs","valueInteger":2}]},
	{"code":"puppy","display":"Puppy","property":[{"code":"parent","valueCode":"dog"},{"code":"inactive","valueBoolean":true}]}]}`

func valueSet(compose string) string {
	return `{"resourceType":"ValueSet","url":"http://x/vs","status":"active","compose":` + compose + `}`
}

func codes(list []terminology.Member) string {
	var out []string
	for _, m := range list {
		out = append(out, m.Code)
	}
	return strings.Join(out, " ")
}

func TestComposeIsEvaluated(t *testing.T) {
	t.Parallel()
	const sys = `"system":"http://x/animals"`
	filter := func(property, op, value string) string {
		return fmt.Sprintf(`{"include":[{%s,"filter":[{"property":%q,"op":%q,"value":%q}]}]}`, sys, property, op, value)
	}
	l := library(t, animals,
		`{"resourceType":"ValueSet","url":"http://x/pets","status":"active","compose":{"include":[{"system":"http://x/animals","concept":[{"code":"dog"},{"code":"bird","display":"Budgie"}]}]}}`)
	for name, c := range map[string]struct{ compose, want string }{
		"a whole system":          {`{"include":[{` + sys + `}]}`, "mammal dog whale bird puppy"},
		"only active codes":       {`{"inactive":false,"include":[{` + sys + `}]}`, "mammal dog whale bird"},
		"listed":                  {`{"include":[{` + sys + `,"concept":[{"code":"bird"},{"code":"dog"}]}]}`, "bird dog"},
		"listed, system unknown":  {`{"include":[{"system":"http://loinc.org","concept":[{"code":"1-8"}]}]}`, "1-8"},
		"is-a":                    {filter("concept", "is-a", "mammal"), "mammal dog whale puppy"},
		"descendent-of":           {filter("concept", "descendent-of", "mammal"), "dog whale puppy"},
		"is-not-a":                {filter("concept", "is-not-a", "mammal"), "bird"},
		"generalizes":             {filter("concept", "generalizes", "puppy"), "mammal dog puppy"},
		"equals":                  {filter("legs", "=", "4"), "dog"},
		"in":                      {filter("legs", "in", "2, 4"), "dog bird"},
		"not-in":                  {filter("legs", "not-in", "2,4"), "mammal whale puppy"},
		"exists":                  {filter("legs", "exists", "false"), "mammal puppy"},
		"parent":                  {filter("parent", "=", "dog"), "puppy"},
		"regex":                   {filter("code", "regex", "[dw].*"), "dog whale"},
		"regex is anchored":       {filter("code", "regex", "o"), ""},
		"two filters":             {`{"include":[{` + sys + `,"filter":[{"property":"concept","op":"is-a","value":"mammal"},{"property":"legs","op":"=","value":"0"}]}]}`, "whale"},
		"exclude":                 {`{"include":[{` + sys + `}],"exclude":[{` + sys + `,"concept":[{"code":"dog"}]}]}`, "mammal whale bird puppy"},
		"nested":                  {`{"include":[{"valueSet":["http://x/pets"]}]}`, "dog bird"},
		"nested, another version": {`{"include":[{"valueSet":["http://x/pets|7"]}]}`, "dog bird"},
		"system and value set":    {`{"include":[{` + sys + `,"filter":[{"property":"concept","op":"is-a","value":"mammal"}],"valueSet":["http://x/pets"]}]}`, "dog"},
		"twice":                   {`{"include":[{"valueSet":["http://x/pets"]},{` + sys + `,"concept":[{"code":"dog"}]}]}`, "dog bird"},
		"of the release":          {`{"include":[{"valueSet":["http://hl7.org/fhir/ValueSet/administrative-gender"]}]}`, "male female other unknown"},
	} {
		vs := terminology.ReadValueSet(parse(t, valueSet(c.compose)), "")
		list, err := terminology.Expand(l, vs)
		if err != nil || codes(list) != c.want {
			t.Errorf("%s: %q %v, want %q", name, codes(list), err, c.want)
			continue
		}
		for _, m := range list { // Contains says the same
			if _, in, err := terminology.Contains(l, vs, m.System, m.Code); err != nil || in != definition.Member {
				t.Errorf("%s: %s is listed and does not belong (%v)", name, m.Code, err)
			}
		}
		for _, other := range []string{"mammal", "dog", "whale", "bird", "puppy", "fish"} {
			_, in, _ := terminology.Contains(l, vs, "http://x/animals", other)
			if listed := strings.Contains(" "+c.want+" ", " "+other+" "); listed != (in == definition.Member) {
				t.Errorf("%s: %s listed %t, belongs %v", name, other, listed, in)
			}
		}
	}
}

func TestWhatCannotBeEvaluatedIsSaid(t *testing.T) {
	t.Parallel()
	deep := []string{animals}
	for n := range 30 { // 20^30 paths if each were followed
		include := strings.Repeat(fmt.Sprintf(`{"valueSet":["http://x/deep%d"]},`, n+1), 20)
		deep = append(deep, fmt.Sprintf(`{"resourceType":"ValueSet","url":"http://x/deep%d","status":"active","compose":{"include":[%s]}}`, n, include[:len(include)-1]))
	}
	wide := []string{animals}
	for n := range 14 {
		include := strings.Repeat(fmt.Sprintf(`{"valueSet":["http://x/wide%d"]},`, n+1), 20)
		wide = append(wide, fmt.Sprintf(`{"resourceType":"ValueSet","url":"http://x/wide%d","status":"active","compose":{"include":[%s]}}`, n, include[:len(include)-1]))
	}
	wide = append(wide, `{"resourceType":"ValueSet","url":"http://x/wide14","status":"active","compose":{"include":[{"system":"http://x/animals"}]}}`)
	for name, c := range map[string]struct {
		held    []string
		compose string
		code    fhir.IssueType
	}{
		"an unknown system":     {nil, `{"include":[{"system":"http://snomed.info/sct"}]}`, fhir.NotFound},
		"an unknown value set":  {nil, `{"include":[{"valueSet":["http://x/none"]}]}`, fhir.NotFound},
		"an unknown exclude":    {[]string{animals}, `{"include":[{"system":"http://x/animals"}],"exclude":[{"system":"http://none"}]}`, fhir.NotFound},
		"a fragment":            {[]string{strings.Replace(animals, "complete", "fragment", 1)}, `{"include":[{"system":"http://x/animals"}]}`, fhir.NotFound},
		"an unknown filter":     {[]string{animals}, `{"include":[{"system":"http://x/animals","filter":[{"property":"code","op":"like","value":"x"}]}]}`, fhir.NotSupported},
		"a broken regex":        {[]string{animals}, `{"include":[{"system":"http://x/animals","filter":[{"property":"code","op":"regex","value":"(("}]}]}`, fhir.ValueInvalid},
		"a long regex":          {[]string{animals}, `{"include":[{"system":"http://x/animals","filter":[{"property":"code","op":"regex","value":"` + strings.Repeat("(a*)*", 60) + `"}]}]}`, fhir.TooCostly},
		"itself":                {[]string{valueSet(`{"include":[{"valueSet":["http://x/vs"]}]}`)}, `{"include":[{"valueSet":["http://x/vs"]}]}`, fhir.TooCostly},
		"too deep":              {deep, `{"include":[{"valueSet":["http://x/deep0"]}]}`, fhir.TooCostly},
		"too many ways through": {wide, `{"include":[{"valueSet":["http://x/wide0"]}]}`, fhir.TooCostly},
	} {
		l := library(t, c.held...)
		_, err := terminology.Expand(l, terminology.ReadValueSet(parse(t, valueSet(c.compose)), ""))
		told, ok := errors.AsType[*fhir.Error](err)
		if !ok || told.Issues[0].Code != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHierarchyAndLookup(t *testing.T) {
	t.Parallel()
	cs := library(t, animals).CodeSystem("http://x/animals", "")
	mammal, puppy, bird := cs.Find("mammal"), cs.Find("PUPPY"), cs.Find("bird")
	if puppy == nil || !terminology.Subsumes(mammal, puppy) || terminology.Subsumes(puppy, mammal) || terminology.Subsumes(bird, puppy) || !terminology.Subsumes(bird, bird) {
		t.Error("the hierarchy is wrong")
	}
	if cs.Find("fish") != nil || !mammal.Abstract || !puppy.Inactive || len(terminology.Below(mammal)) != 4 || len(terminology.Above(puppy)) != 3 {
		t.Error("the concepts are wrong")
	}
	loop := library(t, `{"resourceType":"CodeSystem","url":"http://x/loop","status":"active","content":"complete","concept":[
		{"code":"a","property":[{"code":"parent","valueCode":"b"}]},{"code":"b","property":[{"code":"parent","valueCode":"a"}]}]}`).CodeSystem("http://x/loop", "")
	if n := len(terminology.Above(loop.Find("a"))); n != 2 {
		t.Errorf("a circle has %d", n)
	}
}

func TestAProjectsOwnGoesBeforeTheRelease(t *testing.T) {
	t.Parallel()
	const gender = "http://hl7.org/fhir/administrative-gender"
	own := library(t, `{"resourceType":"CodeSystem","url":"`+gender+`","version":"mine","status":"active","content":"complete","concept":[{"code":"x"}]}`)
	other := library(t)
	if own.CodeSystem(gender, "").Find("x") == nil || own.CodeSystem(gender, "4.0.1").Find("male") == nil || own.CodeSystem(gender, "7") != nil {
		t.Error("own")
	}
	if other.CodeSystem(gender, "").Find("x") != nil || other.CodeSystem(gender, "").Find("male").Display != "Male" {
		t.Error("what one project holds is seen by another")
	}
}

// TestTheReleasesExpandAsTheirBindingsDo compares with the lists that the generator made for
// validation, by code of its own.
func TestTheReleasesExpandAsTheirBindingsDo(t *testing.T) {
	t.Parallel()
	for _, version := range []fhir.Version{fhir.R4, fhir.R4B} {
		set := definition.For(version)
		l := terminology.NewLibrary(terminology.Standard(set))
		all, expanded, compared := 0, 0, 0
		for _, url := range set.Terms("ValueSet") {
			all++
			list, err := terminology.Expand(l, l.ValueSet(url, ""))
			if err != nil {
				continue
			}
			expanded++
			bound := set.ValueSet(url)
			if bound == nil {
				continue
			}
			want := 0
			if !bound.Each(func(system, code string) { want++ }) {
				continue
			}
			compared++
			for _, m := range list {
				if bound.Has(m.System, m.Code) != definition.Member {
					t.Errorf("%s %s: %s does not belong", version, url, m.Code)
					break
				}
			}
			if len(list) != want {
				t.Errorf("%s %s: %d codes, want %d", version, url, len(list), want)
			}
		}
		t.Logf("%s: %d of %d value sets expand; %d compared with their bindings", version, expanded, all, compared)
		if expanded < all/2 || compared < 200 {
			t.Errorf("%s: too few", version)
		}
	}
}

func TestConceptMapsTranslate(t *testing.T) {
	t.Parallel()
	m := terminology.ReadConceptMap(parse(t, `{"resourceType":"ConceptMap","url":"http://x/m","status":"active","sourceUri":"http://x/s","targetCanonical":"http://x/t|1","group":[
		{"source":"http://a","target":"http://b","element":[{"code":"1","target":[{"code":"one","equivalence":"wider"}]},{"code":"2","target":[{"equivalence":"unmatched"}]}],
		 "unmapped":{"mode":"fixed","code":"other"}},
		{"source":"http://c","target":"http://d","element":[],"unmapped":{"mode":"provided"}}]}`), "")
	for name, c := range map[string]struct {
		system, code, target string
		reverse              bool
		want                 string
	}{
		"mapped":          {"http://a", "1", "", false, "wider http://b one"},
		"unmatched":       {"http://a", "2", "", false, "unmatched http://b "},
		"fixed":           {"http://a", "3", "", false, "inexact http://b other"},
		"provided":        {"http://c", "3", "", false, "equal http://d 3"},
		"another target":  {"http://a", "1", "http://z", false, ""},
		"another system":  {"http://z", "1", "", false, ""},
		"reverse":         {"http://b", "one", "", true, "narrower http://a 1"},
		"reverse, target": {"http://b", "one", "http://a", true, "narrower http://a 1"},
	} {
		got := ""
		for _, one := range m.Translate(c.system, c.code, c.target, c.reverse, nil) {
			got += one.Equivalence + " " + one.System + " " + one.Code
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if m.Target != "http://x/t" || len(library(t).ConceptMaps()) < 70 {
		t.Error(m.Target)
	}
}

// FuzzExpand looks for value sets that break the evaluation.
func FuzzExpand(f *testing.F) {
	f.Add(valueSet(`{"include":[{"system":"http://x/animals","filter":[{"property":"concept","op":"is-a","value":"mammal"}]}]}`))
	f.Add(`{"expansion":{"contains":[{"code":"a","contains":[{"code":"b"}]}]}}`)
	f.Fuzz(func(t *testing.T, text string) {
		v, err := fhir.Parse(text)
		if err != nil {
			return
		}
		l := library(t, animals)
		vs := terminology.ReadValueSet(&v, "")
		list, err := terminology.Expand(l, vs)
		if err == nil && len(list) > 0 {
			if _, in, err := terminology.Contains(l, vs, list[0].System, list[0].Code); err == nil && in == definition.NotMember {
				t.Errorf("%s is listed and does not belong: %s", list[0].Code, text)
			}
		}
		terminology.ReadCodeSystem(&v, "").Find("x")
		terminology.ReadConceptMap(&v, "").Translate("", "x", "", false, nil)
	})
}
