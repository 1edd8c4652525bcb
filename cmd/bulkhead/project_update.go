package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"bulkhead/server"
)

// settingFlags are the flags for what can be set of a project.
type settingFlags struct {
	validation string
	dangling   bool
}

func (f *settingFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.validation, "validation", "", "what is checked on every write: strict (everything) or lenient (structure only) (default strict)")
	cmd.Flags().BoolVar(&f.dangling, "dangling-references", false, "let resources refer to others that the project does not hold")
}

// settings are those that the command line names.
func (f *settingFlags) settings(cmd *cobra.Command) (set server.ProjectSettings, err error) {
	switch f.validation {
	case "", "strict", "lenient":
		set.Validation = f.validation
	default:
		return set, usagef("--validation must be strict or lenient")
	}
	if cmd.Flags().Changed("dangling-references") {
		set.DanglingReferences = &f.dangling
	}
	return set, nil
}

func newProjectUpdate(p program) *cobra.Command {
	var f tenantFlags
	var set settingFlags
	var name string
	cmd := &cobra.Command{
		Use: "update SLUG", Short: "Change the name or the settings of a project", Args: cobra.ExactArgs(1),
		Long: `Update changes what its flags name and leaves the rest. Running programs follow within five seconds. What is
stored already is not checked again.

` + databaseHelp,
		RunE: func(cmd *cobra.Command, args []string) error {
			settings, err := set.settings(cmd)
			if err != nil {
				return err
			}
			if settings.Name = name; settings == (server.ProjectSettings{}) {
				return usagef("nothing to change: give --name, --validation or --dangling-references")
			}
			return f.with(cmd.Context(), p, func(s *server.Server) error {
				if err := s.UpdateProject(cmd.Context(), f.tenant, args[0], settings); err != nil {
					return err
				}
				if f.asJSON {
					return writeJSON(p.stdout, map[string]any{"tenant": f.tenant, "project": args[0], "updated": true})
				}
				fmt.Fprintf(p.stdout, "project %s is changed\n", args[0])
				return nil
			})
		},
	}
	f.add(cmd)
	set.add(cmd)
	cmd.Flags().StringVar(&name, "name", "", "what people call it")
	return cmd
}
