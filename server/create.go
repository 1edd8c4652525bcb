package server

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"bulkhead/db"
	"bulkhead/server/fhir"
)

// create answers POST [type] (http://hl7.org/fhir/R4/http.html#create).
func (s *Server) create(r *request) error {
	if r.plane == db.Identity {
		return s.writePlatform(r)
	}
	v, err := r.readResource(r.typ)
	if err != nil {
		return err
	}
	ch, err := r.prepare(http.MethodPost, r.typ, r.typeID, newID(), v, "")
	if err != nil {
		return err
	}
	err = r.write(r.plane, func(tx *db.Tx) error {
		return r.store(r.ctx(), tx.Last(), ch)
	})
	if err != nil {
		return err
	}
	return r.answerWrite(ch)
}

// answerWrite answers for a change that is stored: 201 when there was no such resource before, else
// 200, with as much in the body as Prefer asks for.
func (r *request) answerWrite(ch *change) error {
	status := http.StatusOK
	if ch.created() {
		status = http.StatusCreated
		r.Response().Header().Set(echo.HeaderLocation, r.location(ch.typ, ch.id, ch.version))
	}
	return r.answerStored(status, ch.version, ch)
}

func (r *request) answerStored(status int, version int32, ch *change) error {
	r.setVersion(version, ch.lastUpdated)
	switch r.preferredReturn() {
	case minimal:
		return r.NoContent(status)
	case outcome:
		return r.answer(status, fhir.Outcome([]fhir.Issue{{
			Severity: "information", Code: fhir.Information, Diagnostics: "Stored as " + ch.typ + "/" + ch.id + ", version " + etag(version) + ".",
		}}))
	default:
		return r.answer(status, ch.body)
	}
}

// location is the URL of a version.
func (r *request) location(typ, id string, version int32) string {
	return r.base + "/" + typ + "/" + id + "/_history/" + versionText(version)
}
