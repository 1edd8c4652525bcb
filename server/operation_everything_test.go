package server_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"bulkhead/server/fhir"
)

// chart stores two patients under the same ids in every tenant, with one mark in their content.
func chart(a *api, mark string) {
	a.t.Helper()
	put := func(typ, id, rest string) string {
		return fmt.Sprintf(`PUT %s/%s {"resourceType":"%s","id":"%s","meta":{"tag":[{"code":"%s"}]}%s}`, typ, id, typ, id, mark, rest)
	}
	observation := func(id, patient, date string) string {
		return put("Observation", id, `,"status":"final","code":{"text":"x"},"effectiveDateTime":"`+date+`","encounter":{"reference":"Encounter/e-`+patient+
			`"},"subject":{"reference":"Patient/`+patient+`"},"performer":[{"reference":"Practitioner/dr"}],"focus":[{"reference":"Patient/q"}]`)
	}
	entries := []string{put("Practitioner", "dr", ""), put("Patient", "p", `,"generalPractitioner":[{"reference":"Practitioner/dr"}]`), put("Patient", "q", "")}
	for _, patient := range []string{"p", "q"} {
		entries = append(entries, put("Encounter", "e-"+patient, `,"status":"finished","class":{"code":"AMB"},"period":{"start":"2021-05-01","end":"2021-05-02"},"subject":{"reference":"Patient/`+patient+`"}`),
			observation("o1-"+patient, patient, "2020-01-01"), observation("o2-"+patient, patient, "2021-06-01"))
	}
	a.must(200, "POST", "", transaction(entries...))
}

// listed reads a Bundle: the names of its entries, and the URL of the next page below the FHIR base.
func (a answer) listed(t testing.TB, path string) (names []string, next string) {
	t.Helper()
	v, err := fhir.Parse(a.body)
	if err != nil {
		t.Fatal(err)
	}
	if list := v.Get("entry"); list != nil {
		for i := range list.Items {
			r := list.Items[i].Get("resource")
			names = append(names, r.Get("resourceType").Text()+"/"+r.Get("id").Text())
		}
	}
	for _, l := range v.Get("link").Items {
		if l.Get("relation").Text() == "next" {
			_, next, _ = strings.Cut(l.Get("url").Text(), path+"/")
		}
	}
	slices.Sort(names)
	return slices.Compact(names), next
}

func TestEverythingIsTheCompartmentOfOnePatient(t *testing.T) {
	t.Parallel()
	a, b := pair(t)
	chart(a, "mark-a")
	chart(b, "mark-b")
	const all = "Encounter/e-p Observation/o1-p Observation/o2-p Patient/p Practitioner/dr"
	for path, want := range map[string]string{
		"Patient/p/$everything":                                 all,
		"Patient/p/$everything?_type=Observation":               "Observation/o1-p Observation/o2-p",
		"Patient/p/$everything?_type=Observation,Practitioner":  "Observation/o1-p Observation/o2-p Practitioner/dr",
		"Patient/p/$everything?start=2021-01-01":                "Encounter/e-p Observation/o2-p Patient/p Practitioner/dr",
		"Patient/p/$everything?end=2020-12-31":                  "Observation/o1-p Patient/p Practitioner/dr",
		"Patient/p/$everything?_since=2100-01-01T00:00:00Z":     "",
		"Patient/p/$everything?_since=2000-01-01T00:00:00.000Z": all,
		"Encounter/e-p/$everything":                             "Encounter/e-p Observation/o1-p Observation/o2-p Patient/p Practitioner/dr",
	} {
		for x, other := range map[*api]string{a: "mark-b", b: "mark-a"} {
			got := x.must(200, "GET", path, "")
			names, _ := got.listed(t, x.path)
			if have := strings.Join(names, " "); have != want || strings.Contains(got.body, other) {
				t.Errorf("%s: %s, want %s", path, have, want)
			}
		}
	}
	var seen []string
	pages := 0
	for next := "Patient/p/$everything?_count=2"; next != ""; pages++ {
		var names []string
		got := a.must(200, "GET", next, "")
		if names, next = got.listed(t, a.path); pages == 0 {
			_, cursor, _ := strings.Cut(next, "_cursor=")
			if got := b.do("GET", next, ""); got.status != 400 {
				t.Errorf("a cursor of another tenant: %d", got.status)
			}
			if got := a.do("GET", "Patient/q/$everything?_count=2&_cursor="+cursor, ""); got.status != 400 {
				t.Errorf("a cursor of another patient: %d", got.status)
			}
		}
		seen = append(seen, names...)
	}
	slices.Sort(seen)
	if have := strings.Join(slices.Compact(seen), " "); have != all || pages != 2 {
		t.Errorf("in %d pages: %s", pages, have)
	}
}

func TestBadInputOfEverything(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	chart(a, "x")
	for path, c := range map[string]struct {
		status     int
		expression string
	}{
		"Patient/none/$everything":               {404, ""},
		"Observation/o1-p/$everything":           {404, ""},
		"Patient/p/$everything?start=x":          {400, "start"},
		"Patient/p/$everything?_since=yesterday": {400, "_since"},
		"Patient/p/$everything?_type=Nothing":    {400, "_type"},
		"Patient/p/$everything?_count=-1":        {400, "_count"},
		"Patient/p/$everything?_cursor=x":        {400, "_cursor"},
		"Patient/p/$everything?name=x":           {400, "name"},
	} {
		got := a.do("GET", path, "")
		if have := strings.Join(got.expressions(), " "); got.status != c.status || have != c.expression {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
	a.with("system/Patient.rs").must(403, "GET", "Patient/p/$everything", "")
	a.with("system/Patient.rs system/Observation.rs").must(200, "GET", "Patient/p/$everything?_type=Observation", "")
	a.with("system/*.s").must(403, "GET", "Patient/p/$everything", "")
}

func TestLabelsAreAddedAndDeleted(t *testing.T) {
	t.Parallel()
	a, b := pair(t)
	for _, x := range []*api{a, b} {
		x.must(201, "PUT", "Patient/p", `{"resourceType":"Patient","id":"p","meta":{"tag":[{"system":"s","code":"old"}]}}`)
	}
	labels := func(meta string) string {
		return `{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":` + meta + `}]}`
	}
	const both = `{"tag":[{"system":"s","code":"new"}],"security":[{"system":"s","code":"R"}]}`
	for range 2 { // the second time nothing changes
		got := a.must(200, "POST", "Patient/p/$meta-add", labels(both))
		if !strings.Contains(got.body, `"versionId":"2"`) || !strings.Contains(got.body, `"old"`) || !strings.Contains(got.body, `"security"`) {
			t.Error(got.body)
		}
	}
	if names, _ := a.must(200, "GET", "Patient?_tag=s|new", "").listed(t, a.path); len(names) != 1 {
		t.Error("the new tag is not found")
	}
	got := a.must(200, "POST", "Patient/p/$meta-delete", labels(both))
	if !strings.Contains(got.body, `"versionId":"3"`) || strings.Contains(got.body, "security") || !strings.Contains(got.body, `"old"`) {
		t.Error(got.body)
	}
	if got := b.must(200, "GET", "Patient/p/$meta", ""); !strings.Contains(got.body, `"versionId":"1"`) {
		t.Errorf("another tenant's: %s", got.body)
	}
	for name, c := range map[string]struct {
		path, body string
		status     int
	}{
		"nothing":        {"Patient/p/$meta-add", labels(`{"tag":{}}`), 400},
		"no meta":        {"Patient/p/$meta-add", `{"resourceType":"Parameters","parameter":[]}`, 400},
		"a bad tag":      {"Patient/p/$meta-add", labels(`{"tag":[{"nothing":1}]}`), 400},
		"no such one":    {"Patient/none/$meta-add", labels(both), 404},
		"not Parameters": {"Patient/p/$meta-add", both, 400},
	} {
		if got := a.do("POST", c.path, c.body); got.status != c.status {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	a.with("system/Patient.rs").must(403, "POST", "Patient/p/$meta-add", labels(both))
}
