package server

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"bulkhead/db"
	"bulkhead/db/dbsqlc"
	"bulkhead/server/fhir"
	"bulkhead/server/search"
)

// systemSlug is the slug, and so the id, of the project that every tenant has.
const systemSlug = "system"

func errSystemProject() error {
	return fhir.Errorf(fhir.BusinessRule, "The project system belongs to its tenant: it cannot be changed or deleted.")
}

// projectSlug is the slug of a project that is posted: the id that it asks for, else its name as
// far as it can stand in a URL, with a number behind it if that is taken.
func projectSlug(rows []dbsqlc.ListProjectsRow, v *fhir.Value) string {
	if id := v.Get("id"); id != nil {
		return id.Text()
	}
	taken := make(map[string]bool, len(rows))
	for _, row := range rows {
		taken[row.Slug] = true
	}
	slug := slugOf(v.Get("name").Text())
	for n := 2; taken[slug]; n++ {
		slug = fmt.Sprintf("%s-%d", strings.TrimRight(slugOf(v.Get("name").Text()), "-"), n)
	}
	return slug
}

// slugOf writes a name with a-z, 0-9 and hyphens.
func slugOf(name string) string {
	var b strings.Builder
	for _, c := range search.Fold(name) {
		switch {
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
			b.WriteRune(c)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
		if b.Len() == 50 {
			break
		}
	}
	if slug := strings.Trim(b.String(), "-"); slug != "" {
		return slug
	}
	return "project"
}

// validSlug tells whether a text can be a project's part of a URL.
func validSlug(slug string) bool {
	if slug == "" || len(slug) > 63 || slug[0] == '-' || slug[len(slug)-1] == '-' {
		return false
	}
	for i := range len(slug) {
		if c := slug[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// createProject answers POST Project: the row that every other request goes by, and the resource.
// The id of a Project is its slug; unlike other ids it is taken from the body.
func (s *Server) createProject(r *request) error {
	v, err := r.readResource(r.typ)
	if err != nil {
		return err
	}
	ch, err := r.putProject(r.ctx(), http.MethodPost, "", v, r.Request().Header)
	if err != nil {
		return err
	}
	return r.answerWrite(ch)
}

// updateProject answers PUT Project/[slug].
func (s *Server) updateProject(r *request) error {
	id := r.Param("id")
	if err := checkID(id); err != nil {
		return err
	}
	v, err := r.readResource(r.typ)
	if err != nil {
		return err
	}
	if err := checkBodyID(&v, id); err != nil {
		return err
	}
	ch, err := r.putProject(r.ctx(), http.MethodPut, id, v, r.Request().Header)
	if err != nil {
		return err
	}
	return r.answerWrite(ch)
}

// putProject stores a Project and its row. The slug of one that is posted is "".
func (r *request) putProject(ctx context.Context, method, slug string, v fhir.Value, conditions http.Header) (ch *change, err error) {
	err = r.writeIn(ctx, db.Identity, func(tx *db.Tx) error {
		rows, err := tx.ListProjects(ctx, r.caller.Tenant)
		if err != nil {
			return err
		}
		id := slug
		if method == http.MethodPost {
			id = projectSlug(rows, &v)
		}
		if ch, err = r.prepare(method, r.typ, r.typeID, id, v, ""); err != nil {
			return err
		}
		if ch.held, err = r.lockIn(ctx, tx, r.typeID, id); err != nil {
			return err
		}
		if err := checkPreconditions(conditions, ch.held); err != nil {
			return err
		}
		if err := r.putProjectRow(ctx, tx, ch, rows); err != nil {
			return err
		}
		return r.store(ctx, tx.Last(), ch)
	})
	r.server.DB.ForgetProject(r.project.TenantSlug, slug)
	return ch, err
}

// putProjectRow makes the project's row, or changes what can be changed of it.
func (r *request) putProjectRow(ctx context.Context, tx *db.Tx, ch *change, rows []dbsqlc.ListProjectsRow) error {
	name, version := ch.value.Get("name").Text(), ch.value.Get("fhirVersion").Text()
	switch {
	case ch.id == systemSlug:
		return errSystemProject()
	case !validSlug(ch.id):
		return fhir.Errorf(fhir.ValueInvalid, "The id of a Project stands in its URL: 1 to 63 of a-z, 0-9 and hyphens, with no hyphen at either end.").At("Project.id")
	case len(name) > 200:
		return fhir.Errorf(fhir.ValueInvalid, "The name of a Project has 200 bytes at most.").At("Project.name")
	}
	settings, err := json.Marshal(map[string]any{
		"allowDanglingReferences": ch.value.Get("danglingReferences").Text() == "true",
		"validation":              cmp.Or(ch.value.Get("validation").Text(), "strict"),
	})
	if err != nil {
		return err
	}
	row := projectRow(rows, ch.id)
	var id int32
	if row == nil {
		if id, err = tx.CreateProject(ctx, ch.id, name, version, settings); err != nil {
			return err
		}
	} else {
		id = row.ID
		switch {
		case ch.method == http.MethodPost:
			return fhir.Errorf(fhir.Duplicate, "There is a project %s already.", ch.id)
		case row.State == "deleting":
			return fhir.Errorf(fhir.Conflict, "The project %s is being deleted.", ch.id)
		case row.FhirVersion != version:
			return fhir.Errorf(fhir.BusinessRule, "The FHIR version of a project never changes.").At("Project.fhirVersion")
		}
		_, err = tx.UpdateProject(ctx, dbsqlc.UpdateProjectParams{Name: name, Settings: settings, TenantID: r.caller.Tenant, ID: id})
		if err != nil {
			return err
		}
	}
	state := "active"
	if ch.value.Get("status").Text() == "suspended" {
		state = "suspended"
	}
	_, err = tx.SetProjectState(ctx, state, r.caller.Tenant, id)
	return err
}

func projectRow(rows []dbsqlc.ListProjectsRow, slug string) *dbsqlc.ListProjectsRow {
	for i := range rows {
		if rows[i].Slug == slug {
			return &rows[i]
		}
	}
	return nil
}

// purgeTime bounds the deletion of a project's rows; what is left then goes with the next DELETE.
const purgeTime = time.Hour

// deleteProject answers DELETE Project/[slug]: it ends the project for everyone and removes every
// row of it. That may take longer than the request: it goes on when the client is gone, and a
// second DELETE does what is left.
func (s *Server) deleteProject(r *request) error {
	slug := r.Param("id")
	if err := checkID(slug); err != nil {
		return err
	}
	err := r.write(db.Identity, func(tx *db.Tx) error {
		old, err := r.lock(tx, r.typeID, slug)
		if err != nil {
			return err
		}
		return checkPreconditions(r.Request().Header, old)
	})
	if err != nil {
		return err
	}
	type end struct {
		ch  *change
		err error
	}
	done := make(chan end, 1)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx()), purgeTime)
	go func() {
		defer cancel()
		ch, err := r.endProject(ctx, slug, nil)
		done <- end{ch, err}
	}()
	select {
	case e := <-done:
		if e.err != nil {
			return e.err
		}
		if e.ch != nil {
			r.setVersion(e.ch.version, e.ch.lastUpdated)
		}
		return r.NoContent(http.StatusNoContent)
	case <-r.ctx().Done():
		return context.Cause(r.ctx())
	}
}

// endProject deletes a project's rows and then its resource; the change is nil if there was no
// resource. Nothing is deleted in project system.
func (r *request) endProject(ctx context.Context, slug string, report func(rows int64)) (*change, error) {
	if slug == systemSlug {
		return nil, errSystemProject()
	}
	defer r.server.DB.ForgetProject(r.project.TenantSlug, slug)
	var row *dbsqlc.ListProjectsRow
	err := r.server.DB.Update(ctx, db.Identity, r.caller, func(tx *db.Tx) error {
		rows, err := tx.ListProjects(ctx, r.caller.Tenant)
		row = projectRow(rows, slug)
		return err
	})
	if err == nil && row != nil {
		err = r.server.DB.DeleteProject(ctx, r.caller.Tenant, row.ID, report)
	}
	if err != nil {
		return nil, err
	}
	var ch *change
	err = r.changeOwn(ctx, slug, func(_ *db.Tx, old *held) (*change, error) {
		if ch = nil; old != nil && !old.deleted {
			ch = deletion(r.typ, r.typeID, slug, old)
		}
		return ch, nil
	})
	return ch, err
}

// DeleteProject deletes a project with every row and token of it, for the program's own commands.
// report, which may be nil, is told how many rows are gone so far. db.ErrNoProject if there is none.
func (s *Server) DeleteProject(ctx context.Context, tenant, slug string, report func(rows int64)) error {
	r, err := s.systemRequest(ctx, tenant)
	if err != nil {
		return err
	}
	if _, err := s.DB.FindProject(ctx, tenant, slug); err != nil {
		return err
	}
	_, err = r.endProject(ctx, slug, report)
	return err
}

func (s *Server) systemRequest(ctx context.Context, tenant string) (*request, error) {
	system, err := s.DB.FindProject(ctx, tenant, systemSlug)
	if err != nil {
		return nil, err
	}
	return s.ownRequest(system, "Project")
}
