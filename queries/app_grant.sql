-- What people have granted to apps. All run as bulkhead_auth, in the context of project `system`.

-- FindConsent reads what a person agreed to before.
-- name: FindConsent :one
SELECT scopes FROM identity.consent
WHERE tenant_id = @tenant_id AND person_id = @person_id AND client_id = @client_id AND project_id = @project_id;

-- PutConsent adds to what a person agreed to.
-- name: PutConsent :exec
INSERT INTO identity.consent AS k (tenant_id, person_id, client_id, project_id, scopes)
VALUES (@tenant_id, @person_id, @client_id, @project_id, @scopes)
ON CONFLICT (tenant_id, person_id, client_id, project_id) DO UPDATE
SET scopes = ARRAY(SELECT DISTINCT unnest(k.scopes || excluded.scopes)), given = now();

-- InsertGrant writes a grant with its code.
-- name: InsertGrant :exec
WITH code AS (
  INSERT INTO identity.authorization_code (tenant_id, hash, grant_id, client_id, redirect_uri, code_challenge, nonce, expires_at)
  VALUES (@tenant_id, @hash, @id, @client_id, @redirect_uri, @code_challenge, @nonce, @code_expires_at)
)
INSERT INTO identity.app_grant (tenant_id, id, client_id, person_id, project_id, scopes, session_sid, offline, auth_time, amr, patient, fhir_user, expires_at)
VALUES (@tenant_id, @id, @client_id, @person_id, @project_id, @scopes, @session_sid, @offline, @auth_time, @amr, @patient, @fhir_user, @expires_at);

-- LockCode reads a code, and keeps others from using it until the transaction ends.
-- name: LockCode :one
SELECT grant_id, client_id, redirect_uri, code_challenge, nonce, used, (expires_at <= now())::boolean AS expired
FROM identity.authorization_code
WHERE tenant_id = @tenant_id AND hash = @hash
FOR UPDATE;

-- LockRefreshToken reads a refresh token, and keeps others from using it until the transaction ends.
-- name: LockRefreshToken :one
SELECT grant_id, client_id, used, (expires_at <= now())::boolean AS expired
FROM identity.refresh_token
WHERE tenant_id = @tenant_id AND hash = @hash
FOR UPDATE;

-- FindGrant reads a grant that is alive: not revoked or expired, of a person who is active, and who
-- is signed in still unless it is an offline one.
-- name: FindGrant :one
SELECT g.person_id, g.project_id, g.scopes, g.offline, g.auth_time, g.amr, g.patient, g.fhir_user, g.session_sid, g.expires_at, p.role
FROM identity.app_grant g
JOIN identity.person p ON p.tenant_id = g.tenant_id AND p.id = g.person_id AND p.state = 'active'
WHERE g.tenant_id = @tenant_id AND g.id = @id AND NOT g.revoked AND g.expires_at > now()
  AND (g.offline OR EXISTS (SELECT FROM identity.session s WHERE s.tenant_id = g.tenant_id AND s.sid = g.session_sid AND s.expires_at > now()))
FOR SHARE OF g;

-- name: UseCode :exec
UPDATE identity.authorization_code SET used = true WHERE tenant_id = @tenant_id AND hash = @hash;

-- name: UseRefreshToken :exec
UPDATE identity.refresh_token SET used = true WHERE tenant_id = @tenant_id AND hash = @hash;

-- name: InsertRefreshToken :exec
INSERT INTO identity.refresh_token (tenant_id, hash, grant_id, client_id, expires_at)
VALUES (@tenant_id, @hash, @grant_id, @client_id, @expires_at);

-- RevokeGrant ends a grant with all its tokens.
-- name: RevokeGrant :exec
UPDATE identity.app_grant SET revoked = true WHERE tenant_id = @tenant_id AND id = @id;

-- RevokeRefreshToken ends the grant of a client's refresh token.
-- name: RevokeRefreshToken :execrows
UPDATE identity.app_grant AS g SET revoked = true
FROM identity.refresh_token r
WHERE r.tenant_id = @tenant_id AND r.hash = @hash AND r.client_id = @client_id
  AND g.tenant_id = r.tenant_id AND g.id = r.grant_id;

-- PurgeGrants drops a tenant's grants that have expired, and what belonged to them.
-- name: PurgeGrants :exec
WITH gone AS (
  DELETE FROM identity.app_grant g WHERE g.tenant_id = @tenant_id AND g.expires_at < now() - interval '1 minute' RETURNING g.id
), codes AS (
  DELETE FROM identity.authorization_code c WHERE c.tenant_id = @tenant_id
    AND (c.grant_id IN (SELECT id FROM gone) OR c.expires_at < now() - interval '1 day')
)
DELETE FROM identity.refresh_token r WHERE r.tenant_id = @tenant_id AND r.grant_id IN (SELECT id FROM gone);

-- FindSubject reads what userinfo tells of a person.
-- name: FindSubject :one
SELECT email, name FROM identity.person WHERE tenant_id = @tenant_id AND id = @id AND state = 'active';

-- ListMemberships reads the Memberships of a person in the project of the context, for what they are
-- there: the patient whom they may open an app for, and what id_tokens call fhirUser.
-- name: ListMemberships :many
SELECT r.body FROM identity.index_reference i
JOIN identity.resource r ON r.tenant_id = i.tenant_id AND r.project_id = i.project_id AND r.type = @type AND r.rid = i.rid
WHERE i.tenant_id = @tenant_id AND i.project_id = @project_id AND i.param = @param AND i.target_type = @target_type AND i.target_id = @person_id
  AND NOT r.deleted
ORDER BY r.rid
LIMIT 100;
