// Command generate writes the embedded definition files of package definition.
//
// It reads the definitions of one FHIR release from a folder: either an unpacked npm package
// (hl7.fhir.r4.examples 4.0.1, hl7.fhir.r4b.core 4.3.0: one resource per *.json file) or the same
// resources as *.ndjson.gz files. The output depends on the input alone, so a second run changes
// nothing:
//
//	go run ./server/definition/generate -in PACKAGE -out server/definition/r4
//
// R4B no longer carries the HL7 terminology (v2, v3) that its bindings refer to, so -also names
// the folder of R4, whose code systems and value sets fill the gaps.
//
// It writes server/definition/r4.json.gz (types, search parameters, compartments, operations) and
// server/definition/r4-valuesets.json.gz (what bindings need) and server/definition/r4-terminology.tsv.gz
// (code systems, value sets and concept maps without their definitions; of R4B only what differs from -also).
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"os"
)

func main() {
	in := flag.String("in", "", "folder with the definitions (*.json or *.ndjson.gz)")
	also := flag.String("also", "", "folder whose terminology fills the gaps")
	out := flag.String("out", "", "prefix of the files to write")
	flag.Parse()
	if err := run(*in, *also, *out); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

// run generates both files of one release.
func run(in, also, out string) error {
	src, err := readSource(in, also)
	if err != nil {
		return err
	}
	doc, sets, err := build(src)
	if err != nil {
		return err
	}
	if err := write(out+".json.gz", doc); err != nil {
		return err
	}
	if err := write(out+"-valuesets.json.gz", sets); err != nil {
		return err
	}
	return writeTerms(out+"-terminology.tsv.gz", src.terms, src.alsoTerms)
}

// build turns the source into the two documents that are embedded.
func build(src *source) (document, map[string]valueSet, error) {
	b := newTypeBuilder(src)
	types, err := b.types()
	if err != nil {
		return document{}, nil, err
	}
	return document{
		Constraints:      b.constraints,
		Types:            types,
		SearchParameters: searchParameters(src),
		Compartments:     compartments(src),
		Operations:       operations(src),
	}, expandAll(src, b.valueSets), nil
}

// encode makes the bytes of one file: sorted JSON, gzip without a name or time.
func encode(doc any) ([]byte, error) {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(doc); err != nil {
		return nil, err
	}
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(text.Bytes()); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}

func write(name string, doc any) error {
	data, err := encode(doc)
	if err != nil {
		return err
	}
	return os.WriteFile(name, data, 0o644)
}
