package validate_test

import (
	"regexp"
	"sort"
	"strings"
	"testing"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
	"bulkhead/server/validate"
)

// TestMutantsAreRejected runs official examples with one known fault each.
func TestMutantsAreRejected(t *testing.T) {
	t.Parallel()
	set := definition.For(fhir.R4)
	type count struct{ total, rejected, path int }
	counts := map[string]*count{}
	var sum count
	lines(t, "validation/mutants-r4.ndjson.gz", func(line string) {
		var mutant struct {
			ID, Class, Path, Added string
		}
		decode(t, line, &mutant)
		c := counts[mutant.Class]
		if c == nil {
			c = new(count)
			counts[mutant.Class] = c
		}
		c.total++
		issues := judge(t, set, line)
		if len(issues) == 0 {
			t.Errorf("accepted: %s %s", mutant.ID, mutant.Path)
			return
		}
		c.rejected++
		path := mutant.Path
		if mutant.Class == "choice-type-not-allowed" { // the member named by path is gone
			path = path[:strings.LastIndexByte(path, '.')+1] + mutant.Added
		}
		if rightPath(path, issues) {
			c.path++
		} else if c.rejected-c.path < 4 {
			t.Logf("%s: %s, but said %v %s", mutant.ID, mutant.Path, issues[0].Expression, issues[0].Diagnostics)
		}
	})
	var classes []string
	for class := range counts {
		classes = append(classes, class)
	}
	sort.Strings(classes)
	for _, class := range classes {
		c := counts[class]
		t.Logf("%s: %d of %d rejected, %d with the right path", class, c.rejected, c.total, c.path)
		sum.total += c.total
		sum.rejected += c.rejected
		sum.path += c.path
	}
	if sum.path*100 < sum.total*99 {
		t.Errorf("the right path is named in %d of %d only", sum.path, sum.total)
	}
	t.Logf("mutants: %d of %d rejected, %d with the right path", sum.rejected, sum.total, sum.path)
}

// judge parses and validates the resource of a mutant, which may be no JSON at all.
func judge(t *testing.T, set *definition.Set, line string) []fhir.Issue {
	t.Helper()
	doc, err := fhir.Parse(line)
	if err != nil {
		t.Fatal(err)
	}
	resource := doc.Get("resource")
	if raw := doc.Get("raw"); raw != nil {
		parsed, err := fhir.Parse(raw.Text())
		if err != nil {
			return issuesOf(t, err)
		}
		resource = &parsed
	}
	return validate.Resource(set, resource)
}

// rightPath tells whether an issue names the path, or the element that is broken within it: the
// corpus names arrays without an index and the element around a missing one. A document that
// cannot be read has no path.
func rightPath(path string, issues []fhir.Issue) bool {
	want := withoutIndexes(path)
	for _, issue := range issues {
		for _, expression := range issue.Expression {
			got := withoutIndexes(expression)
			if strings.HasPrefix(expression, path) || got == want || strings.HasPrefix(got, want+".") {
				return true
			}
		}
	}
	return path == ""
}

var indexes = regexp.MustCompile(`\[\d+\]`)

func withoutIndexes(path string) string { return indexes.ReplaceAllString(path, "") }
