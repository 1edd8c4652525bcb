-- What a project holds about FHIR itself: profiles, value sets, code systems, concept maps.

-- StampDefinitions tells whether anything has changed since: every write makes a row more or a
-- version higher, a deletion too.
-- name: StampDefinitions :one
SELECT count(*)::bigint AS held, coalesce(sum(version), 0)::bigint AS versions, coalesce(sum(octet_length(body)), 0)::bigint AS bytes
FROM resource
WHERE tenant_id = @tenant_id AND project_id = @project_id AND type = ANY(@types::smallint[]);

-- ListDefinitions is in the order of creation: of two with one canonical URL the later one counts.
-- name: ListDefinitions :many
SELECT type, id, body FROM resource
WHERE tenant_id = @tenant_id AND project_id = @project_id AND type = ANY(@types::smallint[]) AND NOT deleted
ORDER BY rid;
