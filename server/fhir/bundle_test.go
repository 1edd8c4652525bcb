package fhir_test

import (
	"testing"
	"time"

	"bulkhead/server/fhir"
)

func TestBundleWritesStoredBytesUnchanged(t *testing.T) {
	t.Parallel()
	total := int64(2)
	at := time.Date(2024, 2, 29, 23, 59, 58, 7_000_000, time.FixedZone("", 3600))
	b := fhir.Bundle{
		Type: "searchset", Total: &total,
		Links: []fhir.Link{{Relation: "self", URL: `http://x/Patient?name="a"`}},
		Entries: []fhir.BundleEntry{
			{FullURL: "http://x/Patient/1", Resource: `{"z":1.50, "a" : 1e3}`, Mode: "match"},
			{Method: "DELETE", URL: "Patient/1", Response: &fhir.BundleResponse{Status: 204, ETag: `W/"2"`, LastModified: at}},
			{Response: &fhir.BundleResponse{Status: 404, Outcome: `{}`}},
			{},
		},
	}
	want := `{"resourceType":"Bundle","type":"searchset","total":2,"link":[{"relation":"self","url":"http://x/Patient?name=\"a\""}],"entry":[` +
		`{"fullUrl":"http://x/Patient/1","resource":{"z":1.50, "a" : 1e3},"search":{"mode":"match"}},` +
		`{"request":{"method":"DELETE","url":"Patient/1"},"response":{"status":"204 No Content","etag":"W/\"2\"","lastModified":"2024-02-29T22:59:58.007Z"}},` +
		`{"response":{"status":"404 Not Found","outcome":{}}},{}]}`
	if got := string(b.Append(nil)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := string((&fhir.Bundle{Type: "history", Tag: &fhir.Coding{System: "s", Code: "c"}, Time: at}).Append(nil)); got !=
		`{"resourceType":"Bundle","meta":{"tag":[{"system":"s","code":"c"}]},"type":"history","timestamp":"2024-02-29T22:59:58.007Z"}` {
		t.Errorf("got %s", got)
	}
	if _, err := fhir.Parse(want); err != nil {
		t.Error(err)
	}
}
