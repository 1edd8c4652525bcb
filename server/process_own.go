package server

import (
	"bytes"
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"bulkhead/db"
	"bulkhead/server/access"
	"bulkhead/server/oauth"
)

// Process runs a batch or transaction in a project as the program itself, for its own commands. It
// returns what the FHIR API would answer. db.ErrNoProject if there is no such project.
func (s *Server) Process(ctx context.Context, tenant, project string, bundle []byte) (status int, body []byte, err error) {
	found, err := s.DB.FindProject(ctx, tenant, project)
	if err != nil {
		return 0, nil, err
	}
	r, err := s.ownRequest(found, ownType(found))
	if err != nil {
		return 0, nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.base, bytes.NewReader(bundle))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set(echo.HeaderContentType, mediaType)
	scopes, err := access.ParseScopes("system/*.cruds")
	if err != nil {
		return 0, nil, err
	}
	w := &recorder{header: http.Header{}}
	r.Context, r.bearer = s.echo.NewContext(req, w), &oauth.Bearer{Scopes: scopes}
	r.Set(requestKey, r)
	defer r.release()
	if err := s.process(r); err != nil {
		s.fail(err, r)
		if r.cause != nil {
			return 0, nil, r.cause
		}
	}
	return w.status, w.body.Bytes(), nil
}

// ownType is a resource type that a project can hold.
func ownType(p db.Project) string {
	if p.Project == db.SystemProject {
		return "Project"
	}
	return "Patient"
}
