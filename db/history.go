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
// stops after a page, so it costs what the page costs whatever the project holds; bodies are
// fetched for the page alone. sqlc cannot follow a LATERAL join over a UNION, hence the text is here.
const (
	typeHistory       = typeHistoryHead + typeHistoryTail
	typeHistoryDuring = typeHistoryHead + typeHistoryAt + typeHistoryTail

	typeHistoryHead = `
WITH page AS (
  SELECT v.type, v.rid, v.version, v.last_updated, v.past
  FROM (SELECT unnest($3::smallint[]) AS type) t
  CROSS JOIN LATERAL (
    (SELECT r.type, r.rid, r.version, r.last_updated, false AS past
     FROM resource r
     WHERE r.tenant_id = $1 AND r.project_id = $2 AND r.type = t.type
       AND r.last_updated >= $4 AND r.last_updated <= $5
       AND (r.last_updated < $5 OR r.rid < $6 OR (r.rid = $6 AND r.version < $7))
     ORDER BY r.last_updated DESC, r.rid DESC
     LIMIT $8)
    UNION ALL
    (SELECT h.type, h.rid, h.version, h.last_updated, true
     FROM resource_history h
     WHERE h.tenant_id = $1 AND h.project_id = $2 AND h.type = t.type
       AND h.last_updated >= $4 AND h.last_updated <= $5
       AND (h.last_updated < $5 OR h.rid < $6 OR (h.rid = $6 AND h.version < $7))`

	// typeHistoryAt leaves out what was superseded when the period began.
	typeHistoryAt = `
       AND (h.last_updated >= $9 OR NOT EXISTS (
         SELECT FROM resource_history n WHERE n.tenant_id = $1 AND n.project_id = $2 AND n.rid = h.rid
           AND n.version = h.version + 1 AND n.last_updated <= $9
         UNION ALL
         SELECT FROM resource n WHERE n.tenant_id = $1 AND n.project_id = $2 AND n.type = h.type AND n.rid = h.rid
           AND n.version = h.version + 1 AND n.last_updated <= $9))`

	typeHistoryTail = `
     ORDER BY h.last_updated DESC, h.rid DESC, h.version DESC
     LIMIT $8)
  ) v
  ORDER BY v.last_updated DESC, v.rid DESC, v.version DESC
  LIMIT $8
)
SELECT p.type, coalesce(r.id, h.id), p.rid, p.version, p.last_updated,
       coalesce(r.method, h.method), coalesce(r.deleted, h.deleted), coalesce(r.body, h.body)
FROM page p
LEFT JOIN resource r ON NOT p.past AND r.tenant_id = $1 AND r.project_id = $2 AND r.type = p.type AND r.rid = p.rid
LEFT JOIN resource_history h ON p.past AND h.tenant_id = $1 AND h.project_id = $2 AND h.rid = p.rid AND h.version = p.version
ORDER BY p.last_updated DESC, p.rid DESC, p.version DESC`
)

// HistoryRange bounds a history. Both ends are part of it.
type HistoryRange struct {
	Since time.Time // versions made at or after it
	// During, unless it is zero, asks for versions that were current at it or became so later.
	During time.Time
}

// TypeHistory returns up to page versions of the resources of types, newest first, that come after
// the key and are within the range. One type gives the history of a type, all types that of the
// project.
func (v *View) TypeHistory(ctx context.Context, types []int16, within HistoryRange, after HistoryKey, page int) ([]Version, error) {
	c := v.door.caller
	sql := typeHistory
	args := []any{c.Tenant, c.Project, types, within.Since, after.LastUpdated, after.RID, after.Version, page}
	if !within.During.IsZero() {
		sql = typeHistoryDuring
		args = append(args, within.During)
	}
	rows, err := v.door.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(h *Version) []any {
		return []any{&h.Type, &h.ID, &h.RID, &h.Version, &h.LastUpdated, &h.Method, &h.Deleted, &h.Body}
	})
}
