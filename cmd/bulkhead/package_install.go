package main

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"bulkhead/server/fhir"
)

// packageRetry is how long a busy server is asked again.
const packageRetry = 2 * time.Minute

// Sizes of the requests of an installation.
const (
	packageLookUps = 40      // definitions looked up in one batch
	packageGroup   = 50      // definitions stored in one transaction
	packageBody    = 8 << 20 // bytes of one transaction, but for a single definition
)

// installer stores the definitions of a package by batches and transactions.
type installer struct {
	content *packageContent
	post    func(ctx context.Context, bundle []byte) (status int, body []byte, err error)
	report  packageReport
}

// put is a definition that is to be stored under an id.
type put struct {
	*packageResource
	to   string // Type/id
	body []byte
}

func (i *installer) run(ctx context.Context) error {
	i.report.Failed = []packageFailure{}
	var group []put
	size := 0
	for chunk := range slices.Chunk(i.content.resources, packageLookUps) {
		puts, err := i.lookUp(ctx, chunk)
		if err != nil {
			return err
		}
		for _, one := range puts {
			if len(group) == packageGroup || len(group) > 0 && size+len(one.body) > packageBody {
				if err := i.store(ctx, group); err != nil {
					return err
				}
				group, size = nil, 0
			}
			group, size = append(group, one), size+len(one.body)
		}
	}
	return i.store(ctx, group)
}

// lookUp finds out which definitions are stored already, and with the same content.
func (i *installer) lookUp(ctx context.Context, list []*packageResource) ([]put, error) {
	var entries [][]byte
	for _, d := range list {
		entries = append(entries, entryOf("GET", d.typ+"/"+d.id, nil))
		query := "_id=" + url.QueryEscape(d.id)
		if d.url != "" {
			query = "url=" + url.QueryEscape(d.url)
		}
		entries = append(entries, entryOf("GET", d.typ+"?_count=1&"+query, nil))
	}
	status, answer, err := i.post(ctx, bundleWith("batch", entries))
	if err != nil {
		return nil, err
	}
	found, ok := answerEntries(answer)
	if status != http.StatusOK || !ok || len(found) != len(entries) {
		return nil, errors.New(outcomeText(status, answer))
	}
	var puts []put
	for n, d := range list {
		sameID, sameURL := found[2*n].Get("resource"), firstEntry(found[2*n+1].Get("resource"))
		for _, said := range []*fhir.Value{&found[2*n], &found[2*n+1]} {
			if s := statusOf(said.Get("response").Get("status").Text()); s >= 400 && s != http.StatusNotFound && s != http.StatusGone {
				return nil, errors.New(outcomeText(s, outcomeOf(said)))
			}
		}
		id := d.id
		switch {
		case sameURL != nil:
			id = sameURL.Get("id").Text()
		case sameID != nil && sameID.Get("url").Text() != d.url:
			i.report.fail(d, "the project holds "+d.typ+"/"+d.id+" with another canonical URL")
			continue
		}
		body := d.text(id)
		if sameURL != nil && string(body) == string((&packageResource{value: *sameURL}).text(id)) {
			i.report.count(d).Unchanged++
			i.report.Unchanged++
			continue
		}
		puts = append(puts, put{d, d.typ + "/" + id, body})
	}
	return puts, nil
}

// text writes a definition with an id, without what the server says of its version.
func (d *packageResource) text(id string) []byte {
	v := fhir.Value{Kind: fhir.Object}
	for _, m := range d.value.Members {
		switch m.Name {
		case "id":
			m.Value = fhir.StringValue(id)
		case "meta":
			meta := fhir.Value{Kind: fhir.Object}
			for _, inner := range m.Value.Members {
				if inner.Name != "versionId" && inner.Name != "lastUpdated" {
					meta.Members = append(meta.Members, inner)
				}
			}
			if m.Value = meta; len(meta.Members) == 0 {
				continue
			}
		}
		v.Members = append(v.Members, m)
	}
	return v.Append(nil)
}

// store stores a group in a transaction; if that is refused, each alone, so that only those suffer
// that are not accepted.
func (i *installer) store(ctx context.Context, group []put) error {
	if len(group) == 0 {
		return nil
	}
	status, answer, err := i.send(ctx, "transaction", group)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		if status == http.StatusUnauthorized || busy(status) {
			return errors.New(outcomeText(status, answer))
		}
		if status, answer, err = i.send(ctx, "batch", group); err != nil {
			return err
		}
	}
	stored, ok := answerEntries(answer)
	if status != http.StatusOK || !ok || len(stored) != len(group) {
		return errors.New(outcomeText(status, answer))
	}
	for n, one := range group {
		if s := statusOf(stored[n].Get("response").Get("status").Text()); s >= 300 {
			i.report.fail(one.packageResource, outcomeText(s, outcomeOf(&stored[n])))
		} else {
			i.report.store(one.packageResource, s)
		}
	}
	return nil
}

func (i *installer) send(ctx context.Context, kind string, group []put) (int, []byte, error) {
	entries := make([][]byte, len(group))
	for n, one := range group {
		entries[n] = entryOf("PUT", one.to, one.body)
	}
	return i.post(ctx, bundleWith(kind, entries))
}

func entryOf(method, url string, resource []byte) []byte {
	b := []byte("{")
	if resource != nil {
		b = append(append(append(b, `"resource":`...), resource...), ',')
	}
	b = append(b, `"request":{"method":"`+method+`","url":`...)
	return append(fhir.AppendString(b, url), "}}"...)
}

func bundleWith(kind string, entries [][]byte) []byte {
	b := []byte(`{"resourceType":"Bundle","type":"` + kind + `","entry":[`)
	for n, e := range entries {
		if n > 0 {
			b = append(b, ',')
		}
		b = append(b, e...)
	}
	return append(b, "]}"...)
}

func answerEntries(answer []byte) ([]fhir.Value, bool) {
	v, err := fhir.Parse(string(answer))
	if err != nil || v.Get("entry") == nil {
		return nil, false
	}
	return v.Get("entry").Items, true
}

// outcomeOf is the OperationOutcome of an entry, nil if it has none.
func outcomeOf(entry *fhir.Value) []byte {
	if outcome := entry.Get("response").Get("outcome"); outcome != nil {
		return outcome.Append(nil)
	}
	return nil
}

// firstEntry is the first resource of a searchset, nil if it has none.
func firstEntry(bundle *fhir.Value) *fhir.Value {
	if list := bundle.Get("entry"); list != nil && len(list.Items) > 0 {
		return list.Items[0].Get("resource")
	}
	return nil
}
