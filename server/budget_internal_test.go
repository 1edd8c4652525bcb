package server

import (
	"errors"
	"io"
	"strings"
	"testing"

	"bulkhead/db"
	"bulkhead/server/fhir"
)

func TestLongBodiesShareABudget(t *testing.T) {
	t.Parallel()
	s := &Server{bodies: newBudget(4 * bodyStep)}
	read := func(tenant int32, n int) (*request, error) {
		r := &request{server: s, project: db.Project{Tenant: tenant}}
		_, err := io.Copy(io.Discard, &budgeted{Reader: io.LimitReader(endless{}, int64(n)), r: r})
		return r, err
	}
	one, err := read(1, 2*bodyStep)
	if err != nil {
		t.Fatal(err)
	}
	refused, err := read(1, shortBody+1)
	if told, ok := errors.AsType[*fhir.Error](err); !ok || told.Issues[0].Code != fhir.Throttled {
		t.Errorf("one tenant took more than half: %v", err)
	}
	refused.release()
	if _, err := read(1, shortBody); err != nil {
		t.Errorf("a short body: %v", err)
	}
	other, err := read(2, 2*bodyStep)
	if err != nil {
		t.Errorf("another tenant: %v", err)
	}
	one.release()
	other.release()
	one.release()
	if s.bodies.taken != 0 || len(s.bodies.tenants) != 0 {
		t.Errorf("not given back: %+v", s.bodies)
	}
}

// endless is a body without end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	return strings.NewReader(strings.Repeat("x", len(p))).Read(p)
}
