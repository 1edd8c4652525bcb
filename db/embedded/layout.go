package embedded

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Names inside Config.Dir.
const (
	stateName = "postgres.json" // 0600: password, port
	lockName  = "postgres.lock" // held by the program that runs the server
	logName   = "postgres.log"
	dataName  = "postgres" // the data directory
)

// A Unix socket's path is limited to 103 bytes on macOS and 107 on Linux, and ends in
// "/.s.PGSQL.65535.lock".
const longestSocketDir = 80

// state is what must be remembered between runs, and what another process needs to connect.
type state struct {
	DataDirectory   string `json:"data_directory"`
	SocketDirectory string `json:"socket_directory"`
	Port            int    `json:"port"` // 0 when stopped
	Password        string `json:"superuser_password"`
	BinDirectory    string `json:"bin_directory"`
	Version         string `json:"version"`
}

func readState(dir string) (state, error) {
	text, err := os.ReadFile(filepath.Join(dir, stateName))
	if err != nil {
		return state{}, err
	}
	var s state
	if err := json.Unmarshal(text, &s); err != nil {
		return state{}, fmt.Errorf("%s: %w", filepath.Join(dir, stateName), err)
	}
	return s, nil
}

// write replaces the state file at once, so that no reader sees half of it.
func (s state) write(dir string) error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, stateName), append(text, '\n'), ownerOf(dir))
}

// writeFile replaces a file by a new one of mode 0600 that belongs to the account. It never writes
// through a link that somebody else put there.
func writeFile(path string, text []byte, as *account) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, file.Close())
		if err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	if as.change {
		if err := file.Chown(as.uid, as.gid); err != nil {
			return err
		}
	}
	if _, err := file.Write(text); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

// ownerOf makes files that root writes into somebody's directory usable for that somebody later.
func ownerOf(dir string) *account {
	info, err := os.Stat(dir)
	if err != nil || os.Geteuid() != 0 {
		return &account{}
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || owner.Uid == 0 {
		return &account{}
	}
	return &account{uid: int(owner.Uid), gid: int(owner.Gid), change: true}
}

// lockDir takes the directory for this process, until the file is closed or the process ends.
func lockDir(dir string) (*os.File, error) {
	path := filepath.Join(dir, lockName)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the lock of the data directory: %w", err)
	}
	if err := tryLock(file); err != nil {
		holder, readErr := io.ReadAll(io.LimitReader(file, 20))
		closeErr := file.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) || readErr != nil || closeErr != nil {
			return nil, fmt.Errorf("the lock of the data directory %s: %w", path, errors.Join(err, readErr, closeErr))
		}
		return nil, fmt.Errorf("%w: process %s runs the database in %s; stop it first, or use another --data directory",
			ErrRunning, strings.TrimSpace(string(holder)), dir)
	}
	text := strconv.Itoa(os.Getpid()) + "\n"
	if err := errors.Join(file.Truncate(0), second(file.WriteAt([]byte(text), 0)), chownFile(file, ownerOf(dir))); err != nil {
		return nil, errors.Join(fmt.Errorf("the lock of the data directory: %w", err), file.Close())
	}
	return file, nil
}

// tryLock gives Attach, which looks at the lock for a moment, that moment.
func tryLock(file *os.File) (err error) {
	for range 5 {
		if err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err == nil {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return err
}

func second(_ int, err error) error { return err }

func chownFile(file *os.File, as *account) error {
	if !as.change {
		return nil
	}
	return file.Chown(as.uid, as.gid)
}

// makeDir makes Config.Dir and gives its real, absolute path.
func makeDir(dir string) (string, error) {
	if dir == "" {
		return "", errors.New("no directory was given for the database")
	}
	mode := os.FileMode(0o700)
	if os.Geteuid() == 0 {
		mode = 0o711 // the Postgres account must pass through; what is secret is 0600 or 0700 itself
	}
	if err := os.MkdirAll(dir, mode); err != nil {
		return "", fmt.Errorf("the data directory: %w", err)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(dir)
}

// placeData says where the data directory shall be: in dir if the Postgres account can get there,
// else, for a program that runs as root in a directory closed to others, in a new directory of its
// own under /var/lib/bulkhead (or beside other temporary files, if dir is temporary itself).
func placeData(ctx context.Context, as *account, dir string) (string, error) {
	if as.reaches(ctx, dir) {
		return filepath.Join(dir, dataName), nil
	}
	bases := []string{"/var/lib/bulkhead", "/var/tmp"}
	if temp, err := filepath.EvalSymlinks(os.TempDir()); err == nil && strings.HasPrefix(dir, temp+"/") {
		bases = []string{temp, "/tmp", "/var/tmp"}
	}
	for _, base := range bases {
		if os.MkdirAll(base, 0o755) != nil || !as.reaches(ctx, base) {
			continue
		}
		own, err := os.MkdirTemp(base, strings.TrimLeft(filepath.Base(dir), ".")+"-*")
		if err == nil {
			return filepath.Join(own, dataName), os.Chmod(own, 0o711)
		}
	}
	return "", fmt.Errorf("this program runs as root, so PostgreSQL must run as user %s, who can enter neither %s nor %s: use a --data directory that others may pass through, or start the program as an unprivileged user",
		as.name, dir, strings.Join(bases, " nor "))
}

// placeSocket gives the directory of the Unix socket: the data directory, which is closed to others,
// unless its path is too long for a socket. Then it is old, the one of a run that was cut short, if
// that is still ours, or a new one.
func placeSocket(as *account, dataDir, old string) (string, error) {
	if len(dataDir) <= longestSocketDir {
		return dataDir, nil
	}
	if info, err := os.Lstat(old); err == nil && info.IsDir() && info.Mode().Perm() == 0o700 && belongsTo(info, as.uid) {
		return old, nil
	}
	dir, err := os.MkdirTemp("/tmp", "bulkhead-*")
	if err != nil {
		return "", fmt.Errorf("a directory for the socket: %w", err)
	}
	return dir, as.own(dir)
}

// temporaryDir makes a directory that the Postgres account can reach.
func temporaryDir(ctx context.Context, user string) (string, error) {
	as, err := chooseAccount(user, "")
	if err != nil {
		return "", err
	}
	for _, base := range []string{os.TempDir(), "/tmp", "/var/tmp"} {
		if !as.reaches(ctx, base) {
			continue
		}
		dir, err := os.MkdirTemp(base, "bulkhead-*")
		if err == nil && as.change {
			err = os.Chmod(dir, 0o711)
		}
		if err == nil {
			return dir, nil
		}
	}
	return "", fmt.Errorf("no place for a temporary database that user %s can reach", as.name)
}

// openLog opens the log for appending, and starts it anew once it is large.
func openLog(path string) (*os.File, error) {
	const large = 16 << 20
	if info, err := os.Stat(path); err == nil && info.Size() > large {
		if err := os.Rename(path, path+".old"); err != nil {
			return nil, err
		}
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	return file, chownFile(file, ownerOf(filepath.Dir(path)))
}

// freePort asks the system for an unused port; it gives high ones, never 5432.
func freePort() (int, error) {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("a port on 127.0.0.1: %w", err)
	}
	defer listener.Close()
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok || address.Port == 5432 {
		return 0, errors.New("no free port on 127.0.0.1")
	}
	return address.Port, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// ours tells whether a directory belongs to this program's account, so that what is in it is its own.
func ours(dir string) bool {
	info, err := os.Lstat(dir)
	return err == nil && info.IsDir() && belongsTo(info, os.Geteuid())
}

func belongsTo(info os.FileInfo, uid int) bool {
	owner, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(owner.Uid) == uid
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// randomPassword has 192 bits and no character that needs quoting anywhere.
func randomPassword() string {
	raw := make([]byte, 24)
	rand.Read(raw)
	return hex.EncodeToString(raw)
}
