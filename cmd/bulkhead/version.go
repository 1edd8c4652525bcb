package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"bulkhead/db/embedded"
	"bulkhead/server/fhir"

	"github.com/spf13/cobra"
)

// release is set by the linker (-X main.release=1.2.3); a build without it names its commit only.
var release = "dev"

type versionReport struct {
	Version  string   `json:"version"`
	Commit   string   `json:"commit"` // "" outside a repository; "+" at its end: with changes
	Go       string   `json:"go"`
	Platform string   `json:"platform"`
	FHIR     []string `json:"fhir"`
	Postgres []int    `json:"postgres"` // supported major versions
}

func newVersionCommand(p program) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version of the program, and which FHIR and PostgreSQL it supports",
		Example: `  bulkhead version
  bulkhead version --json`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := currentVersion()
			if asJSON {
				return writeJSON(p.stdout, v)
			}
			_, err := fmt.Fprintf(p.stdout, "bulkhead %s %s (%s, %s)\nFHIR %s, PostgreSQL %d to %d\n",
				v.Version, v.Commit, v.Go, v.Platform, strings.Join(v.FHIR, " and "), embedded.OldestMajor, embedded.NewestMajor)
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

func currentVersion() versionReport {
	v := versionReport{
		Version: release, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		FHIR: []string{fhir.R4.Number(), fhir.R4B.Number()},
	}
	for major := embedded.OldestMajor; major <= embedded.NewestMajor; major++ {
		v.Postgres = append(v.Postgres, major)
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	modified := ""
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Commit = s.Value[:min(12, len(s.Value))]
		case "vcs.modified":
			if s.Value == "true" {
				modified = "+"
			}
		}
	}
	if v.Commit != "" {
		v.Commit += modified
	}
	return v
}
