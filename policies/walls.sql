-- The walls. Run as bulkhead_owner after every migration: for each table, by the class in its
-- comment, row-level security enabled and forced, every policy dropped and made anew, grants set
-- anew. One function makes them all, so no table has a wall of its own wording.
--
-- The wall is RESTRICTIVE and TO PUBLIC: whatever permissive policy anyone adds later is ANDed
-- with it. The sub-select is not optional: it is evaluated once a statement, its values are index
-- conditions, and the planner cannot build a plan from one tenant's numbers and reuse it for
-- another's, as it does with a bare function call.

CREATE OR REPLACE FUNCTION pg_temp.build_wall(t regclass, class text, read_by_enter boolean) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  p       name;
  wall    text;
  grantee text;
BEGIN
  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', t);
  FOR p IN SELECT polname FROM pg_policy WHERE polrelid = t LOOP
    EXECUTE format('DROP POLICY %I ON %s', p, t);
  END LOOP;
  EXECUTE format('REVOKE ALL ON %s FROM PUBLIC, bulkhead_migrator, bulkhead_app, bulkhead_auth, bulkhead_operator, bulkhead_auditor, bulkhead_ctx', t);

  IF class IN ('clinical', 'identity') THEN
    wall := '(tenant_id, project_id) = (SELECT c.tenant_id, c.project_id FROM app.context() c)';
  ELSIF class = 'tenant' THEN
    wall := 'tenant_id = (SELECT c.tenant_id FROM app.context() c)';
  ELSIF class = 'directory' THEN
    wall := format('current_user IN (''bulkhead_operator'', ''bulkhead_ctx'') OR %I = (SELECT c.tenant_id FROM app.context() c)',
                   CASE t WHEN 'directory.tenant'::regclass THEN 'id' ELSE 'tenant_id' END);
  ELSIF class = 'internal' THEN
    wall := 'current_user = ''bulkhead_owner''';
  ELSE
    RAISE EXCEPTION 'table % has no class that policies/walls.sql knows: %', t, coalesce(class, 'no comment');
  END IF;
  -- enter() asks for one tenant's rows by key, in every transaction. Opening the seal that it made a
  -- moment before costs 11 us a table, so for bulkhead_ctx, which nobody can become, it stays shut.
  IF read_by_enter THEN
    wall := 'current_user = ''bulkhead_ctx'' OR ' || wall;
  END IF;
  EXECUTE format('CREATE POLICY wall ON %s AS RESTRICTIVE FOR ALL TO PUBLIC USING (%s) WITH CHECK (%s)', t, wall, wall);

  FOREACH grantee IN ARRAY CASE class
    WHEN 'clinical'  THEN ARRAY['bulkhead_app']
    WHEN 'identity'  THEN ARRAY['bulkhead_auth']
    WHEN 'tenant'    THEN ARRAY['bulkhead_auth']
    WHEN 'directory' THEN ARRAY['bulkhead_operator']
    ELSE ARRAY[]::text[] END
  LOOP
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO %I', t, grantee);
    EXECUTE format('CREATE POLICY %I ON %s AS PERMISSIVE FOR ALL TO %I USING (true) WITH CHECK (true)',
                   replace(grantee, 'bulkhead_', ''), t, grantee);
  END LOOP;
END $$;

DO $$
DECLARE
  r record;
BEGIN
  FOR r IN
    SELECT c.oid::regclass AS t, substring(obj_description(c.oid, 'pg_class') FROM 'class: (\w+)') AS class,
           coalesce(obj_description(c.oid, 'pg_class') LIKE '%, read by enter', false) AS read_by_enter
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'f', 'm', 'v') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'app')
      AND n.nspname NOT LIKE 'pg\_%'
    ORDER BY n.nspname, c.relname
  LOOP
    PERFORM pg_temp.build_wall(r.t, r.class, r.read_by_enter);
  END LOOP;
END $$;
DROP FUNCTION pg_temp.build_wall(regclass, text, boolean);

-- golang-migrate's own record is read and written by the owner.
CREATE POLICY owner ON public.schema_migrations AS PERMISSIVE FOR ALL TO bulkhead_owner USING (true) WITH CHECK (true);

-- The directory: enter() and directory() look it up; a tenant's own administrators (bulkhead_auth
-- in the tenant's context) make and drop projects and can see their tenant's row.
GRANT USAGE ON SCHEMA directory TO bulkhead_ctx, bulkhead_auth, bulkhead_operator, bulkhead_auditor;
GRANT USAGE ON SCHEMA identity TO bulkhead_ctx, bulkhead_auth, bulkhead_auditor;
GRANT SELECT ON directory.tenant, directory.project TO bulkhead_ctx;
CREATE POLICY ctx ON directory.tenant AS PERMISSIVE FOR SELECT TO bulkhead_ctx USING (true);
CREATE POLICY ctx ON directory.project AS PERMISSIVE FOR SELECT TO bulkhead_ctx USING (true);
GRANT SELECT, UPDATE (last_project) ON directory.tenant TO bulkhead_auth;
GRANT SELECT, INSERT, UPDATE, DELETE ON directory.project TO bulkhead_auth;
CREATE POLICY auth ON directory.tenant AS PERMISSIVE FOR ALL TO bulkhead_auth USING (true) WITH CHECK (true);
CREATE POLICY auth ON directory.project AS PERMISSIVE FOR ALL TO bulkhead_auth USING (true) WITH CHECK (true);

-- enter() looks for what ends a token: it may see that a client, key or ended token is there, and
-- nothing that is secret about it.
DO $$
BEGIN
  IF to_regclass('identity.client') IS NULL THEN
    RETURN; -- the schema is older
  END IF;
  GRANT SELECT (tenant_id, id, project_id, state) ON identity.client TO bulkhead_ctx;
  GRANT SELECT (tenant_id, kid, state) ON identity.signing_key TO bulkhead_ctx;
  GRANT SELECT (tenant_id, jti) ON identity.revoked_token TO bulkhead_ctx;
  CREATE POLICY ctx ON identity.client AS PERMISSIVE FOR SELECT TO bulkhead_ctx USING (true);
  CREATE POLICY ctx ON identity.signing_key AS PERMISSIVE FOR SELECT TO bulkhead_ctx USING (true);
  CREATE POLICY ctx ON identity.revoked_token AS PERMISSIVE FOR SELECT TO bulkhead_ctx USING (true);
  IF to_regclass('identity.app_grant') IS NULL THEN
    RETURN;
  END IF;
  GRANT SELECT (tenant_id, id, client_id, person_id, project_id, session_sid, offline, expires_at, revoked) ON identity.app_grant TO bulkhead_ctx;
  GRANT SELECT (tenant_id, id, state) ON identity.person TO bulkhead_ctx;
  GRANT SELECT (tenant_id, sid, expires_at) ON identity.session TO bulkhead_ctx;
  CREATE POLICY ctx ON identity.app_grant AS PERMISSIVE FOR SELECT TO bulkhead_ctx USING (true);
  CREATE POLICY ctx ON identity.person AS PERMISSIVE FOR SELECT TO bulkhead_ctx USING (true);
  CREATE POLICY ctx ON identity.session AS PERMISSIVE FOR SELECT TO bulkhead_ctx USING (true);
END $$;
