package oauth

import (
	"context"
	"strings"

	"bulkhead/db"
	"bulkhead/db/dbsqlc"
	"bulkhead/server/access"
	"bulkhead/server/definition"
	"bulkhead/server/fhir"
	"bulkhead/server/login"
)

// place is what a person is in a project: what its Memberships say, and their role in the tenant.
type place struct {
	member   bool
	fhirUser string // the resource that is this person, as Practitioner/1; "" when none or several are
	patient  string // id of the one Patient that is theirs; "" when none or several are
}

// placeOf reads the place of whoever is signed in. Owners and admins of the tenant have one in every
// project. A request that asks for nothing but who they are needs none.
func (s *Server) placeOf(ctx context.Context, a *authorizeRequest, session *login.Session) (place, error) {
	found := place{member: session.Role == login.RoleOwner || session.Role == login.RoleAdmin}
	if len(a.scopes.In(access.None)) == len(a.scopes) && !a.scopes.Has("fhirUser") && !a.scopes.Has("launch/patient") {
		return found, nil
	}
	membership, _ := definition.TypeID("Membership")
	user, _ := definition.TypeID("User")
	var bodies []string
	caller := db.Caller{Tenant: a.iss.tenant, Project: a.project.Project}
	err := s.db.View(ctx, db.Identity, caller, func(v *db.View) (err error) {
		bodies, err = v.ListMemberships(ctx, dbsqlc.ListMembershipsParams{
			TenantID: caller.Tenant, ProjectID: caller.Project, Type: membership, Param: definition.ParamID("Membership", "user"),
			TargetType: user, PersonID: session.PersonID,
		})
		return err
	})
	if err != nil {
		return place{}, err
	}
	found.read(bodies)
	return found, nil
}

// read adds what Memberships say.
func (p *place) read(bodies []string) {
	links := map[string]bool{}
	for _, body := range bodies {
		membership, err := fhir.Parse(body)
		if err != nil || membership.Get("status").Text() == "inactive" {
			continue
		}
		p.member = true
		link := membership.Get("link").Get("reference").Text()
		if kind, id, ok := strings.Cut(link, "/"); ok && validType(kind) && id != "" && !strings.ContainsAny(id, "/?#|") {
			links[link] = true
		}
	}
	if len(links) != 1 {
		return
	}
	for link := range links {
		p.fhirUser = link
		p.patient, _ = strings.CutPrefix(link, "Patient/")
		if p.patient == link {
			p.patient = ""
		}
	}
}

func validType(kind string) bool {
	switch kind {
	case "Patient", "Practitioner", "RelatedPerson", "Person":
		return true
	}
	return false
}
