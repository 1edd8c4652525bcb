package embedded

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The major versions that Bulkhead is tested with.
const (
	OldestMajor = 15
	NewestMajor = 18
)

// Binaries is one usable installation of Postgres.
type Binaries struct {
	Dir   string // holds initdb and postgres
	Major int    // 15
	Minor int    // 18, as in 15.18
}

// Version is the version as Postgres writes it: "15.18".
func (b Binaries) Version() string { return fmt.Sprintf("%d.%d", b.Major, b.Minor) }

// Psql is the psql beside the other binaries, or "" if this installation lacks it.
func (b Binaries) Psql() string {
	path := filepath.Join(b.Dir, "psql")
	if !executable(path) {
		return ""
	}
	return path
}

// places says where binaries are looked for.
type places struct {
	path  string   // a PATH
	globs []string // patterns of further bin directories
}

// usualPlaces lists PATH and the directories that packages of Linux distributions, Homebrew,
// MacPorts, Postgres.app and the EDB installer use.
func usualPlaces(getenv func(string) string) *places {
	globs := []string{
		"/usr/lib/postgresql/*/bin",       // Debian, Ubuntu
		"/usr/pgsql-*/bin",                // PGDG on Fedora, RHEL
		"/usr/lib/postgresql*/bin",        // SUSE
		"/usr/libexec/postgresql*",        // Alpine
		"/usr/lib64/postgresql*/bin",      // Gentoo, SUSE
		"/opt/homebrew/opt/postgres*/bin", // Homebrew on Apple silicon
		"/usr/local/opt/postgres*/bin",    // Homebrew on Intel
		"/home/linuxbrew/.linuxbrew/opt/postgres*/bin",
		"/Applications/Postgres.app/Contents/Versions/*/bin",
		"/opt/local/lib/postgresql*/bin", // MacPorts
		"/Library/PostgreSQL/*/bin",      // EDB on macOS
		"/opt/PostgreSQL/*/bin",
		"/opt/postgresql*/bin",
		"/usr/local/pgsql*/bin", // from source, FreeBSD
		"/usr/local/bin",
		"/run/current-system/sw/bin", // NixOS
	}
	if home := getenv("HOME"); home != "" {
		globs = append(globs, filepath.Join(home, ".asdf/installs/postgres/*/bin"),
			filepath.Join(home, ".local/share/mise/installs/postgres/*/bin"))
	}
	return &places{path: getenv("PATH"), globs: globs}
}

// candidates are the directories that hold both initdb and postgres, each once, as the places give
// them; links are followed so that one installation is not listed twice.
func (p *places) candidates() []string {
	dirs := filepath.SplitList(p.path)
	for _, glob := range p.globs {
		found, err := filepath.Glob(glob)
		if err == nil {
			dirs = append(dirs, found...)
		}
	}
	var out []string
	for _, dir := range dirs {
		postgres, err := filepath.EvalSymlinks(filepath.Join(dir, "postgres"))
		if err != nil {
			continue
		}
		real := filepath.Dir(postgres)
		if executable(postgres) && executable(filepath.Join(real, "initdb")) && !slices.Contains(out, real) {
			out = append(out, real)
		}
	}
	return out
}

// find gives the installation to use: the one that is named by BinDir or BULKHEAD_PG_BIN, else the
// newest supported one, else a fetched one. A major other than 0 is the version of the data that is
// already there; the binaries must fit it.
func (c Config) find(ctx context.Context, as *account, major int) (Binaries, error) {
	if dir := c.named(); dir != "" {
		return c.findNamed(ctx, as, dir, major)
	}
	found, rejected := c.installed(ctx, as)
	if c.previous != "" && major != 0 {
		// They may have been named by BULKHEAD_PG_BIN, or fetched, and be in no usual place.
		if b, err := inspect(ctx, as, c.previous); err == nil {
			found = append(found, b)
		}
	}
	for _, b := range found {
		if major == 0 || b.Major == major {
			return b, nil
		}
	}
	if major != 0 && len(found) > 0 {
		return Binaries{}, fmt.Errorf("%w: the data directory was made by PostgreSQL %d, and the newest installed one is %s (%s): install PostgreSQL %d, name its bin directory in BULKHEAD_PG_BIN, or use another data directory",
			ErrVersion, major, found[0].Version(), found[0].Dir, major)
	}
	if c.NoFetch {
		return Binaries{}, noBinaries(rejected, nil)
	}
	b, err := c.fetch(ctx, as, major)
	if err != nil {
		return Binaries{}, noBinaries(rejected, err)
	}
	return b, nil
}

func (c Config) named() string {
	if c.BinDir != "" {
		return c.BinDir
	}
	return c.Getenv("BULKHEAD_PG_BIN")
}

func (c Config) findNamed(ctx context.Context, as *account, dir string, major int) (Binaries, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Binaries{}, err
	}
	b, err := inspect(ctx, as, dir)
	switch {
	case err != nil:
		return Binaries{}, fmt.Errorf("%w: %s, which BULKHEAD_PG_BIN names, does not serve: %w", ErrNoBinaries, dir, err)
	case major != 0 && b.Major != major:
		return Binaries{}, fmt.Errorf("%w: the data directory was made by PostgreSQL %d, but BULKHEAD_PG_BIN names PostgreSQL %s (%s): name the binaries of %d or use another data directory",
			ErrVersion, major, b.Version(), dir, major)
	}
	return b, nil
}

// installed gives the usable installations, newest first, and why the others are none.
func (c Config) installed(ctx context.Context, as *account) (found []Binaries, rejected []string) {
	for _, dir := range c.places.candidates() {
		b, err := inspect(ctx, as, dir)
		if err != nil {
			rejected = append(rejected, fmt.Sprintf("%s: %v", dir, err))
			continue
		}
		found = append(found, b)
	}
	slices.SortStableFunc(found, func(a, b Binaries) int {
		if a.Major != b.Major {
			return b.Major - a.Major
		}
		return b.Minor - a.Minor
	})
	return found, rejected
}

// inspect asks the binaries in dir for their version. It asks as the account that will run them, so
// that an installation this account cannot reach is no candidate.
func inspect(ctx context.Context, as *account, dir string) (Binaries, error) {
	for _, name := range []string{"initdb", "postgres"} {
		if !executable(filepath.Join(dir, name)) {
			return Binaries{}, fmt.Errorf("there is no program %s in it", name)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := as.command(ctx, filepath.Join(dir, "postgres"), "--version").CombinedOutput()
	if err != nil {
		return Binaries{}, fmt.Errorf("postgres --version%s: %w %s", as.suffix(), err, strings.TrimSpace(string(out)))
	}
	b, err := parseVersion(string(out))
	if err != nil {
		return Binaries{}, err
	}
	b.Dir = dir
	if b.Major < OldestMajor || b.Major > NewestMajor {
		return Binaries{}, fmt.Errorf("PostgreSQL %d is not supported, only %d to %d", b.Major, OldestMajor, NewestMajor)
	}
	return b, nil
}

// parseVersion reads "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)".
func parseVersion(text string) (Binaries, error) {
	_, rest, ok := strings.Cut(text, "(PostgreSQL) ")
	fields := strings.Fields(rest)
	if !ok || len(fields) == 0 {
		return Binaries{}, fmt.Errorf("not a version of PostgreSQL: %q", strings.TrimSpace(text))
	}
	majorText, minorText, ok := strings.Cut(fields[0], ".")
	major, err := strconv.Atoi(majorText)
	if err != nil || !ok {
		return Binaries{}, fmt.Errorf("not a released version of PostgreSQL: %q", fields[0])
	}
	minor, err := strconv.Atoi(minorText)
	if err != nil {
		return Binaries{}, fmt.Errorf("not a released version of PostgreSQL: %q", fields[0])
	}
	return Binaries{Major: major, Minor: minor}, nil
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// noBinaries is the error that says how to get Postgres on this machine.
func noBinaries(rejected []string, fetchErr error) error {
	var b strings.Builder
	fmt.Fprintf(&b, "a local server needs PostgreSQL %d to %d (initdb and postgres), and none was found", OldestMajor, NewestMajor)
	for _, r := range rejected {
		fmt.Fprintf(&b, "\n  passed over %s", r)
	}
	if fetchErr != nil {
		fmt.Fprintf(&b, "\n  the download failed too: %v", fetchErr)
	}
	b.WriteString("\nInstall it with one of\n")
	install := []string{
		"Debian, Ubuntu:  sudo apt-get install postgresql",
		"Fedora, RHEL:    sudo dnf install postgresql-server",
		"macOS:           brew install postgresql@18",
	}
	if runtime.GOOS == "darwin" {
		slices.Reverse(install)
	}
	for _, line := range install {
		b.WriteString("  " + line + "\n")
	}
	b.WriteString("or name the directory that holds initdb and postgres in BULKHEAD_PG_BIN.")
	return fmt.Errorf("%w: %s", ErrNoBinaries, b.String())
}

// FindPsql gives the psql to use: beside the binaries in use, on PATH, or beside any other
// installation; "" if there is none.
func FindPsql(ctx context.Context, getenv func(string) string) string {
	cfg := Config{Getenv: getenv}.withDefaults()
	if dir := cfg.named(); dir != "" {
		if psql := (Binaries{Dir: dir}).Psql(); psql != "" {
			return psql
		}
	}
	for _, dir := range filepath.SplitList(cfg.places.path) {
		if psql := (Binaries{Dir: dir}).Psql(); psql != "" {
			return psql
		}
	}
	found, _ := cfg.installed(ctx, &account{})
	for _, b := range found {
		if psql := b.Psql(); psql != "" {
			return psql
		}
	}
	return ""
}
