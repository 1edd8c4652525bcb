-- The keys that a tenant's tokens are signed with. All run as bulkhead_auth.

-- ListSigningKeys lists what is needed to sign and verify. A key that was retired a day ago has
-- nothing left that it signed: tokens live an hour at most.
-- name: ListSigningKeys :many
SELECT kid, alg, state, sealed FROM identity.signing_key
WHERE tenant_id = @tenant_id AND state <> 'revoked' AND (state <> 'retired' OR changed > now() - interval '1 day')
ORDER BY created, kid;

-- name: DescribeSigningKeys :many
SELECT kid, alg, state, created, changed FROM identity.signing_key
WHERE tenant_id = @tenant_id ORDER BY alg, created, kid;

-- LockKeys makes whoever changes the keys of a tenant wait for one another.
-- name: LockKeys :exec
SELECT app.lock('signing keys');

-- name: InsertSigningKey :exec
INSERT INTO identity.signing_key (tenant_id, kid, alg, state, sealed) VALUES (@tenant_id, @kid, @alg, @state, @sealed);

-- name: SetSigningKeyState :execrows
UPDATE identity.signing_key SET state = @state, changed = now() WHERE tenant_id = @tenant_id AND kid = @kid AND state <> @state;

-- MoveSigningKeys brings the key of one line that is in one state into another.
-- name: MoveSigningKeys :execrows
UPDATE identity.signing_key SET state = @to_state, changed = now()
WHERE tenant_id = @tenant_id AND alg = @alg AND state = @from_state;
