-- What is remembered of access tokens: those that were ended before their time.

-- RevokeToken ends a token; app.enter() refuses it from the next transaction on. Some of the
-- tenant's rows that expired go with it.
-- name: RevokeToken :exec
WITH expired AS (
  DELETE FROM identity.revoked_token
  WHERE tenant_id = @tenant_id
    AND jti = ANY (ARRAY(SELECT r.jti FROM identity.revoked_token r
                         WHERE r.tenant_id = @tenant_id AND r.expires_at < now() - interval '1 minute' LIMIT 20))
)
INSERT INTO identity.revoked_token (tenant_id, jti, expires_at)
VALUES (@tenant_id, @jti, @expires_at)
ON CONFLICT DO NOTHING;

-- TouchToken does nothing: that the transaction could be entered is the answer.
-- name: TouchToken :one
SELECT true AS alive;
