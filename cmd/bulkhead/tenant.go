package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"bulkhead/db"
	"bulkhead/db/dbsqlc"
)

// tenantReport is what the tenant commands print of one tenant.
type tenantReport struct {
	Tenant   string          `json:"tenant"`
	ID       int32           `json:"id"`
	Name     string          `json:"name"`
	State    string          `json:"state"`
	Created  time.Time       `json:"created"`
	Projects []projectReport `json:"projects,omitempty"`
	Count    *int64          `json:"project_count,omitempty"` // in a list, without project system
}

func newTenantCommand(p program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tenant",
		Short: "Create, suspend and delete tenants",
		Long: `A tenant is an organisation with data, clients, people and keys of its own. It comes with the project
system, which holds its projects and clients; patients' data goes into projects that are made in it.

` + databaseHelp,
		Example: `  bulkhead tenant create --data .bulkhead acme --name "Acme Hospital"
  bulkhead tenant list --data .bulkhead --json`,
		RunE: runGroup,
	}
	cmd.AddCommand(newTenantCreate(p), newTenantList(p), newTenantShow(p),
		newTenantState(p, "suspend", "suspended", "Refuse every request of a tenant until it is resumed; nothing is deleted"),
		newTenantState(p, "resume", "active", "Let a suspended tenant work again"),
		newTenantDelete(p))
	giveExamples(cmd, "")
	return cmd
}

// giveExamples shows each subcommand on the embedded database, as text and as JSON.
func giveExamples(group *cobra.Command, flags string) {
	for _, sub := range group.Commands() {
		line := "  bulkhead " + group.Name() + " " + strings.ReplaceAll(sub.Use, "SLUG", "acme") + " --data .bulkhead" + flags
		sub.Example = line + "\n" + line + " --json"
	}
}

// operatorFlags are those of commands that run as the deployment's operator.
type operatorFlags struct {
	database databaseFlags
	asJSON   bool
}

// command makes a command that runs fn on the open database.
func (f *operatorFlags) command(p program, use, short string, args cobra.PositionalArgs, fn func(ctx context.Context, d *db.DB, args []string) error) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Long: short + ".\n\n" + databaseHelp, Args: args,
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.database.with(cmd.Context(), p, func(found *database) error {
				d, err := found.open(cmd.Context())
				if err != nil {
					return err
				}
				defer d.Close()
				return fn(cmd.Context(), d, args)
			})
		},
	}
	f.database.add(cmd)
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print one JSON object")
	return cmd
}

func newTenantCreate(p program) *cobra.Command {
	var f operatorFlags
	var name string
	cmd := f.command(p, "create SLUG", "Create a tenant together with its project system", cobra.ExactArgs(1), func(ctx context.Context, d *db.DB, args []string) error {
		slug := args[0]
		if name == "" {
			name = slug
		}
		if _, err := d.CreateTenant(ctx, slug, name); err != nil {
			return explainTenant(slug, err)
		}
		report, err := showTenant(ctx, d, slug)
		if err != nil {
			return err
		}
		if f.asJSON {
			return writeJSON(p.stdout, report)
		}
		fmt.Fprintf(p.stdout, "tenant %s is there; next: bulkhead project create --tenant %s SLUG\n", slug, slug)
		return nil
	})
	cmd.Flags().StringVar(&name, "name", "", "what people call it (default: the slug)")
	return cmd
}

// explainTenant says in the command's words what the database refused.
func explainTenant(slug string, err error) error {
	switch {
	case errors.Is(err, db.ErrDuplicate):
		return fmt.Errorf("there is a tenant %s already", slug)
	case errors.Is(err, db.ErrInvalid):
		return fmt.Errorf("%q cannot be a tenant: a slug has 1 to 63 of a-z, 0-9 and hyphens, with no hyphen at either end; a name 1 to 200 characters", slug)
	case errors.Is(err, db.ErrNotFound), errors.Is(err, db.ErrNoProject):
		return fmt.Errorf("there is no tenant %s", slug)
	default:
		return err
	}
}

func newTenantList(p program) *cobra.Command {
	var f operatorFlags
	return f.command(p, "list", "List the tenants", cobra.NoArgs, func(ctx context.Context, d *db.DB, _ []string) error {
		var rows []dbsqlc.ListTenantsRow
		err := d.Operate(ctx, func(q *dbsqlc.Queries) (err error) {
			rows, err = q.ListTenants(ctx)
			return err
		})
		if err != nil {
			return err
		}
		list := make([]tenantReport, len(rows))
		for i, row := range rows {
			list[i] = tenantReport{Tenant: row.Slug, ID: row.ID, Name: row.Name, State: row.State, Created: row.Created, Count: &rows[i].Projects}
		}
		if f.asJSON {
			return writeJSON(p.stdout, map[string]any{"tenants": list})
		}
		return table(p.stdout, "TENANT\tSTATE\tPROJECTS\tCREATED\tNAME", func(w io.Writer) {
			for _, t := range list {
				fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\n", t.Tenant, t.State, *t.Count, t.Created.Format(time.DateOnly), t.Name)
			}
		})
	})
}

// table prints lines of cells that tabs separate.
func table(w io.Writer, head string, rows func(io.Writer)) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, head)
	rows(t)
	return t.Flush()
}

func newTenantShow(p program) *cobra.Command {
	var f operatorFlags
	return f.command(p, "show SLUG", "Show a tenant and its projects", cobra.ExactArgs(1), func(ctx context.Context, d *db.DB, args []string) error {
		report, err := showTenant(ctx, d, args[0])
		if err != nil {
			return err
		}
		if f.asJSON {
			return writeJSON(p.stdout, report)
		}
		fmt.Fprintf(p.stdout, "tenant %s (%s), %s, created %s\n\n", report.Tenant, report.Name, report.State, report.Created.Format(time.DateOnly))
		return printProjects(p.stdout, report.Projects)
	})
}

func showTenant(ctx context.Context, d *db.DB, slug string) (tenantReport, error) {
	var report tenantReport
	err := d.Operate(ctx, func(q *dbsqlc.Queries) error {
		row, err := q.FindTenant(ctx, slug)
		if err != nil {
			return err
		}
		projects, err := q.ListProjects(ctx, row.ID)
		if err != nil {
			return err
		}
		report = tenantReport{Tenant: row.Slug, ID: row.ID, Name: row.Name, State: row.State, Created: row.Created, Projects: reportProjects(projects)}
		return nil
	})
	return report, explainTenant(slug, err)
}

func newTenantState(p program, verb, state, short string) *cobra.Command {
	var f operatorFlags
	return f.command(p, verb+" SLUG", short, cobra.ExactArgs(1), func(ctx context.Context, d *db.DB, args []string) error {
		slug := args[0]
		err := d.Operate(ctx, func(q *dbsqlc.Queries) error {
			row, err := q.FindTenant(ctx, slug)
			if err != nil {
				return err
			}
			if row.State == "deleting" {
				return fmt.Errorf("tenant %s is being deleted; run bulkhead tenant delete again to finish that", slug)
			}
			_, err = q.SetTenantState(ctx, state, row.ID)
			return err
		})
		if err != nil {
			return explainTenant(slug, err)
		}
		if f.asJSON {
			return writeJSON(p.stdout, map[string]string{"tenant": slug, "state": state})
		}
		fmt.Fprintf(p.stdout, "tenant %s is %s\n", slug, state)
		return nil
	})
}

func newTenantDelete(p program) *cobra.Command {
	var f operatorFlags
	return f.command(p, "delete SLUG", "Delete a tenant with all its projects, data, clients and keys, for good", cobra.ExactArgs(1), func(ctx context.Context, d *db.DB, args []string) error {
		slug := args[0]
		var id int32
		err := d.Operate(ctx, func(q *dbsqlc.Queries) error {
			row, err := q.FindTenant(ctx, slug)
			id = row.ID
			return err
		})
		rows := int64(0)
		if err == nil {
			err = d.DeleteTenant(ctx, id, func(n int64) { rows = max(rows, n) })
		}
		if err != nil {
			return explainTenant(slug, err)
		}
		if f.asJSON {
			return writeJSON(p.stdout, map[string]any{"tenant": slug, "deleted": true})
		}
		fmt.Fprintf(p.stdout, "tenant %s is gone\n", slug)
		return nil
	})
}
