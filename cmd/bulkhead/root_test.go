package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// result is what a command line did.
type result struct {
	code           int
	stdout, stderr string
}

// call runs a command line in this process with an environment of its own.
func call(t *testing.T, environment map[string]string, args ...string) result {
	t.Helper()
	return callWith(t.Context(), "", environment, args...)
}

func callWith(ctx context.Context, stdin string, environment map[string]string, args ...string) result {
	var stdout, stderr bytes.Buffer
	code := run(ctx, args, program{
		getenv: func(name string) string { return environment[name] },
		stdin:  strings.NewReader(stdin), stdout: &stdout, stderr: &stderr,
	})
	return result{code, stdout.String(), stderr.String()}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"help without arguments":     {nil, exitDone, "Available Commands"},
		"help of a command":          {[]string{"load", "--help"}, exitDone, "Examples:"},
		"an unknown command":         {[]string{"lode"}, exitUsage, `unknown command "lode"`},
		"an unknown flag":            {[]string{"version", "--yaml"}, exitUsage, "unknown flag: --yaml"},
		"an argument too many":       {[]string{"version", "please"}, exitUsage, "unknown command"},
		"an argument too few":        {[]string{"load"}, exitUsage, "requires at least 1 arg"},
		"a missing flag":             {[]string{"load", "x.json"}, exitUsage, "--fhir-base is missing"},
		"a flag that is no number":   {[]string{"load", "--workers", "many", "x.json"}, exitUsage, "invalid argument"},
		"a dev that does not run":    {[]string{"load", "--data", "/nowhere", "x.json"}, exitFailed, "no bulkhead dev runs on /nowhere"},
		"two servers to load into":   {[]string{"load", "--data", "d", "--fhir-base", "http://x", "x.json"}, exitUsage, "--data goes without"},
		"a file that is not there":   {[]string{"load", "--fhir-base", "http://127.0.0.1:1", "--client-id", "x", "/nowhere.json"}, exitFailed, "no such file"},
		"the version for a program":  {[]string{"version", "--json"}, exitDone, `"fhir"`},
		"the version for the reader": {[]string{"version"}, exitDone, "PostgreSQL 15 to 18"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := call(t, nil, c.args...)
			if r.code != c.code || !strings.Contains(r.stdout+r.stderr, c.says) {
				t.Errorf("code %d, want %d with %q:\n%s%s", r.code, c.code, c.says, r.stdout, r.stderr)
			}
			if r.code == exitUsage && !strings.Contains(r.stderr, "--help") {
				t.Errorf("it does not say where help is: %s", r.stderr)
			}
		})
	}
}

func TestVersionIsOneJSONObject(t *testing.T) {
	t.Parallel()
	var v versionReport
	if err := json.Unmarshal([]byte(call(t, nil, "version", "--json").stdout), &v); err != nil || v.Version == "" || len(v.FHIR) != 2 {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestEveryCommandIsExplained(t *testing.T) {
	t.Parallel()
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.Short == "" || cmd.Example == "" {
			t.Errorf("%s lacks a short text or examples", cmd.CommandPath())
		}
		if !strings.Contains(cmd.Example, "bulkhead") {
			t.Errorf("the examples of %s are none", cmd.CommandPath())
		}
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(newRoot(program{getenv: func(string) string { return "" }}))
}
