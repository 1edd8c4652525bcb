package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestEmbeddedFilesAreUpToDate generates again and compares with what is in the repository.
func TestEmbeddedFilesAreUpToDate(t *testing.T) {
	t.Parallel()
	corpora := os.Getenv("BULKHEAD_CORPORA")
	if corpora == "" {
		corpora = "../../../../shared/corpora"
	}
	if _, err := os.Stat(corpora); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("the corpora are not here: set BULKHEAD_CORPORA to their folder")
	}
	for _, release := range []string{"r4", "r4b"} {
		t.Run(release, func(t *testing.T) {
			t.Parallel()
			also := ""
			if release == "r4b" {
				also = filepath.Join(corpora, "definitions", "r4")
			}
			src, err := readSource(filepath.Join(corpora, "definitions", release), also)
			if err != nil {
				t.Fatal(err)
			}
			doc, sets, err := build(src)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, "../"+release+".json.gz", doc)
			compare(t, "../"+release+"-valuesets.json.gz", sets)
		})
	}
}

func compare(t *testing.T, name string, doc any) {
	t.Helper()
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	got, err := encode(doc)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the generator writes now", name)
	}
}

func TestExpansionFollowsHierarchyAndExclusion(t *testing.T) {
	t.Parallel()
	src := &source{
		codeSystems: map[string]*rawCodeSystem{"s": {URL: "s", Content: "complete", Concept: []rawConcept{
			{Code: "a", Concept: []rawConcept{{Code: "b"}, {Code: "c"}}}, {Code: "d"},
		}}},
		valueSets: map[string]*rawValueSet{},
	}
	below := rawInclude{System: "s"}
	below.Filter = append(below.Filter, struct {
		Property string `json:"property"`
		Op       string `json:"op"`
		Value    string `json:"value"`
	}{"concept", "is-a", "a"})
	without := rawInclude{System: "s"}
	without.Concept = append(without.Concept, struct {
		Code string `json:"code"`
	}{"c"})
	set := &rawValueSet{URL: "v"}
	set.Compose.Include = []rawInclude{below}
	set.Compose.Exclude = []rawInclude{without}
	src.valueSets["v"] = set
	loop := &rawValueSet{URL: "loop"}
	loop.Compose.Include = []rawInclude{{ValueSet: []string{"loop|1"}}}
	src.valueSets["loop"] = loop

	out := expandAll(src, map[string]bool{"v": true, "loop": true, "unknown": true})
	if got := out["v"].Codes["s"]; len(got) != 2 || got[0] != "a" || got[1] != "b" {
		t.Errorf("v: %v", got)
	}
	if len(out["loop"].Open) != 1 || len(out["unknown"].Open) != 1 {
		t.Errorf("what cannot be expanded must be open: %v %v", out["loop"], out["unknown"])
	}
}
