package embedded

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// writeCommitted stores a row and leaves a transaction open, as a program does that is killed in the
// middle of its work.
func writeCommitted(t *testing.T, p *program) {
	t.Helper()
	query(t, p.server(t).SuperuserDSN("postgres"), "CREATE TABLE kept AS SELECT 'here' AS word")
}

func assertCommitted(t *testing.T, dir string) {
	t.Helper()
	s := start(t, Config{Dir: dir, Fast: true})
	if got := query(t, s.SuperuserDSN("postgres"), "SELECT word FROM kept"); got != "here" {
		t.Errorf("what was committed is lost: %q", got)
	}
}

// watchdogOf finds the watchdog of a postmaster by its command line.
func watchdogOf(t *testing.T, postmaster int) int {
	t.Helper()
	out, err := exec.Command("ps", "-A", "-ww", "-o", "pid=,command=").Output()
	if err != nil {
		t.Fatal(err)
	}
	// The script has several lines, and ps prints them as they are or escaped.
	text := strings.ReplaceAll(string(out), "\n$", "")
	for line := range strings.Lines(text) {
		pid, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if strings.Contains(line, "bulkhead-watchdog "+strconv.Itoa(postmaster)) {
			if n, err := strconv.Atoi(pid); err == nil {
				return n
			}
		}
	}
	t.Fatalf("no watchdog of %d in\n%s", postmaster, out)
	return 0
}

func TestPostgresDiesWithTheProgram(t *testing.T) {
	t.Parallel()
	for name, env := range map[string]string{"by both means": "EMBEDDED_TEST_NONE=1", "by the watchdog alone": "EMBEDDED_TEST_NO_DEATH_SIGNAL=1"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := testDir(t)
			p := startProgram(t, dir, env, "EMBEDDED_TEST_FAST=1")
			writeCommitted(t, p)
			pid := p.postmaster(t)
			if err := p.cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "Postgres ends after the program", gone(pid))
			assertCommitted(t, dir)
		})
	}
}

func TestPostgresDiesWithProgramAndWatchdog(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		return // only Linux has a second means; elsewhere the next start ends the orphan
	}
	dir := testDir(t)
	p := startProgram(t, dir, "EMBEDDED_TEST_FAST=1")
	writeCommitted(t, p)
	pid := p.postmaster(t)
	if err := syscall.Kill(watchdogOf(t, pid), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "Postgres ends after program and watchdog", gone(pid))
	assertCommitted(t, dir)
}

func TestOrphanIsStoppedByTheNextStart(t *testing.T) {
	t.Parallel()
	dir := testDir(t)
	p := startProgram(t, dir, "EMBEDDED_TEST_NO_DEATH_SIGNAL=1", "EMBEDDED_TEST_FAST=1")
	writeCommitted(t, p)
	pid := p.postmaster(t)
	if err := syscall.Kill(watchdogOf(t, pid), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.cmd.Wait()
	if gone(pid)() {
		t.Fatal("there is no orphan to test with")
	}
	assertCommitted(t, dir)
	eventually(t, "the orphan ends", gone(pid))
}

func TestEverythingKilledAtOnce(t *testing.T) {
	t.Parallel()
	dir := testDir(t)
	p := startProgram(t, dir) // not Fast: what is acknowledged must be on disk
	writeCommitted(t, p)
	pid := p.postmaster(t)
	for _, victim := range []int{watchdogOf(t, pid), pid, p.cmd.Process.Pid} {
		if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "Postgres is gone", gone(pid))
	if len(readPidFile(filepath.Join(dir, dataName))) == 0 {
		t.Fatal("a killed Postgres leaves its postmaster.pid")
	}
	assertCommitted(t, dir)
}

func TestStalePidOfAnotherProcessIsSurvived(t *testing.T) {
	t.Parallel()
	dir := testDir(t)
	s := start(t, Config{Dir: dir, Fast: true})
	stop(t, s)
	// After a reboot the id may belong to anything, even to a process of the same account.
	sleep := s.as.command(t.Context(), "/bin/sleep", "600")
	if err := sleep.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { sleep.Process.Kill(); sleep.Wait() }()
	stale := strings.Join([]string{strconv.Itoa(sleep.Process.Pid), s.state.DataDirectory, "1700000000", "5433", "/tmp", "127.0.0.1", "  1234567   12345", "ready   ", ""}, "\n")
	if err := writeFile(filepath.Join(s.state.DataDirectory, pidName), []byte(stale), s.as); err != nil {
		t.Fatal(err)
	}
	start(t, Config{Dir: dir, Fast: true})
	if gone(sleep.Process.Pid)() {
		t.Error("the innocent process was stopped")
	}
}

func TestSignalsStopCleanly(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			dir := testDir(t)
			p := startProgram(t, dir, "EMBEDDED_TEST_FAST=1")
			pid := p.postmaster(t)
			if err := p.cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			if err := p.cmd.Wait(); err != nil {
				t.Errorf("the program ends with %v", err)
			}
			if !gone(pid)() || exists(filepath.Join(dir, dataName, pidName)) {
				t.Error("Postgres was left behind")
			}
		})
	}
}

func TestTemporaryDataGoesWithAKilledProgram(t *testing.T) {
	t.Parallel()
	p := startProgram(t, "temporary", "EMBEDDED_TEST_FAST=1")
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the temporary directory goes", func() bool { return !exists(p.dir) })
}

// The other tests run as whoever runs them; this one runs the program unprivileged if that is root.
func TestUnprivilegedProgram(t *testing.T) {
	t.Parallel()
	as, err := chooseAccount("", "")
	if err != nil {
		t.Fatal(err)
	}
	dir := testDir(t)
	program, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "program")
	if err := os.WriteFile(binary, program, 0o755); err != nil {
		t.Fatal(err)
	}
	home := filepath.Join(dir, "home")
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := as.own(home); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary)
	cmd.Dir = home
	cmd.Env = append(os.Environ(), "EMBEDDED_TEST_DIR="+home, "EMBEDDED_TEST_FAST=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as.credential()}
	p := startCommand(t, cmd)
	pid := p.postmaster(t)
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "Postgres ends after the program", gone(pid))
	start(t, Config{Dir: home, Fast: true}) // and root takes over what belongs to another account
}
