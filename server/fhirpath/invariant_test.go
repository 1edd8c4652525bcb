package fhirpath

import (
	"encoding/json"
	"sort"
	"strconv"
	"strings"
	"testing"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
)

// TestInvariantOracle evaluates the constraints of the base specification on the official examples
// and compares what is not true with another engine's answers.
func TestInvariantOracle(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		examples, oracle string
		version          fhir.Version
	}{
		{"examples/r4-instances.ndjson.gz", "oracle/invariants-r4.ndjson.gz", fhir.R4},
		{"examples/r4b-instances.ndjson.gz", "oracle/invariants-r4b.ndjson.gz", fhir.R4B},
	} {
		want := map[string]map[string]string{}
		eachLine(t, c.oracle, func(line string) {
			var row struct {
				File    string
				NotTrue []struct {
					Key, Path string
					Result    any
				} `json:"not_true"`
			}
			if err := json.Unmarshal([]byte(line), &row); err != nil {
				t.Fatal(err)
			}
			want[row.File] = map[string]string{}
			for _, n := range row.NotTrue {
				result := "false"
				if s, ok := n.Result.(string); ok {
					result = s
				}
				path := n.Path // the oracle names a choice of type Reference in the JSON way
				if n.Key == "ref-1" {
					path = strings.TrimSuffix(path, "Reference")
				}
				want[row.File][n.Key+" "+path] = result
			}
		})
		checked, agree, all := 0, 0, 0
		eachLine(t, c.examples, func(line string) {
			doc, err := fhir.Parse(line)
			if err != nil {
				t.Fatal(err)
			}
			rows, ok := want[doc.Get("file").Text()]
			if !ok {
				return
			}
			all++
			w := invariantWalk{set: definition.For(c.version), notTrue: map[string]string{}}
			root := Root(w.set, doc.Get("resource"))
			w.root = &root
			w.resource(&root, root.TypeName())
			checked += w.checked
			if problems := differing(rows, w.notTrue); len(problems) == 0 {
				agree++
			} else {
				t.Errorf("%s: %s", doc.Get("file").Text(), strings.Join(problems, "; "))
			}
		})
		t.Logf("%s: %d evaluations; %d of %d examples agree", c.oracle, checked, agree, all)
	}
}

// differing lists where the results differ. What the oracle's tool could not evaluate is left out.
func differing(want, got map[string]string) (out []string) {
	keys := map[string]bool{}
	for k := range want {
		keys[k] = true
	}
	for k := range got {
		keys[k] = true
	}
	for k := range keys {
		if want[k] != got[k] && want[k] != "error" {
			out = append(out, k+": got "+got[k]+", want "+want[k])
		}
	}
	sort.Strings(out)
	return out
}

type invariantWalk struct {
	set     *definition.Set
	root    *Item
	checked int
	notTrue map[string]string
}

func (w *invariantWalk) resource(it *Item, path string) {
	env := &Env{Set: w.set, Resource: it, RootResource: w.root}
	w.check(env, it, it.Type.Constraints, path)
	w.children(env, it, path)
}

func (w *invariantWalk) children(env *Env, it *Item, path string) {
	ev := &evaluator{env: env, left: 1 << 30}
	counts := map[string]int{}
	for _, child := range ev.children(it, nil) {
		name := child.Field.Element.Name
		at := path + "." + name
		if child.Field.Element.Repeats() {
			at += "[" + strconv.Itoa(counts[name]) + "]"
		}
		counts[name]++
		if child.Type.Kind == definition.Resource {
			w.resource(&child, at)
			continue
		}
		w.check(env, &child, child.Type.Constraints, at)
		w.check(env, &child, child.Field.Element.Constraints, at)
		w.children(env, &child, at)
	}
}

func (w *invariantWalk) check(env *Env, it *Item, list []*definition.Constraint, path string) {
	for _, c := range list {
		if c.Expression == "" || c.Key == "txt-1" || c.Key == "txt-2" {
			continue
		}
		w.checked++
		x, err := Cached(c.Expression)
		result := ""
		if err == nil {
			var holds, known bool
			holds, known, err = x.Test(env, it)
			switch {
			case err != nil:
			case !known:
				result = "empty"
			case !holds:
				result = "false"
			}
		}
		if err != nil {
			result = "error " + err.Error()
		}
		if result != "" {
			w.notTrue[c.Key+" "+path] = result
		}
	}
}
