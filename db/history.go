package db

import (
	"context"
	"math"
	"time"
)

// Version is one version of a resource.
type Version struct {
	Type        int16
	ID          string
	RID         int64
	Version     int32
	LastUpdated time.Time
	Method      string // POST, PUT, PATCH or DELETE
	Deleted     bool
	Body        string
}

// HistoryKey is a place in a history that runs from the newest version to the oldest.
type HistoryKey struct {
	LastUpdated time.Time
	RID         int64
	Version     int32
}

// HistoryStart returns the key before every version that is not younger than until.
func HistoryStart(until time.Time) HistoryKey {
	return HistoryKey{LastUpdated: until, RID: math.MaxInt64, Version: math.MaxInt32}
}

// typeHistory merges the newest versions of each type. Every branch reads its index in order and
// stops after a page, so it costs what the page costs whatever the project holds. sqlc cannot
// follow a LATERAL join over a UNION, hence the text is here.
const typeHistory = `
SELECT v.type, v.id, v.rid, v.version, v.last_updated, v.method, v.deleted, v.body
FROM (SELECT unnest($3::smallint[]) AS type) t
CROSS JOIN LATERAL (
  (SELECT r.type, r.id, r.rid, r.version, r.last_updated, r.method, r.deleted, r.body
   FROM resource r
   WHERE r.tenant_id = $1 AND r.project_id = $2 AND r.type = t.type
     AND r.last_updated >= $4 AND r.last_updated <= $5
     AND (r.last_updated < $5 OR r.rid < $6 OR (r.rid = $6 AND r.version < $7))
   ORDER BY r.last_updated DESC, r.rid DESC
   LIMIT $8)
  UNION ALL
  (SELECT h.type, h.id, h.rid, h.version, h.last_updated, h.method, h.deleted, h.body
   FROM resource_history h
   WHERE h.tenant_id = $1 AND h.project_id = $2 AND h.type = t.type
     AND h.last_updated >= $4 AND h.last_updated <= $5
     AND (h.last_updated < $5 OR h.rid < $6 OR (h.rid = $6 AND h.version < $7))
   ORDER BY h.last_updated DESC, h.rid DESC, h.version DESC
   LIMIT $8)
) v
ORDER BY v.last_updated DESC, v.rid DESC, v.version DESC
LIMIT $8`

// TypeHistory returns up to page versions of the resources of types, newest first, that come
// after the key and are not older than since. One type gives the history of a type, all types
// that of the project.
func (v *View) TypeHistory(ctx context.Context, types []int16, since time.Time, after HistoryKey, page int) ([]Version, error) {
	c := v.door.caller
	rows, err := v.door.Query(ctx, typeHistory, c.Tenant, c.Project, types, since, after.LastUpdated, after.RID, after.Version, page)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(h *Version) []any {
		return []any{&h.Type, &h.ID, &h.RID, &h.Version, &h.LastUpdated, &h.Method, &h.Deleted, &h.Body}
	})
}
