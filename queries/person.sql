-- People and what they prove themselves with. All run as bulkhead_auth.

-- PutPerson brings the row of a User resource up to date. What the person proves themselves with
-- stays, unless an identity provider signs them in from now on. Who is disabled, or was handed to a
-- provider, is signed out, and what they granted to apps ends.
-- name: PutPerson :exec
WITH ended AS (
  DELETE FROM identity.session s USING identity.person p
  WHERE s.tenant_id = @tenant_id AND s.person_id = @id AND p.tenant_id = @tenant_id AND p.id = @id
    AND (@state::text <> 'active' OR p.federated <> @federated::text)
), links AS (
  DELETE FROM identity.login_link l WHERE l.tenant_id = @tenant_id AND l.person_id = @id AND @state <> 'active'
), grants AS (
  UPDATE identity.app_grant AS g SET revoked = true
  FROM identity.person p
  WHERE g.tenant_id = @tenant_id AND g.person_id = @id AND NOT g.revoked AND p.tenant_id = @tenant_id AND p.id = @id
    AND (@state <> 'active' OR p.federated <> @federated)
)
INSERT INTO identity.person AS p (tenant_id, id, email, email_key, name, role, state, federated)
VALUES (@tenant_id, @id, @email, @email_key, @name, @role, @state, @federated)
ON CONFLICT (tenant_id, id) DO UPDATE
SET email = excluded.email, email_key = excluded.email_key, name = excluded.name, role = excluded.role, state = excluded.state,
    federated = excluded.federated,
    password_hash = CASE excluded.federated WHEN '' THEN p.password_hash ELSE '' END,
    totp_secret = CASE excluded.federated WHEN '' THEN p.totp_secret ELSE '' END;

-- DeletePerson removes a person with everything that they could come in by.
-- name: DeletePerson :execrows
WITH sessions AS (DELETE FROM identity.session s WHERE s.tenant_id = @tenant_id AND s.person_id = @id),
     links AS (DELETE FROM identity.login_link l WHERE l.tenant_id = @tenant_id AND l.person_id = @id),
     codes AS (DELETE FROM identity.recovery_code r WHERE r.tenant_id = @tenant_id AND r.person_id = @id),
     consents AS (DELETE FROM identity.consent c WHERE c.tenant_id = @tenant_id AND c.person_id = @id),
     grants AS (UPDATE identity.app_grant AS g SET revoked = true WHERE g.tenant_id = @tenant_id AND g.person_id = @id)
DELETE FROM identity.person p WHERE p.tenant_id = @tenant_id AND p.id = @id;

-- FindPersonByEmail reads what a password is checked with.
-- name: FindPersonByEmail :one
SELECT p.id, p.email, p.name, p.role, p.state, p.federated, p.password_hash, (p.totp_secret <> '')::boolean AS has_totp,
       coalesce(p.role = ANY (l.second_factor), false)::boolean AS needs_second_factor
FROM identity.person p LEFT JOIN identity.login_policy l ON l.tenant_id = p.tenant_id
WHERE p.tenant_id = @tenant_id AND p.email_key = @email_key;

-- FindPerson reads what a password or code of someone who is known already is checked with.
-- name: FindPerson :one
SELECT p.id, p.email, p.email_key, p.name, p.role, p.state, p.federated, p.password_hash, p.totp_secret,
       (SELECT count(*) FROM identity.recovery_code r WHERE r.tenant_id = p.tenant_id AND r.person_id = p.id)::int AS recovery_codes,
       coalesce(p.role = ANY (l.second_factor), false)::boolean AS needs_second_factor
FROM identity.person p LEFT JOIN identity.login_policy l ON l.tenant_id = p.tenant_id
WHERE p.tenant_id = @tenant_id AND p.id = @id;

-- name: ListPersons :many
SELECT p.id, p.email, p.name, p.role, p.state, p.federated, (p.password_hash <> '')::boolean AS has_password,
       (p.totp_secret <> '')::boolean AS has_totp, p.created, p.last_login
FROM identity.person p WHERE p.tenant_id = @tenant_id ORDER BY p.email_key;

-- SetPassword replaces a password. Every link that was mailed to the person dies, and so does every
-- session but the one to keep, with what was granted to apps in others.
-- name: SetPassword :execrows
WITH links AS (DELETE FROM identity.login_link l WHERE l.tenant_id = @tenant_id AND l.person_id = @id),
     sessions AS (DELETE FROM identity.session s WHERE s.tenant_id = @tenant_id AND s.person_id = @id AND s.hash <> @keep_session),
     grants AS (UPDATE identity.app_grant AS g SET revoked = true WHERE g.tenant_id = @tenant_id AND g.person_id = @id AND NOT g.revoked
                AND g.session_sid <> coalesce((SELECT k.sid FROM identity.session k WHERE k.tenant_id = @tenant_id AND k.hash = @keep_session), ''))
UPDATE identity.person AS p SET password_hash = @password_hash
WHERE p.tenant_id = @tenant_id AND p.id = @id AND p.state = 'active' AND p.federated = '';

-- RehashPassword keeps the same password under newer cost parameters.
-- name: RehashPassword :exec
UPDATE identity.person SET password_hash = @new_hash WHERE tenant_id = @tenant_id AND id = @id AND password_hash = @old_hash;

-- name: NoteLogin :exec
UPDATE identity.person SET last_login = now() WHERE tenant_id = @tenant_id AND id = @id;

-- SetTOTP gives a person a second factor, whose code of the time step was just used, or takes it
-- away when the secret is ''. Its recovery codes go with it.
-- name: SetTOTP :execrows
WITH codes AS (DELETE FROM identity.recovery_code r WHERE r.tenant_id = @tenant_id AND r.person_id = @id)
UPDATE identity.person AS p SET totp_secret = @totp_secret, totp_step = @totp_step
WHERE p.tenant_id = @tenant_id AND p.id = @id AND p.state = 'active' AND p.federated = '';

-- UseTOTPStep takes the code of a time step; no row means that it, or a later one, was used before.
-- name: UseTOTPStep :execrows
UPDATE identity.person SET totp_step = @totp_step
WHERE tenant_id = @tenant_id AND id = @id AND totp_secret <> '' AND totp_step < @totp_step;

-- name: InsertRecoveryCodes :exec
INSERT INTO identity.recovery_code (tenant_id, person_id, hash) SELECT @tenant_id::int, @person_id::text, unnest(@hashes::bytea[]);

-- name: DeleteRecoveryCodes :exec
DELETE FROM identity.recovery_code WHERE tenant_id = @tenant_id AND person_id = @person_id;

-- UseRecoveryCode takes a code; no row means that there is no such code any more.
-- name: UseRecoveryCode :execrows
DELETE FROM identity.recovery_code WHERE tenant_id = @tenant_id AND person_id = @person_id AND hash = @hash;

-- name: FindLoginPolicy :one
SELECT second_factor, idle_seconds, life_seconds FROM identity.login_policy WHERE tenant_id = @tenant_id;

-- name: PutLoginPolicy :exec
INSERT INTO identity.login_policy (tenant_id, second_factor, idle_seconds, life_seconds)
VALUES (@tenant_id, @second_factor, @idle_seconds, @life_seconds)
ON CONFLICT (tenant_id) DO UPDATE
SET second_factor = excluded.second_factor, idle_seconds = excluded.idle_seconds, life_seconds = excluded.life_seconds;
