package validate_test

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"bulkhead/server/fhir"
)

// corpus returns the path of a file of the corpora. Without them the test is skipped, in CI it
// fails.
func corpus(t testing.TB, name string) string {
	t.Helper()
	dir := os.Getenv("BULKHEAD_CORPORA")
	if dir == "" {
		dir = "../../../shared/corpora"
	}
	file := filepath.Join(dir, filepath.FromSlash(name))
	if _, err := os.Stat(file); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("the corpora are not here: set BULKHEAD_CORPORA to their folder")
	}
	return file
}

// lines calls visit with each line of a gzipped file.
func lines(t testing.TB, name string, visit func(line string)) {
	t.Helper()
	f, err := os.Open(corpus(t, name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReaderSize(z, 1<<20)
	for {
		line, err := reader.ReadString('\n')
		if line != "" {
			visit(line)
		}
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// examples calls visit with each example resource of a file, or with every sample-th.
func examples(t testing.TB, name string, visit func(file string, resource *fhir.Value)) {
	t.Helper()
	n := 0
	lines(t, name, func(line string) {
		if n++; n%sample != 0 {
			return
		}
		doc, err := fhir.Parse(line)
		if err != nil {
			t.Fatal(err)
		}
		visit(doc.Get("file").Text(), doc.Get("resource"))
	})
}

// issuesOf returns the issues of a document that cannot be parsed.
func issuesOf(t testing.TB, err error) []fhir.Issue {
	t.Helper()
	var e *fhir.Error
	if !errors.As(err, &e) {
		t.Fatal(err)
	}
	return e.Issues
}

// decode reads a line into a struct.
func decode(t testing.TB, line string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(line), into); err != nil {
		t.Fatal(err)
	}
}
