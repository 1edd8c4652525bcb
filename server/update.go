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
	if err := r.onlyFormat(); err != nil {
		return err
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

// conditionalUpdate answers PUT [type]?[criteria] (http://hl7.org/fhir/R4/http.html#cond-update): it
// replaces the one resource that matches, or creates one when none does.
func (s *Server) conditionalUpdate(r *request) error {
	if r.plane == db.Identity {
		return s.writePlatform(r)
	}
	cond, err := r.criteria(r.Request().URL.RawQuery, 1)
	if err != nil {
		return err
	}
	v, err := r.readResource(r.typ)
	if err != nil {
		return err
	}
	ch, err := r.prepare(http.MethodPut, r.typ, r.typeID, "", v, "")
	if err != nil {
		return err
	}
	sent, own := v.Get("id").Text(), newID()
	err = r.write(r.plane, func(tx *db.Tx) error {
		if err := r.find(tx, cond); err != nil {
			return err
		}
		if err := r.identify(tx, cond, ch, sent, own); err != nil {
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

// identify settles which resource a conditional update is about: the one that matches, a new one
// with the id that was sent, or a new one with the id own.
func (r *request) identify(tx *db.Tx, cond *criterion, ch *change, sent, own string) error {
	hit, err := cond.one()
	ch.held = nil
	switch {
	case err != nil:
		return err
	case hit != nil && sent != "" && sent != hit.ID:
		return fhir.Errorf(fhir.Invalid, "The body's id is not that of the resource that matches the criteria.").At("id")
	case hit != nil:
		ch.name(hit.ID)
		ch.held, err = r.lockHit(tx, r.typeID, hit)
		return err
	case sent == "":
		ch.name(own)
		return nil
	}
	ch.name(sent)
	if ch.held, err = r.lock(tx, r.typeID, sent); err != nil {
		return err
	}
	if !ch.created() {
		return fhir.Errorf(fhir.Conflict, "Nothing matches the criteria, but there is another resource with the body's id.").At("id")
	}
	return nil
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
