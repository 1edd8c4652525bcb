package server

import (
	"cmp"
	"hash/fnv"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"bulkhead/db"
	"bulkhead/server/access"
	"bulkhead/server/fhir"
	"bulkhead/server/search"
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

// resultParams say what a search answers with and not what it finds, so they have no place in
// criteria.
var resultParams = map[string]bool{
	"_count": true, "_sort": true, "_total": true, "_summary": true, "_elements": true, "_contained": true, "_containedType": true,
	"_include": true, "_revinclude": true, "_include:iterate": true, "_revinclude:iterate": true, "_cursor": true,
}

// criterion reads the criteria of a conditional interaction or reference. They are always taken
// strictly: what is left out would make a write hit more than was meant. The statement yields one
// hit more than most, if there are so many.
func (r *request) criterion(typ, query string, most int) (*criterion, error) {
	pairs, err := search.Pairs(strings.TrimPrefix(query, "?"))
	if err != nil {
		return nil, err
	}
	pairs = slices.DeleteFunc(pairs, func(p search.Pair) bool { return p.Name == "_format" || p.Name == "_pretty" })
	if len(pairs) == 0 {
		return nil, fhir.Errorf(fhir.Required, "A conditional interaction needs search criteria.")
	}
	for _, p := range pairs {
		if resultParams[p.Name] {
			return nil, fhir.Errorf(fhir.NotSupported, "%s cannot be part of criteria.", p.Name).At(p.Name)
		}
		if p.Value == "" {
			return nil, fhir.Errorf(fhir.ValueInvalid, "A criterion must have a value.").At(p.Name)
		}
	}
	slices.SortFunc(pairs, func(a, b search.Pair) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Value, b.Value)) })
	found, err := r.parseSearch(search.Request{Type: typ, Pairs: pairs, Base: r.base, Now: time.Now()})
	if err != nil {
		return nil, err
	}
	if err := r.permitReached(found); err != nil {
		return nil, err
	}
	if err := r.permitReached(found); err != nil {
		return nil, err
	}
	found.Count = most
	s := found.Page(r.scope(), nil)
	text := typ + "?" + found.Query()
	return &criterion{typ: typ, text: text, key: lockKey(text), statement: db.Statement{SQL: s.SQL, Args: s.Args}}, nil
}

// criteria reads the criteria of a conditional interaction from its header or the query of its
// URL. Without any, the interaction would be about every resource of the type.
func (r *request) criteria(query string, most int) (*criterion, error) {
	if strings.Trim(query, "?& ") == "" {
		return nil, fhir.Errorf(fhir.Required, "A conditional interaction needs search criteria.")
	}
	if err := r.permit(r.typ, access.Search); err != nil {
		return nil, err
	}
	return r.criterion(r.typ, query, most)
}

// find looks for what c asks for. It holds the lock of the criteria until the transaction ends, so
// that of two writers on the same criteria the second sees what the first did.
func (r *request) find(tx *db.Tx, c *criterion) error {
	found, err := tx.SearchAll(r.ctx(), []string{c.key}, []db.Statement{c.statement})
	if err != nil {
		return err
	}
	c.hits = found[0]
	return nil
}

// lockHit locks a resource that was found. When it has changed in between it may match no more, and
// the transaction is to start over: that is what db.ErrConflict brings about.
func (r *request) lockHit(tx *db.Tx, typeID int16, hit *db.Hit) (*held, error) {
	old, err := r.lock(tx, typeID, hit.ID)
	if err == nil && (old == nil || old.deleted || old.version != hit.Version) {
		err = db.ErrConflict
	}
	return old, err
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
