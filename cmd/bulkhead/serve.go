package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bulkhead/db"
	"bulkhead/server"
	"bulkhead/server/login"
	"bulkhead/server/oauth"
)

// serveOptions are the flags of `bulkhead serve`; dev fills them in by itself.
type serveOptions struct {
	flags          databaseFlags
	appURL         string
	authURL        string
	listen         string
	baseURL        string
	tlsCert        string
	tlsKey         string
	maxConns       int
	maxBundle      int64
	maxResource    int64
	timeout, drain time.Duration
	tokenLife      time.Duration
	logJSON        bool
	logLevel       *slog.LevelVar // nil: everything from INFO on
	mail           mailFlags
	proxies        []string // networks of trusted proxies
	allowLoopback  bool     // jwks_uri may be on this machine: dev only
}

func newServeCommand(p program) *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the FHIR API",
		Long: `Serve answers FHIR and OAuth requests. It connects as the runtime roles bulkhead_app and bulkhead_auth
and refuses to start as anything more, or on a database whose walls do not hold. Bring the schema up
before with bulkhead migrate up.

Every flag may be given by the environment instead: BULKHEAD_LISTEN, BULKHEAD_BASE_URL, BULKHEAD_APP_URL,
BULKHEAD_AUTH_URL, BULKHEAD_MASTER_KEY, BULKHEAD_MASTER_KEY_FILE, BULKHEAD_TLS_CERT, BULKHEAD_TLS_KEY,
BULKHEAD_MAX_CONNS, BULKHEAD_MAIL, BULKHEAD_MAIL_FROM, BULKHEAD_TRUSTED_PROXIES. A secret does not belong in the list of processes. Database URLs take sslmode,
sslrootcert, several hosts and target_session_attrs as libpq does.

` + mailHelp + `

Failed sign-ins are counted by the address that they come from. Behind a proxy, name its network with
--trusted-proxy, or everybody shares the proxy's address.

SIGTERM and SIGINT end it: no new request is taken, those in flight are finished. A second signal
ends it at once.`,
		Example: `  BULKHEAD_APP_URL='postgres://bulkhead_app:SECRET@db.example.org/bulkhead?sslmode=verify-full' \
  BULKHEAD_AUTH_URL='postgres://bulkhead_auth:SECRET@db.example.org/bulkhead?sslmode=verify-full' \
  BULKHEAD_MASTER_KEY_FILE=/run/secrets/master.key \
  bulkhead serve --listen :8080 --base-url https://fhir.example.org
  bulkhead serve --data .bulkhead`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.fromEnvironment(p.getenv); err != nil {
				return err
			}
			return o.flags.with(cmd.Context(), o.program(p), func(d *database) error {
				return serve(cmd.Context(), p, d, o)
			})
		},
	}
	o.flags.add(cmd)
	f := cmd.Flags()
	f.StringVar(&o.appURL, "app-url", "", "database URL of bulkhead_app")
	f.StringVar(&o.authURL, "auth-url", "", "database URL of bulkhead_auth")
	f.StringVar(&o.listen, "listen", "", "address to listen on (default 127.0.0.1:8080)")
	f.StringVar(&o.baseURL, "base-url", "", "scheme and host as clients see them (default: http:// and the address)")
	f.StringVar(&o.tlsCert, "tls-cert", "", "certificate chain in PEM; without it a proxy must do TLS")
	f.StringVar(&o.tlsKey, "tls-key", "", "its key in PEM")
	f.IntVar(&o.maxConns, "max-conns", 0, "most connections to the database for each role (default: what the URL or pgx says)")
	f.Int64Var(&o.maxResource, "max-resource", server.DefaultMaxResource, "most bytes of one resource")
	f.Int64Var(&o.maxBundle, "max-bundle", server.DefaultMaxBundle, "most bytes of one bundle")
	f.DurationVar(&o.timeout, "timeout", server.DefaultTimeout, "longest time for one request")
	f.DurationVar(&o.drain, "drain", server.DefaultDrainTime, "longest wait for requests in flight at the end")
	f.DurationVar(&o.tokenLife, "token-life", 5*time.Minute, "life of client-credentials tokens")
	f.BoolVar(&o.logJSON, "log-json", false, "log JSON lines")
	o.mail.add(cmd)
	f.StringSliceVar(&o.proxies, "trusted-proxy", nil, "network of proxies whose X-Forwarded-For is believed, such as 10.0.0.0/8 (BULKHEAD_TRUSTED_PROXIES)")
	cmd.MarkFlagsRequiredTogether("tls-cert", "tls-key")
	return cmd
}

func (o *serveOptions) fromEnvironment(getenv func(string) string) error {
	for name, field := range map[string]*string{
		"BULKHEAD_LISTEN": &o.listen, "BULKHEAD_BASE_URL": &o.baseURL,
		"BULKHEAD_TLS_CERT": &o.tlsCert, "BULKHEAD_TLS_KEY": &o.tlsKey,
	} {
		if *field == "" {
			*field = getenv(name)
		}
	}
	if text := getenv("BULKHEAD_MAX_CONNS"); text != "" && o.maxConns == 0 {
		n, err := strconv.Atoi(text)
		if err != nil {
			return usagef("BULKHEAD_MAX_CONNS must be a number")
		}
		o.maxConns = n
	}
	if text := getenv("BULKHEAD_TRUSTED_PROXIES"); text != "" && len(o.proxies) == 0 {
		o.proxies = strings.Split(text, ",")
	}
	if o.listen == "" {
		o.listen = "127.0.0.1:8080"
	}
	if o.maxConns < 0 || o.maxConns > 1000 {
		return usagef("--max-conns must be 1 to 1000")
	}
	if (o.tlsCert == "") != (o.tlsKey == "") {
		return usagef("--tls-cert and --tls-key go together")
	}
	return nil
}

// program lets the flags for URLs win over the environment.
func (o *serveOptions) program(p program) program {
	getenv := p.getenv
	p.getenv = func(name string) string {
		switch {
		case name == "BULKHEAD_APP_URL" && o.appURL != "":
			return o.appURL
		case name == "BULKHEAD_AUTH_URL" && o.authURL != "":
			return o.authURL
		}
		return getenv(name)
	}
	return p
}

// serve listens and answers until ctx ends.
func serve(ctx context.Context, p program, d *database, o serveOptions) error {
	listener, err := listen(ctx, o)
	if err != nil {
		return err
	}
	s, opened, err := newServer(ctx, p, d, listener.Addr(), o)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer opened.Close()
	fmt.Fprintf(p.stderr, "bulkhead %s serves on %s\n", release, listener.Addr())
	return s.Serve(d.whileItRuns(ctx), listener)
}

func listen(ctx context.Context, o serveOptions) (net.Listener, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", o.listen)
	if err != nil {
		return nil, fmt.Errorf("%w: choose another address with --listen", err)
	}
	if o.tlsCert == "" {
		return listener, nil
	}
	pair, err := tls.LoadX509KeyPair(o.tlsCert, o.tlsKey)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return tls.NewListener(listener, &tls.Config{
		Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
	}), nil
}

// newServer builds the server on an open database.
func newServer(ctx context.Context, p program, d *database, address net.Addr, o serveOptions) (*server.Server, *db.DB, error) {
	// The operator is for commands; the server has no business in the directory of tenants.
	opened, err := db.Open(ctx, db.Config{
		AppURL: d.urls["bulkhead_app"], AuthURL: d.urls["bulkhead_auth"], Master: d.master, MaxConns: int32(o.maxConns),
	})
	if err != nil {
		return nil, nil, err
	}
	base := o.baseURL
	if base == "" {
		base = defaultBase(address, o.tlsCert != "")
	}
	logged := &slog.HandlerOptions{}
	if o.logLevel != nil {
		logged.Level = o.logLevel
	}
	var handler slog.Handler = slog.NewTextHandler(p.stderr, logged)
	if o.logJSON {
		handler = slog.NewJSONHandler(p.stderr, logged)
	}
	pages, err := newPages(p, opened, base, slog.New(handler), o)
	if err != nil {
		opened.Close()
		return nil, nil, err
	}
	issuer, err := oauth.New(opened, oauth.Config{BaseURL: base, TokenLife: o.tokenLife, AllowLoopback: o.allowLoopback, Login: pages})
	if err != nil {
		opened.Close()
		return nil, nil, err
	}
	s, err := server.New(server.Config{
		DB: opened, OAuth: issuer, Login: pages, Log: slog.New(handler),
		MaxResource: o.maxResource, MaxBundle: o.maxBundle, Timeout: o.timeout, DrainTime: o.drain,
	})
	if err != nil {
		opened.Close()
		return nil, nil, err
	}
	return s, opened, nil
}

// newPages builds the pages on which people sign in.
func newPages(p program, opened *db.DB, base string, log *slog.Logger, o serveOptions) (*login.Server, error) {
	config := login.Config{DB: opened, BaseURL: base, Log: log}
	var err error
	if config.Mailer, err = o.mail.open(p, base); err != nil {
		return nil, err
	}
	if len(o.proxies) > 0 {
		if config.Address, err = login.BehindProxies(o.proxies); err != nil {
			return nil, usagef("--trusted-proxy: %v", err)
		}
	}
	return login.New(config)
}

// defaultBase is the address as a URL; one that listens everywhere is reached as localhost.
func defaultBase(address net.Addr, secure bool) string {
	scheme := "http"
	if secure {
		scheme = "https"
	}
	host, port, err := net.SplitHostPort(address.String())
	if err != nil {
		return scheme + "://" + address.String()
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "localhost"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// whileItRuns ends with ctx, or when an embedded server that this program runs is gone for good.
func (d *database) whileItRuns(ctx context.Context) context.Context {
	if d.server == nil || d.server.Attached() {
		return ctx
	}
	ctx, cancel := context.WithCancel(ctx)
	context.AfterFunc(ctx, cancel)
	go func() {
		select {
		case <-d.server.Done():
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx
}
