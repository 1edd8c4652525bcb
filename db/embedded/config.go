package embedded

import (
	"errors"
	"os"
)

// Failures that a caller may want to tell apart.
var (
	// ErrRunning: another program runs a server on this directory.
	ErrRunning = errors.New("already running")
	// ErrNotRunning: there is no server to attach to.
	ErrNotRunning = errors.New("not running")
	// ErrNoBinaries: no usable Postgres was found, nor could one be fetched.
	ErrNoBinaries = errors.New("no usable PostgreSQL")
	// ErrVersion: the data directory belongs to a major version that is not installed.
	ErrVersion = errors.New("wrong PostgreSQL version")
)

// Superuser is the name of the superuser that initdb creates.
const Superuser = "postgres"

// Config says where and how to run the server. The zero value, with a Dir, is what `dev` uses.
type Config struct {
	// Dir keeps everything: state, lock, log and, if the Postgres user can reach it, the data.
	// It is made when missing. Not used with Temporary.
	Dir string
	// Temporary makes a directory of its own, which is removed when the server stops.
	Temporary bool
	// Fast switches fsync, synchronous_commit and full_page_writes off: for tests, where a crash of
	// the machine may cost the data.
	Fast bool
	// BinDir holds initdb and postgres; "" looks at BULKHEAD_PG_BIN and then in the usual places.
	BinDir string
	// User runs Postgres if this program runs as root; "" takes the owner of the data, else
	// postgres, nobody or the first other account.
	User string
	// NoFetch forbids the download of binaries.
	NoFetch bool
	// Settings are added to postgresql.conf and win over what the package writes there.
	Settings map[string]string
	// Locked is called with the real path of Dir once no other program can be using it.
	Locked func(dir string) error
	// Getenv reads the environment; nil is os.Getenv.
	Getenv func(string) string
	// Report is told, in plain sentences, about each step that takes time, and about mishaps.
	Report func(string)

	previous      string  // where the binaries were that served this data last
	places        *places // where binaries are looked for; nil is everywhere
	fetchURL      string  // Maven repository; "" is the library's own
	cache         string  // where downloads are kept; "" is the usual cache
	noDeathSignal bool    // leaves the end of an orphan to the watchdog alone, for its test
}

func (c Config) withDefaults() Config {
	if c.Getenv == nil {
		c.Getenv = os.Getenv
	}
	if c.Report == nil {
		c.Report = func(string) {}
	}
	if c.places == nil {
		c.places = usualPlaces(c.Getenv)
	}
	return c
}
