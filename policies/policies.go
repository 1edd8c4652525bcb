// Package policies holds row-level security as it is now: roles, the signed context, the walls
// and grants, reinstalled as a whole after every migration; and the guard that refuses to start
// on a database where they do not hold.
package policies

import (
	"context"
	"embed"
	"fmt"

	"github.com/jackc/pgx/v5"
)

//go:embed *.sql
var files embed.FS

// LoginRoles are the roles that connections are made as.
var LoginRoles = []string{"bulkhead_migrator", "bulkhead_app", "bulkhead_auth", "bulkhead_operator", "bulkhead_auditor"}

// Bootstrap makes the roles and takes from PUBLIC what tenants must not have. conn is an
// administrator of the database (a superuser, or on a managed service the closest to one).
// It may be run again at any time. passwords maps login roles to the passwords they shall have;
// a role that is not named keeps its own.
func Bootstrap(ctx context.Context, conn *pgx.Conn, passwords map[string]string) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if err := run(ctx, tx, "bootstrap.sql"); err != nil {
			return err
		}
		for _, role := range LoginRoles {
			if password := passwords[role]; password != "" {
				if err := setPassword(ctx, tx, role, password); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// setPassword lets the server quote the password, since ALTER ROLE takes no parameters.
func setPassword(ctx context.Context, tx pgx.Tx, role, password string) error {
	var statement string
	if err := tx.QueryRow(ctx, "SELECT format('ALTER ROLE %I PASSWORD %L', $1::text, $2::text)", role, password).Scan(&statement); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, statement)
	return err
}

// Install puts up functions, walls and grants in one transaction. conn is bulkhead_migrator or an
// administrator.
func Install(ctx context.Context, conn *pgx.Conn) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		// The functions and the walls name one another; bodies are checked when they are first run.
		for _, step := range []string{
			"SET LOCAL check_function_bodies = off",
			"SET LOCAL ROLE bulkhead_ctx", "context.sql", "keys.sql",
			"SET LOCAL ROLE bulkhead_owner", "walls.sql",
		} {
			if err := run(ctx, tx, step); err != nil {
				return err
			}
		}
		return nil
	})
}

// InstallContextKey makes key (32 bytes) number id the one that contexts are signed with; the
// keys before it stay valid for overlap (a Postgres interval such as "10 minutes").
func InstallContextKey(ctx context.Context, conn *pgx.Conn, id int32, key []byte, overlap string) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if err := run(ctx, tx, "SET LOCAL ROLE bulkhead_ctx"); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "SELECT app.install_context_key($1, $2, $3::text::interval)", id, key, overlap)
		return err
	})
}

// run executes a file of this package, or step itself when no file has that name.
func run(ctx context.Context, tx pgx.Tx, step string) error {
	text := step
	if content, err := files.ReadFile(step); err == nil {
		text = string(content)
	}
	if _, err := tx.Exec(ctx, text); err != nil {
		return fmt.Errorf("policies: %s: %w", step, err)
	}
	return nil
}
