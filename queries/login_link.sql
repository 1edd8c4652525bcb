-- Links that are mailed: to set a password anew, or for the first time. All run as bulkhead_auth.

-- InsertLoginLink makes a link for the active person with an e-mail address, or with an id, and
-- says where to mail it. No row: there is nobody of that description who has a password here. An
-- invitation takes the place of an older one; a reset does not, since strangers can ask for one.
-- name: InsertLoginLink :one
WITH person AS (
  SELECT p.id, p.email, p.email_key, p.name FROM identity.person p
  WHERE p.tenant_id = @tenant_id AND (p.email_key = @email_key::text OR p.id = @person_id::text) AND p.state = 'active' AND p.federated = ''
), older AS (
  DELETE FROM identity.login_link l USING person
  WHERE l.tenant_id = @tenant_id AND l.person_id = person.id AND l.purpose = 'invitation' AND @purpose = 'invitation'
), expired AS (
  DELETE FROM identity.login_link e
  WHERE e.tenant_id = @tenant_id
    AND e.hash = ANY (ARRAY(SELECT l.hash FROM identity.login_link l WHERE l.tenant_id = @tenant_id AND l.expires_at < now() LIMIT 20))
), made AS (
  INSERT INTO identity.login_link (tenant_id, hash, purpose, person_id, email_key, expires_at)
  SELECT @tenant_id, @hash, @purpose, person.id, person.email_key, @expires_at FROM person
)
SELECT person.email, person.name FROM person;

-- FindLoginLink tells whose link it is, without using it: mail scanners open links too.
-- name: FindLoginLink :one
SELECT p.id, p.email, p.name, coalesce(p.role = ANY (o.second_factor), false)::boolean AS needs_second_factor
FROM identity.login_link l
JOIN identity.person p ON p.tenant_id = l.tenant_id AND p.id = l.person_id AND p.email_key = l.email_key AND p.state = 'active' AND p.federated = ''
LEFT JOIN identity.login_policy o ON o.tenant_id = l.tenant_id
WHERE l.tenant_id = @tenant_id AND l.hash = @hash AND l.purpose = @purpose AND l.expires_at > now();

-- UseLoginLink takes the link; no row means that it was used, has expired or is for something else.
-- name: UseLoginLink :one
DELETE FROM identity.login_link l USING identity.person p
WHERE l.tenant_id = @tenant_id AND l.hash = @hash AND l.purpose = @purpose AND l.expires_at > now()
  AND p.tenant_id = l.tenant_id AND p.id = l.person_id AND p.email_key = l.email_key AND p.state = 'active' AND p.federated = ''
RETURNING l.person_id;
