package patch

import (
	"errors"
	"strings"
	"testing"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
)

func parse(t testing.TB, text string) *fhir.Value {
	t.Helper()
	v, err := fhir.Parse(text)
	if err != nil {
		t.Fatal(text, err)
	}
	return &v
}

// code is the issue type of an error, "" for none.
func code(err error) fhir.IssueType {
	var e *fhir.Error
	if errors.As(err, &e) {
		return e.Issues[0].Code
	}
	return ""
}

func TestJSON(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		doc, ops, want string
		code           fhir.IssueType
	}{
		"lexemes and order survive": {`{"b":1.50,"a":{"y":1e3,"x":"\u0041"}}`, `[{"op":"add","path":"/a/z","value":2.0}]`, `{"b":1.50,"a":{"y":1e3,"x":"\u0041","z":2.0}}`, ""},
		"a member keeps its place":  {`{"a":1,"b":2}`, `[{"op":"replace","path":"/a","value":3}]`, `{"a":3,"b":2}`, ""},
		"a test by value":           {`{"a":1.0}`, `[{"op":"test","path":"/a","value":1}]`, `{"a":1.0}`, ""},
		"a test that fails":         {`{"a":1}`, `[{"op":"test","path":"/a","value":2}]`, "", fhir.Processing},
		"null is a value":           {`{"a":null}`, `[{"op":"test","path":"/a","value":null},{"op":"remove","path":"/a"}]`, `{}`, ""},
		"into itself":               {`{"a":{"b":1}}`, `[{"op":"move","from":"/a","path":"/a/b"}]`, "", fhir.Processing},
		"onto itself":               {`{"a":1,"b":2}`, `[{"op":"move","from":"/a","path":"/a"}]`, `{"a":1,"b":2}`, ""},
		"the whole removed":         {`{}`, `[{"op":"remove","path":""}]`, "", fhir.Processing},
		"not an array":              {`{}`, `{}`, "", fhir.Invalid},
		"a stray tilde":             {`{"~":1}`, `[{"op":"remove","path":"/~"}]`, "", fhir.Invalid},
		"a leading zero":            {`[1]`, `[{"op":"remove","path":"/00"}]`, "", fhir.Processing},
		"a doubling document": {
			`{"a":"` + strings.Repeat("x", 1000) + `"}`,
			`[` + strings.TrimSuffix(strings.Repeat(`{"op":"copy","from":"","path":"/b"},{"op":"copy","from":"","path":"/c"},`, 40), ",") + `]`, "", fhir.TooCostly,
		},
		"too many": {`{}`, `[` + strings.Repeat(`{},`, maxOperations) + `{}]`, "", fhir.TooCostly},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := JSON(parse(t, c.doc), parse(t, c.ops))
			if code(err) != c.code || err == nil && string(got.Append(nil)) != c.want {
				t.Errorf("got %.200s, %v", got.Append(nil), err)
			}
		})
	}
}

// op writes one operation of a FHIRPath Patch; the parts are the JSON members after the name.
func op(kind string, parts ...string) string {
	out := `{"name":"operation","part":[{"name":"type","valueCode":"` + kind + `"}`
	for _, p := range parts {
		out += `,{"name":` + p + `}`
	}
	return out + `]}`
}

func TestFHIRPath(t *testing.T) {
	t.Parallel()
	patient := `{"resourceType":"Patient","active":true,"birthDate":"1974-12-25","_birthDate":{"id":"b"},"name":[{"given":["A","B","C"],"_given":[null,{"id":"g"}]}],"contact":[{"gender":"male"}],"deceasedBoolean":false}`
	without := func(s string) string { return strings.ReplaceAll(patient, s, "") }
	for name, c := range map[string]struct {
		op, want string
		code     fhir.IssueType
	}{
		"a primitive and its sibling are replaced": {
			op("replace", `"path","valueString":"Patient.birthDate"`, `"value","valueDate":"2000-01-01"`),
			strings.Replace(patient, `"1974-12-25","_birthDate":{"id":"b"}`, `"2000-01-01"`, 1), "",
		},
		"a choice changes its type in its place": {
			op("replace", `"path","valueString":"Patient.deceased"`, `"value","valueDateTime":"2020"`),
			strings.Replace(patient, `"deceasedBoolean":false`, `"deceasedDateTime":"2020"`, 1), "",
		},
		"a choice is added": {
			op("add", `"path","valueString":"Patient"`, `"name","valueString":"multipleBirth"`, `"value","valueInteger":2`),
			strings.TrimSuffix(patient, "}") + `,"multipleBirthInteger":2}`, "",
		},
		"a choice is not there twice": {
			op("add", `"path","valueString":"Patient"`, `"name","valueString":"deceased"`, `"value","valueDateTime":"2020"`), "", fhir.Processing,
		},
		"siblings of a list keep step when an item goes": {
			op("delete", `"path","valueString":"Patient.name.given[0]"`),
			strings.Replace(patient, `["A","B","C"],"_given":[null,{"id":"g"}]`, `["B","C"],"_given":[{"id":"g"}]`, 1), "",
		},
		"and when one is put in": {
			op("insert", `"path","valueString":"Patient.name.given"`, `"index","valueInteger":0`, `"value","valueString":"Z"`),
			strings.Replace(patient, `["A","B","C"],"_given":[null,{"id":"g"}]`, `["Z","A","B","C"],"_given":[null,null,{"id":"g"},null]`, 1), "",
		},
		"and when one moves": {
			op("move", `"path","valueString":"Patient.name.given"`, `"source","valueInteger":1`, `"destination","valueInteger":2`),
			strings.Replace(patient, `["A","B","C"],"_given":[null,{"id":"g"}]`, `["A","C","B"],"_given":[null,null,{"id":"g"}]`, 1), "",
		},
		"the first of a list": {
			op("insert", `"path","valueString":"Patient.telecom"`, `"index","valueInteger":0`, `"value","valueContactPoint":{"value":"1"}`),
			strings.TrimSuffix(patient, "}") + `,"telecom":[{"value":"1"}]}`, "",
		},
		"what becomes empty goes too": {op("delete", `"path","valueString":"Patient.contact[0].gender"`), without(`"contact":[{"gender":"male"}],`), ""},
		"a backbone element of parts": {
			op("add", `"path","valueString":"Patient"`, `"name","valueString":"contact"`, `"value","part":[{"name":"gender","valueCode":"female"},{"name":"telecom","valueContactPoint":{"rank":1}}]`),
			strings.Replace(patient, `[{"gender":"male"}]`, `[{"gender":"male"},{"gender":"female","telecom":[{"rank":1}]}]`, 1), "",
		},
		"a contained resource": {
			op("add", `"path","valueString":"Patient"`, `"name","valueString":"contained"`, `"value","resource":{"resourceType":"Organization","id":"o"}`),
			strings.TrimSuffix(patient, "}") + `,"contained":[{"resourceType":"Organization","id":"o"}]}`, "",
		},
		"an element found by its content": {
			op("replace", `"path","valueString":"Patient.contact.where(gender = 'male').gender"`, `"value","valueCode":"other"`),
			strings.Replace(patient, `"male"`, `"other"`, 1), "",
		},
		"nothing to delete":         {op("delete", `"path","valueString":"Patient.telecom"`), patient, ""},
		"several to delete":         {op("delete", `"path","valueString":"Patient.name.given"`), "", fhir.Processing},
		"nothing to replace":        {op("replace", `"path","valueString":"Patient.gender"`, `"value","valueCode":"male"`), "", fhir.Processing},
		"a computed value":          {op("replace", `"path","valueString":"1 + 1"`, `"value","valueCode":"male"`), "", fhir.Processing},
		"no such element":           {op("add", `"path","valueString":"Patient"`, `"name","valueString":"nme"`, `"value","valueString":"x"`), "", fhir.Processing},
		"there already":             {op("add", `"path","valueString":"Patient"`, `"name","valueString":"active"`, `"value","valueBoolean":true`), "", fhir.Processing},
		"a type the choice has not": {op("add", `"path","valueString":"Patient"`, `"name","valueString":"multipleBirth"`, `"value","valueString":"x"`), "", fhir.Processing},
		"beyond the list":           {op("insert", `"path","valueString":"Patient.name"`, `"index","valueInteger":5`, `"value","valueHumanName":{"text":"x"}`), "", fhir.Processing},
		"an unknown operation":      {op("spam", `"path","valueString":"Patient"`), "", fhir.Invalid},
		"a path that is broken":     {op("delete", `"path","valueString":"Patient.("`), "", fhir.Invalid},
		"no path":                   {op("delete"), "", fhir.Invalid},
		"no value":                  {op("add", `"path","valueString":"Patient"`, `"name","valueString":"gender"`), "", fhir.Invalid},
		"the root":                  {op("delete", `"path","valueString":"Patient"`), "", fhir.Processing},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := FHIRPath(definition.For(fhir.R4), parse(t, patient), parse(t, `{"resourceType":"Parameters","parameter":[`+c.op+`]}`))
			if code(err) != c.code || err == nil && string(got.Append(nil)) != c.want {
				t.Errorf("got  %s, %v\nwant %s %s", got.Append(nil), err, c.want, c.code)
			}
			var e *fhir.Error
			if errors.As(err, &e) && e.Issues[0].Expression[0] != "Parameters.parameter[0]" {
				t.Errorf("the expression is %v", e.Issues[0].Expression)
			}
		})
	}
}

func FuzzJSON(f *testing.F) {
	f.Add(`{"a":[1,{"b":null}]}`, `[{"op":"move","from":"/a/1","path":"/a/-"},{"op":"copy","from":"/a","path":"/c"},{"op":"test","path":"/c/0","value":1.0}]`)
	f.Fuzz(func(t *testing.T, doc, ops string) {
		d, err := fhir.Parse(doc)
		if err != nil {
			return
		}
		o, err := fhir.Parse(ops)
		if err != nil {
			return
		}
		got, err := JSON(&d, &o)
		if err != nil {
			return
		}
		if string(d.Append(nil)) != string(parse(t, doc).Append(nil)) {
			t.Fatal("the document was changed")
		}
		if _, err := fhir.Parse(string(got.Append(nil))); err != nil {
			t.Fatalf("%s is no JSON: %v", got.Append(nil), err)
		}
	})
}

func FuzzFHIRPath(f *testing.F) {
	for _, kind := range []string{"add", "insert", "replace", "delete", "move"} {
		f.Add(kind, "Patient.name.given[1]", "given", 1, 0)
		f.Add(kind, "Patient.extension", "value", 0, 1)
	}
	f.Fuzz(func(t *testing.T, kind, path, name string, source, destination int) {
		doc := parse(t, `{"resourceType":"Patient","birthDate":"1974","name":[{"given":["A","B"],"_given":[null,{"id":"g"}]}],"_active":{"id":"x"}}`)
		text := func(v string) fhir.Value { return fhir.StringValue(v) }
		number := func(n int) fhir.Value { return fhir.Value{Kind: fhir.Number, Raw: string(rune('0' + n&7))} }
		part := func(n, member string, v fhir.Value) fhir.Value {
			return fhir.Value{Kind: fhir.Object, Members: []fhir.Member{{Name: "name", Value: text(n)}, {Name: member, Value: v}}}
		}
		parameters := parse(t, `{"resourceType":"Parameters"}`)
		operation := part("operation", "part", fhir.Value{Kind: fhir.Array, Items: []fhir.Value{
			part("type", "valueCode", text(kind)), part("path", "valueString", text(path)), part("name", "valueString", text(name)),
			part("value", "valueString", text("x")), part("index", "valueInteger", number(source)),
			part("source", "valueInteger", number(source)), part("destination", "valueInteger", number(destination)),
		}})
		parameters.Members = append(parameters.Members, fhir.Member{Name: "parameter", Value: fhir.Value{Kind: fhir.Array, Items: []fhir.Value{operation}}})
		before := string(doc.Append(nil))
		got, err := FHIRPath(definition.For(fhir.R4), doc, parameters)
		if string(doc.Append(nil)) != before {
			t.Fatal("the resource was changed")
		}
		if err == nil {
			parse(t, string(got.Append(nil)))
		}
	})
}
