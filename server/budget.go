package server

import (
	"io"
	"sync"

	"bulkhead/server/fhir"
)

// budget bounds the memory that long bodies take together. A parsed body is several times as long
// as its text, so a few bundles of the greatest length at once could end the program; and half of
// the budget is the most that one tenant can have, so that it cannot shut out the others.
type budget struct {
	total int64

	mu      sync.Mutex
	taken   int64
	tenants map[int32]int64
}

// A body counts from shortBody on, in steps of bodyStep. Short ones are bounded by the number of
// connections.
const (
	shortBody = 1 << 20
	bodyStep  = 4 << 20
)

func newBudget(total int64) *budget { return &budget{total: total, tenants: map[int32]int64{}} }

// take reserves n bytes for a tenant, if there are as many.
func (b *budget) take(tenant int32, n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.taken+n > b.total || b.tenants[tenant]+n > b.total/2 {
		return false
	}
	b.taken += n
	b.tenants[tenant] += n
	return true
}

// give returns n bytes.
func (b *budget) give(tenant int32, n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.taken -= n
	if b.tenants[tenant] -= n; b.tenants[tenant] <= 0 {
		delete(b.tenants, tenant)
	}
}

// budgeted is a body that reserves what it grows to. The request gives it back at its end.
type budgeted struct {
	io.Reader
	r    *request
	read int64
}

func (b *budgeted) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	b.read += int64(n)
	for b.read > shortBody+b.r.reserved {
		if !b.r.server.bodies.take(b.r.project.Tenant, bodyStep) {
			return 0, fhir.Errorf(fhir.Throttled, "Too many long bodies are being read at the moment. Send the request again later.")
		}
		b.r.reserved += bodyStep
	}
	return n, err
}

// release gives back what the request's body has reserved.
func (r *request) release() {
	if r.reserved > 0 {
		r.server.bodies.give(r.project.Tenant, r.reserved)
		r.reserved = 0
	}
}
