package server_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"bulkhead/db/dbtest"
	"bulkhead/server/fhir"
)

// found lists the entries of all pages from one on as Type/id, includes with a plus sign.
func (a *api) found(from string) (list []string) {
	a.t.Helper()
	for page := 0; from != ""; page++ {
		if page > 200 {
			a.t.Fatal("paging does not end")
		}
		b := a.must(200, "GET", from, "").bundle(a.t)
		list = append(list, entriesOf(&b)...)
		from = link(&b, "next")
	}
	return list
}

func entriesOf(b *fhir.Value) (list []string) {
	if items := b.Get("entry"); items != nil {
		for i := range items.Items {
			e := &items.Items[i]
			name := path(e, "resource", "resourceType").Text() + "/" + path(e, "resource", "id").Text()
			switch path(e, "search", "mode").Text() {
			case "include":
				name = "+" + name
			case "outcome":
				name = "outcome"
			}
			list = append(list, name)
		}
	}
	return list
}

// ward stores two patients and their observations under ids of its choice.
func ward(a *api) {
	a.must(200, "POST", "", transaction(
		`PUT Patient/p1 {"resourceType":"Patient","id":"p1","name":[{"family":"Ångström","given":["Ada"]}],"birthDate":"1980-01-02","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>"}}`,
		`PUT Patient/p2 {"resourceType":"Patient","id":"p2","name":[{"family":"Byron"}],"birthDate":"1990"}`,
		`PUT Observation/o1 {"resourceType":"Observation","id":"o1","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8867-4"}]},"subject":{"reference":"Patient/p1"},"effectiveDateTime":"2024-01-01T10:00:00Z","valueQuantity":{"value":60.0,"unit":"/min"}}`,
		`PUT Observation/o2 {"resourceType":"Observation","id":"o2","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8867-4"}]},"subject":{"reference":"Patient/p2"},"effectiveDateTime":"2024-02-01"}`,
		`PUT Observation/o3 {"resourceType":"Observation","id":"o3","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"718-7"}]},"subject":{"reference":"Patient/p1"},"effectiveDateTime":"2024-03-01"}`,
	))
}

func TestSearch(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	ward(a)
	for query, want := range map[string]string{
		"Patient?family=ang":                                  "Patient/p1",
		"Patient?name=byron&birthdate=1990":                   "Patient/p2",
		"Observation?patient=p1&code=http://loinc.org|8867-4": "Observation/o1",
		"Observation?patient=Patient/p1&date=ge2024-02":       "Observation/o3",
		"Observation?_id=o1,o2&_sort=_id":                     "Observation/o1 Observation/o2",
		"Observation?_id=o1&_include=Observation:subject":     "Observation/o1 +Patient/p1",
		"Patient?_id=p2&_revinclude=Observation:subject":      "Patient/p2 +Observation/o2",
		"Observation?patient.family=Byron":                    "Observation/o2",
		"Patient?_has:Observation:patient:code=718-7":         "Patient/p1",
		"Patient/p1/Observation?code=8867-4":                  "Observation/o1",
		"Patient/none/Observation":                            "",
		"?_type=Patient,Observation&_id=p1,o1":                "Patient/p1 Observation/o1",
		"?_id=p2":                                             "Patient/p2",
		"Patient?family=nobody":                               "",
		"Observation?_count=1&_sort=_id":                      "Observation/o1 Observation/o2 Observation/o3",
		"Patient?_count=0":                                    "",
	} {
		got := a.found(query)
		if strings.HasPrefix(query, "?") {
			slices.Sort(got)
			want := strings.Fields(want)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("%s: %v", query, got)
			}
			continue
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", query, got, want)
		}
	}
	everything := a.found("Patient/p1/*")
	slices.Sort(everything)
	if strings.Join(everything, " ") != "Observation/o1 Observation/o3" {
		t.Errorf("compartment: %v", everything)
	}
}

func TestSearchByPost(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	ward(a)
	form := []string{"Content-Type", "application/x-www-form-urlencoded"}
	got := a.must(200, "POST", "Observation/_search?patient=p1", "code="+url.QueryEscape("http://loinc.org|8867-4"), form...).bundle(t)
	if list := entriesOf(&got); len(list) != 1 || list[0] != "Observation/o1" {
		t.Errorf("%v", list)
	}
	if self := link(&got, "self"); !strings.HasPrefix(self, a.path+"/Observation?") || len(a.found(self)) != 1 {
		t.Errorf("self: %s", self)
	}
	a.must(200, "POST", "_search", "_type=Patient&_id=p1", form...)
	a.must(200, "POST", "Patient/p1/Observation/_search", "code=8867-4", form...)
	a.must(200, "POST", "Patient/_search?_id=p1", "")
	a.must(415, "POST", "Patient/_search", "{}")
	a.must(413, "POST", "Patient/_search", "_id="+strings.Repeat("x", 2<<20), form...)
}

func TestSearchShapesItsAnswer(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	ward(a)
	plain := a.must(200, "GET", "Observation?_id=o1", "")
	stored := a.must(200, "GET", "Observation/o1", "")
	if !strings.Contains(plain.body, `"resource":`+stored.body+`,"search"`) {
		t.Errorf("the stored bytes are not in the answer:\n%s\n%s", stored.body, plain.body)
	}
	b := plain.bundle(t)
	if b.Get("total") != nil || path(&b, "entry", 0, "fullUrl").Text() != baseURL+a.path+"/Observation/o1" {
		t.Error(plain.body)
	}
	for query, want := range map[string]string{
		"Observation?_total=accurate&_count=1": "3", "Observation?_summary=count": "3", "Patient?_count=0": "2", "Observation?_total=estimate&patient=p1": "2",
	} {
		b := a.must(200, "GET", query, "").bundle(t)
		if got := b.Get("total").Text(); got != want {
			t.Errorf("%s: total %q", query, got)
		}
	}
	for query, members := range map[string]string{
		"_summary=text":              "resourceType id meta text",
		"_summary=data":              "resourceType id meta name birthDate",
		"_summary=true":              "resourceType id meta name birthDate",
		"_elements=birthDate,absent": "resourceType id meta birthDate",
		"_summary=false":             "resourceType id meta name birthDate text",
	} {
		b := a.must(200, "GET", "Patient?_id=p1&"+query, "").bundle(t)
		var names []string
		for _, m := range path(&b, "entry", 0, "resource").Members {
			names = append(names, m.Name)
		}
		tagged := path(&b, "entry", 0, "resource", "meta", "tag", 0, "code").Text() == "SUBSETTED"
		if strings.Join(names, " ") != members || tagged != (query != "_summary=false") {
			t.Errorf("%s: %v, tagged %v", query, names, tagged)
		}
	}
}

func TestSearchRefusesWhatItDoesNotUnderstand(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	ward(a)
	for query, status := range map[string]int{
		"Patient?colour=red": 400, "Patient?birthdate=soon": 400, "Patient?_count=many": 400, "Patient?name:sounds=x": 400,
		"Patient?_id=%zz": 400, "Nothing?x=y": 404, "Patient?_cursor=abc": 400, "?_type=Nothing": 400, "?_type=Project": 404,
		"Patient?_include=Nothing:x": 400, "Patient/p1/Nothing": 404,
	} {
		got := a.do("GET", query, "")
		if code, _ := got.outcome(); got.StatusCode != status || code == "" {
			t.Errorf("%s: %d %s", query, got.StatusCode, got.body)
		}
	}
	got := a.must(200, "GET", "Patient?colour=red&_id=p1", "", "Prefer", "handling=lenient")
	b := got.bundle(t)
	if list := strings.Join(entriesOf(&b), " "); list != "Patient/p1 outcome" || strings.Contains(link(&b, "self"), "colour") {
		t.Errorf("%s: %s", list, got.body)
	}
}

func TestSearchKeepsToTheScopes(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	ward(a)
	narrow := a.with("system/Observation.rs")
	for query, status := range map[string]int{
		"Observation?code=718-7": 200, "Patient?family=ang": 403, "": 403, "?_type=Observation": 200, "?_type=Patient": 403,
		"Observation?patient.family=ang": 403, "Observation?subject:Patient._id=p1": 403, "Patient?_has:Observation:patient:code=1": 403,
		"Patient/p1/Observation": 403, "Patient/p1/*": 403,
	} {
		if got := narrow.do("GET", query, ""); got.StatusCode != status && !(strings.HasPrefix(query, "Patient/p1/") && got.StatusCode == 200 && query != "Patient/p1/*") {
			t.Errorf("%s: %d %s", query, got.StatusCode, got.body)
		}
	}
	if list := narrow.found("Observation?_id=o1&_include=Observation:subject"); strings.Join(list, " ") != "Observation/o1" {
		t.Errorf("an include beyond the scopes: %v", list)
	}
	a.with("system/Patient.r").must(403, "GET", "Patient?_id=p1", "")
}

// L1, L2, L4, L5, L11: another tenant's search finds, counts, sorts and includes nothing of ours,
// and is told nothing by it.
func TestL2SearchStaysInItsProject(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	d := dbtest.Open(t)
	tenant := d.NewTenant(t)
	b := apiOf(t, a.server, tenant, tenant.Caller, tenant.ProjectSlug)
	c := apiOf(t, a.server, a.tenant, d.NewProject(t, a.tenant, "second", "r4"), "second")
	ward(a)
	for _, other := range []*api{b, c} {
		// A row of its own that refers to the same ids.
		other.must(200, "POST", "", transaction(
			`PUT Patient/p1 {"resourceType":"Patient","id":"p1","name":[{"family":"Other"}]}`,
			`PUT Observation/o9 {"resourceType":"Observation","id":"o9","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p1"}}`,
		))
		for query, want := range map[string]string{
			"Patient":                        "Patient/p1",
			"Patient?_id=p1,p2":              "Patient/p1",
			"?_id=p2,o1":                     "",
			"Patient?family=ang":             "",
			"Observation?_id=o1":             "",
			"Observation?patient.family=ang": "", // L4
			"Patient?_has:Observation:patient:code=8867-4":                                                "",                           // L4
			"Observation?_include=Observation:subject":                                                    "Observation/o9 +Patient/p1", // L5
			"Patient?_revinclude=Observation:subject":                                                     "Patient/p1 +Observation/o9", // L5
			"Patient?_id=p1&_revinclude:iterate=Observation:subject&_include:iterate=Observation:subject": "Patient/p1 +Observation/o9",
			"Patient/p1/Observation":                                                                      "Observation/o9",
			"Patient?_sort=family":                                                                        "Patient/p1",
		} {
			got := other.found(query)
			if strings.Join(got, " ") != want {
				t.Errorf("%s: %v, want %s", query, got, want)
			}
		}
		v := other.must(200, "GET", "Patient?_summary=count", "").bundle(t)
		if v.Get("total").Text() != "1" { // L11
			t.Errorf("total %s", v.Get("total").Text())
		}
		page := a.must(200, "GET", "Observation?_count=1", "").bundle(t)
		next := link(&page, "next")
		if got := other.do("GET", "Observation"+next[strings.IndexByte(next, '?'):], ""); got.StatusCode != 400 { // L1
			t.Errorf("a cursor of another: %d", got.StatusCode)
		}
	}
}

func TestPagesGoForwardsAndBack(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	var entries []string
	for i := range 23 {
		entries = append(entries, fmt.Sprintf(`PUT Patient/p%02d {"resourceType":"Patient","id":"p%02d","name":[{"family":"F%02d"}]}`, i, i, i/3))
	}
	a.must(200, "POST", "", transaction(entries...))
	for _, query := range []string{"Patient?_count=3", "Patient?_count=3&_sort=family", "Patient?_count=3&_sort=-_lastUpdated,_id"} {
		var pages [][]string
		var prevs []string
		from := query
		for from != "" {
			b := a.must(200, "GET", from, "").bundle(t)
			pages = append(pages, entriesOf(&b))
			prevs = append(prevs, link(&b, "previous"))
			from = link(&b, "next")
		}
		if all := slices.Concat(pages...); len(all) != 23 || len(slices.Compact(slices.Sorted(slices.Values(all)))) != 23 {
			t.Errorf("%s: %v", query, pages)
		}
		for n := range pages {
			if (prevs[n] == "") != (n == 0) {
				t.Errorf("%s: page %d has previous %q", query, n, prevs[n])
				continue
			}
			if n > 0 {
				b := a.must(200, "GET", prevs[n], "").bundle(t)
				if got := entriesOf(&b); !slices.Equal(got, pages[n-1]) {
					t.Errorf("%s: before page %d comes %v, want %v", query, n, got, pages[n-1])
				}
			}
		}
	}
}

// Pages show each resource that was there from the start once, whatever is written meanwhile.
func TestPagingIsStableWhileRowsAreWritten(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	var entries, want []string
	for i := range 60 {
		entries = append(entries, fmt.Sprintf(`PUT Patient/old%02d {"resourceType":"Patient","id":"old%02d","name":[{"family":"x"}]}`, i, i))
		want = append(want, fmt.Sprintf("Patient/old%02d", i))
	}
	a.must(200, "POST", "", transaction(entries...))
	stop := make(chan struct{})
	var writers sync.WaitGroup
	for w := range 2 {
		writers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				a.do("POST", "Patient", `{"resourceType":"Patient","name":[{"family":"x"}]}`)
				id := fmt.Sprintf("old%02d", (i*7+w)%60)
				a.do("PUT", "Patient/"+id, `{"resourceType":"Patient","id":"`+id+`","name":[{"family":"x"}],"active":true}`)
			}
		})
	}
	for _, query := range []string{"Patient?_count=7", "Patient?name=x&_count=7", "Patient?_count=7&_sort=_id"} {
		var old []string
		for _, name := range a.found(query) {
			if strings.HasPrefix(name, "Patient/old") {
				old = append(old, name)
			}
		}
		slices.Sort(old)
		if !slices.Equal(old, want) {
			t.Errorf("%s: %d of 60: %v", query, len(old), old)
		}
	}
	close(stop)
	writers.Wait()
}
