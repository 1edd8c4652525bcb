package fhirpath

import (
	"encoding/json"
	"slices"
	"sort"
	"strings"
	"testing"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
)

type oracleRow struct {
	File, SP, Type string
	Values         []struct {
		Type, Path string
		Value      json.RawMessage
		Extra      json.RawMessage `json:"_value"`
	}
}

// TestSearchOracle compares what every search parameter yields with another engine's answer.
func TestSearchOracle(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		examples, rows, evaluated string
		version                   fhir.Version
	}{
		{"examples/r4-instances.ndjson.gz", "oracle/search-extraction-r4.ndjson.gz", "oracle/search-params-evaluated-r4.json", fhir.R4},
		{"examples/r4b-instances.ndjson.gz", "oracle/search-extraction-r4b.ndjson.gz", "oracle/search-params-evaluated-r4b.json", fhir.R4B},
		{"examples/ibm-minimal.ndjson.gz", "oracle/search-extraction-ibm-minimal.ndjson.gz", "", fhir.R4},
		{"examples/ibm-complete-mock.ndjson.gz", "oracle/search-extraction-ibm-complete-mock.ndjson.gz", "", fhir.R4},
		{"examples/ibm-complete-absent.ndjson.gz", "oracle/search-extraction-ibm-complete-absent.ndjson.gz", "", fhir.R4},
	} {
		set := definition.For(c.version)
		byID := map[string]*definition.SearchParam{}
		for _, p := range set.AllSearchParams() {
			byID[p.ID] = p
		}
		rows := map[string]map[string]*oracleRow{}
		eachLine(t, c.rows, func(line string) {
			row := &oracleRow{}
			if err := json.Unmarshal([]byte(line), row); err != nil {
				t.Fatal(err)
			}
			if rows[row.File] == nil {
				rows[row.File] = map[string]*oracleRow{}
			}
			rows[row.File][row.SP] = row
		})
		evaluated := map[string][]string{}
		if c.evaluated != "" {
			readJSON(t, c.evaluated, &evaluated)
		}
		passed, all := 0, 0
		shown := 0
		eachLine(t, c.examples, func(line string) {
			doc, err := fhir.Parse(line)
			if err != nil {
				t.Fatal(err)
			}
			file, resource := doc.Get("file").Text(), doc.Get("resource")
			ids := evaluated[resource.Get("resourceType").Text()]
			if c.evaluated == "" {
				ids = nil
				for id := range rows[file] {
					ids = append(ids, id)
				}
			}
			for _, id := range ids {
				param := byID[id]
				if param == nil {
					continue
				}
				all++
				if problem := compareRow(set, param, resource, rows[file][id]); problem == "" {
					passed++
				} else if shown < 40 {
					shown++
					t.Logf("%s %s %s: %s", file, id, param.Expression, problem)
				}
			}
		})
		mustHold(t, c.rows, passed, all, all)
	}
}

// compareRow returns how the result differs from the row, or "". Composites are compared by path.
func compareRow(set *definition.Set, param *definition.SearchParam, resource *fhir.Value, row *oracleRow) string {
	x, err := Cached(param.Expression)
	if err != nil {
		return err.Error()
	}
	items, err := x.Eval(&Env{Set: set}, resource)
	if err != nil {
		return err.Error()
	}
	root := Root(set, resource)
	var got, want []string
	for i := range items {
		if param.Type == definition.CompositeParam {
			got = append(got, Path(set, &root, &items[i]))
			continue
		}
		text := "null"
		if items[i].JSON != nil {
			text = string(items[i].JSON.Append(nil))
		} else if items[i].Kind != Node {
			text = items[i].Text()
		}
		extra := ""
		if items[i].Extra != nil {
			extra = string(items[i].Extra.Append(nil))
		}
		name := items[i].TypeName()
		switch {
		case name == "id" && param.Code == "_id":
			name = "String" // the definitions say System.String, in another place id
		case items[i].Type != nil && items[i].Type.Kind == definition.Resource:
			text = `{"resourceType":"` + name + `"}`
			if id := items[i].JSON.Get("id"); id != nil {
				text = `{"resourceType":"` + name + `","id":` + string(id.Append(nil)) + `}`
			}
		}
		got = append(got, name+" "+text+" "+extra)
	}
	if row != nil {
		for _, v := range row.Values {
			if param.Type == definition.CompositeParam {
				want = append(want, v.Path)
				continue
			}
			text := "null"
			if v.Value != nil {
				text = string(v.Value)
			}
			want = append(want, strings.TrimPrefix(v.Type, "System.")+" "+text+" "+string(v.Extra))
		}
	}
	if slices.Equal(got, want) {
		return ""
	}
	for _, list := range [][]string{got, want} { // other lexemes, another order of members
		for i, s := range list {
			parts := strings.SplitN(s, " ", 2)
			list[i] = parts[0] + " " + plain(strings.TrimSpace(parts[len(parts)-1]))
		}
	}
	if g, w := joined(got), joined(want); g != w {
		return "got " + clip(g) + " want " + clip(w)
	}
	return ""
}

func clip(s string) string { return s[:min(len(s), 300)] }

// plain writes JSON with members in one order and numbers as JavaScript has them.
func plain(s string) string {
	var v any
	if json.Unmarshal([]byte(s), &v) != nil {
		return s
	}
	b, _ := json.Marshal(v)
	return string(b)
}

func joined(list []string) string {
	sort.Strings(list)
	var out []string
	for i, s := range list {
		if i == 0 || s != list[i-1] {
			out = append(out, s)
		}
	}
	return strings.Join(out, "; ")
}
