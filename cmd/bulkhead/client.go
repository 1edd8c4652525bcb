package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"bulkhead/db"
	"bulkhead/server"
	"bulkhead/server/access"
	"bulkhead/server/fhir"
	"bulkhead/server/oauth"
)

// tenantFlags are those of commands that act for one tenant, on clients or keys.
type tenantFlags struct {
	database databaseFlags
	tenant   string
	baseURL  string
	asJSON   bool
}

func (f *tenantFlags) add(cmd *cobra.Command) {
	f.database.add(cmd)
	cmd.Flags().StringVar(&f.tenant, "tenant", "", "the tenant's name in URLs")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print one JSON object")
	if err := cmd.MarkFlagRequired("tenant"); err != nil {
		panic(err) // the flag was added two lines above
	}
}

// with opens the database and the server on it, which is not started, and runs fn.
func (f *tenantFlags) with(ctx context.Context, p program, fn func(*server.Server) error) error {
	return f.database.with(ctx, p, func(d *database) error {
		opened, err := d.open(ctx)
		if err != nil {
			return err
		}
		defer opened.Close()
		base := f.baseURL
		if base == "" {
			base = p.getenv("BULKHEAD_BASE_URL")
		}
		if base == "" && f.database.data != "" {
			base = devBase(f.database.data)
		}
		if base == "" {
			base = "http://127.0.0.1:8080" // where serve listens unless told otherwise
		}
		// What is registered here is fetched by the server, which has its own say on addresses.
		issuer, err := oauth.New(opened, oauth.Config{BaseURL: base, AllowLoopback: f.database.data != ""})
		if err != nil {
			return err
		}
		s, err := server.New(server.Config{DB: opened, OAuth: issuer})
		if err != nil {
			return err
		}
		return f.explain(fn(s))
	})
}

// explain says in the command's words what the database could not find.
func (f *tenantFlags) explain(err error) error {
	var told *fhir.Error
	switch {
	case errors.Is(err, db.ErrNoProject):
		return fmt.Errorf("tenant %s has no such project, or there is no such tenant, or it is suspended", f.tenant)
	case errors.As(err, &told) && told.Err == nil:
		return errors.New(told.Issues[0].Diagnostics)
	default:
		return err
	}
}

// system is the tenant's project system, which is where its own affairs are kept.
func (f *tenantFlags) system(ctx context.Context, s *server.Server) (db.Project, error) {
	return s.DB.FindProject(ctx, f.tenant, "system")
}

func newClientCommand(p program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "client",
		Short: "Create and end OAuth clients of a tenant",
		Long: `A client gets access tokens at its tenant's token endpoint. One that is made in a project acts in that
project only; one that is made in project system acts in whichever project of the tenant it names.

` + databaseHelp,
		Example: `  bulkhead client create --data .bulkhead --tenant north --project care --name "Lab interface"
  bulkhead client rotate-secret --data .bulkhead --tenant north --overlap 24h CLIENT_ID`,
		RunE: runGroup,
	}
	cmd.AddCommand(newClientCreate(p), newClientList(p), newClientRotate(p), newClientDisable(p), newClientDelete(p))
	return cmd
}

// clientOptions are the flags of client create.
type clientOptions struct {
	tenantFlags
	project, name, scope string
	jwksFile, jwksURI    string
	redirects, logouts   []string
	introspect, public   bool
	tokenLife            time.Duration
}

// createdClient is what client create prints.
type createdClient struct {
	ClientID      string `json:"client_id"`
	ClientSecret  string `json:"client_secret,omitempty"` // shown this once
	AuthMethod    string `json:"token_endpoint_auth_method"`
	Scope         string `json:"scope"`
	Tenant        string `json:"tenant"`
	Project       string `json:"project"`
	Issuer        string `json:"issuer"`
	TokenEndpoint string `json:"token_endpoint"`
	FHIRBase      string `json:"fhir_base"`
}

func newClientCreate(p program) *cobra.Command {
	var o clientOptions
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Create a client and show its secret, once",
		Long: `Create makes a client for the client_credentials grant. Without --jwks and --jwks-uri it gets a secret,
which is shown now and never again: only a keyed hash of it is kept. With one of them it authenticates
with private_key_jwt (RS384, ES384, ES256 or PS256) and has no secret. With --redirect-uri it is an app that
people sign in to, by the authorization code grant with PKCE.`,
		Example: `  bulkhead client create --data .bulkhead --tenant north --project care --name "Lab interface" --json
  bulkhead client create --data .bulkhead --tenant north --name Provisioning
  bulkhead client create --data .bulkhead --tenant north --project care --name Charts --public --redirect-uri https://charts.example/cb --scope 'openid offline_access user/*.rs'
  bulkhead client create --data .bulkhead --tenant north --project care --name Backend --jwks keys.json --scope 'system/Patient.rs system/Observation.rs'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			spec, err := o.spec()
			if err != nil {
				return err
			}
			return o.with(cmd.Context(), p, func(s *server.Server) error {
				created, err := o.create(cmd.Context(), s, spec)
				if err != nil {
					return err
				}
				return created.print(p.stdout, o.asJSON)
			})
		},
	}
	o.add(cmd)
	f := cmd.Flags()
	f.StringVar(&o.project, "project", "system", "the project that it acts in; system: any project of the tenant")
	f.StringVar(&o.name, "name", "", "what people know it by")
	f.StringVar(&o.scope, "scope", "system/*.cruds", "the most that its tokens can be granted")
	f.StringVar(&o.jwksFile, "jwks", "", "file with the JWK Set of its public keys")
	f.StringVar(&o.jwksURI, "jwks-uri", "", "https URL of the JWK Set of its public keys")
	f.StringArrayVar(&o.redirects, "redirect-uri", nil, "make an app for people instead, which may have its codes sent here (repeatable)")
	f.StringArrayVar(&o.logouts, "logout-uri", nil, "where the app may send people after signing out (repeatable)")
	f.BoolVar(&o.public, "public", false, "the app runs where it can keep no secret: in a browser or on a phone")
	f.BoolVar(&o.introspect, "introspect", false, "let it introspect the tokens of others")
	f.DurationVar(&o.tokenLife, "token-life", 0, "life of its access tokens, an hour at most (default: the server's)")
	f.StringVar(&o.baseURL, "base-url", "", "scheme and host of the server as clients see it (BULKHEAD_BASE_URL; default http://127.0.0.1:8080)")
	cmd.MarkFlagsMutuallyExclusive("jwks", "jwks-uri")
	return cmd
}

// spec is what the flags ask for.
func (o *clientOptions) spec() (oauth.ClientSpec, error) {
	spec := oauth.ClientSpec{
		Name: o.name, GrantTypes: []string{"client_credentials"}, JWKSURI: o.jwksURI, MayIntrospect: o.introspect,
		TokenLife: int32(o.tokenLife / time.Second), RedirectURIs: o.redirects, LogoutURIs: o.logouts, Public: o.public,
	}
	if len(o.redirects) > 0 {
		spec.GrantTypes = []string{"authorization_code", "refresh_token"}
	}
	if strings.TrimSpace(o.name) == "" {
		return spec, usagef("a client needs a --name")
	}
	scopes, err := access.ParseScopes(o.scope)
	if err != nil {
		return spec, usagef("--scope: %v", err)
	}
	spec.Scopes = scopes
	if o.jwksFile != "" {
		text, err := os.ReadFile(o.jwksFile)
		if err != nil {
			return spec, err
		}
		var compact json.RawMessage
		if err := json.Unmarshal(text, &compact); err != nil {
			return spec, fmt.Errorf("%s holds no JSON: %w", o.jwksFile, err)
		}
		spec.JWKS = string(compact)
	}
	return spec, nil
}

func (o *clientOptions) create(ctx context.Context, s *server.Server, spec oauth.ClientSpec) (createdClient, error) {
	project, err := s.DB.FindProject(ctx, o.tenant, o.project)
	if err != nil {
		return createdClient{}, err
	}
	id, secret, err := s.CreateClient(ctx, project, spec)
	if err != nil {
		return createdClient{}, err
	}
	created := createdClient{
		ClientID: id, ClientSecret: secret, AuthMethod: oauth.SecretBasic, Scope: spec.Scopes.String(), Tenant: o.tenant, Project: o.project,
		Issuer: s.OAuth.IssuerURL(o.tenant), TokenEndpoint: s.OAuth.TokenEndpoint(o.tenant), FHIRBase: s.OAuth.FHIRBase(project),
	}
	switch {
	case spec.Public:
		created.AuthMethod = "none"
	case secret == "":
		created.AuthMethod = oauth.PrivateKeyJWT
	}
	return created, nil
}

func (c createdClient) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return writeJSON(w, c)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "client id\t%s\n", c.ClientID)
	if c.ClientSecret != "" {
		fmt.Fprintf(t, "client secret\t%s  (shown this once)\n", c.ClientSecret)
	}
	fmt.Fprintf(t, "authentication\t%s\nscope\t%s\ntoken endpoint\t%s\nFHIR base\t%s\n", c.AuthMethod, c.Scope, c.TokenEndpoint, c.FHIRBase)
	return t.Flush()
}

func newClientList(p program) *cobra.Command {
	var f tenantFlags
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the clients of a tenant",
		Long:  "List shows every client of a tenant and where it may act. Secrets cannot be shown: they are not kept.",
		Example: `  bulkhead client list --data .bulkhead --tenant north
  bulkhead client list --data .bulkhead --tenant north --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.with(cmd.Context(), p, func(s *server.Server) error {
				clients, err := f.clients(cmd.Context(), s)
				if err != nil {
					return err
				}
				return printClients(p.stdout, clients, f.asJSON)
			})
		},
	}
	f.add(cmd)
	return cmd
}

func (f *tenantFlags) clients(ctx context.Context, s *server.Server) ([]oauth.ClientInfo, error) {
	system, err := f.system(ctx, s)
	if err != nil {
		return nil, err
	}
	return s.OAuth.Clients(ctx, system.Tenant)
}

func printClients(w io.Writer, clients []oauth.ClientInfo, asJSON bool) error {
	if asJSON {
		return writeJSON(w, map[string]any{"clients": clients})
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CLIENT ID\tPROJECT\tSTATE\tAUTHENTICATION\tNAME\tSCOPE")
	for _, c := range clients {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", c.ID, c.Project, c.State, c.AuthMethod, c.Name, strings.Join(c.Scopes, " "))
	}
	return t.Flush()
}

func newClientRotate(p program) *cobra.Command {
	var f tenantFlags
	var overlap time.Duration
	cmd := &cobra.Command{
		Use:   "rotate-secret CLIENT_ID",
		Short: "Give a client a new secret and show it, once",
		Long: `The old secret ends at once, or after --overlap, so that both work while the client is changed over.
Tokens that the client holds keep their life.`,
		Example: `  bulkhead client rotate-secret --data .bulkhead --tenant north CLIENT_ID
  bulkhead client rotate-secret --data .bulkhead --tenant north --overlap 24h --json CLIENT_ID`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if overlap < 0 || overlap > 30*24*time.Hour {
				return usagef("--overlap must be 0 to 720h")
			}
			return f.with(cmd.Context(), p, func(s *server.Server) error {
				secret, err := f.rotate(cmd.Context(), s, args[0], overlap)
				if err != nil {
					return notThere(err, "tenant %s has no client %s with a secret", f.tenant, args[0])
				}
				if f.asJSON {
					return writeJSON(p.stdout, map[string]string{"client_id": args[0], "client_secret": secret})
				}
				fmt.Fprintf(p.stdout, "client secret  %s  (shown this once)\n", secret)
				return nil
			})
		},
	}
	f.add(cmd)
	cmd.Flags().DurationVar(&overlap, "overlap", 0, "how long the old secret still counts")
	return cmd
}

func (f *tenantFlags) rotate(ctx context.Context, s *server.Server, id string, overlap time.Duration) (secret string, err error) {
	system, err := f.system(ctx, s)
	if err != nil {
		return "", err
	}
	caller := db.Caller{Tenant: system.Tenant, Project: system.Project}
	err = s.DB.Update(ctx, db.Identity, caller, func(tx *db.Tx) (err error) {
		secret, err = s.OAuth.RotateSecret(ctx, tx, system.Tenant, id, overlap)
		return err
	})
	return secret, err
}

func notThere(err error, format string, args ...any) error {
	if errors.Is(err, db.ErrNotFound) {
		return fmt.Errorf(format, args...)
	}
	return err
}

func newClientDisable(p program) *cobra.Command {
	return newClientEnd(p, "disable", "disabled", "Refuse a client new tokens and end those that it holds",
		"Disable bites on the next request. Writing the ClientApplication with status active undoes it.", (*server.Server).DisableClient)
}

func newClientDelete(p program) *cobra.Command {
	return newClientEnd(p, "delete", "deleted", "Remove a client and end the tokens that it holds",
		"Delete bites on the next request and cannot be undone.", (*server.Server).DeleteClient)
}

// newClientEnd makes the command that ends a client one way or the other.
func newClientEnd(p program, name, done, short, long string, end func(*server.Server, context.Context, db.Project, string) error) *cobra.Command {
	var f tenantFlags
	cmd := &cobra.Command{
		Use:     name + " CLIENT_ID",
		Short:   short,
		Long:    long,
		Example: "  bulkhead client " + name + " --data .bulkhead --tenant north CLIENT_ID",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.with(cmd.Context(), p, func(s *server.Server) error {
				home, err := f.home(cmd.Context(), s, args[0])
				if err != nil {
					return err
				}
				if err := end(s, cmd.Context(), home, args[0]); err != nil {
					return err
				}
				if f.asJSON {
					return writeJSON(p.stdout, map[string]string{"client_id": args[0], "state": done})
				}
				fmt.Fprintf(p.stdout, "client %s is %s\n", args[0], done)
				return nil
			})
		},
	}
	f.add(cmd)
	return cmd
}

// home is the project that a client lives in.
func (f *tenantFlags) home(ctx context.Context, s *server.Server, id string) (db.Project, error) {
	clients, err := f.clients(ctx, s)
	if err != nil {
		return db.Project{}, err
	}
	for _, client := range clients {
		if client.ID == id {
			return s.DB.FindProject(ctx, f.tenant, client.Project)
		}
	}
	return db.Project{}, fmt.Errorf("tenant %s has no client %s", f.tenant, id)
}
