package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"bulkhead/db"
	"bulkhead/policies"
)

// diagnosis is the answer of bulkhead doctor.
type diagnosis struct {
	Healthy  bool               `json:"healthy"`
	Facts    []fact             `json:"facts"`
	Findings []policies.Finding `json:"findings"`
}

// fact is something that was looked at and found in order.
type fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

func (d *diagnosis) note(name, format string, args ...any) {
	d.Facts = append(d.Facts, fact{name, fmt.Sprintf(format, args...)})
}

// blame adds findings, each once: what is wrong with the database shows over every connection.
func (d *diagnosis) blame(findings ...policies.Finding) {
	for _, f := range findings {
		if !slices.Contains(d.Findings, f) {
			d.Findings = append(d.Findings, f)
		}
	}
}

func newDoctorCommand(p program) *cobra.Command {
	flags := databaseFlags{asItIs: true}
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what is wrong with roles, settings and versions, and how to mend it",
		Long: `Doctor connects as each runtime role and looks for whatever would keep the server from starting or let
one tenant reach another: PostgreSQL's version, roles and their rights, tables without a wall, keys,
migrations, the master key, and settings that lose data or write patients' data to the log.

It changes nothing. The exit code is 1 if anything was found.

` + databaseHelp,
		Example: `  bulkhead doctor --data .bulkhead
  bulkhead doctor --database-url postgres://postgres:SECRET@localhost/bulkhead --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var d diagnosis
			err := flags.with(cmd.Context(), p, func(database *database) error {
				examine(cmd.Context(), database, &d)
				return nil
			})
			if err != nil {
				var usage usageError
				if errors.As(err, &usage) {
					return err
				}
				d.blame(policies.Finding{Object: "database", Problem: err.Error(), Remedy: "see the message"})
			}
			return printDiagnosis(p, &d, asJSON)
		},
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// examine looks at everything that a database has to get right.
func examine(ctx context.Context, database *database, d *diagnosis) {
	if s := database.server; s != nil {
		how := "started for this command"
		if s.Attached() {
			how = "running"
		}
		d.note("embedded PostgreSQL", "%s from %s, %s, port %d", s.Version(), s.BinDir(), how, s.Port())
	}
	reached := true
	for _, role := range slices.Sorted(maps.Keys(roleVariables)) {
		if database.urls[role] != "" {
			reached = examineRole(ctx, role, database.urls[role], d) && reached
		}
	}
	if database.admin != "" {
		examineSchema(ctx, database.admin, d)
	}
	if reached {
		examineKey(ctx, database, d)
	}
}

func examineRole(ctx context.Context, role, url string, d *diagnosis) bool {
	version, findings, err := db.Examine(ctx, url, role)
	if err != nil {
		d.blame(policies.Finding{
			Object: "role " + role, Problem: fmt.Sprintf("%s: %v", shown(url), errors.Unwrap(err)),
			Remedy: fmt.Sprintf("check %s; `bulkhead migrate up` with an administrator's URL makes the role and sets its password", roleVariables[role]),
		})
		return false
	}
	d.blame(findings...)
	d.note("role "+role, "PostgreSQL %s, %s", version, shown(url))
	return true
}

func examineSchema(ctx context.Context, admin string, d *diagnosis) {
	_, findings, err := db.Examine(ctx, admin, "")
	if err != nil {
		d.blame(policies.Finding{Object: "administrator", Problem: fmt.Sprintf("%s: %v", shown(admin), errors.Unwrap(err)), Remedy: "check --database-url"})
		return
	}
	d.blame(findings...)
	schema, err := db.MigrateStatus(ctx, admin)
	const remedy = "run `bulkhead migrate up` with an administrator's URL"
	switch {
	case err != nil:
		d.blame(policies.Finding{Object: "schema", Problem: err.Error(), Remedy: remedy})
	case schema.Dirty:
		d.blame(policies.Finding{Object: "schema", Problem: fmt.Sprintf("migration %d failed half way", schema.Version), Remedy: "mend by hand what it left, set schema_migrations.dirty to false, then " + remedy})
	case schema.Version < schema.Latest:
		d.blame(policies.Finding{Object: "schema", Problem: fmt.Sprintf("is at migration %d of %d", schema.Version, schema.Latest), Remedy: remedy})
	case schema.Version > schema.Latest:
		d.blame(policies.Finding{Object: "schema", Problem: fmt.Sprintf("is at migration %d, this program knows %d", schema.Version, schema.Latest), Remedy: "use the program that made it, or a newer one"})
	default:
		d.note("schema", "migration %d", schema.Version)
	}
}

// examineKey opens the database as the server would, which also shows whether the master key fits.
func examineKey(ctx context.Context, database *database, d *diagnosis) {
	opened, err := database.open(ctx)
	var unsafe *db.UnsafeError
	switch {
	case errors.As(err, &unsafe):
		d.blame(unsafe.Findings...)
		return
	case err != nil:
		d.blame(policies.Finding{Object: "server", Problem: err.Error(), Remedy: "run `bulkhead migrate up` with an administrator's URL"})
		return
	}
	defer opened.Close()
	fits, err := opened.KeyFits(ctx)
	switch {
	case err != nil:
		d.blame(policies.Finding{Object: "master key", Problem: err.Error(), Remedy: "see the message"})
	case !fits:
		d.blame(policies.Finding{
			Object: "master key", Problem: "is not the one that this database was set up with",
			Remedy: "give the right one; or, if it is lost, run `bulkhead migrate up` with the new one: clients then need new secrets",
		})
	default:
		d.note("master key", "fits the database")
	}
}

func printDiagnosis(p program, d *diagnosis, asJSON bool) error {
	d.Healthy = len(d.Findings) == 0
	if asJSON {
		if d.Findings == nil {
			d.Findings = []policies.Finding{}
		}
		if err := writeJSON(p.stdout, d); err != nil {
			return err
		}
	} else {
		for _, f := range d.Facts {
			fmt.Fprintf(p.stdout, "ok   %s: %s\n", f.Name, f.Value)
		}
		for _, f := range d.Findings {
			fmt.Fprintf(p.stdout, "BAD  %s: %s\n     mend it: %s\n", f.Object, strings.ReplaceAll(f.Problem, "\n", "\n     "), f.Remedy)
		}
	}
	if !d.Healthy {
		return errReported
	}
	return nil
}
