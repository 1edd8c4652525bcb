package policies

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Finding is one thing that does not hold, and what mends it.
type Finding struct {
	Object  string `json:"object"` // table, role, function or setting
	Problem string `json:"problem"`
	Remedy  string `json:"remedy"`
}

func (f Finding) String() string { return f.Object + ": " + f.Problem + " (" + f.Remedy + ")" }

const reinstall = "run `bulkhead migrate up`, which puts up every policy and grant anew"

// walls is the canonical text of each class's wall as pg_get_expr prints it on every supported
// version, white space folded. %s is the tenant column.
var walls = map[string]string{
	"clinical":  "((tenant_id, project_id) = ( SELECT c.tenant_id, c.project_id FROM app.context() c(tenant_id, project_id)))",
	"identity":  "((tenant_id, project_id) = ( SELECT c.tenant_id, c.project_id FROM app.context() c(tenant_id, project_id)))",
	"tenant":    "(tenant_id = ( SELECT c.tenant_id FROM app.context() c(tenant_id, project_id)))",
	"directory": "((CURRENT_USER = ANY (ARRAY['bulkhead_operator'::name, 'bulkhead_ctx'::name])) OR (%s = ( SELECT c.tenant_id FROM app.context() c(tenant_id, project_id))))",
	"internal":  "(CURRENT_USER = 'bulkhead_owner'::name)",
	"key":       "", // no policy at all: nobody but the owner sees a row
}

// planes says which runtime role may hold grants on the tables of a class.
var planes = map[string][]string{
	"clinical":  {"bulkhead_app"},
	"identity":  {"bulkhead_auth"},
	"tenant":    {"bulkhead_auth"},
	"directory": {"bulkhead_operator", "bulkhead_auth"},
}

var runtimeRoles = []string{"bulkhead_app", "bulkhead_auth", "bulkhead_operator", "bulkhead_auditor"}

// Check reads the catalogue over conn, as any role, and returns everything by which a tenant could
// reach another. The server does not start while there is anything.
func Check(ctx context.Context, conn *pgx.Conn) ([]Finding, error) {
	var all []Finding
	for _, check := range []func(context.Context, *pgx.Conn) ([]Finding, error){
		checkVersion, checkRoles, checkTables, checkWalls, checkIndexes, checkTableGrants, checkFunctions, checkPrivileges,
	} {
		found, err := check(ctx, conn)
		if err != nil {
			return nil, fmt.Errorf("policies: %w", err)
		}
		all = append(all, found...)
	}
	return all, nil
}

// CheckSession returns what is wrong with the role that conn is connected as, when it should be
// the login role called want.
func CheckSession(ctx context.Context, conn *pgx.Conn, want string) ([]Finding, error) {
	var session, current string
	if err := conn.QueryRow(ctx, "SELECT session_user, current_user").Scan(&session, &current); err != nil {
		return nil, fmt.Errorf("policies: %w", err)
	}
	if session != want || current != want {
		return []Finding{{"role " + session, "the connection should be " + want + "'s", "set that role's URL; no other role is subject to the walls it needs"}}, nil
	}
	return nil, nil
}

// rows runs a query of text columns and gathers what judge has to say of each row.
func rows(ctx context.Context, conn *pgx.Conn, sql string, args []any, judge func(values []string) []Finding) ([]Finding, error) {
	result, err := conn.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	defer result.Close()
	var found []Finding
	for result.Next() {
		values := make([]string, len(result.FieldDescriptions()))
		targets := make([]any, len(values))
		for i := range values {
			targets[i] = &values[i]
		}
		if err := result.Scan(targets...); err != nil {
			return nil, err
		}
		found = append(found, judge(values)...)
	}
	return found, result.Err()
}

// fixed are the first releases of each major version without CVE-2025-8713, by which optimizer
// statistics told of rows behind row-level security.
var fixed = map[int]int{15: 14, 16: 10, 17: 6}

func checkVersion(ctx context.Context, conn *pgx.Conn) ([]Finding, error) {
	var number int
	if err := conn.QueryRow(ctx, "SELECT current_setting('server_version_num')::int").Scan(&number); err != nil {
		return nil, err
	}
	major, minor := number/10000, number%10000
	if major < 15 || minor < fixed[major] {
		return []Finding{{
			fmt.Sprintf("PostgreSQL %d.%d", major, minor), "row-level security of this release has a known leak (CVE-2025-8713), or it is too old",
			"upgrade to 15.14, 16.10, 17.6, 18 or newer",
		}}, nil
	}
	return nil, nil
}

func checkRoles(ctx context.Context, conn *pgx.Conn) ([]Finding, error) {
	wanted := append([]string{"bulkhead_owner", "bulkhead_ctx"}, LoginRoles...)
	found, err := rows(ctx, conn, `
		SELECT w.name, (r.rolname IS NULL)::text, coalesce(r.rolsuper OR r.rolbypassrls OR r.rolreplication OR r.rolcreaterole OR r.rolcreatedb, false)::text,
		       coalesce(r.rolcanlogin, false)::text
		FROM unnest($1::text[]) AS w(name) LEFT JOIN pg_roles r ON r.rolname = w.name`, []any{wanted},
		func(v []string) []Finding {
			role := "role " + v[0]
			switch {
			case v[1] == "true":
				return []Finding{{role, "does not exist", "run `bulkhead migrate up` with an administrator's URL"}}
			case v[2] == "true":
				return []Finding{{role, "has SUPERUSER, BYPASSRLS, REPLICATION, CREATEROLE or CREATEDB", "ALTER ROLE " + v[0] + " NOSUPERUSER NOBYPASSRLS NOREPLICATION NOCREATEROLE NOCREATEDB"}}
			case v[3] == "true" && (v[0] == "bulkhead_owner" || v[0] == "bulkhead_ctx"):
				return []Finding{{role, "can log in", "ALTER ROLE " + v[0] + " NOLOGIN"}}
			}
			return nil
		})
	if err != nil {
		return nil, err
	}
	members, err := rows(ctx, conn, `
		SELECT m.rolname, g.rolname FROM pg_auth_members a JOIN pg_roles m ON m.oid = a.member JOIN pg_roles g ON g.oid = a.roleid
		WHERE m.rolname LIKE 'bulkhead\_%' AND NOT (m.rolname = 'bulkhead_migrator' AND g.rolname IN ('bulkhead_owner', 'bulkhead_ctx'))
		   OR g.rolname LIKE 'bulkhead\_%' AND m.rolname NOT LIKE 'bulkhead\_%' AND NOT m.rolsuper`, nil,
		func(v []string) []Finding {
			return []Finding{{"role " + v[0], "is a member of " + v[1], "REVOKE " + v[1] + " FROM " + v[0]}}
		})
	return append(found, members...), err
}

// tables is every relation that can hold or show rows and is not Postgres's own.
const tables = `
	SELECT c.oid, c.oid::regclass::text AS name, c.relkind, c.relrowsecurity, c.relforcerowsecurity, c.relowner, c.relacl,
	       coalesce(substring(obj_description(c.oid, 'pg_class') FROM 'class: (\w+)'), '') AS class,
	       coalesce(obj_description(c.oid, 'pg_class') LIKE '%, read by enter', false) AS read_by_enter
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE c.relkind IN ('r', 'p', 'f', 'm', 'v') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\_%'`

func checkTables(ctx context.Context, conn *pgx.Conn) ([]Finding, error) {
	return rows(ctx, conn, `SELECT name, relkind::text, relrowsecurity::text, relforcerowsecurity::text, relowner::regrole::text, class FROM (`+tables+`) t ORDER BY name`, nil,
		func(v []string) (found []Finding) {
			table := "table " + v[0]
			if _, known := walls[v[5]]; !known {
				return []Finding{{table, "has no known class", "say it in the migration that makes the table: COMMENT ON TABLE " + v[0] + " IS 'class: ...'"}}
			}
			if v[1] != "r" && v[1] != "p" {
				found = append(found, Finding{table, "is a view, materialized view or foreign table", "drop it; rows behind it escape the walls"})
			}
			if v[2] != "true" || v[3] != "true" && v[5] != "key" {
				found = append(found, Finding{table, "row-level security is not enabled and forced", reinstall})
			}
			owner := "bulkhead_owner"
			if v[5] == "key" {
				owner = "bulkhead_ctx"
			}
			if v[4] != owner {
				found = append(found, Finding{table, "belongs to " + v[4], "ALTER TABLE " + v[0] + " OWNER TO " + owner})
			}
			return found
		})
}

func checkWalls(ctx context.Context, conn *pgx.Conn) ([]Finding, error) {
	found, err := rows(ctx, conn, `
		SELECT t.name, t.class, t.read_by_enter::text, (p.polname IS NULL)::text, coalesce(p.polpermissive, false)::text, coalesce(p.polcmd::text, ''), coalesce(p.polroles::text, ''),
		       coalesce(regexp_replace(pg_get_expr(p.polqual, p.polrelid), '\s+', ' ', 'g'), ''),
		       coalesce(regexp_replace(pg_get_expr(p.polwithcheck, p.polrelid), '\s+', ' ', 'g'), '')
		FROM (`+tables+`) t LEFT JOIN pg_policy p ON p.polrelid = t.oid AND p.polname = 'wall' WHERE t.class <> '' ORDER BY t.name`, nil,
		func(v []string) []Finding {
			if _, known := walls[v[1]]; !known {
				return nil // checkTables says so
			}
			table, want := "table "+v[0], wallOf(v[0], v[1], v[2] == "true")
			switch {
			case v[1] == "key" && v[3] == "true":
				return nil
			case v[3] == "true":
				return []Finding{{table, "has no wall", reinstall}}
			case v[4] == "true" || v[5] != "*" || v[6] != "{0}" || v[7] != want || v[8] != want:
				return []Finding{{table, "its wall is not RESTRICTIVE FOR ALL TO PUBLIC with the canonical text: " + v[7], reinstall}}
			}
			return nil
		})
	if err != nil {
		return nil, err
	}
	wider, err := rows(ctx, conn, `
		SELECT t.name, p.polname, r.rolname FROM (`+tables+`) t JOIN pg_policy p ON p.polrelid = t.oid AND p.polpermissive
		LEFT JOIN LATERAL (SELECT CASE WHEN o = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(o) END AS rolname FROM unnest(p.polroles) o) r ON true
		WHERE t.class = 'key' OR p.polname <> replace(r.rolname, 'bulkhead_', '') OR r.rolname NOT LIKE 'bulkhead\_%'`, nil,
		func(v []string) []Finding {
			return []Finding{{"table " + v[0], "the permissive policy " + v[1] + " for " + v[2] + " is not one of ours", reinstall}}
		})
	return append(found, wider...), err
}

func wallOf(table, class string, readByEnter bool) string {
	column := "tenant_id"
	if table == "directory.tenant" {
		column = "id"
	}
	wall := strings.Replace(walls[class], "%s", column, 1)
	if readByEnter && class == "tenant" {
		return "((CURRENT_USER = 'bulkhead_ctx'::name) OR " + wall + ")"
	}
	return wall
}

// checkIndexes holds that no key, and no index, can tell of another tenant's rows.
func checkIndexes(ctx context.Context, conn *pgx.Conn) ([]Finding, error) {
	return rows(ctx, conn, `
		SELECT t.name, i.indexrelid::regclass::text, t.class, coalesce(a1.attname, ''), coalesce(a2.attname, '')
		FROM (`+tables+`) t JOIN pg_index i ON i.indrelid = t.oid
		LEFT JOIN pg_attribute a1 ON a1.attrelid = t.oid AND a1.attnum = i.indkey[0]
		LEFT JOIN pg_attribute a2 ON a2.attrelid = t.oid AND i.indnatts > 1 AND a2.attnum = i.indkey[1]
		WHERE t.class IN ('clinical', 'identity', 'tenant') ORDER BY 1, 2`, nil,
		func(v []string) []Finding {
			if v[3] == "tenant_id" && (v[2] == "tenant" || v[4] == "project_id") {
				return nil
			}
			return []Finding{{"index " + v[1], "does not begin with tenant_id, project_id", "drop it and make it anew with them in front"}}
		})
}

func checkTableGrants(ctx context.Context, conn *pgx.Conn) ([]Finding, error) {
	return rows(ctx, conn, `
		SELECT t.name, t.class, CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END, a.privilege_type
		FROM (`+tables+`) t, LATERAL (
		  SELECT * FROM aclexplode(t.relacl)
		  UNION SELECT x.* FROM pg_attribute c, aclexplode(c.attacl) x WHERE c.attrelid = t.oid AND c.attacl IS NOT NULL) a
		WHERE a.grantee <> t.relowner ORDER BY 1, 3, 4`, nil,
		func(v []string) []Finding {
			if v[2] == "bulkhead_ctx" && v[3] == "SELECT" {
				return nil // what enter() looks up
			}
			for _, role := range planes[v[1]] {
				if role == v[2] && strings.Contains("SELECT INSERT UPDATE DELETE", v[3]) {
					return nil
				}
			}
			return []Finding{{"table " + v[0], v[2] + " has " + v[3], "REVOKE " + v[3] + " ON " + v[0] + " FROM " + v[2]}}
		})
}

// checkFunctions finds code that runs with another role's rights and is not ours, or can be led
// astray by a search_path.
func checkFunctions(ctx context.Context, conn *pgx.Conn) ([]Finding, error) {
	return rows(ctx, conn, `
		SELECT p.oid::regprocedure::text, n.nspname, p.proowner::regrole::text,
		       coalesce('search_path=pg_catalog, pg_temp' = ANY (p.proconfig), false)::text, p.prosecdef::text, p.proleakproof::text
		FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
		WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\_%' AND (p.prosecdef OR p.proleakproof OR n.nspname = 'app')`, nil,
		func(v []string) (found []Finding) {
			function := "function " + v[0]
			if v[4] == "true" && (v[1] != "app" || v[2] != "bulkhead_ctx") {
				found = append(found, Finding{function, "is SECURITY DEFINER and not one of ours", "drop it"})
			}
			if v[3] != "true" {
				found = append(found, Finding{function, "has no fixed search_path", reinstall})
			}
			if v[5] == "true" {
				found = append(found, Finding{function, "is LEAKPROOF", "ALTER FUNCTION " + v[0] + " NOT LEAKPROOF"})
			}
			return found
		})
}

// checkPrivileges looks for what bootstrap.sql took away and someone gave back.
func checkPrivileges(ctx context.Context, conn *pgx.Conn) ([]Finding, error) {
	found, err := rows(ctx, conn, `
		SELECT r.name, p.oid::regprocedure::text
		FROM unnest($1::text[]) AS r(name), pg_proc p
		WHERE p.pronamespace = 'pg_catalog'::regnamespace
		  AND (p.proname IN ('set_config', 'lowrite', 'loread', 'pg_notify', 'pg_cancel_backend', 'pg_terminate_backend')
		    OR p.proname ~ '^(query|table|schema|database|cursor)_to_xml' OR p.proname ~ '^lo_' OR p.proname ~ '^pg_(try_)?advisory_')
		  AND to_regrole(r.name) IS NOT NULL AND has_function_privilege(r.name, p.oid, 'EXECUTE')`, []any{runtimeRoles},
		func(v []string) []Finding {
			return []Finding{{"function " + v[1], v[0] + " may execute it", "REVOKE EXECUTE ON FUNCTION " + v[1] + " FROM PUBLIC, " + v[0]}}
		})
	if err != nil {
		return nil, err
	}
	places, err := rows(ctx, conn, `
		SELECT r.name, 'database ' || current_database(), 'TEMPORARY' FROM unnest($1::text[]) AS r(name)
		WHERE to_regrole(r.name) IS NOT NULL AND has_database_privilege(r.name, current_database(), 'TEMPORARY')
		UNION ALL
		SELECT r.name, 'database ' || current_database(), 'CREATE' FROM unnest($1::text[]) AS r(name)
		WHERE to_regrole(r.name) IS NOT NULL AND has_database_privilege(r.name, current_database(), 'CREATE')
		UNION ALL
		SELECT r.name, 'schema ' || n.nspname, 'CREATE' FROM unnest($1::text[]) AS r(name), pg_namespace n
		WHERE to_regrole(r.name) IS NOT NULL AND n.nspname NOT LIKE 'pg\_%' AND has_schema_privilege(r.name, n.oid, 'CREATE')`, []any{runtimeRoles},
		func(v []string) []Finding {
			return []Finding{{v[1], v[0] + " has " + v[2], "REVOKE " + v[2] + " ON " + v[1] + " FROM PUBLIC, " + v[0]}}
		})
	return append(found, places...), err
}
