package server_test

import (
	"strings"
	"testing"
	"time"
)

func TestReadAnswers304ToWhoHasTheVersion(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	path := "Patient/" + a.create(`{"resourceType":"Patient"}`)
	now, before := time.Now().UTC().Format(time.RFC1123), time.Now().Add(-time.Hour).UTC().Format(time.RFC1123)
	now, before = now[:len(now)-3]+"GMT", before[:len(before)-3]+"GMT"
	for _, c := range []struct {
		name    string
		headers []string
		want    int
	}{
		{"the version's tag", []string{"If-None-Match", `W/"1"`}, 304},
		{"the tag without its W", []string{"If-None-Match", `"1"`}, 304},
		{"one of several tags", []string{"If-None-Match", `W/"7", W/"1"`}, 304},
		{"any tag", []string{"If-None-Match", `*`}, 304},
		{"another tag", []string{"If-None-Match", `W/"2"`}, 200},
		{"a time since which nothing changed", []string{"If-Modified-Since", now}, 304},
		{"a time before the change", []string{"If-Modified-Since", before}, 200},
		{"a time that is none", []string{"If-Modified-Since", "yesterday"}, 200},
		{"a tag goes before a time", []string{"If-None-Match", `W/"2"`, "If-Modified-Since", now}, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := a.must(c.want, "GET", path, "", c.headers...)
			if got.Header.Get("ETag") != `W/"1"` || c.want == 304 && got.body != "" {
				t.Errorf("%v %q", got.Header, got.body)
			}
		})
	}
}

func TestHeadIsGetWithoutABody(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	path := "Patient/" + a.create(`{"resourceType":"Patient"}`)
	get, head := a.must(200, "GET", path, ""), a.must(200, "HEAD", path, "")
	if head.body != "" || head.ContentLength != int64(len(get.body)) || head.Header.Get("ETag") != get.Header.Get("ETag") {
		t.Errorf("%d bytes announced, %q sent", head.ContentLength, head.body)
	}
	a.must(404, "HEAD", "Patient/nothing", "")
}

func TestVersionsAreReadByTypeIDAndVersion(t *testing.T) {
	t.Parallel()
	a, other := newAPI(t), newAPI(t)
	id := a.create(`{"resourceType":"Patient","active":true}`)
	first := a.must(200, "GET", "Patient/"+id, "")
	a.must(200, "PUT", "Patient/"+id, `{"resourceType":"Patient","id":"`+id+`","active":false}`)
	if got := a.must(200, "GET", "Patient/"+id+"/_history/1", ""); got.body != first.body || got.Header.Get("ETag") != `W/"1"` {
		t.Errorf("version 1 became %s", got.body)
	}
	a.must(200, "GET", "Patient/"+id+"/_history/2", "")
	a.must(204, "DELETE", "Patient/"+id, "")
	a.must(410, "GET", "Patient/"+id+"/_history/3", "")
	a.must(200, "GET", "Patient/"+id+"/_history/1", "")
	missing := a.must(404, "GET", "Patient/"+id+"/_history/4", "")
	for _, path := range []string{
		"Observation/" + id + "/_history/1", "Patient/nothing/_history/1", "Patient/" + id + "/_history/0",
		"Patient/" + id + "/_history/01", "Patient/" + id + "/_history/-1", "Patient/" + id + "/_history/x", "Patient/" + id + "/_history/99999999999",
	} {
		if got := a.must(404, "GET", path, ""); got.body != missing.body {
			t.Errorf("%s: %s", path, got.body)
		}
	}
	if got := other.must(404, "GET", "Patient/"+id+"/_history/1", ""); got.body != missing.body {
		t.Error(got.body)
	}
}

func TestReadShowsAPart(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	path := "Patient/" + a.create(`{"resourceType":"Patient","text":{"status":"empty","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>"},"gender":"male","maritalStatus":{"text":"x"}}`)
	for query, want := range map[string]string{
		"_summary=true": `"gender":"male"}`, "_summary=text": `</div>"}}`, "_summary=data": `"gender":"male","maritalStatus":{"text":"x"}}`, "_elements=maritalStatus": `"maritalStatus":{"text":"x"}}`,
	} {
		got := a.must(200, "GET", path+"?"+query, "")
		if !strings.HasSuffix(got.body, want) || !strings.Contains(got.body, "SUBSETTED") {
			t.Errorf("%s: %s", query, got.body)
		}
		a.must(200, "GET", path+"/_history/1?"+query, "")
	}
	a.must(400, "GET", path+"?_summary=count", "")
}

func TestWritesHaveNoParameters(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	path := "Patient/" + a.create(`{"resourceType":"Patient"}`)
	a.must(400, "DELETE", path+"?_hardDelete=true", "")
	a.must(400, "PUT", path+"?identifier=x", `{"resourceType":"Patient"}`)
	a.must(400, "POST", "Patient?identifier=x", `{"resourceType":"Patient"}`)
	a.must(400, "PATCH", path+"?identifier=x", `[]`, "Content-Type", jsonPatch)
	a.must(204, "DELETE", path+"?_pretty=true&_format=json", "")
}
