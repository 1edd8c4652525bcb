package server_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"bulkhead/db/dbtest"
	"bulkhead/server/fhir"
)

const practitioner = `"resourceType":"Practitioner","identifier":[{"system":"urn:x","value":"%s"}]`

func doctor(value string) string { return "{" + fmt.Sprintf(practitioner, value) + "}" }

func TestConditionalReferencesAreResolved(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	id := a.create(doctor("d1"))
	got := a.must(200, "POST", "", transaction(
		`POST Patient {"resourceType":"Patient","generalPractitioner":[{"reference":"Practitioner?identifier=urn:x|d1"}]}`,
		`POST Patient {"resourceType":"Patient","generalPractitioner":[{"reference":"Practitioner?identifier=urn:x|d1"},{"reference":"Practitioner?identifier=urn:x%7Cnew"}]}`,
		// What an entry of the same transaction stands for can be asked for as well.
		`POST Practitioner ifNoneExist=identifier=urn:x|new `+doctor("new"),
	))
	at := locations(t, got)
	for n, want := range map[int][]string{0: {"Practitioner/" + id}, 1: {"Practitioner/" + id, at[2]}} {
		v, err := fhir.Parse(a.must(200, "GET", at[n], "").body)
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			if to := path(&v, "generalPractitioner", i, "reference").Text(); to != want[i] {
				t.Errorf("entry %d: %s, want %s", n, to, want[i])
			}
		}
	}
	if list := a.found("Patient?general-practitioner=Practitioner/" + id); len(list) != 2 {
		t.Errorf("the references are not indexed: %v", list)
	}
	a.create(doctor("twice"))
	a.create(doctor("twice"))
	for criteria, status := range map[string]int{"identifier=urn:x|none": 422, "identifier=urn:x|twice": 412, "colour=red": 400, "": 400} {
		before := a.count()
		got := a.do("POST", "", transaction(`POST Patient {"resourceType":"Patient"}`,
			`POST Patient {"resourceType":"Patient","generalPractitioner":[{"reference":"Practitioner?`+criteria+`"}]}`))
		v, _ := fhir.Parse(got.body)
		if where := path(&v, "issue", 0, "expression", 0).Text(); got.StatusCode != status || where != "Bundle.entry[1].resource.generalPractitioner[0].reference" {
			t.Errorf("%s: %d at %q: %s", criteria, got.StatusCode, where, got.body)
		}
		if a.count() != before {
			t.Errorf("%s: something was stored", criteria)
		}
	}
	if got := a.do("POST", "Patient", `{"resourceType":"Patient","generalPractitioner":[{"reference":"Practitioner?identifier=urn:x|d1"}]}`); got.StatusCode != 400 {
		t.Errorf("outside of a transaction: %d %s", got.StatusCode, got.body)
	}
}

func TestConditionalEntries(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	id := a.create(doctor("d1"))
	gone := a.create(doctor("gone"))
	got := a.must(200, "POST", "", transaction(
		`POST Practitioner fullUrl=urn:uuid:11111111-1111-4111-8111-111111111111 ifNoneExist=identifier=urn:x|d1 `+doctor("d1"),
		`POST Practitioner fullUrl=urn:uuid:22222222-2222-4222-8222-222222222222 ifNoneExist=identifier=urn:x|d2 `+doctor("d2"),
		`POST Practitioner ifNoneExist=identifier=urn:x|d2 `+doctor("d2"),
		`PUT Practitioner?identifier=urn:x|d3 `+doctor("d3"),
		`DELETE Practitioner?identifier=urn:x|gone`,
		`DELETE Practitioner?identifier=urn:x|never`,
		`POST Patient {"resourceType":"Patient","generalPractitioner":[{"reference":"urn:uuid:11111111-1111-4111-8111-111111111111"},{"reference":"urn:uuid:22222222-2222-4222-8222-222222222222"}]}`,
	))
	if codes := statuses(t, got); codes != "200 201 200 201 204 204 201" {
		t.Errorf("%s: %s", codes, got.body)
	}
	at := locations(t, got)
	if at[0] != "Practitioner/"+id || at[2] != at[1] {
		t.Errorf("%v", at)
	}
	v, _ := fhir.Parse(a.must(200, "GET", at[6], "").body)
	if one, two := path(&v, "generalPractitioner", 0, "reference").Text(), path(&v, "generalPractitioner", 1, "reference").Text(); one != at[0] || two != at[1] {
		t.Errorf("%s %s", one, two)
	}
	a.must(410, "GET", "Practitioner/"+gone, "")
	again := a.must(200, "POST", "", transaction(`PUT Practitioner?identifier=urn:x|d3 {`+fmt.Sprintf(practitioner, "d3")+`,"active":true}`))
	if codes := statuses(t, again); codes != "200" || locations(t, again)[0] != at[3] {
		t.Errorf("%s %s", codes, again.body)
	}
	// Two entries that come to the same resource by different ways.
	for _, second := range []string{`PUT Practitioner/` + id + ` {"id":"` + id + `",` + fmt.Sprintf(practitioner, "d1") + `}`, `DELETE Practitioner?identifier=urn:x|d1`} {
		if got := a.do("POST", "", transaction(`PUT Practitioner?identifier=urn:x|d1 `+doctor("d1"), second)); got.StatusCode != 400 || !strings.Contains(got.body, "Bundle.entry[1]") {
			t.Errorf("%d %s", got.StatusCode, got.body)
		}
	}
	batched := a.must(200, "POST", "", batch(
		`POST Practitioner ifNoneExist=identifier=urn:x|d1 `+doctor("d1"),
		`PUT Practitioner?identifier=urn:x|d3 `+doctor("d3"),
		`DELETE Practitioner?identifier=urn:x|d2`,
		`GET Practitioner?identifier=urn:x|d1`,
		`POST Patient {"resourceType":"Patient","generalPractitioner":[{"reference":"Practitioner?identifier=urn:x|d1"}]}`,
	))
	if codes := statuses(t, batched); codes != "200 200 204 200 400" {
		t.Errorf("%s: %s", codes, batched.body)
	}
}

// L3: criteria find what is in the own project only.
func TestL3CriteriaFindNothingElsewhere(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	d := dbtest.Open(t)
	tenant := d.NewTenant(t)
	b := apiOf(t, a.server, tenant, tenant.Caller, tenant.ProjectSlug)
	a.create(doctor("d1"))
	got := b.must(200, "POST", "", transaction(`POST Practitioner ifNoneExist=identifier=urn:x|d1 `+doctor("d1"), `PUT Practitioner?identifier=urn:x|d9 `+doctor("d9")))
	if codes := statuses(t, got); codes != "201 201" {
		t.Errorf("%s", codes)
	}
	if got := b.do("POST", "", transaction(`POST Patient {"resourceType":"Patient","generalPractitioner":[{"reference":"Practitioner?identifier=urn:x|d8"}]}`)); got.StatusCode != 422 {
		t.Errorf("%d", got.StatusCode)
	}
	if list := a.found("Practitioner?identifier=urn:x|d9"); list != nil {
		t.Errorf("%v", list)
	}
}

// Twenty transactions over the same resources in opposite orders, conditional ones among them, end
// as if one had come after the other.
func TestOverlappingTransactionsNeitherDeadlockNorLose(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	const writers, resources, rounds = 20, 6, 3
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for range rounds {
				var entries []string
				for i := range resources {
					n := i
					if w%2 == 1 {
						n = resources - 1 - i
					}
					entries = append(entries, fmt.Sprintf(`PUT Patient/p%d {"resourceType":"Patient","id":"p%d","multipleBirthInteger":%d}`, n, n, w),
						fmt.Sprintf(`POST Practitioner ifNoneExist=identifier=urn:x|d%d {"resourceType":"Practitioner","identifier":[{"system":"urn:x","value":"d%d"}]}`, n, n))
				}
				if got := a.do("POST", "", transaction(entries...)); got.StatusCode != 200 {
					t.Errorf("%d %s", got.StatusCode, got.body)
				}
			}
		})
	}
	group.Wait()
	for n := range resources {
		v, _ := fhir.Parse(a.must(200, "GET", fmt.Sprintf("Patient/p%d", n), "").body)
		if got := path(&v, "meta", "versionId").Text(); got != fmt.Sprint(writers*rounds) {
			t.Errorf("p%d has version %s: a write was lost", n, got)
		}
	}
	if list := a.found("Practitioner?_count=100"); len(list) != resources {
		t.Errorf("%d practitioners", len(list))
	}
}

// A transaction takes a number of round trips that does not grow with its entries.
func TestRoundTripsOfATransaction(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t)
	counted, trips := dbtest.Counted(t, d)
	tenant := d.NewTenant(t)
	a := apiOf(t, newServer(t, counted), tenant, tenant.Caller, tenant.ProjectSlug)
	a.create(doctor("d1"))
	var all []string
	for i := range 20 {
		all = append(all,
			`POST Patient {"resourceType":"Patient","generalPractitioner":[{"reference":"Practitioner?identifier=urn:x|d1"}]}`,
			fmt.Sprintf(`PUT Patient/p%d {"resourceType":"Patient","id":"p%d"}`, i, i),
			fmt.Sprintf(`POST Practitioner ifNoneExist=identifier=urn:x|n%d {"resourceType":"Practitioner","identifier":[{"system":"urn:x","value":"n%d"}]}`, i, i),
			fmt.Sprintf(`DELETE Patient/none%d`, i),
			fmt.Sprintf(`GET Patient/p%d`, i), `GET Patient?_total=accurate`)
	}
	plain := make([]string, 100)
	for i := range plain {
		plain[i] = `POST Patient {"resourceType":"Patient"}`
	}
	for name, c := range map[string]struct {
		bundle string
		most   int64
	}{
		"100 creates":        {transaction(plain...), 1},
		"100 of every kind":  {transaction(all...), 6},
		"the same once more": {transaction(all...), 6},
	} {
		a.must(200, "POST", "", c.bundle) // its statements are known from here on
		if got := trips.During(func() { a.must(200, "POST", "", c.bundle) }); got > c.most {
			t.Errorf("%s: %d round trips, want at most %d", name, got, c.most)
		} else {
			t.Logf("%s: %d round trips", name, got)
		}
	}
	for query, want := range map[string]int64{
		"Patient?_count=10": 1, "Patient?_count=10&_include=Patient:general-practitioner&_revinclude=Observation:subject": 1,
		"Patient?_total=accurate": 1, "Patient/_history": 1, "_history": 1, "metadata": 0,
	} {
		a.must(200, "GET", query, "")
		if got := trips.During(func() { a.must(200, "GET", query, "") }); got != want {
			t.Errorf("%s: %d round trips, want %d", query, got, want)
		}
	}
}
