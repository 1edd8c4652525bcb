package server_test

import (
	"strings"
	"testing"
	"time"

	"bulkhead/server/fhir"
)

func TestAResourceComesBackAsItWasSent(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	const sent = ` {"resourceType" : "Observation", "status":"final", "code":{"text":"a\u00e9\/b"},
		"meta": {"profile":["http://x/p"], "versionId":"77", "lastUpdated":"1999-01-01T00:00:00Z", "tag":[{"code":"t"}]},
		"valueQuantity":{"unit":"mg","value":1.50}, "component":[{"code":{"text":"x"},"valueQuantity":{"value":1e3}}]}`
	got := a.must(201, "POST", "Observation", sent)
	v, err := fhir.Parse(got.body)
	if err != nil {
		t.Fatal(err)
	}
	id, updated := v.Get("id").Text(), v.Get("meta").Get("lastUpdated").Text()
	want := `{"resourceType":"Observation","id":"` + id + `","status":"final","code":{"text":"a\u00e9\/b"},` +
		`"meta":{"versionId":"1","lastUpdated":"` + updated + `","profile":["http://x/p"],"tag":[{"code":"t"}]},` +
		`"valueQuantity":{"unit":"mg","value":1.50},"component":[{"code":{"text":"x"},"valueQuantity":{"value":1e3}}]}`
	if got.body != want {
		t.Errorf("stored\n%s\nwant\n%s", got.body, want)
	}
	if location := got.Header.Get("Location"); location != baseURL+a.path+"/Observation/"+id+"/_history/1" {
		t.Errorf("Location %q", location)
	}
	if got.Header.Get("ETag") != `W/"1"` || len(id) != 36 || id[14] != '7' {
		t.Errorf("ETag %q, id %q", got.Header.Get("ETag"), id)
	}
	at, err := time.Parse(time.RFC3339, updated)
	if err != nil || got.Header.Get("Last-Modified") != at.Format("Mon, 02 Jan 2006 15:04:05 GMT") {
		t.Errorf("Last-Modified %q for %s", got.Header.Get("Last-Modified"), updated)
	}
	read := a.must(200, "GET", "Observation/"+id, "")
	if read.body != want || read.Header.Get("ETag") != `W/"1"` || read.Header.Get("Content-Type") != "application/fhir+json; fhirVersion=4.0" {
		t.Errorf("read %s, %v", read.body, read.Header)
	}
	if vread := a.must(200, "GET", "Observation/"+id+"/_history/1", ""); vread.body != want {
		t.Errorf("vread %s", vread.body)
	}
}

func TestTheServerNamesANewResource(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	if id := a.create(`{"resourceType":"Patient","id":"mine"}`); id == "mine" {
		t.Error("the client's id was taken")
	}
	a.must(404, "GET", "Patient/mine", "")
}

func TestPreferSaysWhatComesBack(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	const patient = `{"resourceType":"Patient"}`
	if got := a.must(201, "POST", "Patient", patient, "Prefer", "return=minimal"); got.body != "" || got.Header.Get("Location") == "" {
		t.Errorf("minimal: %q", got.body)
	}
	if got := a.must(201, "POST", "Patient", patient, "Prefer", "respond-async, return=OperationOutcome"); !strings.Contains(got.body, `"severity":"information"`) {
		t.Errorf("OperationOutcome: %q", got.body)
	}
	if got := a.must(201, "POST", "Patient", patient, "Prefer", "return=representation"); !strings.Contains(got.body, `"Patient"`) {
		t.Errorf("representation: %q", got.body)
	}
}

func TestAReferenceMustLeadToSomethingInTheProject(t *testing.T) {
	t.Parallel()
	a, other := newAPI(t), newAPI(t)
	here, there := a.create(`{"resourceType":"Patient"}`), other.create(`{"resourceType":"Patient"}`)
	observation := func(id string) string {
		return `{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/` + id + `"}}`
	}
	a.must(201, "POST", "Observation", observation(here))
	for _, reference := range []string{"Group/none", baseURL + a.path + "/Patient/none", baseURL + a.path + "/Patient/none/_history/1", "Patient/none/_history/1"} {
		a.must(422, "POST", "Observation", strings.ReplaceAll(observation(""), "Patient/", reference))
	}
	for _, reference := range []string{baseURL + a.path + "/Patient/" + here, "https://elsewhere.example/Patient/none", "urn:uuid:4d0a5fd1-8d3b-4a8e-9c55-6f1d1f7f6b5e"} {
		a.must(201, "POST", "Observation", strings.ReplaceAll(observation(""), "Patient/", reference))
	}
	a.must(400, "POST", "Observation", strings.ReplaceAll(observation(""), "Patient/", "Patient?identifier=x"))
	before := a.count()
	missing := a.must(422, "POST", "Observation", observation("nothing"))
	foreign := a.must(422, "POST", "Observation", observation(there))
	if !strings.Contains(missing.body, `"expression":["Observation.subject.reference"]`) {
		t.Error(missing.body)
	}
	if strings.ReplaceAll(foreign.body, there, "nothing") != missing.body {
		t.Errorf("a reference into another tenant answers differently:\n%s\n%s", foreign.body, missing.body)
	}
	if a.count() != before {
		t.Error("something was stored")
	}
}
