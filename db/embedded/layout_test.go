package embedded

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDirectoryClosedToThePostgresAccount(t *testing.T) {
	t.Parallel()
	// Like root's home: for root the data must go elsewhere, for everybody else this is nothing special.
	closed := t.TempDir()
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(closed, "deep", "data")
	s := start(t, Config{Dir: dir, Fast: true})
	place := filepath.Dir(s.state.DataDirectory)
	t.Cleanup(func() { os.RemoveAll(place) })
	query(t, s.SuperuserDSN("postgres"), "CREATE TABLE kept AS SELECT 'here' AS word")
	stop(t, s)
	s = start(t, Config{Dir: dir, Fast: true})
	if got := query(t, s.SuperuserDSN("postgres"), "SELECT word FROM kept"); got != "here" {
		t.Errorf("%q", got)
	}
	stop(t, s)
}

func TestLongDirectoryGetsAShortSocket(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(testDir(t), strings.Repeat("long", 30))
	s := start(t, Config{Dir: dir, Fast: true})
	if got := query(t, s.SuperuserDSN("postgres"), "SELECT 'in'"); got != "in" {
		t.Errorf("%q", got)
	}
	stop(t, s)
	if exists(s.state.SocketDirectory) {
		t.Errorf("%s was left", s.state.SocketDirectory)
	}
}

func TestInterruptedInitdbLeavesNoData(t *testing.T) {
	t.Parallel()
	dir := testDir(t)
	half := filepath.Join(dir, ".initdb-123", "data")
	if err := os.MkdirAll(half, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := (state{Password: "of the first attempt"}).write(dir); err != nil {
		t.Fatal(err)
	}
	start(t, Config{Dir: dir, Fast: true})
	if exists(half) {
		t.Error("what initdb left half done is still there")
	}
}

func TestUnusableDataIsNamed(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		file, text string
		want       string
		is         error
	}{
		"another version":       {"postgres/PG_VERSION", "9\n", "made by PostgreSQL 9", ErrVersion},
		"no version":            {"postgres/PG_VERSION", "new\n", "does not hold a version", nil},
		"not a data directory":  {"postgres/letter.txt", "dear", "neither empty nor a data directory", nil},
		"a broken state file":   {stateName, "{", stateName, nil},
		"no directory's name":   {"", "", "no directory was given", nil},
		"a file in its place":   {"", "file", "data directory", nil},
		"data without password": {"postgres/PG_VERSION", "", "password is lost", nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := testDir(t)
			switch {
			case c.file == "" && c.text != "":
				dir = filepath.Join(dir, c.text)
				if err := os.WriteFile(dir, nil, 0o600); err != nil {
					t.Fatal(err)
				}
			case c.file == "":
				dir = ""
			default:
				text := c.text
				if text == "" {
					text = installedMajor(t)
				}
				if err := os.MkdirAll(filepath.Join(dir, "postgres"), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, c.file), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			_, err := Start(t.Context(), Config{Dir: dir, NoFetch: true})
			if err == nil || !strings.Contains(err.Error(), c.want) || c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// installedMajor is a version that data can have on the machine of the test.
func installedMajor(t *testing.T) string {
	t.Helper()
	b, err := findIn(t, Config{Getenv: os.Getenv}, 0)
	if err != nil {
		t.Fatal(err)
	}
	major, _, _ := strings.Cut(b.Version(), ".")
	return major
}

func TestRootRunsPostgresAsSomebodyElse(t *testing.T) {
	t.Parallel()
	as, err := chooseAccount("", "")
	if err != nil {
		t.Fatal(err)
	}
	if root := os.Geteuid() == 0; as.change != root || as.uid == 0 {
		t.Errorf("%+v as uid %d", as, os.Geteuid())
	}
	if os.Geteuid() == 0 {
		if _, err := chooseAccount("root", ""); err == nil {
			t.Error("root was accepted")
		}
	}
	if len(otherAccounts()) == 0 && exists("/etc/passwd") {
		t.Error("no account was read")
	}
}

func TestSharedBuffersFollowTheMemory(t *testing.T) {
	t.Parallel()
	for memory, want := range map[int64]int64{256 << 20: 64 << 20, 4 << 30: 512 << 20, 64 << 30: 2 << 30} {
		if got := sharedBuffers(Config{}, memory); got != want {
			t.Errorf("%d MB: %d MB, want %d", memory>>20, got>>20, want>>20)
		}
	}
	if totalMemory() < 64<<20 {
		t.Error("no memory was found")
	}
}

func TestDSNsEscapeWhatNeedsIt(t *testing.T) {
	t.Parallel()
	s := &Server{state: state{Port: 6000, SocketDirectory: "/tmp/a b"}}
	if got, want := s.DSN("u", "p/:@", "d"), "postgres://u:p%2F%3A%40@/d?host=%2Ftmp%2Fa%20b&port=6000&sslmode=disable"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if got, want := s.LoopbackDSN("u", "p", "d"), "postgres://u:p@127.0.0.1:6000/d?sslmode=disable"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}
