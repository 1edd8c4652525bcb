package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"bulkhead/server/fhir"
)

// loader carries documents from the inputs to the server.
type loader struct {
	options  loadOptions
	client   *loadClient
	report   *loadReport
	progress *progress

	mu       sync.Mutex
	postpone []*job // refused, to be tried again after everything else
	held     int64  // bytes of those
	last     bool   // nothing is postponed any more
	stored   int    // requests that the server took; shows whether another round may help
}

// maxHeld bounds the memory of what was refused and waits for another round.
const maxHeld = 512 << 20

// run sends the inputs rank by rank, each rank when the one before is done, and then, as long as that
// helps, what was refused.
func (l *loader) run(ctx context.Context, inputs []*loadInput) error {
	for rank := range ranks {
		workers := l.options.workers
		if rank == rankInfrastructure {
			workers = 1 // the bundles of a set build on each other
		}
		err := l.send(ctx, workers, func(queue func(*job) bool) {
			for _, in := range inputs {
				if in.rank == rank && !l.read(in, queue) {
					return
				}
			}
		})
		if err != nil {
			return err
		}
	}
	return l.again(ctx)
}

// again repeats what was refused until a round brings nothing, and then counts the rest as not stored.
func (l *loader) again(ctx context.Context) error {
	for before := -1; len(l.postpone) > 0 && !l.last; {
		jobs := regroup(l.postpone, l.options.group)
		l.postpone, l.held = nil, 0
		l.last = l.stored == before // a round that brings nothing new is the last one
		before = l.stored
		l.progress.note("trying %d refused requests again", len(jobs))
		err := l.send(ctx, 1, func(queue func(*job) bool) {
			for _, j := range jobs {
				if !queue(j) {
					return
				}
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// send runs workers over what produce queues. The first error that concerns more than one request
// (no token, no server) ends it.
func (l *loader) send(ctx context.Context, workers int, produce func(queue func(*job) bool)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	jobs := make(chan *job)
	var wait sync.WaitGroup
	for range workers {
		wait.Go(func() {
			for j := range jobs {
				if err := l.do(ctx, j); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	produce(func(j *job) bool {
		select {
		case jobs <- j:
			return true
		case <-ctx.Done():
			return false
		}
	})
	close(jobs)
	wait.Wait()
	return context.Cause(ctx)
}

// read turns one input into jobs. It returns false when the load is over.
func (l *loader) read(in *loadInput, queue func(*job) bool) bool {
	group := &job{kind: "transaction", grouped: true}
	size := 0
	flush := func() bool {
		if len(group.entries) == 0 {
			return true
		}
		full := group
		group, size = &job{kind: "transaction", grouped: true}, 0
		return queue(full)
	}
	single := func(source string, v *fhir.Value) bool {
		e, err := resourceEntry(source, v)
		if err != nil {
			l.report.unreadable(source, err)
			return true
		}
		group.entries = append(group.entries, e)
		size += len(e.text)
		return len(group.entries) < l.options.group && size < 8<<20 || flush()
	}
	for d := range in.documents(l.progress.add) {
		l.report.document()
		if !l.take(d, single, queue) {
			return false
		}
	}
	return flush()
}

// take sorts one document out.
func (l *loader) take(d document, single func(string, *fhir.Value) bool, queue func(*job) bool) bool {
	v := &d.value
	switch {
	case d.err != nil:
		l.report.unreadable(d.source, d.err)
		return true
	case v.Get("resourceType") == nil && v.Get("exportId") != nil && v.Get("eventId") != nil:
		return true // a line of a bulk export's log, which lies beside its data
	case v.Get("resourceType").Text() != "Bundle":
		return single(d.source, v)
	}
	switch v.Get("type").Text() {
	case "transaction", "batch":
		j, err := bundleJob(d.source, v, l.options.asIs)
		if err != nil {
			l.report.unreadable(d.source, err)
			return true
		}
		return queue(j)
	case "collection", "searchset":
		for i, entry := range entries(v) {
			if resource := entry.Get("resource"); resource != nil && !single(fmt.Sprintf("%s, entry %d", d.source, i+1), resource) {
				return false
			}
		}
		return true
	}
	return single(d.source, v) // a document, message or history is a resource of its own
}

// bundleResponse is what is read of a transaction-response or batch-response.
type bundleResponse struct {
	Entry []struct {
		Response struct {
			Status       string          `json:"status"`
			LastModified string          `json:"lastModified"`
			Outcome      json.RawMessage `json:"outcome"`
		} `json:"response"`
	} `json:"entry"`
}

// do sends one request and books the answer. Its error ends the load.
func (l *loader) do(ctx context.Context, j *job) error {
	started := time.Now()
	status, header, answer, err := l.client.post(ctx, j.body())
	if err != nil {
		l.report.refuse(j, "no answer: "+firstLine(err.Error()))
		return err
	}
	switch {
	case status == http.StatusUnauthorized || busy(status):
		l.report.refuse(j, outcomeText(status, answer))
		return errors.New(outcomeText(status, answer))
	case status != http.StatusOK:
		return l.refused(ctx, j, status, answer)
	}
	var response bundleResponse
	if err := json.Unmarshal(answer, &response); err != nil || len(response.Entry) != len(j.entries) {
		l.report.refuse(j, "the answer is no bundle with an entry for each one sent")
		return nil
	}
	l.report.begin(header, started)
	l.book(j, &response)
	return nil
}

// refused postpones what may be stored later and books the rest. Of a group, only the entries that the
// answer names suffer, or, if it names none, those that halving finds.
func (l *loader) refused(ctx context.Context, j *job, status int, answer []byte) error {
	if j.grouped && len(j.entries) > 1 && status != http.StatusForbidden {
		bad, rest := j.part(culprits(answer))
		if len(bad.entries) == 0 {
			half := len(j.entries) / 2
			left, right := *j, *j
			left.entries, right.entries = j.entries[:half], j.entries[half:]
			return errors.Join(l.do(ctx, &left), l.do(ctx, &right))
		}
		l.postponeOrRefuse(bad, status, answer)
		if len(rest.entries) == 0 {
			return nil
		}
		return l.do(ctx, rest)
	}
	l.postponeOrRefuse(j, status, answer)
	return nil
}

func (l *loader) postponeOrRefuse(j *job, status int, answer []byte) {
	if !mayPass(status) || !l.hold(j) {
		l.report.refuse(j, outcomeText(status, answer))
	}
}

// mayPass tells whether a refusal may be for want of something that comes later in the input, or
// because of something that was written at the same time.
func mayPass(status int) bool {
	switch status {
	case http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed, http.StatusUnprocessableEntity:
		return true
	}
	return busy(status)
}

var namedEntry = regexp.MustCompile(`^Bundle\.entry\[(\d{1,5})\]`)

// culprits are the places of the entries that an OperationOutcome names.
func culprits(answer []byte) map[int]bool {
	var outcome struct {
		Issue []struct{ Expression []string }
	}
	if json.Unmarshal(answer, &outcome) != nil {
		return nil
	}
	places := map[int]bool{}
	for _, issue := range outcome.Issue {
		for _, expression := range issue.Expression {
			if match := namedEntry.FindStringSubmatch(expression); match != nil {
				if place, err := strconv.Atoi(match[1]); err == nil {
					places[place] = true
				}
			}
		}
	}
	return places
}

// part divides a job in two.
func (j *job) part(places map[int]bool) (in, out *job) {
	in, out = &job{source: j.source, kind: j.kind, grouped: j.grouped}, &job{source: j.source, kind: j.kind, grouped: j.grouped}
	for i, e := range j.entries {
		if places[i] {
			in.entries = append(in.entries, e)
		} else {
			out.entries = append(out.entries, e)
		}
	}
	return in, out
}

// regroup puts refused single resources together again.
func regroup(jobs []*job, most int) []*job {
	var out []*job
	var group *job
	for _, j := range jobs {
		if !j.grouped {
			out = append(out, j)
			continue
		}
		for _, e := range j.entries {
			if group == nil || len(group.entries) >= most {
				group = &job{kind: j.kind, grouped: true}
				out = append(out, group)
			}
			group.entries = append(group.entries, e)
		}
	}
	return out
}

// hold keeps a job for another round, if there will be one and memory for it.
func (l *loader) hold(j *job) bool {
	var size int64
	for _, e := range j.entries {
		size += int64(len(e.text))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last || l.held+size > maxHeld {
		return false
	}
	l.postpone, l.held = append(l.postpone, j), l.held+size
	return true
}

// book counts each entry; those of a batch that failed alone are a job for another round.
func (l *loader) book(j *job, response *bundleResponse) {
	failed := &job{source: j.source, kind: j.kind, grouped: j.grouped}
	var reasons []string
	stored := false
	for i, e := range j.entries {
		r := response.Entry[i].Response
		if status := statusOf(r.Status); status >= 200 && status < 300 {
			l.report.store(e, status, r.LastModified)
			stored = true
			continue
		}
		reason := outcomeText(statusOf(r.Status), r.Outcome)
		if !mayPass(statusOf(r.Status)) {
			l.report.refuseEntry(e, reason)
			continue
		}
		failed.entries = append(failed.entries, e)
		reasons = append(reasons, reason)
	}
	l.mu.Lock()
	if stored {
		l.stored++
	}
	l.mu.Unlock()
	if len(failed.entries) == 0 || l.hold(failed) {
		return
	}
	for i, e := range failed.entries {
		l.report.refuseEntry(e, reasons[i])
	}
}

func statusOf(text string) int {
	var status int
	fmt.Sscanf(text, "%d", &status) //nolint:errcheck // what is no number is no success
	return status
}

// outcomeText is what an OperationOutcome says, in one line.
func outcomeText(status int, body []byte) string {
	var outcome struct {
		Issue []struct {
			Severity, Code, Diagnostics string
			Details                     struct{ Text string }
			Expression                  []string
		}
	}
	text := []string{fmt.Sprintf("status %d", status)}
	if err := json.Unmarshal(body, &outcome); err != nil || len(outcome.Issue) == 0 {
		if len(body) > 0 {
			text = append(text, firstLine(string(body)))
		}
		return strings.Join(text, ": ")
	}
	for _, issue := range outcome.Issue[:min(3, len(outcome.Issue))] {
		said := issue.Diagnostics
		if said == "" {
			said = issue.Details.Text
		}
		text = append(text, strings.TrimSpace(issue.Code+" "+said+" "+strings.Join(issue.Expression, " ")))
	}
	return strings.Join(text, ": ")
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line[:min(300, len(line))]
}
