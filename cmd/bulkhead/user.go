package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"bulkhead/db"
	"bulkhead/server"
	"bulkhead/server/login"
)

func newUserCommand(p program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "user",
		Short: "Create, invite and disable the people of a tenant",
		Long: `A user signs in to a tenant on its own pages, by e-mail address and password and, where it is asked for,
a second factor. What a user may do in a project is for the project's memberships to say.

` + databaseHelp,
		Example: `  bulkhead user invite --data .bulkhead --tenant north --email ada@example.org --name "Ada Lovelace" --role admin
  bulkhead user list --data .bulkhead --tenant north
  bulkhead user policy --data .bulkhead --tenant north --second-factor owner,admin`,
		RunE: runGroup,
	}
	cmd.AddCommand(newUserCreate(p), newUserInvite(p), newUserReset(p), newUserResetFactor(p),
		newUserStatus(p, "disable", "disabled", "Sign a user out everywhere and let them in no more", false),
		newUserStatus(p, "enable", "active", "Let a disabled user in again", true),
		newUserList(p), newUserPolicy(p))
	return cmd
}

// userFlags describe the user that a command makes.
type userFlags struct {
	tenantFlags
	email, name, role, provider string
}

func (f *userFlags) add(cmd *cobra.Command) {
	f.tenantFlags.add(cmd)
	cmd.Flags().StringVar(&f.email, "email", "", "the address that they sign in with and mail goes to")
	cmd.Flags().StringVar(&f.name, "name", "", "what they are called")
	cmd.Flags().StringVar(&f.role, "role", login.RoleMember, "what they are in the tenant: owner, admin or member")
	if err := cmd.MarkFlagRequired("email"); err != nil {
		panic(err) // the flag was added above
	}
}

func (f *userFlags) spec() login.UserSpec {
	return login.UserSpec{Email: strings.TrimSpace(f.email), Name: strings.TrimSpace(f.name), Role: f.role, Federated: f.provider}
}

// withPeople is with, for people.
func (f *tenantFlags) withPeople(ctx context.Context, p program, fn func(*server.Server, *login.People, db.Project) error) error {
	return f.with(ctx, p, func(s *server.Server) error {
		people, err := login.NewPeople(s.DB)
		if err != nil {
			return err
		}
		system, err := f.system(ctx, s)
		if err != nil {
			return err
		}
		return fn(s, people, system)
	})
}

// userResult is what commands about one user print.
type userResult struct {
	ID       string `json:"id"`
	Email    string `json:"email"`
	Role     string `json:"role,omitempty"`
	State    string `json:"state,omitempty"`
	Password string `json:"password,omitempty"` // shown this once
	Link     string `json:"link,omitempty"`     // shown this once
	Mailed   bool   `json:"mailed,omitempty"`
	SignIn   string `json:"sign_in"` // URL of the page
}

func (r userResult) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return writeJSON(w, r)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, line := range [][2]string{
		{"user", r.ID},
		{"e-mail address", r.Email},
		{"role", r.Role},
		{"state", r.State},
		{"password", shownOnce(r.Password)},
		{"link", shownOnce(r.Link)},
		{"mailed", map[bool]string{true: "yes"}[r.Mailed]},
		{"signs in at", r.SignIn},
	} {
		if line[1] != "" {
			fmt.Fprintf(t, "%s\t%s\n", line[0], line[1])
		}
	}
	return t.Flush()
}

func shownOnce(secret string) string {
	if secret == "" {
		return ""
	}
	return secret + "  (shown this once)"
}

func newUserCreate(p program) *cobra.Command {
	var f userFlags
	var fromInput bool
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Create a user with a password",
		Long: `Create makes a user whose password is made up and shown now, or is read from standard input. It is
better to let people choose their own: see bulkhead user invite. With --identity-provider they have
no password here and sign in there.`,
		Example: `  bulkhead user create --data .bulkhead --tenant north --email ada@example.org --role owner --json
  bulkhead user create --data .bulkhead --tenant north --email ada@example.org --password-stdin < password.txt`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			password := login.NewPassword()
			if fromInput {
				line, err := readPassword(p.stdin)
				if err != nil {
					return err
				}
				password = line
			}
			return f.withPeople(cmd.Context(), p, func(s *server.Server, people *login.People, system db.Project) error {
				result, err := f.create(cmd.Context(), s, people, system, password)
				if err != nil {
					return err
				}
				if fromInput {
					result.Password = ""
				}
				return result.print(p.stdout, f.asJSON)
			})
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&f.provider, "identity-provider", "", "id of the IdentityProvider that signs them in, instead of a password")
	cmd.Flags().BoolVar(&fromInput, "password-stdin", false, "read the password from the first line of standard input")
	cmd.MarkFlagsMutuallyExclusive("identity-provider", "password-stdin")
	return cmd
}

func (f *userFlags) create(ctx context.Context, s *server.Server, people *login.People, system db.Project, password string) (userResult, error) {
	spec := f.spec()
	if spec.Federated != "" {
		password = ""
	} else if err := people.CheckPassword(ctx, system, spec, password); err != nil {
		return userResult{}, err
	}
	id, err := s.CreateUser(ctx, system, spec)
	if err != nil {
		return userResult{}, err
	}
	if password != "" {
		if err := people.SetPassword(ctx, system.Tenant, id, password); err != nil {
			return userResult{}, err
		}
	}
	return userResult{ID: id, Email: spec.Email, Role: spec.Role, State: "active", Password: password, SignIn: s.OAuth.IssuerURL(f.tenant) + "/login"}, nil
}

// readPassword reads one line.
func readPassword(from io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(from, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	if line = strings.TrimRight(line, "\r\n"); line == "" {
		return "", usagef("standard input holds no password")
	}
	return line, nil
}

func newUserInvite(p program) *cobra.Command {
	var f userFlags
	var mail mailFlags
	cmd := &cobra.Command{
		Use:   "invite",
		Short: "Let somebody choose a password, by a link that is good once",
		Long: `Invite makes the user if there is none with the address, and a link by which they choose their
password. The link is good once and for seven days; it is mailed if there is a way to, and shown.

` + mailHelp,
		Example: `  bulkhead user invite --data .bulkhead --tenant north --email ada@example.org --name "Ada Lovelace" --role admin
  BULKHEAD_MAIL=smtp://u:p@mail.example.org bulkhead user invite --tenant north --email ada@example.org --base-url https://fhir.example.org`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.withPeople(cmd.Context(), p, func(s *server.Server, people *login.People, system db.Project) error {
				spec := f.spec()
				id, err := people.ID(cmd.Context(), system.Tenant, spec.Email)
				if errors.Is(err, db.ErrNotFound) {
					id, err = s.CreateUser(cmd.Context(), system, spec)
				} else {
					spec.Role = "" // theirs stays as it is
				}
				if err != nil {
					return err
				}
				result := userResult{ID: id, Email: spec.Email, Role: spec.Role}
				return f.sendLink(cmd.Context(), p, mail, s, system, result, people.Invitation)
			})
		},
	}
	f.add(cmd)
	mail.add(cmd)
	f.addBaseURL(cmd)
	return cmd
}

func (f *tenantFlags) addBaseURL(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.baseURL, "base-url", "", "scheme and host of the server as browsers see it (BULKHEAD_BASE_URL; default http://127.0.0.1:8080)")
}

// linkMaker is login.People's Invitation or Reset.
type linkMaker func(ctx context.Context, tenant db.Project, issuer, id string) (string, login.Mail, error)

// sendLink makes a link, mails it if there is a way to, and prints it.
func (f *tenantFlags) sendLink(ctx context.Context, p program, mail mailFlags, s *server.Server, system db.Project, result userResult, link linkMaker) error {
	issuer := s.OAuth.IssuerURL(f.tenant)
	mailer, err := mail.open(p, issuer)
	if err != nil {
		return err
	}
	var message login.Mail
	result.SignIn = issuer + "/login"
	if result.Link, message, err = link(ctx, system, issuer, result.ID); err != nil {
		return notThere(err, "%s is disabled, or signs in at an identity provider", result.Email)
	}
	if mailer != nil {
		if err := mailer.Send(ctx, message); err != nil {
			return err
		}
		result.Mailed = true
	}
	return result.print(p.stdout, f.asJSON)
}

func newUserReset(p program) *cobra.Command {
	var f tenantFlags
	var mail mailFlags
	var fromInput bool
	cmd := &cobra.Command{
		Use:   "reset-password EMAIL",
		Short: "Let a user choose a new password, by a link that is good once",
		Long: `Reset-password makes a link that is good once and for 30 minutes; it is mailed if there is a way to,
and shown. With --password-stdin the password is set at once, and the user is signed out everywhere.
A second factor stays as it is.

` + mailHelp,
		Example: `  bulkhead user reset-password --data .bulkhead --tenant north ada@example.org
  bulkhead user reset-password --data .bulkhead --tenant north --password-stdin ada@example.org < password.txt`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			password := ""
			if fromInput {
				line, err := readPassword(p.stdin)
				if err != nil {
					return err
				}
				password = line
			}
			return f.withPeople(cmd.Context(), p, func(s *server.Server, people *login.People, system db.Project) error {
				id, err := people.ID(cmd.Context(), system.Tenant, args[0])
				if err != nil {
					return notThere(err, "tenant %s has no user %s", f.tenant, args[0])
				}
				result := userResult{ID: id, Email: args[0], SignIn: s.OAuth.IssuerURL(f.tenant) + "/login"}
				if password == "" {
					return f.sendLink(cmd.Context(), p, mail, s, system, result, people.Reset)
				}
				if err := people.SetPassword(cmd.Context(), system.Tenant, id, password); err != nil {
					return notThere(err, "%s is disabled, or signs in at an identity provider", args[0])
				}
				return result.print(p.stdout, f.asJSON)
			})
		},
	}
	f.add(cmd)
	mail.add(cmd)
	f.addBaseURL(cmd)
	cmd.Flags().BoolVar(&fromInput, "password-stdin", false, "set the password in the first line of standard input")
	return cmd
}

func newUserResetFactor(p program) *cobra.Command {
	var f tenantFlags
	cmd := &cobra.Command{
		Use:   "reset-second-factor EMAIL",
		Short: "Take the second factor away from a user who lost phone and recovery codes",
		Long: `Make sure that it is the user who asks. Until they set up another, their password alone signs them in;
where their role needs a second factor, they are led to set one up when they sign in next.`,
		Example: "  bulkhead user reset-second-factor --data .bulkhead --tenant north ada@example.org",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.withPeople(cmd.Context(), p, func(s *server.Server, people *login.People, system db.Project) error {
				id, err := people.ID(cmd.Context(), system.Tenant, args[0])
				if err == nil {
					err = people.DropSecondFactor(cmd.Context(), system.Tenant, id)
				}
				if err != nil {
					return notThere(err, "tenant %s has no user %s with a second factor", f.tenant, args[0])
				}
				return userResult{ID: id, Email: args[0], SignIn: s.OAuth.IssuerURL(f.tenant) + "/login"}.print(p.stdout, f.asJSON)
			})
		},
	}
	f.add(cmd)
	return cmd
}

// newUserStatus makes the command that disables a user, or the one that undoes it.
func newUserStatus(p program, name, state, short string, active bool) *cobra.Command {
	var f tenantFlags
	cmd := &cobra.Command{
		Use:     name + " EMAIL",
		Short:   short,
		Long:    short + ". It bites on the next request.",
		Example: "  bulkhead user " + name + " --data .bulkhead --tenant north ada@example.org",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.withPeople(cmd.Context(), p, func(s *server.Server, people *login.People, system db.Project) error {
				id, err := people.ID(cmd.Context(), system.Tenant, args[0])
				if err == nil {
					err = s.SetUserStatus(cmd.Context(), system, id, active)
				}
				if err != nil {
					return notThere(err, "tenant %s has no user %s", f.tenant, args[0])
				}
				return userResult{ID: id, Email: args[0], State: state, SignIn: s.OAuth.IssuerURL(f.tenant) + "/login"}.print(p.stdout, f.asJSON)
			})
		},
	}
	f.add(cmd)
	return cmd
}

func newUserList(p program) *cobra.Command {
	var f tenantFlags
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the users of a tenant",
		Long:    "List shows every user of a tenant, what they prove themselves with, and when they last signed in.",
		Example: "  bulkhead user list --data .bulkhead --tenant north --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.withPeople(cmd.Context(), p, func(_ *server.Server, people *login.People, system db.Project) error {
				list, err := people.List(cmd.Context(), system.Tenant)
				if err != nil {
					return err
				}
				return printUsers(p.stdout, list, f.asJSON)
			})
		},
	}
	f.add(cmd)
	return cmd
}

func printUsers(w io.Writer, list []login.Person, asJSON bool) error {
	if asJSON {
		return writeJSON(w, map[string]any{"users": list})
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "E-MAIL ADDRESS\tNAME\tROLE\tSTATE\tSIGNS IN WITH\tLAST SIGNED IN\tID")
	for _, u := range list {
		with, last := "nothing yet", "never"
		switch {
		case u.Federated != "":
			with = "identity provider " + u.Federated
		case u.Password && u.SecondFactor:
			with = "password and second factor"
		case u.Password:
			with = "password"
		}
		if u.LastLogin != nil {
			last = u.LastLogin.UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", u.Email, u.Name, u.Role, u.State, with, last, u.ID)
	}
	return t.Flush()
}

func newUserPolicy(p program) *cobra.Command {
	var f tenantFlags
	var secondFactor string
	var idle, life time.Duration
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Show or change what a tenant asks of those who sign in",
		Long: `Policy shows which roles need a second factor and how long a session lasts, and changes what is given.
Whoever is signed in without a second factor that their role needs is led to set one up.`,
		Example: `  bulkhead user policy --data .bulkhead --tenant north
  bulkhead user policy --data .bulkhead --tenant north --second-factor owner,admin --idle 30m --session 10h
  bulkhead user policy --data .bulkhead --tenant north --second-factor none`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.withPeople(cmd.Context(), p, func(_ *server.Server, people *login.People, system db.Project) error {
				policy, err := people.Policy(cmd.Context(), system.Tenant)
				if err != nil {
					return err
				}
				changed := false
				for name, set := range map[string]func(){
					"second-factor": func() { policy.SecondFactor = rolesOf(secondFactor) },
					"idle":          func() { policy.Idle = idle },
					"session":       func() { policy.Life = life },
				} {
					if cmd.Flags().Changed(name) {
						set()
						changed = true
					}
				}
				if changed {
					if err := people.SetPolicy(cmd.Context(), system.Tenant, policy); err != nil {
						return usagef("%v", err)
					}
				}
				return printPolicy(p.stdout, policy, f.asJSON)
			})
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&secondFactor, "second-factor", "", "roles that need one: all, none, or some of owner,admin,member")
	cmd.Flags().DurationVar(&idle, "idle", 0, "a session ends when it is not used for so long")
	cmd.Flags().DurationVar(&life, "session", 0, "a session ends so long after signing in")
	return cmd
}

func rolesOf(text string) []string {
	switch text {
	case "all":
		return []string{login.RoleOwner, login.RoleAdmin, login.RoleMember}
	case "none", "":
		return nil
	}
	return strings.Split(text, ",")
}

func printPolicy(w io.Writer, policy login.Policy, asJSON bool) error {
	if asJSON {
		roles := policy.SecondFactor
		if roles == nil {
			roles = []string{}
		}
		return writeJSON(w, map[string]any{
			"second_factor": roles, "idle_seconds": int(policy.Idle / time.Second), "session_seconds": int(policy.Life / time.Second),
		})
	}
	needed := strings.Join(policy.SecondFactor, ", ")
	if needed == "" {
		needed = "nobody"
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "second factor needed by\t%s\nsession ends when idle for\t%s\nsession ends after\t%s\n", needed, policy.Idle, policy.Life)
	return t.Flush()
}
