package embedded

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fakeInstallation makes binaries that know nothing but their version.
func fakeInstallation(t *testing.T, dir, version string, programs ...string) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range programs {
		script := "#!/bin/sh\necho '" + name + " (PostgreSQL) " + version + "'\n"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func noEnvironment(string) string { return "" }

func findIn(t *testing.T, cfg Config, major int) (Binaries, error) {
	t.Helper()
	as, err := chooseAccount("", "")
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Getenv == nil {
		cfg.Getenv = noEnvironment
	}
	return cfg.withDefaults().find(t.Context(), as, major)
}

func TestFindTakesTheNewestSupportedVersion(t *testing.T) {
	t.Parallel()
	root := testDir(t)
	for dir, version := range map[string]string{
		"a": "15.9 (Debian 15.9-0+deb12u1)", "b": "16.10", "c": "16.9", "d": "14.20", "e": "19beta1", "f": "99.1",
	} {
		fakeInstallation(t, filepath.Join(root, dir, "bin"), version, "initdb", "postgres")
	}
	fakeInstallation(t, filepath.Join(root, "g", "bin"), "18.1", "postgres") // a client package lacks initdb
	cfg := Config{places: &places{path: filepath.Join(root, "a", "bin"), globs: []string{root + "/*/bin"}}, NoFetch: true}

	for major, want := range map[int]string{0: "16.10", 15: "15.9", 16: "16.10"} {
		got, err := findIn(t, cfg, major)
		if err != nil || got.Version() != want {
			t.Errorf("for data of %d: %s, %v; want %s", major, got.Version(), err, want)
		}
	}
	_, err := findIn(t, cfg, 17)
	if !errors.Is(err, ErrVersion) || !strings.Contains(err.Error(), "PostgreSQL 17") || !strings.Contains(err.Error(), "16.10") {
		t.Errorf("%v, want both versions named", err)
	}
}

func TestDataIsServedByTheBinariesThatServedItLast(t *testing.T) {
	t.Parallel()
	root := testDir(t)
	named := fakeInstallation(t, filepath.Join(root, "named"), "18.1", "initdb", "postgres")
	usual := fakeInstallation(t, filepath.Join(root, "usual"), "15.9", "initdb", "postgres")
	cfg := Config{places: &places{path: usual}, previous: named, NoFetch: true}
	for major, want := range map[int]string{0: "15.9", 15: "15.9", 18: "18.1"} {
		if got, err := findIn(t, cfg, major); err != nil || got.Version() != want {
			t.Errorf("for data of %d: %s, %v; want %s", major, got.Version(), err, want)
		}
	}
}

func TestNamedBinariesAreUsedOrRefused(t *testing.T) {
	t.Parallel()
	root := testDir(t)
	good := fakeInstallation(t, filepath.Join(root, "good"), "17.6", "initdb", "postgres", "psql")
	old := fakeInstallation(t, filepath.Join(root, "old"), "13.1", "initdb", "postgres")
	empty := fakeInstallation(t, filepath.Join(root, "empty"), "")
	elsewhere := &places{path: fakeInstallation(t, filepath.Join(root, "other"), "18.1", "initdb", "postgres")}

	cases := map[string]struct {
		dir   string
		major int
		want  string // a version or a part of the error
		is    error
	}{
		"used":                     {good, 0, "17.6", nil},
		"used for its own data":    {good, 17, "17.6", nil},
		"refused for other data":   {good, 15, "made by PostgreSQL 15, but BULKHEAD_PG_BIN names PostgreSQL 17.6", ErrVersion},
		"refused when too old":     {old, 0, "PostgreSQL 13 is not supported, only 15 to 18", ErrNoBinaries},
		"refused when empty":       {empty, 0, "there is no program initdb in it", ErrNoBinaries},
		"refused when not present": {filepath.Join(root, "none"), 0, "there is no program initdb in it", ErrNoBinaries},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := Config{places: elsewhere, Getenv: func(key string) string {
				return map[string]string{"BULKHEAD_PG_BIN": c.dir}[key]
			}}
			got, err := findIn(t, cfg, c.major)
			switch {
			case c.is == nil && (err != nil || got.Version() != c.want):
				t.Errorf("%s, %v; want %s", got.Version(), err, c.want)
			case c.is != nil && (!errors.Is(err, c.is) || !strings.Contains(err.Error(), c.want)):
				t.Errorf("%v; want %q", err, c.want)
			}
		})
	}
}

func TestWithoutBinariesTheErrorSaysWhatToInstall(t *testing.T) {
	t.Parallel()
	root := testDir(t)
	old := fakeInstallation(t, filepath.Join(root, "bin"), "12.1", "initdb", "postgres")
	nowhere := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(nowhere.Close)
	for _, cfg := range []Config{
		{NoFetch: true}, {fetchURL: nowhere.URL, Getenv: func(string) string { return "" }},
	} {
		cfg.places = &places{path: old}
		_, err := findIn(t, cfg, 0)
		if !errors.Is(err, ErrNoBinaries) {
			t.Fatalf("%v", err)
		}
		for _, want := range []string{"apt-get install postgresql", "dnf install postgresql-server", "brew install postgresql", "BULKHEAD_PG_BIN", old, "12 is not supported"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q is missing in %v", want, err)
			}
		}
		if cfg.fetchURL != "" && !strings.Contains(err.Error(), "download failed") {
			t.Errorf("the download is not mentioned in %v", err)
		}
	}
}

// binaries.txz holds bin/initdb, bin/pg_ctl and bin/postgres, scripts that print their version.
//
//go:embed testdata/binaries.txz
var archive []byte

func TestBinariesAreFetchedWhenNoneIsInstalled(t *testing.T) {
	t.Parallel()
	var jar bytes.Buffer
	w := zip.NewWriter(&jar)
	entry, err := w.Create("postgres-any.txz")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := entry.Write(archive); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	requests := 0
	maven := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests++
		body := jar.Bytes()
		if strings.HasSuffix(r.URL.Path, ".sha256") {
			sum := sha256.Sum256(body)
			body = []byte(hex.EncodeToString(sum[:]))
		}
		w.Write(body)
	}))
	t.Cleanup(maven.Close)

	cfg := Config{places: &places{}, fetchURL: maven.URL, cache: testDir(t)}
	as, err := chooseAccount("", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := as.own(cfg.cache); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		b, err := findIn(t, cfg, 0)
		if err != nil || b.Version() != "18.3" {
			t.Fatalf("%s, %v", b.Version(), err)
		}
	}
	if requests != 2 { // the archive and its checksum, once
		t.Errorf("%d requests", requests)
	}
}

func TestParseVersion(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n": "15.18",
		"postgres (PostgreSQL) 18.4":                             "18.4",
		"postgres (PostgreSQL) 17.2 (Postgres.app)":              "17.2",
		"postgres (PostgreSQL) 19beta1":                          "",
		"postgres (PostgreSQL)":                                  "",
		"postgres (PostgreSQL) x.y":                              "",
		"command not found":                                      "",
	} {
		b, err := parseVersion(text)
		if got := b.Version(); want != "" && (err != nil || got != want) || want == "" && err == nil {
			t.Errorf("%q: %s, %v; want %q", text, got, err, want)
		}
	}
}

func TestFindPsql(t *testing.T) {
	t.Parallel()
	root := testDir(t)
	dir := fakeInstallation(t, root, "18.1", "initdb", "postgres", "psql")
	if got := FindPsql(t.Context(), func(key string) string { return map[string]string{"BULKHEAD_PG_BIN": dir}[key] }); got != filepath.Join(dir, "psql") {
		t.Errorf("%q", got)
	}
}
