package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

// fetchable are the builds that are downloaded when nothing is installed.
var fetchable = map[int]embeddedpostgres.PostgresVersion{
	15: embeddedpostgres.V15,
	16: embeddedpostgres.V16,
	17: embeddedpostgres.V17,
	18: embeddedpostgres.V18,
}

// fetch downloads and unpacks the binaries of one major version (0: the newest) into a cache that
// later starts use again.
func (c Config) fetch(ctx context.Context, as *account, major int) (Binaries, error) {
	if major == 0 {
		major = NewestMajor
	}
	version, ok := fetchable[major]
	if !ok {
		return Binaries{}, fmt.Errorf("%w: there is no build of PostgreSQL %d to fetch", ErrVersion, major)
	}
	cache, err := c.cacheDir(ctx, as)
	if err != nil {
		return Binaries{}, err
	}
	target := filepath.Join(cache, "postgresql-"+string(version))
	if b, err := inspect(ctx, as, filepath.Join(target, "bin")); err == nil {
		return b, nil
	}
	c.Report(fmt.Sprintf("No PostgreSQL is installed: fetching %s (about 15 MB) into %s", version, cache))
	fetchErr := c.unpack(ctx, version, cache, target)
	b, err := inspect(ctx, as, filepath.Join(target, "bin"))
	if err != nil {
		return Binaries{}, errors.Join(fetchErr, err)
	}
	return b, nil
}

// unpack uses the library for its download, checksum and archive only: its own initdb and start know
// neither unprivileged users nor data that is kept. Start does all of it in one go, so it is given a
// superuser's name that initdb refuses ("pg_" is reserved); what counts is whether the binaries are
// there afterwards, so the error is only for the report.
func (c Config) unpack(ctx context.Context, version embeddedpostgres.PostgresVersion, cache, target string) error {
	scratch, err := os.MkdirTemp(cache, "fetch-*")
	if err != nil {
		return err
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	config := embeddedpostgres.DefaultConfig().Version(version).Username("pg_none").Port(uint32(port)).
		CachePath(cache).BinariesPath(target).RuntimePath(filepath.Join(scratch, "run")).
		DataPath(filepath.Join(scratch, "data")).Logger(io.Discard).StartTimeout(time.Second)
	if c.fetchURL != "" {
		config = config.BinaryRepositoryURL(c.fetchURL)
	}
	done := make(chan error, 1)
	go func() { done <- embeddedpostgres.NewDatabase(config).Start() }()
	select {
	case err = <-done:
	case <-ctx.Done(): // the library takes no context; its download ends by itself
		return ctx.Err()
	}
	return errors.Join(err, os.RemoveAll(scratch))
}

// cacheDir is a directory for binaries that the Postgres account can reach.
func (c Config) cacheDir(ctx context.Context, as *account) (string, error) {
	if c.cache != "" {
		return c.cache, nil
	}
	dirs := []string{"/var/cache/bulkhead", "/var/tmp/bulkhead-postgresql"}
	if !as.change {
		home, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("no place for downloaded binaries: %w", err)
		}
		dirs = []string{filepath.Join(home, "bulkhead")}
	}
	for _, dir := range dirs {
		if os.MkdirAll(dir, 0o755) == nil && as.reaches(ctx, dir) && ours(dir) {
			return dir, nil
		}
	}
	return "", fmt.Errorf("no place for downloaded binaries that user %s can reach, tried %v", as.name, dirs)
}
