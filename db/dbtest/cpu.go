package dbtest

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Meter measures the CPU that this program and the whole of Postgres use, for benchmarks: time on
// a shared machine says little, CPU says what an operation costs.
type Meter struct {
	postmaster  string
	program, pg time.Duration
}

// NewMeter starts measuring. Without Linux's /proc, Postgres reads as 0.
func (d *Database) NewMeter(b *testing.B) *Meter {
	b.Helper()
	var pid int
	if err := d.Connect(b, "").QueryRow(context.Background(), "SELECT pg_backend_pid()").Scan(&pid); err != nil {
		b.Fatal(err)
	}
	m := &Meter{postmaster: parentOf(strconv.Itoa(pid))}
	m.program, m.pg = ownCPU(), m.postgresCPU()
	return m
}

// Report adds the CPU per operation since NewMeter to b's results, in microseconds.
func (m *Meter) Report(b *testing.B) {
	program, pg := ownCPU()-m.program, m.postgresCPU()-m.pg
	b.ReportMetric(float64(program.Microseconds())/float64(b.N), "program-us/op")
	b.ReportMetric(float64(pg.Microseconds())/float64(b.N), "postgres-us/op")
}

func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// postgresCPU sums what the scheduler has given to every process of the server.
func (m *Meter) postgresCPU() time.Duration {
	var total time.Duration
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		if parentOf(filepath.Base(dir)) != m.postmaster {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, "schedstat"))
		if err != nil {
			continue
		}
		first, _, _ := strings.Cut(string(text), " ")
		ns, err := strconv.ParseInt(first, 10, 64)
		if err == nil {
			total += time.Duration(ns)
		}
	}
	return total
}

func parentOf(pid string) string {
	text, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(text), ") ") // the name may hold blanks
	fields := strings.Fields(rest)
	if len(fields) < 2 {
		return ""
	}
	return fields[1]
}
