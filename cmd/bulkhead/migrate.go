package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"bulkhead/db"
)

func newMigrateCommand(p program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring roles, schema and policies of the database up or down",
		Long: `Migrate makes the roles (if the URL is an administrator's), runs the migrations and puts up the
policies anew. The server itself never does this: it runs as roles that may not.

` + databaseHelp + `

With an administrator's URL, migrate up also gives the login roles the passwords that follow from the
master key. With the URL of bulkhead_migrator it leaves roles as they are.`,
		Example: `  bulkhead migrate up --database-url postgres://postgres:SECRET@db.example.org/bulkhead?sslmode=verify-full
  bulkhead migrate status --data .bulkhead --json`,
		RunE: runGroup,
	}
	cmd.AddCommand(newMigrateUpCommand(p), newMigrateDownCommand(p), newMigrateStatusCommand(p))
	return cmd
}

func newMigrateUpCommand(p program) *cobra.Command {
	return newMigration(p, "up", "Make what is missing: roles, schema, policies, keys",
		`  BULKHEAD_MASTER_KEY=... bulkhead migrate up --database-url postgres://postgres:SECRET@localhost/bulkhead
  bulkhead migrate up --data .bulkhead`,
		func(cmd *cobra.Command, d *database) error { return d.migrate(cmd.Context()) })
}

func newMigrateDownCommand(p program) *cobra.Command {
	steps := 1
	all := false
	cmd := newMigration(p, "down", "Take migrations back, with every row that their tables hold",
		`  bulkhead migrate down --steps 1 --database-url URL
  bulkhead migrate down --all --data .bulkhead`,
		func(cmd *cobra.Command, d *database) error {
			if all {
				steps = 0
			} else if steps < 1 {
				return usagef("--steps must be 1 or more")
			}
			return db.MigrateDown(cmd.Context(), d.admin, steps)
		})
	cmd.Flags().IntVar(&steps, "steps", 1, "how many")
	cmd.Flags().BoolVar(&all, "all", false, "all of them")
	return cmd
}

func newMigrateStatusCommand(p program) *cobra.Command {
	return newMigration(p, "status", "Say which migration the database has, and which one this program knows",
		`  bulkhead migrate status --database-url URL
  bulkhead migrate status --data .bulkhead --json`,
		func(*cobra.Command, *database) error { return nil })
}

// newMigration makes a subcommand that does something and then says how far the schema is.
func newMigration(p program, name, short, example string, do func(*cobra.Command, *database) error) *cobra.Command {
	flags := databaseFlags{asItIs: true}
	var asJSON bool
	cmd := &cobra.Command{
		Use: name, Short: short, Long: short + ".\n\n" + databaseHelp, Example: example, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return flags.with(cmd.Context(), p, func(d *database) error {
				if d.admin == "" {
					return usagef("give --data DIR or --database-url URL: the roles' own URLs do not serve here")
				}
				if err := do(cmd, d); err != nil {
					return err
				}
				return printSchema(cmd.Context(), p, d, asJSON)
			})
		},
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

func printSchema(ctx context.Context, p program, d *database, asJSON bool) error {
	schema, err := db.MigrateStatus(ctx, d.admin)
	if err != nil {
		return err
	}
	if asJSON {
		return writeJSON(p.stdout, schema)
	}
	note := ""
	switch {
	case schema.Dirty:
		note = "; a migration failed half way: mend the database by hand"
	case schema.Version > schema.Latest:
		note = "; the database is newer than this program"
	case schema.Version < schema.Latest:
		note = "; run `bulkhead migrate up`"
	}
	_, err = fmt.Fprintf(p.stdout, "migration %d of %d%s\n", schema.Version, schema.Latest, note)
	return err
}
