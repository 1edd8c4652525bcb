-- Resources as they are now. The tables are named without a schema: bulkhead_app finds the
-- clinical ones, bulkhead_auth those of the platform's own types.

-- name: ReadResource :one
SELECT version, last_updated, deleted, body FROM resource
WHERE tenant_id = @tenant_id AND project_id = @project_id AND type = @type AND id = @id;

-- name: ReadVersion :one
SELECT version, last_updated, deleted, body FROM (
  SELECT r.version, r.last_updated, r.deleted, r.body
  FROM resource r
  WHERE r.tenant_id = @tenant_id AND r.project_id = @project_id AND r.type = @type AND r.id = @id AND r.version = @version
  UNION ALL
  SELECT h.version, h.last_updated, h.deleted, h.body
  FROM resource r JOIN resource_history h
    ON h.tenant_id = r.tenant_id AND h.project_id = r.project_id AND h.rid = r.rid
  WHERE r.tenant_id = @tenant_id AND r.project_id = @project_id AND r.type = @type AND r.id = @id AND h.version = @version
) v;

-- LockResources locks what a write is about to change, always in the same order, so that two
-- transactions over the same resources wait and do not deadlock.
-- name: LockResources :many
SELECT r.type, r.id, r.rid, r.version, r.last_updated, r.deleted, r.body
FROM resource r
WHERE r.tenant_id = @tenant_id AND r.project_id = @project_id
  AND (r.type, r.id) IN (SELECT unnest(@types::smallint[]), unnest(@ids::text[]))
ORDER BY r.type, r.id
FOR UPDATE;

-- name: LockResource :one
SELECT rid, version, last_updated, deleted, body FROM resource
WHERE tenant_id = @tenant_id AND project_id = @project_id AND type = @type AND id = @id
FOR UPDATE;

-- ReadResources reads several at once; what is not there has no row.
-- name: ReadResources :many
SELECT type, id, version, last_updated, deleted, body FROM resource
WHERE tenant_id = @tenant_id AND project_id = @project_id
  AND (type, id) IN (SELECT unnest(@types::smallint[]), unnest(@ids::text[]));
