package server

import (
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"bulkhead/db"
	"bulkhead/db/dbsqlc"
	"bulkhead/server/fhir"
)

// read answers GET [type]/[id] with the bytes that are stored
// (http://hl7.org/fhir/R4/http.html#read).
func (s *Server) read(r *request) error {
	id := r.Param("id")
	if !validID(id) {
		return notFound()
	}
	var row dbsqlc.ReadResourceRow
	err := s.DB.View(r.ctx(), r.plane, r.caller, func(v *db.View) (err error) {
		row, err = v.ReadResource(r.ctx(), dbsqlc.ReadResourceParams{
			TenantID: r.caller.Tenant, ProjectID: r.caller.Project, Type: r.typeID, ID: id,
		})
		return err
	})
	if err != nil {
		return err
	}
	if row.Deleted {
		return r.gone(row.Version, row.LastUpdated)
	}
	return r.answerRead(row.Version, row.LastUpdated, row.Body)
}

// answerRead answers with a version of a resource, or with 304 when the client has it.
func (r *request) answerRead(version int32, lastUpdated time.Time, body string) error {
	r.setVersion(version, lastUpdated)
	if r.unchanged(version, lastUpdated) {
		return r.NoContent(http.StatusNotModified)
	}
	return r.answer(http.StatusOK, body)
}

// gone answers for a version in which the resource is deleted.
func (r *request) gone(int32, time.Time) error {
	return fhir.Errorf(fhir.Deleted, "The resource was deleted.")
}

func etag(version int32) string { return `W/"` + versionText(version) + `"` }

// setVersion says in the header which version the answer is about.
func (r *request) setVersion(version int32, lastUpdated time.Time) {
	h := r.Response().Header()
	h.Set("ETag", etag(version))
	h.Set(echo.HeaderLastModified, lastUpdated.UTC().Format(http.TimeFormat))
}

func versionText(version int32) string { return strconv.Itoa(int(version)) }
