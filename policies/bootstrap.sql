-- Run once per database by an administrator, and again at will: roles, the privileges that every
-- PostgreSQL gives to PUBLIC and that tenants must not have, and the keys of the signed context.

DO $$
DECLARE
  r text;
BEGIN
  -- Roles belong to the cluster, and two databases that bootstrap at once would meet in them.
  BEGIN
    LOCK TABLE pg_catalog.pg_authid IN SHARE ROW EXCLUSIVE MODE;
  EXCEPTION WHEN insufficient_privilege THEN
    NULL; -- a managed service: a second run mends what a clash left
  END;
  FOREACH r IN ARRAY ARRAY['bulkhead_owner', 'bulkhead_ctx'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r) THEN
      EXECUTE format('CREATE ROLE %I NOLOGIN NOSUPERUSER NOBYPASSRLS NOINHERIT NOCREATEDB NOCREATEROLE NOREPLICATION', r);
    END IF;
  END LOOP;
  FOREACH r IN ARRAY ARRAY['bulkhead_migrator', 'bulkhead_app', 'bulkhead_auth', 'bulkhead_operator', 'bulkhead_auditor'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r) THEN
      EXECUTE format('CREATE ROLE %I LOGIN NOSUPERUSER NOBYPASSRLS NOINHERIT NOCREATEDB NOCREATEROLE NOREPLICATION', r);
    END IF;
  END LOOP;
  -- The migrator may become the owners for DDL; no other login role is a member of anything.
  IF NOT pg_has_role('bulkhead_migrator', 'bulkhead_owner', 'MEMBER') THEN
    GRANT bulkhead_owner TO bulkhead_migrator;
  END IF;
  IF NOT pg_has_role('bulkhead_migrator', 'bulkhead_ctx', 'MEMBER') THEN
    GRANT bulkhead_ctx TO bulkhead_migrator;
  END IF;

  EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO bulkhead_migrator, bulkhead_app, bulkhead_auth, bulkhead_operator, bulkhead_auditor', current_database());
  EXECUTE format('GRANT CREATE, TEMPORARY ON DATABASE %I TO bulkhead_owner', current_database());

  -- SQL names resource tables without a schema; which plane it means is the role's affair.
  EXECUTE format('ALTER ROLE bulkhead_app IN DATABASE %I SET search_path = public', current_database());
  EXECUTE format('ALTER ROLE bulkhead_auth IN DATABASE %I SET search_path = identity', current_database());
END $$;

ALTER SCHEMA public OWNER TO bulkhead_owner;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO bulkhead_app, bulkhead_auditor;

-- What would let arbitrary SQL set a context, run text as SQL, keep bytes outside of tables,
-- signal others or hold their locks. app.lock() replaces the advisory locks.
DO $$
DECLARE
  f regprocedure;
BEGIN
  FOR f IN
    SELECT p.oid::regprocedure
    FROM pg_proc p
    WHERE p.pronamespace = 'pg_catalog'::regnamespace
      AND (p.proname IN ('set_config', 'lowrite', 'loread', 'pg_notify', 'pg_cancel_backend', 'pg_terminate_backend',
                         'pg_export_snapshot', 'pg_database_size', 'pg_relation_size', 'pg_table_size',
                         'pg_indexes_size', 'pg_total_relation_size')
        OR p.proname ~ '^(query|table|schema|database|cursor)_to_xml'
        OR p.proname ~ '^lo_'
        OR p.proname ~ '^pg_(try_)?advisory_'
        OR p.proname ~ '^pg_logical_')
  LOOP
    EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f);
  END LOOP;
END $$;

CREATE SCHEMA IF NOT EXISTS app AUTHORIZATION bulkhead_ctx;
REVOKE ALL ON SCHEMA app FROM PUBLIC;
GRANT USAGE ON SCHEMA app TO bulkhead_owner, bulkhead_migrator, bulkhead_app, bulkhead_auth, bulkhead_operator, bulkhead_auditor;
GRANT EXECUTE ON FUNCTION set_config(text, text, boolean) TO bulkhead_ctx;
GRANT EXECUTE ON FUNCTION pg_advisory_xact_lock(bigint) TO bulkhead_ctx;
GRANT EXECUTE ON FUNCTION pg_advisory_lock(bigint), pg_advisory_unlock(bigint) TO bulkhead_owner; -- golang-migrate

-- Two keys, and neither can be read by a runtime role. A context key is shared with the program,
-- which signs what app.enter() accepts. The seal key never leaves this database: enter() seals
-- what it verified with it, because any role may SET a custom variable. Both are kept as the two
-- padded halves of HMAC (RFC 2104), so that a check is two calls of sha256.
CREATE TABLE IF NOT EXISTS app.context_key (
  id        int         PRIMARY KEY,
  ipad      bytea       NOT NULL CHECK (length(ipad) = 64),
  opad      bytea       NOT NULL CHECK (length(opad) = 64),
  not_after timestamptz NOT NULL DEFAULT 'infinity'
);
COMMENT ON TABLE app.context_key IS 'class: key';
ALTER TABLE app.context_key OWNER TO bulkhead_ctx;

CREATE TABLE IF NOT EXISTS app.seal_key (
  ipad bytea NOT NULL CHECK (length(ipad) = 64),
  opad bytea NOT NULL CHECK (length(opad) = 64)
);
COMMENT ON TABLE app.seal_key IS 'class: key';
ALTER TABLE app.seal_key OWNER TO bulkhead_ctx;
