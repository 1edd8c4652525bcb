package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"bulkhead/db"
	"bulkhead/db/embedded"
)

// The database of an embedded server, and the file of its master key beside it.
const (
	databaseName  = "bulkhead"
	masterKeyName = "master.key"
)

// databaseFlags say which database a command works on: an embedded one, or one that runs elsewhere.
type databaseFlags struct {
	data          string
	url           string
	masterKeyFile string

	asItIs bool // leaves the schema of an embedded database as it is
}

const databaseHelp = `The database is either the embedded one in --data DIR, which is started if it does not run, or the one
of --database-url (BULKHEAD_DATABASE_URL). Then the master key is needed too: 64 hexadecimal digits in
BULKHEAD_MASTER_KEY, or in the file of --master-key-file (BULKHEAD_MASTER_KEY_FILE). The login roles
connect to the same database with passwords that follow from the master key, unless the environment
holds their own URLs: BULKHEAD_APP_URL, BULKHEAD_AUTH_URL, BULKHEAD_OPERATOR_URL, BULKHEAD_AUDITOR_URL.`

func (f *databaseFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.data, "data", "", "directory of an embedded database, as bulkhead dev makes it")
	cmd.Flags().StringVar(&f.url, "database-url", "", "URL of a database that runs elsewhere")
	cmd.Flags().StringVar(&f.masterKeyFile, "master-key-file", "", "file that holds the master key")
	cmd.MarkFlagsMutuallyExclusive("data", "database-url")
}

// database is where a command works: the URLs of its roles, and the embedded server behind them, if any.
type database struct {
	server *embedded.Server // nil if it runs elsewhere
	admin  string           // URL of an administrator or of bulkhead_migrator; "" if none was given
	urls   map[string]string
	master db.MasterKey
}

// roleVariables are the environment's names for the login roles' URLs.
var roleVariables = map[string]string{
	"bulkhead_app": "BULKHEAD_APP_URL", "bulkhead_auth": "BULKHEAD_AUTH_URL",
	"bulkhead_operator": "BULKHEAD_OPERATOR_URL", "bulkhead_auditor": "BULKHEAD_AUDITOR_URL",
}

// find looks the database up. It starts an embedded server if need be, which Close stops; the
// server's life is the command's, not the context's, so that work in flight can end before it.
func (f *databaseFlags) find(ctx context.Context, p program) (*database, error) {
	if f.data != "" {
		return openEmbedded(ctx, p, f.data, !f.asItIs)
	}
	d := &database{admin: f.url, urls: map[string]string{}}
	if d.admin == "" {
		d.admin = p.getenv("BULKHEAD_DATABASE_URL")
	}
	for role, variable := range roleVariables {
		d.urls[role] = p.getenv(variable)
	}
	if d.admin == "" && d.urls["bulkhead_app"] == "" {
		return nil, usagef("which database? Give --data DIR or --database-url URL")
	}
	var err error
	if d.master, err = masterKey(p, f.masterKeyFile); err != nil {
		return nil, err
	}
	return d, d.completeURLs()
}

// masterKey reads the key of a database that runs elsewhere.
func masterKey(p program, file string) (db.MasterKey, error) {
	if text := p.getenv("BULKHEAD_MASTER_KEY"); text != "" && file == "" {
		return db.ParseMasterKey(text)
	}
	if file == "" {
		file = p.getenv("BULKHEAD_MASTER_KEY_FILE")
	}
	if file == "" {
		return db.MasterKey{}, usagef("the master key is missing: make one with `openssl rand -hex 32`, keep it safe, and give it as BULKHEAD_MASTER_KEY or --master-key-file")
	}
	return db.LoadMasterKey(file, false)
}

// completeURLs derives the URLs of roles that have none from the administrator's.
func (d *database) completeURLs() error {
	if d.admin == "" {
		return nil
	}
	for role := range roleVariables {
		if d.urls[role] != "" {
			continue
		}
		url, err := db.URLAs(d.admin, role, d.password(role))
		if err != nil {
			return err
		}
		d.urls[role] = url
	}
	return nil
}

// password is a login role's, as migrate up sets it.
func (d *database) password(role string) string {
	return hex.EncodeToString(d.master.Derive("password " + role)[:24])
}

// openEmbedded attaches to the server in dir or starts it, and then brings the schema up if migrate is set.
func openEmbedded(ctx context.Context, p program, dir string, migrate bool) (*database, error) {
	server, err := embedded.Open(context.WithoutCancel(ctx), embedded.Config{
		Dir: dir, Getenv: p.getenv, Report: func(text string) { fmt.Fprintln(p.stderr, text) },
	})
	if err != nil {
		return nil, err
	}
	d, err := prepareEmbedded(ctx, server, migrate && !server.Attached())
	if err != nil {
		return nil, errors.Join(err, server.Stop())
	}
	return d, nil
}

func prepareEmbedded(ctx context.Context, server *embedded.Server, migrate bool) (*database, error) {
	d := &database{server: server, urls: map[string]string{}}
	var err error
	if d.master, err = db.LoadMasterKey(filepath.Join(server.Dir(), masterKeyName), !server.Attached()); err != nil {
		return nil, err
	}
	if d.admin, err = server.CreateDatabase(ctx, databaseName); err != nil {
		return nil, err
	}
	if err := d.completeURLs(); err != nil {
		return nil, err
	}
	if !migrate {
		return d, nil // if another process runs it, that one has brought the schema up
	}
	return d, d.migrate(ctx)
}

// migrate makes roles, if the URL is an administrator's, with the passwords that their URLs have, and
// brings schema and policies up.
func (d *database) migrate(ctx context.Context) error {
	user, err := db.UserOf(d.admin)
	if err != nil {
		return err
	}
	if user != "bulkhead_migrator" {
		passwords := map[string]string{}
		for role, url := range d.urls {
			if _, passwords[role], err = db.SplitPassword(url); err != nil {
				return err
			}
		}
		if err := db.Bootstrap(ctx, d.admin, passwords); err != nil {
			return fmt.Errorf("roles: %w", err)
		}
	}
	return db.MigrateUp(ctx, d.admin, d.master)
}

// open opens the database for use, as the runtime roles.
func (d *database) open(ctx context.Context) (*db.DB, error) {
	return db.Open(ctx, db.Config{
		AppURL: d.urls["bulkhead_app"], AuthURL: d.urls["bulkhead_auth"], OperatorURL: d.urls["bulkhead_operator"], Master: d.master,
	})
}

// close stops an embedded server that this command started.
func (d *database) close() error {
	if d.server == nil {
		return nil
	}
	return d.server.Stop()
}

// with runs fn on the database that the flags name, and closes it.
func (f *databaseFlags) with(ctx context.Context, p program, fn func(*database) error) error {
	d, err := f.find(ctx, p)
	if err != nil {
		return err
	}
	return errors.Join(fn(d), d.close())
}

// shown is a URL for people: without its password.
func shown(address string) string {
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok {
		return "(keyword DSN)"
	}
	if user, host, ok := strings.Cut(rest, "@"); ok {
		name, _, _ := strings.Cut(user, ":")
		rest = name + "@" + host
	}
	return scheme + "://" + rest
}
