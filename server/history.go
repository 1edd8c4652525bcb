package server

import (
	"encoding/binary"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"bulkhead/db"
	"bulkhead/db/dbsqlc"
	"bulkhead/server/access"
	"bulkhead/server/definition"
	"bulkhead/server/fhir"
	"bulkhead/server/search"
)

// historyQuery is what the parameters of a history interaction ask for.
type historyQuery struct {
	listing string // path and query in normal form
	count   int
	since   time.Time // inclusive
	until   time.Time // inclusive
	during  time.Time // _at: its first instant; zero without _at
	types   []string  // _type, on the whole project only
	cursor  string
	place   []byte // of the cursor
}

// The ends of time as far as Postgres and the program agree on them.
var (
	historyBegin = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	historyEnd   = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
)

// parseHistory reads the parameters. What is unknown is refused, because a filter that is silently
// ignored shows more than was asked for; a client that prefers lenient handling gets it ignored.
func (r *request) parseHistory(path string) (*historyQuery, error) {
	values, err := r.query()
	if err != nil {
		return nil, err
	}
	q := &historyQuery{count: search.DefaultCount, since: historyBegin, until: historyEnd}
	for name, list := range values {
		value := list[len(list)-1]
		switch name {
		case "_format", "_pretty":
			continue
		case "_count":
			q.count, err = parseCount(value)
		case "_since":
			q.since, _, err = parseMoment(name, value)
		case "_at":
			var after time.Time
			q.during, after, err = parseMoment(name, value)
			q.until = after.Add(-time.Microsecond)
		case "_sort":
			if value != "-_lastUpdated" {
				err = fhir.Errorf(fhir.NotSupported, "A history is sorted by -_lastUpdated.").At(name)
			}
		case "_type":
			if r.typ != "" {
				err = fhir.Errorf(fhir.NotSupported, "_type goes with the history of the whole project.").At(name)
			}
			q.types = strings.Split(value, ",")
		case cursorParam:
			q.cursor = value
		default:
			if !r.lenient() {
				err = fhir.Errorf(fhir.NotSupported, "A history has the parameters _count, _since, _at, _sort and _type; %q is none of them.", shorten(name)).At(shorten(name))
			}
			delete(values, name)
		}
		if err == nil && len(list) > 1 {
			err = fhir.Errorf(fhir.Invalid, "%s is given more than once.", shorten(name)).At(shorten(name))
		}
		if err != nil {
			return nil, err
		}
	}
	if q.listing = listingOf(path, values); q.cursor != "" {
		if q.place, err = r.openCursor(q.listing, q.cursor); err != nil {
			return nil, err
		}
	}
	if q.since.After(historyBegin) && !q.during.IsZero() {
		return nil, fhir.Errorf(fhir.NotSupported, "_since and _at do not go together.").At("_at")
	}
	return q, nil
}

func parseCount(value string) (int, error) {
	n, err := strconv.ParseUint(value, 10, 31)
	if err != nil {
		return 0, fhir.Errorf(fhir.ValueInvalid, "_count must be a number from 0.").At("_count")
	}
	return min(int(n), search.MaxCount), nil
}

// historyInstance answers GET [type]/[id]/_history.
func (s *Server) historyInstance(r *request) error {
	q, err := r.parseHistory("/" + r.typ + "/" + r.Param("id") + "/_history")
	if err != nil {
		return err
	}
	before, total := int32(math.MaxInt32), int64(-1)
	if q.place != nil {
		if len(q.place) != 12 {
			return errors.New("server: a cursor of an instance history of an unknown form")
		}
		before = int32(binary.BigEndian.Uint32(q.place))
		total = int64(binary.BigEndian.Uint64(q.place[4:]))
	}
	var versions []db.Version
	err = s.DB.View(r.ctx(), r.plane, r.caller, func(v *db.View) (err error) {
		if total < 0 {
			if total, err = q.countInstance(r, v); err != nil {
				return err
			}
		}
		versions, err = q.instance(r, v, before)
		return err
	})
	if err != nil {
		return err
	}
	var next []byte
	if len(versions) > q.count {
		versions = versions[:q.count]
		if q.count > 0 {
			next = binary.BigEndian.AppendUint32(nil, uint32(versions[q.count-1].Version))
			next = binary.BigEndian.AppendUint64(next, uint64(total))
		}
	}
	return r.writeHistory(q, versions, &total, next)
}

// countInstance counts the versions that the history lists; ErrNotFound if there never was such a
// resource.
func (q *historyQuery) countInstance(r *request, v *db.View) (int64, error) {
	p := dbsqlc.CountInstanceHistoryParams{
		TenantID: r.caller.Tenant, ProjectID: r.caller.Project, Type: r.typeID, ID: r.Param("id"),
	}
	count := func(since, until time.Time) (int64, error) {
		p.Since, p.Until = since, until
		return v.CountInstanceHistory(r.ctx(), p)
	}
	total, err := count(q.since, q.until)
	if err != nil {
		return 0, err
	}
	if total == 0 {
		all, err := count(historyBegin, historyEnd)
		if err == nil && all == 0 {
			err = db.ErrNotFound
		}
		return 0, err
	}
	if !q.during.IsZero() {
		// Of the versions made up to the first instant only the last was still current in it.
		old, err := count(q.since, q.during)
		return total - max(old-1, 0), err
	}
	return total, nil
}

// instance reads a page and one version more.
func (q *historyQuery) instance(r *request, v *db.View, before int32) ([]db.Version, error) {
	rows, err := v.InstanceHistory(r.ctx(), dbsqlc.InstanceHistoryParams{
		TenantID: r.caller.Tenant, ProjectID: r.caller.Project, Type: r.typeID, ID: r.Param("id"),
		BeforeVersion: before, Since: q.since, Until: q.until, Page: int32(q.count + 1),
	})
	if err != nil {
		return nil, err
	}
	versions := make([]db.Version, 0, len(rows))
	for _, row := range rows {
		versions = append(versions, db.Version{
			Type: r.typeID, ID: r.Param("id"), Version: row.Version, LastUpdated: row.LastUpdated,
			Method: row.Method, Deleted: row.Deleted, Body: row.Body,
		})
		if !q.during.IsZero() && !row.LastUpdated.After(q.during) {
			break // what is older was no longer current
		}
	}
	return versions, nil
}

// historyType answers GET [type]/_history.
func (s *Server) historyType(r *request) error {
	q, err := r.parseHistory("/" + r.typ + "/_history")
	if err != nil {
		return err
	}
	return s.historyOf(r, q, r.plane, []int16{r.typeID})
}

// historySystem answers GET _history: of all resource types of the project, or those of _type.
func (s *Server) historySystem(r *request) error {
	q, err := r.parseHistory("/_history")
	if err != nil {
		return err
	}
	plane := db.Clinical
	if r.project.Project == db.SystemProject {
		plane = db.Identity
	}
	names := q.types
	if names == nil {
		if err := r.permit("", access.Search); err != nil {
			return err
		}
		for _, t := range r.set.ResourceTypes() {
			if t.Platform == (plane == db.Identity) {
				names = append(names, t.Name)
			}
		}
	}
	types := make([]int16, 0, len(names))
	for _, name := range names {
		id, ok := definition.TypeID(name)
		if t := r.set.ResourceType(name); !ok || t == nil || t.Platform != (plane == db.Identity) {
			return fhir.Errorf(fhir.ValueInvalid, "_type names a resource type that this project does not have.").At("_type")
		}
		if err := r.permit(name, access.Search); err != nil {
			return err
		}
		types = append(types, id)
	}
	return s.historyOf(r, q, plane, types)
}

func (s *Server) historyOf(r *request, q *historyQuery, plane db.Plane, types []int16) error {
	after := db.HistoryStart(q.until)
	if q.place != nil {
		if len(q.place) != 20 {
			return errors.New("server: a cursor of a history of an unknown form")
		}
		after = db.HistoryKey{
			LastUpdated: time.UnixMicro(int64(binary.BigEndian.Uint64(q.place))).UTC(),
			RID:         int64(binary.BigEndian.Uint64(q.place[8:])),
			Version:     int32(binary.BigEndian.Uint32(q.place[16:])),
		}
	}
	var versions []db.Version
	err := s.DB.View(r.ctx(), plane, r.caller, func(v *db.View) (err error) {
		versions, err = v.TypeHistory(r.ctx(), types, db.HistoryRange{Since: q.since, During: q.during}, after, q.count+1)
		return err
	})
	if err != nil {
		return err
	}
	var next []byte
	if len(versions) > q.count {
		versions = versions[:q.count]
		if q.count > 0 {
			last := versions[q.count-1]
			next = binary.BigEndian.AppendUint64(nil, uint64(last.LastUpdated.UnixMicro()))
			next = binary.BigEndian.AppendUint64(next, uint64(last.RID))
			next = binary.BigEndian.AppendUint32(next, uint32(last.Version))
		}
	}
	return r.writeHistory(q, versions, nil, next)
}

func (r *request) writeHistory(q *historyQuery, versions []db.Version, total *int64, next []byte) error {
	b := fhir.Bundle{Type: "history", Time: fhir.Now(), Total: total, Links: r.pageLinks(q.listing, q.cursor, next)}
	b.Entries = make([]fhir.BundleEntry, len(versions))
	for i := range versions {
		b.Entries[i] = r.historyEntry(&versions[i])
	}
	return r.answer(http.StatusOK, string(b.Append(make([]byte, 0, b.Size()))))
}

// historyEntry tells of one version by the interaction that made it.
func (r *request) historyEntry(v *db.Version) fhir.BundleEntry {
	name := definition.TypeName(v.Type)
	e := fhir.BundleEntry{
		FullURL: r.base + "/" + name + "/" + v.ID, Resource: v.Body, Method: v.Method, URL: name + "/" + v.ID,
		Response: &fhir.BundleResponse{
			Status: http.StatusOK, ETag: etag(v.Version), LastModified: v.LastUpdated,
			Location: name + "/" + v.ID + "/_history/" + strconv.Itoa(int(v.Version)),
		},
	}
	switch {
	case v.Deleted:
		e.Resource, e.Response.Status = "", http.StatusNoContent
	case v.Method == http.MethodPost:
		e.URL, e.Response.Status = name, http.StatusCreated
	case v.Version == 1:
		e.Response.Status = http.StatusCreated
	}
	return e
}
