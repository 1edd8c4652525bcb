package login

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"bulkhead/db"
)

// Config says what the pages stand on.
type Config struct {
	DB      *db.DB
	BaseURL string       // as browsers reach the server: scheme and host, no slash at the end; https makes every cookie Secure
	Mailer  Mailer       // nil: there is no mail, and the pages say whom to ask instead
	Log     *slog.Logger // nil: slog.Default()

	// Address says where a request comes from, for the throttle and the list of sessions. nil: the
	// peer of the connection, which behind a proxy is the proxy.
	Address func(*http.Request) string
}

// Server serves the pages of every tenant. It is safe for concurrent use.
type Server struct {
	*People
	config      Config
	secure      bool
	forms       []byte // keys the tokens of forms
	devices     []byte // keys the cookies of known browsers
	crossOrigin *http.CrossOriginProtection
	pages       pages
	now         func() time.Time
	mails       sync.WaitGroup
	mailSlots   chan struct{}
}

// maxMails bounds the messages that wait for the mail server; what comes beyond is dropped and logged.
const maxMails = 64

// New makes the pages of a database's tenants.
func New(config Config) (*Server, error) {
	base, err := url.Parse(config.BaseURL)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		return nil, errors.New("login: the base URL must be http(s)://host[:port]")
	}
	config.BaseURL = strings.TrimRight(config.BaseURL, "/")
	if config.Log == nil {
		config.Log = slog.Default()
	}
	if config.Address == nil {
		config.Address = peer
	}
	people, err := NewPeople(config.DB)
	if err != nil {
		return nil, err
	}
	pages, err := parsePages()
	if err != nil {
		return nil, err
	}
	crossOrigin := http.NewCrossOriginProtection()
	if err := crossOrigin.AddTrustedOrigin(base.Scheme + "://" + base.Host); err != nil { // a proxy may change Host
		return nil, err
	}
	return &Server{
		People: people, config: config, secure: base.Scheme == "https", forms: config.DB.Derive("login form"), devices: config.DB.Derive("login device"),
		crossOrigin: crossOrigin, pages: pages, now: time.Now, mailSlots: make(chan struct{}, maxMails),
	}, nil
}

// Route is one line of the mount list.
type Route struct {
	Method, Path string
	SignedIn     bool // refuses strangers, by sending them to sign in
	Handler      echo.HandlerFunc
}

// Routes is the mount list: every page, and what the pages load.
func (s *Server) Routes() []Route {
	const (
		GET, POST = http.MethodGet, http.MethodPost
		tenant    = "/w/:tenant"
	)
	anyone := func(method, path string, do func(*visit) error) Route {
		return Route{method, tenant + path, false, s.handle(path, false, do)}
	}
	signedIn := func(method, path string, do func(*visit) error) Route {
		return Route{method, tenant + path, true, s.handle(path, true, do)}
	}
	return []Route{
		{GET, s.pages.style.path, false, s.pages.style.serve},
		{GET, s.pages.icon.path, false, s.pages.icon.serve},

		anyone(GET, "/login", s.signInPage),
		anyone(POST, "/login", s.signIn),
		anyone(GET, "/login/code", s.codePage),
		anyone(POST, "/login/code", s.enterCode),
		anyone(GET, "/login/setup", s.setupPage),
		anyone(POST, "/login/setup", s.setUp),
		anyone(GET, "/login/reset", s.resetPage),
		anyone(POST, "/login/reset", s.requestReset),
		anyone(GET, "/login/password", s.linkPage(resetLink)),
		anyone(POST, "/login/password", s.useLink(resetLink)),
		anyone(GET, "/login/invitation", s.linkPage(invitationLink)),
		anyone(POST, "/login/invitation", s.useLink(invitationLink)),

		signedIn(GET, "/account", s.accountPage),
		signedIn(POST, "/account/password", s.changePassword),
		signedIn(POST, "/account/recovery-codes", s.renewRecoveryCodes),
		signedIn(POST, "/account/second-factor", s.dropSecondFactor),
		signedIn(POST, "/account/sessions", s.endSessions),
		signedIn(POST, "/account/sign-out", s.signOut),
	}
}

// send hands a message to the mailer after the answer, so that how long an answer takes does not
// tell whether there was somebody to write to.
func (s *Server) send(ctx context.Context, message Mail) {
	if s.config.Mailer == nil {
		return
	}
	select {
	case s.mailSlots <- struct{}{}:
	default:
		s.config.Log.Error("mail dropped: too many are waiting", slog.String("subject", message.Subject))
		return
	}
	s.mails.Go(func() {
		defer func() { <-s.mailSlots }()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		if err := s.config.Mailer.Send(ctx, message); err != nil {
			s.config.Log.Error("mail not sent", slog.String("subject", message.Subject), slog.String("cause", err.Error()))
		}
	})
}

// Close waits for the messages that are being sent.
func (s *Server) Close() { s.mails.Wait() }
