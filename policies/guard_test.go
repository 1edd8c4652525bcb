package policies_test

import (
	"errors"
	"strings"
	"testing"

	"bulkhead/db"
	"bulkhead/db/dbtest"
	"bulkhead/policies"
)

func TestASoundDatabaseHasNoFindings(t *testing.T) {
	t.Parallel()
	conn := dbtest.Open(t).Connect(t, "bulkhead_app")
	found, err := policies.Check(bg, conn)
	if err != nil || len(found) != 0 {
		t.Fatalf("%v, %v", found, err)
	}
}

// Every fault that is planted must be named, and once it is mended nothing may be left.
func TestPlantedFaultsAreNamed(t *testing.T) {
	t.Parallel()
	d := dbtest.Clone(t)
	super := d.Connect(t, "")
	for _, fault := range []struct{ name, plant, mend, object string }{
		{"a dropped wall", "DROP POLICY wall ON resource", "", "table resource"},
		{"a permissive wall", "DROP POLICY wall ON resource; CREATE POLICY wall ON resource USING ((tenant_id, project_id) = (SELECT c.tenant_id, c.project_id FROM app.context() c)) WITH CHECK ((tenant_id, project_id) = (SELECT c.tenant_id, c.project_id FROM app.context() c))", "", "table resource"},
		{"a wall of other text", "ALTER POLICY wall ON index_token USING (true)", "", "table index_token"},
		{"a wall that does not check writes", "ALTER POLICY wall ON index_token WITH CHECK (true)", "", "table index_token"},
		{"a wall for one role only", "ALTER POLICY wall ON resource TO bulkhead_app", "", "table resource"},
		{"a bare current_setting", "ALTER POLICY wall ON resource USING (tenant_id = current_setting('app.tenant_id')::int)", "", "table resource"},
		{"a foreign permissive policy", "CREATE POLICY mine ON resource USING (true)", "", "table resource"},
		{"NO FORCE", "ALTER TABLE identity.client NO FORCE ROW LEVEL SECURITY", "", "table identity.client"},
		{"disabled row security", "ALTER TABLE resource_history DISABLE ROW LEVEL SECURITY", "", "table resource_history"},
		{"a table without a class", "CREATE TABLE stray (x int); ALTER TABLE stray OWNER TO bulkhead_owner", "DROP TABLE stray", "table stray"},
		{"a table of an unknown class", "CREATE TABLE stray (x int); COMMENT ON TABLE stray IS 'class: misc'; ALTER TABLE stray OWNER TO bulkhead_owner", "DROP TABLE stray", "table stray"},
		{"a view", "CREATE VIEW leaky AS SELECT * FROM resource; COMMENT ON VIEW leaky IS 'class: clinical'", "DROP VIEW leaky", "table leaky"},
		{"a materialized view", "CREATE MATERIALIZED VIEW leaky AS SELECT * FROM resource", "DROP MATERIALIZED VIEW leaky", "table leaky"},
		{"another owner", "ALTER TABLE resource OWNER TO postgres", "ALTER TABLE resource OWNER TO bulkhead_owner", "table resource"},
		{"an index without the tenant", "CREATE INDEX stray ON resource (id)", "DROP INDEX stray", "index stray"},
		{"a unique key without the project", "CREATE UNIQUE INDEX stray ON resource (tenant_id, id)", "DROP INDEX stray", "index stray"},
		{"TRUNCATE granted", "GRANT TRUNCATE ON resource TO bulkhead_app", "", "table resource"},
		{"REFERENCES granted", "GRANT REFERENCES ON resource TO bulkhead_app", "", "table resource"},
		{"a grant to PUBLIC", "GRANT SELECT ON resource TO PUBLIC", "", "table resource"},
		{"a grant on the other plane", "GRANT SELECT ON identity.client TO bulkhead_app", "", "table identity.client"},
		{"a column grant", "GRANT SELECT (secret_hash) ON identity.client TO bulkhead_app", "REVOKE SELECT (secret_hash) ON identity.client FROM bulkhead_app", "table identity.client"},
		{"a policy on the keys", "CREATE POLICY app ON app.seal_key TO bulkhead_app USING (true)", "", "table app.seal_key"},
		{"the keys readable", "GRANT SELECT ON app.seal_key TO bulkhead_app", "", "table app.seal_key"},
		{"set_config given back", "GRANT EXECUTE ON FUNCTION set_config(text, text, boolean) TO PUBLIC", "REVOKE EXECUTE ON FUNCTION set_config(text, text, boolean) FROM PUBLIC", "function set_config(text,text,boolean)"},
		{"query_to_xml given back", "GRANT EXECUTE ON FUNCTION query_to_xml(text, boolean, boolean, text) TO bulkhead_app", "REVOKE EXECUTE ON FUNCTION query_to_xml(text, boolean, boolean, text) FROM bulkhead_app", "function query_to_xml"},
		{"a definer function", "CREATE FUNCTION public.leak() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM resource'", "DROP FUNCTION public.leak()", "function leak()"},
		{"a definer without search_path", "ALTER FUNCTION app.context() RESET search_path", "", "function app.context()"},
		{"a leakproof function", "CREATE FUNCTION public.leak(int) RETURNS boolean LANGUAGE sql LEAKPROOF AS 'SELECT true'", "DROP FUNCTION public.leak(int)", "function leak(integer)"},
		{"CREATE on a schema", "GRANT CREATE ON SCHEMA public TO bulkhead_app", "REVOKE CREATE ON SCHEMA public FROM bulkhead_app", "schema public"},
		{"a member of a member", "CREATE ROLE bulkhead_test_member; GRANT bulkhead_test_member TO bulkhead_app", "DROP ROLE bulkhead_test_member", "role bulkhead_app"},
	} {
		if _, err := super.Exec(bg, fault.plant); err != nil {
			t.Fatalf("%s: %v", fault.name, err)
		}
		found, err := policies.Check(bg, super)
		if err != nil {
			t.Fatal(err)
		}
		named := false
		for _, f := range found {
			named = named || strings.HasPrefix(f.Object, fault.object)
		}
		if !named {
			t.Errorf("%s is not named: %v", fault.name, found)
		}
		if _, err := db.Open(bg, d.Config()); !isUnsafe(err) {
			t.Errorf("%s: the program starts: %v", fault.name, err)
		}
		if fault.mend != "" {
			if _, err := super.Exec(bg, fault.mend); err != nil {
				t.Fatalf("%s: %v", fault.name, err)
			}
		} else if err := policies.Install(bg, super); err != nil {
			t.Fatalf("%s: %v", fault.name, err)
		}
		if found, err = policies.Check(bg, super); err != nil || len(found) != 0 {
			t.Fatalf("%s was mended, and yet: %v, %v", fault.name, found, err)
		}
	}
}

func isUnsafe(err error) bool {
	var unsafe *db.UnsafeError
	return errors.As(err, &unsafe) && len(unsafe.Findings) > 0
}

func TestTheProgramRefusesPrivilegedConnections(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t)
	for name, url := range map[string]string{"a superuser": d.SuperuserURL(), "the migrator": d.URL("bulkhead_migrator"), "the other plane's role": d.URL("bulkhead_auth")} {
		config := d.Config()
		config.AppURL = url
		if opened, err := db.Open(bg, config); !isUnsafe(err) {
			t.Errorf("%s serves as the app role: %v", name, err)
			opened.Close()
		}
	}
}

func TestMigrateDownAndUpAgain(t *testing.T) {
	t.Parallel()
	d := dbtest.Clone(t)
	url := d.URL("bulkhead_migrator")
	schema, err := db.MigrateStatus(bg, url)
	if err != nil || schema.Version != schema.Latest || schema.Latest == 0 {
		t.Fatalf("%+v, %v", schema, err)
	}
	for range schema.Latest {
		if err := db.MigrateDown(bg, url, 1); err != nil {
			t.Fatal(err)
		}
	}
	if schema, err = db.MigrateStatus(bg, url); err != nil || schema.Version != 0 {
		t.Fatalf("%+v, %v", schema, err)
	}
	if err := db.MigrateUp(bg, url, d.Master); err != nil {
		t.Fatal(err)
	}
	d.NewTenant(t)
}

func TestRotatingTheContextKeyInterruptsNobody(t *testing.T) {
	t.Parallel()
	d := dbtest.Clone(t)
	tenant := d.NewTenant(t)
	if _, err := db.RotateContextKey(bg, d.URL("bulkhead_migrator"), d.Master); err != nil {
		t.Fatal(err)
	}
	lock := func() error {
		return d.View(bg, db.Clinical, tenant.Caller, func(v *db.View) error { return v.Lock(bg, "x") })
	}
	if err := lock(); err != nil {
		t.Errorf("with the old key, during the overlap: %v", err)
	}
	super := d.Connect(t, "")
	if _, err := super.Exec(bg, "DELETE FROM app.context_key WHERE not_after < 'infinity'"); err != nil {
		t.Fatal(err)
	}
	if err := lock(); err != nil {
		t.Errorf("after the overlap, the program learns of the new key: %v", err)
	}
}
