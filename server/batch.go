package server

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"sync"

	"github.com/labstack/echo/v4"

	"bulkhead/server/fhir"
)

// maxEntries is how many entries a batch or transaction may have.
const maxEntries = 10_000

// batchWorkers is how many entries of a batch run at once. More would take from other requests of
// the same tenant what it saves this one.
const batchWorkers = 4

// process answers POST to the FHIR base: a batch or a transaction
// (http://hl7.org/fhir/R4/http.html#transaction).
func (s *Server) process(r *request) error {
	if err := r.checkContentType(jsonTypes, mediaType); err != nil {
		return err
	}
	text, err := r.readBody(s.MaxBundle)
	if err != nil {
		return err
	}
	bundle, err := fhir.Parse(text)
	if err != nil {
		return err
	}
	if err := checkType(&bundle, "Bundle"); err != nil {
		return err
	}
	kind := bundle.Get("type").Text()
	if kind != "batch" && kind != "transaction" {
		return fhir.Errorf(fhir.Invalid, "A Bundle that is posted to the base must be of type batch or transaction.").At("Bundle.type")
	}
	if items := bundle.Get("entry"); items != nil && len(items.Items) > maxEntries {
		return fhir.Errorf(fhir.TooLong, "A %s may have %d entries at most.", kind, maxEntries).At("Bundle.entry")
	}
	entries, err := r.entries(&bundle)
	if err != nil {
		return err
	}
	if kind == "transaction" {
		err = s.transaction(r, entries)
	} else {
		err = s.batch(r, entries)
	}
	if err != nil {
		return err
	}
	return r.answerEntries(kind+"-response", entries)
}

// answerEntries answers in the order of the request.
func (r *request) answerEntries(kind string, entries []*entry) error {
	b := fhir.Bundle{Type: kind, Links: []fhir.Link{{Relation: "self", URL: r.base}}, Entries: make([]fhir.BundleEntry, len(entries))}
	for i, e := range entries {
		b.Entries[i] = fhir.BundleEntry{Resource: e.body, Response: &e.answer}
	}
	return r.answer(http.StatusOK, string(b.Append(make([]byte, 0, b.Size()))))
}

// entryOrder is the order in which the entries of a bundle are processed, by method.
var entryOrder = [][]string{
	{http.MethodDelete}, {http.MethodPost}, {http.MethodPut, http.MethodPatch}, {http.MethodGet, http.MethodHead},
}

// batch runs each entry as a request of its own. An error is that entry's answer.
func (s *Server) batch(r *request, entries []*entry) error {
	for _, methods := range entryOrder {
		workers := 1
		if methods[0] == http.MethodPost || methods[0] == http.MethodGet {
			workers = batchWorkers // the others may be about the same resource, in this order
		}
		work := make(chan *entry)
		var group sync.WaitGroup
		for range workers {
			group.Go(func() {
				for e := range work {
					s.runEntry(r, e)
				}
			})
		}
		for _, e := range entries {
			if e.err == nil && (e.method == methods[0] || e.method == methods[len(methods)-1]) {
				work <- e
			}
		}
		close(work)
		group.Wait()
	}
	for _, e := range entries {
		if e.err != nil {
			e.fail(e.err, r.id)
		}
	}
	return context.Cause(r.ctx())
}

// runEntry answers one entry of a batch by the route that a request of its own would take. Who
// asks, and in which project, is that of the batch.
func (s *Server) runEntry(r *request, e *entry) {
	path := "/" + e.url
	if strings.HasPrefix(e.url, "?") {
		path = e.url
	}
	req, err := http.NewRequestWithContext(r.ctx(), e.method, r.base+path, http.NoBody)
	if err != nil {
		e.fail(fhir.Errorf(fhir.ValueInvalid, "The url is not well-formed."), r.id)
		return
	}
	req.Header = e.header
	if e.resource != nil {
		req.Header.Set(echo.HeaderContentType, mediaType)
	}
	req.Header["Prefer"] = r.Request().Header.Values("Prefer")
	if !r.prefersReturn() {
		req.Header.Set("Prefer", strings.Join(append(req.Header.Values("Prefer"), "return=minimal"), ", "))
	}
	w := &recorder{header: http.Header{}}
	c := s.echo.NewContext(req, w)
	own := &request{Context: c, server: s, id: r.id, outer: r, entry: e}
	c.Set(requestKey, own)
	s.echo.Router().Find(req.Method, echo.GetPath(req), c)
	if err := s.recover(c.Handler())(c); err != nil { // no middleware stands around it
		e.fail(err, r.id)
		return
	}
	e.take(w)
}

// take makes what a route answered the answer of the entry.
func (e *entry) take(w *recorder) {
	e.answer = fhir.BundleResponse{Status: w.status, Location: w.header.Get(echo.HeaderLocation), ETag: w.header.Get("ETag")}
	if at, err := http.ParseTime(w.header.Get(echo.HeaderLastModified)); err == nil {
		e.answer.LastModified = at
	}
	body := w.body.String()
	if strings.HasPrefix(body, `{"resourceType":"OperationOutcome"`) {
		e.answer.Outcome = body
	} else {
		e.body = body
	}
}

// prefersReturn tells whether the client says what it wants back of a write.
func (r *request) prefersReturn() bool {
	for _, header := range r.Request().Header.Values("Prefer") {
		if strings.Contains(header, "return=") {
			return true
		}
	}
	return false
}

// recorder keeps what a handler answers.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *recorder) Header() http.Header { return w.header }

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

func (w *recorder) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}
