package server_test

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"bulkhead/db"
	"bulkhead/db/dbtest"
	"bulkhead/server/fhir"
)

// corpus opens a gzipped file of the corpora. Without them the test is skipped, in CI it fails.
func corpus(t *testing.T, name string) io.Reader {
	t.Helper()
	dir := os.Getenv("BULKHEAD_CORPORA")
	if dir == "" {
		dir = "../../shared/corpora"
	}
	f, err := os.Open(filepath.Join(dir, filepath.FromSlash(name)))
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("the corpora are not here: set BULKHEAD_CORPORA to their folder")
	}
	t.Cleanup(func() { _ = f.Close() })
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// content is a resource as compact JSON without what belongs to the server: id and, in meta,
// versionId and lastUpdated. A meta that is empty then is left out, because the server adds one.
func content(v *fhir.Value) string {
	out := fhir.Value{Kind: fhir.Object}
	for _, m := range v.Members {
		if m.Name == "meta" {
			var kept []fhir.Member
			for _, inner := range m.Value.Members {
				if inner.Name != "versionId" && inner.Name != "lastUpdated" {
					kept = append(kept, inner)
				}
			}
			if m.Value.Members = kept; len(kept) == 0 {
				continue
			}
		}
		if m.Name != "id" {
			out.Members = append(out.Members, m)
		}
	}
	return string(out.Append(nil))
}

// TestOfficialExamplesComeBackAsTheyWere stores every example of the specification that is valid
// and reads it again: the same members in the same order with the same lexemes.
func TestOfficialExamplesComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"r4", "r4b"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			lines := bufio.NewReaderSize(corpus(t, "examples/"+version+"-instances.ndjson.gz"), 1<<20)
			a := lenientAPI(t, version)
			var same, refused atomic.Int64
			work := make(chan string)
			var group sync.WaitGroup
			for range 4 {
				group.Go(func() {
					for line := range work {
						if a.comesBack(line) {
							same.Add(1)
						} else {
							refused.Add(1)
						}
					}
				})
			}
			for {
				line, err := lines.ReadString('\n')
				if strings.TrimSpace(line) != "" {
					work <- line
				}
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Error(err)
					break
				}
			}
			close(work)
			group.Wait()
			t.Logf("%d of %d come back as they were; %d are not valid", same.Load(), same.Load()+refused.Load(), refused.Load())
			if refused.Load() > 6 {
				t.Errorf("%d are refused", refused.Load())
			}
		})
	}
}

// lenientAPI is the API of a project that allows references to nothing.
func lenientAPI(t *testing.T, version string) *api {
	t.Helper()
	d := dbtest.Open(t)
	tenant := d.NewTenant(t)
	caller := db.Caller{Tenant: tenant.System.Tenant}
	err := d.Update(t.Context(), db.Identity, tenant.System, func(tx *db.Tx) (err error) {
		caller.Project, err = tx.CreateProject(t.Context(), "lenient", "Lenient", version, json.RawMessage(`{"allowDanglingReferences":true}`))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return apiOf(t, newServer(t, d.DB), tenant, caller, "lenient", version)
}

// comesBack stores the example in a line of the corpus and reads it; false if it is refused.
func (a *api) comesBack(line string) bool {
	doc, err := fhir.Parse(line)
	if err != nil {
		a.t.Error(err)
		return false
	}
	name, sent := doc.Get("file").Text(), doc.Get("resource")
	typ := sent.Get("resourceType").Text()
	stored := a.do("POST", typ, string(sent.Append(nil)))
	if stored.status != 201 {
		if stored.status != 400 && stored.status != 422 {
			a.t.Errorf("%s: %d %s", name, stored.status, stored.body)
		}
		return false
	}
	location := stored.Header.Get("Location")
	got := a.do("GET", strings.TrimSuffix(strings.TrimPrefix(location, baseURL), "/_history/1"), "")
	back, err := fhir.Parse(got.body)
	if err != nil {
		a.t.Errorf("%s: %v", name, err)
		return true
	}
	if want := content(sent); content(&back) != want {
		a.t.Errorf("%s came back as %.300s, was %.300s", name, content(&back), want)
	}
	return true
}
