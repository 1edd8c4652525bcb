package server_test

import (
	"fmt"
	"strings"
	"testing"
)

func identified(value string, more ...string) string {
	return `{"resourceType":"Patient","identifier":[{"system":"urn:mrn","value":"` + value + `"}]` + strings.Join(more, "") + `}`
}

func TestIfNoneExistCreatesOnce(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	const criteria = "identifier=urn:mrn|1"
	first := a.must(201, "POST", "Patient", identified("1"), "If-None-Exist", criteria)
	again := a.must(200, "POST", "Patient", identified("1", `,"active":true`), "If-None-Exist", criteria)
	if again.body != first.body || again.Header.Get("ETag") != `W/"1"` || again.Header.Get("Location") != first.Header.Get("Location") {
		t.Errorf("%v %s", again.Header, again.body)
	}
	a.must(200, "POST", "Patient", identified("1"), "If-None-Exist", "?"+criteria)
	if got := a.must(200, "POST", "Patient", identified("1"), "If-None-Exist", criteria, "Prefer", "return=minimal"); got.body != "" {
		t.Error(got.body)
	}
	a.must(201, "POST", "Patient", identified("1"))
	got := a.must(412, "POST", "Patient", identified("1"), "If-None-Exist", criteria)
	if code, _ := got.outcome(); code != "multiple-matches" {
		t.Error(got.body)
	}
}

func TestConditionalUpdate(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	const path = "Patient?identifier=urn:mrn|1"
	created := a.must(201, "PUT", path, identified("1"))
	id := strings.Split(created.Header.Get("Location"), "/")[11]
	if !strings.Contains(created.body, `"id":"`+id+`"`) || len(id) != 36 {
		t.Fatalf("%q %s", id, created.body)
	}
	got := a.must(200, "PUT", path, identified("1", `,"active":true`))
	if got.Header.Get("ETag") != `W/"2"` || !strings.Contains(got.body, `"id":"`+id+`"`) {
		t.Error(got.body)
	}
	a.must(200, "PUT", path, identified("1", `,"id":"`+id+`"`))
	a.must(400, "PUT", path, identified("1", `,"id":"other"`))
	a.must(412, "PUT", path, identified("1"), "If-Match", `W/"1"`)
	a.must(200, "PUT", path, identified("1"), "If-Match", `W/"3"`)

	a.must(201, "PUT", "Patient?identifier=urn:mrn|2", identified("2", `,"id":"mine"`))
	a.must(200, "GET", "Patient/mine", "")
	if got := a.must(409, "PUT", "Patient?identifier=urn:mrn|3", identified("3", `,"id":"mine"`)); strings.Contains(got.body, "mine") {
		t.Error(got.body)
	}
	a.must(201, "POST", "Patient", identified("1"))
	a.must(412, "PUT", path, identified("1"))
}

func TestConditionalDelete(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	const path = "Patient?identifier=urn:mrn|1"
	a.must(204, "DELETE", path, "")
	id := a.create(identified("1"))
	keep := a.create(identified("2"))
	a.must(204, "DELETE", path, "")
	a.must(410, "GET", "Patient/"+id, "")
	a.must(204, "DELETE", path, "")
	for range 5 {
		a.create(identified("1"))
	}
	a.must(412, "DELETE", path, "")
	if got := a.must(200, "DELETE", path+"&_count=3", ""); !strings.Contains(got.body, "Deleted: 3. More") {
		t.Error(got.body)
	}
	if got := a.must(200, "DELETE", path+"&_count=1000", ""); !strings.Contains(got.body, `"Deleted: 2."`) {
		t.Error(got.body)
	}
	if got := a.must(200, "DELETE", path+"&_count=1000", ""); !strings.Contains(got.body, `"Deleted: 0."`) {
		t.Error(got.body)
	}
	a.must(200, "GET", "Patient/"+keep, "")
	for _, count := range []string{"0", "-1", "1001", "x", ""} {
		a.must(400, "DELETE", path+"&_count="+count, "")
	}
}

// TestCriteriaThatCatchTooMuchAreRefused holds for what a mistake would make match everything.
func TestCriteriaThatCatchTooMuchAreRefused(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.create(identified("1"))
	before := a.count()
	for _, query := range []string{
		"", "?", "?&", "?_format=json", "?identifier=", "?identifier", "?identifier=&active=true", "?nonsense=1", "?_include=Patient:organization",
		"?identifier=urn:mrn|1&_sort=_id", "?identifier=urn:mrn|1;active=true", "?identifier=%zz", "?identifier=urn:mrn|1&_cursor=x", "?identifier=%00",
	} {
		for _, method := range []string{"DELETE", "PUT", "PATCH"} {
			body := map[string]string{"PUT": identified("1"), "PATCH": `[]`}[method]
			contentType := map[string]string{"PUT": "application/fhir+json", "PATCH": jsonPatch}[method]
			if got := a.do(method, "Patient"+query, body, "Content-Type", contentType); got.status != 400 {
				t.Errorf("%s %s: %d %s", method, query, got.status, got.body)
			}
		}
		if query != "" && !strings.ContainsAny(query, ";") && !strings.Contains(query, "%00") {
			if got := a.do("POST", "Patient", identified("1"), "If-None-Exist", query); got.status != 400 {
				t.Errorf("If-None-Exist %s: %d %s", query, got.status, got.body)
			}
		}
	}
	if a.count() != before {
		t.Error("something was stored")
	}
}

func TestConditionsNeedTheScopeToSearch(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.create(identified("1"))
	blind := a.with("system/Patient.crud")
	const path = "Patient?identifier=urn:mrn|1"
	blind.must(403, "POST", "Patient", identified("1"), "If-None-Exist", "identifier=urn:mrn|1")
	blind.must(403, "PUT", path, identified("1"))
	blind.must(403, "DELETE", path, "")
	blind.must(403, "PATCH", path, `[]`, "Content-Type", jsonPatch)
}

// TestConditionsSeeOneProject is leak class L3: criteria never match another tenant's resource.
func TestConditionsSeeOneProject(t *testing.T) {
	t.Parallel()
	a, b := newAPI(t), newAPI(t)
	id := a.create(identified("1"))
	b.must(204, "DELETE", "Patient?identifier=urn:mrn|1", "")
	b.must(201, "POST", "Patient", identified("1"), "If-None-Exist", "identifier=urn:mrn|1")
	b.must(200, "PUT", "Patient?identifier=urn:mrn|1", identified("1", `,"active":true`))
	b.must(204, "DELETE", "Patient?_id="+id, "")
	if got := a.must(200, "GET", "Patient/"+id, ""); got.Header.Get("ETag") != `W/"1"` {
		t.Error(got.body)
	}
}

func TestOfConditionalCreatesOneWins(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	got := together(t, func(int) answer {
		return a.do("POST", "Patient", identified("1"), "If-None-Exist", "identifier=urn:mrn|1")
	})
	if got[201] != 1 || got[200] != writers-1 || a.count() != 1 {
		t.Error(got, a.count())
	}
}

func TestConditionalUpdatesFollowOneAnother(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	got := together(t, func(n int) answer {
		return a.do("PUT", "Patient?identifier=urn:mrn|1", identified("1", fmt.Sprintf(`,"name":[{"family":"w%d"}]`, n)))
	})
	if got[201] != 1 || got[200] != writers-1 || a.count() != writers {
		t.Error(got, a.count())
	}
}

// TestAConditionThatCeasesToHoldIsLookedUpAgain mixes writers that know the id with writers that
// look for what the former change.
func TestAConditionThatCeasesToHoldIsLookedUpAgain(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.must(201, "PUT", "Patient/a", identified("1", `,"id":"a"`))
	got := together(t, func(n int) answer {
		switch n % 3 {
		case 0:
			return a.do("PUT", "Patient/a", identified(fmt.Sprint(n%2), `,"id":"a"`))
		case 1:
			return a.do("PUT", "Patient?identifier=urn:mrn|1", identified("1", `,"active":true`))
		default:
			return a.do("DELETE", "Patient?identifier=urn:mrn|1&_count=10", "")
		}
	})
	for status := range got {
		if status != 200 && status != 201 && status != 409 && status != 412 {
			t.Error(got)
		}
	}
}

// TestOpenEndsOfPeriodsAreWithoutEnd looks through the index for what the period covers.
func TestOpenEndsOfPeriodsAreWithoutEnd(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	encounter := func(id, period string) string {
		return `{"resourceType":"Encounter","id":"` + id + `","status":"planned","class":{"code":"AMB"},"period":` + period + `}`
	}
	a.must(201, "PUT", "Encounter/since", encounter("since", `{"start":"2000-01-01"}`))
	a.must(201, "PUT", "Encounter/until", encounter("until", `{"end":"1990-12-31"}`))
	for query, want := range map[string]int{
		"_id=since&date=gt9998": 200, "_id=since&date=lt2000-01-02": 200, "_id=since&date=lt2000": 201, "_id=since&date=2000": 201, "_id=since&date=sa1999": 200,
		"_id=until&date=lt0002": 200, "_id=until&date=ge1990-12-31": 200, "_id=until&date=gt1991": 201, "_id=until&date=eb1991": 200, "_id=until&date=1990": 201,
	} {
		got := a.do("POST", "Encounter", encounter("x", `{"start":"1995","end":"1995"}`), "If-None-Exist", query)
		if got.status != want {
			t.Errorf("%s: %d %s", query, got.status, got.body)
		}
	}
	a.must(200, "PUT", "Encounter/since", encounter("since", `{"start":"2000-01-01","end":"2000-01-02"}`))
	a.must(201, "POST", "Encounter", encounter("x", `{"start":"1995","end":"1995"}`), "If-None-Exist", "_id=since&date=gt9998")
}
