package server

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"bulkhead/db"
	"bulkhead/server/fhir"
)

// create answers POST [type] (http://hl7.org/fhir/R4/http.html#create). With If-None-Exist it stores
// only what no other resource matches, and answers 200 with the one that does.
func (s *Server) create(r *request) error {
	if r.plane == db.Identity {
		return s.writePlatform(r)
	}
	if err := r.onlyFormat(); err != nil {
		return err
	}
	var cond *criterion
	if query := r.Request().Header.Values("If-None-Exist"); len(query) > 0 {
		var err error
		if cond, err = r.criteria(query[0], 1); err != nil {
			return err
		}
	}
	v, err := r.readResource(r.typ)
	if err != nil {
		return err
	}
	ch, err := r.prepare(http.MethodPost, r.typ, r.typeID, newID(), v, "")
	if err != nil {
		return err
	}
	var there *db.Hit
	err = r.write(r.plane, func(tx *db.Tx) error {
		if cond != nil {
			if err := r.find(tx, cond); err != nil {
				return err
			}
			if there, err = cond.one(); err != nil || there != nil {
				return err
			}
		}
		return r.store(r.ctx(), tx.Last(), ch)
	})
	if err != nil {
		return err
	}
	if there != nil {
		r.Response().Header().Set(echo.HeaderLocation, r.location(r.typ, there.ID, there.Version))
		return r.answerStored(http.StatusOK, &change{typ: r.typ, id: there.ID, version: there.Version, lastUpdated: there.LastUpdated, body: there.Body})
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
	return r.answerStored(status, ch)
}

func (r *request) answerStored(status int, ch *change) error {
	r.setVersion(ch.version, ch.lastUpdated)
	switch r.preferredReturn() {
	case minimal:
		return r.NoContent(status)
	case outcome:
		return r.answer(status, fhir.Outcome([]fhir.Issue{{
			Severity: "information", Code: fhir.Information, Diagnostics: "Stored as " + ch.typ + "/" + ch.id + ", version " + versionText(ch.version) + ".",
		}}))
	default:
		return r.answer(status, ch.body)
	}
}

// location is the URL of a version.
func (r *request) location(typ, id string, version int32) string {
	return r.base + "/" + typ + "/" + id + "/_history/" + versionText(version)
}
