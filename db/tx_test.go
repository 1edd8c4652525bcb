package db_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"bulkhead/db"
	"bulkhead/db/dbsqlc"
	"bulkhead/db/dbtest"
)

// insert stores a bare resource, without an index.
func insert(t *testing.T, d *db.DB, c db.Caller, id, body string) error {
	t.Helper()
	ctx := context.Background()
	return d.Update(ctx, db.Clinical, c, func(tx *db.Tx) error {
		return tx.Last().InsertResources(ctx, dbsqlc.InsertResourcesParams{
			TenantID: c.Tenant, ProjectID: c.Project, Types: []int16{1}, Ids: []string{id}, Rids: []int64{time.Now().UnixNano()},
			LastUpdated: time.Now(), Methods: []string{"POST"}, Tokens: []string{"{}"}, Bodies: []string{body},
		})
	})
}

func read(d *db.DB, c db.Caller, id string) (string, error) {
	ctx := context.Background()
	var row dbsqlc.ReadResourceRow
	err := d.View(ctx, db.Clinical, c, func(v *db.View) (err error) {
		row, err = v.ReadResource(ctx, dbsqlc.ReadResourceParams{TenantID: c.Tenant, ProjectID: c.Project, Type: 1, ID: id})
		return err
	})
	return row.Body, err
}

func TestAResourceIsReadOnlyInItsProject(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t)
	a, b := d.NewTenant(t), d.NewTenant(t)
	if err := insert(t, d.DB, a.Caller, "x", "{}"); err != nil {
		t.Fatal(err)
	}
	if body, err := read(d.DB, a.Caller, "x"); err != nil || body != "{}" {
		t.Fatalf("own row: %q, %v", body, err)
	}
	for name, c := range map[string]db.Caller{"another tenant": b.Caller, "another project": d.NewProject(t, a, "other", "r4"), "project system": a.System} {
		if _, err := read(d.DB, c, "x"); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
