-- Tenants and projects.

-- name: FindProject :one
SELECT d.tenant_id::int AS tenant_id, d.project_id::int AS project_id, d.tenant_name::text AS tenant_name, d.project_name::text AS project_name,
       d.fhir_version::text AS fhir_version, d.state::text AS state, d.settings::jsonb AS settings
FROM app.directory(@tenant::text, @project::text) AS d(tenant_id, project_id, tenant_name, project_name, fhir_version, state, settings);

-- name: InsertTenant :one
INSERT INTO directory.tenant (slug, name, last_project) VALUES (@slug, @name, 1) RETURNING id;

-- name: InsertProject :exec
INSERT INTO directory.project (tenant_id, id, slug, name, kind, fhir_version, settings)
VALUES (@tenant_id, @id, @slug, @name, @kind, @fhir_version, @settings);

-- name: NextProject :one
UPDATE directory.tenant SET last_project = last_project + 1 WHERE id = @tenant_id RETURNING last_project;

-- name: ListTenants :many
SELECT t.id, t.slug, t.name, t.state, t.created,
       (SELECT count(*) FROM directory.project p WHERE p.tenant_id = t.id AND p.kind = 'user') AS projects
FROM directory.tenant t ORDER BY t.slug;

-- name: FindTenant :one
SELECT id, slug, name, state, created FROM directory.tenant WHERE slug = @slug;

-- name: SetTenantState :execrows
UPDATE directory.tenant SET state = @state WHERE id = @id;

-- name: DeleteTenant :execrows
DELETE FROM directory.tenant WHERE id = @id;

-- name: ListProjects :many
SELECT id, slug, name, kind, fhir_version, state, settings, created FROM directory.project WHERE tenant_id = @tenant_id ORDER BY slug;

-- name: UpdateProject :execrows
UPDATE directory.project SET name = @name, settings = @settings WHERE tenant_id = @tenant_id AND id = @id;

-- name: SetProjectState :execrows
UPDATE directory.project SET state = @state WHERE tenant_id = @tenant_id AND id = @id;

-- name: DeleteProject :execrows
DELETE FROM directory.project WHERE tenant_id = @tenant_id AND id = @id;
