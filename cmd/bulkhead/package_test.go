package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bulkhead/server"
	"bulkhead/server/fhir"
	"bulkhead/server/oauth"
)

// packFile writes a package to a file; a name that ends with -> and a path is a link.
func packFile(t *testing.T, files map[string]string) string {
	t.Helper()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	w := tar.NewWriter(z)
	for name, text := range files {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(text)), Mode: 0o644}
		if path, target, link := strings.Cut(name, "->"); link {
			h = &tar.Header{Typeflag: tar.TypeSymlink, Name: path, Linkname: target}
			text = ""
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	z.Close()
	file := filepath.Join(t.TempDir(), "package.tgz")
	if err := os.WriteFile(file, packed.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

const (
	packageJSON  = `{"name":"example.fhir","version":"1.0.0","fhirVersions":["4.0.1"],"dependencies":{"hl7.fhir.r4.core":"4.0.1"}}`
	packagedSet  = `{"resourceType":"ValueSet","id":"colours","url":"http://example.org/ValueSet/colours","status":"active","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>"},"compose":{"include":[{"system":"http://example.org/colour"}]}}`
	packagedRule = `{"resourceType":"StructureDefinition","id":"born","url":"http://example.org/StructureDefinition/born","name":"Born","status":"active","kind":"resource","abstract":false,
		"type":"Patient","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Patient","derivation":"constraint","differential":{"element":[{"id":"Patient.birthDate","path":"Patient.birthDate","min":1}]}}`
)

func TestAPackageIsInstalledOnce(t *testing.T) {
	t.Parallel()
	s := openStage(t)
	callJSON(t, s, "project", "create", "packaged", "--tenant", "acme")
	files := map[string]string{
		"package/package.json": packageJSON, "package/.index.json": "{}", "package/ValueSet-colours.json": packagedSet,
		"package/StructureDefinition-born.json": packagedRule, "package/example/Patient-x.json": `{"resourceType":"Patient"}`,
		"package/StructureDefinition-child.json": strings.NewReplacer(`"id":"born"`, `"id":"a-child"`, "StructureDefinition/born", "StructureDefinition/a-child",
			"http://hl7.org/fhir/StructureDefinition/Patient", "http://example.org/StructureDefinition/born").Replace(packagedRule),
		"package/Patient-y.json": `{"resourceType":"Patient","id":"y"}`,
	}
	install := func(file string) map[string]any {
		return callJSON(t, s, "package", "install", "--tenant", "acme", "--project", "packaged", file)
	}
	want := func(when string, got map[string]any, created, updated, unchanged float64) {
		t.Helper()
		if got["created"] != created || got["updated"] != updated || got["unchanged"] != unchanged || len(got["failed"].([]any)) != 0 || got["skipped"] != 1.0 {
			t.Errorf("%s: %v", when, got)
		}
	}
	want("at first", install(packFile(t, files)), 3, 0, 0)
	want("again", install(packFile(t, files)), 0, 0, 3)
	files["package/ValueSet-colours.json"] = strings.Replace(packagedSet, "active", "draft", 1)
	want("changed", install(packFile(t, files)), 0, 1, 2)
	files["package/ValueSet-colours.json"] = strings.Replace(packagedSet, "ValueSet/colours", "ValueSet/other", 1)
	r := call(t, nil, "package", "install", "--data", s.dir, "--tenant", "acme", "--project", "packaged", packFile(t, files))
	if r.code != exitFailed || !strings.Contains(r.stdout, "another canonical URL") {
		t.Errorf("an id that is taken: %+v", r)
	}
}

func TestAPackageThatIsNotWhatItSaysIsRefused(t *testing.T) {
	t.Parallel()
	s := openStage(t)
	for name, c := range map[string]struct {
		files map[string]string
		says  string
	}{
		"a path upwards":   {map[string]string{"package/package.json": packageJSON, "package/../../etc/x.json": "{}"}, "leads out"},
		"an absolute path": {map[string]string{"package/package.json": packageJSON, "/etc/x.json": "{}"}, "leads out"},
		"a backslash":      {map[string]string{"package/package.json": packageJSON, `package\..\x.json`: "{}"}, "leads out"},
		"a link":           {map[string]string{"package/package.json": packageJSON, "package/x.json->/etc/passwd": ""}, "no links"},
		"no package.json":  {map[string]string{"package/x.json": "{}"}, "no FHIR package"},
		"broken JSON":      {map[string]string{"package/package.json": packageJSON, "package/x.json": "{"}, "not well-formed"},
		"another FHIR":     {map[string]string{"package/package.json": strings.Replace(packageJSON, "4.0.1", "5.0.0", 1)}, "5.0.0"},
		"a file of 17 MiB": {map[string]string{"package/package.json": packageJSON, "package/x.json": strings.Repeat(" ", 17<<20)}, "longer than"},
	} {
		r := call(t, nil, "package", "install", "--data", s.dir, "--tenant", "acme", "--project", "main", packFile(t, c.files))
		if r.code != exitFailed || !strings.Contains(r.stderr, c.says) {
			t.Errorf("%s: code %d: %s", name, r.code, r.stderr)
		}
	}
	bomb, err := os.Open(packFile(t, map[string]string{"package/package.json": packageJSON, "package/x.bin": strings.Repeat("x", 100_000)}))
	if err != nil {
		t.Fatal(err)
	}
	defer bomb.Close()
	if _, err := readPackage(bomb, false, 50_000); err == nil || !strings.Contains(err.Error(), "unpacked") {
		t.Errorf("more than may be unpacked: %v", err)
	}
	for _, args := range []string{"install", "install a b", "install x.tgz", "install --tenant acme x.tgz", "install --tenant acme --project main --fhir-base http://x/r4 x.tgz"} {
		if r := call(t, nil, append([]string{"package"}, strings.Fields(args)...)...); r.code != exitUsage {
			t.Errorf("%s: %+v", args, r)
		}
	}
}

// serveStage runs a server on the stage's database and returns its URL.
func serveStage(t *testing.T, s stage) string {
	t.Helper()
	found, err := prepareEmbedded(t.Context(), s.server, false)
	if err != nil {
		t.Fatal(err)
	}
	d, err := found.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	web := httptest.NewUnstartedServer(nil)
	base := "http://" + web.Listener.Addr().String()
	issuer, err := oauth.New(d, oauth.Config{BaseURL: base, AllowLoopback: true})
	if err != nil {
		t.Fatal(err)
	}
	handler, err := server.New(server.Config{DB: d, OAuth: issuer, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	web.Config.Handler = handler
	web.Start()
	t.Cleanup(web.Close)
	return base
}

// TestUSCoreIsInstalledOverHTTP installs the published package as a client and has its profiles
// checked.
func TestUSCoreIsInstalledOverHTTP(t *testing.T) {
	t.Parallel()
	corpora := os.Getenv("BULKHEAD_CORPORA")
	if corpora == "" {
		corpora = "../../../shared/corpora"
	}
	lists, err := filepath.Glob(filepath.Join(corpora, "definitions/uscore-6.1.0/*.ndjson.gz"))
	if err != nil || len(lists) == 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("the corpora are missing")
		}
		t.Skip("the corpora are not here: set BULKHEAD_CORPORA")
	}
	files := map[string]string{"package/package.json": packageJSON}
	for _, name := range lists {
		readGzipLines(t, name, func(line string) { files[fmt.Sprintf("package/%04d.json", len(files))] = line })
	}
	s := openStage(t)
	base := serveStage(t, s)
	callJSON(t, s, "project", "create", "uscore", "--tenant", "acme")
	client := callJSON(t, s, "client", "create", "--tenant", "acme", "--project", "uscore", "--name", "installer")
	getenv := map[string]string{"BULKHEAD_CLIENT_ID": client["client_id"].(string), "BULKHEAD_CLIENT_SECRET": client["client_secret"].(string)}
	fhirBase := base + "/w/acme/uscore/api/v1/fhir/r4"
	r := call(t, getenv, "package", "install", "--fhir-base", fhirBase, "--json", packFile(t, files))
	report, err := fhir.Parse(strings.TrimSpace(r.stdout))
	if err != nil {
		t.Fatalf("%v: %+v", err, r)
	}
	t.Logf("%s created, %d not stored, of %d files", report.Get("created").Text(), len(report.Get("failed").Items), len(files)-1)
	for _, f := range report.Get("failed").Items {
		t.Errorf("%s %s: %s", f.Get("type").Text(), f.Get("url").Text(), f.Get("reason").Text())
	}
}

func readGzipLines(t *testing.T, name string, do func(line string)) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	scan := bufio.NewScanner(z)
	scan.Buffer(nil, 32<<20)
	for scan.Scan() {
		do(scan.Text())
	}
}
