package validate_test

import (
	"strings"
	"testing"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
	"bulkhead/server/validate"
)

func narrative(div string) *fhir.Value {
	return &fhir.Value{Kind: fhir.Object, Members: []fhir.Member{
		{Name: "resourceType", Value: fhir.StringValue("Basic")},
		{Name: "code", Value: fhir.Value{Kind: fhir.Object, Members: []fhir.Member{{Name: "text", Value: fhir.StringValue("a")}}}},
		{Name: "text", Value: fhir.Value{Kind: fhir.Object, Members: []fhir.Member{
			{Name: "status", Value: fhir.StringValue("generated")},
			{Name: "div", Value: fhir.StringValue(div)},
		}}},
	}}
}

func TestNarrative(t *testing.T) {
	t.Parallel()
	const open = `<div xmlns="http://www.w3.org/1999/xhtml">`
	valid := []string{
		open + `text</div>`,
		` <div xmlns='http://www.w3.org/1999/xhtml'><p>a &amp; b &#160; &#xA0;<br/></p><!-- note --></div> `,
		open + `<table class="grid"><tr><td colspan="2" style="width: 10px">x</td></tr></table></div>`,
		open + `<a href="https://example.org/?a=1&amp;b=2">x</a><a href="#id">y</a><img src="data:image/png;base64,AAAA" alt=""/></div>`,
		`<div>no namespace</div>`,
		open + `</div>`,
	}
	for _, div := range valid {
		if issues := validate.Resource(definition.For(fhir.R4), narrative(div)); len(issues) > 0 {
			t.Errorf("%s\n%+v", div, issues)
		}
	}
	for div, says := range map[string]string{
		`text`:                                   "begin with <div",
		`<p>text</p>`:                            "begin with <div",
		`<divx>a</divx>`:                         "<divx> is not allowed",
		open + `text`:                            "not closed",
		open + `<b>x</div>`:                      "does not close",
		open + `x</div><script>y</script>`:       "after the div",
		open + `<script>alert(1)</script></div>`: "<script> is not allowed",
		open + `<SCRIPT>alert(1)</SCRIPT></div>`: "<SCRIPT> is not allowed",
		open + `<iframe src="https://example.org"/></div>`:           "<iframe> is not allowed",
		open + `<form action="x"><input/></form></div>`:              "<form> is not allowed",
		open + `<object data="x"/></div>`:                            "<object> is not allowed",
		open + `<svg onload="x"/></div>`:                             "<svg> is not allowed",
		open + `<style>p{}</style></div>`:                            "<style> is not allowed",
		open + `<link rel="stylesheet" href="x"/></div>`:             "<link> is not allowed",
		open + `<p onclick="x">a</p></div>`:                          "onclick is not allowed",
		open + `<p ONCLICK="x">a</p></div>`:                          "ONCLICK is not allowed",
		open + `<a href="javascript:x">a</a></div>`:                  "link in href",
		open + `<a href=" JaVa&#x09;Script:x">a</a></div>`:           "link in href",
		open + `<a href="&#106;avascript&#58;x">a</a></div>`:         "link in href",
		open + `<a href="data:text/html,x">a</a></div>`:              "link in href",
		open + `<img src="data:image/svg+xml,x"/></div>`:             "link in src",
		open + `<p style="background:url(javascript:x)">a</p></div>`: "style is not allowed",
		open + `<p style="width: expres&#115;ion(x)">a</p></div>`:    "style is not allowed",
		open + `&nbsp;</div>`:                                        "&nbsp; is not defined",
		open + `a & b</div>`:                                         "begins no entity",
		open + `&#0;</div>`:                                          "not defined",
		open + `<p class=a>x</p></div>`:                              "must be in quotes",
		open + `<p class>x</p></div>`:                                "has no value",
		open + `<p class="a" class="b">x</p></div>`:                  "given twice",
		open + `<p class="a"id="b">x</p></div>`:                      "broken tag",
		open + `<p class="a<b">x</p></div>`:                          "a < in the value",
		open + `<p class="a`:                                         "does not end",
		open + `<![CDATA[x]]></div>`:                                 "declarations",
		`<?xml version="1.0"?>` + open + `x</div>`:                   "begin with <div",
		open + `<?php x?></div>`:                                     "declarations",
		open + `<!-- a -- b --></div>`:                               "broken comment",
		`<div xmlns="http://example.org">x</div>`:                    "xmlns must be",
		open + strings.Repeat("<b>", 300) + `</div>`:                 "nests too deep",
	} {
		issues := validate.Resource(definition.For(fhir.R4), narrative(div))
		if len(issues) != 1 || !strings.Contains(issues[0].Diagnostics, says) || issues[0].Expression[0] != "Basic.text.div" {
			t.Errorf("%.80s\nwanted %s, got %+v", div, says, issues)
		}
	}
	issues := validate.Resource(definition.For(fhir.R4), narrative(open+`<p> </p></div>`), validate.WithWarnings())
	if len(issues) != 1 || issues[0].Severity != "warning" || !strings.HasPrefix(issues[0].Diagnostics, "txt-2") {
		t.Errorf("an empty narrative: %+v", issues)
	}
}
