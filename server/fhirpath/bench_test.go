package fhirpath

import (
	"strings"
	"testing"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
)

// observation is shaped like a vital sign of Synthea.
const observation = `{"resourceType":"Observation","id":"0a5ff3d5-1","meta":{"profile":["http://hl7.org/fhir/StructureDefinition/bp"]},
"status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs","display":"vital-signs"}]}],
"code":{"coding":[{"system":"http://loinc.org","code":"85354-9","display":"Blood Pressure"}],"text":"Blood Pressure"},
"subject":{"reference":"Patient/731cd1c2-c2e9"},"encounter":{"reference":"Encounter/8ba0d5ed-3"},
"effectiveDateTime":"2012-08-22T23:04:10-04:00","issued":"2012-08-22T23:04:10.304-04:00",
"component":[{"code":{"coding":[{"system":"http://loinc.org","code":"8462-4","display":"Diastolic"}],"text":"Diastolic"},
"valueQuantity":{"value":81.15,"unit":"mm[Hg]","system":"http://unitsofmeasure.org","code":"mm[Hg]"}},
{"code":{"coding":[{"system":"http://loinc.org","code":"8480-6","display":"Systolic"}],"text":"Systolic"},
"valueQuantity":{"value":126.67,"unit":"mm[Hg]","system":"http://unitsofmeasure.org","code":"mm[Hg]"}}]}`

func benchInput(b *testing.B) (*definition.Set, *fhir.Value) {
	b.Helper()
	v, err := fhir.Parse(observation)
	if err != nil {
		b.Fatal(err)
	}
	return definition.For(fhir.R4), &v
}

// BenchmarkSearchParameters evaluates all search parameters of an Observation.
func BenchmarkSearchParameters(b *testing.B) {
	set, v := benchInput(b)
	var exprs []*Expr
	for _, p := range set.SearchParams("Observation") {
		x, err := Compile(p.Expression)
		if err != nil {
			b.Fatal(err)
		}
		exprs = append(exprs, x)
	}
	env := &Env{Set: set}
	root := Root(set, v)
	var items []Item
	b.ReportAllocs()
	for b.Loop() {
		for _, x := range exprs {
			items, _ = x.Append(items[:0], env, &root)
		}
	}
	b.ReportMetric(float64(len(exprs)), "expressions/op")
}

// BenchmarkInvariants evaluates the constraints on the root of an Observation.
func BenchmarkInvariants(b *testing.B) {
	set, v := benchInput(b)
	var exprs []*Expr
	for _, c := range set.Type("Observation").Constraints {
		x, err := Compile(c.Expression)
		if err != nil {
			b.Fatal(err)
		}
		exprs = append(exprs, x)
	}
	root := Root(set, v)
	env := &Env{Set: set, Resource: &root, RootResource: &root}
	b.ReportAllocs()
	for b.Loop() {
		for _, x := range exprs {
			if _, _, err := x.Test(env, &root); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(len(exprs)), "expressions/op")
}

func BenchmarkEval(b *testing.B) {
	set, v := benchInput(b)
	env := &Env{Set: set}
	root := Root(set, v)
	for _, source := range []string{
		"Observation.code.coding.code",
		"Observation.subject.where(resolve() is Patient)",
		"component.where(code.coding.code = '8480-6').value.value > 120",
		"component.value.ofType(Quantity).where($this > 100 'mm[Hg]').count()",
		"effective > @2012-01-01",
		"descendants().count()",
	} {
		x, err := Compile(source)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(strings.ReplaceAll(source, " ", "_"), func(b *testing.B) {
			var items []Item
			b.ReportAllocs()
			for b.Loop() {
				items, err = x.Append(items[:0], env, &root)
			}
			if err != nil {
				b.Fatal(err)
			}
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	source := definition.For(fhir.R4).SearchParam("Observation", "patient").Expression
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Compile(source); err != nil {
			b.Fatal(err)
		}
	}
}
