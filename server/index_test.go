package server_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"bulkhead/db/dbtest"
)

// indexRows counts the index rows of a project, by table.
func (a *api) indexRows() map[string]int {
	a.t.Helper()
	conn := dbtest.Open(a.t).Connect(a.t, "")
	rows := map[string]int{}
	for _, table := range []string{"token", "string", "date", "number", "reference", "uri", "composite"} {
		var n int
		err := conn.QueryRow(context.Background(), fmt.Sprintf(`SELECT count(*) FROM public.index_%s WHERE tenant_id = %d AND project_id = %d`,
			table, a.caller.Tenant, a.caller.Project)).Scan(&n)
		if err != nil {
			a.t.Fatal(err)
		}
		rows[table] = n
	}
	return rows
}

// rich has rows in every index table; %s is a number and a code that change.
const rich = `{"resourceType":"Observation","id":"o","status":"final","code":{"coding":[{"system":"s","code":"c"}]},
	"meta":{"source":"urn:x:%[1]s","tag":[{"code":"%[1]s"}]},"subject":{"reference":"Patient/p"},"effectivePeriod":{"start":"20%[1]s"},
	"component":[{"code":{"coding":[{"system":"s","code":"k"}]},"valueQuantity":{"value":%[1]s,"unit":"mg","system":"http://unitsofmeasure.org","code":"mg"}},
		{"code":{"coding":[{"system":"s","code":"l"}]},"valueString":"text %[1]s"}]}`

func TestTheIndexFollowsTheResource(t *testing.T) {
	t.Parallel()
	a, fresh := newAPI(t), newAPI(t)
	for _, each := range []*api{a, fresh} {
		each.must(201, "PUT", "Patient/p", `{"resourceType":"Patient","id":"p"}`)
	}
	bare := a.indexRows()
	a.must(201, "PUT", "Observation/o", fmt.Sprintf(rich, "10"))
	first := a.indexRows()
	for table, n := range first {
		if n <= bare[table] && table != "string" {
			t.Errorf("index_%s has no row of the observation", table)
		}
	}
	for _, number := range []string{"11", "11", "12", "10", "13"} {
		a.must(200, "PUT", "Observation/o", fmt.Sprintf(rich, number))
	}
	fresh.must(201, "PUT", "Observation/o", fmt.Sprintf(rich, "13"))
	if got, want := fmt.Sprint(a.indexRows()), fmt.Sprint(fresh.indexRows()); got != want {
		t.Errorf("after updates %s, anew %s", got, want)
	}
	a.must(204, "DELETE", "Observation/o", "")
	if got := fmt.Sprint(a.indexRows()); got != fmt.Sprint(bare) {
		t.Errorf("after the deletion %s, before the creation %v", got, bare)
	}
	a.must(201, "PUT", "Observation/o", fmt.Sprintf(rich, "10"))
	if got := fmt.Sprint(a.indexRows()); got != fmt.Sprint(first) {
		t.Errorf("after it came back %s, first %v", got, first)
	}
}

// TestRoundTrips holds each interaction to what the design promises.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t)
	counted, trips := dbtest.Counted(t, d)
	tenant := d.NewTenant(t)
	a := apiOf(t, newServer(t, counted), tenant, tenant.Caller, tenant.ProjectSlug)
	const patient = `{"resourceType":"Patient","id":"a","name":[{"family":"x"}]}`
	id := a.create(patient) // the token, the project and the statements are known from here on
	a.must(201, "PUT", "Patient/a", patient)
	observation := `{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/` + id + `"}}`
	for _, c := range []struct {
		name               string
		method, path, body string
		status             int
		want               int64
	}{
		{"create", "POST", "Patient", patient, 201, 1},
		{"create with a reference", "POST", "Observation", observation, 201, 1},
		{"read", "GET", "Patient/" + id, "", 200, 1},
		{"read of nothing", "GET", "Patient/nothing", "", 404, 1},
		{"vread", "GET", "Patient/" + id + "/_history/1", "", 200, 1},
		{"update", "PUT", "Patient/a", patient, 200, 2},
		{"patch", "PATCH", "Patient/a", `[{"op":"add","path":"/active","value":true}]`, 200, 2},
		{"conditional patch", "PATCH", "Patient?family=x&_id=a", `[{"op":"add","path":"/active","value":true}]`, 200, 3},
		{"conditional update", "PUT", "Patient?family=x&_id=a", patient, 200, 3},
		{"delete", "DELETE", "Patient/a", "", 204, 2},
	} {
		var headers []string
		if c.method == "PATCH" {
			headers = []string{"Content-Type", jsonPatch}
		}
		if got := trips.During(func() { a.must(c.status, c.method, c.path, c.body, headers...) }); got != c.want {
			t.Errorf("%s: %d round trips, want %d", c.name, got, c.want)
		}
	}
}

// TestLongValuesAreStored sends values longer than an index can hold.
func TestLongValuesAreStored(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	long := strings.Repeat("x", 20_000)
	ids := map[string]string{
		"a token":             `{"resourceType":"Patient","identifier":[{"system":"urn:s","value":"` + long + `"}]}`,
		"a system":            `{"resourceType":"Patient","identifier":[{"system":"urn:` + long + `","value":"v"}]}`,
		"a string":            `{"resourceType":"Patient","name":[{"family":"` + long + `"}]}`,
		"a uri":               `{"resourceType":"ValueSet","status":"draft","url":"http://x/` + long + `"}`,
		"a profile":           `{"resourceType":"Patient","meta":{"profile":["http://x/` + long + `"]}}`,
		"an outer reference":  `{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"http://x/` + long + `"}}`,
		"a unit":              `{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":1,"unit":"` + long + `"}}`,
		"a composite's code":  `{"resourceType":"Observation","status":"final","code":{"text":"x"},"component":[{"code":{"coding":[{"system":"urn:` + long + `","code":"` + long + `"}]},"valueString":"` + long + `"}]}`,
		"a composite's value": `{"resourceType":"Observation","status":"final","code":{"text":"x"},"component":[{"code":{"coding":[{"code":"c"}]},"valueCodeableConcept":{"coding":[{"code":"` + long + `"}]}}]}`,
	}
	for name, body := range ids {
		typ := strings.Split(body, `"`)[3]
		got := a.do("POST", typ, body)
		if got.status != 201 {
			t.Errorf("%s: %d %s", name, got.status, got.body[:min(len(got.body), 300)])
		}
	}
}
