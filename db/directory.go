package db

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"bulkhead/db/dbsqlc"
)

// Project is where a URL leads: a tenant's project and what is set for it.
type Project struct {
	Tenant, Project         int32
	TenantSlug, Slug        string
	TenantName, Name        string
	FHIRVersion             string // r4 or r4b
	State                   string // active, suspended or deleting; the tenant's, unless that is active
	AllowDanglingReferences bool
	LenientValidation       bool // structure only: no bindings, invariants and profiles
}

// settings are the members of directory.project.settings that the program knows.
type settings struct {
	AllowDanglingReferences bool   `json:"allowDanglingReferences"`
	Validation              string `json:"validation"` // strict (also when it is empty) or lenient
}

// projectLife bounds how long a changed setting may go unseen. Suspension does not wait for it:
// app.enter checks the state in every transaction.
const (
	projectLife = 5 * time.Second
	maxProjects = 10_000
)

type cachedProject struct {
	project Project
	until   time.Time
}

// FindProject returns the project of two slugs, or ErrNoProject.
func (d *DB) FindProject(ctx context.Context, tenant, project string) (Project, error) {
	key := [2]string{tenant, project}
	d.mu.Lock()
	hit, ok := d.projects[key]
	d.mu.Unlock()
	if ok && time.Now().Before(hit.until) {
		return hit.project, nil
	}
	row, err := d.findProject(ctx, tenant, project)
	if errors.Is(err, ErrNotFound) {
		d.ForgetProject(tenant, project)
		return Project{}, ErrNoProject
	}
	if err != nil {
		return Project{}, err
	}
	var set settings
	if err := json.Unmarshal(row.Settings, &set); err != nil {
		return Project{}, fmt.Errorf("settings of project %s/%s: %w", tenant, project, err)
	}
	found := Project{
		Tenant: row.TenantID, Project: row.ProjectID, TenantSlug: tenant, Slug: project,
		TenantName: row.TenantName, Name: row.ProjectName, FHIRVersion: row.FhirVersion, State: row.State,
		AllowDanglingReferences: set.AllowDanglingReferences, LenientValidation: set.Validation == "lenient",
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.projects) >= maxProjects {
		clear(d.projects)
	}
	d.projects[key] = cachedProject{project: found, until: time.Now().Add(projectLife)}
	return found, nil
}

func (d *DB) findProject(ctx context.Context, tenant, project string) (dbsqlc.FindProjectRow, error) {
	for _, pool := range d.pools {
		if pool != nil {
			row, err := dbsqlc.New(pool).FindProject(ctx, tenant, project)
			return row, classify(err)
		}
	}
	return dbsqlc.FindProjectRow{}, ErrUnavailable
}

// ForgetProject drops what is remembered of a project, so that the next request asks Postgres.
func (d *DB) ForgetProject(tenant, project string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.projects, [2]string{tenant, project})
}
