package server_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
)

const jsonPatch = "application/json-patch+json"

func (a *api) patch(path, operations string, headers ...string) answer {
	a.t.Helper()
	return a.do("PATCH", path, operations, append([]string{"Content-Type", jsonPatch}, headers...)...)
}

func TestAPatchMakesAVersion(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.must(201, "PUT", "Observation/o", `{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"},"valueQuantity":{"unit":"mg","value":1.50}}`)
	got := a.patch("Observation/o", `[{"op":"replace","path":"/status","value":"amended"},{"op":"add","path":"/valueQuantity/system","value":"http://unitsofmeasure.org"},{"op":"add","path":"/valueQuantity/code","value":"mg"}]`)
	if got.status != 200 || got.Header.Get("ETag") != `W/"2"` {
		t.Fatalf("%d %s", got.status, got.body)
	}
	want := `"status":"amended","code":{"text":"x"},"valueQuantity":{"unit":"mg","value":1.50,"system":"http://unitsofmeasure.org","code":"mg"}}`
	if read := a.must(200, "GET", "Observation/o", ""); read.body != got.body || !strings.HasSuffix(read.body, want) {
		t.Error(read.body)
	}
	if history := a.must(200, "GET", "Observation/o/_history", ""); !strings.Contains(history.body, `"method":"PATCH"`) {
		t.Error(history.body)
	}
	a.must(200, "GET", "Observation/o/_history/1", "")
}

// fhirPathPatch is a FHIRPath Patch of one operation.
func fhirPathPatch(kind, path, value string) string {
	return `{"resourceType":"Parameters","parameter":[{"name":"operation","part":[{"name":"type","valueCode":"` + kind + `"},` +
		`{"name":"path","valueString":"` + path + `"},{"name":"value",` + value + `}]}]}`
}

func TestAFHIRPathPatchMakesAVersion(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.must(201, "PUT", "Patient/a", `{"resourceType":"Patient","id":"a","active":true,"birthDate":"1970-01-01"}`)
	got := a.must(200, "PATCH", "Patient/a", fhirPathPatch("replace", "Patient.birthDate", `"valueDate":"1980-02-02"`))
	if !strings.HasSuffix(got.body, `"active":true,"birthDate":"1980-02-02"}`) || got.Header.Get("ETag") != `W/"2"` {
		t.Error(got.body)
	}
}

func TestAPatchInABundle(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.must(201, "PUT", "Patient/a", `{"resourceType":"Patient","id":"a","active":true}`)
	a.must(201, "PUT", "Patient/b", identified("1", `,"id":"b"`))
	operations := base64.StdEncoding.EncodeToString([]byte(`[{"op":"replace","path":"/active","value":false}]`))
	for n, kind := range []string{"transaction", "batch"} {
		got := a.must(200, "POST", "", fmt.Sprintf(`{"resourceType":"Bundle","type":"%s","entry":[
			{"request":{"method":"PATCH","url":"Patient/a","ifMatch":"W/\"%d\""},"resource":{"resourceType":"Binary","contentType":"%s","data":"%s"}},
			{"request":{"method":"PATCH","url":"Patient?identifier=urn:mrn|1"},"resource":%s}]}`,
			kind, n+1, jsonPatch, operations, fhirPathPatch("replace", "Patient.identifier[0].value", `"valueString":"1"`)))
		if strings.Count(got.body, `"200 OK"`) != 2 {
			t.Errorf("%s: %s", kind, got.body)
		}
	}
	if got := a.must(200, "GET", "Patient/a", ""); got.Header.Get("ETag") != `W/"3"` || !strings.Contains(got.body, `"active":false`) {
		t.Error(got.body)
	}
}

func TestABadPatchChangesNothing(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.must(201, "PUT", "Patient/a", `{"resourceType":"Patient","id":"a","active":true,"name":[{"family":"x"}]}`)
	a.must(201, "PUT", "Patient/gone", `{"resourceType":"Patient","id":"gone"}`)
	a.must(204, "DELETE", "Patient/gone", "")
	before := a.count()
	const good = `[{"op":"replace","path":"/active","value":false}]`
	for _, c := range []struct {
		name, path, body string
		headers          []string
		want             []int
	}{
		{"no JSON", "Patient/a", `[`, nil, []int{400}},
		{"no array", "Patient/a", `{"op":"remove","path":"/active"}`, nil, []int{400}},
		{"an unknown operation", "Patient/a", `[{"op":"frob","path":"/active"}]`, nil, []int{400, 422}},
		{"no path", "Patient/a", `[{"op":"remove"}]`, nil, []int{400, 422}},
		{"a path to nothing", "Patient/a", `[{"op":"remove","path":"/gender"}]`, nil, []int{400, 422}},
		{"a test that fails", "Patient/a", `[{"op":"test","path":"/active","value":false},{"op":"remove","path":"/active"}]`, nil, []int{400, 409, 412, 422}},
		{"another type", "Patient/a", `[{"op":"replace","path":"/resourceType","value":"Person"}]`, nil, []int{400, 422}},
		{"another id", "Patient/a", `[{"op":"replace","path":"/id","value":"b"}]`, nil, []int{400, 422}},
		{"no id", "Patient/a", `[{"op":"remove","path":"/id"}]`, nil, []int{400, 422}},
		{"no object", "Patient/a", `[{"op":"replace","path":"","value":[]}]`, nil, []int{400, 422}},
		{"an invalid result", "Patient/a", `[{"op":"add","path":"/birthDate","value":"soon"}]`, nil, []int{400, 422}},
		{"an unknown member", "Patient/a", `[{"op":"add","path":"/nonsense","value":1}]`, nil, []int{400, 422}},
		{"a dangling reference", "Patient/a", `[{"op":"add","path":"/managingOrganization","value":{"reference":"Organization/none"}}]`, nil, []int{422}},
		{"a form", "Patient/a", good, []string{"Content-Type", "application/x-www-form-urlencoded"}, []int{415}},
		{"a JSON Patch as FHIR", "Patient/a", good, []string{"Content-Type", "application/fhir+json"}, []int{400}},
		{"a resource", "Patient/a", `{"resourceType":"Patient","id":"a"}`, []string{"Content-Type", "application/fhir+json"}, []int{400}},
		{"Parameters as a JSON Patch", "Patient/a", `{"resourceType":"Parameters"}`, nil, []int{400}},
		{"a FHIRPath that leads nowhere", "Patient/a", fhirPathPatch("replace", "Patient.gender", `"valueCode":"male"`), []string{"Content-Type", "application/fhir+json"}, []int{400, 422}},
		{"a FHIRPath of another type", "Patient/a", fhirPathPatch("replace", "Patient.active", `"valueString":"x"`), []string{"Content-Type", "application/fhir+json"}, []int{400, 422}},
		{"another version", "Patient/a", good, []string{"If-Match", `W/"2"`}, []int{412}},
		{"nothing there", "Patient/none", good, nil, []int{404}},
		{"deleted", "Patient/gone", good, nil, []int{410}},
		{"a patch that grows without end", "Patient/a", `[` + strings.Repeat(`{"op":"copy","from":"/name","path":"/name/0/given"},`, 40) + `{"op":"remove","path":"/active"}]`, nil, []int{400, 413, 422}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := a.patch(c.path, c.body, c.headers...)
			code, _ := got.outcome()
			ok := false
			for _, want := range c.want {
				ok = ok || got.status == want
			}
			if !ok || code == "" {
				t.Errorf("%d %s", got.status, got.body)
			}
		})
	}
	if a.count() != before {
		t.Error("something was stored")
	}
}

func TestPatchesAtOnceAllCount(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.must(201, "PUT", "Patient/a", `{"resourceType":"Patient","id":"a","name":[{"family":"x"}]}`)
	got := together(t, func(n int) answer {
		return a.patch("Patient/a", fmt.Sprintf(`[{"op":"add","path":"/name/-","value":{"family":"w%02d"}}]`, n))
	})
	if got[200] != writers {
		t.Error(got)
	}
	read := a.must(200, "GET", "Patient/a", "")
	for n := range writers {
		if strings.Count(read.body, fmt.Sprintf(`"w%02d"`, n)) != 1 {
			t.Errorf("patch %d is lost: %s", n, read.body)
		}
	}
	if read.Header.Get("ETag") != fmt.Sprintf(`W/"%d"`, writers+1) {
		t.Error(read.Header)
	}
}
