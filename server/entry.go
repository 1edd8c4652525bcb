package server

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"bulkhead/server/fhir"
	"bulkhead/server/validate"
)

// entry is one entry of a batch or transaction.
type entry struct {
	n        int
	fullURL  string
	method   string
	url      string      // of the request, relative to the FHIR base
	header   http.Header // the conditions of the request as HTTP has them
	resource *fhir.Value // nil when there is none

	err    error // what is wrong with it
	answer fhir.BundleResponse
	body   string // the resource of the answer
}

// at is the expression that names the entry.
func (e *entry) at() string { return "Bundle.entry[" + strconv.Itoa(e.n) + "]" }

// entryHeaders are the members of Bundle.entry.request that stand for a header.
var entryHeaders = []struct{ member, header string }{
	{"ifNoneMatch", "If-None-Match"},
	{"ifModifiedSince", "If-Modified-Since"},
	{"ifMatch", "If-Match"},
	{"ifNoneExist", "If-None-Exist"},
}

var entryMethods = map[string]bool{
	http.MethodGet: true, http.MethodHead: true, http.MethodPost: true, http.MethodPut: true, http.MethodPatch: true, http.MethodDelete: true,
}

// entries takes a Bundle apart. What is wrong with one entry stands in its err; the error returned
// is about the Bundle.
func (r *request) entries(bundle *fhir.Value) ([]*entry, error) {
	items := bundle.Get("entry")
	list := make([]*entry, 0, 64)
	if items != nil {
		for i := range items.Items {
			list = append(list, r.readEntry(i, &items.Items[i]))
		}
	}
	var whole []fhir.Issue
	for _, issue := range validate.Resource(r.set, shell(bundle), validate.StructureOnly()) {
		if n := entryIndex(issue); n >= 0 && n < len(list) {
			if list[n].err == nil {
				list[n].err = &fhir.Error{Issues: []fhir.Issue{issue}}
			}
			continue
		}
		whole = append(whole, issue)
	}
	if whole != nil {
		return nil, &fhir.Error{Issues: whole}
	}
	return list, nil
}

// shell is a Bundle without the resources in it, which are checked one by one.
func shell(bundle *fhir.Value) *fhir.Value {
	out := fhir.Value{Kind: fhir.Object, Members: append([]fhir.Member(nil), bundle.Members...)}
	items := out.Get("entry")
	if items == nil || items.Kind != fhir.Array {
		return &out
	}
	list := make([]fhir.Value, len(items.Items))
	for i, item := range items.Items {
		list[i] = item
		if item.Kind == fhir.Object {
			list[i].Members = nil
			for _, m := range item.Members {
				if m.Name != "resource" {
					list[i].Members = append(list[i].Members, m)
				}
			}
		}
	}
	*items = fhir.Value{Kind: fhir.Array, Items: list}
	return &out
}

// entryIndex returns which entry an issue is about, or -1.
func entryIndex(issue fhir.Issue) int {
	if len(issue.Expression) == 0 {
		return -1
	}
	rest, ok := strings.CutPrefix(issue.Expression[0], "Bundle.entry[")
	if !ok {
		return -1
	}
	number, _, _ := strings.Cut(rest, "]")
	n, err := strconv.Atoi(number)
	if err != nil {
		return -1
	}
	return n
}

func (r *request) readEntry(n int, v *fhir.Value) *entry {
	e := &entry{n: n, fullURL: v.Get("fullUrl").Text(), header: http.Header{}, resource: v.Get("resource")}
	asked := v.Get("request")
	e.method = asked.Get("method").Text()
	for _, h := range entryHeaders {
		if value := asked.Get(h.member).Text(); value != "" {
			e.header.Set(h.header, value)
		}
	}
	switch text := asked.Get("url"); {
	case asked == nil:
		e.err = fhir.Errorf(fhir.Required, "The entry has no request.").At(e.at() + ".request")
	case !entryMethods[e.method]:
		e.err = fhir.Errorf(fhir.CodeInvalid, "The method must be one of GET, HEAD, POST, PUT, PATCH and DELETE.").With(http.StatusBadRequest).At(e.at() + ".request.method")
	case text == nil:
		e.err = fhir.Errorf(fhir.Required, "The request has no url.").At(e.at() + ".request.url")
	default:
		e.url, e.err = r.entryURL(text.Text())
		if e.err == nil && e.url == "" {
			e.err = fhir.Errorf(fhir.NotSupported, "An entry cannot be a batch or transaction.")
		}
		e.err = e.named(e.err, ".request.url")
	}
	needs := e.method == http.MethodPost || e.method == http.MethodPut || e.method == http.MethodPatch
	if e.err == nil && needs && (e.resource == nil || e.resource.Kind != fhir.Object) && !strings.HasSuffix(e.path(), "_search") {
		e.err = fhir.Errorf(fhir.Required, "A %s needs a resource.", e.method).At(e.at() + ".resource")
	}
	return e
}

// entryURL makes the URL of an entry relative to the FHIR base.
func (r *request) entryURL(text string) (string, error) {
	text = strings.TrimPrefix(strings.TrimPrefix(text, r.base), "/")
	if _, err := url.Parse(text); err != nil || strings.Contains(text, "://") && !strings.Contains(text, "?") {
		return "", fhir.Errorf(fhir.ValueInvalid, "The url of an entry must be relative to %s.", r.base)
	}
	return text, nil
}

func (e *entry) path() string {
	path, _, _ := strings.Cut(e.url, "?")
	return path
}

// named returns err as one about this entry. What it says of the entry's own content keeps its
// expression; else the expression is that of the entry with member behind it.
func (e *entry) named(err error, member string) error {
	if err == nil {
		return nil
	}
	known, ok := errors.AsType[*fhir.Error](err)
	if !ok {
		status, issues := explain(err, "")
		if status >= http.StatusInternalServerError {
			return err
		}
		known = &fhir.Error{Status: status, Issues: issues, Err: err}
	}
	out := &fhir.Error{Status: known.Status, Err: known.Err, Issues: make([]fhir.Issue, len(known.Issues))}
	for i, issue := range known.Issues {
		if entryIndex(issue) < 0 {
			issue.Expression = []string{e.at() + member}
		}
		out.Issues[i] = issue
	}
	return out
}

// fail makes err the entry's answer. It is for a batch, where an entry harms only itself.
func (e *entry) fail(err error, requestID string) {
	status, issues := explain(e.named(err, ""), requestID)
	e.answer = fhir.BundleResponse{Status: status, Outcome: fhir.Outcome(issues)}
	e.body = ""
}
