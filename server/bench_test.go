package server_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"bulkhead/db/dbtest"
)

// The benchmarks cover everything but the network between client and server: token, transaction
// under row-level security, validation and a synchronous index. They print the CPU of the program
// (this test's own included) and of all of Postgres. The embedded server of the tests does not
// fsync; TEST_DATABASE_URL can name one that does.
//
//	go test -run '^$' -bench . ./server

const benchPatient = `{"resourceType":"Patient","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">A patient</div>"},
"identifier":[{"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MR"}]},"system":"http://hospital.example/mrn","value":"12345"},{"system":"http://hl7.org/fhir/sid/us-ssn","value":"999-12-3456"}],
"name":[{"use":"official","family":"Müller","given":["Anna","Maria"],"prefix":["Dr."]}],"telecom":[{"system":"phone","value":"555-1234","use":"home"}],"gender":"female","birthDate":"1970-05-17",
"address":[{"line":["1 Main Street"],"city":"Springfield","state":"MA","postalCode":"01101","country":"US"}],"maritalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-MaritalStatus","code":"M"}]},"multipleBirthBoolean":false,
"communication":[{"language":{"coding":[{"system":"urn:ietf:bcp:47","code":"en-US"}]}}]}`

const benchPatients, benchObservations = 200, 20 // the latter of each patient

// bench runs op n times on a project that holds patients and their observations.
func bench(b *testing.B, op func(a *api, n int)) {
	d := dbtest.Open(b)
	tenant := d.NewTenant(b)
	a := apiOf(b, newServer(b, d.DB), tenant, tenant.Caller, tenant.ProjectSlug)
	for p := range benchPatients {
		a.must(http.StatusOK, "POST", "", benchBundle(fmt.Sprintf("p%d", p), benchObservations))
	}
	if _, err := d.Connect(b, "").Exec(context.Background(), "ANALYZE"); err != nil {
		b.Fatal(err)
	}
	for n := range 50 { // statements are prepared, caches are warm
		op(a, -1-n)
	}
	meter := d.NewMeter(b)
	b.ReportAllocs()
	b.ResetTimer()
	for n := range b.N {
		op(a, n)
	}
	b.StopTimer()
	meter.Report(b)
}

func benchBundle(patient string, observations int) string {
	var s strings.Builder
	fmt.Fprintf(&s, `{"resourceType":"Bundle","type":"transaction","entry":[{"resource":{"id":%q,%s,"request":{"method":"PUT","url":"Patient/%s"}}`, patient, benchPatient[1:], patient)
	for n := range observations {
		fmt.Fprintf(&s, `,{"resource":%s,"request":{"method":"POST","url":"Observation"}}`, benchObservation(patient, n))
	}
	return s.String() + "]}"
}

func benchObservation(patient string, n int) string {
	return fmt.Sprintf(`{"resourceType":"Observation","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">A value</div>"},"status":"final",
"category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs"}]}],
"code":{"coding":[{"system":"http://loinc.org","code":"%d-%d"}],"text":"A value"},"subject":{"reference":"Patient/%s"},
"effectiveDateTime":"20%02d-03-04T05:06:07Z","issued":"2020-03-04T05:06:07.000Z","valueQuantity":{"value":%d.5,"unit":"mm[Hg]","system":"http://unitsofmeasure.org","code":"mm[Hg]"}}`,
		8000+n%5, n%10, patient, n%20, 60+n)
}

func BenchmarkRead(b *testing.B) {
	bench(b, func(a *api, n int) {
		a.must(http.StatusOK, "GET", fmt.Sprintf("Patient/p%d", (n+50)%benchPatients), "")
	})
}

func BenchmarkCreate(b *testing.B) {
	bench(b, func(a *api, n int) { a.must(http.StatusCreated, "POST", "Observation", benchObservation("p1", n+50)) })
}

func BenchmarkUpdate(b *testing.B) {
	bench(b, func(a *api, n int) { a.must(http.StatusOK, "PUT", "Patient/p1", `{"id":"p1",`+benchPatient[1:]) })
}

func BenchmarkSearch(b *testing.B) {
	for _, query := range []string{
		"Patient?family=mull", "Patient?family=m&_count=5&_total=accurate", "Observation?patient=p7",
		"Observation?patient=p7&code=http://loinc.org|8001-1", "Observation?patient=p7&date=ge2010", "Observation?code=http://loinc.org|8001-1",
		"Observation?patient=p7&_include=Observation:patient", "Patient?_has:Observation:patient:code=8001-1&_count=5",
	} {
		b.Run(query, func(b *testing.B) {
			bench(b, func(a *api, _ int) { a.must(http.StatusOK, "GET", query, "") })
		})
	}
}

func BenchmarkTransactionOf100(b *testing.B) {
	bench(b, func(a *api, n int) { a.must(http.StatusOK, "POST", "", benchBundle(fmt.Sprintf("t%d", n+50), 99)) })
}
