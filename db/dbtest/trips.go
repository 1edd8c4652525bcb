package dbtest

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"bulkhead/db"
)

// Trips counts round trips: each batch is one, and so is each statement outside of a batch.
type Trips struct{ n atomic.Int64 }

// Counted opens d once more, with a pool of one connection, counting its round trips.
func Counted(t testing.TB, d *Database) (*db.DB, *Trips) {
	t.Helper()
	trips := &Trips{}
	config := d.Config()
	config.Tracer, config.MaxConns = trips, 1
	opened, err := db.Open(context.Background(), config)
	if err != nil {
		t.Fatalf("dbtest: %v", err)
	}
	t.Cleanup(opened.Close)
	return opened, trips
}

// During says how many round trips fn took.
func (c *Trips) During(fn func()) int64 {
	before := c.n.Load()
	fn()
	return c.n.Load() - before
}

// TraceQueryStart makes Trips a pgx.QueryTracer.
func (c *Trips) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	c.n.Add(1)
	return ctx
}

// TraceQueryEnd makes Trips a pgx.QueryTracer.
func (c *Trips) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// TraceBatchStart makes Trips a pgx.BatchTracer.
func (c *Trips) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	c.n.Add(1)
	return ctx
}

// TraceBatchQuery makes Trips a pgx.BatchTracer.
func (c *Trips) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

// TraceBatchEnd makes Trips a pgx.BatchTracer.
func (c *Trips) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}
