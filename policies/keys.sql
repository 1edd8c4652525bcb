-- The keys' own wall. Run as bulkhead_ctx, which owns them and alone may look.
DO $$
DECLARE
  t regclass;
  p name;
BEGIN
  FOREACH t IN ARRAY ARRAY['app.context_key', 'app.seal_key']::regclass[] LOOP
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', t);
    FOR p IN SELECT polname FROM pg_policy WHERE polrelid = t LOOP
      EXECUTE format('DROP POLICY %I ON %s', p, t);
    END LOOP;
    EXECUTE format('REVOKE ALL ON %s FROM PUBLIC, bulkhead_owner, bulkhead_migrator, bulkhead_app, bulkhead_auth, bulkhead_operator, bulkhead_auditor', t);
    EXECUTE format('CREATE POLICY wall ON %s AS RESTRICTIVE FOR ALL TO PUBLIC USING (current_user = ''bulkhead_ctx'') WITH CHECK (current_user = ''bulkhead_ctx'')', t);
    EXECUTE format('CREATE POLICY ctx ON %s AS PERMISSIVE FOR ALL TO bulkhead_ctx USING (true) WITH CHECK (true)', t);
  END LOOP;
END $$;
