package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"bulkhead/db"
	"bulkhead/db/embedded"
)

// psqlOptions are the flags of bulkhead psql.
type psqlOptions struct {
	flags           databaseFlags
	tenant, project string
	role            string
	command         string
	noContext       bool
}

// psqlRoles are the login roles that a person may try, and the plane whose context they enter. The
// auditor enters none.
var psqlRoles = map[string]struct {
	login string
	plane db.Plane
	enter bool
}{
	"app":     {"bulkhead_app", db.Clinical, true},
	"auth":    {"bulkhead_auth", db.Identity, true},
	"auditor": {"bulkhead_auditor", db.Clinical, false},
}

func newPsqlCommand(p program) *cobra.Command {
	var o psqlOptions
	cmd := &cobra.Command{
		Use:   "psql --tenant T --project P",
		Short: "Open psql as a runtime role inside a project, to try the walls by hand",
		Long: `Psql opens a psql shell as the role that the server itself uses, in a transaction that has entered the
project's context: what can be seen and done there is what the server could see and do while it answers
that project. After COMMIT or ROLLBACK the context is gone, and with it every row.

With -c it runs one statement, commits it and ends; without psql on this machine that works too.

` + databaseHelp,
		Example: `  bulkhead psql --data .bulkhead --tenant acme --project main
  bulkhead psql --data .bulkhead --tenant acme --project main -c 'SELECT tenant_id, count(*) FROM resource GROUP BY 1'
  bulkhead psql --data .bulkhead --no-context -c 'SELECT count(*) FROM resource'
  bulkhead psql --data .bulkhead --role auditor`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return err
			}
			return o.flags.with(cmd.Context(), p, func(d *database) error { return psql(cmd.Context(), p, d, o) })
		},
	}
	o.flags.add(cmd)
	f := cmd.Flags()
	f.StringVar(&o.tenant, "tenant", "", "the tenant's slug")
	f.StringVar(&o.project, "project", "", "the project's slug")
	f.StringVar(&o.role, "role", "app", "app (clinical data), auth (clients, users, keys) or auditor (catalogues only)")
	f.StringVarP(&o.command, "command", "c", "", "run one statement instead of a shell")
	f.BoolVar(&o.noContext, "no-context", false, "enter no project")
	return cmd
}

func (o *psqlOptions) check() error {
	role, known := psqlRoles[o.role]
	switch {
	case !known:
		return usagef("--role must be app, auth or auditor")
	case !role.enter:
		o.noContext = true
	case o.noContext && (o.tenant != "" || o.project != ""):
		return usagef("--no-context goes without --tenant and --project")
	case !o.noContext && (o.tenant == "" || o.project == ""):
		return usagef("give --tenant and --project, or --no-context")
	}
	return nil
}

func psql(ctx context.Context, p program, d *database, o psqlOptions) error {
	role := psqlRoles[o.role]
	url := d.urls[role.login]
	if url == "" {
		return usagef("the URL of %s is missing: set %s", role.login, roleVariables[role.login])
	}
	console := db.Console{URL: url}
	where := "no project"
	if !o.noContext {
		opened, err := d.open(ctx)
		if err != nil {
			return err
		}
		defer opened.Close()
		project, err := opened.FindProject(ctx, o.tenant, o.project)
		if err != nil {
			return fmt.Errorf("%s/%s: %w", o.tenant, o.project, err)
		}
		console = opened.Console(url, role.plane, &db.Caller{Tenant: project.Tenant, Project: project.Project})
		where = o.tenant + "/" + o.project
	}
	program := findPsql(ctx, p, d)
	switch {
	case program != "":
		return runPsql(p, program, console, role.login, where, o.command)
	case o.command != "":
		table, err := console.Run(ctx, o.command)
		printTable(p.stdout, table)
		return err
	}
	return errors.New("psql is not installed: install PostgreSQL's client, or run one statement with -c")
}

// findPsql takes the one beside the server's binaries if it is there.
func findPsql(ctx context.Context, p program, d *database) string {
	if d.server != nil {
		if beside := (embedded.Binaries{Dir: d.server.BinDir()}).Psql(); beside != "" {
			return beside
		}
	}
	return embedded.FindPsql(ctx, p.getenv)
}

// runPsql gives psql a start-up file that enters the project, so that the signature appears in no list
// of processes. For the same reason the password goes by the environment.
func runPsql(p program, program string, console db.Console, login, where, command string) error {
	dir, err := os.MkdirTemp("", "bulkhead-psql-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	startup := filepath.Join(dir, "psqlrc")
	if err := os.WriteFile(startup, []byte(psqlStartup(console, login, where, command == "")), 0o600); err != nil {
		return err
	}
	url, password, err := db.SplitPassword(console.URL)
	if err != nil {
		return err
	}
	args := []string{"--dbname=" + url, "--set=ON_ERROR_STOP=1"}
	if command != "" {
		args = append(args, "--command="+command)
		if console.Enter != "" {
			args = append(args, `--command=\set QUIET on`, "--command=COMMIT")
		}
	} else {
		args[1] = "--set=ON_ERROR_STOP=0"
	}
	cmd := exec.Command(program, args...) //nolint:noctx // an interrupt is for psql, which cancels its statement
	cmd.Env = append(withoutPostgres(os.Environ()), "PSQLRC="+startup, "PGPASSWORD="+password, "PGAPPNAME=bulkhead psql")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = p.stdin, p.stdout, p.stderr
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, syscall.SIGINT)
	defer signal.Stop(interrupts)
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return errReported // psql has said why
	}
	return err
}

func psqlStartup(console db.Console, login, where string, interactive bool) string {
	var b strings.Builder
	b.WriteString("\\set QUIET on\n")
	if console.Enter != "" {
		b.WriteString("BEGIN;\n" + console.Enter + " \\g /dev/null\n")
	}
	if interactive {
		fmt.Fprintf(&b, "\\set PROMPT1 '%s %s %%x%%R%%# '\n", login, where)
		if console.Enter != "" {
			fmt.Fprintf(&b, "\\echo 'You are %s inside %s. After COMMIT or ROLLBACK you are nowhere: no row is visible.'\n", login, where)
		} else {
			fmt.Fprintf(&b, "\\echo 'You are %s and have entered no project.'\n", login)
		}
	}
	b.WriteString("\\unset QUIET\n")
	return b.String()
}

// withoutPostgres drops variables that would lead psql elsewhere.
func withoutPostgres(environment []string) []string {
	var out []string
	for _, v := range environment {
		if name, _, _ := strings.Cut(v, "="); !strings.HasPrefix(name, "PG") || name == "PGSSLROOTCERT" || name == "PGSSLCERT" || name == "PGSSLKEY" {
			out = append(out, v)
		}
	}
	return out
}

func printTable(w io.Writer, table db.Table) {
	if len(table.Columns) > 0 {
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, strings.Join(table.Columns, "\t"))
		for _, row := range table.Rows {
			fmt.Fprintln(t, strings.Join(row, "\t"))
		}
		t.Flush()
	}
	if table.Tag != "" {
		fmt.Fprintln(w, table.Tag)
	}
}
