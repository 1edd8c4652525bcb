package server

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"bulkhead/db"
	"bulkhead/server/access"
	"bulkhead/server/definition"
	"bulkhead/server/fhir"
	"bulkhead/server/search"
)

// everything answers $everything on a Patient or an Encounter
// (http://hl7.org/fhir/R4/patient-operation-everything.html): its compartment, page by page, and
// what that refers to outside of all compartments of the kind, such as practitioners. What belongs
// to another patient does not come along.
func (s *Server) everything(r *request) error {
	p, err := r.readParams(nil, "start", "end", "_since", "_type", "_count", cursorParam)
	if err != nil {
		return err
	}
	if err := r.permit(r.typ, access.Read); err != nil {
		return err
	}
	query := map[string][]string{}
	for _, one := range p.list {
		query[one.name] = append(query[one.name], one.value.Text())
	}
	asked := search.Request{Compartment: r.typ, Owner: r.Param("id"), Base: r.base, Now: time.Now()}
	if asked.Pairs, err = r.everythingPairs(p); err != nil {
		return err
	}
	between, err := careBetween(r, p)
	if err != nil {
		return err
	}
	found, err := r.parseSearch(asked)
	if err != nil {
		return err
	}
	if !validID(r.Param("id")) {
		return notFound()
	}
	owner, err := r.readStored(r.Param("id"))
	if err != nil {
		return err
	}
	page := &searchPage{r: r, found: found, listing: listingOf("/"+r.typ+"/"+r.Param("id")+"/$everything", query)}
	if err := page.openCursor(); err != nil {
		return err
	}
	page.keep = r.keepsEverything(p, owner, between)
	err = s.DB.View(r.ctx(), db.Clinical, r.caller, func(v *db.View) error {
		hits, err := v.SearchAll(r.ctx(), page.statements())
		page.take(hits)
		return err
	})
	if err != nil {
		return err
	}
	b, err := page.bundle()
	if err != nil {
		return err
	}
	if len(page.place) == 0 && p.wantsOwner(r.typ, owner) {
		b.Entries = slices.Insert(b.Entries, 0, fhir.BundleEntry{
			FullURL: r.base + "/" + r.typ + "/" + r.Param("id"), Resource: string(owner.Append(nil)), Mode: "match",
		})
	}
	return r.answer(http.StatusOK, string(b.Append(make([]byte, 0, b.Size()))))
}

// wantsOwner tells whether the resource that $everything is asked of is part of the answer. It
// leads the first page: not every compartment counts its owner in.
func (p *params) wantsOwner(typ string, owner *fhir.Value) bool {
	if types := p.types(); types != nil && !slices.Contains(types, typ) {
		return false
	}
	text, err := p.text("_since")
	if err != nil || text == "" {
		return true
	}
	since, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return true
	}
	updated, err := time.Parse(time.RFC3339, owner.Get("meta").Get("lastUpdated").Text())
	return err != nil || !updated.Before(since)
}

// everythingPairs is the search that a $everything comes to. Every type that it may bring must be
// within the scopes.
func (r *request) everythingPairs(p *params) ([]search.Pair, error) {
	pairs := []search.Pair{{Name: "_include", Value: "*"}}
	for name, to := range map[string]string{"_since": "_lastUpdated", "_count": "_count", cursorParam: cursorParam} {
		text, err := p.text(name)
		if err != nil {
			return nil, err
		}
		if name == "_since" && text != "" {
			if _, err := time.Parse(time.RFC3339, text); err != nil {
				return nil, fhir.Errorf(fhir.ValueInvalid, "_since must be an instant with its time zone.").At(p.at(name))
			}
			text = "ge" + text
		}
		if text != "" {
			pairs = append(pairs, search.Pair{Name: to, Value: text})
		}
	}
	types := p.types()
	if types == nil {
		return pairs, r.permit("", access.Search)
	}
	for _, name := range types {
		if _, _, err := r.resourceType(name); err != nil {
			return nil, fhir.Errorf(fhir.ValueInvalid, "_type must name resource types.").At(p.at("_type"))
		}
		if err := r.permit(name, access.Search); err != nil {
			return nil, err
		}
	}
	return append(pairs, search.Pair{Name: "_type", Value: strings.Join(types, ",")}), nil
}

// types are the resource types that _type names; nil if it is not given.
func (p *params) types() (list []string) {
	for _, one := range p.all("_type") {
		if one.value != nil {
			list = append(list, strings.Split(one.value.Text(), ",")...)
		}
	}
	return list
}

// keepsEverything tells of each hit whether it belongs into the answer.
func (r *request) keepsEverything(p *params, owner *fhir.Value, between func(*db.Hit) bool) func(*db.Hit) bool {
	inside, types := r.set.Compartment(r.typ), p.types()
	return func(hit *db.Hit) bool {
		name := definition.TypeName(hit.Type)
		if name == r.typ && hit.ID == r.Param("id") {
			return false // it leads the first page
		}
		if hit.Mode == "match" {
			return between(hit)
		}
		if name == "Patient" && owner.Get("subject").Get("reference").Text() != "Patient/"+hit.ID {
			return false // somebody else
		}
		_, owned := inside.Params[name]
		return !owned && name != r.typ && (types == nil || slices.Contains(types, name))
	}
}

// careDates are the search parameters that say when care was given, the first that a type has.
var careDates = []string{"date", "onset-date", "authoredon", "whenhandedover", "effective-time", "period", "recorded-date", "created", "authored"}

// careBetween makes the test for start and end: resources that say when care was given must say a
// time between them; all others pass.
func careBetween(r *request, p *params) (func(*db.Hit) bool, error) {
	var bound [2]time.Time
	for i, name := range []string{"start", "end"} {
		text, err := p.text(name)
		if err != nil {
			return nil, err
		}
		if text == "" {
			continue
		}
		if bound[i], err = time.Parse(time.DateOnly, text); err != nil {
			return nil, fhir.Errorf(fhir.ValueInvalid, "%s must be a date, YYYY-MM-DD.", name).At(p.at(name))
		}
	}
	if bound == ([2]time.Time{}) {
		return func(*db.Hit) bool { return true }, nil
	}
	return func(hit *db.Hit) bool {
		id, ok := careDate(r.set, definition.TypeName(hit.Type))
		if !ok {
			return true
		}
		v, err := fhir.Parse(hit.Body)
		if err != nil {
			return true
		}
		rows, ok := search.Extract(r.set, &v, r.base)
		if !ok {
			return true
		}
		dated := false
		for _, d := range rows.Dates {
			if d.Param != id {
				continue
			}
			dated = true
			if (bound[0].IsZero() || d.Hi > bound[0].UnixMicro()) && (bound[1].IsZero() || d.Lo < bound[1].AddDate(0, 0, 1).UnixMicro()) {
				return true
			}
		}
		return !dated
	}, nil
}

func careDate(set *definition.Set, typ string) (int32, bool) {
	for _, code := range careDates {
		if param := set.SearchParam(typ, code); param != nil && param.Type == definition.DateParam {
			return definition.ParamID(typ, code), true
		}
	}
	return 0, false
}
