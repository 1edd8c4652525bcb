package main

import (
	"github.com/spf13/cobra"

	"bulkhead/server/fhir"
)

func newFHIRCommand(p program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "fhir",
		Short: "Work with FHIR files, without a database or a server",
		Example: `  bulkhead fhir validate patients.ndjson.gz
  bulkhead fhir index patients.ndjson.gz`,
		Args: cobra.ArbitraryArgs,
		RunE: runGroup,
	}
	cmd.AddCommand(newFHIRIndexCommand(p), newFHIRPathCommand(p), newFHIRValidateCommand(p))
	return cmd
}

// fhirVersion reads the flag --fhir-version.
func fhirVersion(text string) (fhir.Version, error) {
	switch v := fhir.Version(text); v {
	case fhir.R4, fhir.R4B:
		return v, nil
	default:
		return "", usagef("--fhir-version must be r4 or r4b")
	}
}
