package db_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"bulkhead/db"
	"bulkhead/db/dbtest"
)

// A tenant with 40 slow searches under way must not keep another one's read waiting.
func TestSlowSearchesOfOneTenantDoNotStarveAnother(t *testing.T) {
	t.Parallel()
	base := dbtest.Open(t)
	busy, other := base.NewTenant(t), base.NewTenant(t)
	if err := insert(t, base.DB, other.Caller, "x", "{}"); err != nil {
		t.Fatal(err)
	}
	config := base.Config()
	config.MaxConns = 4
	d, err := db.Open(context.Background(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()

	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			_ = d.View(ctx, db.Clinical, busy.Caller, func(v *db.View) error {
				_, err := v.Search(ctx, "SELECT 1::smallint, '', 1, now(), '', 1::bigint, '' FROM pg_sleep(20)", nil)
				return err
			})
		})
	}
	start := time.Now()
	for range 20 {
		if body, err := read(d, other.Caller, "x"); err != nil || body != "{}" {
			t.Fatalf("%q, %v", body, err)
		}
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("the reads took %v", took)
	}
	cancel()
	wg.Wait()
}

func TestATenantBeyondItsShareIsToldSo(t *testing.T) {
	t.Parallel()
	base := dbtest.Open(t)
	tenant := base.NewTenant(t)
	config := base.Config()
	config.MaxConns = 1
	d, err := db.Open(context.Background(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	busy := make(chan error, 100)
	for range 100 {
		wg.Go(func() {
			busy <- d.View(ctx, db.Clinical, tenant.Caller, func(v *db.View) error {
				<-ctx.Done()
				return nil
			})
		})
	}
	if err := <-busy; !errors.Is(err, db.ErrBusy) {
		t.Errorf("got %v", err)
	}
	cancel()
	wg.Wait()
}
