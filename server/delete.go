package server

import (
	"net/http"

	"bulkhead/db"
)

// delete answers DELETE [type]/[id] (http://hl7.org/fhir/R4/http.html#delete). Deleting what is not
// there, or not any more, succeeds: what the client wanted is so.
func (s *Server) delete(r *request) error {
	if r.plane == db.Identity {
		return s.writePlatform(r)
	}
	id := r.Param("id")
	if err := checkID(id); err != nil {
		return err
	}
	var ch *change
	err := r.write(r.plane, func(tx *db.Tx) error {
		ch = nil
		old, err := r.lock(tx, r.typeID, id)
		if err != nil {
			return err
		}
		if err := checkPreconditions(r.Request().Header, old); err != nil {
			return err
		}
		if old == nil || old.deleted {
			return nil
		}
		ch = deletion(r.typ, r.typeID, id, old)
		return r.store(r.ctx(), tx.Last(), ch)
	})
	if err != nil {
		return err
	}
	if ch != nil {
		r.setVersion(ch.version, ch.lastUpdated)
	}
	return r.NoContent(http.StatusNoContent)
}
