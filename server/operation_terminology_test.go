package server_test

import (
	"strings"
	"testing"

	"bulkhead/server/fhir"
)

// holdColours stores a code system, a value set and a concept map with the same canonical URLs and
// ids in every project, and content of its own.
func holdColours(a *api, one, two string) {
	a.t.Helper()
	a.must(201, "PUT", "CodeSystem/c", `{"resourceType":"CodeSystem","id":"c","url":"http://example.org/cs","version":"1","name":"C","status":"active","content":"complete",
		"concept":[{"code":"`+one+`","display":"Display of `+one+`","designation":[{"language":"de","value":"Farbe"}],"concept":[{"code":"`+two+`","display":"Two"}]}]}`)
	a.must(201, "PUT", "ValueSet/v", `{"resourceType":"ValueSet","id":"v","url":"http://example.org/vs","status":"active","compose":{"include":[{"system":"http://example.org/cs"}]}}`)
	a.must(201, "PUT", "ConceptMap/m", `{"resourceType":"ConceptMap","id":"m","url":"http://example.org/cm","status":"active","group":[{"source":"http://example.org/cs","target":"http://example.org/other",
		"element":[{"code":"`+one+`","target":[{"code":"t-`+one+`","equivalence":"equivalent"}]}]}]}`)
}

func TestTerminologyOfTwoTenantsNeverMixes(t *testing.T) {
	t.Parallel()
	a, b := pair(t)
	holdColours(a, "red", "pink")
	holdColours(b, "blue", "navy")
	for range 2 {
		for x, c := range map[*api][4]string{a: {"red", "pink", "blue", "navy"}, b: {"blue", "navy", "red", "pink"}} {
			for path, want := range map[string]string{
				"ValueSet/$expand?url=http://example.org/vs":                                                            `"total":2`,
				"ValueSet/v/$expand?filter=" + c[0]:                                                                     `"code":"` + c[0] + `"`,
				"ValueSet/$validate-code?url=http://example.org/vs&system=http://example.org/cs&code=" + c[1]:           `"valueBoolean":true`,
				"ValueSet/$validate-code?url=http://example.org/vs&system=http://example.org/cs&code=" + c[2]:           `"valueBoolean":false`,
				"CodeSystem/$validate-code?url=http://example.org/cs&code=" + c[3]:                                      `"valueBoolean":false`,
				"CodeSystem/$lookup?system=http://example.org/cs&code=" + c[0]:                                          "Display of " + c[0],
				"CodeSystem/$subsumes?system=http://example.org/cs&codeA=" + c[0] + "&codeB=" + c[1]:                    `"subsumes"`,
				"ConceptMap/$translate?url=http://example.org/cm&system=http://example.org/cs&code=" + c[0]:             "t-" + c[0],
				"ConceptMap/$translate?system=http://example.org/cs&targetsystem=http://example.org/other&code=" + c[0]: "t-" + c[0],
			} {
				got := x.must(200, "GET", path, "")
				if !strings.Contains(got.body, want) || strings.Contains(got.body, c[2]) && !strings.Contains(path, c[2]) {
					t.Errorf("%s: %s", path, got.body)
				}
			}
			x.must(404, "GET", "CodeSystem/$lookup?system=http://example.org/cs&code="+c[2], "")
			if got := x.must(200, "GET", "ConceptMap/$translate?system=http://example.org/cs&code="+c[2], ""); !strings.Contains(got.body, `"valueBoolean":false`) {
				t.Error(got.body)
			}
		}
	}
	a.must(204, "DELETE", "ValueSet/v", "")
	a.must(404, "GET", "ValueSet/$expand?url=http://example.org/vs", "")
	b.must(200, "GET", "ValueSet/$expand?url=http://example.org/vs", "")
}

func TestTheSpecificationsTerminologyIsEverywhere(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"r4", "r4b"} {
		a := newAPI(t, version)
		for path, want := range map[string]string{
			"ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/administrative-gender":                                                                                `"display":"Female"`,
			"ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/administrative-gender&filter=fem":                                                                     `"total":1`,
			"ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/administrative-gender&offset=1&count=2":                                                               `"total":4,"offset":1,"contains":[{"system":"http://hl7.org/fhir/administrative-gender","version"`,
			"ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/administrative-gender&offset=9":                                                                       `"offset":9}`,
			"CodeSystem/$lookup?system=http://terminology.hl7.org/CodeSystem/v3-MaritalStatus&code=M":                                                                "Married",
			"CodeSystem/$subsumes?system=http://terminology.hl7.org/CodeSystem/v3-ActCode&codeA=IMP&codeB=ACUTE":                                                     `"subsumes"`,
			"ValueSet/$validate-code?url=http://hl7.org/fhir/ValueSet/administrative-gender&system=http://hl7.org/fhir/administrative-gender&code=male":              `"valueBoolean":true`,
			"ValueSet/$validate-code?url=http://hl7.org/fhir/ValueSet/administrative-gender&system=http://hl7.org/fhir/administrative-gender&code=male&display=Mann": `"valueBoolean":false`,
			"ConceptMap/$translate?system=http://hl7.org/fhir/address-use&code=home&targetsystem=http://terminology.hl7.org/CodeSystem/v3-AddressUse":                `"code":"H"`,
		} {
			if got := a.must(200, "GET", path, ""); !strings.Contains(got.body, want) {
				t.Errorf("%s %s: %s", version, path, got.body)
			}
		}
	}
}

func TestTerminologyOperationsTakeParameters(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	holdColours(a, "red", "pink")
	parameters := func(list string) string { return `{"resourceType":"Parameters","parameter":[` + list + `]}` }
	for name, c := range map[string]struct{ path, body, want string }{
		"a value set sent along": {"ValueSet/$expand", parameters(`{"name":"valueSet","resource":{"resourceType":"ValueSet","status":"draft","compose":{"include":[{"system":"http://example.org/cs","concept":[{"code":"pink"}]}]}}}`), `"total":1`},
		"designations":           {"ValueSet/$expand", parameters(`{"name":"url","valueUri":"http://example.org/vs"},{"name":"includeDesignations","valueBoolean":true}`), `"Farbe"`},
		"a language":             {"ValueSet/$expand", parameters(`{"name":"url","valueUri":"http://example.org/vs"},{"name":"displayLanguage","valueCode":"de"}`), `"display":"Farbe"`},
		"a coding":               {"ValueSet/v/$validate-code", parameters(`{"name":"coding","valueCoding":{"system":"http://example.org/cs","code":"red"}}`), `"valueBoolean":true`},
		"one of two codings":     {"ValueSet/v/$validate-code", parameters(`{"name":"codeableConcept","valueCodeableConcept":{"coding":[{"system":"http://x","code":"x"},{"system":"http://example.org/cs","code":"pink"}]}}`), `"valueBoolean":true`},
		"a coding to look up":    {"CodeSystem/$lookup", parameters(`{"name":"coding","valueCoding":{"system":"http://example.org/cs","code":"pink"}}`), `"valueCode":"parent"`},
		"two codings":            {"CodeSystem/$subsumes", parameters(`{"name":"codingA","valueCoding":{"system":"http://example.org/cs","code":"pink"}},{"name":"codingB","valueCoding":{"system":"http://example.org/cs","code":"red"}}`), "subsumed-by"},
		"backwards":              {"ConceptMap/m/$translate", parameters(`{"name":"code","valueCode":"t-red"},{"name":"reverse","valueBoolean":true}`), `"code":"red"`},
		"in a batch":             {"", batch(`GET ValueSet/$expand?url=http://example.org/vs`), `"total":2`},
	} {
		if got := a.must(200, "POST", c.path, c.body); !strings.Contains(got.body, c.want) {
			t.Errorf("%s: %s", name, got.body)
		}
	}
}

func TestBadInputOfTerminologyOperations(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	holdColours(a, "red", "pink")
	a.must(201, "PUT", "ValueSet/loop", `{"resourceType":"ValueSet","id":"loop","url":"http://example.org/loop","status":"active","compose":{"include":[{"valueSet":["http://example.org/loop"]}]}}`)
	for path, c := range map[string]struct {
		status     int
		expression string
	}{
		"ValueSet/$expand": {400, "url"},
		"ValueSet/$expand?url=http://example.org/none":                           {404, "url"},
		"ValueSet/$expand?url=http://example.org/vs&valueSetVersion=9":           {404, "url"},
		"ValueSet/$expand?url=http://example.org/vs&count=-1":                    {400, "count"},
		"ValueSet/$expand?url=http://example.org/vs&count=1000000":               {400, "count"},
		"ValueSet/$expand?url=http://example.org/vs&offset=x":                    {400, "offset"},
		"ValueSet/$expand?url=http://example.org/vs&activeOnly=maybe":            {400, "activeOnly"},
		"ValueSet/$expand?url=http://example.org/vs&url=http://example.org/vs":   {400, "url"},
		"ValueSet/$expand?url=http://example.org/vs&unheard=1":                   {400, "unheard"},
		"ValueSet/$expand?url=http://example.org/loop":                           {422, ""},
		"ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/clinical-findings":    {422, ""},
		"ValueSet/none/$expand":                                                  {404, ""},
		"Patient/$expand?url=http://example.org/vs":                              {404, ""},
		"Patient/$validate-code?url=http://example.org/vs&code=x":                {404, ""},
		"ValueSet/$validate-code?url=http://example.org/vs":                      {400, "code"},
		"CodeSystem/$lookup?system=http://example.org/cs":                        {400, "code"},
		"CodeSystem/$lookup?code=red":                                            {400, "system"},
		"CodeSystem/$lookup?system=http://example.org/none&code=red":             {404, "system"},
		"CodeSystem/$lookup?system=http://example.org/cs&code=none":              {404, "code"},
		"CodeSystem/$subsumes?system=http://example.org/cs&codeA=red":            {400, "codeB"},
		"CodeSystem/$subsumes?system=http://example.org/cs&codeA=red&codeB=none": {404, "codeB"},
		"ConceptMap/$translate?url=http://example.org/none&code=x":               {404, "url"},
		"ConceptMap/$translate?url=http://example.org/cm":                        {400, "code"},
	} {
		got := a.do("GET", path, "")
		if have := strings.Join(got.expressions(), " "); got.status != c.status || have != c.expression {
			t.Errorf("%s: %d, want %d: %s", path, got.status, c.status, got.body)
		}
	}
	for name, body := range map[string]string{
		"no Parameters": `{"resourceType":"Patient"}`, "no list": `{"resourceType":"Parameters","parameter":{}}`, "no name": `{"resourceType":"Parameters","parameter":[{"valueUri":"x"}]}`,
		"an object for a text": `{"resourceType":"Parameters","parameter":[{"name":"url","valueCoding":{}}]}`, "a text for an object": `{"resourceType":"Parameters","parameter":[{"name":"valueSet","valueString":"x"}]}`,
		"two values": `{"resourceType":"Parameters","parameter":[{"name":"url","valueUri":"x","valueString":"x"}]}`,
	} {
		if got := a.do("POST", "ValueSet/$expand", body); got.status != 400 || len(got.expressions()) != 1 {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
}

// TestTerminologyKeepsToTheScopes: what of the project a token may not read does not come out by way
// of another type.
func TestTerminologyKeepsToTheScopes(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	holdColours(a, "red", "pink")
	a.with("system/CodeSystem.r").must(403, "GET", "ValueSet/$expand?url=http://example.org/vs", "")
	if got := a.with("system/ValueSet.r").do("GET", "ValueSet/$expand?url=http://example.org/vs", ""); got.status != 422 || strings.Contains(got.body, "red") {
		t.Errorf("%d %s", got.status, got.body)
	}
	a.with("system/ValueSet.r system/CodeSystem.r").must(200, "GET", "ValueSet/$expand?url=http://example.org/vs", "")
}

func TestOperationsAreDeclared(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	v, err := fhir.Parse(a.must(200, "GET", "metadata", "").body)
	if err != nil {
		t.Fatal(err)
	}
	declared := map[string]bool{}
	for _, resource := range v.Get("rest").Items[0].Get("resource").Items {
		if list := resource.Get("operation"); list != nil {
			for _, op := range list.Items {
				declared[resource.Get("type").Text()+" "+op.Get("name").Text()] = true
			}
		}
	}
	for _, want := range []string{"Patient validate", "ValueSet expand", "ValueSet validate-code", "CodeSystem lookup", "CodeSystem subsumes", "ConceptMap translate"} {
		if !declared[want] {
			t.Errorf("%s is not declared", want)
		}
	}
}

func TestSearchAsksTheTerminologyOfTheProject(t *testing.T) {
	t.Parallel()
	a, b := pair(t)
	holdColours(a, "red", "pink")
	holdColours(b, "blue", "red")
	for _, x := range []*api{a, b} {
		for _, code := range []string{"red", "pink", "blue"} {
			x.must(201, "PUT", "Basic/"+code, `{"resourceType":"Basic","id":"`+code+`","code":{"coding":[{"system":"http://example.org/cs","code":"`+code+`"}]}}`)
		}
	}
	found := func(x *api, query string) string {
		v, err := fhir.Parse(x.must(200, "GET", "Basic?_sort=_id&"+query, "").body)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		if list := v.Get("entry"); list != nil {
			for i := range list.Items {
				ids = append(ids, list.Items[i].Get("resource").Get("id").Text())
			}
		}
		return strings.Join(ids, " ")
	}
	for query, want := range map[string][2]string{
		"code:in=http://example.org/vs":           {"pink red", "blue red"},
		"code:not-in=http://example.org/vs":       {"blue", "pink"},
		"code:below=http://example.org/cs|red":    {"pink red", "red"},
		"code:above=http://example.org/cs|red":    {"red", "blue red"},
		"code:below=http://example.org/other|red": {"", ""},
	} {
		for i, x := range []*api{a, b} {
			if got := found(x, query); got != want[i] {
				t.Errorf("%s in %d: %q, want %q", query, i, got, want[i])
			}
		}
	}
	if got := a.do("GET", "Basic?code:in=http://example.org/none", ""); got.status != 400 || strings.Join(got.expressions(), "") != "code:in" {
		t.Errorf("an unknown value set: %d %s", got.status, got.body)
	}
	if got := a.with("system/Basic.s").do("GET", "Basic?code:in=http://example.org/vs", ""); got.status != 400 {
		t.Errorf("a value set that the token may not read: %d %s", got.status, got.body)
	}
}
