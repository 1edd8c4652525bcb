-- The signed context. Owned by bulkhead_ctx, reinstalled after every migration.
--
-- The program signs (tenant, project, caller, expiry) with the context key; app.enter() verifies
-- that in the first statement of a transaction and keeps the result in the variable app.context,
-- sealed with a key that never leaves the database and bound to this backend and this
-- transaction. The walls ask app.context(), which opens the seal. A role with arbitrary SQL can
-- SET app.context to anything: without the seal it opens to nothing, and a seal seen in one
-- transaction opens nothing in another.

CREATE OR REPLACE FUNCTION app.pad(key bytea, x int) RETURNS bytea
LANGUAGE plpgsql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  block bytea := key || decode(repeat('00', 64 - length(key)), 'hex');
BEGIN
  FOR i IN 0..63 LOOP
    block := set_byte(block, i, get_byte(block, i) # x);
  END LOOP;
  RETURN block;
END $$;
REVOKE ALL ON FUNCTION app.pad(bytea, int) FROM PUBLIC;

-- install_context_key makes key the one that new contexts are signed with; older ones stay valid
-- for the overlap. Installing the newest key again changes nothing.
CREATE OR REPLACE FUNCTION app.install_context_key(key_id int, key bytea, overlap interval) RETURNS void
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF length(key) <> 32 THEN
    RAISE EXCEPTION 'a context key has 32 bytes' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  DELETE FROM app.context_key WHERE not_after < now();
  UPDATE app.context_key SET not_after = now() + overlap WHERE id <> key_id AND not_after = 'infinity';
  INSERT INTO app.context_key (id, ipad, opad) VALUES (key_id, app.pad(key, 54), app.pad(key, 92))
  ON CONFLICT (id) DO UPDATE SET ipad = excluded.ipad, opad = excluded.opad, not_after = 'infinity';
  IF NOT EXISTS (SELECT FROM app.seal_key) THEN
    key := sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || key);
    INSERT INTO app.seal_key VALUES (app.pad(key, 54), app.pad(key, 92));
  END IF;
END $$;
REVOKE ALL ON FUNCTION app.install_context_key(int, bytea, interval) FROM PUBLIC;

-- context_key_id names the key that the program is to sign with.
CREATE OR REPLACE FUNCTION app.context_key_id() RETURNS int
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT id FROM app.context_key WHERE not_after = 'infinity' ORDER BY id DESC LIMIT 1
$$;
REVOKE ALL ON FUNCTION app.context_key_id() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.context_key_id() TO bulkhead_migrator, bulkhead_app, bulkhead_auth, bulkhead_operator, bulkhead_auditor;

CREATE OR REPLACE FUNCTION app.seal(content text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  k app.seal_key;
BEGIN
  SELECT * INTO STRICT k FROM app.seal_key;
  RETURN encode(sha256(k.opad || sha256(k.ipad || timestamptz_send(transaction_timestamp()) || int4send(pg_backend_pid()) || convert_to(content, 'UTF8'))), 'hex');
END $$;
REVOKE ALL ON FUNCTION app.seal(text) FROM PUBLIC;

-- enter verifies a signed context and makes it this transaction's. payload is lines of text:
--   key id, tenant id, project id, expiry (epoch seconds), mode, role, token id, client id, signing key id, grant id
-- mode: r = read only (the transaction becomes READ ONLY), w = read and write, d = like w in a
-- project that is being deleted. role is the one login role that may enter with it. The last
-- four are '' for callers without a token, the last one also for a client without a person. SQLSTATEs, known to package db:
--   BH001 not signed, expired or malformed   BH002 a second entry in one transaction
--   BH003 no such tenant and project, or suspended   BH004 token, client, key or grant no longer valid
CREATE OR REPLACE FUNCTION app.enter(payload text, mac bytea) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  f       text[] := string_to_array(payload, E'\n');
  k       app.context_key;
  content text;
BEGIN
  -- Only a context that opens counts: a role may have SET the variable to anything.
  IF current_setting('app.context', true) <> '' AND (SELECT c.tenant_id FROM app.context() c) IS NOT NULL THEN
    RAISE EXCEPTION 'this transaction has a context' USING ERRCODE = 'BH002';
  END IF;
  IF array_length(f, 1) IS DISTINCT FROM 10 OR f[1] !~ '^[0-9]{1,9}$' THEN
    RAISE EXCEPTION 'malformed context' USING ERRCODE = 'BH001';
  END IF;
  SELECT * INTO k FROM app.context_key WHERE id = f[1]::int AND not_after > now();
  -- Both sides are hashed once more, so that the time of the comparison tells nothing.
  IF NOT FOUND OR sha256(mac) IS DISTINCT FROM sha256(sha256(k.opad || sha256(k.ipad || convert_to(payload, 'UTF8')))) THEN
    RAISE EXCEPTION 'context is not signed' USING ERRCODE = 'BH001';
  END IF;
  IF f[4]::bigint < extract(epoch FROM clock_timestamp()) OR f[6] <> session_user THEN
    RAISE EXCEPTION 'context is expired or for another role' USING ERRCODE = 'BH001';
  END IF;
  content := f[2] || ',' || f[3] || ',' || f[5];
  PERFORM set_config('app.context', content || '|' || app.seal(content), true);
  -- From here on this function itself stands behind the walls of the tenant just entered.
  PERFORM FROM directory.project p JOIN directory.tenant t ON t.id = p.tenant_id
    WHERE p.tenant_id = f[2]::int AND p.id = f[3]::int
      AND (f[5] = 'd' OR t.state = 'active' AND p.state = 'active');
  IF NOT FOUND THEN
    RAISE EXCEPTION 'no such project' USING ERRCODE = 'BH003';
  END IF;
  -- A caller with a token: its client must be active and of this project or of the whole tenant, its
  -- key not revoked, and the token not ended. A person's token needs its grant besides, alive and by
  -- this client for this project; the person active; and, unless the grant is an offline one, the
  -- session that it was given in. So whatever ends a token bites on the next request.
  IF f[7] <> '' OR f[8] <> '' OR f[9] <> '' OR f[10] <> '' THEN
    PERFORM FROM identity.client c
      WHERE c.tenant_id = f[2]::int AND c.id = f[8] AND c.state = 'active' AND c.project_id IN (0, f[3]::int)
        AND EXISTS (SELECT FROM identity.signing_key s WHERE s.tenant_id = f[2]::int AND s.kid = f[9] AND s.state <> 'revoked')
        AND NOT EXISTS (SELECT FROM identity.revoked_token r WHERE r.tenant_id = f[2]::int AND r.jti = f[7])
        AND (f[10] = '' OR EXISTS (
          SELECT FROM identity.app_grant g
          WHERE g.tenant_id = f[2]::int AND g.id = f[10] AND g.client_id = f[8] AND g.project_id = f[3]::int AND NOT g.revoked AND g.expires_at > now()
            AND EXISTS (SELECT FROM identity.person p WHERE p.tenant_id = f[2]::int AND p.id = g.person_id AND p.state = 'active')
            AND (g.offline OR EXISTS (SELECT FROM identity.session s WHERE s.tenant_id = f[2]::int AND s.sid = g.session_sid AND s.expires_at > now()))));
    IF NOT FOUND THEN
      RAISE EXCEPTION 'token, client, key or grant is no longer valid' USING ERRCODE = 'BH004';
    END IF;
  END IF;
  IF f[5] = 'r' THEN
    PERFORM set_config('transaction_read_only', 'on', true);
  END IF;
END $$;
REVOKE ALL ON FUNCTION app.enter(text, bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.enter(text, bytea) TO bulkhead_app, bulkhead_auth, bulkhead_operator;

-- context opens the seal: the tenant and project of this transaction, or one row of nulls. The
-- walls compare both in one row comparison, so that one statement pays for one check a table.
CREATE OR REPLACE FUNCTION app.context(OUT tenant_id int, OUT project_id int)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  c       text := current_setting('app.context', true);
  content text := split_part(c, '|', 1);
  k       app.seal_key;
BEGIN
  IF c IS NULL OR c = '' THEN
    RETURN;
  END IF;
  SELECT * INTO k FROM app.seal_key;
  IF split_part(c, '|', 2) = encode(sha256(k.opad || sha256(k.ipad || timestamptz_send(transaction_timestamp()) || int4send(pg_backend_pid()) || convert_to(content, 'UTF8'))), 'hex') THEN
    tenant_id := split_part(content, ',', 1)::int;
    project_id := split_part(content, ',', 2)::int;
  END IF;
END $$;
REVOKE ALL ON FUNCTION app.context() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.context() TO bulkhead_owner, bulkhead_migrator, bulkhead_app, bulkhead_auth, bulkhead_operator, bulkhead_auditor;

-- lock takes a transaction lock on key within this tenant and project: two conditional writes on
-- the same criteria wait for one another, and no project can wait for another's.
CREATE OR REPLACE FUNCTION app.lock(key text) RETURNS void
LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  c record;
BEGIN
  SELECT * INTO c FROM app.context();
  IF c.tenant_id IS NULL THEN
    RAISE EXCEPTION 'no context' USING ERRCODE = 'BH001';
  END IF;
  PERFORM pg_advisory_xact_lock(hashtextextended(c.tenant_id || ',' || c.project_id || ',' || key, 0));
END $$;
REVOKE ALL ON FUNCTION app.lock(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.lock(text) TO bulkhead_app, bulkhead_auth;

-- dangling refuses a write whose reference leads nowhere; DETAIL is the reference.
CREATE OR REPLACE FUNCTION app.dangling(reference text) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'dangling reference' USING ERRCODE = 'BH005', DETAIL = reference;
END $$;
REVOKE ALL ON FUNCTION app.dangling(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.dangling(text) TO bulkhead_app, bulkhead_auth;

-- directory finds a project by the slugs of its URL, before any context can be signed. Slugs are
-- public (they are in every URL and the metadata of each is open); the numbers open nothing.
CREATE OR REPLACE FUNCTION app.directory(tenant_slug text, project_slug text,
  OUT tenant_id int, OUT project_id int, OUT tenant_name text, OUT project_name text, OUT fhir_version text, OUT state text, OUT settings jsonb)
RETURNS SETOF record
LANGUAGE sql STABLE STRICT SECURITY DEFINER ROWS 1 SET search_path = pg_catalog, pg_temp AS $$
  SELECT p.tenant_id, p.id, t.name, p.name, p.fhir_version,
         CASE WHEN t.state = 'active' THEN p.state ELSE t.state END, p.settings
  FROM directory.tenant t JOIN directory.project p ON p.tenant_id = t.id
  WHERE t.slug = tenant_slug AND p.slug = project_slug
$$;
REVOKE ALL ON FUNCTION app.directory(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.directory(text, text) TO bulkhead_app, bulkhead_auth, bulkhead_operator;
