package fhirpath

import (
	"testing"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
)

// seeds are expressions that reach most of the language.
var seeds = []string{
	"Patient.name.where(use = 'official').given.first() & 'x'",
	"name.select(given | family).aggregate($total & $this, '')",
	"(1 | 2.50 | 'a' | @2020-02-29T10:00:00+02:00 | @T10:30 | 4 days | 5 'mg').sort()",
	"iif(birthDate > @1970-01 + 3 months, 1 / 3, {}).toString()",
	"descendants().repeat(children()).ofType(FHIR.string).distinct().count()",
	"defineVariable('a', 5).select(%a.power(2).ln().round(3))",
	"telecom.sort(-rank, use).value.replaceMatches('(\\\\d+)', '$1')",
	"%resource.contact.all(name.exists() implies relationship.coding.code = 'N')",
	"5.3 'mg/dL' * 2 'L' ~ 10 'mg' and 1 year > 3 'mo'",
	"%factory.Extension('u', %factory.code('x')).value is code",
	"managingOrganization.resolve() is Organization",
	"-1.587.lowBoundary(6) < 3.highBoundary() xor 7 mod 0 = 2 div -1",
	"'abc'.encode('base64').decode('hex').split('b').join('-').matches('^a')",
}

const fuzzPatient = `{"resourceType":"Patient","id":"p","active":true,"name":[{"use":"official","family":"A","given":["B","C"],
"_given":[null,{"id":"x"}]}],"birthDate":"1974-12-25","_birthDate":{"extension":[{"url":"u","valueDateTime":"1974-12-25T14:35:45-05:00"}]},
"telecom":[{"value":"1","rank":2},{"value":"22","rank":1}],"contact":[{"relationship":[{"coding":[{"code":"N"}]}]}],
"managingOrganization":{"reference":"Organization/1"},"multipleBirthInteger":2,"extension":[{"url":"q","valueQuantity":{"value":1.50,"code":"mg","system":"http://unitsofmeasure.org"}}]}`

// FuzzEval proves that no expression makes the evaluator panic, run for long or disagree with
// itself.
func FuzzEval(f *testing.F) {
	for _, s := range seeds {
		f.Add(s)
	}
	v, err := fhir.Parse(fuzzPatient)
	if err != nil {
		f.Fatal(err)
	}
	root := Root(definition.For(fhir.R4), &v)
	f.Fuzz(func(t *testing.T, source string) {
		x, err := Compile(source)
		if err != nil {
			return
		}
		for _, set := range []*definition.Set{definition.For(fhir.R4), nil} {
			env := &Env{Set: set, MaxSteps: 20000}
			items, err := x.Eval(env, &v)
			if err != nil {
				continue
			}
			for i := range items {
				items[i].Text()
				items[i].TypeName()
				Path(set, &root, &items[i])
			}
			again, err := x.Eval(env, &v)
			if err != nil || len(again) != len(items) {
				t.Fatalf("%q: %d items, then %d (%v)", source, len(items), len(again), err)
			}
		}
	})
}

// FuzzParse proves that reading ends in a tree or an error.
func FuzzParse(f *testing.F) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Add("/* a */ 1 // b")
	f.Add("@2015-02-04T14:34:28.123+10:00")
	f.Fuzz(func(t *testing.T, source string) {
		tree, err := parse(source)
		if (tree == nil) == (err == nil) {
			t.Fatalf("%q: tree %v, error %v", source, tree, err)
		}
	})
}
