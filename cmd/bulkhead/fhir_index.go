package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
	"bulkhead/server/search"
)

func newFHIRIndexCommand(p program) *cobra.Command {
	var version string
	cmd := &cobra.Command{
		Use:   "index [flags] FILE...",
		Short: "Print what the search parameters find in the resources of a file",
		Long: `Index evaluates every search parameter of a FHIR release on the resources of a file and prints
one JSON object for each parameter that finds something:

  {"resourceType":"Patient","id":"p1","param":"family","type":"string","values":[{"type":"string","path":"Patient.name[0].family","value":"Chalmers"}]}

The values of a composite are {"path":...,"components":[{"definition":...,"values":[...]}]}; a
primitive that has extensions instead of a value has "_value".

A .json file holds one resource, every other file one resource a line; either may be packed with
.gz, and "-" is standard input. A line {"file":...,"resource":{...}} is understood as well: "file"
is then repeated in the output. What is no resource is named on standard error, and the exit code
is 1.`,
		Example: `  bulkhead fhir index patients.ndjson.gz`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			v, err := fhirVersion(version)
			if err != nil {
				return err
			}
			return indexFiles(cmd.Context(), p, definition.For(v), files)
		},
	}
	cmd.Flags().StringVar(&version, "fhir-version", string(fhir.R4), "the release whose search parameters to use: r4 or r4b")
	return cmd
}

func indexFiles(ctx context.Context, p program, set *definition.Set, files []string) error {
	out := bufio.NewWriterSize(p.stdout, 64<<10)
	failed := false
	for _, name := range files {
		err := eachDocument(p.stdin, name, func(line int, text string) error {
			rows, err := indexDocument(set, text)
			if err != nil {
				failed = true
				fmt.Fprintf(p.stderr, "%s:%d: %v\n", name, line, err)
			}
			_, err = out.Write(rows)
			return errors.Join(ctx.Err(), err)
		})
		if err != nil {
			return errors.Join(err, out.Flush())
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if failed {
		return errReported
	}
	return nil
}

// indexDocument returns the lines of one resource.
func indexDocument(set *definition.Set, text string) ([]byte, error) {
	document, err := fhir.Parse(text)
	if err != nil {
		return nil, err
	}
	resource, file := &document, ""
	if inner := document.Get("resource"); inner != nil && document.Get("resourceType") == nil {
		resource, file = inner, document.Get("file").Text()
	}
	found, ok := search.Describe(set, resource)
	if !ok {
		return nil, fmt.Errorf("%q is no resource type of FHIR %s", resource.Get("resourceType").Text(), set.Version.Number())
	}
	var out []byte
	for i := range found {
		start := len(out)
		out = found[i].Append(out)
		if file != "" {
			line := string(out[start+1:])
			out = append(append(out[:start], `{"file":`...), fhir.AppendString(nil, file)...)
			out = append(append(out, ','), line...)
		}
		out = append(out, '\n')
	}
	return out, nil
}
