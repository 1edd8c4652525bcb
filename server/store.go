package server

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"bulkhead/db"
	"bulkhead/db/dbsqlc"
	"bulkhead/server/definition"
	"bulkhead/server/fhir"
	"bulkhead/server/search"
	"bulkhead/server/validate"
)

// change is one version of one resource that a request wants stored. Every write goes three steps:
// prepare makes a change of what was sent, before the transaction; the handler locks what it
// replaces and says so in held; plan.store writes all changes of a request in one statement.
type change struct {
	method string // POST, PUT, PATCH or DELETE, as the history will tell it
	typ    string
	typeID int16
	id     string
	at     string     // expression of the resource in the request: "" or "Bundle.entry[3].resource"
	value  fhir.Value // what is to be stored, with its id; nothing for DELETE

	rows    *search.Rows      // what the index is to hold of it
	targets []validate.Target // the resources that it refers to

	held *held // the version that it replaces, locked; nil if the resource is new

	// What it came to, once it is stored.
	version     int32
	lastUpdated time.Time
	body        string
}

// held is the version of a resource that a transaction has locked.
type held struct {
	rid         int64
	version     int32
	lastUpdated time.Time
	deleted     bool
	body        string
}

func heldRow(row dbsqlc.LockResourceRow) *held {
	return &held{rid: row.Rid, version: row.Version, lastUpdated: row.LastUpdated, deleted: row.Deleted, body: row.Body}
}

// created tells whether the change makes a resource where there was none, or none any more.
func (ch *change) created() bool { return ch.held == nil || ch.held.deleted }

// prepare checks a resource and gives it its id, or leaves that to change.name when id is "". It is
// called before a transaction, because the project's profiles may have to be read. at leads the expressions of what is wrong.
func (r *request) prepare(method, typ string, typeID int16, id string, v fhir.Value, at string) (*change, error) {
	issues, err := r.check(&v, nil)
	if err != nil {
		return nil, err
	}
	if len(issues) > 0 {
		return nil, &fhir.Error{Issues: within(issues, typ, at)}
	}
	ch := &change{method: method, typ: typ, typeID: typeID, at: at, value: v}
	if id != "" {
		ch.name(id)
	}
	ch.targets = validate.References(r.set, &ch.value, r.base)
	rows, ok := search.Extract(r.set, &ch.value, r.base)
	if !ok {
		return nil, errors.New("server: no index rows for the type " + typ)
	}
	ch.rows = rows
	return ch, nil
}

// name gives the resource its id.
func (ch *change) name(id string) {
	ch.id = id
	ch.value = withID(&ch.value, id)
}

// deletion is the change that deletes a resource.
func deletion(typ string, typeID int16, id string, old *held) *change {
	return &change{method: http.MethodDelete, typ: typ, typeID: typeID, id: id, rows: &search.Rows{}, held: old}
}

// indexed is what the index holds of a stored version: the same text gives the same rows.
func (r *request) indexed(old *held) *search.Rows {
	if !old.deleted {
		if v, err := fhir.Parse(old.body); err == nil {
			if rows, ok := search.Extract(r.set, &v, r.base); ok {
				return rows
			}
		}
	}
	return &search.Rows{}
}

// within moves the expressions of issues from the resource to where it stands in the request.
func within(issues []fhir.Issue, typ, at string) []fhir.Issue {
	if at == "" {
		return issues
	}
	for i := range issues {
		for n, expression := range issues[i].Expression {
			if len(expression) >= len(typ) && expression[:len(typ)] == typ {
				issues[i].Expression[n] = at + expression[len(typ):]
			}
		}
	}
	return issues
}

// write runs fn in a transaction of the caller's project, again when another writer came first:
// then what fn finds has changed.
func (r *request) write(plane db.Plane, fn func(*db.Tx) error) error {
	return r.writeIn(r.ctx(), plane, fn)
}

func (r *request) writeIn(ctx context.Context, plane db.Plane, fn func(*db.Tx) error) error {
	const attempts = 5
	for try := 1; ; try++ {
		r.writing = true
		err := r.server.DB.Update(ctx, plane, r.caller, fn)
		r.writing = false
		if r.defines {
			r.server.knowledge.forget(projectOf(r.caller))
		}
		if errors.Is(err, errForesee) && try < attempts {
			if _, err := r.know(); err != nil {
				return err
			}
			continue
		}
		if try == attempts || !errors.Is(err, db.ErrDuplicate) {
			return err
		}
	}
}

// lock locks a resource that is about to change; nil if there is none.
func (r *request) lock(tx *db.Tx, typeID int16, id string) (*held, error) {
	return r.lockIn(r.ctx(), tx, typeID, id)
}

func (r *request) lockIn(ctx context.Context, tx *db.Tx, typeID int16, id string) (*held, error) {
	row, err := tx.LockResource(ctx, dbsqlc.LockResourceParams{
		TenantID: r.caller.Tenant, ProjectID: r.caller.Project, Type: typeID, ID: id,
	})
	if errors.Is(err, db.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return heldRow(row), nil
}

// plan is what one request stores, in one statement.
type plan struct {
	r       *request
	changes []*change
	checks  []check
	at      time.Time
}

// check is a reference that must lead to something.
type check struct {
	target *validate.Target
	change *change
}

// key names a resource within a project.
type key struct{ typ, id string }

// store writes changes with their history and index. q is usually tx.Last(), so that the
// transaction ends in the same round trip. Errors: *fhir.Error for a reference that leads nowhere,
// db.ErrDuplicate when another writer made the same resource meanwhile, and whatever db returns.
func (r *request) store(ctx context.Context, q *dbsqlc.Queries, changes ...*change) error {
	p := plan{r: r, changes: changes}
	if err := p.render(); err != nil {
		return err
	}
	return p.write(ctx, q, changes, true)
}

// storeMany is store for as many changes as a bundle may hold. What is more than one statement
// should carry goes in several, so that none of them runs into the limit of a statement's time.
// last ends the transaction with the last one.
func (r *request) storeMany(ctx context.Context, tx *db.Tx, last bool, changes []*change) error {
	p := plan{r: r, changes: changes}
	if err := p.render(); err != nil {
		return err
	}
	for len(changes) > 0 {
		n, size := 0, 0
		for ; n < len(changes) && size < statementSize; n++ {
			size += len(changes[n].body)
		}
		q := tx.Queries
		if n == len(changes) && last {
			q = tx.Last()
		}
		// The last one looks for what the references lead to, and sees what the others wrote.
		if err := p.write(ctx, q, changes[:n], n == len(changes)); err != nil {
			return err
		}
		changes = changes[n:]
	}
	return nil
}

// statementSize is how many bytes of resources one statement of storeMany carries, and the last of
// them beyond.
const statementSize = 8 << 20

// render gives each change its version, time and text.
func (p *plan) render() error {
	if err := p.gatherChecks(); err != nil {
		return err
	}
	p.at = p.stamp()
	for _, ch := range p.changes {
		ch.lastUpdated, ch.version = p.at, 1
		p.r.defines = p.r.defines || definitionTypes[ch.typ]
		if ch.held != nil {
			ch.version = ch.held.version + 1
		}
		ch.body = ""
		if ch.method != http.MethodDelete {
			ch.body = string(appendStored(make([]byte, 0, 4096), &ch.value, ch.version, p.at))
		}
	}
	return nil
}

// write stores some of the changes in one statement.
func (p *plan) write(ctx context.Context, q *dbsqlc.Queries, changes []*change, checked bool) error {
	params := p.params(changes, checked)
	var err error
	if slices.ContainsFunc(changes, func(ch *change) bool { return ch.held != nil }) {
		err = q.WriteResources(ctx, params.WriteResourcesParams)
	} else {
		err = q.InsertResources(ctx, params.insertOnly())
	}
	return p.explain(err)
}

// stamp is the time of all the changes: now, but later than every version that they replace, even
// if another machine's clock was ahead.
func (p *plan) stamp() time.Time {
	at := fhir.Now()
	for _, ch := range p.changes {
		if ch.held != nil && !at.After(ch.held.lastUpdated) {
			at = ch.held.lastUpdated.Truncate(time.Millisecond).Add(time.Millisecond)
		}
	}
	return at
}

// gatherChecks lists the references that Postgres must find. What the same request writes is there;
// what it deletes is not.
func (p *plan) gatherChecks() error {
	if p.r.project.AllowDanglingReferences {
		return nil
	}
	own := make(map[key]bool, len(p.changes))
	for _, ch := range p.changes {
		own[key{ch.typ, ch.id}] = ch.method != http.MethodDelete
	}
	seen := map[key]bool{}
	for _, ch := range p.changes {
		for i := range ch.targets {
			t := &ch.targets[i]
			name := key{t.Type, t.ID}
			there, written := own[name]
			switch {
			case written && !there:
				return dangling(check{target: t, change: ch})
			case written || seen[name]:
				continue
			case definition.IsPlatform(ch.typ) != definition.IsPlatform(t.Type):
				// The planes cannot see one another; what the project cannot hold is not there.
				if _, _, err := p.r.resourceType(t.Type); err != nil {
					return dangling(check{target: t, change: ch})
				}
				continue
			case t.ID == "":
				return fhir.Errorf(fhir.ValueInvalid, "A conditional reference is allowed in a transaction only.").At(ch.expression(t.Path))
			}
			seen[name] = true
			p.checks = append(p.checks, check{target: t, change: ch})
		}
	}
	return nil
}

// expression is a path in the resource as a path in the request.
func (ch *change) expression(path string) string {
	if ch.at == "" {
		return path
	}
	return ch.at + path[len(ch.typ):]
}

func dangling(c check) error {
	return fhir.Errorf(fhir.BusinessRule, "This project holds no %s/%s.", c.target.Type, c.target.ID).At(c.change.expression(c.target.Path))
}

// explain names the reference that Postgres did not find.
func (p *plan) explain(err error) error {
	lost, ok := errors.AsType[*db.DanglingError](err)
	if !ok {
		return err
	}
	n, convErr := strconv.Atoi(lost.Reference)
	if convErr != nil || n < 0 || n >= len(p.checks) {
		return err
	}
	return dangling(p.checks[n])
}
