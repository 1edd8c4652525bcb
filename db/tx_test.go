package db_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

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

// trips counts round trips: each batch is one, and so is each statement outside of a batch.
type trips struct{ n, statements atomic.Int64 }

func (c *trips) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	c.n.Add(1)
	c.statements.Add(1)
	return ctx
}
func (c *trips) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
func (c *trips) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	c.n.Add(1)
	return ctx
}

func (c *trips) TraceBatchQuery(_ context.Context, _ *pgx.Conn, _ pgx.TraceBatchQueryData) {
	c.statements.Add(1)
}
func (c *trips) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// openWith opens the shared database with a tracer and a pool of one connection.
func openWith(t *testing.T, d *dbtest.Database, tracer pgx.QueryTracer) *db.DB {
	t.Helper()
	config := d.Config()
	config.Tracer, config.MaxConns = tracer, 1
	opened, err := db.Open(context.Background(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(opened.Close)
	return opened
}

func TestRoundTrips(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t)
	tenant := d.NewTenant(t)
	count := &trips{}
	traced := openWith(t, d, count)
	ctx := context.Background()
	lock := func(tx *db.Tx, last bool) error {
		q := tx.Queries
		if last {
			q = tx.Last()
		}
		return q.Lock(ctx, "k")
	}
	for _, c := range []struct {
		name string
		want int64
		run  func() error
	}{
		{"a view of one statement", 1, func() error {
			return traced.View(ctx, db.Clinical, tenant.Caller, func(v *db.View) error { return v.Lock(ctx, "k") })
		}},
		{"a view of two statements", 2, func() error {
			return traced.View(ctx, db.Clinical, tenant.Caller, func(v *db.View) error {
				return errors.Join(v.Lock(ctx, "k"), v.Lock(ctx, "l"))
			})
		}},
		{"an update whose one statement is the last", 1, func() error {
			return traced.Update(ctx, db.Clinical, tenant.Caller, func(tx *db.Tx) error { return lock(tx, true) })
		}},
		{"an update of two statements", 2, func() error {
			return traced.Update(ctx, db.Clinical, tenant.Caller, func(tx *db.Tx) error {
				return errors.Join(lock(tx, false), lock(tx, true))
			})
		}},
		{"an update that does not say which statement is the last", 2, func() error {
			return traced.Update(ctx, db.Clinical, tenant.Caller, func(tx *db.Tx) error { return lock(tx, false) })
		}},
	} {
		for range 2 { // the first run prepares the statements
			count.n.Store(0)
			if err := c.run(); err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
		}
		if got := count.n.Load(); got != c.want {
			t.Errorf("%s: %d round trips, want %d", c.name, got, c.want)
		}
	}
}

func TestNothingRunsAfterTheLastStatement(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t)
	tenant, ctx := d.NewTenant(t), context.Background()
	err := d.Update(ctx, db.Clinical, tenant.Caller, func(tx *db.Tx) error {
		if err := tx.Last().Lock(ctx, "k"); err != nil {
			t.Error(err)
		}
		return tx.Lock(ctx, "l")
	})
	if err == nil {
		t.Error("a statement ran after the last one")
	}
}

func TestAnErrorRollsEverythingBack(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t)
	tenant, ctx := d.NewTenant(t), context.Background()
	refused := errors.New("refused")
	err := d.Update(ctx, db.Identity, tenant.System, func(tx *db.Tx) error {
		if _, err := tx.CreateProject(ctx, "half", "Half", "r4", nil); err != nil {
			t.Error(err)
		}
		return refused
	})
	if !errors.Is(err, refused) {
		t.Error(err)
	}
	if _, err := d.FindProject(ctx, tenant.Slug, "half"); !errors.Is(err, db.ErrNoProject) {
		t.Errorf("half a project: %v", err)
	}
}

func TestDeadlocksAreRunAgain(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t)
	tenant, ctx := d.NewTenant(t), context.Background()
	var both sync.WaitGroup
	both.Add(2)
	var meet [2]sync.Once
	cross := func(i int, first, second string) error {
		return d.Update(ctx, db.Clinical, tenant.Caller, func(tx *db.Tx) error {
			if err := tx.Lock(ctx, first); err != nil {
				return err
			}
			meet[i].Do(func() { both.Done(); both.Wait() }) // each holds one lock, then asks for the other's
			return tx.Lock(ctx, second)
		})
	}
	errs := make(chan error, 2)
	go func() { errs <- cross(0, "a", "b") }()
	go func() { errs <- cross(1, "b", "a") }()
	for range 2 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

func TestALostConnectionIsUnavailableOrUnknown(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t)
	tenant, ctx := d.NewTenant(t), context.Background()
	opened := openWith(t, d, nil)
	super := d.Connect(t, "")
	kill := func(tx *db.Tx) error {
		if err := tx.Lock(ctx, "k"); err != nil {
			return err
		}
		_, err := super.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()
			AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
			AND objid::bigint = (hashtextextended($1, 0) & 4294967295)`,
			fmt.Sprintf("%d,%d,k", tenant.Caller.Tenant, tenant.Caller.Project))
		return err
	}
	err := opened.Update(ctx, db.Clinical, tenant.Caller, func(tx *db.Tx) error {
		if err := kill(tx); err != nil {
			return err
		}
		return tx.Lock(ctx, "l")
	})
	if !errors.Is(err, db.ErrUnavailable) {
		t.Errorf("in the middle: %v", err)
	}
	if err := opened.Update(ctx, db.Clinical, tenant.Caller, kill); !errors.Is(err, db.ErrUnknownOutcome) && !errors.Is(err, db.ErrUnavailable) {
		t.Errorf("at the commit: %v", err)
	}
	if err := opened.View(ctx, db.Clinical, tenant.Caller, func(v *db.View) error { return v.Lock(ctx, "k") }); err != nil {
		t.Errorf("the pool does not recover: %v", err)
	}
}

func TestDeletingAProjectLeavesNothing(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t)
	tenant, ctx := d.NewTenant(t), context.Background()
	if err := insert(t, d.DB, tenant.Caller, "x", "{}"); err != nil {
		t.Fatal(err)
	}
	if err := d.DeleteProject(ctx, tenant.Caller.Tenant, db.SystemProject, nil); !errors.Is(err, db.ErrForbidden) {
		t.Errorf("system: %v", err)
	}
	var removed int64
	if err := d.DeleteProject(ctx, tenant.Caller.Tenant, tenant.Caller.Project, func(n int64) { removed = max(removed, n) }); err != nil || removed == 0 {
		t.Fatalf("%d rows, %v", removed, err)
	}
	if _, err := read(d.DB, tenant.Caller, "x"); !errors.Is(err, db.ErrNoProject) {
		t.Errorf("after the deletion: %v", err)
	}
	var left int
	super := d.Connect(t, "")
	if err := super.QueryRow(ctx, "SELECT count(*) FROM resource WHERE tenant_id = $1", tenant.Caller.Tenant).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d rows are left, %v", left, err)
	}
	if err := d.DeleteTenant(ctx, tenant.Caller.Tenant, nil); err != nil {
		t.Fatal(err)
	}
	if err := super.QueryRow(ctx, "SELECT count(*) FROM directory.project WHERE tenant_id = $1", tenant.Caller.Tenant).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d projects are left, %v", left, err)
	}
}
