package server

import (
	"strings"
	"testing"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
)

func TestLinksInNarrative(t *testing.T) {
	t.Parallel()
	target := func(text string) string {
		if text == "urn:a" {
			return "Patient/1"
		}
		return ""
	}
	for in, want := range map[string]string{
		`<div><a href="urn:a">urn:a</a></div>`:          `<div><a href="Patient/1">urn:a</a></div>`,
		`<div><img src='urn:a' alt="urn:a"/></div>`:     `<div><img src='Patient/1' alt="urn:a"/></div>`,
		`<div><a title=">" href = "urn:a"></a></div>`:   `<div><a title=">" href = "Patient/1"></a></div>`,
		`<div data-href="urn:a">href="urn:a"</div>`:     `<div data-href="urn:a">href="urn:a"</div>`,
		`<a href="urn:a"/><a href="b"/><a href="urn:a"`: `<a href="Patient/1"/><a href="b"/><a href="Patient/1"`,
		`<a href="urn:a`: `<a href="urn:a`,
		``:               ``,
	} {
		if got := rewriteNarrative(in, target); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", in, got, want)
		}
	}
}

// Whatever the narrative is, what no link leads to stays as it is, and what is replaced is only that.
func FuzzRewriteNarrative(f *testing.F) {
	for _, seed := range []string{`<div><a href="urn:a">x</a></div>`, `<a href='urn:a' src="urn:a">`, `"<'>="`, `<a href=urn:a>`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, div string) {
		if got := rewriteNarrative(div, func(string) string { return "" }); got != div {
			t.Errorf("%q became %q", div, got)
		}
		got := rewriteNarrative(div, func(text string) string {
			if text == "urn:a" {
				return "urn:b"
			}
			return ""
		})
		if len(got) != len(div) || strings.ReplaceAll(got, "urn:b", "urn:a") != strings.ReplaceAll(div, "urn:b", "urn:a") {
			t.Errorf("%q became %q", div, got)
		}
	})
}

func TestPathsToLinks(t *testing.T) {
	t.Parallel()
	v, err := fhir.Parse(`{"resourceType":"Patient","link":[{"other":{"reference":"Patient/1"}},{"other":{"reference":"Patient/2"}}],"contained":[{"resourceType":"Bundle","entry":[{"fullUrl":"urn:uuid:x"}]}]}`)
	if err != nil {
		t.Fatal(err)
	}
	links := findLinks(definition.For(fhir.R4), &v)
	if len(links) != 2 || pathTo(&v, links[1].at) != ".link[1].other.reference" {
		t.Errorf("%d links, the second at %s", len(links), pathTo(&v, links[len(links)-1].at))
	}
}

func TestRestBase(t *testing.T) {
	t.Parallel()
	set := definition.For(fhir.R4)
	for url, want := range map[string]string{
		"http://a.example/fhir/Patient/1": "http://a.example/fhir/", "https://a.example/Patient/1": "https://a.example/",
		"http://a.example/fhir/Nothing/1": "", "urn:uuid:x": "", "": "", "http://a": "", "http://": "", "Patient/1": "",
	} {
		if got := restBase(set, url); got != want {
			t.Errorf("%s: %q", url, got)
		}
	}
}
