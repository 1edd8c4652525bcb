package server

import (
	"net/http"

	"bulkhead/db"
	"bulkhead/server/fhir"
)

// update answers PUT [type]/[id] (http://hl7.org/fhir/R4/http.html#update). A resource that is not
// there is created under the id in the path; every update makes a new version.
func (s *Server) update(r *request) error {
	if r.plane == db.Identity {
		return s.writePlatform(r)
	}
	id := r.Param("id")
	if err := checkID(id); err != nil {
		return err
	}
	v, err := r.readResource(r.typ)
	if err != nil {
		return err
	}
	if err := checkBodyID(&v, id); err != nil {
		return err
	}
	ch, err := r.prepare(http.MethodPut, r.typ, r.typeID, id, v, "")
	if err != nil {
		return err
	}
	err = r.write(r.plane, func(tx *db.Tx) (err error) {
		if ch.held, err = r.lock(tx, r.typeID, id); err != nil {
			return err
		}
		if err := checkPreconditions(r.Request().Header, ch.held); err != nil {
			return err
		}
		return r.store(r.ctx(), tx.Last(), ch)
	})
	if err != nil {
		return err
	}
	return r.answerWrite(ch)
}

// checkID refuses an id that no resource can have.
func checkID(id string) error {
	if validID(id) {
		return nil
	}
	return fhir.Errorf(fhir.ValueInvalid, "An id has 1 to 64 characters of A-Z, a-z, 0-9, - and a full stop.")
}

// checkBodyID refuses a body that is not the resource in the path.
func checkBodyID(v *fhir.Value, id string) error {
	named := v.Get("id")
	switch {
	case named == nil:
		return fhir.Errorf(fhir.Required, "The body must have the id that is in the path.").At("id")
	case named.Kind != fhir.String || named.Text() != id:
		return fhir.Errorf(fhir.Invalid, "The body's id is not the id in the path.").At("id")
	}
	return nil
}
