-- Versions, newest first, a page at a time.

-- name: InstanceHistory :many
WITH v AS (
  SELECT r.version, r.last_updated, r.method, r.deleted, r.body
  FROM resource r
  WHERE r.tenant_id = @tenant_id AND r.project_id = @project_id AND r.type = @type AND r.id = @id
  UNION ALL
  SELECT h.version, h.last_updated, h.method, h.deleted, h.body
  FROM resource r JOIN resource_history h ON h.tenant_id = r.tenant_id AND h.project_id = r.project_id AND h.rid = r.rid
  WHERE r.tenant_id = @tenant_id AND r.project_id = @project_id AND r.type = @type AND r.id = @id
)
SELECT v.version, v.last_updated, v.method, v.deleted, v.body
FROM v
WHERE v.version < @before_version::int AND v.last_updated >= @since::timestamptz AND v.last_updated <= @until::timestamptz
ORDER BY v.version DESC
LIMIT @page;

-- CountInstanceHistory counts what InstanceHistory would list without a page.
-- name: CountInstanceHistory :one
WITH v AS (
  SELECT r.last_updated
  FROM resource r
  WHERE r.tenant_id = @tenant_id AND r.project_id = @project_id AND r.type = @type AND r.id = @id
  UNION ALL
  SELECT h.last_updated
  FROM resource r JOIN resource_history h ON h.tenant_id = r.tenant_id AND h.project_id = r.project_id AND h.rid = r.rid
  WHERE r.tenant_id = @tenant_id AND r.project_id = @project_id AND r.type = @type AND r.id = @id
)
SELECT count(*) FROM v WHERE v.last_updated >= @since::timestamptz AND v.last_updated <= @until::timestamptz;

-- CountHistory counts the versions of all resources of the types given.
-- name: CountHistory :one
SELECT ((SELECT count(*) FROM resource r WHERE r.tenant_id = @tenant_id AND r.project_id = @project_id
           AND r.type = ANY (@types::smallint[]) AND r.last_updated >= @since AND r.last_updated <= @until)
      + (SELECT count(*) FROM resource_history h WHERE h.tenant_id = @tenant_id AND h.project_id = @project_id
           AND h.type = ANY (@types::smallint[]) AND h.last_updated >= @since AND h.last_updated <= @until))::bigint AS total;
