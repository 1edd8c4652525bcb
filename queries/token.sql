-- What is remembered of access tokens: those that were ended before their time.

-- RevokeToken ends a token; app.enter() refuses it from the next transaction on.
-- name: RevokeToken :exec
INSERT INTO identity.revoked_token (tenant_id, jti, expires_at) VALUES (@tenant_id, @jti, @expires_at)
ON CONFLICT DO NOTHING;

-- PurgeRevoked drops a tenant's ended tokens that have expired by now.
-- name: PurgeRevoked :exec
DELETE FROM identity.revoked_token WHERE tenant_id = @tenant_id AND expires_at < now() - interval '1 minute';

-- TouchToken does nothing: that the transaction could be entered is the answer.
-- name: TouchToken :one
SELECT true AS alive;
