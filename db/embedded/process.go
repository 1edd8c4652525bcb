package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// How long a shutdown may take before a harder one is asked for.
const (
	fastShutdown      = 30 * time.Second
	immediateShutdown = 5 * time.Second
)

// process is a running postmaster, tied to the life of this program twice over: the kernel signals
// it when the thread that started it dies (Linux), and a watchdog shell shuts it down when its end
// of a pipe is closed by this program's death, whatever the cause of that (everywhere).
type process struct {
	cmd      *exec.Cmd
	exited   chan struct{} // closed when the postmaster is gone
	watchdog *exec.Cmd
	leash    *os.File // the watchdog's pipe; only this process holds this end
}

// watchdog waits for a line or the end of its input. A line means that there is nothing left to do.
// The end alone means that the program died: then Postgres ($1) is asked to stop fast, after 30 s
// immediately, and files that were to go when it stops ($2, maybe empty) are removed.
const watchdog = `
trap '' HUP INT TERM
read -r word && exit 0
kill -INT "$1" 2>/dev/null
n=0
while kill -0 "$1" 2>/dev/null && [ "$n" -lt 300 ]; do sleep 0.1 || sleep 1; n=$((n+1)); done
kill -QUIT "$1" 2>/dev/null
if [ -n "$2" ]; then sleep 0.5 || sleep 1; rm -rf -- "$2"; fi
`

// launch starts the postmaster. Its output goes to log; remove is a directory to be removed after the
// death of this program, or "".
func launch(cfg Config, bin Binaries, as *account, dataDir string, log *os.File, remove string) (*process, error) {
	cmd := as.command(context.Background(), filepath.Join(bin.Dir, "postgres"), "-D", dataDir)
	cmd.Stdout, cmd.Stderr = log, log
	if !cfg.noDeathSignal {
		dieWithParent(cmd.SysProcAttr)
	}
	p := &process{cmd: cmd, exited: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The kernel's death signal follows the thread that forked, not the process. A locked
		// thread lives until this goroutine ends, which is when Postgres has ended.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait() //nolint:errcheck // how it ended is in cmd.ProcessState
			close(p.exited)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting PostgreSQL%s: %w", as.suffix(), err)
	}
	if err := p.watch(remove); err != nil {
		p.stop()
		return nil, fmt.Errorf("starting the watchdog of PostgreSQL: %w", err)
	}
	return p, nil
}

func (p *process) watch(remove string) error {
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(context.Background(), "/bin/sh", "-c", watchdog, "bulkhead-watchdog", strconv.Itoa(p.pid()), remove)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	cmd.Stdin = read
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return errors.Join(err, read.Close(), write.Close())
	}
	p.watchdog, p.leash = cmd, write
	return read.Close()
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// stop asks for ever harder shutdowns until the postmaster is gone, and dismisses the watchdog.
func (p *process) stop() {
	for _, step := range []struct {
		signal syscall.Signal
		wait   time.Duration
	}{{syscall.SIGINT, fastShutdown}, {syscall.SIGQUIT, immediateShutdown}, {syscall.SIGKILL, immediateShutdown}} {
		if !p.running() {
			break
		}
		p.cmd.Process.Signal(step.signal) //nolint:errcheck // it may just have ended
		select {
		case <-p.exited:
		case <-time.After(step.wait):
		}
	}
	p.dismiss()
}

// dismiss ends the watchdog without harm.
func (p *process) dismiss() {
	if p.watchdog == nil {
		return
	}
	io.WriteString(p.leash, "done\n") //nolint:errcheck // a watchdog that is gone needs no word
	p.leash.Close()
	p.watchdog.Wait() //nolint:errcheck // its exit code tells nothing
	p.watchdog = nil
}

// ready waits until this postmaster takes connections, which it notes in postmaster.pid itself.
func (p *process) ready(ctx context.Context, dataDir string) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if lines := readPidFile(dataDir); len(lines) >= 8 && lines[0] == strconv.Itoa(p.pid()) && lines[7] == "ready" {
			return nil
		}
		select {
		case <-p.exited:
			return errors.New("PostgreSQL ended while starting")
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// readPidFile gives the trimmed lines of postmaster.pid: process id, data directory, start time,
// port, socket directory, address, shared memory, status. None if there is no such file.
func readPidFile(dataDir string) []string {
	text, err := os.ReadFile(filepath.Join(dataDir, pidName))
	if err != nil {
		return nil
	}
	lines := strings.Split(string(text), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return lines
}
