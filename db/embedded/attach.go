package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Attach connects to the server that another process runs on dir, for commands that are given beside
// a running `bulkhead dev`. ErrNotRunning says that there is none.
func Attach(ctx context.Context, dir string) (*Server, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotRunning, err)
	}
	st, err := readState(dir)
	if errors.Is(err, os.ErrNotExist) || err == nil && (st.Port == 0 || !locked(dir)) {
		return nil, fmt.Errorf("the database in %s is %w", dir, ErrNotRunning)
	}
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, state: st, attached: true, done: make(chan struct{})}
	if err := s.ping(ctx); err != nil {
		return nil, fmt.Errorf("the database in %s does not answer: %w", dir, err)
	}
	return s, nil
}

// Open attaches to the server that runs on cfg.Dir, or starts one.
func Open(ctx context.Context, cfg Config) (*Server, error) {
	for deadline := time.Now().Add(20 * time.Second); ; {
		s, err := Attach(ctx, cfg.Dir)
		if err == nil || !errors.Is(err, ErrNotRunning) {
			return s, err
		}
		s, err = Start(ctx, cfg)
		if err == nil || !errors.Is(err, ErrRunning) || time.Now().After(deadline) {
			return s, err
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil { // it is just starting
			return nil, err
		}
	}
}

// locked tells whether a process holds the directory's lock.
func locked(dir string) bool {
	file, err := os.Open(filepath.Join(dir, lockName))
	if err != nil {
		return false
	}
	defer file.Close()
	return errors.Is(syscall.Flock(int(file.Fd()), syscall.LOCK_SH|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}
