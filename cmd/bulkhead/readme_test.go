package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestReadme runs the first screen of the README as it stands, against a fresh `bulkhead dev`. Only
// `go run ./cmd/bulkhead` is replaced, by this very program.
func TestReadme(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	screen, _, _ := strings.Cut(string(text), "\n## ")
	for _, command := range []string{"$ go run ./cmd/bulkhead dev", "$ go test ./..."} {
		if !strings.Contains(screen, command) {
			t.Errorf("the first screen does not say %q", command)
		}
	}
	blocks := strings.Split(screen, "```sh\n")[1:]
	if len(blocks) != 2 {
		t.Fatalf("%d shell blocks, want two", len(blocks))
	}
	dir := t.TempDir()
	startProcess(t, filepath.Join(dir, ".bulkhead"))
	said := make([]string, len(blocks))
	for i, block := range blocks {
		script, _, _ := strings.Cut(block, "```")
		said[i] = shell(t, dir, script)
	}
	for _, want := range []string{
		`"family":"Lovelace"`,                       // created and read back
		`"resourceType":"Bundle"`, `"mode":"match"`, // found by name
		"There is no such resource in this project",                            // the other tenant's 404
		"The access token is missing, expired, revoked or not for this server", // the other tenant's token
	} {
		if !strings.Contains(said[0], want) {
			t.Errorf("the first block does not answer %q:\n%s", want, said[0])
		}
	}
	if lines := strings.Fields(said[1]); !strings.Contains(said[1], "(1 row)") || len(lines) < 4 {
		t.Errorf("the second block answers:\n%s", said[1])
	}
}

func shell(t *testing.T, dir, script string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	// set -e ends the script at the first command that fails.
	cmd := exec.CommandContext(ctx, "bash", "-ec", "go() { shift 2; \"$PROGRAM\" \"$@\"; }\n"+script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), asProgram+"=1", "PROGRAM="+os.Args[0])
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	return string(out)
}
