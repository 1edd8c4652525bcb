package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// running is `bulkhead dev` in this process.
type running struct {
	report         devReport
	stdout, stderr *lockedBuffer
	cancel         context.CancelFunc
	code           chan int
}

// lockedBuffer is written by the program while the test reads it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func startDev(t *testing.T, dir string, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	d := &running{stdout: &lockedBuffer{}, stderr: &lockedBuffer{}, cancel: cancel, code: make(chan int, 1)}
	all := append([]string{"dev", "--data", dir, "--listen", "127.0.0.1:0"}, args...)
	go func() {
		d.code <- run(ctx, all, program{getenv: os.Getenv, stdin: strings.NewReader(""), stdout: d.stdout, stderr: d.stderr})
	}()
	t.Cleanup(cancel)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		text, err := os.ReadFile(filepath.Join(dir, reportName))
		if err == nil {
			if err := json.Unmarshal(text, &d.report); err != nil {
				t.Fatal(err)
			}
			return d
		}
		select {
		case code := <-d.code:
			t.Fatalf("dev ended with %d: %s", code, d.stderr)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("dev is not ready: %s", d.stderr)
		}
	}
}

func (d *running) stop(t *testing.T) {
	t.Helper()
	d.cancel()
	if code := <-d.code; code != exitDone {
		t.Errorf("dev ended with %d: %s", code, d.stderr)
	}
}

// token gets one as the demo client of a tenant does. Like any client it tries again when the server
// says that it is busy, as it may right after its database was killed.
func (tenant devTenant) token(t *testing.T) string {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {"system/*.cruds"}}.Encode()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		request, err := http.NewRequest(http.MethodPost, tenant.TokenEndpoint, strings.NewReader(form))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.SetBasicAuth(tenant.ClientID, tenant.ClientSecret)
		status, body := send(t, request)
		if busy(status) && time.Now().Before(deadline) {
			continue
		}
		var answer struct {
			AccessToken string `json:"access_token"`
		}
		if err := json.Unmarshal(body, &answer); err != nil || answer.AccessToken == "" {
			t.Fatalf("no token: %d %s", status, body)
		}
		return answer.AccessToken
	}
}

func send(t *testing.T, request *http.Request) (int, []byte) {
	t.Helper()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, body
}

func (tenant devTenant) call(t *testing.T, method, path, body string) (int, []byte) {
	t.Helper()
	request, err := http.NewRequest(method, tenant.FHIRBase+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+tenant.token(t))
	request.Header.Set("Content-Type", "application/fhir+json")
	return send(t, request)
}

func TestDev(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	d := startDev(t, dir)
	if len(d.report.Tenants) != 2 || d.report.Console != nil {
		t.Fatalf("%+v", d.report)
	}
	acme, globex := d.report.Tenants[0], d.report.Tenants[1]
	if status, body := acme.call(t, http.MethodGet, "/Patient/"+people[0].id, ""); status != http.StatusOK || !strings.Contains(string(body), people[0].family) {
		t.Errorf("a sample patient: %d %s", status, body)
	}
	if status, body := globex.call(t, http.MethodGet, "/Patient/"+people[0].id, ""); status != http.StatusNotFound {
		t.Errorf("the other tenant: %d %s", status, body)
	}
	status, created := acme.call(t, http.MethodPost, "/Patient", `{"resourceType":"Patient","name":[{"family":"Lovelace"}]}`)
	var patient struct{ ID string }
	if err := json.Unmarshal(created, &patient); err != nil || status != http.StatusCreated {
		t.Fatalf("%d %s", status, created)
	}
	for _, file := range []string{reportName, masterKeyName} {
		if info, err := os.Stat(filepath.Join(dir, file)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", file, info, err)
		}
	}
	testDSNs(t, dir, d.report.Postgres)
	second := callWith(t.Context(), "", map[string]string{"HOME": os.Getenv("HOME"), "PATH": os.Getenv("PATH"), "BULKHEAD_PG_BIN": os.Getenv("BULKHEAD_PG_BIN")}, "dev", "--data", dir)
	if second.code != exitFailed || !strings.Contains(second.stderr, "already running") {
		t.Errorf("a second start: code %d, %s", second.code, second.stderr)
	}
	d.stop(t)

	again := startDev(t, dir)
	if again.report.Tenants[0].ClientSecret != acme.ClientSecret {
		t.Error("the second start made new secrets")
	}
	if status, body := again.report.Tenants[0].call(t, http.MethodGet, "/Patient/"+patient.ID, ""); status != http.StatusOK {
		t.Errorf("the second start lost a patient: %d %s", status, body)
	}
	if strings.Contains(again.stderr.String(), "Loading sample patients") {
		t.Error("the sample was loaded again")
	}
	again.stop(t)
}

// testDSNs sees that each URL lets its role in, and in as itself, by way of the command psql.
func testDSNs(t *testing.T, dir string, p devPostgres) {
	t.Helper()
	key, err := os.ReadFile(filepath.Join(dir, masterKeyName))
	if err != nil {
		t.Fatal(err)
	}
	environment := map[string]string{
		"BULKHEAD_MASTER_KEY": strings.TrimSpace(string(key)), "BULKHEAD_APP_URL": p.App, "BULKHEAD_AUTH_URL": p.Auth, "BULKHEAD_AUDITOR_URL": p.Auditor,
	}
	for role, login := range map[string]string{"app": "bulkhead_app", "auth": "bulkhead_auth", "auditor": "bulkhead_auditor"} {
		r := call(t, environment, "psql", "--role", role, "--no-context", "-c", "SELECT 'I am ' || session_user")
		if r.code != exitDone || !strings.Contains(r.stdout, "I am "+login) {
			t.Errorf("%s: code %d, %s%s", role, r.code, r.stdout, r.stderr)
		}
	}
	r := call(t, map[string]string{"BULKHEAD_MASTER_KEY": environment["BULKHEAD_MASTER_KEY"]}, "migrate", "status", "--database-url", p.Superuser)
	if r.code != exitDone {
		t.Errorf("superuser: code %d, %s", r.code, r.stderr)
	}
}

// What was acknowledged is there, and nothing twice, although PostgreSQL is killed in the middle of it.
func TestLoadOutlivesAKilledPostgres(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	d := startDev(t, dir, "--no-sample")
	defer d.stop(t)
	const patients = 400
	var lines strings.Builder
	for i := range patients {
		fmt.Fprintf(&lines, `{"resourceType":"Patient","id":"p%d","name":[{"family":"Killed"}]}`+"\n", i)
	}
	tenant := d.report.Tenants[0]
	done := make(chan result, 1)
	go func() {
		done <- callWith(context.Background(), lines.String(), nil,
			"load", "--json", "--data", dir, "--group", "4", "-")
	}()
	for status := 0; status != http.StatusOK; { // until the load is under way
		status, _ = tenant.call(t, http.MethodGet, "/Patient/p20", "")
	}
	killPostgres(t, dir)
	r := <-done
	var sum loadSummary
	if err := json.Unmarshal([]byte(r.stdout), &sum); err != nil || r.code != exitDone || sum.Total.NotStored != 0 {
		t.Fatalf("code %d, %+v, %v\n%s", r.code, sum, err, r.stderr)
	}
	var found struct{ Total int }
	_, body := tenant.call(t, http.MethodGet, "/Patient?family=killed&_total=accurate&_count=1", "")
	if err := json.Unmarshal(body, &found); err != nil || found.Total != patients {
		t.Errorf("%d patients of %d: %s", found.Total, patients, body)
	}
	t.Logf("created %d, sent twice %d", sum.Total.Created, sum.Total.Updated)
}

func killPostgres(t *testing.T, dir string) {
	t.Helper()
	var state struct {
		Data string `json:"data_directory"`
	}
	text, err := os.ReadFile(filepath.Join(dir, "postgres.json"))
	if err == nil {
		err = json.Unmarshal(text, &state)
	}
	if err != nil {
		t.Fatal(err)
	}
	lines, err := os.ReadFile(filepath.Join(state.Data, "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(lines), "\n")
	pid, err := strconv.Atoi(first)
	if err == nil {
		err = syscall.Kill(pid, syscall.SIGKILL)
	}
	if err != nil {
		t.Fatal(err)
	}
}
