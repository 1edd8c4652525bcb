package db_test

import (
	"context"
	"testing"

	"bulkhead/db"
	"bulkhead/db/dbtest"
)

const byID = `SELECT type, id, version, last_updated, body, rid, 'match', '' FROM resource WHERE tenant_id = $1 AND project_id = $2 AND type = 1 AND id = $3`

func TestSearchAllKeepsEachSearchApart(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t)
	tenant := d.NewTenant(t)
	for _, id := range []string{"a", "b"} {
		if err := insert(t, d.DB, tenant.Caller, id, `"`+id+`"`); err != nil {
			t.Fatal(err)
		}
	}
	ctx := context.Background()
	var statements []db.Statement
	for _, id := range []string{"b", "none", "a"} {
		statements = append(statements, db.Statement{SQL: byID, Args: []any{tenant.Caller.Tenant, tenant.Caller.Project, id}})
	}
	check := func(found [][]db.Hit, err error) error {
		if err == nil && (len(found) != 3 || len(found[0]) != 1 || found[0][0].ID != "b" || len(found[1]) != 0 || len(found[2]) != 1 || found[2][0].Body != `"a"`) {
			t.Errorf("found %v", found)
		}
		return err
	}
	if err := d.View(ctx, db.Clinical, tenant.Caller, func(v *db.View) error { return check(v.SearchAll(ctx, statements)) }); err != nil {
		t.Error(err)
	}
	if err := d.Update(ctx, db.Clinical, tenant.Caller, func(tx *db.Tx) error {
		return check(tx.SearchAll(ctx, []string{"k1", "k2"}, statements))
	}); err != nil {
		t.Error(err)
	}
	broken := append(statements[:1:1], db.Statement{SQL: "SELECT 1/0"})
	if err := d.Update(ctx, db.Clinical, tenant.Caller, func(tx *db.Tx) error {
		_, err := tx.SearchAll(ctx, nil, broken)
		return err
	}); err == nil {
		t.Error("a failed statement went unnoticed")
	}
}
