package server

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"time"

	"bulkhead/db"
	"bulkhead/db/dbsqlc"
	"bulkhead/server/definition"
	"bulkhead/server/fhir"
	"bulkhead/server/terminology"
	"bulkhead/server/validate"
)

// knowledge is what one project holds about FHIR itself. It is read-only and used by many requests.
type knowledge struct {
	stamp    dbsqlc.StampDefinitionsRow
	holdings *validate.Holdings
	terms    *terminology.Library
}

// knowledgeLife bounds how long what another instance of the program has stored may go unseen.
// What this one stores is seen by the next request.
const knowledgeLife = 5 * time.Second

const (
	maxKnowledge    = 48 << 20  // bytes of the definitions of one project, as stored
	maxAllKnowledge = 192 << 20 // bytes of all that is kept at once
	maxKnowing      = 4096      // projects
)

// definitionTypes are the resource types that knowledge is made of.
var definitionTypes = map[string]bool{"StructureDefinition": true, "ValueSet": true, "CodeSystem": true, "ConceptMap": true}

var definitionTypeIDs = func() (ids []int16) {
	for _, name := range []string{"StructureDefinition", "ValueSet", "CodeSystem", "ConceptMap"} {
		if id, ok := definition.TypeID(name); ok {
			ids = append(ids, id)
		}
	}
	return ids
}()

// projectKey names a project. Everything remembered of a project is remembered under it.
type projectKey struct{ tenant, project int32 }

func projectOf(c db.Caller) projectKey { return projectKey{c.Tenant, c.Project} }

// knowledgeCache remembers the knowledge of the projects used last. Tenant and project are the key,
// so that equal canonical URLs never meet.
type knowledgeCache struct {
	mu      sync.Mutex
	entries map[projectKey]*list.Element // of *knownProject
	recent  list.List                    // used last first
	size    int64
}

type knownProject struct {
	key     projectKey
	turn    chan struct{} // holds one token: who has it may ask the database
	changes int           // counts forget, under knowledgeCache.mu
	known   *knowledge    // nil: nothing is remembered
	until   time.Time
}

func newKnowledgeCache() *knowledgeCache {
	return &knowledgeCache{entries: map[projectKey]*list.Element{}}
}

// entry returns the place of a project, made if there is none, with what is remembered and still
// fresh.
func (c *knowledgeCache) entry(key projectKey) (*knownProject, *knowledge) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at, ok := c.entries[key]; ok {
		c.recent.MoveToFront(at)
		p := at.Value.(*knownProject)
		if p.known != nil && time.Now().Before(p.until) {
			return p, p.known
		}
		return p, nil
	}
	p := &knownProject{key: key, turn: make(chan struct{}, 1)}
	c.entries[key] = c.recent.PushFront(p)
	c.trim()
	return p, nil
}

// trim drops the projects used longest ago until the rest is small enough. The caller holds mu.
func (c *knowledgeCache) trim() {
	for c.recent.Len() > 1 && (c.size > maxAllKnowledge || c.recent.Len() > maxKnowing) {
		at := c.recent.Back()
		p := at.Value.(*knownProject)
		c.recent.Remove(at)
		delete(c.entries, p.key)
		if p.known != nil {
			c.size -= p.known.stamp.Bytes
		}
	}
}

// keep remembers k unless the project has changed since changes was read.
func (c *knowledgeCache) keep(p *knownProject, k *knowledge, changes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, ok := c.entries[p.key]
	if !ok || at.Value.(*knownProject) != p || p.changes != changes {
		return
	}
	if p.known != nil {
		c.size -= p.known.stamp.Bytes
	}
	p.known, p.until = k, time.Now().Add(knowledgeLife)
	c.size += k.stamp.Bytes
	c.trim()
}

// state is what is remembered of p, fresh or not, and the count of its changes.
func (c *knowledgeCache) state(p *knownProject) (*knowledge, int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return p.known, p.changes
}

// forget makes the next request ask the database whether the project's definitions have changed.
func (c *knowledgeCache) forget(key projectKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at, ok := c.entries[key]; ok {
		p := at.Value.(*knownProject)
		p.changes++
		p.until = time.Time{}
	}
}

// errForesee ends a transaction that needs what the project holds about FHIR: reading it takes a
// connection of its own, and none may wait for a second one while it has a first. writeIn reads it
// and starts the transaction over.
var errForesee = errors.New("server: the project's definitions are needed in a transaction")

// know returns what the caller's project holds about FHIR.
func (r *request) know() (*knowledge, error) {
	if r.known != nil {
		return r.known, nil
	}
	if r.project.Project == db.SystemProject {
		return newKnowledge(r.set), nil
	}
	if r.writing {
		if _, r.known = r.server.knowledge.entry(projectOf(r.caller)); r.known == nil {
			return nil, errForesee
		}
		return r.known, nil
	}
	var err error
	r.known, err = r.server.knowledge.of(r.ctx(), r)
	return r.known, err
}

// of returns the knowledge of the caller's project: what is remembered if it is fresh, else what
// the database says. Requests of one project ask one after the other, those of others do not wait.
func (c *knowledgeCache) of(ctx context.Context, r *request) (*knowledge, error) {
	p, fresh := c.entry(projectOf(r.caller))
	if fresh != nil {
		return fresh, nil
	}
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if _, fresh := c.entry(p.key); fresh != nil {
		return fresh, nil
	}
	old, changes := c.state(p)
	k, err := readKnowledge(ctx, r, old)
	if err == nil {
		c.keep(p, k, changes)
	}
	return k, err
}

// readKnowledge reads a project's definitions, unless they are those of old.
func readKnowledge(ctx context.Context, r *request, old *knowledge) (*knowledge, error) {
	var k *knowledge
	err := r.server.DB.View(ctx, db.Clinical, r.caller, func(v *db.View) error {
		stamp, err := v.StampDefinitions(ctx, r.caller.Tenant, r.caller.Project, definitionTypeIDs)
		if err != nil {
			return err
		}
		if old != nil && old.stamp == stamp {
			k = old
			return nil
		}
		if stamp.Bytes > maxKnowledge {
			return fhir.Errorf(fhir.TooCostly, "The project holds %d bytes of StructureDefinition, ValueSet, CodeSystem and ConceptMap. "+
				"They can be used as long as they are %d bytes at most.", stamp.Bytes, maxKnowledge).With(422)
		}
		k = newKnowledge(r.set)
		k.stamp = stamp
		if stamp.Held == 0 {
			return nil
		}
		rows, err := v.ListDefinitions(ctx, r.caller.Tenant, r.caller.Project, definitionTypeIDs)
		if err != nil {
			return err
		}
		return k.take(rows)
	})
	return k, err
}

func newKnowledge(set *definition.Set) *knowledge {
	return &knowledge{holdings: validate.NewHoldings(set), terms: terminology.NewLibrary(terminology.Standard(set))}
}

func (k *knowledge) take(rows []dbsqlc.ListDefinitionsRow) error {
	for i := range rows {
		v, err := fhir.Parse(rows[i].Body)
		if err != nil {
			return err
		}
		k.holdings.Add(&v)
		k.terms.Add(&v)
	}
	return nil
}

// rules returns how this project wants a resource checked: its setting, and the profiles that the
// resource names.
func (r *request) rules(v *fhir.Value) ([]validate.Option, error) {
	if r.project.LenientValidation {
		return []validate.Option{validate.StructureOnly()}, nil
	}
	if !namesProfile(v) {
		return nil, nil
	}
	k, err := r.know()
	if err != nil {
		return nil, err
	}
	return []validate.Option{validate.WithProfiles(k.holdings)}, nil
}

// namesProfile tells whether a resource, or one inside it, has meta.profile.
func namesProfile(v *fhir.Value) bool {
	if v == nil {
		return false
	}
	if v.Get("meta").Get("profile") != nil || namesProfile(v.Get("resource")) {
		return true
	}
	for _, member := range []string{"contained", "entry", "parameter", "part"} {
		if inner := v.Get(member); inner != nil {
			for i := range inner.Items {
				if namesProfile(&inner.Items[i]) {
					return true
				}
			}
		}
	}
	return false
}

// check returns what is wrong with a resource that is to be stored; expressions are those of the
// resource. among finds definitions that are stored along with it; it may be nil.
func (r *request) check(v *fhir.Value, among func(url string) *fhir.Value) ([]fhir.Issue, error) {
	rules, err := r.rules(v)
	if err != nil {
		return nil, err
	}
	issues := validate.Resource(r.set, v, rules...)
	if len(issues) == 0 && !r.project.LenientValidation && v.Get("resourceType").Text() == "StructureDefinition" {
		return r.checkProfile(v, among)
	}
	return issues, nil
}

// checkProfile compiles a profile, so that none is stored that could not be checked against.
func (r *request) checkProfile(v *fhir.Value, among func(url string) *fhir.Value) ([]fhir.Issue, error) {
	if v.Get("derivation").Text() != "constraint" || v.Get("kind").Text() == "logical" {
		return nil, nil
	}
	k, err := r.know()
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{v.Get("url").Text(): true}
	var base func(url string) *validate.Profile
	base = func(url string) *validate.Profile {
		if among == nil || seen[url] {
			return k.holdings.Profile(url)
		}
		seen[url] = true
		sd := among(url)
		if sd == nil {
			return k.holdings.Profile(url)
		}
		if p, err := validate.CompileProfile(r.set, sd, base); err == nil {
			return p
		}
		return nil
	}
	if _, err := validate.CompileProfile(r.set, v, base); err != nil {
		_, issues := explain(err, r.id)
		for i := range issues {
			issues[i].Code, issues[i].Expression = fhir.BusinessRule, []string{"StructureDefinition"}
		}
		return issues, nil
	}
	return nil, nil
}
