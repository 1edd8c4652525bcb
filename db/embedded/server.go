package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// Server is a running Postgres. Its methods may be called from any goroutine.
type Server struct {
	cfg      Config
	bin      Binaries
	as       *account
	dir      string // Config.Dir, real and absolute
	state    state
	lock     *os.File
	log      *os.File
	attached bool

	stopping chan struct{}
	stopOnce sync.Once
	done     chan struct{}
	err      error // why the server is gone, valid after done
}

// Start starts a Postgres and returns when it takes connections. The context bounds the life of the
// server: when it ends, the server is stopped as by Stop. A program that answers what is in flight
// before it ends therefore passes a context of its own here, and calls Stop last.
//
// It fails with ErrRunning, ErrNoBinaries or ErrVersion, or with what initdb or Postgres said.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	cfg = cfg.withDefaults()
	s := &Server{cfg: cfg, stopping: make(chan struct{}), done: make(chan struct{})}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.release())
	}
	proc, err := s.run(ctx, false)
	if err == nil {
		err = s.check(ctx)
	}
	if err != nil {
		if proc != nil {
			proc.stop()
		}
		return nil, errors.Join(err, s.release())
	}
	go s.keep(ctx, proc)
	return s, nil
}

// open takes the directory and puts data and binaries in place.
func (s *Server) open(ctx context.Context) (err error) {
	if s.cfg.Temporary {
		if s.cfg.Dir, err = temporaryDir(ctx, s.cfg.User); err != nil {
			return err
		}
	}
	if s.dir, err = makeDir(s.cfg.Dir); err != nil {
		return err
	}
	if s.lock, err = lockDir(s.dir); err != nil {
		return err
	}
	if s.cfg.Locked != nil {
		if err := s.cfg.Locked(s.dir); err != nil {
			return err
		}
	}
	if s.state, err = readState(s.dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	s.state.Port = 0
	dataDir := s.state.DataDirectory
	if dataDir == "" || filepath.Dir(dataDir) != s.dir && !exists(dataDir) {
		dataDir = filepath.Join(s.dir, dataName) // new, or the directory was moved here
	}
	if s.as, err = chooseAccount(s.cfg.User, dataDir); err != nil {
		return err
	}
	if err := s.prepare(ctx, dataDir); err != nil {
		return err
	}
	if s.state.SocketDirectory, err = placeSocket(s.as, s.state.DataDirectory, s.state.SocketDirectory); err != nil {
		return err
	}
	s.log, err = openLog(filepath.Join(s.dir, logName))
	return err
}

// prepare finds the binaries that fit the data and makes the data if there is none.
func (s *Server) prepare(ctx context.Context, dataDir string) error {
	major, err := majorOf(dataDir)
	if err != nil {
		return err
	}
	s.cfg.previous = s.state.BinDirectory
	if s.bin, err = s.cfg.find(ctx, s.as, major); err != nil {
		return err
	}
	s.state.BinDirectory, s.state.Version = s.bin.Dir, s.bin.Version()
	if major != 0 {
		return s.reuse(ctx, dataDir)
	}
	if s.state.DataDirectory, err = placeData(ctx, s.as, s.dir); err != nil {
		return err
	}
	// The password is on disk before there is data that needs it.
	s.state.Password = randomPassword()
	if err := s.state.write(s.dir); err != nil {
		return err
	}
	return create(ctx, s.cfg, s.bin, s.as, s.state.DataDirectory, s.state.Password)
}

// reuse makes data of an earlier run ready to be served again.
func (s *Server) reuse(ctx context.Context, dataDir string) error {
	if s.state.Password == "" {
		return fmt.Errorf("%s holds a database, but its password is lost with %s: restore that file or use another --data directory",
			dataDir, filepath.Join(s.dir, stateName))
	}
	if !s.as.reaches(ctx, dataDir) {
		return fmt.Errorf("user %s, who owns the database, cannot enter %s: let others pass through its parent directories", s.as.name, dataDir)
	}
	s.state.DataDirectory = dataDir
	return clearStale(ctx, s.cfg, dataDir)
}

// run launches Postgres and waits until it is ready. What may pass by itself is tried again for a
// minute: a port that somebody took meanwhile, and shared memory that the backends of a killed
// postmaster hold until they notice.
func (s *Server) run(ctx context.Context, keepPort bool) (*process, error) {
	for deadline := time.Now().Add(time.Minute); ; {
		proc, err := s.runOnce(ctx)
		if err == nil {
			return proc, nil
		}
		portTaken := strings.Contains(err.Error(), "could not bind") || strings.Contains(err.Error(), "could not create any TCP/IP sockets")
		if portTaken && !keepPort {
			s.state.Port = 0
		}
		if !portTaken && !strings.Contains(err.Error(), "shared memory block") || time.Now().After(deadline) {
			return nil, err
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

func (s *Server) runOnce(ctx context.Context) (_ *process, err error) {
	if s.state.Port == 0 {
		if s.state.Port, err = freePort(); err != nil {
			return nil, err
		}
	}
	if err := configure(s.cfg, s.as, s.state.DataDirectory, s.state.SocketDirectory, s.state.Port); err != nil {
		return nil, err
	}
	before, err := s.log.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	remove := ""
	if s.cfg.Temporary {
		remove = s.dir
	}
	proc, err := launch(s.cfg, s.bin, s.as, s.state.DataDirectory, s.log, remove)
	if err != nil {
		return nil, err
	}
	if err := proc.ready(ctx, s.state.DataDirectory); err != nil {
		proc.stop()
		return nil, fmt.Errorf("%w%s", err, s.said(before))
	}
	return proc, nil
}

// said is what Postgres logged since an offset, for an error message: its end, if it is long.
func (s *Server) said(since int64) string {
	const most = 2000
	info, err := s.log.Stat()
	if err != nil || info.Size() <= since {
		return ""
	}
	text := make([]byte, min(most, info.Size()-since))
	n, err := s.log.ReadAt(text, max(since, info.Size()-most))
	if err != nil && !errors.Is(err, io.EOF) {
		return ""
	}
	return "\n" + strings.TrimSpace(string(text[:n]))
}

// check connects once, which proves that the password is the right one, and only then tells other
// processes where the server is.
func (s *Server) check(ctx context.Context) error {
	if err := s.ping(ctx); err != nil {
		return fmt.Errorf("the new server does not let its own superuser in: %w", err)
	}
	return s.state.write(s.dir)
}

func (s *Server) ping(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, s.SuperuserDSN("postgres"))
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// keep watches the postmaster until it is to stop, and starts it again when it ends by itself.
func (s *Server) keep(ctx context.Context, proc *process) {
	defer close(s.done)
	for {
		select {
		case <-s.stopping:
		case <-ctx.Done():
		case <-proc.exited:
			proc.dismiss()
			s.cfg.Report(fmt.Sprintf("PostgreSQL ended unexpectedly (%v); starting it again", proc.cmd.ProcessState))
			next, err := s.restart(ctx)
			if err == nil {
				proc = next
				continue
			}
			s.err = errors.Join(fmt.Errorf("PostgreSQL ended and could not be started again: %w", err), s.release())
			return
		}
		proc.stop()
		s.err = s.release()
		return
	}
}

// restart gives way to a stop that is asked for meanwhile.
func (s *Server) restart(ctx context.Context) (*process, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-s.stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	if err := clearStale(ctx, s.cfg, s.state.DataDirectory); err != nil {
		return nil, err
	}
	return s.run(ctx, true)
}

// release gives back everything but the process.
func (s *Server) release() error {
	var errs []error
	if s.state.DataDirectory != "" && s.state.SocketDirectory != "" && s.state.SocketDirectory != s.state.DataDirectory {
		errs = append(errs, os.RemoveAll(s.state.SocketDirectory))
	}
	if s.log != nil {
		errs = append(errs, s.log.Close())
	}
	if s.lock != nil {
		if stopped := s.state; stopped.Port != 0 && !s.cfg.Temporary {
			stopped.Port = 0
			errs = append(errs, stopped.write(s.dir))
		}
		if s.cfg.Temporary {
			errs = append(errs, os.RemoveAll(s.dir))
		}
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}

// Stop shuts Postgres down (fast: clients are disconnected, everything is written) and returns when
// it is gone. It is safe to repeat. A Server got from Attach is left running.
func (s *Server) Stop() error {
	if s.attached {
		return nil
	}
	s.stopOnce.Do(func() { close(s.stopping) })
	<-s.done
	return s.err
}

// Done is closed when the server is gone for good; Err then says why, nil after an ordinary Stop. A
// Server got from Attach never is.
func (s *Server) Done() <-chan struct{} { return s.done }

// Err is the reason for Done; nil before.
func (s *Server) Err() error {
	select {
	case <-s.done:
		return s.err
	default:
		return nil
	}
}

// Version is the version of the running server: "15.18".
func (s *Server) Version() string { return s.state.Version }

// BinDir is where the binaries in use are.
func (s *Server) BinDir() string { return s.state.BinDirectory }

// Dir is the real path of Config.Dir.
func (s *Server) Dir() string { return s.dir }

// Port is the TCP port on 127.0.0.1.
func (s *Server) Port() int { return s.state.Port }

// Attached tells that another process runs the server.
func (s *Server) Attached() bool { return s.attached }

// DSN is the URL for a connection over the Unix socket, the faster way, which only the account of
// this program, the one that Postgres runs as and root can take.
func (s *Server) DSN(user, password, database string) string {
	q := url.Values{"host": {s.state.SocketDirectory}, "port": {strconv.Itoa(s.state.Port)}, "sslmode": {"disable"}}
	u := url.URL{Scheme: "postgres", User: url.UserPassword(user, password), Path: "/" + database, RawQuery: strings.ReplaceAll(q.Encode(), "+", "%20")}
	return u.String()
}

// LoopbackDSN is the URL for a connection over 127.0.0.1, which every client understands.
func (s *Server) LoopbackDSN(user, password, database string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(user, password), Path: "/" + database,
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(s.state.Port)), RawQuery: "sslmode=disable",
	}
	return u.String()
}

// SuperuserDSN is DSN for the superuser.
func (s *Server) SuperuserDSN(database string) string {
	return s.DSN(Superuser, s.state.Password, database)
}

// SuperuserPassword is for a LoopbackDSN of the superuser.
func (s *Server) SuperuserPassword() string { return s.state.Password }

// CreateDatabase makes a database unless it is there, and returns the superuser's DSN for it.
func (s *Server) CreateDatabase(ctx context.Context, name string) (string, error) {
	conn, err := pgx.Connect(ctx, s.SuperuserDSN("postgres"))
	if err != nil {
		return "", err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var there bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&there); err != nil {
		return "", err
	}
	if !there {
		if _, err := conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()); err != nil {
			return "", err
		}
	}
	return s.SuperuserDSN(name), nil
}
