package patch

import (
	"os"
	"path/filepath"
	"testing"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
)

// corpus reads a file of the corpora. They are not part of the repository; where they are absent
// the test is skipped, but never in CI.
func corpus(t *testing.T, name string) *fhir.Value {
	t.Helper()
	dir := os.Getenv("BULKHEAD_CORPORA")
	if dir == "" {
		dir = "../../../shared/corpora"
	}
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("the corpora are absent: %v", err)
		}
		t.Skip("the corpora are absent; set BULKHEAD_CORPORA to where they are")
	}
	v, err := fhir.Parse(string(b))
	if err != nil {
		t.Fatal(err)
	}
	return &v
}

func TestJSONPatchSuite(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"patch/json-patch-tests.json", "patch/json-patch-spec_tests.json"} {
		passed, all := 0, 0
		for i := range corpus(t, file).Items {
			c := &corpus(t, file).Items[i]
			if c.Get("disabled") != nil {
				continue
			}
			all++
			before := string(c.Get("doc").Append(nil))
			got, err := JSON(c.Get("doc"), c.Get("patch"))
			expected := c.Get("expected")
			switch {
			case string(c.Get("doc").Append(nil)) != before:
				t.Errorf("%s: the document was changed", c.Append(nil))
			case c.Get("error") != nil && err == nil:
				t.Errorf("%s: should be an error, is %s", c.Append(nil), got.Append(nil))
			case c.Get("error") == nil && err != nil:
				t.Errorf("%s: %v", c.Append(nil), err)
			case expected != nil && err == nil && !equal(&got, expected):
				t.Errorf("%s: is %s", c.Append(nil), got.Append(nil))
			default:
				passed++
			}
		}
		t.Logf("%s: %d of %d pass", file, passed, all)
	}
}

func TestFHIRPathPatchSuite(t *testing.T) {
	t.Parallel()
	for file, version := range map[string]fhir.Version{
		"patch/fhirpath-patch-r4.json": fhir.R4, "patch/fhirpath-patch-r4b.json": fhir.R4B,
	} {
		passed, all := 0, 0
		for i := range corpus(t, file).Items {
			c := &corpus(t, file).Items[i]
			all++
			before := string(c.Get("input").Append(nil))
			got, err := FHIRPath(definition.For(version), c.Get("input"), c.Get("diff"))
			output := c.Get("output")
			switch {
			case string(c.Get("input").Append(nil)) != before:
				t.Errorf("%s: the resource was changed", c.Get("name").Text())
			case output == nil && err == nil:
				t.Errorf("%s: should be an error, is %s", c.Get("name").Text(), got.Append(nil))
			case output != nil && err != nil:
				t.Errorf("%s: %v", c.Get("name").Text(), err)
			case output != nil && !equal(&got, output):
				t.Errorf("%s: is %s", c.Get("name").Text(), got.Append(nil))
			default:
				passed++
			}
		}
		t.Logf("%s: %d of %d pass", file, passed, all)
	}
}
