package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// majorOf reads PG_VERSION; 0 means that there is no data yet.
func majorOf(dataDir string) (int, error) {
	text, err := os.ReadFile(filepath.Join(dataDir, "PG_VERSION"))
	if errors.Is(err, os.ErrNotExist) {
		entries, err := os.ReadDir(dataDir)
		if err == nil && len(entries) > 0 {
			return 0, fmt.Errorf("%s is neither empty nor a data directory of PostgreSQL: use another one", dataDir)
		}
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("the data directory: %w", err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("%s does not hold a version: %w", filepath.Join(dataDir, "PG_VERSION"), err)
	}
	return major, nil
}

// create runs initdb beside the final place and moves the result there, so that an initdb which was
// cut short leaves nothing that looks like data.
func create(ctx context.Context, cfg Config, bin Binaries, as *account, dataDir, password string) error {
	cfg.Report(fmt.Sprintf("Creating the database files with PostgreSQL %s in %s", bin.Version(), dataDir))
	parent := filepath.Dir(dataDir)
	leftovers, err := filepath.Glob(filepath.Join(parent, ".initdb-*"))
	if err != nil {
		return err
	}
	for _, dir := range leftovers {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("what an interrupted initdb left: %w", err)
		}
	}
	work, err := os.MkdirTemp(parent, ".initdb-*")
	if err != nil {
		return err
	}
	err = runInitdb(ctx, cfg, bin, as, work, password)
	if err == nil {
		err = os.Rename(filepath.Join(work, "data"), dataDir)
	}
	if err == nil && !cfg.Fast {
		err = syncDir(parent)
	}
	return errors.Join(err, os.RemoveAll(work))
}

func runInitdb(ctx context.Context, cfg Config, bin Binaries, as *account, work, password string) error {
	passwordFile := filepath.Join(work, "password")
	if err := errors.Join(writeFile(passwordFile, []byte(password+"\n"), as), as.own(work)); err != nil {
		return err
	}
	args := []string{
		"--pgdata=" + filepath.Join(work, "data"), "--username=" + Superuser, "--pwfile=" + passwordFile,
		"--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-instructions",
	}
	if cfg.Fast {
		args = append(args, "--no-sync")
	} else {
		args = append(args, "--data-checksums")
	}
	out, err := as.command(ctx, filepath.Join(bin.Dir, "initdb"), args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("initdb of PostgreSQL %s%s: %w\n%s", bin.Version(), as.suffix(), err, strings.TrimSpace(string(out)))
	}
	return nil
}

func syncDir(dir string) error {
	file, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

// hba admits passwords only, on the socket and on 127.0.0.1.
const hba = `# Written by bulkhead at each start.
local all all              scram-sha-256
host  all all 127.0.0.1/32 scram-sha-256
`

// configure writes postgresql.conf and pg_hba.conf anew, so that what holds is what this version of
// the program says, whichever version made the data.
func configure(cfg Config, as *account, dataDir, socketDir string, port int) error {
	var b strings.Builder
	b.WriteString("# Written by bulkhead at each start; ALTER SYSTEM survives.\n")
	settings := settings(cfg, socketDir, port)
	names := make([]string, 0, len(settings))
	for name := range settings {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&b, "%s = '%s'\n", name, strings.ReplaceAll(settings[name], "'", "''"))
	}
	return errors.Join(
		writeFile(filepath.Join(dataDir, "postgresql.conf"), []byte(b.String()), as),
		writeFile(filepath.Join(dataDir, "pg_hba.conf"), []byte(hba), as))
}

func settings(cfg Config, socketDir string, port int) map[string]string {
	out := map[string]string{
		"listen_addresses":           "127.0.0.1",
		"port":                       strconv.Itoa(port),
		"unix_socket_directories":    socketDir,
		"unix_socket_permissions":    "0700",
		"password_encryption":        "scram-sha-256",
		"max_connections":            "100",
		"shared_buffers":             strconv.FormatInt(sharedBuffers(cfg, totalMemory())>>20, 10) + "MB",
		"max_wal_size":               "2GB",
		"wal_compression":            "on", // pglz, which every build has; lz4 is not in all
		"random_page_cost":           "1.1",
		"jit":                        "off", // the program's statements are short
		"autovacuum_naptime":         "10s", // statistics soon after a load
		"timezone":                   "UTC",
		"log_timezone":               "UTC",
		"datestyle":                  "iso, ymd",
		"lc_messages":                "C",
		"log_line_prefix":            "%m [%p] %u@%d ",
		"log_checkpoints":            "off",
		"default_text_search_config": "pg_catalog.simple",
	}
	if cfg.Fast {
		out["fsync"] = "off"
		out["synchronous_commit"] = "off"
		out["full_page_writes"] = "off"
		out["max_wal_size"] = "4GB"
		out["autovacuum_naptime"] = "1h"
	}
	for name, value := range cfg.Settings {
		out[name] = value
	}
	return out
}

// sharedBuffers is an eighth of the memory, between 64 MB and 2 GB; the rest is left to the system's
// cache, to this program and to whatever else a developer's machine runs. Tests take little.
func sharedBuffers(cfg Config, memory int64) int64 {
	if cfg.Fast {
		return 128 << 20
	}
	return min(max(memory/8, 64<<20), 2<<30)
}

// totalMemory is the machine's or, if that is less, the container's; 1 GB where it cannot be told.
func totalMemory() int64 {
	if runtime.GOOS != "linux" {
		return 8 << 30
	}
	memory := int64(1 << 30)
	if text, err := os.ReadFile("/proc/meminfo"); err == nil {
		var kb int64
		if _, err := fmt.Sscanf(string(text), "MemTotal: %d kB", &kb); err == nil {
			memory = kb << 10
		}
	}
	for _, limit := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		if text, err := os.ReadFile(limit); err == nil {
			if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && n > 0 {
				memory = min(memory, n)
			}
		}
	}
	return memory
}
