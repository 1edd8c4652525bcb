package server_test

import (
	"testing"

	"bulkhead/db/dbtest"
)

// The benchmarks cover everything but the network between client and server: token, transaction
// under row-level security, validation and index.
//
//	go test -run '^$' -bench . ./server/

const benchPatient = `{"resourceType":"Patient","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">A patient</div>"},
"identifier":[{"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MR"}]},"system":"http://hospital.example/mrn","value":"12345"},{"system":"http://hl7.org/fhir/sid/us-ssn","value":"999-12-3456"}],
"name":[{"use":"official","family":"Müller","given":["Anna","Maria"],"prefix":["Dr."]}],"telecom":[{"system":"phone","value":"555-1234","use":"home"}],"gender":"female","birthDate":"1970-05-17",
"address":[{"line":["1 Main Street"],"city":"Springfield","state":"MA","postalCode":"01101","country":"US"}],"maritalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-MaritalStatus","code":"M"}]},"multipleBirthBoolean":false,
"communication":[{"language":{"coding":[{"system":"urn:ietf:bcp:47","code":"en-US"}]}}]}`

func benchAPI(b *testing.B) *api {
	b.Helper()
	d := dbtest.Open(b)
	tenant := d.NewTenant(b)
	return apiOf(b, newServer(b, d.DB), tenant, tenant.Caller, tenant.ProjectSlug)
}

func BenchmarkRead(b *testing.B) {
	a := benchAPI(b)
	path := "Patient/" + a.create(benchPatient)
	b.ReportAllocs()
	for b.Loop() {
		a.must(200, "GET", path, "")
	}
}

func BenchmarkCreate(b *testing.B) {
	a := benchAPI(b)
	b.ReportAllocs()
	for b.Loop() {
		a.must(201, "POST", "Patient", benchPatient)
	}
}

func BenchmarkUpdate(b *testing.B) {
	a := benchAPI(b)
	body := `{"id":"a",` + benchPatient[1:]
	a.must(201, "PUT", "Patient/a", body)
	b.ReportAllocs()
	for b.Loop() {
		a.must(200, "PUT", "Patient/a", body)
	}
}
