package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"bulkhead/db"
	"bulkhead/db/embedded"
	"bulkhead/server"
	"bulkhead/server/access"
	"bulkhead/server/fhir"
	"bulkhead/server/oauth"
)

func newDevCommand(p program) *cobra.Command {
	o := serveOptions{
		allowLoopback: true, maxResource: server.DefaultMaxResource, maxBundle: server.DefaultMaxBundle,
		timeout: server.DefaultTimeout, drain: 5 * time.Second, tokenLife: 5 * time.Minute,
	}
	dir := ".bulkhead"
	noSample := false
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run everything on this machine: PostgreSQL, server, two demo tenants, sample patients",
		Long: `Dev starts a PostgreSQL of its own (installed binaries, or fetched ones), brings the schema up, makes
two tenants with a project and a client each, loads sample patients into the first, serves the API and
prints what to paste. Everything is kept in --data; a second start finds it again. DIR/dev.json holds
the addresses and secrets, readable by its owner only, and is written when the server is ready.

People sign in at /w/TENANT/login once bulkhead user create has made them; mail to them becomes files
in DIR/mail, unless BULKHEAD_MAIL says otherwise.

BULKHEAD_PG_BIN names the PostgreSQL binaries to use (15 to 18). Ctrl-C stops everything.

It is for trying things out: addresses are local, traffic is not encrypted, and client secrets lie in
a file.`,
		Example: `  bulkhead dev
  bulkhead dev --data /tmp/demo --listen 127.0.0.1:9000`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			chosen := cmd.Flags().Changed("listen")
			return dev(cmd.Context(), p, dir, o, chosen, !noSample)
		},
	}
	f := cmd.Flags()
	f.StringVar(&dir, "data", dir, "directory for the database and dev.json")
	f.StringVar(&o.listen, "listen", "127.0.0.1:8080", "address to listen on; if the default is taken, another port")
	f.BoolVar(&noSample, "no-sample", false, "load no sample patients")
	f.BoolVar(&o.logJSON, "log-json", false, "log JSON lines")
	return cmd
}

// dev starts everything, waits for ctx and stops everything.
func dev(ctx context.Context, p program, dir string, o serveOptions, listenChosen, sample bool) (err error) {
	started := time.Now()
	say := func(format string, args ...any) { fmt.Fprintf(p.stderr, format+"\n", args...) }
	d, err := openForDev(ctx, p, dir, say)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	ctx = d.whileItRuns(ctx)
	if p.getenv("BULKHEAD_MAIL") == "" {
		o.mail.target = "file:" + filepath.Join(d.server.Dir(), "mail")
	}
	listener, err := listenForDev(ctx, o, listenChosen, say)
	if err != nil {
		return err
	}
	o.logLevel = &slog.LevelVar{}
	o.logLevel.Set(slog.LevelWarn) // dev's own requests are of no interest
	s, opened, err := newServer(ctx, p, d, listener.Addr(), o)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer opened.Close()
	served := make(chan error, 1)
	serving, stopServing := context.WithCancel(ctx)
	defer stopServing()
	go func() { served <- s.Serve(serving, listener) }()

	report, err := setUpDemo(ctx, p, d, s, sample, say)
	if err == nil {
		err = report.write(d.server.Dir())
	}
	if err == nil {
		say("Ready after %.1f s with PostgreSQL %s.", time.Since(started).Seconds(), d.server.Version())
		report.print(p.stdout, d.server.Dir(), sample)
		o.logLevel.Set(slog.LevelInfo)
		<-ctx.Done()
		say("Stopping.")
		err = setAsideReport(d.server.Dir())
	}
	stopServing()
	return errors.Join(err, <-served, d.server.Err())
}

// openForDev starts the database. One that another process runs is no place for a second server.
func openForDev(ctx context.Context, p program, dir string, say func(string, ...any)) (*database, error) {
	dbServer, err := embedded.Start(context.WithoutCancel(ctx), embedded.Config{
		Dir: dir, Getenv: p.getenv, Report: func(text string) { say("%s", text) },
		Locked: setAsideReport, // nobody shall take an earlier run's addresses for this one's
	})
	if err != nil {
		return nil, err
	}
	d, err := prepareEmbedded(ctx, dbServer, true)
	if err != nil {
		return nil, errors.Join(err, dbServer.Stop())
	}
	return d, nil
}

// listenForDev takes another port if nobody asked for the default one and it is taken.
func listenForDev(ctx context.Context, o serveOptions, chosen bool, say func(string, ...any)) (net.Listener, error) {
	listener, err := listen(ctx, o)
	if err == nil || chosen || !errors.Is(err, syscall.EADDRINUSE) {
		return listener, err
	}
	say("%s is taken by another program; using another port.", o.listen)
	o.listen = "127.0.0.1:0"
	return listen(ctx, o)
}

// demoTenants are the two that dev makes; the first gets the sample patients.
var demoTenants = []struct{ tenant, name, project string }{
	{"acme", "Acme Health", "main"},
	{"globex", "Globex Clinics", "main"},
}

// setUpDemo makes what is not there yet.
func setUpDemo(ctx context.Context, p program, d *database, s *server.Server, sample bool, say func(string, ...any)) (*devReport, error) {
	opened, err := d.open(ctx)
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	known := readReport(d.server.Dir())
	report := &devReport{Postgres: d.dsns()}
	for _, demo := range demoTenants {
		entry, err := setUpTenant(ctx, opened, s, demo.tenant, demo.name, demo.project, known)
		if err != nil {
			return nil, fmt.Errorf("tenant %s: %w", demo.tenant, err)
		}
		report.Tenants = append(report.Tenants, entry)
	}
	if !sample {
		return report, nil
	}
	return report, loadSample(ctx, p, d.server.Dir(), report.Tenants[0], say)
}

// dsns are the URLs over loopback, which every client understands.
func (d *database) dsns() devPostgres {
	of := func(role string) string { return d.server.LoopbackDSN(role, d.password(role), databaseName) }
	return devPostgres{
		App: of("bulkhead_app"), Auth: of("bulkhead_auth"), Auditor: of("bulkhead_auditor"),
		Superuser: d.server.LoopbackDSN(embedded.Superuser, d.server.SuperuserPassword(), databaseName),
	}
}

// loadSample loads the sample patients once, as any client would.
func loadSample(ctx context.Context, p program, dir string, to devTenant, say func(string, ...any)) error {
	marker := filepath.Join(dir, "sample-loaded")
	if _, err := os.Stat(marker); err == nil {
		return nil
	}
	file, err := os.CreateTemp(dir, "sample-*.ndjson")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	if err := errors.Join(writeSample(file), file.Close()); err != nil {
		return err
	}
	say("Loading sample patients into %s/%s", to.Tenant, to.Project)
	err = load(ctx, p, loadOptions{
		fhirBase: to.FHIRBase, tokenEndpoint: to.TokenEndpoint, clientID: to.ClientID, clientSecret: to.ClientSecret,
		scope: "system/*.cruds", workers: 2, group: 200, retryFor: 30 * time.Second, failuresTo: p.stderr,
	}, []string{file.Name()})
	if err != nil {
		return fmt.Errorf("sample patients: %w", err)
	}
	return os.WriteFile(marker, nil, 0o600)
}

// setUpTenant makes a tenant, its project and its client, or finds them.
func setUpTenant(ctx context.Context, opened *db.DB, s *server.Server, slug, name, project string, known *devReport) (devTenant, error) {
	_, err := opened.FindProject(ctx, slug, "system")
	if errors.Is(err, db.ErrNoProject) {
		_, err = opened.CreateTenant(ctx, slug, name)
	}
	if err != nil {
		return devTenant{}, err
	}
	found, err := opened.FindProject(ctx, slug, project)
	if errors.Is(err, db.ErrNoProject) {
		if _, err = s.CreateProject(ctx, slug, project, "Main", string(fhir.R4)); err == nil {
			found, err = opened.FindProject(ctx, slug, project)
		}
	}
	if err != nil {
		return devTenant{}, err
	}
	entry := devTenant{Tenant: slug, Project: project, FHIRBase: s.OAuth.FHIRBase(found), TokenEndpoint: s.OAuth.TokenEndpoint(slug)}
	if entry.ClientID, entry.ClientSecret = known.client(slug); entry.ClientSecret != "" {
		return entry, nil
	}
	// The client lives in the project, so its tokens are for that project without more ado. It may do
	// everything there. Its secret cannot be shown again, so if the report is lost there is a new one.
	scopes, err := access.ParseScopes("system/*.cruds")
	if err != nil {
		return devTenant{}, err
	}
	entry.ClientID, entry.ClientSecret, err = s.CreateClient(ctx, found, oauth.ClientSpec{
		Name: "Demo client", GrantTypes: []string{"client_credentials"}, Scopes: scopes, MayIntrospect: true,
	})
	return entry, err
}
