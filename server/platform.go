package server

import (
	"context"
	"net/http"

	"bulkhead/db"
	"bulkhead/server/definition"
	"bulkhead/server/fhir"
)

// writePlatform changes a resource of the platform itself (Project, ClientApplication, ...). Each
// of these types is more than its resource, so none is written as clinical ones are.
func (s *Server) writePlatform(r *request) error {
	kind := map[string]struct{ create, update, delete func(*request) error }{
		"Project":           {s.createProject, s.updateProject, s.deleteProject},
		"ClientApplication": {s.createClient, s.updateClient, s.deleteClient},
		"User":              {s.createUser, s.updateUser, s.deleteUser},
	}[r.typ]
	method := r.Request().Method
	if r.Request().Header.Get("If-None-Exist") != "" || method != http.MethodPost && r.Param("id") == "" {
		return fhir.Errorf(fhir.NotSupported, "%s cannot be written conditionally.", r.typ)
	}
	switch {
	case kind.create == nil:
	case method == http.MethodPost:
		return kind.create(r)
	case method == http.MethodPut:
		return kind.update(r)
	case method == http.MethodDelete:
		return kind.delete(r)
	}
	return fhir.Errorf(fhir.NotSupported, "%s cannot be changed here.", r.typ).With(http.StatusMethodNotAllowed)
}

// ownRequest is a request of the program itself for platform resources in a project: it has no HTTP
// side and no token.
func (s *Server) ownRequest(project db.Project, typ string) (*request, error) {
	r := &request{
		server: s, project: project, set: definition.For(fhir.Version(project.FHIRVersion)), base: s.OAuth.FHIRBase(project),
		caller: db.Caller{Tenant: project.Tenant, Project: project.Project},
	}
	var err error
	r.typ = typ
	r.typeID, r.plane, err = r.resourceType(typ)
	return r, err
}

// changeOwn runs fn on the resource that is there, in the project of r, and stores what it returns.
func (r *request) changeOwn(ctx context.Context, id string, fn func(*db.Tx, *held) (*change, error)) error {
	return r.server.DB.Update(ctx, r.plane, r.caller, func(tx *db.Tx) error {
		old, err := r.lockIn(ctx, tx, r.typeID, id)
		if err != nil {
			return err
		}
		ch, err := fn(tx, old)
		if err != nil || ch == nil {
			return err
		}
		return r.store(ctx, tx.Last(), ch)
	})
}
