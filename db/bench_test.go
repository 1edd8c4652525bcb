package db_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"bulkhead/db"
	"bulkhead/db/dbsqlc"
	"bulkhead/db/dbtest"
)

// The price of isolation: a point read through the signed context and the walls, and the same
// statement on the same row by a superuser, whom no wall stops.
func BenchmarkRead(b *testing.B) {
	d := dbtest.Open(b)
	tenant, ctx := d.NewTenant(b), context.Background()
	c := tenant.Caller
	var p dbsqlc.InsertResourcesParams
	for i := range 1000 {
		p.Types, p.Ids, p.Rids = append(p.Types, 1), append(p.Ids, strconv.Itoa(i)), append(p.Rids, int64(i))
		p.Methods, p.Tokens, p.Bodies = append(p.Methods, "POST"), append(p.Tokens, "{}"), append(p.Bodies, "{}")
	}
	p.TenantID, p.ProjectID, p.LastUpdated = c.Tenant, c.Project, time.Now()
	if err := d.Update(ctx, db.Clinical, c, func(tx *db.Tx) error { return tx.Last().InsertResources(ctx, p) }); err != nil {
		b.Fatal(err)
	}
	args := func(i int) dbsqlc.ReadResourceParams {
		return dbsqlc.ReadResourceParams{TenantID: c.Tenant, ProjectID: c.Project, Type: 1, ID: strconv.Itoa(i % 1000)}
	}
	b.Run("walled", func(b *testing.B) {
		meter := d.NewMeter(b)
		for i := range b.N {
			if err := d.View(ctx, db.Clinical, c, func(v *db.View) error {
				_, err := v.ReadResource(ctx, args(i))
				return err
			}); err != nil {
				b.Fatal(err)
			}
		}
		meter.Report(b)
	})
	b.Run("superuser", func(b *testing.B) {
		q := dbsqlc.New(d.Connect(b, ""))
		meter := d.NewMeter(b)
		for i := range b.N {
			if _, err := q.ReadResource(ctx, args(i)); err != nil {
				b.Fatal(err)
			}
		}
		meter.Report(b)
	})
}
