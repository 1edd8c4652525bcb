package definition_test

import (
	"strings"
	"testing"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
)

var versions = []fhir.Version{fhir.R4, fhir.R4B}

func TestResourceTypesAreThoseOfTheRelease(t *testing.T) {
	t.Parallel()
	for version, want := range map[fhir.Version]int{fhir.R4: 146 + 6, fhir.R4B: 141 + 6} {
		set := definition.For(version)
		if got := len(set.ResourceTypes()); got != want {
			t.Errorf("%s: %d resource types, want %d", version, got, want)
		}
		for _, name := range []string{"Resource", "DomainResource", "Quantity", "string", "Nothing"} {
			if set.ResourceType(name) != nil {
				t.Errorf("%s: %s is taken for a concrete resource type", version, name)
			}
		}
	}
	if definition.For(fhir.R4).Type("Ingredient") != nil || definition.For(fhir.R4B).Type("Ingredient") == nil {
		t.Error("Ingredient is a type of R4B alone")
	}
}

func TestFieldsResolve(t *testing.T) {
	t.Parallel()
	tests := []struct{ path, typ, element string }{
		{"Patient.id", "id", "Resource.id"},
		{"Patient.birthDate", "date", "Patient.birthDate"},
		{"Patient.contact.name.given", "string", "HumanName.given"},
		{"Patient.contact.extension.valueHumanName.family", "string", "HumanName.family"},
		{"Patient.extension.url", "uri", "Extension.url"},
		{"Patient.deceasedDateTime", "dateTime", "Patient.deceased[x]"},
		{"Patient.contained.id", "id", "Resource.id"},
		{"Observation.valueQuantity.value", "decimal", "Quantity.value"},
		{"Observation.component.referenceRange.low.code", "code", "Quantity.code"},
		{"Questionnaire.item.item.item.answerOption.valueCoding.system", "uri", "Coding.system"},
		{"Timing.repeat.boundsPeriod.start", "dateTime", "Period.start"},
		{"Bundle.entry.link.url", "uri", "Bundle.link.url"},
		{"Age.comparator", "code", "Quantity.comparator"},
		{"AccessPolicyV2.rule.rule.condition.expression", "string", "Expression.expression"},
		{"date.extension.valueCode", "code", "Extension.value[x]"},
		{"Patient.value", "", ""},
		{"Observation.value", "", ""},
		{"Observation.valueRatioo", "", ""},
		{"Patient._birthDate", "", ""},
	}
	for _, version := range versions {
		set := definition.For(version)
		for _, test := range tests {
			names := strings.Split(test.path, ".")
			block := set.Type(names[0]).Block
			var field *definition.Field
			for _, name := range names[1:] {
				field = block.Field(name)
				if field != nil {
					block = field.Block
				}
			}
			switch {
			case field == nil && test.typ == "":
			case field == nil || test.typ == "":
				t.Errorf("%s: %s: field is %v", version, test.path, field)
			case field.Type.Name != test.typ || field.Element.Path != test.element:
				t.Errorf("%s: %s is a %s of %s", version, test.path, field.Type.Name, field.Element.Path)
			}
		}
	}
}

func TestElementsSayWhatTheSpecificationSays(t *testing.T) {
	t.Parallel()
	set := definition.For(fhir.R4)
	status := set.Type("Observation").Field("status").Element
	if status.Min != 1 || status.Max != 1 || !status.Modifier || !status.Summary || status.Repeats() {
		t.Errorf("Observation.status: %+v", status)
	}
	if b := status.Binding; b.Strength != "required" || b.ValueSet != "http://hl7.org/fhir/ValueSet/observation-status" {
		t.Errorf("Observation.status binding: %+v", b)
	}
	subject := set.Type("Observation").Field("subject")
	if got := strings.Join(subject.Ref.Targets, " "); got != "Patient Group Device Location" {
		t.Errorf("Observation.subject targets: %s", got)
	}
	if focus := set.Type("Observation").Field("focus"); focus.Ref.Targets != nil || !focus.Element.Repeats() {
		t.Errorf("Observation.focus may point to anything and repeats: %+v", focus.Ref)
	}
	if max := set.Type("Resource").Field("language").Element.Binding.Max; max != "http://hl7.org/fhir/ValueSet/all-languages" {
		t.Errorf("language: maximum value set %q", max)
	}
	if low := set.Type("Range").Field("low"); strings.Join(low.Ref.Profiles, "") != "SimpleQuantity" {
		t.Errorf("Range.low: profiles %v", low.Ref.Profiles)
	}
	keys := map[string]bool{}
	for _, c := range set.Type("Observation").Constraints {
		keys[c.Key] = true
	}
	if !keys["dom-2"] || !keys["obs-7"] || keys["ele-1"] {
		t.Errorf("Observation constraints: %v", keys)
	}
	if !set.IsSubtype("Patient", "DomainResource") || !set.IsSubtype("canonical", "uri") ||
		set.IsSubtype("Bundle", "DomainResource") || set.IsSubtype("Nothing", "Resource") {
		t.Error("IsSubtype")
	}
}

// TestEveryBlockIsSound walks all definitions: the validators rely on these rules unchecked.
func TestEveryBlockIsSound(t *testing.T) {
	t.Parallel()
	for _, version := range versions {
		set := definition.For(version)
		seen := map[*definition.Block]bool{}
		var walk func(*definition.Block)
		walk = func(b *definition.Block) {
			if b == nil || seen[b] {
				return
			}
			seen[b] = true
			if len(b.Elements) > 64 {
				t.Errorf("%s: %d elements", b.Path, len(b.Elements))
			}
			for i, e := range b.Elements {
				if required := b.Required>>i&1 == 1; required != (e.Min > 0) {
					t.Errorf("%s: required is %v", e.Path, required)
				}
				if e.Index != i || b.Element(e.Name) != e || len(e.Fields) == 0 || len(e.Types) != len(e.Fields) {
					t.Errorf("%s: element %d is broken: %+v", b.Path, i, e)
				}
				for _, f := range e.Fields {
					if b.Field(f.Name) != f && e.Content == nil && !e.Choice && len(e.Types) == 1 {
						t.Errorf("%s.%s: not found by name", b.Path, f.Name)
					}
					if f.Block == nil || f.Type == nil {
						t.Errorf("%s.%s: incomplete", b.Path, f.Name)
					}
					walk(f.Block)
				}
			}
		}
		for _, typ := range set.ResourceTypes() {
			walk(typ.Block)
			if _, ok := definition.TypeID(typ.Name); !ok {
				t.Errorf("%s has no number", typ.Name)
			}
			if typ.Platform != definition.IsPlatform(typ.Name) {
				t.Errorf("%s: platform type or not?", typ.Name)
			}
		}
	}
}

func TestTypeIDsAreFixed(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]int16{
		"Account": 1, "ActivityDefinition": 2, "Patient": 112, "VisionPrescription": 159,
		"Project": 1000, "AccessPolicyV2": 1005,
	} {
		id, ok := definition.TypeID(name)
		if !ok || id != want {
			t.Errorf("%s has the number %d, stored rows say %d", name, id, want)
		}
		if definition.TypeName(id) != name {
			t.Errorf("%d is %s", id, definition.TypeName(id))
		}
	}
	for _, id := range []int16{-1, 0, 500, 999, 1006} {
		if name := definition.TypeName(id); name != "" {
			t.Errorf("%d is %s", id, name)
		}
	}
	if _, ok := definition.TypeID("Resource"); ok {
		t.Error("an abstract type has a number")
	}
}

func TestSearchParams(t *testing.T) {
	t.Parallel()
	for _, version := range versions {
		set := definition.For(version)
		for typeName, codes := range map[string]string{
			"Patient": "_id _lastUpdated _profile _security _source _tag active birthdate family name link",
			"Bundle":  "_id message type",
			"Project": "_id name status fhir-version",
		} {
			for code := range strings.FieldsSeq(codes) {
				p := set.SearchParam(typeName, code)
				if p == nil || p.Expression == "" {
					t.Errorf("%s: %s.%s is missing", version, typeName, code)
				}
			}
		}
		if p := set.SearchParam("Patient", "_text"); p == nil || p.Expression != "" {
			t.Errorf("%s: _text: %+v", version, p)
		}
		if set.SearchParam("Bundle", "value-quantity") != nil || set.SearchParam("Nothing", "_id") != nil {
			t.Errorf("%s: found what is not there", version)
		}
		p := set.SearchParam("Observation", "code-value-quantity")
		if p == nil || len(p.Components) != 2 || p.Components[1].Param.Type != definition.QuantityParam {
			t.Errorf("%s: composite: %+v", version, p)
		}
		if c := set.Compartment("Patient"); c == nil || strings.Join(c.Params["Observation"], " ") != "subject performer" {
			t.Errorf("%s: Patient compartment: %+v", version, c)
		}
		if len(set.Operations()) < 40 {
			t.Errorf("%s: %d operations", version, len(set.Operations()))
		}
	}
}

// TestParamIDsDoNotCollide proves that one number never stands for two parameters, in both
// releases and the platform's types together.
func TestParamIDsDoNotCollide(t *testing.T) {
	t.Parallel()
	owner := map[int32]string{}
	for _, version := range versions {
		set := definition.For(version)
		for _, typ := range set.ResourceTypes() {
			for _, p := range set.SearchParams(typ.Name) {
				name := typ.Name + "." + p.Code
				id := definition.ParamID(typ.Name, p.Code)
				if prev := owner[id]; id <= 0 || prev != "" && prev != name {
					t.Errorf("%s and %s share the number %d", prev, name, id)
				}
				owner[id] = name
			}
		}
	}
	t.Logf("%d parameters, no collision", len(owner))
	if id := definition.ParamID("Patient", "birthdate"); id != 218419845 {
		t.Errorf("Patient.birthdate has the number %d: stored rows depend on it", id)
	}
}

func TestValueSets(t *testing.T) {
	t.Parallel()
	for _, version := range versions {
		set := definition.For(version)
		status := set.ValueSet("http://hl7.org/fhir/ValueSet/observation-status")
		if status.HasCode("final") != definition.Member || status.HasCode("Final") != definition.NotMember ||
			status.Has("http://hl7.org/fhir/observation-status", "final") != definition.Member ||
			status.Has("http://example.org", "final") != definition.NotMember || status.Size() != 8 || len(status.Some(9)) != 8 {
			t.Errorf("%s: observation-status", version)
		}
		if set.ValueSet("http://hl7.org/fhir/ValueSet/mimetypes").HasCode("text/plain") != definition.Unknown {
			t.Errorf("%s: mimetypes cannot be listed", version)
		}
		if set.ValueSet("urn:bulkhead:valueset:fhir-version").HasCode("r4b") != definition.Member {
			t.Errorf("%s: value sets of the platform", version)
		}
		if set.ValueSet("http://example.org/none") != nil {
			t.Errorf("%s: a value set nobody defined", version)
		}
	}
}
