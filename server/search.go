package server

import (
	"encoding/binary"
	"net/http"
	"slices"
	"time"

	"bulkhead/db"
	"bulkhead/server/access"
	"bulkhead/server/definition"
	"bulkhead/server/fhir"
	"bulkhead/server/search"
)

var formTypes = map[string]bool{"application/x-www-form-urlencoded": true}

// maxForm bounds the body of POST _search, in bytes.
const maxForm = 1 << 20

// searchType answers GET [type] and POST [type]/_search (http://hl7.org/fhir/R4/http.html#search).
func (s *Server) searchType(r *request) error {
	return s.answerSearch(r, "/"+r.typ, r.plane, search.Request{Type: r.typ})
}

// searchSystem answers a search over several types, or all that the project has.
func (s *Server) searchSystem(r *request) error {
	plane := db.Clinical
	if r.project.Project == db.SystemProject {
		plane = db.Identity
	}
	return s.answerSearch(r, "", plane, search.Request{})
}

// searchCompartment answers [type]/[id]/[member]: what of a type is in a compartment, or with *
// everything in it.
func (s *Server) searchCompartment(r *request) error {
	member := r.Param("member")
	asked := search.Request{Compartment: r.typ, Owner: r.Param("id")}
	if member == "*" {
		if err := r.permit("", access.Search); err != nil {
			return err
		}
	} else {
		if _, _, err := r.resourceType(member); err != nil {
			return err
		}
		if err := r.permit(member, access.Search); err != nil {
			return err
		}
		asked.Type = member
	}
	return s.answerSearch(r, "/"+r.typ+"/"+r.Param("id")+"/"+member, r.plane, asked)
}

// answerSearch runs a search and answers with a page of it. The page is one statement, whatever
// comes along with it; a count that was asked for is another, in the same round trip.
func (s *Server) answerSearch(r *request, path string, plane db.Plane, asked search.Request) error {
	var err error
	if asked.Pairs, err = r.searchPairs(); err != nil {
		return err
	}
	p, err := r.newSearch(path, plane, asked)
	if err != nil {
		return err
	}
	err = s.DB.View(r.ctx(), plane, r.caller, func(v *db.View) error {
		found, err := v.SearchAll(r.ctx(), p.statements())
		p.take(found)
		return err
	})
	if err != nil {
		return err
	}
	b, err := p.bundle()
	if err != nil {
		return err
	}
	return r.answer(http.StatusOK, string(b.Append(make([]byte, 0, b.Size()))))
}

// newSearch understands a search and checks who asks for it.
func (r *request) newSearch(path string, plane db.Plane, asked search.Request) (*searchPage, error) {
	asked.Lenient, asked.Base, asked.Now = r.lenient(), r.base, time.Now()
	found, err := r.parseSearch(asked)
	if err != nil {
		return nil, err
	}
	if err := r.permitSearch(found, asked, plane); err != nil {
		return nil, err
	}
	p := &searchPage{r: r, found: found, listing: path}
	if query := found.Query(); query != "" {
		p.listing += "?" + query
	}
	return p, p.openCursor()
}

// searchPairs returns the parameters of the URL and, of POST _search, those of the body.
func (r *request) searchPairs() ([]search.Pair, error) {
	pairs, err := search.Pairs(r.Request().URL.RawQuery)
	if err != nil || r.Request().Method != http.MethodPost || r.entry != nil {
		return pairs, err
	}
	if r.Request().ContentLength == 0 && r.Request().Header.Get("Content-Type") == "" {
		return pairs, nil
	}
	if err := r.checkContentType(formTypes, "application/x-www-form-urlencoded"); err != nil {
		return nil, err
	}
	body, err := r.readBody(maxForm)
	if err != nil {
		return nil, err
	}
	more, err := search.Pairs(body)
	return append(pairs, more...), err
}

func (r *request) scope() search.Scope {
	return search.Scope{Tenant: r.caller.Tenant, Project: r.caller.Project}
}

// permitSearch refuses a search that tells of types that the token's scopes do not grant, or that
// are kept on another plane.
func (r *request) permitSearch(found *search.Search, asked search.Request, plane db.Plane) error {
	if err := r.permitReached(found); err != nil {
		return err
	}
	if asked.Type != "" || asked.Compartment != "" {
		return nil // permitted before
	}
	named := false
	for _, pair := range asked.Pairs {
		named = named || pair.Name == "_type"
	}
	if !named {
		return r.permit("", access.Search)
	}
	for _, name := range found.Types() {
		_, its, err := r.resourceType(name)
		if err == nil && its != plane {
			err = fhir.Errorf(fhir.NotSupported, "%s is searched by itself only.", name).With(http.StatusBadRequest)
		}
		if err == nil {
			err = r.permit(name, access.Search)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// permitReached refuses chains and _has over types that the scopes do not grant: whether something
// matches would tell of their content.
func (r *request) permitReached(found *search.Search) error {
	for _, name := range found.Reached {
		if err := r.permit(name, access.Search); err != nil {
			return err
		}
	}
	return nil
}

// searchPage is one page of a search.
type searchPage struct {
	r       *request
	found   *search.Search
	listing string           // path and query as understood
	place   []byte           // where it starts; empty for the first page
	after   *search.Position // the same
	before  [][]byte         // where the pages before it start, the last few of them
	hits    []db.Hit
	total   *int64
	keep    func(*db.Hit) bool // nil: every hit is shown
}

// A cursor holds the starts of the pages before it too, the last few, for the links back. Each has
// a length byte before it.
const maxBefore = 8

// openCursor finds where the page starts.
func (p *searchPage) openCursor() error {
	if p.found.Cursor == "" {
		return nil
	}
	places, err := p.r.openCursor(p.listing, p.found.Cursor)
	if err != nil {
		return err
	}
	for len(places) >= 2 {
		n := int(binary.BigEndian.Uint16(places))
		p.before = append(p.before, places[2:2+n])
		places = places[2+n:]
	}
	p.place = p.before[len(p.before)-1]
	p.before = p.before[:len(p.before)-1]
	if len(p.place) > 0 {
		p.after, err = search.ParsePlace(p.place)
	}
	return err
}

// cursor seals the starts of pages; the last one is that of the page it leads to.
func (p *searchPage) cursor(places [][]byte) string {
	var b []byte
	for _, place := range places[max(0, len(places)-maxBefore):] {
		b = binary.BigEndian.AppendUint16(b, uint16(len(place)))
		b = append(b, place...)
	}
	return p.r.sealCursor(p.listing, b)
}

// statements are what the page needs: the count, if one was asked for, and the page itself.
func (p *searchPage) statements() []db.Statement {
	var list []db.Statement
	if p.found.CountOnly || p.found.Total != "none" {
		count := p.found.CountMatches(p.r.scope())
		// A row like all others, so that both are read in one round trip; rid is the count.
		list = append(list, db.Statement{
			SQL: "SELECT 0::smallint, '', 0, now(), '', (" + count.SQL + ")::bigint, 'count', ''", Args: count.Args,
		})
	}
	if !p.found.CountOnly {
		page := p.found.Page(p.r.scope(), p.after)
		list = append(list, db.Statement{SQL: page.SQL, Args: page.Args})
	}
	return list
}

// take keeps what the statements found.
func (p *searchPage) take(found [][]db.Hit) {
	for _, hits := range found {
		if len(hits) == 1 && hits[0].Mode == "count" {
			p.total = &hits[0].RID
		} else {
			p.hits = hits
		}
	}
}

// bundle puts the page together from the bytes that are stored.
func (p *searchPage) bundle() (*fhir.Bundle, error) {
	r, found := p.r, p.found
	b := &fhir.Bundle{Type: "searchset", Total: p.total}
	b.Links = []fhir.Link{{Relation: "self", URL: r.pageURL(p.listing, found.Cursor)}, {Relation: "first", URL: r.pageURL(p.listing, "")}}
	b.Entries = make([]fhir.BundleEntry, 0, len(p.hits)+1)
	shape := shapeOf(found)
	matches, included := 0, 0
	for i := range p.hits {
		hit := &p.hits[i]
		name := definition.TypeName(hit.Type)
		if hit.Mode == "match" {
			if matches++; matches > found.Count {
				b.Links = append(b.Links, fhir.Link{Relation: "next", URL: r.pageURL(p.listing, p.cursor(p.starts(&p.hits[i-1])))})
				continue
			}
		} else {
			if included++; included > search.MaxIncludes {
				return nil, fhir.Errorf(fhir.TooCostly, "More than %d resources would come along with this page. Ask for a smaller _count.", search.MaxIncludes).At("_include")
			}
			if r.permit(name, access.Search) != nil {
				continue
			}
		}
		if p.keep != nil && !p.keep(hit) {
			continue
		}
		body, err := shape.apply(r.set, name, hit.Body)
		if err != nil {
			return nil, err
		}
		b.Entries = append(b.Entries, fhir.BundleEntry{FullURL: r.base + "/" + name + "/" + hit.ID, Resource: body, Mode: hit.Mode})
	}
	if n := len(p.before); n > 0 {
		cursor := ""
		if len(p.before[n-1]) > 0 {
			cursor = p.cursor(p.before)
		}
		b.Links = append(b.Links, fhir.Link{Relation: "previous", URL: r.pageURL(p.listing, cursor)})
	}
	if found.Ignored != nil {
		b.Entries = append(b.Entries, fhir.BundleEntry{Resource: fhir.Outcome(found.Ignored), Mode: "outcome"})
	}
	return b, nil
}

// starts are the starts of the pages up to the next one, which begins behind the last match.
func (p *searchPage) starts(last *db.Hit) [][]byte {
	return append(slices.Clone(p.before), p.place, search.Place(last.Key, last.RID))
}
