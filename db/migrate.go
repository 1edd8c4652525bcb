package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/golang-migrate/migrate/v4"
	migratepgx "github.com/golang-migrate/migrate/v4/database/pgx/v5"
	"github.com/golang-migrate/migrate/v4/source/iofs"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"bulkhead/migrations"
	"bulkhead/policies"
)

// Schema says how far a database is.
type Schema struct {
	Version uint `json:"version"` // 0: no migration has run
	Latest  uint `json:"latest"`
	Dirty   bool `json:"dirty"` // a migration failed half way; it ran in no transaction
}

// Bootstrap makes roles and revokes; url is an administrator's. See policies.Bootstrap.
func Bootstrap(ctx context.Context, url string, passwords map[string]string) error {
	return withAdmin(ctx, url, func(conn *pgx.Conn) error { return policies.Bootstrap(ctx, conn, passwords) })
}

// MigrateUp brings the schema to the newest version, puts up the policies again and installs the
// context key, making its number 1 where there is none. url is bulkhead_migrator's or an
// administrator's; Bootstrap must have run before.
func MigrateUp(ctx context.Context, url string, master MasterKey) error {
	err := withMigrate(ctx, url, func(m *migrate.Migrate) error {
		if err := m.Up(); err != nil && !errors.Is(err, migrate.ErrNoChange) {
			return err
		}
		return nil
	})
	if err != nil {
		return err
	}
	return withAdmin(ctx, url, func(conn *pgx.Conn) error {
		if err := policies.Install(ctx, conn); err != nil {
			return err
		}
		var id *int32
		if err := conn.QueryRow(ctx, "SELECT app.context_key_id()").Scan(&id); err != nil {
			return err
		}
		if id == nil {
			first := int32(1)
			id = &first
		}
		return policies.InstallContextKey(ctx, conn, *id, master.contextKey(*id), "10 minutes")
	})
}

// RotateContextKey makes a new context key; the old one stays valid for ten minutes, and running
// programs learn of the new one when the old one is refused.
func RotateContextKey(ctx context.Context, url string, master MasterKey) (id int32, err error) {
	err = withAdmin(ctx, url, func(conn *pgx.Conn) error {
		if err := conn.QueryRow(ctx, "SELECT coalesce(app.context_key_id(), 0) + 1").Scan(&id); err != nil {
			return err
		}
		return policies.InstallContextKey(ctx, conn, id, master.contextKey(id), "10 minutes")
	})
	return id, err
}

// MigrateDown takes back steps migrations, or all of them when steps is 0, and the rows they hold.
func MigrateDown(ctx context.Context, url string, steps int) error {
	err := withMigrate(ctx, url, func(m *migrate.Migrate) error {
		if steps > 0 {
			return m.Steps(-steps)
		}
		return m.Down()
	})
	if err != nil && !errors.Is(err, migrate.ErrNoChange) {
		return err
	}
	schema, err := MigrateStatus(ctx, url)
	if err != nil || schema.Version == 0 {
		return err
	}
	return withAdmin(ctx, url, func(conn *pgx.Conn) error { return policies.Install(ctx, conn) })
}

// MigrateStatus says which version the database has and which one the program knows.
func MigrateStatus(ctx context.Context, url string) (Schema, error) {
	var s Schema
	err := withMigrate(ctx, url, func(m *migrate.Migrate) error {
		version, dirty, err := m.Version()
		if err != nil && !errors.Is(err, migrate.ErrNilVersion) {
			return err
		}
		s.Version, s.Dirty = version, dirty
		return nil
	})
	if err != nil {
		return s, err
	}
	s.Latest, err = latestMigration()
	return s, err
}

func latestMigration() (uint, error) {
	source, err := iofs.New(migrations.Files, ".")
	if err != nil {
		return 0, err
	}
	defer source.Close()
	version, err := source.First()
	for err == nil {
		var next uint
		if next, err = source.Next(version); err == nil {
			version = next
		}
	}
	return version, nil
}

func withAdmin(ctx context.Context, url string, fn func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return &stateError{meaning: ErrUnavailable, cause: err}
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return fn(conn)
}

// withMigrate runs golang-migrate as bulkhead_owner, so that every table is the owner's.
func withMigrate(ctx context.Context, url string, fn func(*migrate.Migrate) error) (err error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return err
	}
	config.RuntimeParams["role"] = "bulkhead_owner"
	config.RuntimeParams["search_path"] = "public"
	pool := stdlib.OpenDB(*config)
	defer func() { err = errors.Join(err, pool.Close()) }()
	if err := pool.PingContext(ctx); err != nil {
		return &stateError{meaning: ErrUnavailable, cause: err}
	}
	if err := prepareMigrations(ctx, pool); err != nil {
		return err
	}
	driver, err := migratepgx.WithInstance(pool, &migratepgx.Config{StatementTimeout: 10 * time.Minute})
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	source, err := iofs.New(migrations.Files, ".")
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	m, err := migrate.NewWithInstance("iofs", source, "pgx5", driver)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if err := fn(m); err != nil && !errors.Is(err, migrate.ErrNoChange) {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

// prepareMigrations makes golang-migrate's table before it does, to say its class.
func prepareMigrations(ctx context.Context, pool *sql.DB) error {
	_, err := pool.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS public.schema_migrations (version bigint PRIMARY KEY, dirty boolean NOT NULL)`)
	if err != nil {
		return fmt.Errorf("migrate: %w (has the database been bootstrapped?)", err)
	}
	_, err = pool.ExecContext(ctx, `COMMENT ON TABLE public.schema_migrations IS 'class: internal'`)
	return err
}
