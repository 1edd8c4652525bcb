package server_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"bulkhead/db/dbtest"
	"bulkhead/server/fhir"
)

// bundle is the Bundle of an answer.
func (a answer) bundle(t testing.TB) fhir.Value {
	t.Helper()
	v, err := fhir.Parse(a.body)
	if err != nil || v.Get("resourceType").Text() != "Bundle" {
		t.Fatalf("%d: no Bundle: %v %s", a.StatusCode, err, a.body)
	}
	return v
}

// link is the link of a Bundle with a relation, as a path, or "".
func link(bundle *fhir.Value, relation string) string {
	if links := bundle.Get("link"); links != nil {
		for i := range links.Items {
			if links.Items[i].Get("relation").Text() == relation {
				return strings.TrimPrefix(links.Items[i].Get("url").Text(), baseURL)
			}
		}
	}
	return ""
}

// path returns the value at a path of names and indexes.
func path(v *fhir.Value, steps ...any) *fhir.Value {
	for _, step := range steps {
		switch step := step.(type) {
		case string:
			v = v.Get(step)
		case int:
			if v == nil || step >= len(v.Items) {
				return nil
			}
			v = &v.Items[step]
		}
	}
	return v
}

// entries lists request and status of the entries of all pages from one on.
func (a *api) entries(from string) (list []string) {
	a.t.Helper()
	for page := 0; from != ""; page++ {
		if page > 100 {
			a.t.Fatal("paging does not end")
		}
		b := a.must(200, "GET", from, "").bundle(a.t)
		if items := b.Get("entry"); items != nil {
			for i := range items.Items {
				e := &items.Items[i]
				list = append(list, fmt.Sprintf("%s %s %s %s", path(e, "request", "method").Text(), path(e, "request", "url").Text(),
					path(e, "response", "status").Text(), path(e, "response", "etag").Text()))
				if (e.Get("resource") == nil) != (path(e, "request", "method").Text() == "DELETE") {
					a.t.Errorf("resource of %s", list[len(list)-1])
				}
			}
		}
		from = link(&b, "next")
	}
	return list
}

func TestHistoryTellsOfEveryVersion(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.must(200, "POST", "", transaction(`PUT Patient/p {"resourceType":"Patient","id":"p"}`))
	first := a.create(`{"resourceType":"Observation","status":"final","code":{"text":"x"}}`)
	a.must(200, "POST", "", transaction(`PUT Patient/p {"resourceType":"Patient","id":"p","active":true}`))
	a.must(200, "POST", "", transaction(`DELETE Patient/p`))

	instance := []string{`DELETE Patient/p 204 No Content W/"3"`, `PUT Patient/p 200 OK W/"2"`, `PUT Patient/p 201 Created W/"1"`}
	observation := `POST Observation 201 Created W/"1"`
	for from, want := range map[string][]string{
		"Patient/p/_history":                 instance,
		"Patient/p/_history?_count=1":        instance,
		"Patient/_history":                   instance,
		"Patient/_history?_count=2":          instance,
		"_history":                           {instance[0], instance[1], observation, instance[2]},
		"_history?_count=1":                  {instance[0], instance[1], observation, instance[2]},
		"_history?_type=Observation":         {observation},
		"Observation/" + first + "/_history": {observation},
		"_history?_since=2100-01-01":         nil,
		"_history?_sort=-_lastUpdated":       {instance[0], instance[1], observation, instance[2]},
	} {
		if got := a.entries(from); strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s:\ngot  %q\nwant %q", from, got, want)
		}
	}
	b := a.must(200, "GET", "Patient/p/_history?_count=1", "").bundle(t)
	if b.Get("total").Text() != "3" || b.Get("type").Text() != "history" || path(&b, "entry", 0, "fullUrl").Text() != baseURL+a.path+"/Patient/p" {
		t.Errorf("%v", a.do("GET", "Patient/p/_history?_count=1", "").body)
	}
}

func TestHistoryOfAPeriod(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	var times []string
	for version := range 4 {
		a.do("POST", "", transaction(fmt.Sprintf(`PUT Patient/p {"resourceType":"Patient","id":"p","multipleBirthInteger":%d}`, version)))
		got := a.must(200, "GET", "Patient/p", "")
		v, _ := fhir.Parse(got.body)
		times = append(times, path(&v, "meta", "lastUpdated").Text())
		time.Sleep(3 * time.Millisecond) // versions of one millisecond cannot be told apart
	}
	versions := func(query string) string {
		var all []string
		for _, e := range a.entries(query) {
			all = append(all, strings.Trim(e[strings.LastIndexByte(e, ' '):], ` W/"`))
		}
		return strings.Join(all, "")
	}
	for _, level := range []string{"Patient/p/_history", "Patient/_history", "_history"} {
		for query, want := range map[string]string{
			"?_since=" + times[2]:  "43",
			"?_at=" + times[1]:     "2",
			"?_at=" + times[3]:     "4",
			"?_at=" + times[0][:4]: "4321",
			"?_at=2001":            "",
		} {
			if got := versions(level + query); got != want {
				t.Errorf("%s%s: versions %q, want %q", level, query, got, want)
			}
		}
	}
	between := times[1][:len(times[1])-1] // cut to a form without a zone is refused
	if got := a.do("GET", "Patient/p/_history?_at="+between, ""); got.StatusCode != 400 {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
	b := a.must(200, "GET", "Patient/p/_history?_at="+url.QueryEscape(times[1]), "").bundle(t)
	if b.Get("total").Text() != "1" {
		t.Errorf("total %s", b.Get("total").Text())
	}
}

func TestHistoryRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.must(200, "POST", "", transaction(`PUT Patient/p {"resourceType":"Patient","id":"p"}`))
	for query, status := range map[string]int{
		"Patient/p/_history?name=x": 400, "Patient/p/_history?_count=-1": 400, "Patient/p/_history?_count=a": 400,
		"Patient/p/_history?_since=yesterday": 400, "Patient/p/_history?_sort=name": 400, "Patient/p/_history?_type=Patient": 400,
		"_history?_type=Nothing": 400, "_history?_type=Project": 400, "Patient/p/_history?_count=1&_count=2": 400, "Patient/p/_history?x=%zz": 400,
		"Patient/none/_history": 404, "Nothing/_history": 404, "Patient/p/_history?_count=0": 200,
	} {
		if got := a.do("GET", query, ""); got.StatusCode != status {
			t.Errorf("%s: %d %s", query, got.StatusCode, got.body)
		}
	}
	if got := a.do("GET", "Patient/p/_history?name=x", "", "Prefer", "handling=lenient"); got.StatusCode != 200 || strings.Contains(got.body, "name=x") {
		t.Errorf("lenient: %d %s", got.StatusCode, got.body)
	}
}

// L1: a paging link is worth nothing to another tenant, project, caller or query.
func TestL1AHistoryCursorIsBoundToItsListing(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	d := dbtest.Open(t)
	tenant := d.NewTenant(t)
	others := []*api{apiOf(t, a.server, tenant, tenant.Caller, tenant.ProjectSlug)}
	for range 3 {
		for _, x := range append(others, a) {
			x.do("POST", "", transaction(`PUT Patient/p {"resourceType":"Patient","id":"p"}`))
			x.create(`{"resourceType":"Patient"}`)
		}
	}
	others = append(others, a.another())

	b := a.must(200, "GET", "Patient/_history?_count=1", "").bundle(t)
	next := link(&b, "next")
	a.must(200, "GET", next, "")
	query := next[strings.IndexByte(next, '?'):]
	for _, x := range others {
		if got := x.do("GET", "Patient/_history"+query, ""); got.StatusCode != 400 {
			t.Errorf("of another: %d %s", got.StatusCode, got.body)
		}
	}
	for _, from := range []string{"Observation/_history" + query, "_history" + query, "Patient/p/_history" + query, "Patient/_history" + query + "&_since=2001"} {
		if got := a.do("GET", from, ""); got.StatusCode != 400 {
			t.Errorf("%s: %d", from, got.StatusCode)
		}
	}
	values, _ := url.ParseQuery(query[1:])
	cursor := values.Get("_cursor")
	for i := range cursor {
		changed := []byte(cursor)
		changed[i] ^= 1
		if got := a.do("GET", "Patient/_history?_count=1&_cursor="+url.QueryEscape(string(changed)), ""); got.StatusCode != 400 {
			t.Fatalf("byte %d changed: %d", i, got.StatusCode)
		}
	}
}

// L7: a version is found by type, id and version together, in one's own project.
func TestL7HistoryOfAnotherTenantIsNotFound(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	tenant := dbtest.Open(t).NewTenant(t)
	b := apiOf(t, a.server, tenant, tenant.Caller, tenant.ProjectSlug)
	id := a.create(`{"resourceType":"Patient"}`)
	none := b.do("GET", "Patient/none/_history", "")
	got := b.do("GET", "Patient/"+id+"/_history", "")
	if got.StatusCode != 404 || got.body != none.body {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
	for _, level := range []string{"Patient/_history", "_history"} {
		if list := b.entries(level); list != nil {
			t.Errorf("%s: %v", level, list)
		}
	}
	if got := a.do("GET", "Observation/"+id+"/_history", ""); got.StatusCode != 404 {
		t.Errorf("another type: %d", got.StatusCode)
	}
	narrow := *a
	narrow.token = a.newToken("system/Patient.cruds")
	for from, status := range map[string]int{"_history": 403, "Observation/_history": 403, "_history?_type=Patient": 200, "_history?_type=Patient,Observation": 403} {
		if got := narrow.do("GET", from, ""); got.StatusCode != status {
			t.Errorf("%s with scopes for Patient: %d", from, got.StatusCode)
		}
	}
}
