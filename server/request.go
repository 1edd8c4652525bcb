package server

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"bulkhead/db"
	"bulkhead/server/access"
	"bulkhead/server/definition"
	"bulkhead/server/fhir"
	"bulkhead/server/oauth"
)

// request is one HTTP request and what is known of it when its handler starts. Below the FHIR base
// that is the project; below a type, the type; on a token route, the caller.
type request struct {
	echo.Context
	server   *Server
	id       string      // X-Request-Id
	cause    error       // what the client was not told, for the log
	reserved int64       // bytes of the budget for bodies
	clock    *time.Timer // ends the request

	project db.Project
	set     *definition.Set
	base    string // FHIR base URL of the project, without a slash at its end
	pretty  bool

	typ    string // resource type in the path; "" where there is none
	typeID int16
	plane  db.Plane

	bearer *oauth.Bearer
	caller db.Caller

	known   *knowledge // of the project, once it was needed
	writing bool       // a transaction is open
	defines bool       // the request stores or deletes what knowledge is made of

	// An entry of a batch is a request of its own inside another one.
	outer *request
	entry *entry
}

func (r *request) ctx() context.Context { return r.Request().Context() }

// handle wraps a route's handler in what its class and path ask for.
func (s *Server) handle(route route) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := requestOf(c)
		if strings.HasPrefix(route.path, fhirBase) {
			if err := s.open(r, route); err != nil {
				return err
			}
		}
		return route.handle(r)
	}
}

// open finds project, caller and type, in this order, and refuses what does not fit together.
func (s *Server) open(r *request, route route) error {
	if o := r.outer; o != nil {
		r.project, r.set, r.base, r.bearer, r.caller = o.project, o.set, o.base, o.bearer, o.caller
	} else {
		if err := s.findProject(r); err != nil {
			return err
		}
		if route.class == token {
			if err := s.authenticate(r); err != nil {
				return err
			}
		}
	}
	if err := r.negotiate(); err != nil {
		return err
	}
	if r.project.FHIRVersion != r.Param("version") {
		return r.wrongVersion()
	}
	name := r.Param("type")
	if name != "" {
		if err := r.findType(name); err != nil {
			return err
		}
	}
	if route.class == token && route.do != 0 {
		return r.permit(name, route.do)
	}
	return nil
}

// findProject reads tenant and project from the path. A project that does not exist answers as a
// resource that does not exist.
func (s *Server) findProject(r *request) error {
	if !slug(r.Param("tenant")) || !slug(r.Param("project")) {
		return notFound()
	}
	project, err := s.DB.FindProject(r.ctx(), r.Param("tenant"), r.Param("project"))
	if err != nil {
		return err
	}
	r.project = project
	r.set = definition.For(fhir.Version(project.FHIRVersion))
	r.base = s.OAuth.FHIRBase(project)
	return nil
}

// slug tells whether text can be the name of a tenant or project in a path.
func slug(text string) bool {
	for i := range len(text) {
		c := text[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return text != "" && len(text) <= 63
}

func (r *request) wrongVersion() error {
	switch v := fhir.Version(r.Param("version")); v {
	case fhir.R4, fhir.R4B:
		return fhir.Errorf(fhir.NotSupported, "This project has FHIR version %s (%s). Its base is %s.",
			r.set.Version, r.set.Version.Number(), r.base).With(http.StatusNotFound)
	default:
		return fhir.Errorf(fhir.NotSupported, "There is no such FHIR version here. The base of this project is %s.", r.base).With(http.StatusNotFound)
	}
}

// authenticate verifies the access token and makes the caller that Postgres is told.
func (s *Server) authenticate(r *request) error {
	bearer, caller, err := s.OAuth.Authorize(r.ctx(), r.Request().Header.Get(echo.HeaderAuthorization), r.project)
	if err != nil {
		return err
	}
	r.bearer, r.caller = bearer, caller
	return nil
}

// permit refuses what the token's scopes do not grant; typ "" asks for all types.
func (r *request) permit(typ string, do access.Interaction) error {
	if typ == "" {
		typ = access.AnyType
	}
	if r.bearer.Scopes.Allows(typ, do) {
		return nil
	}
	return fhir.Errorf(fhir.Forbidden, "The access token's scopes do not grant system/%s.%s.", typ, do)
}

// findType takes the resource type that the path names.
func (r *request) findType(name string) error {
	id, plane, err := r.resourceType(name)
	r.typ, r.typeID, r.plane = name, id, plane
	return err
}

// resourceType says how a type that this project may hold is stored, and refuses all others.
// Project system holds the platform's own types and no clinical one; other projects the reverse,
// but for what belongs to the project itself.
func (r *request) resourceType(name string) (int16, db.Plane, error) {
	if r.set.ResourceType(name) == nil {
		return 0, 0, fhir.Errorf(fhir.NotSupported, "FHIR %s has no resource type of this name.", r.set.Version.Number()).With(http.StatusNotFound)
	}
	id, known := definition.TypeID(name)
	if !known {
		return 0, 0, errors.New("server: no number for resource type " + name)
	}
	platform := definition.IsPlatform(name)
	inSystem := r.project.Project == db.SystemProject
	switch {
	case platform && (inSystem || name == "ClientApplication" || name == "Membership"):
		return id, db.Identity, nil
	case !platform && !inSystem:
		return id, db.Clinical, nil
	case platform:
		return 0, 0, fhir.Errorf(fhir.NotSupported, "%s is kept in the tenant's project system.", name).With(http.StatusNotFound)
	default:
		return 0, 0, fhir.Errorf(fhir.NotSupported, "The project system holds no clinical resources.").With(http.StatusNotFound)
	}
}
