-- Where people are signed in. All run as bulkhead_auth.

-- InsertSession begins a session in place of the browser's former one. Some that expired go with it,
-- and the person's longest unused ones beyond the thirtieth.
-- name: InsertSession :exec
WITH replaced AS (
  DELETE FROM identity.session r WHERE r.tenant_id = @tenant_id AND r.hash = @replaced_hash
), expired AS (
  DELETE FROM identity.session e
  WHERE e.tenant_id = @tenant_id
    AND e.hash = ANY (ARRAY(SELECT s.hash FROM identity.session s WHERE s.tenant_id = @tenant_id AND s.expires_at < now() LIMIT 20))
), excess AS (
  DELETE FROM identity.session e
  WHERE e.tenant_id = @tenant_id
    AND e.hash = ANY (ARRAY(SELECT s.hash FROM identity.session s WHERE s.tenant_id = @tenant_id AND s.person_id = @person_id
                          ORDER BY s.last_seen DESC OFFSET 29))
)
INSERT INTO identity.session (tenant_id, hash, sid, person_id, stage, amr, auth_time, last_seen, expires_at, next, user_agent, address)
SELECT @tenant_id, @hash, @sid, @person_id, @stage, @amr, now(), now(),
       now() + CASE @stage::text WHEN 'full' THEN coalesce((SELECT l.life_seconds FROM identity.login_policy l WHERE l.tenant_id = @tenant_id), 43200) ELSE 600 END * interval '1 second',
       @next, @user_agent, @address;

-- FindSession reads the session that a browser holds, with whom it is for and what is asked of them.
-- No row: it ended, was not used for too long, or the person is not active.
-- name: FindSession :one
SELECT s.sid, s.person_id, s.stage, s.amr, s.auth_time, s.expires_at, s.next, s.totp_pending,
       (s.last_seen < now() - interval '1 minute')::boolean AS stale,
       p.email, p.email_key, p.name, p.role, p.federated, (p.totp_secret <> '')::boolean AS has_totp,
       coalesce(p.role = ANY (l.second_factor), false)::boolean AS needs_second_factor
FROM identity.session s
JOIN identity.person p ON p.tenant_id = s.tenant_id AND p.id = s.person_id AND p.state = 'active'
LEFT JOIN identity.login_policy l ON l.tenant_id = s.tenant_id
WHERE s.tenant_id = @tenant_id AND s.hash = @hash AND s.expires_at > now()
  AND s.last_seen > now() - coalesce(l.idle_seconds, 3600) * interval '1 second';

-- name: TouchSession :exec
UPDATE identity.session SET last_seen = now() WHERE tenant_id = @tenant_id AND hash = @hash;

-- CompleteSession makes a session full once the second factor is proved; it goes on under another
-- hash. No row: it ended meanwhile.
-- name: CompleteSession :execrows
UPDATE identity.session AS s
SET hash = @new_hash, stage = 'full', amr = @amr, auth_time = now(), last_seen = now(), next = '', totp_pending = '',
    expires_at = CASE s.stage WHEN 'full' THEN s.expires_at
      ELSE now() + coalesce((SELECT l.life_seconds FROM identity.login_policy l WHERE l.tenant_id = s.tenant_id), 43200) * interval '1 second' END
WHERE s.tenant_id = @tenant_id AND s.hash = @hash AND s.expires_at > now();

-- name: SetPendingTOTP :exec
UPDATE identity.session SET totp_pending = @totp_pending WHERE tenant_id = @tenant_id AND hash = @hash;

-- name: ListSessions :many
SELECT s.sid, s.hash, s.amr, s.auth_time, s.last_seen, s.user_agent, s.address
FROM identity.session s LEFT JOIN identity.login_policy l ON l.tenant_id = s.tenant_id
WHERE s.tenant_id = @tenant_id AND s.person_id = @person_id AND s.stage = 'full' AND s.expires_at > now()
  AND s.last_seen > now() - coalesce(l.idle_seconds, 3600) * interval '1 second'
ORDER BY s.last_seen DESC, s.sid;

-- name: EndSession :execrows
DELETE FROM identity.session WHERE tenant_id = @tenant_id AND hash = @hash;

-- EndSessionOf ends one of a person's own sessions.
-- name: EndSessionOf :execrows
DELETE FROM identity.session WHERE tenant_id = @tenant_id AND person_id = @person_id AND sid = @sid;

-- name: EndOtherSessions :execrows
DELETE FROM identity.session WHERE tenant_id = @tenant_id AND person_id = @person_id AND hash <> @hash;
