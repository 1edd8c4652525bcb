package definition

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"io"
	"sort"
	"strings"
	"sync"

	"bulkhead/server/fhir"
)

//go:embed r4-terminology.tsv.gz
var r4Terms []byte

//go:embed r4b-terminology.tsv.gz
var r4bTerms []byte

// Term is a CodeSystem, ValueSet or ConceptMap of a release, without its definitions, narrative and
// contacts. It is decoded only when Value is called.
type Term struct {
	Type    string
	URL     string
	Version string
	text    string
}

// Value decodes the resource; it has no version of its own.
func (t *Term) Value() (fhir.Value, error) { return fhir.Parse(t.text) }

// Term returns the terminology resource of a type with a URL (without version), or nil. The first
// call unpacks about five megabytes.
func (s *Set) Term(typ, url string) *Term { return s.terms().byURL[typ+" "+url] }

// Terms returns the URLs of the terminology resources of a type, sorted.
func (s *Set) Terms(typ string) []string { return s.terms().urls[typ] }

type termIndex struct {
	byURL map[string]*Term
	urls  map[string][]string
}

// R4B lacks the terminology of HL7 v2 and v3, to which its value sets refer: R4's fills the gap.
var (
	r4TermIndex  = sync.OnceValue(func() *termIndex { return mustIndexTerms(r4Terms, nil) })
	r4bTermIndex = sync.OnceValue(func() *termIndex { return mustIndexTerms(r4bTerms, r4TermIndex()) })
)

func (s *Set) terms() *termIndex {
	if s.Version == fhir.R4B {
		return r4bTermIndex()
	}
	return r4TermIndex()
}

func mustIndexTerms(file []byte, base *termIndex) *termIndex {
	index, err := indexTerms(file, base)
	if err != nil {
		panic("definition: the embedded terminology is broken: " + err.Error())
	}
	return index
}

func indexTerms(file []byte, base *termIndex) (*termIndex, error) {
	z, err := gzip.NewReader(bytes.NewReader(file))
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(z)
	if err != nil {
		return nil, err
	}
	index := &termIndex{byURL: map[string]*Term{}, urls: map[string][]string{}}
	if base != nil {
		for key, t := range base.byURL {
			index.byURL[key] = t
		}
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), "\t", 4)
		if len(fields) != 4 {
			return nil, io.ErrUnexpectedEOF
		}
		t := &Term{Type: fields[0], URL: fields[1], Version: fields[2], text: fields[3]}
		key := t.Type + " " + t.URL
		if t.text == "" && base != nil { // the same as that of base, but for the version
			if same := base.byURL[key]; same != nil {
				t.text = same.text
			}
		}
		index.byURL[key] = t
	}
	for _, t := range index.byURL {
		index.urls[t.Type] = append(index.urls[t.Type], t.URL)
	}
	for _, urls := range index.urls {
		sort.Strings(urls)
	}
	return index, nil
}
