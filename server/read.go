package server

import (
	"net/http"
	"strconv"
	"strings"
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
	part, err := r.shape()
	if err != nil {
		return err
	}
	r.setVersion(version, lastUpdated)
	if r.unchanged(version, lastUpdated) {
		return r.NoContent(http.StatusNotModified)
	}
	if body, err = part.apply(r.set, r.typ, body); err != nil {
		return err
	}
	return r.answer(http.StatusOK, body)
}

// shape reads which part of a resource is asked for by _summary and _elements.
func (r *request) shape() (shape, error) {
	if r.Request().URL.RawQuery == "" {
		return shape{}, nil
	}
	query, err := r.query()
	if err != nil {
		return shape{}, err
	}
	part := shape{summary: query.Get("_summary")}
	switch part.summary {
	case "", "true", "text", "data", "false":
	default:
		return shape{}, fhir.Errorf(fhir.ValueInvalid, "_summary of one resource must be true, text, data or false.").At("_summary")
	}
	if list := query.Get("_elements"); list != "" {
		part.elements = strings.Split(list, ",")
	}
	return part, nil
}

// onlyFormat refuses parameters on an interaction that has none but those of the answer's format. A
// client that sends criteria means something else than what would happen.
func (r *request) onlyFormat() error {
	if r.Request().URL.RawQuery == "" {
		return nil
	}
	query, err := r.query()
	if err != nil {
		return err
	}
	for name := range query {
		if name != "_format" && name != "_pretty" {
			return fhir.Errorf(fhir.NotSupported, "This interaction has no parameter %s.", shorten(name)).At(shorten(name))
		}
	}
	return nil
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
