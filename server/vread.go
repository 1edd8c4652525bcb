package server

import (
	"strconv"

	"bulkhead/db"
	"bulkhead/db/dbsqlc"
)

// vread answers GET [type]/[id]/_history/[vid] (http://hl7.org/fhir/R4/http.html#vread). Type and
// id are part of the question: a version number alone leads nowhere.
func (s *Server) vread(r *request) error {
	id := r.Param("id")
	version, ok := parseVersion(r.Param("vid"))
	if !ok || !validID(id) {
		return notFound()
	}
	var row dbsqlc.ReadVersionRow
	err := s.DB.View(r.ctx(), r.plane, r.caller, func(v *db.View) (err error) {
		row, err = v.ReadVersion(r.ctx(), dbsqlc.ReadVersionParams{
			TenantID: r.caller.Tenant, ProjectID: r.caller.Project, Type: r.typeID, ID: id, Version: version,
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

// parseVersion reads a version id: a number from 1, written as the server writes it.
func parseVersion(text string) (int32, bool) {
	n, err := strconv.ParseInt(text, 10, 32)
	return int32(n), err == nil && n > 0 && text[0] != '0' && text[0] != '+'
}
