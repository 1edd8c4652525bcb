-- The keys' own wall. Run as bulkhead_ctx, which owns them and alone may look: row-level security
-- without any policy shows nothing to anyone else, whatever is granted. It is not forced on the
-- owner, whose functions read a key in every statement (3 us a look).
DO $$
DECLARE
  t regclass;
  p name;
BEGIN
  FOREACH t IN ARRAY ARRAY['app.context_key', 'app.seal_key']::regclass[] LOOP
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY', t);
    FOR p IN SELECT polname FROM pg_policy WHERE polrelid = t LOOP
      EXECUTE format('DROP POLICY %I ON %s', p, t);
    END LOOP;
    EXECUTE format('REVOKE ALL ON %s FROM PUBLIC, bulkhead_owner, bulkhead_migrator, bulkhead_app, bulkhead_auth, bulkhead_operator, bulkhead_auditor', t);
  END LOOP;
END $$;
