package db

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// ErrBusy says that a tenant has all its share of the connections in use and too many requests
// waiting for them.
var ErrBusy = errors.New("the tenant has too many requests under way")

// What a tenant may wait for its share: how long, and how many at once for each connection of it.
const (
	busyWait  = 10 * time.Second
	busyQueue = 32
)

// shares keeps one tenant from taking every connection of a pool: each may hold half of them at
// most, so that another tenant's read is served however slow the searches of the first are. Those
// beyond the share wait in order, for a bounded time.
type shares struct {
	each int64

	mu      sync.Mutex
	tenants map[int32]*share
}

// share is a tenant's part of a pool while anyone uses or waits for it.
type share struct {
	slots *semaphore.Weighted
	users int64
}

func newShares(connections int32) *shares {
	return &shares{each: int64(max(1, connections/2)), tenants: map[int32]*share{}}
}

// take waits for one connection's worth of the tenant's share; release gives it back.
func (s *shares) take(ctx context.Context, tenant int32) (release func(), err error) {
	s.mu.Lock()
	own := s.tenants[tenant]
	if own == nil {
		own = &share{slots: semaphore.NewWeighted(s.each)}
		s.tenants[tenant] = own
	}
	if own.users >= s.each*(1+busyQueue) {
		s.mu.Unlock()
		return nil, ErrBusy
	}
	own.users++
	s.mu.Unlock()

	leave := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if own.users--; own.users == 0 {
			delete(s.tenants, tenant)
		}
	}
	if !own.slots.TryAcquire(1) {
		wait, cancel := context.WithTimeout(ctx, busyWait)
		defer cancel()
		if err := own.slots.Acquire(wait, 1); err != nil {
			leave()
			if ctx.Err() == nil {
				return nil, ErrBusy
			}
			return nil, classify(ctx.Err())
		}
	}
	return func() {
		own.slots.Release(1)
		leave()
	}, nil
}
