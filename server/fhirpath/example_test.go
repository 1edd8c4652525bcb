package fhirpath_test

import (
	"fmt"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
	"bulkhead/server/fhirpath"
)

func Example() {
	patient, err := fhir.Parse(`{"resourceType":"Patient","id":"p1","birthDate":"1974-12-25",
		"name":[{"use":"official","given":["Peter","James"]},{"use":"usual","given":["Jim"]}]}`)
	if err != nil {
		fmt.Println(err)
		return
	}
	set := definition.For(fhir.R4)
	env := &fhirpath.Env{Set: set}
	root := fhirpath.Root(set, &patient)

	given, err := fhirpath.Cached("Patient.name.where(use = 'official').given")
	if err != nil {
		fmt.Println(err)
		return
	}
	items, err := given.Eval(env, &patient)
	if err != nil {
		fmt.Println(err)
		return
	}
	for i := range items {
		fmt.Println(items[i].TypeName(), fhirpath.Path(set, &root, &items[i]), items[i].Text())
	}

	adult, err := fhirpath.Cached("birthDate <= @2000-01-01")
	if err != nil {
		fmt.Println(err)
		return
	}
	holds, known, err := adult.Test(env, &root)
	fmt.Println(holds, known, err)
	// Output:
	// string Patient.name[0].given[0] Peter
	// string Patient.name[0].given[1] James
	// true true <nil>
}
