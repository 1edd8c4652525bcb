package policies_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"bulkhead/db"
	"bulkhead/db/dbtest"
)

var bg = context.Background()

// stage is two tenants with one row each in every table of the clinical and identity planes, and
// plain connections as the runtime roles.
type stage struct {
	*dbtest.Database
	a, b dbtest.Tenant
}

func setStage(t *testing.T, d *dbtest.Database) stage {
	t.Helper()
	s := stage{Database: d, a: d.NewTenant(t), b: d.NewTenant(t)}
	super := d.Connect(t, "")
	for _, tenant := range []dbtest.Tenant{s.a, s.b} {
		for _, schema := range []string{"public", "identity"} {
			fill(t, super, schema, tenant.Caller)
		}
	}
	return s
}

// fill puts a row of zeros and empty strings into every table that has a project, so that a table
// made later is covered without a line here.
func fill(t *testing.T, super *pgx.Conn, schema string, c db.Caller) {
	t.Helper()
	for _, table := range projectTables(t, super, schema) {
		var columns, values string
		err := super.QueryRow(bg, `
			SELECT string_agg(quote_ident(attname), ', '), string_agg(CASE
			    WHEN attname = 'tenant_id' THEN $2::text WHEN attname = 'project_id' THEN $3::text
			    WHEN attname = 'type' THEN '1'
			    WHEN atttypid IN ('text'::regtype) THEN quote_literal('x')
			    WHEN atttypid = 'boolean'::regtype THEN 'false'
			    WHEN atttypid = 'timestamptz'::regtype THEN 'now()'
			    WHEN atttypid = 'bytea'::regtype THEN quote_literal('')
			    WHEN atttypid = 'jsonb'::regtype THEN quote_literal('{}')
			    WHEN typcategory = 'A' THEN quote_literal('{}')
			    ELSE '1' END, ', ')
			FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
			WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped`,
			table, fmt.Sprint(c.Tenant), fmt.Sprint(c.Project)).Scan(&columns, &values)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := super.Exec(bg, "INSERT INTO "+table+" ("+columns+") VALUES ("+values+")"); err != nil {
			t.Fatalf("%s: %v", table, err)
		}
	}
}

func projectTables(t *testing.T, super *pgx.Conn, schema string) []string {
	t.Helper()
	rows, err := super.Query(bg, `
		SELECT format('%I.%I', c.relnamespace::regnamespace, c.relname) FROM pg_class c
		JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'project_id'
		WHERE c.relkind = 'r' AND c.relnamespace = $1::regnamespace AND obj_description(c.oid) ~ 'class: (clinical|identity)' ORDER BY 1`, schema)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(tables) < 9 {
		t.Fatalf("%d tables in %s: %v", len(tables), schema, err)
	}
	return tables
}

// within runs fn on a transaction of role that has entered c, which it rolls back. With a nil c
// nothing is entered.
func (s stage) within(t *testing.T, conn *pgx.Conn, plane db.Plane, c *db.Caller, fn func(tx pgx.Tx)) {
	t.Helper()
	tx, err := conn.Begin(bg)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(bg)
	if c != nil {
		payload, mac := s.SignContext(plane, *c)
		if _, err := tx.Exec(bg, "SELECT app.enter($1, $2)", payload, mac); err != nil {
			t.Fatal(err)
		}
	}
	fn(tx)
}

func count(t *testing.T, tx pgx.Tx, sql string, args ...any) int {
	t.Helper()
	var n int
	if err := tx.QueryRow(bg, sql, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

func sqlstate(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return fmt.Sprint(err)
}

func TestEveryTableShowsOnlyTheProjectThatWasEntered(t *testing.T) {
	t.Parallel()
	s := setStage(t, dbtest.Open(t))
	super := s.Connect(t, "")
	for _, plane := range []struct {
		schema, role string
		plane        db.Plane
	}{{"public", "bulkhead_app", db.Clinical}, {"identity", "bulkhead_auth", db.Identity}} {
		conn := s.Connect(t, plane.role)
		for _, table := range projectTables(t, super, plane.schema) {
			s.within(t, conn, plane.plane, nil, func(tx pgx.Tx) {
				if n := count(t, tx, "SELECT count(*) FROM "+table); n != 0 {
					t.Errorf("%s: %d rows without a context", table, n)
				}
			})
			s.within(t, conn, plane.plane, &s.a.Caller, func(tx pgx.Tx) {
				if n := count(t, tx, "SELECT count(*) FROM "+table); n != 1 {
					t.Errorf("%s: %d rows, want the one of this project", table, n)
				}
				if n := count(t, tx, "SELECT count(*) FROM "+table+" WHERE tenant_id <> $1 OR project_id <> $2", s.a.Caller.Tenant, s.a.Caller.Project); n != 0 {
					t.Errorf("%s: %d rows of others", table, n)
				}
			})
			for verb, sql := range map[string]string{
				"delete":       "DELETE FROM " + table + " WHERE tenant_id = $1",
				"update":       "UPDATE " + table + " SET project_id = project_id WHERE tenant_id = $1",
				"select lock":  "SELECT 1 FROM " + table + " WHERE tenant_id = $1 FOR UPDATE",
				"copy by CTAS": "WITH stolen AS (DELETE FROM " + table + " WHERE tenant_id = $1 RETURNING 1) SELECT * FROM stolen",
			} {
				s.within(t, conn, plane.plane, &s.a.Caller, func(tx pgx.Tx) {
					tag, err := tx.Exec(bg, sql, s.b.Caller.Tenant)
					if err != nil || tag.RowsAffected() != 0 {
						t.Errorf("%s: %s of another tenant: %d rows, %v", table, verb, tag.RowsAffected(), err)
					}
				})
			}
			s.within(t, conn, plane.plane, &s.a.Caller, func(tx pgx.Tx) {
				_, err := tx.Exec(bg, "UPDATE "+table+" SET tenant_id = $1", s.b.Caller.Tenant)
				if sqlstate(err) != "42501" {
					t.Errorf("%s: moving a row to another tenant: %v", table, err)
				}
			})
			s.within(t, conn, plane.plane, &s.a.Caller, func(tx pgx.Tx) {
				_, err := tx.Exec(bg, "UPDATE "+table+" SET project_id = $1", db.SystemProject)
				if sqlstate(err) != "42501" {
					t.Errorf("%s: moving a row to another project: %v", table, err)
				}
			})
		}
	}
}

// Tables of tenants, not of projects: the directory, clients, keys, people.
func TestTenantTablesShowOnlyTheTenantThatWasEntered(t *testing.T) {
	t.Parallel()
	s := setStage(t, dbtest.Open(t))
	super := s.Connect(t, "")
	rows, err := super.Query(bg, `
		SELECT format('%I.%I', c.relnamespace::regnamespace, c.relname) FROM pg_class c
		WHERE c.relkind = 'r' AND obj_description(c.oid) ~ 'class: (tenant|directory)' AND c.oid <> 'directory.tenant'::regclass ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(tables) < 5 {
		t.Fatalf("%d tables: %v", len(tables), err)
	}
	conn := s.Connect(t, "bulkhead_auth")
	for _, table := range tables {
		s.within(t, conn, db.Identity, nil, func(tx pgx.Tx) {
			if n := count(t, tx, "SELECT count(*) FROM "+table); n != 0 {
				t.Errorf("%s: %d rows without a context", table, n)
			}
		})
		s.within(t, conn, db.Identity, &s.a.System, func(tx pgx.Tx) {
			if n := count(t, tx, "SELECT count(*) FROM "+table+" WHERE tenant_id <> $1", s.a.System.Tenant); n != 0 {
				t.Errorf("%s: %d rows of other tenants", table, n)
			}
			if _, err := tx.Exec(bg, "UPDATE "+table+" SET tenant_id = $1", s.b.System.Tenant); err != nil && sqlstate(err) != "42501" {
				t.Errorf("%s: moving rows to another tenant: %v", table, err)
			}
		})
	}
	s.within(t, conn, db.Identity, &s.a.System, func(tx pgx.Tx) {
		if n := count(t, tx, "SELECT count(*) FROM directory.tenant"); n != 1 {
			t.Errorf("%d tenants, want one's own", n)
		}
		if _, err := tx.Exec(bg, "UPDATE directory.project SET tenant_id = $1", s.b.System.Tenant); sqlstate(err) != "42501" {
			t.Errorf("moving a project to another tenant: %v", err)
		}
	})
}

func TestRolesCannotTouchTheOtherPlane(t *testing.T) {
	t.Parallel()
	s := setStage(t, dbtest.Open(t))
	super := s.Connect(t, "")
	for role, c := range map[string]struct {
		plane  db.Plane
		schema string
	}{"bulkhead_app": {db.Clinical, "identity"}, "bulkhead_auth": {db.Identity, "public"}} {
		conn := s.Connect(t, role)
		for _, table := range projectTables(t, super, c.schema) {
			s.within(t, conn, c.plane, &s.a.Caller, func(tx pgx.Tx) {
				if _, err := tx.Exec(bg, "SELECT FROM "+table); sqlstate(err) != "42501" {
					t.Errorf("%s reads %s: %v", role, table, err)
				}
			})
		}
	}
}

// What someone with arbitrary SQL as a runtime role may try. Each must fail with one of the codes,
// or succeed and gain nothing; the count of foreign rows is taken afterwards in any case.
func TestArbitrarySQLGainsNothing(t *testing.T) {
	t.Parallel()
	s := setStage(t, dbtest.Open(t))
	for role, plane := range map[string]db.Plane{"bulkhead_app": db.Clinical, "bulkhead_auth": db.Identity} {
		t.Run(role, func(t *testing.T) { attack(t, s, role, plane) })
	}
}

func attack(t *testing.T, s stage, role string, plane db.Plane) {
	conn := s.Connect(t, role)
	other := map[string]string{"bulkhead_app": "bulkhead_auth", "bulkhead_auth": "bulkhead_app"}[role]
	var seal string
	s.within(t, conn, plane, &s.a.Caller, func(tx pgx.Tx) {
		if err := tx.QueryRow(bg, "SELECT current_setting('app.context')").Scan(&seal); err != nil {
			t.Fatal(err)
		}
	})
	payload, mac := s.SignContext(plane, s.b.Caller)
	forged := fmt.Sprintf(`E'%s'`, strings.ReplaceAll(payload, "\n", `\n`))
	foreign := strings.Replace(seal, fmt.Sprintf("%d,", s.a.Caller.Tenant), fmt.Sprintf("%d,", s.b.Caller.Tenant), 1)
	attacks := map[string]string{ // SQL -> SQLSTATE, "" when it may run
		"SELECT set_config('app.context', '" + foreign + "', true)":   "42501",
		"SET app.context = '" + foreign + "'":                         "",
		"SET LOCAL app.context = '" + foreign + "'":                   "",
		"SET app.tenant_id = '" + fmt.Sprint(s.b.Caller.Tenant) + "'": "",
		"RESET app.context":                              "",
		"RESET ALL":                                      "",
		"SET ROLE bulkhead_owner":                        "42501",
		"SET ROLE bulkhead_ctx":                          "42501",
		"SET ROLE " + other:                              "42501",
		"SET SESSION AUTHORIZATION bulkhead_owner":       "42501",
		"RESET ROLE":                                     "",
		"SET row_security = off; SELECT * FROM resource": "42501",
		"SELECT query_to_xml('select * from resource', true, true, '')":                  "42501",
		"SELECT table_to_xml('resource', true, true, '')":                                "42501",
		"SELECT app.seal('1,1,w')":                                                       "42501",
		"SELECT * FROM app.context_key":                                                  "42501",
		"SELECT * FROM app.seal_key":                                                     "42501",
		"SELECT app.install_context_key(9, '\\x00', '1 day')":                            "42501",
		"SELECT app.enter(" + forged + ", '\\x00')":                                      "BH002",
		"SELECT app.enter(" + forged + ", '\\x" + fmt.Sprintf("%x", mac) + "')":          "BH002",
		"CREATE TEMP TABLE resource (LIKE public.resource)":                              "42501",
		"CREATE TABLE public.mine (x int)":                                               "42501",
		"CREATE SCHEMA mine":                                                             "42501",
		"CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'":              "42501",
		"CREATE POLICY mine ON resource USING (true)":                                    "42501",
		"ALTER TABLE resource DISABLE ROW LEVEL SECURITY":                                "42501",
		"DROP POLICY wall ON resource":                                                   "42501",
		"TRUNCATE resource":                                                              "42501",
		"LOCK TABLE resource IN ACCESS EXCLUSIVE MODE":                                   "", // allowed by UPDATE; bounded by the statement timeout
		"COPY resource FROM PROGRAM 'true'":                                              "42501",
		"COPY resource TO '/tmp/x'":                                                      "42501",
		"SELECT pg_read_file('/etc/passwd')":                                             "42501",
		"SELECT lo_create(0)":                                                            "42501",
		"SELECT pg_notify('x', 'y')":                                                     "42501",
		"SELECT pg_advisory_lock(1)":                                                     "42501",
		"SELECT pg_terminate_backend(pg_backend_pid())":                                  "42501",
		"DO $$ BEGIN PERFORM set_config('app.context', '" + foreign + "', true); END $$": "42501",
		"DO $$ BEGIN EXECUTE 'SET app.context = ''" + foreign + "'''; END $$":            "",
		"PREPARE TRANSACTION 'x'":                                                        "55000",
		"ALTER ROLE " + role + " BYPASSRLS":                                              "42501",
		"ALTER SYSTEM SET fsync = off":                                                   "25001",
		"LISTEN x":                                                                       "",
	}
	for sql, want := range attacks {
		s.within(t, conn, plane, &s.a.Caller, func(tx pgx.Tx) {
			_, err := tx.Conn().PgConn().Exec(bg, sql).ReadAll() // the simple protocol, as psql does
			if got := codeOf(err); got != want {
				t.Errorf("%s: %q, want %q (%v)", sql, got, want, err)
			}
			if err == nil {
				if n := count(t, tx, "SELECT count(*) FROM resource WHERE tenant_id <> $1", s.a.Caller.Tenant); n != 0 {
					t.Errorf("%s: %d foreign rows", sql, n)
				}
			}
		})
		if _, err := conn.Exec(bg, "RESET ALL"); err != nil {
			t.Fatal(err)
		}
	}
}

func codeOf(err error) string {
	if err == nil {
		return ""
	}
	return sqlstate(err)
}

func TestASealOpensOnlyItsTransaction(t *testing.T) {
	t.Parallel()
	s := setStage(t, dbtest.Open(t))
	conn := s.Connect(t, "bulkhead_app")
	var seal string
	s.within(t, conn, db.Clinical, &s.a.Caller, func(tx pgx.Tx) {
		if err := tx.QueryRow(bg, "SELECT current_setting('app.context')").Scan(&seal); err != nil {
			t.Fatal(err)
		}
	})
	for name, c := range map[string]*pgx.Conn{"the same connection": conn, "another connection": s.Connect(t, "bulkhead_app")} {
		s.within(t, c, db.Clinical, nil, func(tx pgx.Tx) {
			if _, err := tx.Exec(bg, "SET LOCAL app.context = '"+seal+"'"); err != nil {
				t.Fatal(err)
			}
			if n := count(t, tx, "SELECT count(*) FROM resource"); n != 0 {
				t.Errorf("%s: a seal of an earlier transaction shows %d rows", name, n)
			}
		})
	}
}

func TestNoContextSurvivesItsTransaction(t *testing.T) {
	t.Parallel()
	s := setStage(t, dbtest.Open(t))
	conn := s.Connect(t, "bulkhead_app")
	for _, end := range []string{"COMMIT", "ROLLBACK"} {
		payload, mac := s.SignContext(db.Clinical, s.a.Caller)
		for _, sql := range []string{"BEGIN", "", end} {
			var err error
			if sql == "" {
				_, err = conn.Exec(bg, "SELECT app.enter($1, $2)", payload, mac)
			} else {
				_, err = conn.Exec(bg, sql)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		var n int
		if err := conn.QueryRow(bg, "SELECT count(*) FROM resource").Scan(&n); err != nil || n != 0 {
			t.Errorf("after %s: %d rows, %v", end, n, err)
		}
	}
}

func TestEnterRefuses(t *testing.T) {
	t.Parallel()
	s := setStage(t, dbtest.Open(t))
	conn := s.Connect(t, "bulkhead_app")
	good, mac := s.SignContext(db.Clinical, s.a.Caller)
	authGood, authMAC := s.SignContext(db.Identity, s.a.Caller)
	nobody, nobodyMAC := s.SignContext(db.Clinical, db.Caller{Tenant: s.a.Caller.Tenant, Project: 999})
	mixed, mixedMAC := s.SignContext(db.Clinical, db.Caller{Tenant: s.a.Caller.Tenant, Project: s.b.Caller.Project + 50})
	short := mac[:31]
	flipped := append([]byte(nil), mac...)
	flipped[0] ^= 1
	foreignTenant := strings.Replace(good, fmt.Sprintf("\n%d\n", s.a.Caller.Tenant), fmt.Sprintf("\n%d\n", s.b.Caller.Tenant), 1)
	for name, c := range map[string]struct {
		payload any
		mac     []byte
		want    string
	}{
		"a changed tenant":              {foreignTenant, mac, "BH001"},
		"a changed signature":           {good, flipped, "BH001"},
		"a cut signature":               {good, short, "BH001"},
		"no signature":                  {good, nil, "BH001"},
		"an unknown key":                {"7" + good, mac, "BH001"},
		"an empty payload":              {"", mac, "BH001"},
		"no payload":                    {nil, mac, "BH001"},
		"one line too many":             {good + "\n", mac, "BH001"},
		"a context of another role":     {authGood, authMAC, "BH001"},
		"a project that does not exist": {nobody, nobodyMAC, "BH003"},
		"a project of another tenant":   {mixed, mixedMAC, "BH003"},
	} {
		s.within(t, conn, db.Clinical, nil, func(tx pgx.Tx) {
			_, err := tx.Exec(bg, "SELECT app.enter($1, $2)", c.payload, c.mac)
			if sqlstate(err) != c.want {
				t.Errorf("%s: %v, want %s", name, err, c.want)
			}
		})
	}
}

func TestEnterRefusesSuspendedTenants(t *testing.T) {
	t.Parallel()
	s := setStage(t, dbtest.Open(t))
	conn, super := s.Connect(t, "bulkhead_app"), s.Connect(t, "")
	for _, change := range []string{
		"UPDATE directory.tenant SET state = 'suspended' WHERE id = $1",
		"UPDATE directory.project SET state = 'deleting' WHERE tenant_id = $1",
	} {
		if _, err := super.Exec(bg, change, s.a.Caller.Tenant); err != nil {
			t.Fatal(err)
		}
		s.within(t, conn, db.Clinical, nil, func(tx pgx.Tx) {
			payload, mac := s.SignContext(db.Clinical, s.a.Caller)
			if _, err := tx.Exec(bg, "SELECT app.enter($1, $2)", payload, mac); sqlstate(err) != "BH003" {
				t.Errorf("%s: %v", change, err)
			}
		})
		if _, err := super.Exec(bg, "UPDATE directory.tenant SET state = 'active' WHERE id = $1", s.a.Caller.Tenant); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAReadContextCannotWrite(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t)
	tenant := d.NewTenant(t)
	err := d.View(bg, db.Clinical, tenant.Caller, func(v *db.View) error {
		return v.Lock(bg, "x") // a lock is no write
	})
	if err != nil {
		t.Fatal(err)
	}
	err = d.View(bg, db.Clinical, tenant.Caller, func(v *db.View) error {
		_, err := v.DeleteProject(bg, tenant.Caller.Tenant, tenant.Caller.Project)
		return err
	})
	if !errors.Is(err, db.ErrReadOnly) && !errors.Is(err, db.ErrForbidden) {
		t.Errorf("a write in a View: %v", err)
	}
}

func TestLocksOfProjectsDoNotMeet(t *testing.T) {
	t.Parallel()
	s := setStage(t, dbtest.Open(t))
	first, second := s.Connect(t, "bulkhead_app"), s.Connect(t, "bulkhead_app")
	s.within(t, first, db.Clinical, &s.a.Caller, func(held pgx.Tx) {
		if _, err := held.Exec(bg, "SELECT app.lock('k')"); err != nil {
			t.Fatal(err)
		}
		s.within(t, second, db.Clinical, &s.b.Caller, func(tx pgx.Tx) {
			ctx, cancel := context.WithTimeout(bg, 5*time.Second)
			defer cancel()
			if _, err := tx.Exec(ctx, "SELECT app.lock('k')"); err != nil {
				t.Errorf("another tenant waits for this one's lock: %v", err)
			}
		})
		s.within(t, second, db.Clinical, &s.a.Caller, func(tx pgx.Tx) {
			if _, err := tx.Exec(bg, "SET LOCAL lock_timeout = '50ms'"); err != nil {
				t.Fatal(err)
			}
			if _, err := tx.Exec(bg, "SELECT app.lock('k')"); sqlstate(err) != "55P03" {
				t.Errorf("the same project does not wait: %v", err)
			}
		})
	})
}
