package server

import (
	"context"
	"errors"
	"net/http"

	"bulkhead/db"
	"bulkhead/server/fhir"
)

// ProjectSettings is what can be set of a project, besides what makes it. Fields that are nil, or
// "" where a project must have a value, leave it as it is.
type ProjectSettings struct {
	Name               string
	Validation         string // strict or lenient
	DanglingReferences *bool
}

// apply sets members of a Project resource.
func (set ProjectSettings) apply(v *fhir.Value) {
	if set.Name != "" {
		setMember(v, "name", fhir.StringValue(set.Name))
	}
	if set.Validation != "" {
		setMember(v, "validation", fhir.StringValue(set.Validation))
	}
	if set.DanglingReferences != nil {
		kind := fhir.False
		if *set.DanglingReferences {
			kind = fhir.True
		}
		setMember(v, "danglingReferences", fhir.Value{Kind: kind})
	}
}

// setMember sets a member of an object, in its place if it is there. The members are not shared
// with another value.
func setMember(v *fhir.Value, name string, to fhir.Value) {
	for i := range v.Members {
		if v.Members[i].Name == name {
			v.Members[i].Value = to
			return
		}
	}
	v.Members = append(v.Members, fhir.Member{Name: name, Value: to})
}

// CreateProject makes a project and its Project resource, for the program's own commands. slug ""
// makes one of the name. It returns the slug.
func (s *Server) CreateProject(ctx context.Context, tenant, slug, name, fhirVersion string, settings ...ProjectSettings) (string, error) {
	r, err := s.systemRequest(ctx, tenant)
	if err != nil {
		return "", err
	}
	v := newProject(slug, name, fhirVersion)
	for _, set := range settings {
		set.apply(&v)
	}
	ch, err := r.putProject(ctx, http.MethodPost, "", v, nil)
	if err != nil {
		return "", err
	}
	return ch.id, nil
}

func newProject(slug, name, fhirVersion string) fhir.Value {
	v := fhir.Value{Kind: fhir.Object, Members: []fhir.Member{{Name: "resourceType", Value: fhir.StringValue("Project")}}}
	if slug != "" {
		setMember(&v, "id", fhir.StringValue(slug))
	}
	setMember(&v, "name", fhir.StringValue(name))
	setMember(&v, "fhirVersion", fhir.StringValue(fhirVersion))
	return v
}

// UpdateProject changes settings of a project and its Project resource, for the program's own
// commands. db.ErrNoProject if there is none.
func (s *Server) UpdateProject(ctx context.Context, tenant, slug string, settings ProjectSettings) error {
	r, err := s.systemRequest(ctx, tenant)
	if err != nil {
		return err
	}
	project, err := s.DB.FindProject(ctx, tenant, slug)
	if err != nil {
		return err
	}
	v := newProject(slug, project.Name, project.FHIRVersion)
	err = s.DB.Update(ctx, db.Identity, r.caller, func(tx *db.Tx) error {
		old, err := r.lockIn(ctx, tx, r.typeID, slug)
		if err != nil || old == nil || old.deleted {
			return err // a project without its resource gets one
		}
		v, err = fhir.Parse(old.body)
		return err
	})
	if err != nil && !errors.Is(err, db.ErrNotFound) {
		return err
	}
	settings.apply(&v)
	_, err = r.putProject(ctx, http.MethodPut, slug, v, nil)
	return err
}
