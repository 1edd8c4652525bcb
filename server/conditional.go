package server

import (
	"hash/fnv"
	"net/http"
	"strconv"

	"bulkhead/db"
	"bulkhead/server/fhir"
)

// criterion is what a conditional interaction or reference looks for.
type criterion struct {
	typ       string
	text      string // Type?query in the normal form, by which equal criteria are told
	key       string // the lock that conditional writes on these criteria take
	statement db.Statement
	hits      []db.Hit
}

// criteriaLocks bounds the locks that the criteria of one project can need: a bundle of thousands
// of conditional entries must not use up the lock table that all projects share. Two criteria that
// share a lock wait for one another, and that is all.
const criteriaLocks = 512

func lockKey(text string) string {
	h := fnv.New64a()
	h.Write([]byte(text))
	return "criteria " + strconv.FormatUint(h.Sum64()%criteriaLocks, 10)
}

// criterion reads the criteria of a conditional interaction or reference.
func (r *request) criterion(typ, query string) (*criterion, error) {
	return nil, fhir.Errorf(fhir.NotSupported, "Conditional references and interactions are not supported yet.").With(http.StatusBadRequest)
}

// one returns the only match, nil when there is none.
func (c *criterion) one() (*db.Hit, error) {
	switch len(c.hits) {
	case 0:
		return nil, nil
	case 1:
		return &c.hits[0], nil
	default:
		return nil, fhir.Errorf(fhir.MultipleHits, "The criteria match more than one resource.").With(http.StatusPreconditionFailed)
	}
}
