package server_test

import (
	"fmt"
	"strings"
	"testing"

	"bulkhead/server/fhir"
)

func updated(t *testing.T, body string) (version, lastUpdated string) {
	t.Helper()
	v, err := fhir.Parse(body)
	if err != nil {
		t.Fatal(err)
	}
	return v.Get("meta").Get("versionId").Text(), v.Get("meta").Get("lastUpdated").Text()
}

func TestEveryUpdateMakesANewVersion(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	created := a.must(201, "PUT", "Patient/mine", `{"resourceType":"Patient","id":"mine","name":[{"family":"Ä"}]}`)
	if created.Header.Get("Location") != baseURL+a.path+"/Patient/mine/_history/1" || created.Header.Get("ETag") != `W/"1"` {
		t.Error(created.Header)
	}
	_, last := updated(t, created.body)
	for n := 2; n < 6; n++ {
		got := a.must(200, "PUT", "Patient/mine", created.body)
		version, at := updated(t, got.body)
		if version != fmt.Sprint(n) || got.Header.Get("ETag") != `W/"`+version+`"` || at <= last {
			t.Errorf("version %s at %s, after %s", version, at, last)
		}
		last = at
		if read := a.must(200, "GET", "Patient/mine", ""); read.body != got.body {
			t.Errorf("read %s", read.body)
		}
	}
}

func TestUpdateRefusesAnotherID(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	for name, body := range map[string]string{
		"no id":        `{"resourceType":"Patient"}`,
		"another id":   `{"resourceType":"Patient","id":"other"}`,
		"a number":     `{"resourceType":"Patient","id":1}`,
		"another type": `{"resourceType":"Practitioner","id":"a"}`,
	} {
		if got := a.do("PUT", "Patient/a", body); got.status != 400 {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	for _, id := range []string{"a_b", "a%20b", "a%00", strings.Repeat("x", 65), "ä", "a%2Fb", "%27"} {
		got := a.do("PUT", "Patient/"+id, `{"resourceType":"Patient","id":"a_b"}`)
		if got.status != 400 && got.status != 404 {
			t.Errorf("%s: %d %s", id, got.status, got.body)
		}
		if got := a.do("GET", "Patient/"+id, ""); got.status != 404 {
			t.Errorf("GET %s: %d %s", id, got.status, got.body)
		}
	}
	if a.count() != 0 {
		t.Error("something was stored")
	}
}

func TestIfMatchGuardsAVersion(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	const body = `{"resourceType":"Patient","id":"a"}`
	a.must(412, "PUT", "Patient/a", body, "If-Match", `W/"1"`)
	a.must(412, "PUT", "Patient/a", body, "If-Match", "*")
	a.must(201, "PUT", "Patient/a", body, "If-None-Match", "*")
	a.must(412, "PUT", "Patient/a", body, "If-None-Match", "*")
	a.must(412, "PUT", "Patient/a", body, "If-Match", `W/"2"`)
	a.must(412, "PUT", "Patient/a", body, "If-Match", `rubbish`)
	a.must(200, "PUT", "Patient/a", body, "If-Match", `W/"1"`)
	a.must(412, "DELETE", "Patient/a", "", "If-Match", `W/"1"`)
	a.must(204, "DELETE", "Patient/a", "", "If-Match", `W/"2"`)
	a.must(412, "PUT", "Patient/a", body, "If-Match", `W/"3"`)
}

func TestADeletedResourceIsGoneAndMayComeBack(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	const body = `{"resourceType":"Patient","id":"a"}`
	a.must(204, "DELETE", "Patient/a", "")
	a.must(404, "GET", "Patient/a", "")
	a.must(201, "PUT", "Patient/a", body)
	if got := a.must(204, "DELETE", "Patient/a", ""); got.Header.Get("ETag") != `W/"2"` || got.body != "" {
		t.Error(got.Header)
	}
	got := a.must(410, "GET", "Patient/a", "")
	if code, _ := got.outcome(); code != "deleted" {
		t.Error(got.body)
	}
	a.must(204, "DELETE", "Patient/a", "")
	if got := a.must(201, "PUT", "Patient/a", body); got.Header.Get("ETag") != `W/"3"` {
		t.Error(got.Header)
	}
	a.must(200, "GET", "Patient/a", "")
}

func TestAReferenceToWhatIsDeletedIsRefused(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.must(201, "PUT", "Patient/a", `{"resourceType":"Patient","id":"a","link":[{"other":{"reference":"Patient/a"},"type":"seealso"}]}`)
	a.must(204, "DELETE", "Patient/a", "")
	a.must(422, "PUT", "Patient/b", `{"resourceType":"Patient","id":"b","link":[{"other":{"reference":"Patient/a"},"type":"seealso"}]}`)
}
