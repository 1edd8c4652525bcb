package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"sort"
)

// termKey names a terminology resource.
type termKey struct{ typ, url string }

// term is a CodeSystem, ValueSet or ConceptMap, cut down to what answers the operations on it.
type term struct {
	version string
	doc     map[string]any // without version
}

// The members of resources and concepts that are kept. Definitions, narrative and contacts are
// most of the size, and no operation needs them.
var (
	keptMembers = keep("resourceType", "url", "name", "title", "status", "caseSensitive", "hierarchyMeaning", "valueSet", "compositional", "content", "supplements",
		"property", "concept", "filter", "compose", "expansion", "sourceUri", "sourceCanonical", "targetUri", "targetCanonical", "group", "immutable")
	droppedInside = keep("definition", "extension", "_definition", "_display", "_code", "_value", "description", "documentation", "comment", "contains_extension")
)

func keep(names ...string) map[string]bool {
	set := map[string]bool{}
	for _, name := range names {
		set[name] = true
	}
	return set
}

// addTerm files a terminology resource.
func (s *source) addTerm(typ, url string, text []byte) error {
	var doc map[string]any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&doc); err != nil || url == "" {
		return err
	}
	version, _ := doc["version"].(string)
	for name := range doc {
		if !keptMembers[name] {
			delete(doc, name)
		} else {
			doc[name] = shorten(doc[name])
		}
	}
	s.terms[termKey{typ, url}] = term{version, doc}
	return nil
}

func shorten(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name := range v {
			if droppedInside[name] {
				delete(v, name)
			} else {
				v[name] = shorten(v[name])
			}
		}
	case []any:
		for i := range v {
			v[i] = shorten(v[i])
		}
	}
	return v
}

// writeTerms writes the terminology of a release: a line for each resource with its type, URL,
// version and JSON between tabs. What the release shares with also is written without JSON, what
// also alone has is not written.
func writeTerms(name string, own, also map[termKey]term) error {
	keys := make([]termKey, 0, len(own))
	for key := range own {
		keys = append(keys, key)
	}
	sort.Slice(keys, func(i, j int) bool {
		return keys[i].typ < keys[j].typ || keys[i].typ == keys[j].typ && keys[i].url < keys[j].url
	})
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return err
	}
	for _, key := range keys {
		text, err := encodeTerm(own[key].doc)
		if err != nil {
			return err
		}
		if other, shared := also[key]; shared {
			same, err := encodeTerm(other.doc)
			if err != nil {
				return err
			}
			if bytes.Equal(text, same) {
				text = nil
			}
		}
		if _, err := w.Write([]byte(key.typ + "\t" + key.url + "\t" + own[key].version + "\t" + string(text) + "\n")); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	return os.WriteFile(name, packed.Bytes(), 0o644)
}

func encodeTerm(doc map[string]any) ([]byte, error) {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(doc); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(text.Bytes()), nil
}
