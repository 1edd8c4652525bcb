package server_test

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bulkhead/server/fhir"
)

// lines calls fn with each line of a file of the corpora.
func lines(t testing.TB, name string, fn func(line string)) {
	t.Helper()
	dir := os.Getenv("BULKHEAD_CORPORA")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "corpora")
	}
	file, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("the corpora are not here; set BULKHEAD_CORPORA to run this test")
	}
	defer file.Close()
	z, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	scan := bufio.NewScanner(z)
	scan.Buffer(make([]byte, 1<<20), 64<<20)
	for scan.Scan() {
		fn(scan.Text())
	}
	if err := scan.Err(); err != nil {
		t.Fatal(err)
	}
}

// post loads the bundles of files and returns how many resources of each type they hold.
func (a *api) post(most int, files ...string) (held map[string]int, entries int) {
	a.t.Helper()
	held = map[string]int{}
	seen := map[string]bool{} // what ifNoneExist asked for before
	for _, file := range files {
		left := most
		lines(a.t, file, func(line string) {
			if left--; left < 0 {
				return
			}
			sent, err := fhir.Parse(line)
			if err != nil {
				a.t.Fatal(err)
			}
			got := a.must(200, "POST", "", line).bundle(a.t)
			for i := range sent.Get("entry").Items {
				e := path(&sent, "entry", i)
				entries++
				if once := path(e, "request", "url").Text() + path(e, "request", "ifNoneExist").Text(); strings.Contains(once, "=") {
					if seen[once] {
						continue
					}
					seen[once] = true
				}
				held[path(e, "resource", "resourceType").Text()]++
				if status := path(&got, "entry", i, "response", "status").Text(); !strings.HasPrefix(status, "20") {
					a.t.Fatalf("%s: entry %d: %s %s", file, i, status, path(&got, "entry", i, "response", "outcome").Append(nil))
				}
			}
		})
	}
	return held, entries
}

// The bundles of Synthea are stored completely: conditional references to what was loaded before,
// urn references within, and nothing twice.
func TestSyntheaIsStoredCompletely(t *testing.T) {
	t.Parallel()
	// The third set makes organizations of the first two once more, without a condition, so it goes
	// into a project of its own.
	const first, second, third = "blaze-2021", "fhir-data-pipes-hiv-2021", "smart-generated-2019"
	if os.Getenv("BULKHEAD_ALL_SYNTHEA") != "" {
		loadSets(t, 1<<30, first, second)
		loadSets(t, 1<<30, third)
		return
	}
	loadSets(t, 4, first)
	loadSets(t, 4, third)
}

func loadSets(t *testing.T, most int, sets ...string) {
	t.Helper()
	a := newAPI(t)
	var order []string
	for _, set := range sets {
		order = append(order, "synthea/infra/"+set+"-infra.ndjson.gz")
	}
	for _, set := range sets {
		order = append(order, "synthea/large/"+set+".ndjson.gz")
	}
	start := time.Now()
	held, entries := a.post(most, order...)
	took := time.Since(start)
	stored := 0
	for _, typ := range slices.Sorted(maps.Keys(held)) {
		b := a.must(200, "GET", typ+"?_summary=count", "").bundle(t)
		if got := b.Get("total").Text(); got != fmt.Sprint(held[typ]) {
			t.Errorf("%s: %s stored, %d sent", typ, got, held[typ])
		}
		stored += held[typ]
	}
	t.Logf("%d of %d entries stored, as %d resources of %d types in %v: %.0f a second", entries, entries, stored, len(held), took.Round(time.Millisecond), float64(entries)/took.Seconds())
}
