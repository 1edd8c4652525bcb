package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"bulkhead/server/fhir"
)

// loadInput is one file to load.
type loadInput struct {
	name  string
	size  int64 // bytes on disk; 0 if not known
	stdin io.Reader
	rank  int
}

// document is one JSON value of an input.
type document struct {
	source string // "patients.ndjson.gz:17"
	value  fhir.Value
	err    error // it is no JSON
}

// The order in which kinds of resources are loaded, so that references find what they name. What is
// not listed comes after it.
const (
	rankInfrastructure = iota
	rankPatient
	rankVisit
	rankRecord
	rankSummary
	ranks
)

var rankOf = func() map[string]int {
	ranks := map[string]int{}
	for rank, types := range map[int]string{
		rankInfrastructure: "Organization Location Practitioner PractitionerRole HealthcareService Endpoint OrganizationAffiliation Medication Substance",
		rankPatient:        "Patient Person",
		rankVisit:          "RelatedPerson Group Device Coverage EpisodeOfCare Encounter",
		rankSummary:        "CarePlan CareTeam Claim ClaimResponse Composition DiagnosticReport DocumentReference ExplanationOfBenefit Goal ImagingStudy List Provenance",
	} {
		for name := range strings.FieldsSeq(types) {
			ranks[name] = rank
		}
	}
	return ranks
}()

func typeRank(name string) int {
	if rank, ok := rankOf[name]; ok {
		return rank
	}
	return rankRecord
}

// rank is when a document is to be loaded: a bundle of infrastructure first, another one when its
// patient is due.
func rank(v *fhir.Value) int {
	if v.Get("resourceType").Text() != "Bundle" {
		return typeRank(v.Get("resourceType").Text())
	}
	highest := rankInfrastructure
	for _, entry := range entries(v) {
		highest = max(highest, typeRank(entry.Get("resource").Get("resourceType").Text()))
	}
	if t := v.Get("type").Text(); t == "collection" || t == "searchset" {
		return highest
	}
	return min(highest, rankPatient)
}

func entries(bundle *fhir.Value) []fhir.Value {
	list := bundle.Get("entry")
	if list == nil {
		return nil
	}
	return list.Items
}

// openInputs checks that every file can be read and puts them in order by their first document.
func openInputs(stdin io.Reader, files []string) ([]*loadInput, error) {
	var inputs []*loadInput
	for _, name := range files {
		in := &loadInput{name: name}
		if name == "-" {
			in.stdin, in.rank = stdin, rankPatient
			inputs = append(inputs, in)
			continue
		}
		info, err := os.Stat(name)
		if err != nil {
			return nil, err
		}
		if info.IsDir() {
			return nil, usagef("%s is a directory: name the files in it", name)
		}
		in.size = info.Size()
		for d := range in.documents(func(int64) {}) {
			if d.err == nil {
				in.rank = rank(&d.value)
			}
			break
		}
		inputs = append(inputs, in)
	}
	slices.SortStableFunc(inputs, func(a, b *loadInput) int { return a.rank - b.rank })
	return inputs, nil
}

// maxDocument bounds one JSON value: far more than the server takes, far less than the memory.
const maxDocument = 256 << 20

// documents reads one value after the other. read is told how many bytes of the file were consumed.
func (in *loadInput) documents(read func(int64)) func(yield func(document) bool) {
	return func(yield func(document) bool) {
		file := in.stdin
		if file == nil {
			f, err := os.Open(in.name)
			if err != nil {
				yield(document{source: in.name, err: err})
				return
			}
			defer f.Close()
			file = f
		}
		text, err := unzip(&countingReader{r: file, read: read})
		if err != nil {
			yield(document{source: in.name, err: err})
			return
		}
		if strings.HasSuffix(strings.TrimSuffix(in.name, ".gz"), "json") && !strings.Contains(in.name, "ndjson") {
			values(in.name, text, yield)
		} else {
			lines(in.name, text, yield)
		}
	}
}

// unzip looks at the content, not at the name.
func unzip(r io.Reader) (*bufio.Reader, error) {
	buffered := bufio.NewReaderSize(r, 1<<20)
	magic, err := buffered.Peek(2)
	if err != nil || !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return buffered, nil //nolint:nilerr // a file too short for the magic number is no gzip file
	}
	zipped, err := gzip.NewReader(buffered)
	if err != nil {
		return nil, err
	}
	return bufio.NewReaderSize(zipped, 1<<20), nil
}

// lines reads one document a line; a broken line costs that line alone.
func lines(name string, r *bufio.Reader, yield func(document) bool) {
	for number := 1; ; number++ {
		line, err := readLine(r)
		if len(bytes.TrimSpace(line)) > 0 && !yield(parseDocument(fmt.Sprintf("%s:%d", name, number), line)) {
			return
		}
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			yield(document{source: fmt.Sprintf("%s:%d", name, number), err: err})
			return
		}
	}
}

func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > maxDocument {
			return nil, fmt.Errorf("the line has more than %d MB", maxDocument>>20)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

// values reads documents that may span lines; after a broken one nothing more can be read.
func values(name string, r io.Reader, yield func(document) bool) {
	decoder := json.NewDecoder(r)
	for number := 1; ; number++ {
		source := name
		if number > 1 {
			source = fmt.Sprintf("%s:%d", name, number)
		}
		var raw json.RawMessage
		err := decoder.Decode(&raw)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			yield(document{source: source, err: err})
			return
		}
		if !yield(parseDocument(source, raw)) {
			return
		}
	}
}

func parseDocument(source string, text []byte) document {
	value, err := fhir.Parse(strings.TrimPrefix(string(text), "\ufeff"))
	return document{source: source, value: value, err: err}
}

type countingReader struct {
	r    io.Reader
	read func(int64)
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.read(int64(n))
	return n, err
}
