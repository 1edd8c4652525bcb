package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// program is what a command may touch of the process it runs in, so that tests can give it another.
type program struct {
	getenv         func(string) string
	stdin          io.Reader
	stdout, stderr io.Writer
}

// usageError is a mistake in how the command was called.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text }

func usagef(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }

// errReported is returned by a command that has said already, on its own output, what failed.
var errReported = errors.New("failed")

// run executes one command line and gives the exit code.
func run(ctx context.Context, args []string, p program) int {
	root := newRoot(p)
	entered := false
	noteEntry(root, &entered)
	root.SetArgs(args)
	root.SetIn(p.stdin)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	cmd, err := root.ExecuteContextC(ctx)
	var usage usageError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &usage) || !entered: // cobra's own complaints come before a command is entered
		fmt.Fprintf(p.stderr, "bulkhead: %v\nTry: %s --help\n", err, cmd.CommandPath())
		return exitUsage
	case errors.Is(err, errReported):
		return exitFailed
	default:
		fmt.Fprintf(p.stderr, "bulkhead: %v\n", err)
		return exitFailed
	}
}

// noteEntry tells a command's own errors from those of its command line.
func noteEntry(cmd *cobra.Command, entered *bool) {
	if inner := cmd.RunE; inner != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			*entered = true
			return inner(cmd, args)
		}
	}
	for _, sub := range cmd.Commands() {
		noteEntry(sub, entered)
	}
}

func newRoot(p program) *cobra.Command {
	root := &cobra.Command{
		Use:   "bulkhead",
		Short: "A multi-tenant FHIR server whose tenants are kept apart by PostgreSQL",
		Long: `Bulkhead serves FHIR R4 and R4B to many tenants from one PostgreSQL database, in which row-level
security keeps every tenant and every project apart.

Exit codes: 0 done, 1 failed, 2 wrong usage.`,
		Example: `  bulkhead dev                     a server with demo tenants, nothing to install or set up
  bulkhead load --help             how to load patients
  bulkhead serve --help            how to run it for real`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE:          runGroup,
		CompletionOptions: cobra.CompletionOptions{
			HiddenDefaultCmd: true,
		},
	}
	root.AddCommand(
		newClientCommand(p),
		newDevCommand(p),
		newDoctorCommand(p),
		newFHIRCommand(p),
		newHealthCommand(p),
		newKeysCommand(p),
		newLoadCommand(p),
		newMigrateCommand(p),
		newPackageCommand(p),
		newProjectCommand(p),
		newPsqlCommand(p),
		newServeCommand(p),
		newTenantCommand(p),
		newUserCommand(p),
		newVersionCommand(p),
	)
	return root
}

// runGroup is for a command that only has subcommands: it shows its help, or what is wrong.
func runGroup(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("unknown command %q", args[0])
	}
	return cmd.Help()
}

// writeJSON prints one object, for --json.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
