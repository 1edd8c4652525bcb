package server

import (
	"fmt"
	"net/http"
	"strconv"

	"bulkhead/db"
	"bulkhead/db/dbsqlc"
	"bulkhead/server/fhir"
)

// delete answers DELETE [type]/[id] (http://hl7.org/fhir/R4/http.html#delete). Deleting what is not
// there, or not any more, succeeds: what the client wanted is so.
func (s *Server) delete(r *request) error {
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

// maxDelete is how many resources one conditional delete may take with _count.
const maxDelete = 1000

// conditionalDelete answers DELETE [type]?[criteria] (http://hl7.org/fhir/R4/http.html#3.1.0.7.1).
// By itself it deletes the one resource that matches and refuses several; with _count it deletes as
// many, and says in an outcome how many there were.
func (s *Server) conditionalDelete(r *request) error {
	if r.plane == db.Identity {
		return s.writePlatform(r)
	}
	query, most, err := takeCount(r.Request().URL.RawQuery)
	if err != nil {
		return err
	}
	cond, err := r.criteria(query, max(most, 1))
	if err != nil {
		return err
	}
	var changes []*change
	err = r.write(r.plane, func(tx *db.Tx) error {
		changes = nil
		if err := r.find(tx, cond); err != nil {
			return err
		}
		if most == 0 {
			if _, err := cond.one(); err != nil {
				return err
			}
		}
		if changes, err = r.deletions(tx, cond.hits[:min(len(cond.hits), max(most, 1))]); err != nil || changes == nil {
			return err
		}
		return r.store(r.ctx(), tx.Last(), changes...)
	})
	if err != nil {
		return err
	}
	if most == 0 {
		return r.NoContent(http.StatusNoContent)
	}
	text := fmt.Sprintf("Deleted: %d.", len(changes))
	if len(cond.hits) > most {
		text += " More resources match."
	}
	return r.answer(http.StatusOK, fhir.Outcome([]fhir.Issue{{Severity: "information", Code: fhir.Information, Diagnostics: text}}))
}

// takeCount takes _count out of a query; 0 when it has none.
func takeCount(query string) (rest string, count int, err error) {
	values, err := parseValues(query)
	if err != nil || !values.Has("_count") {
		return query, 0, err
	}
	count, err = strconv.Atoi(values.Get("_count"))
	switch {
	case err != nil || count < 1 || len(values["_count"]) > 1:
		return "", 0, fhir.Errorf(fhir.ValueInvalid, "_count must be a number from 1 to %d.", maxDelete).At("_count")
	case count > maxDelete:
		return "", 0, fhir.Errorf(fhir.TooCostly, "A conditional delete takes at most _count=%d.", maxDelete).At("_count")
	}
	values.Del("_count")
	return values.Encode(), count, nil
}

// deletions locks what was found, all in one round trip, and makes the changes that delete it.
func (r *request) deletions(tx *db.Tx, hits []db.Hit) ([]*change, error) {
	if len(hits) == 0 {
		return nil, checkPreconditions(r.Request().Header, nil)
	}
	lock := dbsqlc.LockResourcesParams{TenantID: r.caller.Tenant, ProjectID: r.caller.Project}
	versions := make(map[string]int32, len(hits))
	for i := range hits {
		lock.Types = append(lock.Types, r.typeID)
		lock.Ids = append(lock.Ids, hits[i].ID)
		versions[hits[i].ID] = hits[i].Version
	}
	rows, err := tx.LockResources(r.ctx(), lock)
	if err != nil {
		return nil, err
	}
	changes := make([]*change, 0, len(rows))
	for _, row := range rows {
		if row.Deleted || row.Version != versions[row.ID] {
			return nil, db.ErrConflict // as in lockHit
		}
		old := &held{rid: row.Rid, version: row.Version, lastUpdated: row.LastUpdated, body: row.Body}
		if err := checkPreconditions(r.Request().Header, old); err != nil {
			return nil, err
		}
		changes = append(changes, deletion(r.typ, r.typeID, row.ID, old))
	}
	return changes, nil
}
