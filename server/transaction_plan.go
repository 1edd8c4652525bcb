package server

import (
	"cmp"
	"errors"
	"net/http"
	"strings"

	"bulkhead/db"
	"bulkhead/server/access"
	"bulkhead/server/fhir"
	"bulkhead/server/search"
	"bulkhead/server/validate"
)

// plan does what needs no database: it takes the requests apart, checks what they send and who may
// do so, gives new resources their ids and makes the entries' links point to these.
func (t *transaction) plan() error {
	t.urls = fullURLs{entries: make(map[string]int, len(t.steps)), bases: make([]string, len(t.steps))}
	for _, p := range t.steps {
		if err := p.named(t.locate(p), ".request.url"); err != nil {
			return err
		}
		if err := t.register(p); err != nil {
			return err
		}
	}
	for _, p := range t.steps {
		if p.resource == nil || p.method == http.MethodPatch {
			continue
		}
		p.links = findLinks(t.r.set, &p.value)
		if err := t.findConditions(p); err != nil {
			return err
		}
		if err := t.relink(p, false); err != nil {
			return err
		}
		issues, err := t.r.check(&p.value, t.profile)
		if err != nil {
			return err
		}
		if len(issues) > 0 {
			return &fhir.Error{Issues: within(issues, p.typ, p.at()+".resource")}
		}
	}
	if len(t.conds) == 0 {
		return t.index()
	}
	return nil
}

// profile returns the StructureDefinition with a canonical URL among the resources of the bundle.
func (t *transaction) profile(url string) *fhir.Value {
	for _, p := range t.steps {
		if p.resource != nil && p.resource.Get("resourceType").Text() == "StructureDefinition" && p.resource.Get("url").Text() == url {
			return p.resource
		}
	}
	return nil
}

// index makes the index rows of the resources, once it is known which ids they and their links have.
func (t *transaction) index() error {
	for _, p := range t.steps {
		if p.value.Kind != fhir.Object || p.found != nil {
			continue
		}
		if p.value.Get("id").Text() != p.id {
			*p.value.Get("id") = fhir.StringValue(p.id)
		}
		rows, ok := search.Extract(t.r.set, &p.value, t.r.base)
		if !ok {
			return errors.New("server: no index rows for the type " + p.typ)
		}
		p.rows, p.refers = rows, validate.References(t.r.set, &p.value, t.r.base)
	}
	return nil
}

// interactions is what the scopes must permit for a method.
var interactions = map[string]access.Interaction{
	http.MethodGet: access.Read, http.MethodHead: access.Read, http.MethodPost: access.Create,
	http.MethodPut: access.Update, http.MethodPatch: access.Update, http.MethodDelete: access.Delete,
}

// locate reads the url of an entry.
func (t *transaction) locate(p *step) error {
	path, query, conditional := strings.Cut(p.url, "?")
	segments := strings.Split(strings.TrimSuffix(path, "/"), "/")
	typ := segments[0]
	typeID, plane, err := t.r.resourceType(typ)
	if err != nil {
		return err
	}
	if plane != db.Clinical {
		return fhir.Errorf(fhir.NotSupported, "%s cannot be part of a transaction; send it alone or in a batch.", typ).With(http.StatusBadRequest)
	}
	p.typ, p.typeID = typ, typeID
	searches := len(segments) == 1 && (p.method == http.MethodGet || p.method == http.MethodHead)
	do := interactions[p.method]
	if searches {
		do = access.Search
	}
	if err := t.r.permit(typ, do); err != nil {
		return err
	}
	switch {
	case searches:
		pairs, err := search.Pairs(query)
		if err == nil {
			p.search, err = t.r.newSearch("/"+typ, db.Clinical, search.Request{Type: typ, Pairs: pairs})
		}
		return err
	case p.method == http.MethodPost && len(segments) == 1 && !conditional:
		p.own = newID()
		p.id = p.own
		query = p.header.Get("If-None-Exist")
		conditional = query != ""
	case p.method != http.MethodPost && len(segments) == 2 && !conditional && validID(segments[1]):
		p.id = segments[1]
	case (p.method == http.MethodPut || p.method == http.MethodPatch || p.method == http.MethodDelete) && len(segments) == 1 && conditional:
	default:
		return fhir.Errorf(fhir.NotSupported, "A transaction takes POST [type], PUT, PATCH and DELETE [type]/[id] or [type]?[criteria], and GET [type]/[id] or [type]?[parameters].").With(http.StatusBadRequest)
	}
	if conditional {
		if err := t.r.permit(typ, access.Search); err != nil {
			return err
		}
		if p.cond, err = t.condition(typ, query); err != nil {
			return err
		}
		t.writes = true
	}
	return t.content(p)
}

// content checks the outside of what an entry sends.
func (t *transaction) content(p *step) error {
	if p.resource == nil || p.method == http.MethodPatch {
		return nil
	}
	if p.method == http.MethodGet || p.method == http.MethodDelete || p.method == http.MethodHead {
		p.resource = nil
		return nil
	}
	if err := checkType(p.resource, p.typ); err != nil {
		return fhir.Errorf(fhir.Invalid, "The resource of the entry must be of type %s, as its url says.", p.typ).At(p.at() + ".resource")
	}
	sent := p.resource.Get("id").Text()
	switch {
	case p.method == http.MethodPut && p.cond == nil && sent != p.id:
		return fhir.Errorf(fhir.Invalid, "The id of the resource must be that of the url.").At(p.at() + ".resource.id")
	case p.method == http.MethodPut && p.cond != nil:
		p.own = cmp.Or(sent, newID())
		p.id = p.own
	}
	p.value = withID(p.resource, p.id)
	return nil
}

// condition returns the criterion of a search, which all that ask the same share.
func (t *transaction) condition(typ, query string) (*criterion, error) {
	text := typ + "?" + query
	if n, ok := t.byQuery[text]; ok {
		return t.conds[n], nil
	}
	c, err := t.r.criterion(typ, query, 1)
	if err != nil {
		return nil, err
	}
	for n, other := range t.conds {
		if other.text == c.text {
			t.byQuery[text] = n
			return other, nil
		}
	}
	t.byQuery[text] = len(t.conds)
	t.conds = append(t.conds, c)
	return c, nil
}

// register notes by which URL other entries refer to this one.
func (t *transaction) register(p *step) error {
	t.urls.bases[p.n] = restBase(t.r.set, p.fullURL)
	name := p.fullURL
	if name == "" && p.resource != nil {
		if id := p.resource.Get("id").Text(); id != "" {
			name = p.typ + "/" + id
		}
	}
	if name == "" || p.resource == nil {
		return nil
	}
	if _, twice := t.urls.entries[name]; twice {
		return fhir.Errorf(fhir.Invalid, "Another entry has the same fullUrl.").At(p.at() + ".fullUrl")
	}
	t.urls.entries[name] = p.n
	return nil
}

// findConditions looks for the conditional references of a resource.
func (t *transaction) findConditions(p *step) error {
	for i := range p.links {
		l := &p.links[i]
		if l.kind != linkReference || strings.IndexByte(l.sent.Raw, '?') < 0 {
			continue
		}
		literal := validate.ParseReference(t.r.set, l.sent.Text())
		if literal.Form != validate.ConditionalReference {
			continue
		}
		_, query, _ := strings.Cut(l.sent.Text(), "?")
		err := t.r.permit(literal.Type, access.Search)
		if err == nil {
			l.cond, err = t.condition(literal.Type, query)
		}
		if err != nil {
			return p.named(err, p.linkPath(l))
		}
	}
	return nil
}

// relink makes the links of an entry's resource lead to what the entries and conditions are known
// to be. final says that all of them are known.
func (t *transaction) relink(p *step, final bool) error {
	for i := range p.links {
		l := &p.links[i]
		if l.cond != nil {
			if !final {
				continue
			}
			to, err := t.resolve(l.cond)
			if err != nil {
				return p.named(err, p.linkPath(l))
			}
			*l.at = fhir.StringValue(to)
			continue
		}
		found := l.rewrite(func(text string) string {
			n := t.urls.find(p.n, text, l.kind)
			if n < 0 {
				return ""
			}
			return t.steps[n].typ + "/" + t.steps[n].id
		})
		if !found && l.kind == linkReference && strings.HasPrefix(l.sent.Raw, `"urn:`) && !t.r.project.AllowDanglingReferences {
			return fhir.Errorf(fhir.BusinessRule, "No entry has the fullUrl that this reference names.").At(p.at() + p.linkPath(l))
		}
	}
	return nil
}

// linkPath is the path of a link below its entry.
func (p *step) linkPath(l *link) string { return ".resource" + pathTo(&p.value, l.at) }
