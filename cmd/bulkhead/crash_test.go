package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// asProgram makes this test binary the program, so that a test can kill it.
const asProgram = "BULKHEAD_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// process is `bulkhead dev` in a process of its own.
type process struct {
	*exec.Cmd
	report devReport
}

func startProcess(t *testing.T, dir string) *process {
	t.Helper()
	report := filepath.Join(dir, reportName)
	if err := os.Remove(report); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	p := &process{Cmd: exec.Command(os.Args[0], "dev", "--data", dir, "--listen", "127.0.0.1:0")}
	p.Env = append(os.Environ(), asProgram+"=1")
	said := &lockedBuffer{}
	p.Stderr = said
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.Process.Signal(syscall.SIGTERM)
		_ = p.Wait()
	})
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		text, err := os.ReadFile(report)
		if err == nil && json.Unmarshal(text, &p.report) == nil {
			return p
		}
		if time.Now().After(deadline) {
			t.Fatalf("dev is not ready: %s", said)
		}
	}
}

const bundleSize = 20

// writers post transactions of bundleSize patients each until they are told to stop, and keep what
// was acknowledged.
type writers struct {
	mu           sync.Mutex
	acknowledged []int
	refused      int
	started      int
	group        sync.WaitGroup
	stop         context.CancelFunc
}

func startWriters(t *testing.T, p *process) *writers {
	t.Helper()
	tenant := p.report.Tenants[0]
	ctx, stop := context.WithCancel(context.Background())
	w := &writers{stop: stop}
	t.Cleanup(stop)
	token := tenant.token(t)
	for range 4 {
		w.group.Go(func() {
			for ctx.Err() == nil {
				w.mu.Lock()
				n := w.started
				w.started++
				w.mu.Unlock()
				status := post(ctx, tenant.FHIRBase, token, bundleOf(n))
				w.mu.Lock()
				switch status {
				case http.StatusOK:
					w.acknowledged = append(w.acknowledged, n)
				default:
					w.refused++
				}
				w.mu.Unlock()
				if status != http.StatusOK {
					time.Sleep(20 * time.Millisecond)
				}
			}
		})
	}
	return w
}

// wait returns when n more bundles have been acknowledged.
func (w *writers) wait(t *testing.T, n int) {
	t.Helper()
	w.mu.Lock()
	goal := len(w.acknowledged) + n
	w.mu.Unlock()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		w.mu.Lock()
		done := len(w.acknowledged) >= goal
		w.mu.Unlock()
		if done {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("writing does not get on: %d acknowledged, %d refused", len(w.acknowledged), w.refused)
		}
	}
}

func bundleOf(n int) string {
	entries := make([]string, bundleSize)
	for k := range entries {
		id := fmt.Sprintf("crash-%d-%d", n, k)
		entries[k] = fmt.Sprintf(`{"resource":{"resourceType":"Patient","id":%q,"active":true},"request":{"method":"PUT","url":"Patient/%s"}}`, id, id)
	}
	return `{"resourceType":"Bundle","type":"transaction","entry":[` + strings.Join(entries, ",") + `]}`
}

// post returns the status, or 0 when there was no answer.
func post(ctx context.Context, base, token, body string) int {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, base, strings.NewReader(body))
	if err != nil {
		return 0
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/fhir+json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return 0
	}
	return response.StatusCode
}

// verify reads every patient back: an acknowledged bundle is there whole, any other whole or not at all.
func (w *writers) verify(t *testing.T, p *process) {
	t.Helper()
	tenant := p.report.Tenants[0]
	token := tenant.token(t)
	acknowledged := map[int]bool{}
	for _, n := range w.acknowledged {
		acknowledged[n] = true
	}
	for n := range w.started {
		there := 0
		for k := range bundleSize {
			request, err := http.NewRequest(http.MethodGet, fmt.Sprintf("%s/Patient/crash-%d-%d", tenant.FHIRBase, n, k), nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Authorization", "Bearer "+token)
			if status, body := send(t, request); status == http.StatusOK {
				there++
			} else if status != http.StatusNotFound {
				t.Fatalf("%d %s", status, body)
			}
		}
		if acknowledged[n] && there != bundleSize || there != 0 && there != bundleSize {
			t.Errorf("bundle %d, acknowledged %t: %d of %d are there", n, acknowledged[n], there, bundleSize)
		}
	}
	t.Logf("%d bundles acknowledged, %d not", len(w.acknowledged), w.started-len(w.acknowledged))
}

func TestNothingAcknowledgedIsLostWhenTheProgramIsKilled(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	p := startProcess(t, dir)
	w := startWriters(t, p)
	w.wait(t, 20)
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.Wait()
	w.stop()
	w.group.Wait()
	w.verify(t, startProcess(t, dir))
}

func TestNothingAcknowledgedIsLostWhenPostgresIsKilled(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	p := startProcess(t, dir)
	w := startWriters(t, p)
	w.wait(t, 20)
	if err := syscall.Kill(postmaster(t, dir), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	w.wait(t, 20) // the program gets Postgres back by itself
	w.stop()
	w.group.Wait()
	w.verify(t, p)
}

// postmaster is the process id of the embedded server. Its files may lie outside of dir, where the
// account that it runs as cannot go.
func postmaster(t *testing.T, dir string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "postgres.json"))
	if err != nil {
		t.Fatal(err)
	}
	var state struct {
		Data string `json:"data_directory"`
	}
	if err := json.Unmarshal(text, &state); err != nil {
		t.Fatal(err)
	}
	if text, err = os.ReadFile(filepath.Join(state.Data, "postmaster.pid")); err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}
