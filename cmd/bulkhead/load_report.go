package main

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"sync"
	"text/tabwriter"
	"time"
)

// loadCount says what became of the entries of one resource type.
type loadCount struct {
	Created   int `json:"created"`
	Updated   int `json:"updated"`
	Unchanged int `json:"unchanged"` // stored before, and left as it was
	NotStored int `json:"not_stored"`
}

// loadFailure is one thing that was not stored.
type loadFailure struct {
	Source string `json:"source"` // file and line, and the entry where it is known
	Type   string `json:"type,omitempty"`
	Reason string `json:"reason"`
}

// loadSummary is the answer to --json.
type loadSummary struct {
	Documents int                   `json:"documents"` // JSON values read
	Resources map[string]*loadCount `json:"resources"`
	Total     loadCount             `json:"total"`
	Failures  []loadFailure         `json:"failures"`   // the first 100
	Unread    int                   `json:"unreadable"` // documents that hold nothing to store
	Seconds   float64               `json:"seconds"`
	Error     string                `json:"error,omitempty"` // why the load ended early
}

const maxFailures = 100

// loadReport gathers the summary. Its methods may be called from any goroutine.
type loadReport struct {
	mu    sync.Mutex
	sum   loadSummary
	start time.Time
	since time.Time // the server's clock when the load began
	kinds map[string]*failureKind
}

func newLoadReport() *loadReport {
	return &loadReport{start: time.Now(), kinds: map[string]*failureKind{}, sum: loadSummary{Resources: map[string]*loadCount{}, Failures: []loadFailure{}}}
}

// begin learns from the first answer what time it was at the server when the load began.
func (r *loadReport) begin(header http.Header, asked time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.since.IsZero() {
		return
	}
	r.since = r.start
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		// The date is of the answer and in whole seconds.
		r.since = date.Add(-time.Since(asked)).Add(-asked.Sub(r.start))
	}
}

func (r *loadReport) document() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sum.Documents++
}

func (r *loadReport) count(typ string) *loadCount {
	if typ == "" {
		typ = "(unknown)"
	}
	c := r.sum.Resources[typ]
	if c == nil {
		c = &loadCount{}
		r.sum.Resources[typ] = c
	}
	return c
}

// store books an entry that the server took. An update that left a resource as it was is known by its
// lastModified, which is then before the load.
func (r *loadReport) store(e jobEntry, status int, lastModified string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.count(e.typ)
	modified, err := time.Parse(time.RFC3339Nano, lastModified)
	switch {
	case status == http.StatusCreated:
		c.Created++
	case e.conditional || err == nil && modified.Before(r.since):
		c.Unchanged++
	default:
		c.Updated++
	}
}

// refuse books all entries of a request.
func (r *loadReport) refuse(j *job, reason string) {
	for _, e := range j.entries {
		r.mu.Lock()
		r.count(e.typ).NotStored++
		r.mu.Unlock()
	}
	if j.grouped {
		for _, e := range j.entries {
			r.fail(loadFailure{Source: e.source, Type: e.typ, Reason: reason})
		}
		return
	}
	r.fail(loadFailure{Source: j.source, Reason: fmt.Sprintf("%s (%d entries)", reason, len(j.entries))})
}

func (r *loadReport) refuseEntry(e jobEntry, reason string) {
	r.mu.Lock()
	r.count(e.typ).NotStored++
	r.mu.Unlock()
	r.fail(loadFailure{Source: e.source, Type: e.typ, Reason: reason})
}

// unreadable books a document in which there is nothing to store.
func (r *loadReport) unreadable(source string, err error) {
	r.mu.Lock()
	r.sum.Unread++
	r.mu.Unlock()
	r.fail(loadFailure{Source: source, Reason: err.Error()})
}

func (r *loadReport) fail(f loadFailure) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.sum.Failures) < maxFailures {
		r.sum.Failures = append(r.sum.Failures, f)
	}
	kind := digits.ReplaceAllString(f.Reason, "*")
	if known := r.kinds[kind]; known != nil {
		known.count++
	} else if len(r.kinds) < maxFailures {
		r.kinds[kind] = &failureKind{first: f, count: 1, order: len(r.kinds)}
	}
}

// failureKind stands for failures whose reasons differ in numbers only.
type failureKind struct {
	first        loadFailure
	count, order int
}

var digits = regexp.MustCompile(`\d+`)

func (r *loadReport) finish() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sum.Seconds = time.Since(r.start).Seconds()
	for _, c := range r.sum.Resources {
		r.sum.Total.Created += c.Created
		r.sum.Total.Updated += c.Updated
		r.sum.Total.Unchanged += c.Unchanged
		r.sum.Total.NotStored += c.NotStored
	}
}

// notStored counts what did not arrive, valid after finish.
func (r *loadReport) notStored() int { return r.sum.Total.NotStored + r.sum.Unread }

func (r *loadReport) summary(err error) loadSummary {
	s := r.sum
	if err != nil {
		s.Error = err.Error()
	}
	return s
}

// print writes the summary for people.
func (r *loadReport) print(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "type\tcreated\tupdated\tunchanged\tnot stored\t\n")
	for _, typ := range slices.Sorted(maps.Keys(r.sum.Resources)) {
		printCount(t, typ, *r.sum.Resources[typ])
	}
	printCount(t, "total", r.sum.Total)
	t.Flush()
	stored := r.sum.Total.Created + r.sum.Total.Updated + r.sum.Total.Unchanged
	fmt.Fprintf(w, "\n%d documents, %d resources in %.1f s", r.sum.Documents, stored, r.sum.Seconds)
	if r.sum.Seconds > 0 {
		fmt.Fprintf(w, " (%.0f a second)", float64(stored)/r.sum.Seconds)
	}
	fmt.Fprintln(w)
	if n := r.notStored(); n > 0 {
		fmt.Fprintf(w, "NOT STORED: %d", n)
		if r.sum.Unread > 0 {
			fmt.Fprintf(w, ", of which %d could not be read", r.sum.Unread)
		}
		fmt.Fprintln(w)
	}
	r.printKinds(w)
}

// printKinds says what went wrong, each kind once.
func (r *loadReport) printKinds(w io.Writer) {
	kinds := slices.SortedFunc(maps.Values(r.kinds), func(a, b *failureKind) int { return a.order - b.order })
	const most = 20
	for i, k := range kinds {
		if i == most {
			fmt.Fprintf(w, "  and %d other kinds of failure; --json names them\n", len(kinds)-most)
			return
		}
		fmt.Fprintf(w, "  %s %s: %s\n", k.first.Source, k.first.Type, k.first.Reason)
		if k.count > 1 {
			fmt.Fprintf(w, "    and %d more like it\n", k.count-1)
		}
	}
}

func printCount(w io.Writer, typ string, c loadCount) {
	fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t\n", typ, c.Created, c.Updated, c.Unchanged, c.NotStored)
}
