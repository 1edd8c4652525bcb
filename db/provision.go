package db

import (
	"context"
	"encoding/json"
	"fmt"

	"bulkhead/db/dbsqlc"
)

// SystemProject is the id of every tenant's reserved project `system`.
const SystemProject int32 = 1

// CreateTenant makes a tenant together with its project `system`.
// Errors: ErrDuplicate when the slug is taken, ErrInvalid when it is none.
func (d *DB) CreateTenant(ctx context.Context, slug, name string) (id int32, err error) {
	err = d.Operate(ctx, func(q *dbsqlc.Queries) error {
		if id, err = q.InsertTenant(ctx, slug, name); err != nil {
			return err
		}
		return q.InsertProject(ctx, dbsqlc.InsertProjectParams{
			TenantID: id, ID: SystemProject, Slug: "system", Name: name, Kind: "system",
			FhirVersion: "r4", Settings: json.RawMessage("{}"),
		})
	})
	return id, err
}

// CreateProject makes a project in the tenant that tx has entered. It is not active for anyone
// until tx commits. Errors: ErrDuplicate, ErrInvalid.
func (tx *Tx) CreateProject(ctx context.Context, slug, name, fhirVersion string, settings json.RawMessage) (id int32, err error) {
	tenant := tx.door.caller.Tenant
	if id, err = tx.NextProject(ctx, tenant); err != nil {
		return 0, err
	}
	if len(settings) == 0 {
		settings = json.RawMessage("{}")
	}
	return id, tx.InsertProject(ctx, dbsqlc.InsertProjectParams{
		TenantID: tenant, ID: id, Slug: slug, Name: name, Kind: "user", FhirVersion: fhirVersion, Settings: settings,
	})
}

// DeleteProject ends a project for everyone at once and then removes every row that it has in any
// table, in batches, inside its own context. report is told the rows removed so far; it may be nil.
// A deletion that was cut off is taken up again by calling it again.
func (d *DB) DeleteProject(ctx context.Context, tenant, project int32, report func(rows int64)) error {
	if project == SystemProject {
		return fmt.Errorf("%w: project system belongs to its tenant", ErrForbidden)
	}
	inSystem := Caller{Tenant: tenant, Project: SystemProject}
	err := d.UpdateDeleting(ctx, Identity, inSystem, func(tx *Tx) error {
		found, err := tx.SetProjectState(ctx, "deleting", tenant, project)
		if err == nil && found == 0 {
			err = ErrNoProject
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := d.purge(ctx, tenant, project, report); err != nil {
		return err
	}
	return d.UpdateDeleting(ctx, Identity, inSystem, func(tx *Tx) error {
		if _, err := tx.DeleteProjectClients(ctx, tenant, project); err != nil {
			return err
		}
		_, err := tx.Last().DeleteProject(ctx, tenant, project)
		return err
	})
}

// DeleteTenant removes a tenant with all its projects, clients and keys.
func (d *DB) DeleteTenant(ctx context.Context, tenant int32, report func(rows int64)) error {
	var projects []dbsqlc.ListProjectsRow
	err := d.Operate(ctx, func(q *dbsqlc.Queries) error {
		found, err := q.SetTenantState(ctx, "deleting", tenant)
		if err == nil && found == 0 {
			err = ErrNoProject
		}
		if err != nil {
			return err
		}
		projects, err = q.ListProjects(ctx, tenant)
		return err
	})
	if err != nil {
		return err
	}
	for _, p := range projects {
		if err := d.purge(ctx, tenant, p.ID, report); err != nil {
			return err
		}
	}
	if err := d.purgeTables(ctx, Identity, Caller{Tenant: tenant, Project: SystemProject}, "tenant", report); err != nil {
		return err
	}
	return d.Operate(ctx, func(q *dbsqlc.Queries) error {
		for _, p := range projects {
			if _, err := q.DeleteProject(ctx, tenant, p.ID); err != nil {
				return err
			}
		}
		_, err := q.DeleteTenant(ctx, tenant)
		return err
	})
}

func (d *DB) purge(ctx context.Context, tenant, project int32, report func(int64)) error {
	caller := Caller{Tenant: tenant, Project: project}
	if err := d.purgeTables(ctx, Clinical, caller, "clinical", report); err != nil {
		return err
	}
	return d.purgeTables(ctx, Identity, caller, "identity", report)
}

const purgeBatch = 20_000

// purgeTables empties every table of a class as far as the caller's walls reach. The tables come
// from the catalogue, so that one added later cannot be forgotten here.
func (d *DB) purgeTables(ctx context.Context, plane Plane, caller Caller, class string, report func(int64)) error {
	const tables = `SELECT c.oid::regclass::text FROM pg_class c
		WHERE c.relkind = 'r' AND obj_description(c.oid, 'pg_class') LIKE 'class: ' || $1 || '%' ORDER BY 1`
	var names []string
	err := d.UpdateDeleting(ctx, plane, caller, func(tx *Tx) error {
		rows, err := tx.door.Query(ctx, tables, class)
		if err != nil {
			return err
		}
		defer rows.Close()
		names = names[:0]
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				return err
			}
			names = append(names, name)
		}
		return rows.Err()
	})
	if err != nil {
		return err
	}
	total := int64(0)
	for _, name := range names {
		for more := true; more; {
			err := d.UpdateDeleting(ctx, plane, caller, func(tx *Tx) error {
				tx.door.last = true
				tag, err := tx.door.Exec(ctx, "DELETE FROM "+name+" WHERE ctid IN (SELECT ctid FROM "+name+" LIMIT $1)", purgeBatch)
				more = tag.RowsAffected() == purgeBatch
				total += tag.RowsAffected()
				return err
			})
			if err != nil {
				return err
			}
			if report != nil {
				report(total)
			}
		}
	}
	return nil
}
