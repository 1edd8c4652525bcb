package dbtest

import (
	"context"
	"io"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"bulkhead/db"
)

// Line is a line to a database that a test can cut and mend.
type Line struct {
	listener net.Listener
	network  string
	address  string

	mu   sync.Mutex
	cut  bool
	open map[net.Conn]struct{}
}

// OpenLine opens d once more, over a line.
func OpenLine(t testing.TB, d *Database) (*db.DB, *Line) {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("dbtest: %v", err)
	}
	port := strconv.Itoa(int(d.super.Port))
	l := &Line{listener: listener, network: "tcp", address: net.JoinHostPort(d.super.Host, port), open: map[net.Conn]struct{}{}}
	if strings.HasPrefix(d.super.Host, "/") {
		l.network, l.address = "unix", filepath.Join(d.super.Host, ".s.PGSQL."+port)
	}
	go l.serve()
	t.Cleanup(func() {
		l.Cut()
		_ = listener.Close()
	})

	over := *d
	over.super = d.super.Copy()
	over.super.Host = "127.0.0.1"
	over.super.Port = uint16(listener.Addr().(*net.TCPAddr).Port)
	opened, err := db.Open(context.Background(), over.Config())
	if err != nil {
		t.Fatalf("dbtest: %v", err)
	}
	t.Cleanup(opened.Close)
	return opened, l
}

// Cut ends every connection and refuses new ones, as a database does that went away.
func (l *Line) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = true
	for conn := range l.open {
		_ = conn.Close()
	}
	clear(l.open)
}

// Mend lets connections through again.
func (l *Line) Mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = false
}

func (l *Line) serve() {
	for {
		near, err := l.listener.Accept()
		if err != nil {
			return
		}
		var dialer net.Dialer
		far, err := dialer.DialContext(context.Background(), l.network, l.address)
		if err != nil || !l.keep(near, far) {
			_ = near.Close()
			if err == nil {
				_ = far.Close()
			}
			continue
		}
		go pass(near, far)
		go pass(far, near)
	}
}

func (l *Line) keep(conns ...net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, conn := range conns {
		if !l.cut {
			l.open[conn] = struct{}{}
		}
	}
	return !l.cut
}

func pass(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	_ = to.Close()
}
