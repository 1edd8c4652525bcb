package server_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"bulkhead/server/fhir"
)

// FuzzRequest sends anything anywhere below a project's FHIR base: no request is the server's fault,
// and every refusal is an OperationOutcome.
func FuzzRequest(f *testing.F) {
	a := newAPI(f)
	for _, seed := range [][5]string{
		{"GET", "Patient/a", "", "application/fhir+json", ""},
		{"PUT", "Patient/a", "", "application/fhir+json", `{"resourceType":"Patient","id":"a"}`},
		{"PATCH", "Patient/a", "", "application/json-patch+json", `[{"op":"add","path":"/active","value":true}]`},
		{"POST", "", "", "application/fhir+json", `{"resourceType":"Bundle","type":"transaction","entry":[{"fullUrl":"urn:uuid:1","request":{"method":"POST","url":"Patient"},"resource":{"resourceType":"Patient"}}]}`},
		{"GET", "Observation", "date=ge2020&code=a|b,c&_sort=-date&_include=Observation:subject&_total=accurate", "", ""},
		{"DELETE", "Patient", "identifier=a|b&_count=3", "", ""},
		{"POST", "Patient/_search", "", "application/x-www-form-urlencoded", "name=x"},
		{"GET", "Patient/a/_history/1", "_summary=true", "", ""},
		{"GET", "_history", "_since=2020-01-01&_at=2021", "", ""},
		{"POST", "Patient/$validate", "mode=create", "application/json", `{"resourceType":"Patient","name":[{}]}`},
		{"GET", "Patient/a/*", "_type=Observation", "", ""},
		{"GET", "metadata", "_pretty=true&_format=json", "", ""},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3], seed[4])
	}
	f.Fuzz(func(t *testing.T, method, path, query, contentType, body string) {
		req, err := http.NewRequest(method, "http://fhir.example/", strings.NewReader(body))
		if err != nil {
			return
		}
		req.URL = &url.URL{Path: a.path + "/" + path, RawQuery: query}
		req.Header.Set("Authorization", "Bearer "+a.token)
		req.Header.Set("Content-Type", contentType)
		w := httptest.NewRecorder()
		a.server.ServeHTTP(w, req)
		if w.Code >= 500 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if w.Code < 400 || method == http.MethodHead {
			return
		}
		v, err := fhir.Parse(w.Body.String())
		if err != nil || v.Get("resourceType").Text() != "OperationOutcome" {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	})
}
