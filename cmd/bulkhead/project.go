package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"bulkhead/db/dbsqlc"
	"bulkhead/server"
)

// projectReport is what the commands print of one project.
type projectReport struct {
	Tenant      string    `json:"tenant,omitempty"`
	Project     string    `json:"project"`
	ID          int32     `json:"id,omitempty"`
	Name        string    `json:"name"`
	Kind        string    `json:"kind"` // system or user
	FHIRVersion string    `json:"fhir_version"`
	State       string    `json:"state"`
	Created     time.Time `json:"created"`
	FHIRBase    string    `json:"fhir_base,omitempty"`
}

func reportProjects(rows []dbsqlc.ListProjectsRow) []projectReport {
	list := make([]projectReport, len(rows))
	for i, row := range rows {
		list[i] = projectReport{
			Project: row.Slug, ID: row.ID, Name: row.Name, Kind: row.Kind, FHIRVersion: row.FhirVersion, State: row.State, Created: row.Created,
		}
	}
	return list
}

func printProjects(w io.Writer, list []projectReport) error {
	return table(w, "PROJECT\tSTATE\tFHIR\tCREATED\tNAME", func(w io.Writer) {
		for _, p := range list {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", p.Project, p.State, p.FHIRVersion, p.Created.Format(time.DateOnly), p.Name)
		}
	})
}

func newProjectCommand(p program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "project",
		Short: "Create, change and delete projects of a tenant",
		Long: `A project is a FHIR server of its own within a tenant: its resources, history, index and clients are kept
apart from those of every other project. It has one FHIR version, for good.

` + databaseHelp,
		Example: `  bulkhead project create --data .bulkhead --tenant acme care --name "Care"
  bulkhead project list --data .bulkhead --tenant acme --json`,
		RunE: runGroup,
	}
	cmd.AddCommand(newProjectCreate(p), newProjectList(p), newProjectUpdate(p), newProjectDelete(p))
	giveExamples(cmd, " --tenant north")
	return cmd
}

func newProjectCreate(p program) *cobra.Command {
	var f tenantFlags
	var set settingFlags
	var name, version string
	cmd := &cobra.Command{
		Use: "create SLUG", Short: "Create a project", Args: cobra.ExactArgs(1),
		Long: "Create makes a project, and the Project resource in the tenant's project system.\n\n" + databaseHelp,
		RunE: func(cmd *cobra.Command, args []string) error {
			if version != "r4" && version != "r4b" {
				return usagef("--fhir-version must be r4 or r4b")
			}
			if name == "" {
				name = args[0]
			}
			settings, err := set.settings(cmd)
			if err != nil {
				return err
			}
			return f.with(cmd.Context(), p, func(s *server.Server) error {
				slug, err := s.CreateProject(cmd.Context(), f.tenant, args[0], name, version, settings)
				if err != nil {
					return err
				}
				made, err := s.DB.FindProject(cmd.Context(), f.tenant, slug)
				if err != nil {
					return err
				}
				report := projectReport{
					Tenant: f.tenant, Project: slug, ID: made.Project, Name: made.Name, Kind: "user", FHIRVersion: version, State: made.State,
					Created: time.Now().UTC().Truncate(time.Second), FHIRBase: s.OAuth.FHIRBase(made),
				}
				if f.asJSON {
					return writeJSON(p.stdout, report)
				}
				fmt.Fprintf(p.stdout, "project %s is there: %s\n", slug, report.FHIRBase)
				return nil
			})
		},
	}
	f.add(cmd)
	set.add(cmd)
	cmd.Flags().StringVar(&name, "name", "", "what people call it (default: the slug)")
	cmd.Flags().StringVar(&version, "fhir-version", "r4", "r4 or r4b")
	return cmd
}

func newProjectList(p program) *cobra.Command {
	var f tenantFlags
	cmd := &cobra.Command{
		Use: "list", Short: "List a tenant's projects", Args: cobra.NoArgs, Long: "List prints the projects of a tenant.\n\n" + databaseHelp,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.with(cmd.Context(), p, func(s *server.Server) error {
				report, err := showTenant(cmd.Context(), s.DB, f.tenant)
				if err != nil {
					return err
				}
				for i := range report.Projects {
					found, err := s.DB.FindProject(cmd.Context(), f.tenant, report.Projects[i].Project)
					if err != nil {
						return err
					}
					report.Projects[i].FHIRBase = s.OAuth.FHIRBase(found)
				}
				if f.asJSON {
					return writeJSON(p.stdout, map[string]any{"tenant": f.tenant, "projects": report.Projects})
				}
				return printProjects(p.stdout, report.Projects)
			})
		},
	}
	f.add(cmd)
	return cmd
}

func newProjectDelete(p program) *cobra.Command {
	var f tenantFlags
	cmd := &cobra.Command{
		Use: "delete SLUG", Short: "Delete a project with every row and token of it, for good", Args: cobra.ExactArgs(1),
		Long: `Delete ends a project for everyone at once, then removes every row that it has. If it is cut off, run it
again: it takes up where it was. The project system cannot be deleted.

` + databaseHelp,
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.with(cmd.Context(), p, func(s *server.Server) error {
				return deleteProject(cmd.Context(), p, s, f, args[0])
			})
		},
	}
	f.add(cmd)
	return cmd
}

func deleteProject(ctx context.Context, p program, s *server.Server, f tenantFlags, slug string) error {
	if err := s.DeleteProject(ctx, f.tenant, slug, nil); err != nil {
		return err
	}
	if f.asJSON {
		return writeJSON(p.stdout, map[string]any{"tenant": f.tenant, "project": slug, "deleted": true})
	}
	fmt.Fprintf(p.stdout, "project %s is gone\n", slug)
	return nil
}
