package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const pidName = "postmaster.pid"

// clear makes way for a new postmaster in a directory whose lock this process holds. Postgres itself
// survives a stale postmaster.pid unless its process id belongs to something else by now (after a
// reboot, say): that is looked at here. A postmaster that is really there was left by a program that
// died a moment ago, and is stopped.
func clearStale(ctx context.Context, cfg Config, dataDir string) error {
	lines := readPidFile(dataDir)
	if len(lines) == 0 {
		return nil
	}
	pid, err := strconv.Atoi(lines[0])
	if err != nil || pid <= 1 || !servesDir(ctx, pid, dataDir) {
		cfg.Report("Removing the postmaster.pid of a server that is gone")
		if err := os.Remove(filepath.Join(dataDir, pidName)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("a stale %s: %w", pidName, err)
		}
		return nil
	}
	cfg.Report(fmt.Sprintf("Stopping the PostgreSQL (process %d) that an earlier run left", pid))
	return endOrphan(ctx, pid, dataDir)
}

func endOrphan(ctx context.Context, pid int, dataDir string) error {
	for _, step := range []struct {
		signal syscall.Signal
		wait   time.Duration
	}{{syscall.SIGINT, fastShutdown}, {syscall.SIGQUIT, immediateShutdown}} {
		if err := syscall.Kill(pid, step.signal); errors.Is(err, syscall.ESRCH) {
			return nil
		} else if err != nil {
			return fmt.Errorf("stopping the PostgreSQL (process %d) that an earlier run left: %w", pid, err)
		}
		for deadline := time.Now().Add(step.wait); time.Now().Before(deadline); {
			if !servesDir(ctx, pid, dataDir) {
				return nil
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	return fmt.Errorf("the PostgreSQL (process %d) that an earlier run left does not stop", pid)
}

// servesDir tells whether the process is a Postgres of this data directory. A postmaster keeps the
// data directory as its working directory, and ours names it on its command line.
func servesDir(ctx context.Context, pid int, dataDir string) bool {
	if syscall.Kill(pid, 0) != nil && os.Geteuid() == 0 {
		return false
	}
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	if _, err := os.Stat("/proc/self/cwd"); err == nil {
		program, err := os.Readlink(filepath.Join(proc, "exe"))
		if err != nil || !strings.HasPrefix(filepath.Base(program), "postgres") {
			return false
		}
		cwd, err := os.Readlink(filepath.Join(proc, "cwd"))
		return err == nil && cwd == dataDir
	}
	out, err := exec.CommandContext(ctx, "ps", "-ww", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && strings.Contains(string(out), "postgres") && strings.Contains(string(out), dataDir)
}
