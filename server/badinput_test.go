package server_test

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strings"
	"testing"

	"bulkhead/db/dbtest"
	"bulkhead/server"
)

func zipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestBadInputIsRefusedAndNothingIsStored sends what must never reach the database.
func TestBadInputIsRefusedAndNothingIsStored(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	nested := func(n int) string {
		return `{"resourceType":"Patient","extension":` + strings.Repeat(`[{"url":"u","extension":`, n) + `[]` + strings.Repeat(`}]`, n) + `}`
	}
	for _, c := range []struct {
		name, path, body string
		headers          []string
		want             int
		code             string
	}{
		{name: "no JSON", body: `hello`, want: 400, code: "structure"},
		{name: "JSON that breaks off", body: `{"resourceType":"Patient"`, want: 400, code: "structure"},
		{name: "text after the end", body: `{"resourceType":"Patient"} {}`, want: 400, code: "structure"},
		{name: "a comment", body: `{"resourceType":"Patient" /* x */}`, want: 400, code: "structure"},
		{name: "a byte order mark", body: "\ufeff" + `{"resourceType":"Patient"}`, want: 400, code: "structure"},
		{name: "an array", body: `[]`, want: 400, code: "structure"},
		{name: "a string", body: `"Patient"`, want: 400, code: "structure"},
		{name: "null", body: `null`, want: 400, code: "structure"},
		{name: "white space", body: ` `, want: 400, code: "structure"},
		{name: "no resourceType", body: `{}`, want: 400, code: "required"},
		{name: "resourceType of another kind", body: `{"resourceType":["Patient"]}`, want: 400, code: "required"},
		{name: "another resourceType", body: `{"resourceType":"Observation"}`, want: 400, code: "invalid"},
		{name: "a duplicate member", body: `{"resourceType":"Patient","active":true,"active":false}`, want: 400, code: "structure"},
		{name: "an unknown member", body: `{"resourceType":"Patient","nonsense":1}`, want: 400},
		{name: "a missing member", path: "Observation", body: `{"resourceType":"Observation","status":"final"}`, want: 400},
		{name: "a wrong primitive", body: `{"resourceType":"Patient","birthDate":"yesterday"}`, want: 400},
		{name: "an empty array", body: `{"resourceType":"Patient","name":[]}`, want: 400},
		{name: "an object for an array", body: `{"resourceType":"Patient","name":{}}`, want: 400},
		{name: "an id that breaks the rules", body: `{"resourceType":"Patient","id":"a b"}`, want: 400},
		{name: "meta that is no object", body: `{"resourceType":"Patient","meta":[]}`, want: 400},
		{name: "a reference that is none", path: "Observation", body: `{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"nowhere at all"}}`, want: 400},
		{name: "a script in the narrative", body: `{"resourceType":"Patient","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><script>x</script></div>"}}`, want: 422},
		{name: "a depth bomb", body: strings.Repeat(`[`, 100_000), want: 400, code: "structure"},
		{name: "a depth bomb of objects", body: nested(5_000), want: 400, code: "structure"},
		{name: "an escaped NUL", body: `{"resourceType":"Patient","name":[{"family":"a\u0000b"}]}`, want: 400, code: "structure"},
		{name: "a NUL byte", body: "{\"resourceType\":\"Patient\",\"name\":[{\"family\":\"a\x00b\"}]}", want: 400, code: "structure"},
		{name: "invalid UTF-8", body: "{\"resourceType\":\"Patient\",\"name\":[{\"family\":\"a\xff\"}]}", want: 400, code: "structure"},
		{name: "a lone surrogate", body: `{"resourceType":"Patient","name":[{"family":"\ud800"}]}`, want: 400, code: "structure"},
		{name: "a number beyond float64", path: "Observation", body: `{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":1e999}}`, want: 400, code: "structure"},
		{name: "an integer beyond 32 bits", path: "Observation", body: `{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueInteger":99999999999}`, want: 400},
		{name: "no content type", body: `{"resourceType":"Patient"}`, headers: []string{"Content-Type", ""}, want: 415, code: "not-supported"},
		{name: "XML", body: `<Patient/>`, headers: []string{"Content-Type", "application/fhir+xml"}, want: 415, code: "not-supported"},
		{name: "a form", body: `a=b`, headers: []string{"Content-Type", "application/x-www-form-urlencoded"}, want: 415, code: "not-supported"},
		{name: "another charset", body: `{"resourceType":"Patient"}`, headers: []string{"Content-Type", "application/fhir+json; charset=utf-16"}, want: 415, code: "not-supported"},
		{name: "another FHIR version", body: `{"resourceType":"Patient"}`, headers: []string{"Content-Type", "application/fhir+json; fhirVersion=5.0"}, want: 415, code: "not-supported"},
		{name: "an unknown encoding", body: `{"resourceType":"Patient"}`, headers: []string{"Content-Encoding", "br"}, want: 415, code: "not-supported"},
		{name: "gzip that is none", body: `{"resourceType":"Patient"}`, headers: []string{"Content-Encoding", "gzip"}, want: 400, code: "structure"},
		{name: "gzip that breaks off", body: zipped(t, `{"resourceType":"Patient"}`)[:20], headers: []string{"Content-Encoding", "gzip"}, want: 400, code: "structure"},
		{name: "an unknown type", path: "Person2", body: `{"resourceType":"Person2"}`, want: 404, code: "not-supported"},
		{name: "an abstract type", path: "DomainResource", body: `{"resourceType":"DomainResource"}`, want: 404, code: "not-supported"},
		{name: "a datatype", path: "HumanName", body: `{"resourceType":"HumanName"}`, want: 404, code: "not-supported"},
		{name: "a type in lower case", path: "patient", body: `{"resourceType":"patient"}`, want: 404, code: "not-supported"},
		{name: "a type of project system", path: "User", body: `{"resourceType":"User"}`, want: 404, code: "not-supported"},
		{name: "an answer in XML", body: `{"resourceType":"Patient"}`, headers: []string{"Accept", "application/fhir+xml"}, want: 406, code: "not-supported"},
		{name: "an answer in another version", body: `{"resourceType":"Patient"}`, headers: []string{"Accept", "application/fhir+json; fhirVersion=3.0"}, want: 406, code: "not-supported"},
		{name: "a query that is none", path: "Patient?_format=json;x", body: `{"resourceType":"Patient"}`, want: 400, code: "value"},
		{name: "a broken escape in the query", path: "Patient?a=%zz", body: `{"resourceType":"Patient"}`, want: 400, code: "value"},
		{name: "a format unknown", path: "Patient?_format=ttl", body: `{"resourceType":"Patient"}`, want: 406, code: "not-supported"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := c.path
			if path == "" {
				path = "Patient"
			}
			got := a.do("POST", path, c.body, c.headers...)
			code, text := got.outcome()
			if got.status != c.want || code == "" || c.code != "" && code != c.code || text == "" {
				t.Errorf("%d %s, want %d %s", got.status, got.body, c.want, c.code)
			}
			if got.Header.Get("Location") != "" || got.Header.Get("X-Request-Id") == "" {
				t.Error(got.Header)
			}
		})
	}
	if a.count() != 0 {
		t.Error("something was stored")
	}
}

func TestABodyIsBoundedBeforeAndAfterUnpacking(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t)
	tenant := d.NewTenant(t)
	s := newServer(t, d.DB, func(c *server.Config) { c.MaxResource = 10_000 })
	a := apiOf(t, s, tenant, tenant.Caller, tenant.ProjectSlug)
	patient := func(n int) string {
		return `{"resourceType":"Patient","name":[{"family":"` + strings.Repeat("a", n) + `"}]}`
	}
	a.must(201, "POST", "Patient", patient(9_000))
	a.must(201, "POST", "Patient", zipped(t, patient(9_000)), "Content-Encoding", "gzip")
	for name, got := range map[string]answer{
		"a long body":        a.do("POST", "Patient", patient(10_000)),
		"a long packed body": a.do("POST", "Patient", zipped(t, patient(1_000_000)), "Content-Encoding", "gzip"),
		"a long patch":       a.do("PUT", "Patient/a", patient(10_000)),
	} {
		if code, _ := got.outcome(); got.status != 413 || code != "too-long" {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	if n := a.count(); n != 2 {
		t.Errorf("%d resources", n)
	}
}

func TestFormatsThatAreTaken(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	id := a.create(`{"resourceType":"Patient","active":true}`)
	for _, accept := range []string{
		"application/fhir+json", "application/json", "text/html, */*;q=0.1", "application/*", "application/fhir+xml;q=0.9, application/fhir+json;fhirVersion=4.0",
		"application/fhir+json; fhirVersion=4.0.1", "",
	} {
		a.must(200, "GET", "Patient/"+id, "", "Accept", accept)
	}
	for _, format := range []string{"json", "application/json", "application/fhir%2Bjson", "application/fhir+json", "text/json", "application/fhir%2Bjson%3BfhirVersion=4.0"} {
		a.must(200, "GET", "Patient/"+id+"?_format="+format, "", "Accept", "application/fhir+xml")
	}
	for _, content := range []string{"application/json", "text/json", "application/fhir+json;charset=UTF-8", "application/fhir+json; fhirVersion=4.0"} {
		a.must(201, "POST", "Patient", `{"resourceType":"Patient"}`, "Content-Type", content)
	}
	got := a.must(200, "GET", "Patient/"+id+"?_pretty=true", "")
	if !strings.HasPrefix(got.body, "{\n  \"resourceType\": \"Patient\",\n") {
		t.Error(got.body)
	}
}

func TestAnswersArePackedForWhoTakesIt(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	id := a.create(`{"resourceType":"Patient","name":[{"family":"` + strings.Repeat("a", 3000) + `"}]}`)
	plain := a.must(200, "GET", "Patient/"+id, "")
	packed := a.must(200, "GET", "Patient/"+id, "", "Accept-Encoding", "br, gzip")
	if packed.Header.Get("Content-Encoding") != "gzip" || packed.body != zippedFast(t, plain.body) {
		t.Errorf("%v, %d bytes", packed.Header, len(packed.body))
	}
	for _, refused := range []string{"identity", "gzip;q=0", "br"} {
		if got := a.must(200, "GET", "Patient/"+id, "", "Accept-Encoding", refused); got.body != plain.body {
			t.Errorf("%s: %v", refused, got.Header)
		}
	}
}

func zippedFast(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestOtherOriginsMayCall(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	got := a.must(204, "OPTIONS", "Patient", "", "Authorization", "", "Origin", "https://app.example", "Access-Control-Request-Method", "PUT")
	if !strings.Contains(got.Header.Get("Access-Control-Allow-Methods"), "PUT") || !strings.Contains(got.Header.Get("Access-Control-Allow-Headers"), "Authorization") {
		t.Error(got.Header)
	}
	got = a.must(404, "GET", "Patient/nothing", "", "Origin", "https://app.example")
	if got.Header.Get("Access-Control-Allow-Origin") != "*" || got.Header.Get("Access-Control-Allow-Credentials") != "" {
		t.Error(got.Header)
	}
}

func TestTheRouterAnswersWithOutcomes(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	if got := a.must(404, "GET", "/w/x", ""); !strings.Contains(got.body, "OperationOutcome") {
		t.Error(got.body)
	}
	got := a.must(405, "PUT", a.path+"/Patient/a/_history/1", "{}")
	if code, _ := got.outcome(); code != "not-supported" || got.Header.Get("Allow") == "" {
		t.Error(got.body, got.Header)
	}
	if got := a.do("GET", "Patient/a", "", "X-Request-Id", "abc.1"); got.Header.Get("X-Request-Id") != "abc.1" {
		t.Error(got.Header)
	}
	if got := a.do("GET", "Patient/a", "", "X-Request-Id", "a b\""); got.Header.Get("X-Request-Id") == "a b\"" {
		t.Error(got.Header)
	}
	a.must(http.StatusOK, "GET", "/.well-known/oauth-authorization-server/w/"+a.tenant.Slug, "")
}
