-- What writes resources together with their history and index: one statement each, so that a
-- write is one round trip and all or nothing. Rows come as arrays, one element a row; unnest in a
-- SELECT list walks them in step. A reference that must resolve and does not raises BH005.

-- InsertResources stores new resources.
-- name: InsertResources :exec
WITH resources AS (
  INSERT INTO resource (tenant_id, project_id, type, id, rid, version, last_updated, method, tokens, body)
  SELECT @tenant_id, @project_id, unnest(@types::smallint[]), unnest(@ids::text[]), unnest(@rids::bigint[]), 1,
         @last_updated::timestamptz, unnest(@methods::text[]), unnest(@tokens::text[])::bigint[], unnest(@bodies::text[])
),
reference_rows AS (
  INSERT INTO index_reference (tenant_id, project_id, param, target_type, target_id, rid)
  SELECT @tenant_id, @project_id, unnest(@reference_param::int[]), unnest(@reference_target_type::smallint[]), unnest(@reference_target_id::text[]), unnest(@reference_rid::bigint[])
),
token_rows AS (
  INSERT INTO index_token (tenant_id, project_id, param, code, system, rid)
  SELECT @tenant_id, @project_id, unnest(@token_param::int[]), unnest(@token_code::text[]), unnest(@token_system::text[]), unnest(@token_rid::bigint[])
),
string_rows AS (
  INSERT INTO index_string (tenant_id, project_id, param, value, rid, hash)
  SELECT @tenant_id, @project_id, unnest(@string_param::int[]), unnest(@string_value::text[]), unnest(@string_rid::bigint[]), unnest(@string_hash::bigint[])
),
date_rows AS (
  INSERT INTO index_date (tenant_id, project_id, param, lo, hi, rid, wide)
  SELECT @tenant_id, @project_id, unnest(@date_param::int[]), unnest(@date_lo::timestamptz[]), unnest(@date_hi::timestamptz[]), unnest(@date_rid::bigint[]), unnest(@date_wide::boolean[])
),
number_rows AS (
  INSERT INTO index_number (tenant_id, project_id, param, unit, lo, hi, rid)
  SELECT @tenant_id, @project_id, unnest(@number_param::int[]), unnest(@number_unit::text[]), unnest(@number_lo::float8[]), unnest(@number_hi::float8[]), unnest(@number_rid::bigint[])
),
uri_rows AS (
  INSERT INTO index_uri (tenant_id, project_id, param, value, rid)
  SELECT @tenant_id, @project_id, unnest(@uri_param::int[]), unnest(@uri_value::text[]), unnest(@uri_rid::bigint[])
),
composite_rows AS (
  INSERT INTO index_composite (tenant_id, project_id, param, code, system, code2, system2, lo, hi, unit, value, lo2, hi2, rid, n)
  SELECT @tenant_id, @project_id, unnest(@composite_param::int[]), unnest(@composite_code::text[]), unnest(@composite_system::text[]), unnest(@composite_code2::text[]), unnest(@composite_system2::text[]), unnest(@composite_lo::float8[]), unnest(@composite_hi::float8[]), unnest(@composite_unit::text[]), unnest(@composite_value::text[]), unnest(@composite_lo2::float8[]), unnest(@composite_hi2::float8[]), unnest(@composite_rid::bigint[]), unnest(@composite_n::smallint[])
)
SELECT app.dangling(c.reference)
FROM (SELECT unnest(@check_type::smallint[]) AS type, unnest(@check_id::text[]) AS id, unnest(@check_reference::text[]) AS reference) c
LEFT JOIN resource t
  ON t.tenant_id = @tenant_id AND t.project_id = @project_id AND t.type = c.type AND t.id = c.id AND NOT t.deleted
WHERE t.rid IS NULL;

-- WriteResources stores new resources and new versions of resources that LockResources holds. Of
-- the index only rows that vanished (gone_*) or appeared are touched.
-- name: WriteResources :exec
WITH resources AS (
  INSERT INTO resource (tenant_id, project_id, type, id, rid, version, last_updated, method, tokens, body)
  SELECT @tenant_id, @project_id, unnest(@types::smallint[]), unnest(@ids::text[]), unnest(@rids::bigint[]), 1,
         @last_updated::timestamptz, unnest(@methods::text[]), unnest(@tokens::text[])::bigint[], unnest(@bodies::text[])
),
superseded AS (
  INSERT INTO resource_history (tenant_id, project_id, rid, version, type, id, last_updated, method, deleted, body)
  SELECT r.tenant_id, r.project_id, r.rid, r.version, r.type, r.id, r.last_updated, r.method, r.deleted, r.body
  FROM resource r
  WHERE r.tenant_id = @tenant_id AND r.project_id = @project_id AND (r.type, r.rid) IN (SELECT unnest(@update_types::smallint[]), unnest(@update_rids::bigint[]))
),
updated AS (
  UPDATE resource r
  SET version = u.version, last_updated = @last_updated::timestamptz, method = u.method, deleted = u.deleted,
      tokens = u.tokens::bigint[], body = u.body
  FROM (SELECT unnest(@update_types::smallint[]) AS type, unnest(@update_rids::bigint[]) AS rid, unnest(@update_versions::int[]) AS version, unnest(@update_methods::text[]) AS method,
               unnest(@update_deleted::boolean[]) AS deleted, unnest(@update_tokens::text[]) AS tokens, unnest(@update_bodies::text[]) AS body) u
  WHERE r.tenant_id = @tenant_id AND r.project_id = @project_id AND r.type = u.type AND r.rid = u.rid
),
gone_reference AS (
  DELETE FROM index_reference i USING (SELECT unnest(@gone_reference_param::int[]) AS param, unnest(@gone_reference_target_type::smallint[]) AS target_type, unnest(@gone_reference_target_id::text[]) AS target_id, unnest(@gone_reference_rid::bigint[]) AS rid) g
  WHERE i.tenant_id = @tenant_id AND i.project_id = @project_id AND i.param = g.param AND i.target_type = g.target_type AND i.target_id = g.target_id AND i.rid = g.rid
),
gone_token AS (
  DELETE FROM index_token i USING (SELECT unnest(@gone_token_param::int[]) AS param, unnest(@gone_token_code::text[]) AS code, unnest(@gone_token_system::text[]) AS system, unnest(@gone_token_rid::bigint[]) AS rid) g
  WHERE i.tenant_id = @tenant_id AND i.project_id = @project_id AND i.param = g.param AND i.code = g.code AND i.system = g.system AND i.rid = g.rid
),
gone_string AS (
  DELETE FROM index_string i USING (SELECT unnest(@gone_string_param::int[]) AS param, unnest(@gone_string_value::text[]) AS value, unnest(@gone_string_rid::bigint[]) AS rid, unnest(@gone_string_hash::bigint[]) AS hash) g
  WHERE i.tenant_id = @tenant_id AND i.project_id = @project_id AND i.param = g.param AND i.value = g.value AND i.rid = g.rid AND i.hash = g.hash
),
gone_date AS (
  DELETE FROM index_date i USING (SELECT unnest(@gone_date_param::int[]) AS param, unnest(@gone_date_lo::timestamptz[]) AS lo, unnest(@gone_date_hi::timestamptz[]) AS hi, unnest(@gone_date_rid::bigint[]) AS rid) g
  WHERE i.tenant_id = @tenant_id AND i.project_id = @project_id AND i.param = g.param AND i.lo = g.lo AND i.hi = g.hi AND i.rid = g.rid
),
gone_number AS (
  DELETE FROM index_number i USING (SELECT unnest(@gone_number_param::int[]) AS param, unnest(@gone_number_unit::text[]) AS unit, unnest(@gone_number_lo::float8[]) AS lo, unnest(@gone_number_hi::float8[]) AS hi, unnest(@gone_number_rid::bigint[]) AS rid) g
  WHERE i.tenant_id = @tenant_id AND i.project_id = @project_id AND i.param = g.param AND i.unit = g.unit AND i.lo = g.lo AND i.hi = g.hi AND i.rid = g.rid
),
gone_uri AS (
  DELETE FROM index_uri i USING (SELECT unnest(@gone_uri_param::int[]) AS param, unnest(@gone_uri_value::text[]) AS value, unnest(@gone_uri_rid::bigint[]) AS rid) g
  WHERE i.tenant_id = @tenant_id AND i.project_id = @project_id AND i.param = g.param AND i.value = g.value AND i.rid = g.rid
),
gone_composite AS (
  DELETE FROM index_composite i USING (SELECT unnest(@gone_composite_param::int[]) AS param, unnest(@gone_composite_code::text[]) AS code, unnest(@gone_composite_rid::bigint[]) AS rid, unnest(@gone_composite_n::smallint[]) AS n) g
  WHERE i.tenant_id = @tenant_id AND i.project_id = @project_id AND i.param = g.param AND i.code = g.code AND i.rid = g.rid AND i.n = g.n
  RETURNING 1
),
reference_rows AS (
  INSERT INTO index_reference (tenant_id, project_id, param, target_type, target_id, rid)
  SELECT @tenant_id, @project_id, unnest(@reference_param::int[]), unnest(@reference_target_type::smallint[]), unnest(@reference_target_id::text[]), unnest(@reference_rid::bigint[])
),
token_rows AS (
  INSERT INTO index_token (tenant_id, project_id, param, code, system, rid)
  SELECT @tenant_id, @project_id, unnest(@token_param::int[]), unnest(@token_code::text[]), unnest(@token_system::text[]), unnest(@token_rid::bigint[])
),
string_rows AS (
  INSERT INTO index_string (tenant_id, project_id, param, value, rid, hash)
  SELECT @tenant_id, @project_id, unnest(@string_param::int[]), unnest(@string_value::text[]), unnest(@string_rid::bigint[]), unnest(@string_hash::bigint[])
),
date_rows AS (
  INSERT INTO index_date (tenant_id, project_id, param, lo, hi, rid, wide)
  SELECT @tenant_id, @project_id, unnest(@date_param::int[]), unnest(@date_lo::timestamptz[]), unnest(@date_hi::timestamptz[]), unnest(@date_rid::bigint[]), unnest(@date_wide::boolean[])
),
number_rows AS (
  INSERT INTO index_number (tenant_id, project_id, param, unit, lo, hi, rid)
  SELECT @tenant_id, @project_id, unnest(@number_param::int[]), unnest(@number_unit::text[]), unnest(@number_lo::float8[]), unnest(@number_hi::float8[]), unnest(@number_rid::bigint[])
),
uri_rows AS (
  INSERT INTO index_uri (tenant_id, project_id, param, value, rid)
  SELECT @tenant_id, @project_id, unnest(@uri_param::int[]), unnest(@uri_value::text[]), unnest(@uri_rid::bigint[])
),
composite_rows AS (
  INSERT INTO index_composite (tenant_id, project_id, param, code, system, code2, system2, lo, hi, unit, value, lo2, hi2, rid, n)
  SELECT @tenant_id, @project_id, unnest(@composite_param::int[]), unnest(@composite_code::text[]), unnest(@composite_system::text[]), unnest(@composite_code2::text[]), unnest(@composite_system2::text[]), unnest(@composite_lo::float8[]), unnest(@composite_hi::float8[]), unnest(@composite_unit::text[]), unnest(@composite_value::text[]), unnest(@composite_lo2::float8[]), unnest(@composite_hi2::float8[]), unnest(@composite_rid::bigint[]), unnest(@composite_n::smallint[])
  WHERE (SELECT count(*) FROM gone_composite) >= 0 -- a number n that vanishes may come back with other values: delete first
)
SELECT app.dangling(c.reference)
FROM (SELECT unnest(@check_type::smallint[]) AS type, unnest(@check_id::text[]) AS id, unnest(@check_reference::text[]) AS reference) c
LEFT JOIN resource t
  ON t.tenant_id = @tenant_id AND t.project_id = @project_id AND t.type = c.type AND t.id = c.id AND NOT t.deleted
WHERE t.rid IS NULL;
