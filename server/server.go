package server

import (
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"bulkhead/db"
	"bulkhead/server/access"
	"bulkhead/server/login"
	"bulkhead/server/oauth"
)

// Config says what a server stands on. Zero limits mean the defaults below.
type Config struct {
	DB    *db.DB
	OAuth *oauth.Server // issues tokens and verifies them, and knows the URL that clients use
	Login *login.Server // serves the pages on which people sign in; nil: there are none
	Log   *slog.Logger  // nil: slog.Default()

	MaxResource int64         // bytes of a resource as sent, after decompression
	MaxBundle   int64         // likewise of a bundle posted to the base
	MaxBodies   int64         // likewise of all long bodies that are being worked on; a tenant may have half
	Timeout     time.Duration // of a request, without the time that its body takes to arrive
	DrainTime   time.Duration // how long Serve waits for requests in flight when it is told to stop
}

// The limits that hold when Config sets none.
const (
	DefaultMaxResource = 64 << 20
	DefaultMaxBundle   = 96 << 20
	DefaultMaxBodies   = 256 << 20
	DefaultTimeout     = 60 * time.Second
	DefaultDrainTime   = 30 * time.Second
)

// Server is the HTTP side of Bulkhead. It is an http.Handler and safe for concurrent use.
type Server struct {
	Config
	echo   *echo.Echo
	rids   ridGenerator
	bodies *budget

	cursorKey []byte // signs the cursors of pages
	knowledge *knowledgeCache
}

// New builds a server. It opens nothing and starts nothing.
func New(config Config) (*Server, error) {
	if config.DB == nil || config.OAuth == nil {
		return nil, errors.New("server: a database and an authorization server are needed")
	}
	if config.Log == nil {
		config.Log = slog.Default()
	}
	setDefault(&config.MaxResource, DefaultMaxResource)
	setDefault(&config.MaxBundle, DefaultMaxBundle)
	setDefault(&config.MaxBodies, DefaultMaxBodies)
	setDefault(&config.Timeout, DefaultTimeout)
	setDefault(&config.DrainTime, DefaultDrainTime)

	s := &Server{Config: config, echo: echo.New(), cursorKey: config.DB.Derive("cursor"), bodies: newBudget(config.MaxBodies), knowledge: newKnowledgeCache()}
	s.echo.HTTPErrorHandler = s.fail
	s.echo.Pre(trimSlash)
	s.echo.Use(s.accept, s.record, s.recover, cors)
	for _, route := range s.routes() {
		s.echo.Add(route.method, route.path, s.handle(route))
		if route.method == http.MethodGet {
			s.echo.Add(http.MethodHead, route.path, s.handle(route))
		}
	}
	for _, route := range config.OAuth.Routes() {
		s.echo.Add(route.Method, route.Path, route.Handler)
	}
	if config.Login != nil {
		for _, route := range config.Login.Routes() {
			s.echo.Add(route.Method, route.Path, route.Handler)
			if route.Method == http.MethodGet {
				s.echo.Add(http.MethodHead, route.Path, route.Handler)
			}
		}
	}
	return s, nil
}

func setDefault[N int64 | time.Duration](value *N, standard N) {
	if *value <= 0 {
		*value = standard
	}
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.echo.ServeHTTP(w, r) }

// class says who may call a route.
type class uint8

const (
	public class = iota // anyone
	token               // whoever holds an access token of the project in the path
)

// route is one line of the API. do is what the token's scopes must permit on the type in the path,
// or on all types where the path names none; 0 leaves that to the handler.
type route struct {
	class  class
	method string
	path   string
	do     access.Interaction
	handle func(*request) error
}

// fhirBase is where the FHIR API of a project begins.
const fhirBase = "/w/:tenant/:project/api/v1/fhir/:version"

// routes is the whole API but for the Routes of oauth and login. HEAD goes wherever GET does.
func (s *Server) routes() []route {
	const (
		GET, POST, PUT, PATCH, DELETE = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete

		ofType   = fhirBase + "/:type"
		resource = fhirBase + "/:type/:id"
	)
	validateCode := anyOf(map[string]func(*request) error{"ValueSet": s.validateCode, "CodeSystem": s.validateSystemCode})
	everything := anyOf(map[string]func(*request) error{"Patient": s.everything, "Encounter": s.everything})
	return []route{
		{public, GET, "/healthz", 0, s.alive},
		{public, GET, "/readyz", 0, s.ready},

		{public, GET, fhirBase + "/metadata", 0, s.capabilities},
		{public, GET, fhirBase + "/$versions", 0, s.versions},

		{token, POST, fhirBase, 0, s.process},
		{token, GET, fhirBase, 0, s.searchSystem},
		{token, POST, fhirBase + "/_search", 0, s.searchSystem},
		{token, GET, fhirBase + "/_history", 0, s.historySystem},

		{token, POST, ofType, access.Create, s.create},
		{token, PUT, ofType, access.Update, s.conditionalUpdate},
		{token, PATCH, ofType, access.Update, s.conditionalPatch},
		{token, DELETE, ofType, access.Delete, s.conditionalDelete},
		{token, GET, ofType, access.Search, s.searchType},
		{token, POST, ofType + "/_search", access.Search, s.searchType},
		{token, GET, ofType + "/_history", access.Search, s.historyType},

		{token, POST, ofType + "/$validate", 0, s.validate},
		{token, GET, resource + "/$validate", 0, s.validate},
		{token, POST, resource + "/$validate", 0, s.validate},
		{token, GET, resource + "/$everything", 0, everything},
		{token, POST, resource + "/$everything", 0, everything},
		{token, GET, resource + "/$meta", access.Read, s.meta},
		{token, POST, resource + "/$meta-add", access.Read | access.Update, s.metaAdd},
		{token, POST, resource + "/$meta-delete", access.Read | access.Update, s.metaDelete},
		{token, GET, ofType + "/$expand", 0, on("ValueSet", s.expand)},
		{token, POST, ofType + "/$expand", 0, on("ValueSet", s.expand)},
		{token, GET, resource + "/$expand", 0, on("ValueSet", s.expand)},
		{token, POST, resource + "/$expand", 0, on("ValueSet", s.expand)},
		{token, GET, ofType + "/$validate-code", 0, validateCode},
		{token, POST, ofType + "/$validate-code", 0, validateCode},
		{token, GET, resource + "/$validate-code", 0, validateCode},
		{token, POST, resource + "/$validate-code", 0, validateCode},
		{token, GET, ofType + "/$lookup", 0, on("CodeSystem", s.lookup)},
		{token, POST, ofType + "/$lookup", 0, on("CodeSystem", s.lookup)},
		{token, GET, ofType + "/$subsumes", 0, on("CodeSystem", s.subsumes)},
		{token, POST, ofType + "/$subsumes", 0, on("CodeSystem", s.subsumes)},
		{token, GET, resource + "/$subsumes", 0, on("CodeSystem", s.subsumes)},
		{token, POST, resource + "/$subsumes", 0, on("CodeSystem", s.subsumes)},
		{token, GET, ofType + "/$translate", 0, on("ConceptMap", s.translate)},
		{token, POST, ofType + "/$translate", 0, on("ConceptMap", s.translate)},
		{token, GET, resource + "/$translate", 0, on("ConceptMap", s.translate)},
		{token, POST, resource + "/$translate", 0, on("ConceptMap", s.translate)},

		{token, GET, resource, access.Read, s.read},
		{token, PUT, resource, access.Update, s.update},
		{token, PATCH, resource, access.Update, s.patch},
		{token, DELETE, resource, access.Delete, s.delete},
		{token, GET, resource + "/:member", 0, s.searchCompartment},
		{token, POST, resource + "/:member/_search", 0, s.searchCompartment},
		{token, GET, resource + "/_history", access.Read, s.historyInstance},
		{token, GET, resource + "/_history/:vid", access.Read, s.vread},
	}
}

// alive answers as long as the program runs.
func (s *Server) alive(r *request) error { return r.String(http.StatusOK, "ok\n") }

// ready answers whether requests can be served: the database is reached.
func (s *Server) ready(r *request) error {
	if err := s.DB.Ping(r.ctx()); err != nil {
		return err
	}
	return r.String(http.StatusOK, "ok\n")
}
