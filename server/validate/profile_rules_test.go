package validate_test

import (
	"strings"
	"testing"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
	"bulkhead/server/validate"
)

// profileOf makes a StructureDefinition with a differential.
func profileOf(url, typ, base string, elements ...string) string {
	return `{"resourceType":"StructureDefinition","url":"` + url + `","type":"` + typ + `","baseDefinition":"` + base +
		`","derivation":"constraint","differential":{"element":[` + strings.Join(elements, ",") + `]}}`
}

// shelf adds definitions as text.
type shelf struct {
	t *testing.T
	*validate.Holdings
}

func (s shelf) add(text string) { s.Add(parse(s.t, text)) }

const core = "http://hl7.org/fhir/StructureDefinition/"

func ruleLibrary(t *testing.T) *validate.Holdings {
	s := shelf{t, validate.NewHoldings(definition.For(fhir.R4))}
	s.add(profileOf("x:colour", "Extension", core+"Extension",
		`{"id":"Extension.url","path":"Extension.url","fixedUri":"x:colour"}`,
		`{"id":"Extension.value[x]","path":"Extension.value[x]","min":1,"type":[{"code":"code"}],"binding":{"strength":"required","valueSet":"x:colours"}}`))
	s.add(`{"resourceType":"ValueSet","url":"x:colours","compose":{"include":[{"system":"x:c","concept":[{"code":"red"}]}]}}`)
	s.add(profileOf("x:base", "Patient", core+"Patient",
		`{"id":"Patient.identifier","path":"Patient.identifier","min":1,"slicing":{"discriminator":[{"type":"value","path":"system"}],"rules":"open"}}`,
		`{"id":"Patient.identifier:mrn","path":"Patient.identifier","sliceName":"mrn","min":1,"max":"1"}`,
		`{"id":"Patient.identifier:mrn.system","path":"Patient.identifier.system","min":1,"fixedUri":"x:mrn"}`,
		`{"id":"Patient.identifier:mrn.value","path":"Patient.identifier.value","min":1,"maxLength":5}`,
		`{"id":"Patient.extension","path":"Patient.extension","slicing":{"discriminator":[{"type":"value","path":"url"}],"rules":"open"}}`,
		`{"id":"Patient.extension:colour","path":"Patient.extension","sliceName":"colour","max":"1","type":[{"code":"Extension","profile":["x:colour"]}]}`,
		`{"id":"Patient.birthDate","path":"Patient.birthDate","minValueDate":"1900-01-01","constraint":[{"key":"x-1","severity":"error","human":"no leap day","expression":"$this.toString().endsWith('02-29').not()"}]}`,
		`{"id":"Patient.deceased[x]","path":"Patient.deceased[x]","type":[{"code":"boolean"}]}`,
		`{"id":"Patient.photo","path":"Patient.photo","max":"0"}`))
	s.add(profileOf("x:derived", "Patient", "x:base",
		`{"id":"Patient.identifier:mrn.use","path":"Patient.identifier.use","min":1}`,
		`{"id":"Patient.managingOrganization","path":"Patient.managingOrganization","type":[{"code":"Reference","targetProfile":["x:practitioner"]}]}`))
	s.add(profileOf("x:practitioner", "Organization", core+"Organization"))
	s.add(profileOf("x:vital", "Observation", core+"Observation",
		`{"id":"Observation.value[x]","path":"Observation.value[x]","slicing":{"discriminator":[{"type":"type","path":"$this"}],"rules":"closed"}}`,
		`{"id":"Observation.value[x]:valueQuantity","path":"Observation.value[x]","sliceName":"valueQuantity","min":1,"type":[{"code":"Quantity"}],"patternQuantity":{"code":"mg"}}`,
		`{"id":"Observation.component","path":"Observation.component","slicing":{"discriminator":[{"type":"exists","path":"value"},{"type":"pattern","path":"code"}],"rules":"closed"}}`,
		`{"id":"Observation.component:measured","path":"Observation.component","sliceName":"measured","max":"1"}`,
		`{"id":"Observation.component:measured.code","path":"Observation.component.code","patternCodeableConcept":{"coding":[{"code":"m"}]}}`,
		`{"id":"Observation.component:measured.value[x]","path":"Observation.component.value[x]","min":1}`,
		`{"id":"Observation.component:missing","path":"Observation.component","sliceName":"missing"}`,
		`{"id":"Observation.component:missing.value[x]","path":"Observation.component.value[x]","max":"0"}`))
	s.add(profileOf("x:bundle", "Bundle", core+"Bundle",
		`{"id":"Bundle.entry","path":"Bundle.entry","slicing":{"discriminator":[{"type":"profile","path":"resource"}],"rules":"open"}}`,
		`{"id":"Bundle.entry:patient","path":"Bundle.entry","sliceName":"patient","min":1,"max":"1"}`,
		`{"id":"Bundle.entry:patient.resource","path":"Bundle.entry.resource","type":[{"code":"Patient","profile":["x:base"]}]}`))
	s.add(profileOf("x:orphan", "Patient", "x:nowhere"))
	return s.Holdings
}

func TestProfileRules(t *testing.T) {
	t.Parallel()
	library := ruleLibrary(t)
	patient := func(rest string) string {
		return `{"resourceType":"Patient","meta":{"profile":["x:base"]},"identifier":[{"system":"x:other","value":"1234567"},{"system":"x:mrn","value":"1"}]` + rest + `}`
	}
	observation := func(rest string) string {
		return `{"resourceType":"Observation","meta":{"profile":["x:vital"]},"status":"final","code":{"text":"a"}` + rest + `}`
	}
	const quantity = `,"valueQuantity":{"value":1,"system":"http://unitsofmeasure.org","code":"mg"}`
	bundle := func(entry string) string {
		return `{"resourceType":"Bundle","type":"collection","meta":{"profile":["x:bundle"]},"entry":[{"resource":{"resourceType":"Basic","code":{"text":"a"}}},{"resource":` + entry + `}]}`
	}
	derived := func(text string) string { return strings.Replace(text, "x:base", "x:derived", 1) }
	for name, test := range map[string]struct{ text, path, says string }{
		"conforms":                 {patient(``), "", ""},
		"a profile nobody holds":   {`{"resourceType":"Patient","meta":{"profile":["x:unknown"]}}`, "", ""},
		"profile of another type":  {`{"resourceType":"Basic","code":{"text":"a"},"meta":{"profile":["x:base"]}}`, "Basic", "profile of Patient"},
		"required element":         {`{"resourceType":"Patient","meta":{"profile":["x:base"]}}`, "Patient.identifier", "at least 1 times"},
		"required slice":           {`{"resourceType":"Patient","meta":{"profile":["x:base"]},"identifier":[{"system":"x:other"}]}`, "Patient.identifier", "slice mrn"},
		"slice too often":          {`{"resourceType":"Patient","meta":{"profile":["x:base"]},"identifier":[{"system":"x:mrn","value":"1"},{"system":"x:mrn","value":"1"}]}`, "Patient.identifier", "at most 1"},
		"required within a slice":  {`{"resourceType":"Patient","meta":{"profile":["x:base"]},"identifier":[{"system":"x:mrn"}]}`, "Patient.identifier[0].value", "at least 1"},
		"length within a slice":    {`{"resourceType":"Patient","meta":{"profile":["x:base"]},"identifier":[{"system":"x:mrn","value":"123456"}]}`, "Patient.identifier[0].value", "at most 5"},
		"extension":                {patient(`,"extension":[{"url":"x:colour","valueCode":"red"},{"url":"x:free","valueCode":"blue"}]`), "", ""},
		"extension of wrong type":  {patient(`,"extension":[{"url":"x:colour","valueString":"red"}]`), "Patient.extension[0].valueString", "must be code"},
		"extension of wrong code":  {patient(`,"extension":[{"url":"x:colour","valueCode":"blue"}]`), "Patient.extension[0].valueCode", "x:colours"},
		"extension too often":      {patient(`,"extension":[{"url":"x:colour","valueCode":"red"},{"url":"x:colour","valueCode":"red"}]`), "Patient.extension", "slice colour"},
		"least value":              {patient(`,"birthDate":"1899-12-31"`), "Patient.birthDate", ">= @1900-01-01"},
		"constraint":               {patient(`,"birthDate":"2020-02-29"`), "Patient.birthDate", "no leap day"},
		"type of a choice":         {patient(`,"deceasedDateTime":"2020"`), "Patient.deceasedDateTime", "must be boolean"},
		"forbidden element":        {patient(`,"photo":[{"title":"a"}]`), "Patient.photo", "at most 0"},
		"derived":                  {derived(`{"resourceType":"Patient","meta":{"profile":["x:base"]},"identifier":[{"system":"x:mrn","value":"1","use":"usual"}]}`), "", ""},
		"derived adds to a slice":  {derived(patient(``)), "Patient.identifier[1].use", "at least 1"},
		"derived keeps the base":   {derived(patient(`,"photo":[{"title":"a"}]`)), "Patient.photo", "at most 0"},
		"choice of a closed slice": {observation(`,"valueString":"a"`), "Observation.valueString", "fits none of the slices"},
		"choice is required":       {observation(``), "Observation.value", "slice valueQuantity"},
		"pattern":                  {observation(quantity), "", ""},
		"pattern broken":           {observation(strings.Replace(quantity, "mg", "g", 1)), "Observation.valueQuantity", "must contain"},
		"exists and pattern":       {observation(quantity + `,"component":[{"code":{"coding":[{"code":"m"}]},"valueInteger":1},{"code":{"text":"b"}}]`), "", ""},
		"neither of two slices":    {observation(quantity + `,"component":[{"code":{"coding":[{"code":"n"}]},"valueInteger":1}]`), "Observation.component[0]", "fits none"},
		"profile of an entry":      {bundle(strings.Replace(patient(``), `"x:base"`, `"x:unknown"`, 1)), "", ""},
		"no entry of the profile":  {bundle(`{"resourceType":"Patient","active":true}`), "Bundle.entry", "slice patient"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			issues := validate.Resource(definition.For(fhir.R4), parse(t, test.text), validate.WithProfiles(library))
			if test.path == "" {
				if len(issues) > 0 {
					t.Errorf("%+v", issues)
				}
				return
			}
			for _, issue := range issues {
				if issue.Expression[0] == test.path && strings.Contains(issue.Diagnostics, test.says) {
					return
				}
			}
			t.Errorf("wanted %s: %s\ngot %+v", test.path, test.says, issues)
		})
	}
}

func TestFurtherProfiles(t *testing.T) {
	t.Parallel()
	library := ruleLibrary(t)
	v := parse(t, `{"resourceType":"Patient"}`)
	if issues := validate.Resource(definition.For(fhir.R4), v, validate.WithProfiles(library, library.Profile("x:base"))); len(issues) == 0 {
		t.Error("a profile given by the caller is not checked")
	}
	if issues := validate.Resource(definition.For(fhir.R4), v, validate.WithProfiles(library, library.Profile("x:vital"))); len(issues) != 1 {
		t.Errorf("a profile of another type: %+v", issues)
	}
}

func TestProfilesThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	set := definition.For(fhir.R4)
	none := func(string) *validate.Profile { return nil }
	for name, text := range map[string]string{
		"no url":               profileOf("", "Patient", core+"Patient"),
		"unknown type":         profileOf("x:y", "Patent", core+"Patient"),
		"unknown base":         profileOf("x:y", "Patient", "x:nowhere"),
		"broken constraint":    profileOf("x:y", "Patient", core+"Patient", `{"path":"Patient","constraint":[{"key":"a","expression":"name.("}]}`),
		"broken discriminator": profileOf("x:y", "Patient", core+"Patient", `{"path":"Patient.name","slicing":{"discriminator":[{"type":"value","path":"(("}]}}`),
	} {
		if _, err := validate.CompileProfile(set, parse(t, text), none); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestProfilesInCirclesEnd(t *testing.T) {
	t.Parallel()
	s := shelf{t, validate.NewHoldings(definition.For(fhir.R4))}
	s.add(profileOf("x:loop", "Extension", core+"Extension",
		`{"id":"Extension.extension","path":"Extension.extension","slicing":{"discriminator":[{"type":"profile","path":"$this"}],"rules":"open"}}`,
		`{"id":"Extension.extension:self","path":"Extension.extension","sliceName":"self","type":[{"code":"Extension","profile":["x:loop"]}]}`))
	s.add(profileOf("x:patient", "Patient", core+"Patient",
		`{"id":"Patient.extension","path":"Patient.extension","type":[{"code":"Extension","profile":["x:loop"]}]}`))
	inner := `{"url":"x:loop","valueCode":"a"}`
	for range 20 {
		inner = `{"url":"x:loop","extension":[` + inner + `]}`
	}
	v := parse(t, `{"resourceType":"Patient","meta":{"profile":["x:patient"]},"extension":[`+inner+`]}`)
	validate.Resource(definition.For(fhir.R4), v, validate.WithProfiles(s.Holdings))
}

func FuzzProfile(f *testing.F) {
	f.Add(profileOf("x:p", "Patient", core+"Patient", `{"id":"Patient.name:a/b.given","path":"Patient.name","min":1,"max":"x","slicing":{"discriminator":[{"type":"profile","path":"resolve().extension('x.y')"}]}}`),
		`{"resourceType":"Patient","name":[{"given":["a"]}],"contained":[{"resourceType":"Patient","id":"p"}]}`)
	f.Add(profileOf("x:p", "Observation", core+"Observation", `{"id":"Observation.value[x]","path":"Observation.value[x]","type":[{"code":"Quantity","profile":["x:p"]}],"patternQuantity":{"code":[]},"minValueInteger":1}`), observation)
	f.Fuzz(func(t *testing.T, structure, resource string) {
		sd, err1 := fhir.Parse(structure)
		v, err2 := fhir.Parse(resource)
		if err1 != nil || err2 != nil {
			return
		}
		set := definition.For(fhir.R4)
		library := validate.NewHoldings(set)
		library.Add(&sd)
		p, err := validate.CompileProfile(set, &sd, library.Profile)
		if err == nil {
			validate.Resource(set, &v, validate.WithProfiles(library, p))
		}
	})
}

func TestCodesOfValueSets(t *testing.T) {
	t.Parallel()
	s := shelf{t, validate.NewHoldings(definition.For(fhir.R4))}
	s.add(`{"resourceType":"CodeSystem","url":"x:s","content":"complete","concept":[{"code":"a","concept":[{"code":"b","concept":[{"code":"c"}]}]},{"code":"d","property":[{"code":"parent","valueCode":"b"}]}]}`)
	s.add(`{"resourceType":"CodeSystem","url":"x:part","content":"fragment","concept":[{"code":"a"}]}`)
	set := func(url, compose string) {
		s.add(`{"resourceType":"ValueSet","url":"` + url + `","version":"1","compose":` + compose + `}`)
	}
	set("x:all", `{"include":[{"system":"x:s"}]}`)
	set("x:list", `{"include":[{"system":"x:s","concept":[{"code":"a"},{"code":"q"}]}]}`)
	set("x:isa", `{"include":[{"system":"x:s","filter":[{"property":"concept","op":"is-a","value":"b"}]}]}`)
	set("x:below", `{"include":[{"system":"x:s","filter":[{"property":"concept","op":"descendent-of","value":"b"}]}]}`)
	set("x:nota", `{"include":[{"system":"x:s","filter":[{"property":"concept","op":"is-not-a","value":"b"}]}]}`)
	set("x:odd", `{"include":[{"system":"x:s","filter":[{"property":"colour","op":"=","value":"red"}]}]}`)
	set("x:part", `{"include":[{"system":"x:part"}]}`)
	set("x:without", `{"include":[{"system":"x:s"}],"exclude":[{"system":"x:s","concept":[{"code":"b"}]},{"valueSet":["x:unknown"]}]}`)
	set("x:both", `{"include":[{"valueSet":["x:isa","x:below"]}]}`)
	set("x:loop", `{"include":[{"valueSet":["x:loop"]}]}`)
	s.add(`{"resourceType":"ValueSet","url":"x:expanded","expansion":{"contains":[{"system":"x:s","code":"a","contains":[{"system":"x:s","code":"b"}]}]}}`)
	names := map[definition.Membership]string{definition.Member: "yes", definition.NotMember: "no", definition.Unknown: "unknown"}
	for _, test := range []struct{ url, system, code, want string }{
		{"x:all", "x:s", "c", "yes"},
		{"x:all", "", "c", "yes"},
		{"x:all", "x:s", "z", "no"},
		{"x:all", "x:t", "c", "no"},
		{"x:all|1", "x:s", "c", "yes"},
		{"x:all|2", "x:s", "c", "yes"},
		{"x:list", "x:s", "a", "yes"},
		{"x:list", "x:s", "b", "no"},
		{"x:isa", "x:s", "b", "yes"},
		{"x:isa", "x:s", "d", "yes"},
		{"x:isa", "x:s", "a", "no"},
		{"x:below", "x:s", "c", "yes"},
		{"x:below", "x:s", "b", "no"},
		{"x:nota", "x:s", "a", "yes"},
		{"x:nota", "x:s", "c", "no"},
		{"x:odd", "x:s", "a", "unknown"},
		{"x:part", "x:part", "b", "unknown"},
		{"x:unknown", "x:s", "a", "unknown"},
		{"x:without", "x:s", "b", "no"},
		{"x:without", "x:s", "a", "unknown"},
		{"x:both", "x:s", "c", "yes"},
		{"x:both", "x:s", "b", "no"},
		{"x:loop", "x:s", "a", "unknown"},
		{"x:expanded", "x:s", "b", "yes"},
		{"x:expanded", "x:s", "c", "no"},
		{"http://hl7.org/fhir/ValueSet/administrative-gender", "", "male", "yes"},
	} {
		if got := names[s.HasCode(test.url, test.system, test.code)]; got != test.want {
			t.Errorf("%s has %s|%s: %s, want %s", test.url, test.system, test.code, got, test.want)
		}
	}
}
