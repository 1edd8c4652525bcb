package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/ory/fosite"

	"bulkhead/db"
	"bulkhead/db/dbsqlc"
	"bulkhead/server/fhir"
	"bulkhead/server/login"
)

// Config says how the authorization server presents itself.
type Config struct {
	BaseURL   string        // how clients reach the server: scheme, host and path prefix, no slash at the end
	Namespace string        // leads the names of private claims; DefaultNamespace when ""
	TokenLife time.Duration // of client_credentials access tokens; five minutes when 0
	Login     *login.Server // knows who is signed in; nil: there are no flows for people

	PersonTokenLife time.Duration // of access tokens for people; an hour when 0
	RefreshLife     time.Duration // of a refresh token that is not used; 90 days when 0
	GrantLife       time.Duration // of an offline grant, however often it is refreshed; a year when 0

	AllowLoopback bool // lets jwks_uri be http and on this machine: development and tests only
}

// Server is the authorization server of every tenant, and the one who verifies their tokens.
type Server struct {
	*Registry
	config Config
	fosite fosite.OAuth2Provider
	tokens *tokenCache

	freshKey []byte // signs freshParameter

	mu     sync.Mutex
	rings  map[int32]keptRing
	homes  map[[2]int32]dbsqlc.FindHomeRow // by tenant and project
	purged map[int32]time.Time             // when a tenant's tables were last rid of what has expired
}

// keptRing is a ring and when it was read.
type keptRing struct {
	*Ring
	read time.Time
}

// A ring is read again when a kid is asked for that it does not have, at most once a second, and
// after a minute anyway. It cannot do harm to have an old one: the key that signs comes with each
// token request from the database, and a revoked key is refused by app.enter().
const (
	ringLife   = time.Minute
	ringReread = time.Second
	maxRings   = 10_000 // tenants; the cache starts anew beyond that
	maxHomes   = 10_000 // projects; likewise
)

// New makes the authorization server of a database.
func New(database *db.DB, config Config) (*Server, error) {
	base, err := url.Parse(config.BaseURL)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" || base.RawQuery != "" || base.Fragment != "" {
		return nil, fmt.Errorf("the base URL %q is not an absolute http or https URL", config.BaseURL)
	}
	config.BaseURL = strings.TrimRight(config.BaseURL, "/")
	if config.Namespace == "" {
		config.Namespace = DefaultNamespace
	}
	setLife(&config.TokenLife, 5*time.Minute)
	setLife(&config.PersonTokenLife, maxTokenLife*time.Second)
	setLife(&config.RefreshLife, 90*24*time.Hour)
	setLife(&config.GrantLife, 365*24*time.Hour)
	registry, err := NewRegistry(database, config.AllowLoopback)
	if err != nil {
		return nil, err
	}
	s := &Server{
		Registry: registry, config: config, tokens: newTokenCache(), rings: map[int32]keptRing{}, homes: map[[2]int32]dbsqlc.FindHomeRow{},
		purged: map[int32]time.Time{}, freshKey: database.Derive("fresh sign-in"),
	}
	s.fosite = s.newProvider()
	return s, nil
}

func setLife(life *time.Duration, standard time.Duration) {
	if *life == 0 {
		*life = standard
	}
}

// Route is one line of the mount list.
type Route struct {
	Method, Path string
	Handler      echo.HandlerFunc
}

// Routes is the mount list: every endpoint of the authorization server, HEAD wherever GET goes. Rooms
// for par and register are let when these work.
func (s *Server) Routes() []Route {
	routes := s.endpoints()
	for _, route := range routes {
		if route.Method == http.MethodGet {
			routes = append(routes, Route{http.MethodHead, route.Path, route.Handler})
		}
	}
	return routes
}

func (s *Server) endpoints() []Route {
	const (
		issuer = "/w/:tenant"
		base   = issuer + "/:project/api/v1/fhir/:version"
	)
	routes := []Route{
		{http.MethodPost, issuer + "/token", s.token},
		{http.MethodPost, issuer + "/introspect", s.introspect},
		{http.MethodPost, issuer + "/revoke", s.revoke},
		{http.MethodGet, issuer + "/jwks.json", s.jwks},
		{http.MethodGet, issuer + "/.well-known/openid-configuration", s.openidConfiguration},
		{http.MethodGet, "/.well-known/oauth-authorization-server" + issuer, s.authorizationServer},
		{http.MethodGet, "/.well-known/oauth-protected-resource" + base, s.protectedResource},
		{http.MethodGet, base + "/.well-known/smart-configuration", s.smartConfiguration},
	}
	if s.config.Login == nil {
		return routes
	}
	page := s.config.Login.Page
	return append(routes,
		Route{http.MethodGet, issuer + "/authorize", page("/authorize", s.authorize)},
		Route{http.MethodPost, issuer + "/authorize", s.authorizePosted},
		Route{http.MethodPost, issuer + consentPath, page(consentPath, s.consented)},
		Route{http.MethodGet, issuer + "/userinfo", s.userinfo},
		Route{http.MethodPost, issuer + "/userinfo", s.userinfo},
		Route{http.MethodGet, issuer + "/logout", page("/logout", s.logout)},
		Route{http.MethodPost, issuer + "/logout", s.logoutPosted},
	)
}

// consentPath is where the consent page sends its answer, below the tenant's.
const consentPath = "/authorize/consent"

// issuer is a tenant as the authorization server that it is.
type issuer struct {
	tenant int32
	slug   string
	url    string
}

func (i issuer) endpoint(name string) string { return i.url + "/" + name }

// IssuerURL is the issuer of a tenant.
func (s *Server) IssuerURL(tenant string) string { return s.config.BaseURL + "/w/" + tenant }

// TokenEndpoint is where a tenant's clients get tokens.
func (s *Server) TokenEndpoint(tenant string) string { return s.IssuerURL(tenant) + "/token" }

// FHIRBase is the FHIR base URL of a project, which is also the audience of its tokens.
func (s *Server) FHIRBase(p db.Project) string {
	return fhirBase(s.config.BaseURL, p.TenantSlug, p.Slug, p.FHIRVersion)
}

func fhirBase(base, tenant, project, version string) string {
	return base + "/w/" + tenant + "/" + project + "/api/v1/fhir/" + version
}

// ResourceMetadata is the URL of a project's protected resource metadata (RFC 9728 section 3.1).
func (s *Server) ResourceMetadata(p db.Project) string {
	return s.config.BaseURL + "/.well-known/oauth-protected-resource" + strings.TrimPrefix(s.FHIRBase(p), s.config.BaseURL)
}

// issuer finds the tenant of the URL. There is none for a tenant that is suspended either.
func (s *Server) issuer(c echo.Context) (issuer, error) {
	slug := c.Param("tenant")
	if !isSlug(slug) {
		return issuer{}, db.ErrNoProject
	}
	found, err := s.db.FindProject(c.Request().Context(), slug, "system")
	if err != nil {
		return issuer{}, err
	}
	if found.State != "active" {
		return issuer{}, db.ErrNoProject
	}
	return issuer{tenant: found.Tenant, slug: slug, url: s.IssuerURL(slug)}, nil
}

// project finds the project of the URL; errors are *fhir.Error, as on every path below a FHIR base.
func (s *Server) project(c echo.Context) (db.Project, error) {
	if !isSlug(c.Param("tenant")) || !isSlug(c.Param("project")) {
		return db.Project{}, fhir.Errorf(fhir.NotFound, "There is no such FHIR endpoint.")
	}
	found, err := s.db.FindProject(c.Request().Context(), c.Param("tenant"), c.Param("project"))
	if errors.Is(err, db.ErrNoProject) || err == nil && (found.State != "active" || found.FHIRVersion != c.Param("version")) {
		return found, fhir.Errorf(fhir.NotFound, "There is no such FHIR endpoint.")
	}
	return found, err
}

// isSlug tells whether a tenant or project can have this name in a URL.
func isSlug(text string) bool {
	for i := range len(text) {
		c := text[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return text != "" && len(text) <= 63
}

// ring returns the tenant's keys, among them the one called kid if there is such a key.
func (s *Server) ring(ctx context.Context, tenant int32, kid string) (*Ring, error) {
	s.mu.Lock()
	kept, ok := s.rings[tenant]
	s.mu.Unlock()
	if ok {
		age := time.Since(kept.read)
		if age < ringReread || age < ringLife && kept.public[kid] != nil {
			return kept.Ring, nil
		}
	}
	ring, err := s.Ring(ctx, tenant)
	if err != nil {
		return nil, err
	}
	s.keepRing(tenant, ring)
	return ring, nil
}

func (s *Server) keepRing(tenant int32, ring *Ring) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.rings) >= maxRings {
		clear(s.rings)
	}
	s.rings[tenant] = keptRing{Ring: ring, read: time.Now()}
}

// signer returns the key that signs a tenant's access tokens, which the database has just said to
// be the one called kid, or to be not there yet ("").
func (s *Server) signer(ctx context.Context, tenant int32, kid string) (*SigningKey, error) {
	if kid == "" {
		ring, err := s.ensure(ctx, tenant, AccessTokenAlg)
		if err != nil {
			return nil, err
		}
		return ring.Signer(AccessTokenAlg), nil
	}
	ring, err := s.ring(ctx, tenant, kid)
	if err != nil {
		return nil, err
	}
	if key := ring.key(kid); key != nil {
		return key, nil
	}
	// The ring was read less than a second ago and a key was made since.
	if ring, err = s.Ring(ctx, tenant); err != nil {
		return nil, err
	}
	s.keepRing(tenant, ring)
	if key := ring.key(kid); key != nil {
		return key, nil
	}
	return nil, errors.New("the active signing key is gone")
}

func (s *Server) ensure(ctx context.Context, tenant int32, lines ...jwa.SignatureAlgorithm) (*Ring, error) {
	ring, err := s.EnsureKeys(ctx, tenant, lines...)
	if err == nil {
		s.keepRing(tenant, ring)
	}
	return ring, err
}
