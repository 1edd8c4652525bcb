package oauth_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"

	"bulkhead/db"
)

// TestIdentityTablesStayInTheirTenant reads the tables with no condition but the walls: as the role
// that owns the rows, in another tenant's context, without a context, and as the clinical role.
func TestIdentityTablesStayInTheirTenant(t *testing.T) {
	t.Parallel()
	st := openStage(t)
	a, b := st.newClient(t), st.newClient(t)
	a.token(t)
	b.token(t)
	post(t, a.issuer+"/revoke", &a, "token", a.token(t))
	ctx := context.Background()
	own := func(c theClient) (clients int) {
		err := st.View(ctx, db.Identity, c.tenant.System, func(v *db.View) error {
			rows, err := v.ListClients(ctx, a.tenant.System.Tenant) // of a, whoever asks
			clients = len(rows)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return clients
	}
	if own(a) != 1 || own(b) != 0 {
		t.Errorf("a sees %d of a's clients, b sees %d", own(a), own(b))
	}
	tables := []string{"identity.client", "identity.signing_key", "identity.revoked_token", "identity.assertion_jti"}
	auth, app := st.Connect(t, "bulkhead_auth"), st.Connect(t, "bulkhead_app")
	for _, table := range tables {
		var rows int
		if err := auth.QueryRow(ctx, "SELECT count(*) FROM "+table).Scan(&rows); err != nil || rows != 0 {
			t.Errorf("%s without a context: %d rows, %v", table, rows, err)
		}
		if err := app.QueryRow(ctx, "SELECT count(*) FROM "+table).Scan(&rows); err == nil {
			t.Errorf("bulkhead_app reads %s", table)
		}
	}
}

// TestFirstTokensOfATenant: many at once find no key and agree on one.
func TestFirstTokensOfATenant(t *testing.T) {
	t.Parallel()
	st := openStage(t)
	c := st.newClient(t)
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			got := post(t, c.endpoint, &c, "grant_type", "client_credentials")
			if got.status != http.StatusOK || get(t, c.base+"/Patient", got.str("access_token")).status != http.StatusOK {
				t.Errorf("got %d %s", got.status, got.text)
			}
		})
	}
	wait.Wait()
	keys, err := st.server.Keys(t.Context(), c.tenant.System.Tenant)
	if err != nil || len(keys) != 2 {
		t.Errorf("%d keys, %v", len(keys), err)
	}
}

// TestASuspendedTenantHasNoIssuer: nothing answers below a suspended tenant.
func TestASuspendedTenantHasNoIssuer(t *testing.T) {
	t.Parallel()
	st := openStage(t)
	c := st.newClient(t)
	token := c.token(t)
	conn := st.Connect(t, "")
	if _, err := conn.Exec(context.Background(), "UPDATE directory.tenant SET state = 'suspended' WHERE id = $1", c.tenant.System.Tenant); err != nil {
		t.Fatal(err)
	}
	if got := post(t, c.endpoint, &c, "grant_type", "client_credentials"); got.status != http.StatusNotFound {
		t.Errorf("token: %d %s", got.status, got.text)
	}
	if got := get(t, c.base+"/Patient", token); got.status != http.StatusNotFound {
		t.Errorf("read: %d %s", got.status, got.text)
	}
}

// TestTokenTablesAreReadByKey explains what app.enter() and the token endpoint ask, on tables that
// were empty when they were planned and have no statistics.
func TestTokenTablesAreReadByKey(t *testing.T) {
	t.Parallel()
	st := openStage(t)
	c := st.newClient(t)
	conn := st.Connect(t, "")
	ctx := context.Background()
	for _, sql := range []string{
		"SELECT FROM identity.client WHERE tenant_id = $1 AND id = $2",
		"SELECT FROM identity.revoked_token WHERE tenant_id = $1 AND jti = $2",
		"SELECT FROM identity.signing_key WHERE tenant_id = $1 AND kid = $2",
	} {
		rows, err := conn.Query(ctx, "EXPLAIN "+sql, c.tenant.System.Tenant, "x")
		if err != nil {
			t.Fatal(err)
		}
		var plan string
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				t.Fatal(err)
			}
			plan += line + "\n"
		}
		if !strings.Contains(plan, "_pkey") || strings.Contains(plan, "Filter") {
			t.Errorf("%s:\n%s", sql, plan)
		}
	}
}
