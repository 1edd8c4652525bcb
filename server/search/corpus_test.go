package search

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
)

// corpus returns the path of a file of the corpora, which are not part of the repository. Without
// them the test is skipped, but never in CI.
func corpus(t testing.TB, name string) string {
	t.Helper()
	dir := os.Getenv("BULKHEAD_CORPORA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "corpora")
	}
	path := filepath.Join(dir, filepath.FromSlash(name))
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("the corpora are missing: %v", err)
		}
		t.Skip("the corpora are not here; set BULKHEAD_CORPORA to run this test")
	}
	return path
}

// lines calls f with each line of a gzipped ndjson file.
func lines(t testing.TB, name string, f func(line string)) {
	t.Helper()
	file, err := os.Open(corpus(t, name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	scanner := bufio.NewScanner(unzipped)
	scanner.Buffer(make([]byte, 1<<20), 64<<20)
	for scanner.Scan() {
		f(scanner.Text())
	}
	if err := scanner.Err(); err != nil {
		t.Fatal(err)
	}
}

func parseJSON(t testing.TB, text string) *fhir.Value {
	t.Helper()
	v, err := fhir.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return &v
}

// oracleRow is a row of the extraction oracle.
type oracleRow struct {
	File, ResourceType, ID, Param, Type string
	Values                              []oracleValue
}

type oracleValue struct {
	Type, Path string
	Value      any
	Shadow     any `json:"_value"`
	Components []struct {
		Definition string
		Values     []oracleValue
	}
}

// facts reduces values to the set of what they say: without paths, and numbers as JavaScript
// has them.
func facts(values []oracleValue) []string {
	var out []string
	for _, v := range values {
		var fact any = []any{v.Value, nil}
		if v.Value == nil {
			fact = []any{nil, v.Shadow}
		}
		if v.Components != nil {
			var parts [][]string
			for _, c := range v.Components {
				parts = append(parts, append([]string{c.Definition}, facts(c.Values)...))
			}
			fact = parts
		}
		text, _ := json.Marshal(fact)
		out = append(out, string(text))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func describe(t testing.TB, version fhir.Version, resource *fhir.Value) map[string][]string {
	t.Helper()
	list, ok := Describe(definition.For(version), resource)
	if !ok {
		t.Fatalf("unknown type %s", resource.Get("resourceType").Text())
	}
	out := map[string][]string{}
	for _, d := range list {
		var row oracleRow
		if err := json.Unmarshal(d.Append(nil), &row); err != nil {
			t.Fatal(err)
		}
		out[d.Param] = facts(row.Values)
	}
	return out
}

func TestExtractionAgreesWithTheOracle(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		oracle   string
		version  fhir.Version
		examples []string
	}{
		{"r4", fhir.R4, append([]string{"examples/r4-instances.ndjson.gz"}, definitions("r4")...)},
		{"r4b", fhir.R4B, append([]string{"examples/r4b-instances.ndjson.gz"}, definitions("r4b")...)},
		{"ibm-complete-absent", fhir.R4, []string{"examples/ibm-complete-absent.ndjson.gz"}},
		{"ibm-complete-mock", fhir.R4, []string{"examples/ibm-complete-mock.ndjson.gz"}},
		{"ibm-minimal", fhir.R4, []string{"examples/ibm-minimal.ndjson.gz"}},
		{"synthea-small", fhir.R4, []string{"synthea/small/resources-refs-resolved.ndjson.gz"}},
	} {
		t.Run(c.oracle, func(t *testing.T) {
			t.Parallel()
			want := map[string]map[string][]string{}
			lines(t, "oracle/search-extraction-"+c.oracle+".ndjson.gz", func(line string) {
				var row oracleRow
				if err := json.Unmarshal([]byte(line), &row); err != nil {
					t.Fatal(err)
				}
				k := row.File
				if k == "" {
					k = row.ResourceType + "/" + row.ID
				}
				if want[k] == nil {
					want[k] = map[string][]string{}
				}
				want[k][row.Param] = facts(row.Values)
			})
			rows, equal := 0, 0
			shown := map[string]int{}
			each := func(line string) {
				doc := parseJSON(t, line)
				k := doc.Get("file").Text()
				resource := doc.Get("resource")
				if resource == nil {
					resource, k = doc, doc.Get("resourceType").Text()+"/"+doc.Get("id").Text()
					if want[k] == nil {
						k = doc.Get("resourceType").Text() + "-" + doc.Get("id").Text() + ".json"
					}
				}
				if want[k] == nil {
					return
				}
				got := describe(t, c.version, resource)
				wanted := want[k]
				for param, w := range wanted {
					rows++
					if slices.Equal(got[param], w) {
						equal++
						continue
					}
					name := resource.Get("resourceType").Text() + "." + param
					if shown[name]++; shown[name] <= 1 {
						t.Logf("%s in %s:\n got %.400s\nwant %.400s", name, k, strings.Join(got[param], " "), strings.Join(w, " "))
					}
				}
				delete(want, k)
				for param := range got {
					if wanted[param] == nil {
						rows++
						if shown["+"+param]++; shown["+"+param] <= 2 {
							t.Logf("%s.%s in %s: a row more: %.300s", resource.Get("resourceType").Text(), param, k, strings.Join(got[param], " "))
						}
					}
				}
			}
			for _, file := range c.examples {
				lines(t, file, each)
			}
			t.Logf("%s: %d of %d rows equal", c.oracle, equal, rows)
			if equal*100 < rows*99 {
				t.Errorf("less than 99 %% of the rows are equal")
			}
		})
	}
}

// definitions are the files of a release whose resources are among the oracle's.
func definitions(release string) []string {
	var out []string
	for _, name := range []string{
		"CapabilityStatement", "CodeSystem", "CompartmentDefinition", "ConceptMap", "NamingSystem", "OperationDefinition",
		"SearchParameter", "StructureDefinition-base", "StructureDefinition-extensions", "StructureDefinition-profiles", "ValueSet",
	} {
		if name != "NamingSystem" || release == "r4" {
			out = append(out, "definitions/"+release+"/"+name+".ndjson.gz")
		}
	}
	return out
}
