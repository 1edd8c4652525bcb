package server

import (
	"net/http"

	"bulkhead/server/fhir"
)

// writePlatform changes a resource of the platform itself (Project, ClientApplication, ...). Each
// of these types is more than its resource, so none is written as clinical ones are.
func (s *Server) writePlatform(r *request) error {
	return fhir.Errorf(fhir.NotSupported, "%s cannot be changed here.", r.typ).With(http.StatusMethodNotAllowed)
}
