package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
	"bulkhead/server/validate"
)

func newFHIRValidateCommand(p program) *cobra.Command {
	var version, profile string
	var definitions []string
	var o validateOptions
	cmd := &cobra.Command{
		Use:   "validate [flags] FILE...",
		Short: "Say what is wrong with the resources in a file",
		Long: `Validate checks resources against the base definitions of a FHIR release: structure, cardinality,
formats, references, required bindings, invariants and the safety of narrative.

With --definitions, resources are also checked against the profiles that they name in meta.profile,
and with --profile against one more. The definitions are files, or folders of files, that hold
StructureDefinitions, ValueSets and CodeSystems, such as the unpacked package of a guide.

A .json file holds one resource, every other file one resource a line; either may be packed with
.gz, and "-" is standard input. For each resource one JSON object is printed:

  {"line":3,"valid":false,"issues":[{"severity":"error","code":"structure","diagnostics":"...","expression":["Patient.name"]}]}

With several files, "file" names the one that "line" counts in. The exit code is 0 whatever was
found, unless --check is given.`,
		Example: `  bulkhead fhir validate patients.ndjson.gz
  bulkhead fhir validate --fhir-version r4b --check patient.json
  bulkhead fhir validate --definitions us-core/package patients.ndjson`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			v, err := fhirVersion(version)
			if err != nil {
				return err
			}
			o.set = definition.For(v)
			o.named = len(files) > 1
			if err := o.options(definitions, profile); err != nil {
				return err
			}
			return validateFiles(cmd.Context(), p, o, files)
		},
	}
	f := cmd.Flags()
	f.StringVar(&version, "fhir-version", string(fhir.R4), "the release to check against: r4 or r4b")
	f.StringArrayVar(&definitions, "definitions", nil, "a file or folder with the definitions that profiles need (repeatable)")
	f.StringVar(&profile, "profile", "", "canonical URL of a profile that every resource must conform to")
	f.BoolVar(&o.warnings, "warnings", false, "also tell what is recommended but not demanded")
	f.BoolVar(&o.structure, "structure", false, "leave out bindings and invariants")
	f.BoolVar(&o.check, "check", false, "exit with 1 if a resource is not valid")
	return cmd
}

type validateOptions struct {
	set                               *definition.Set
	warnings, structure, check, named bool
	applied                           []validate.Option
}

// options turns the flags into what package validate takes.
func (o *validateOptions) options(definitions []string, profile string) error {
	if o.structure {
		o.applied = append(o.applied, validate.StructureOnly())
	}
	if o.warnings {
		o.applied = append(o.applied, validate.WithWarnings())
	}
	if len(definitions) == 0 {
		if profile != "" {
			return usagef("--profile needs --definitions")
		}
		return nil
	}
	library := validate.NewHoldings(o.set)
	for _, name := range definitions {
		if err := addDefinitions(library, name); err != nil {
			return err
		}
	}
	var further []*validate.Profile
	if profile != "" {
		p := library.Profile(profile)
		if p == nil {
			return usagef("the definitions hold no usable profile %s", profile)
		}
		further = append(further, p)
	}
	o.applied = append(o.applied, validate.WithProfiles(library, further...))
	return nil
}

// addDefinitions takes in a file, or the files of a folder.
func addDefinitions(library *validate.Holdings, name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	names := []string{name}
	if info.IsDir() {
		names = nil
		for _, pattern := range []string{"*.json", "*.json.gz", "*.ndjson", "*.ndjson.gz"} {
			found, err := filepath.Glob(filepath.Join(name, pattern))
			if err != nil {
				return err
			}
			names = append(names, found...)
		}
	}
	for _, file := range names {
		err := eachDocument(nil, file, func(line int, text string) error {
			v, err := fhir.Parse(text)
			if err != nil {
				return fmt.Errorf("%s:%d: %w", file, line, err)
			}
			library.Add(&v)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// verdict is one line of the output.
type verdict struct {
	File   string         `json:"file,omitempty"`
	Line   int            `json:"line"`
	Valid  bool           `json:"valid"`
	Issues []verdictIssue `json:"issues"`
}

type verdictIssue struct {
	Severity    string         `json:"severity"`
	Code        fhir.IssueType `json:"code"`
	Diagnostics string         `json:"diagnostics"`
	Expression  []string       `json:"expression,omitempty"`
}

func validateFiles(ctx context.Context, p program, o validateOptions, files []string) error {
	out := bufio.NewWriterSize(p.stdout, 64<<10)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	allValid := true
	for _, name := range files {
		err := eachDocument(p.stdin, name, func(line int, text string) error {
			v := o.judge(text)
			v.Line = line
			if o.named {
				v.File = name
			}
			allValid = allValid && v.Valid
			return errors.Join(ctx.Err(), encoder.Encode(v))
		})
		if err != nil {
			return errors.Join(err, out.Flush())
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if o.check && !allValid {
		return errReported
	}
	return nil
}

// judge parses and validates one document.
func (o validateOptions) judge(text string) verdict {
	var issues []fhir.Issue
	resource, err := fhir.Parse(text)
	if err != nil {
		var e *fhir.Error
		if errors.As(err, &e) {
			issues = e.Issues
		}
	} else {
		issues = validate.Resource(o.set, &resource, o.applied...)
	}
	out := verdict{Valid: err == nil, Issues: []verdictIssue{}}
	for _, issue := range issues {
		if issue.Severity == "" {
			issue.Severity = "error"
		}
		if issue.Severity == "error" || issue.Severity == "fatal" {
			out.Valid = false
		}
		out.Issues = append(out.Issues, verdictIssue(issue))
	}
	return out
}

// eachDocument visits the whole of a .json file, or each line of any other that is not blank.
func eachDocument(stdin io.Reader, name string, visit func(line int, text string) error) error {
	file := stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		file = f
	}
	text, err := unzip(file)
	if err != nil {
		return err
	}
	if strings.HasSuffix(strings.TrimSuffix(name, ".gz"), ".json") {
		whole, err := io.ReadAll(io.LimitReader(text, maxDocument))
		if err != nil {
			return err
		}
		return visit(1, string(whole))
	}
	lines := bufio.NewScanner(text)
	lines.Buffer(nil, maxDocument)
	for n := 1; lines.Scan(); n++ {
		if line := lines.Text(); strings.TrimSpace(line) != "" {
			if err := visit(n, line); err != nil {
				return err
			}
		}
	}
	return lines.Err()
}
