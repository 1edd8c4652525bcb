package server

import (
	"cmp"
	"net/http"
	"slices"

	"bulkhead/db"
	"bulkhead/db/dbsqlc"
	"bulkhead/server/definition"
	"bulkhead/server/fhir"
	"bulkhead/server/search"
	"bulkhead/server/validate"
)

// transaction is a transaction Bundle on its way into the database. Everything that needs no
// database is done before (plan); then, in a number of round trips that does not grow with the
// entries (run): lock and look up all conditions, lock all resources that change, write, read.
type transaction struct {
	r       *request
	steps   []*step
	urls    fullURLs
	conds   []*criterion       // of all entries and references, each once
	byQuery map[string]int     // Type?query to its place in conds
	owners  map[*criterion]int // the entry that creates what a criterion looks for
	writes  bool               // some entry's own condition is among conds: take the locks
}

// step is an entry of a transaction.
type step struct {
	*entry
	typ    string
	typeID int16
	id     string // of the resource that the entry is about
	own    string // the id that a new resource gets
	cond   *criterion
	value  fhir.Value // the resource with its id
	links  []link
	rows   *search.Rows
	refers []validate.Target

	search *searchPage // of a GET

	change *change
	found  *db.Hit // what ifNoneExist found: nothing is stored
}

// transaction stores all entries or none.
func (s *Server) transaction(r *request, entries []*entry) error {
	t := &transaction{r: r, byQuery: map[string]int{}, steps: make([]*step, len(entries))}
	for i, e := range entries {
		t.steps[i] = &step{entry: e}
		if e.err != nil {
			return e.err
		}
	}
	if err := t.plan(); err != nil {
		return err
	}
	if len(entries) == 0 {
		return nil
	}
	if err := r.write(db.Clinical, t.run); err != nil {
		return err
	}
	for _, p := range t.steps {
		t.answer(p)
	}
	return nil
}

// resolve returns what a conditional reference refers to: what an entry with the same criteria
// stands for, or the one resource that matches.
func (t *transaction) resolve(c *criterion) (string, error) {
	if n, ok := t.owners[c]; ok {
		return t.steps[n].typ + "/" + t.steps[n].id, nil
	}
	hit, err := c.one()
	if err != nil {
		return "", err
	}
	if hit == nil {
		return "", fhir.Errorf(fhir.BusinessRule, "No resource of this project matches the conditional reference.")
	}
	return c.typ + "/" + hit.ID, nil
}

// run is the part inside the database transaction. It starts over when it has to run again.
func (t *transaction) run(tx *db.Tx) error {
	if err := t.lookUp(tx); err != nil {
		return err
	}
	if err := t.identify(); err != nil {
		return err
	}
	if len(t.conds) > 0 {
		for _, p := range t.steps {
			if err := t.relink(p, true); err != nil {
				return err
			}
		}
		if err := t.index(); err != nil {
			return err
		}
	}
	old, err := t.lockAll(tx)
	if err != nil {
		return err
	}
	var changes []*change
	reads := false
	for _, p := range t.steps {
		p.change = nil
		if p.method == http.MethodGet || p.method == http.MethodHead {
			reads = true
			continue
		}
		if p.found != nil {
			continue
		}
		if p.change, err = t.decide(p, old[key{p.typ, p.id}]); err != nil {
			return p.named(err, "")
		}
		if p.change != nil {
			changes = append(changes, p.change)
		}
	}
	// Always in the same order, so that two transactions that make the same resources wait for one
	// another and do not deadlock.
	slices.SortStableFunc(changes, func(a, b *change) int {
		return cmp.Or(cmp.Compare(a.typeID, b.typeID), cmp.Compare(a.id, b.id))
	})
	if len(changes) > 0 {
		if err := t.r.storeMany(t.r.ctx(), tx, !reads, changes); err != nil {
			return err
		}
	}
	if reads {
		return t.read(tx)
	}
	return nil
}

// lookUp runs all conditions in one round trip, behind the locks of those that decide on a write.
func (t *transaction) lookUp(tx *db.Tx) error {
	if len(t.conds) == 0 {
		return nil
	}
	var keys []string
	statements := make([]db.Statement, len(t.conds))
	for i, c := range t.conds {
		statements[i] = c.statement
		if t.writes {
			keys = append(keys, c.key)
		}
	}
	slices.Sort(keys)
	found, err := tx.SearchAll(t.r.ctx(), slices.Compact(keys), statements)
	for i := range found {
		t.conds[i].hits = found[i]
	}
	return err
}

// identify settles which resource each entry is about, and refuses two entries about the same.
func (t *transaction) identify() error {
	t.owners = map[*criterion]int{}
	taken := make(map[key]bool, len(t.steps))
	for _, p := range t.steps {
		p.found = nil
		if p.cond != nil {
			if err := p.named(t.identifyConditional(p), ""); err != nil {
				return err
			}
		}
		if p.found != nil || p.method == http.MethodGet || p.method == http.MethodHead || p.id == "" {
			continue
		}
		name := key{p.typ, p.id}
		if taken[name] {
			return fhir.Errorf(fhir.Invalid, "%s/%s is changed by another entry of this transaction too.", p.typ, p.id).At(p.at())
		}
		taken[name] = true
	}
	return nil
}

func (t *transaction) identifyConditional(p *step) error {
	hit, err := p.cond.one()
	if err != nil {
		return err
	}
	first, shared := t.owners[p.cond]
	switch {
	case p.method == http.MethodPost && hit == nil && shared:
		// Two entries would create the same: the second stands for what the first makes.
		p.id = t.steps[first].id
		p.found = &db.Hit{Type: p.typeID, ID: p.id}
		return nil
	case p.method == http.MethodPost && hit != nil:
		p.id, p.found = hit.ID, hit
	case p.method == http.MethodPost:
		p.id = p.own // an earlier run may have found another
	case p.method == http.MethodPut && hit != nil:
		if sent := p.resource.Get("id").Text(); sent != "" && sent != hit.ID {
			return fhir.Errorf(fhir.Invalid, "The id of the resource is not that of the one that matches the criteria.").At(p.at() + ".resource.id")
		}
		p.id = hit.ID
	case p.method == http.MethodPut:
		p.id = p.own
	case hit != nil:
		p.id = hit.ID
	case p.method == http.MethodPatch:
		return fhir.Errorf(fhir.NotFound, "No resource of this project matches the criteria.")
	default:
		p.id = "" // DELETE of what is not there
	}
	if p.method == http.MethodPost || p.method == http.MethodPut {
		t.owners[p.cond] = p.n
	}
	return nil
}

// lockAll locks the resources that are to change, in one round trip.
func (t *transaction) lockAll(tx *db.Tx) (map[key]*held, error) {
	lock := dbsqlc.LockResourcesParams{TenantID: t.r.caller.Tenant, ProjectID: t.r.caller.Project}
	for _, p := range t.steps {
		switch p.method {
		case http.MethodPut, http.MethodPatch, http.MethodDelete:
			if p.id != "" {
				lock.Types = append(lock.Types, p.typeID)
				lock.Ids = append(lock.Ids, p.id)
			}
		}
	}
	if lock.Ids == nil {
		return nil, nil
	}
	rows, err := tx.LockResources(t.r.ctx(), lock)
	if err != nil {
		return nil, err
	}
	old := make(map[key]*held, len(rows))
	for _, row := range rows {
		old[key{definition.TypeName(row.Type), row.ID}] = &held{
			rid: row.Rid, version: row.Version, lastUpdated: row.LastUpdated, deleted: row.Deleted, body: row.Body,
		}
	}
	return old, nil
}

// decide makes the change of an entry; nil if there is nothing to change.
func (t *transaction) decide(p *step, old *held) (*change, error) {
	if p.cond != nil {
		switch hit, _ := p.cond.one(); {
		case hit != nil && (old == nil || old.deleted || old.version != hit.Version):
			return nil, db.ErrConflict // as in lockHit
		case hit == nil && old != nil && !old.deleted:
			return nil, fhir.Errorf(fhir.Conflict, "Nothing matches the criteria, but there is another resource with this id.").At(p.at() + ".resource.id")
		}
	}
	if err := checkPreconditions(p.header, old); err != nil {
		return nil, err
	}
	switch p.method {
	case http.MethodDelete:
		if old == nil || old.deleted {
			return nil, nil
		}
		return deletion(p.typ, p.typeID, p.id, old), nil
	case http.MethodPatch:
		apply, err := t.r.entryPatch(p.resource)
		if err != nil {
			return nil, err
		}
		return t.r.patched(p.typ, p.typeID, p.id, old, apply, p.at()+".resource")
	}
	return &change{
		method: p.method, typ: p.typ, typeID: p.typeID, id: p.id, at: p.at() + ".resource",
		value: p.value, targets: p.refers, rows: p.rows, held: old,
	}, nil
}

// read answers the GETs, after all changes and in the same transaction, which does not end with it:
// what is not there undoes all.
func (t *transaction) read(tx *db.Tx) error {
	find := dbsqlc.ReadResourcesParams{TenantID: t.r.caller.Tenant, ProjectID: t.r.caller.Project}
	for _, p := range t.steps {
		switch {
		case p.method != http.MethodGet && p.method != http.MethodHead:
		case p.search == nil:
			find.Types = append(find.Types, p.typeID)
			find.Ids = append(find.Ids, p.id)
		}
	}
	if err := t.searchAll(tx); err != nil {
		return err
	}
	if find.Ids == nil {
		return nil
	}
	rows, err := tx.ReadResources(t.r.ctx(), find)
	if err != nil {
		return err
	}
	found := make(map[key]*dbsqlc.ReadResourcesRow, len(rows))
	for i := range rows {
		found[key{definition.TypeName(rows[i].Type), rows[i].ID}] = &rows[i]
	}
	for _, p := range t.steps {
		if p.search != nil || p.method != http.MethodGet && p.method != http.MethodHead {
			continue
		}
		row := found[key{p.typ, p.id}]
		switch {
		case row == nil:
			return p.named(notFound(), "")
		case row.Deleted:
			return p.named(t.r.gone(row.Version, row.LastUpdated), "")
		}
		p.answer = fhir.BundleResponse{Status: http.StatusOK, ETag: etag(row.Version), LastModified: row.LastUpdated}
		if tags := p.header.Values("If-None-Match"); len(tags) > 0 && matches(tags, row.Version) {
			p.answer.Status = http.StatusNotModified
		} else if p.method == http.MethodGet {
			p.body = row.Body
		}
	}
	return nil
}

// searchAll answers the entries that search, all in one round trip.
func (t *transaction) searchAll(tx *db.Tx) error {
	var all []db.Statement
	for _, p := range t.steps {
		if p.search != nil {
			all = append(all, p.search.statements()...)
		}
	}
	found, err := tx.SearchAll(t.r.ctx(), nil, all)
	if err != nil {
		return err
	}
	for _, p := range t.steps {
		if p.search == nil {
			continue
		}
		n := len(p.search.statements())
		p.search.take(found[:n])
		found = found[n:]
		page, err := p.search.bundle()
		if err != nil {
			return p.named(err, "")
		}
		p.answer = fhir.BundleResponse{Status: http.StatusOK}
		if p.method == http.MethodGet {
			p.body = string(page.Append(make([]byte, 0, page.Size())))
		}
	}
	return nil
}

// answer says what became of an entry.
func (t *transaction) answer(p *step) {
	r := t.r
	switch {
	case p.method == http.MethodGet || p.method == http.MethodHead:
		return
	case p.found != nil && p.found.Version == 0: // it stands for what another entry made
		for _, first := range t.steps {
			if first.change != nil && first.typ == p.typ && first.id == p.id {
				p.answer = fhir.BundleResponse{
					Status: http.StatusOK, Location: r.location(p.typ, p.id, first.change.version),
					ETag: etag(first.change.version), LastModified: first.change.lastUpdated,
				}
			}
		}
	case p.found != nil:
		p.answer = fhir.BundleResponse{
			Status: http.StatusOK, Location: r.location(p.typ, p.id, p.found.Version),
			ETag: etag(p.found.Version), LastModified: p.found.LastUpdated,
		}
		if r.prefersReturn() && r.preferredReturn() == representation {
			p.body = p.found.Body
		}
	case p.change == nil:
		p.answer = fhir.BundleResponse{Status: http.StatusNoContent}
	case p.method == http.MethodDelete:
		p.answer = fhir.BundleResponse{Status: http.StatusNoContent, ETag: etag(p.change.version), LastModified: p.change.lastUpdated}
	default:
		p.answerChange(r)
	}
}

func (p *step) answerChange(r *request) {
	ch := p.change
	p.answer = fhir.BundleResponse{
		Status: http.StatusOK, Location: r.location(ch.typ, ch.id, ch.version), ETag: etag(ch.version), LastModified: ch.lastUpdated,
	}
	if ch.created() {
		p.answer.Status = http.StatusCreated
	}
	if !r.prefersReturn() {
		return
	}
	switch r.preferredReturn() {
	case representation:
		p.body = ch.body
	case outcome:
		p.answer.Outcome = fhir.Outcome([]fhir.Issue{{Severity: "information", Code: fhir.Information, Diagnostics: "Stored as " + ch.typ + "/" + ch.id + ", version " + etag(ch.version) + "."}})
	}
}
