package embedded

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// TestMain lets the test binary play the program that runs a server, so that tests can kill it.
func TestMain(m *testing.M) {
	if dir := os.Getenv("EMBEDDED_TEST_DIR"); dir != "" {
		os.Exit(runProgram(dir))
	}
	os.Exit(m.Run())
}

func runProgram(dir string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	cfg := Config{Dir: dir, noDeathSignal: os.Getenv("EMBEDDED_TEST_NO_DEATH_SIGNAL") != "", Fast: os.Getenv("EMBEDDED_TEST_FAST") != ""}
	cfg.Temporary = dir == "temporary"
	s, err := Start(ctx, cfg)
	if err != nil {
		fmt.Println("error", err)
		return 1
	}
	fmt.Println("ready", s.dir)
	<-s.Done()
	if s.Err() != nil {
		return 1
	}
	return 0
}

// program is that other process.
type program struct {
	cmd *exec.Cmd
	dir string
}

func startProgram(t *testing.T, dir string, env ...string) *program {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), append(env, "EMBEDDED_TEST_DIR="+dir)...)
	return startCommand(t, cmd)
}

func startCommand(t *testing.T, cmd *exec.Cmd) *program {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	word, dir, _ := strings.Cut(strings.TrimSpace(line), " ")
	if err != nil || word != "ready" {
		t.Fatalf("the program says %q, %v", line, err)
	}
	return &program{cmd: cmd, dir: dir}
}

// connect reads the state file as a client beside the program would.
func (p *program) server(t *testing.T) *Server {
	t.Helper()
	s, err := Attach(t.Context(), p.dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (p *program) postmaster(t *testing.T) int {
	t.Helper()
	st, err := readState(p.dir)
	if err != nil {
		t.Fatal(err)
	}
	return postmasterOf(t, st.DataDirectory)
}

func postmasterOf(t *testing.T, dataDir string) int {
	t.Helper()
	lines := readPidFile(dataDir)
	if len(lines) == 0 {
		t.Fatalf("no %s in %s", pidName, dataDir)
	}
	pid, err := strconv.Atoi(lines[0])
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// testDir is a directory that the Postgres account can reach even if the tests run as root.
func testDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "embedded-*")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	dir, err = filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func start(t *testing.T, cfg Config) *Server {
	t.Helper()
	cfg.Report = func(text string) { t.Log(text) }
	s, err := Start(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Errorf("Stop: %v", err)
		}
	})
	return s
}

func stop(t *testing.T, s *Server) {
	t.Helper()
	if err := s.Stop(); err != nil {
		t.Fatalf("Stop: %v", err)
	}
}

// query runs one statement and gives its first column as text.
func query(t *testing.T, dsn, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var out string
	if err := conn.QueryRow(t.Context(), sql).Scan(&out); err != nil && !errors.Is(err, pgx.ErrNoRows) {
		t.Fatalf("%s: %v", sql, err)
	}
	return out
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(40 * time.Second); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("in vain: " + what)
		}
	}
}

func gone(pid int) func() bool {
	return func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }
}

func TestServerKeepsItsDoorsShut(t *testing.T) {
	t.Parallel()
	s := start(t, Config{Dir: testDir(t)})
	if s.Port() == 5432 || s.Port() < 1024 {
		t.Errorf("port %d", s.Port())
	}
	for _, dsn := range []string{
		s.DSN(Superuser, "wrong", "postgres"), s.LoopbackDSN(Superuser, "wrong", "postgres"),
		s.DSN(Superuser, "", "postgres"),
	} {
		_, err := pgx.Connect(t.Context(), dsn)
		var refused *pgconn.PgError
		if !errors.As(err, &refused) && !strings.Contains(fmt.Sprint(err), "password") {
			t.Errorf("%s: %v, want a refused password", dsn, err)
		}
	}
	for sql, want := range map[string]string{
		"SHOW listen_addresses":        "127.0.0.1",
		"SHOW fsync":                   "on",
		"SHOW full_page_writes":        "on",
		"SHOW synchronous_commit":      "on",
		"SHOW data_checksums":          "on",
		"SHOW server_encoding":         "UTF8",
		"SHOW unix_socket_permissions": "0700",
		"SELECT string_agg(DISTINCT auth_method, ',') FROM pg_hba_file_rules": "scram-sha-256",
	} {
		if got := query(t, s.SuperuserDSN("postgres"), sql); got != want {
			t.Errorf("%s: %q, want %q", sql, got, want)
		}
	}
	if got := query(t, s.LoopbackDSN(Superuser, s.SuperuserPassword(), "postgres"), "SELECT 'in'"); got != "in" {
		t.Errorf("over loopback: %q", got)
	}
	assertLoopbackOnly(t, s.Port())
	assertModes(t, s)
}

func assertLoopbackOnly(t *testing.T, port int) {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range addresses {
		ip, ok := address.(*net.IPNet)
		if !ok || ip.IP.Equal(net.IPv4(127, 0, 0, 1)) || ip.IP.IsLinkLocalUnicast() {
			continue
		}
		conn, err := net.DialTimeout("tcp", net.JoinHostPort(ip.IP.String(), strconv.Itoa(port)), time.Second)
		if err == nil {
			conn.Close()
			t.Errorf("it listens on %s too", ip.IP)
		}
	}
}

func assertModes(t *testing.T, s *Server) {
	t.Helper()
	for path, want := range map[string]os.FileMode{
		filepath.Join(s.dir, stateName): 0o600, filepath.Join(s.dir, logName): 0o600, s.state.DataDirectory: 0o700,
	} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", path, got, want)
		}
	}
}

func TestDataIsKeptBetweenRuns(t *testing.T) {
	t.Parallel()
	dir := testDir(t)
	first := start(t, Config{Dir: dir, Fast: true})
	query(t, first.SuperuserDSN("postgres"), "CREATE TABLE kept AS SELECT 'here' AS word")
	stop(t, first)
	if lines := readPidFile(first.state.DataDirectory); lines != nil {
		t.Errorf("a stopped server left %v", lines)
	}
	second := start(t, Config{Dir: dir, Fast: true})
	if got := query(t, second.SuperuserDSN("postgres"), "SELECT word FROM kept"); got != "here" {
		t.Errorf("%q", got)
	}
}

func TestSecondStartIsRefused(t *testing.T) {
	t.Parallel()
	dir := testDir(t)
	s := start(t, Config{Dir: dir, Fast: true})
	_, err := Start(t.Context(), Config{Dir: dir})
	if !errors.Is(err, ErrRunning) || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) || !strings.Contains(err.Error(), dir) {
		t.Errorf("%v, want ErrRunning with the process and the directory", err)
	}
	if got := query(t, s.SuperuserDSN("postgres"), "SELECT 'alive'"); got != "alive" {
		t.Errorf("the first one suffered: %q", got)
	}
}

func TestOpenAttachesToARunningServer(t *testing.T) {
	t.Parallel()
	dir := testDir(t)
	if _, err := Attach(t.Context(), dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("%v, want ErrNotRunning", err)
	}
	first, err := Open(context.Background(), Config{Dir: dir, Fast: true})
	if err != nil || first.Attached() {
		t.Fatalf("%v, attached %v", err, first.Attached())
	}
	second, err := Open(t.Context(), Config{Dir: dir})
	if err != nil || !second.Attached() {
		t.Fatalf("%v, attached %v", err, second.Attached())
	}
	stop(t, second)
	if got := query(t, first.SuperuserDSN("postgres"), "SELECT 'alive'"); got != "alive" {
		t.Errorf("%q", got)
	}
	stop(t, first)
	if _, err := Attach(t.Context(), dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("%v, want ErrNotRunning", err)
	}
}

func TestEndOfContextStopsTheServer(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	s, err := Start(ctx, Config{Temporary: true, Fast: true})
	if err != nil {
		t.Fatal(err)
	}
	pid := postmasterOf(t, s.state.DataDirectory)
	cancel()
	<-s.Done()
	if s.Err() != nil || !gone(pid)() || exists(s.dir) {
		t.Errorf("%v; gone %v; temporary directory left %v", s.Err(), gone(pid)(), exists(s.dir))
	}
}

func TestFastForgoesDurabilityOnly(t *testing.T) {
	t.Parallel()
	s := start(t, Config{Temporary: true, Fast: true, Settings: map[string]string{"work_mem": "7MB", "application_name": "it's"}})
	for sql, want := range map[string]string{
		"SHOW fsync": "off", "SHOW synchronous_commit": "off", "SHOW full_page_writes": "off", "SHOW work_mem": "7MB",
		"SELECT reset_val FROM pg_settings WHERE name = 'application_name'":   "it's",
		"SELECT string_agg(DISTINCT auth_method, ',') FROM pg_hba_file_rules": "scram-sha-256",
	} {
		if got := query(t, s.SuperuserDSN("postgres"), sql); got != want {
			t.Errorf("%s: %q, want %q", sql, got, want)
		}
	}
}

func TestKilledPostgresIsStartedAgain(t *testing.T) {
	t.Parallel()
	s := start(t, Config{Temporary: true})
	dsn := s.SuperuserDSN("postgres")
	query(t, dsn, "CREATE TABLE kept AS SELECT 'here' AS word")
	// A backend at work delays the restart until it notices; it must not prevent it.
	busy, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	go busy.Exec(context.Background(), "SELECT pg_sleep(600)")
	pid := postmasterOf(t, s.state.DataDirectory)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the server comes back on the same port", func() bool {
		conn, err := pgx.Connect(t.Context(), dsn)
		if err != nil {
			return false
		}
		return conn.Close(t.Context()) == nil && postmasterOf(t, s.state.DataDirectory) != pid
	})
	if got := query(t, dsn, "SELECT word FROM kept"); got != "here" {
		t.Errorf("%q", got)
	}
}
