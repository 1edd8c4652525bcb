-- OAuth clients. All run as bulkhead_auth.

-- FindClient reads what a token request needs in one round trip: the client and the key that signs
-- now, '' when there is none yet.
-- name: FindClient :one
SELECT c.project_id, c.state, c.auth_method, c.grant_types, c.scopes, c.jwks, c.jwks_uri, c.may_introspect, c.token_life,
       c.name, c.redirect_uris, c.logout_uris, c.secret_hash, (CASE WHEN c.previous_until > now() THEN c.previous_hash ELSE '' END)::bytea AS previous_hash,
       coalesce(k.kid, '')::text AS signing_kid
FROM identity.client c
LEFT JOIN identity.signing_key k ON k.tenant_id = c.tenant_id AND k.alg = 'ES256' AND k.state = 'active'
WHERE c.tenant_id = @tenant_id AND c.id = @id;

-- FindHome names the project that a client is bound to. Neither its name nor its version ever changes.
-- name: FindHome :one
SELECT slug, fhir_version FROM directory.project WHERE tenant_id = @tenant_id AND id = @id;

-- name: ListClients :many
SELECT c.id, c.project_id, coalesce(p.slug, 'system')::text AS project, c.name, c.state, c.auth_method, c.grant_types, c.scopes,
       c.jwks_uri, c.may_introspect, c.token_life, c.created
FROM identity.client c LEFT JOIN directory.project p ON p.tenant_id = c.tenant_id AND p.id = c.project_id
WHERE c.tenant_id = @tenant_id
ORDER BY c.created, c.id;

-- PutClient brings the row of a ClientApplication up to date and says whether it holds a secret. A
-- row of the same id in another project is not touched: then there is no result. People who agreed to
-- an app are asked again when it leads elsewhere or has another name.
-- name: PutClient :one
WITH moved AS (
  DELETE FROM identity.consent k USING identity.client o
  WHERE k.tenant_id = @tenant_id AND k.client_id = @id AND o.tenant_id = @tenant_id AND o.id = @id AND o.project_id = @project_id
    AND (o.redirect_uris <> @redirect_uris::text[] OR o.name <> @name)
)
INSERT INTO identity.client AS c (tenant_id, id, project_id, name, state, auth_method, grant_types, scopes, jwks, jwks_uri, may_introspect, token_life,
  redirect_uris, logout_uris)
VALUES (@tenant_id, @id, @project_id, @name, @state, @auth_method, @grant_types, @scopes, @jwks, @jwks_uri, @may_introspect, @token_life,
  @redirect_uris, @logout_uris)
ON CONFLICT (tenant_id, id) DO UPDATE
SET name = excluded.name, state = excluded.state, auth_method = excluded.auth_method, grant_types = excluded.grant_types,
    scopes = excluded.scopes, jwks = excluded.jwks, jwks_uri = excluded.jwks_uri, may_introspect = excluded.may_introspect,
    token_life = excluded.token_life, redirect_uris = excluded.redirect_uris, logout_uris = excluded.logout_uris,
    secret_hash = CASE excluded.auth_method WHEN 'client_secret' THEN c.secret_hash ELSE '' END,
    previous_hash = CASE excluded.auth_method WHEN 'client_secret' THEN c.previous_hash ELSE '' END
WHERE c.project_id = excluded.project_id
RETURNING (c.secret_hash <> '')::boolean AS has_secret;

-- SetSecret replaces a client's secret; the one before counts until previous_until.
-- name: SetSecret :execrows
UPDATE identity.client SET previous_hash = secret_hash, previous_until = @previous_until, secret_hash = @secret_hash
WHERE tenant_id = @tenant_id AND id = @id AND auth_method = 'client_secret';

-- name: SetClientState :execrows
UPDATE identity.client SET state = @state WHERE tenant_id = @tenant_id AND id = @id AND project_id = @project_id;

-- DeleteClient removes a client with what people granted to it: the same id can come back with the
-- resource.
-- name: DeleteClient :execrows
WITH gone AS (
  SELECT c.id FROM identity.client c WHERE c.tenant_id = @tenant_id AND c.id = @id AND c.project_id = @project_id
), grants AS (
  UPDATE identity.app_grant AS g SET revoked = true WHERE g.tenant_id = @tenant_id AND g.client_id IN (SELECT gone.id FROM gone)
), consents AS (
  DELETE FROM identity.consent k WHERE k.tenant_id = @tenant_id AND k.client_id IN (SELECT gone.id FROM gone)
)
DELETE FROM identity.client d WHERE d.tenant_id = @tenant_id AND d.id = @id AND d.project_id = @project_id;

-- DeleteProjectClients ends the clients of a project that is being deleted.
-- name: DeleteProjectClients :execrows
DELETE FROM identity.client WHERE tenant_id = @tenant_id AND project_id = @project_id;

-- UseAssertion remembers a client assertion; no row means that it was used before.
-- name: UseAssertion :execrows
INSERT INTO identity.assertion_jti (tenant_id, client_id, jti, expires_at)
VALUES (@tenant_id, @client_id, @jti, @expires_at)
ON CONFLICT DO NOTHING;

-- PurgeAssertions drops a tenant's assertions that are refused for their age anyway.
-- name: PurgeAssertions :exec
DELETE FROM identity.assertion_jti WHERE tenant_id = @tenant_id AND expires_at < now() - interval '1 minute';
