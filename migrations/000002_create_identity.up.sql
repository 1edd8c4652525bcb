-- Clients, the keys that tokens are signed with, and what must be remembered of tokens so that they
-- can be ended. A token of client_credentials leaves no row: it is known by its signature, and
-- app.enter() looks for what ends it.
--
-- None of these tables has an index besides its keys. A plan that is made while a table is empty is
-- kept, and a second index that starts with tenant_id looks as good to it as the key: every lookup
-- would then read all rows of the tenant.

-- What the authorization server needs of a ClientApplication resource, kept in step with it in the
-- same transaction. Ids are unique in the tenant because the tenant is the issuer.
CREATE TABLE identity.client (
  tenant_id      int         NOT NULL,
  id             text        COLLATE "C" NOT NULL, -- client_id, and the resource's id
  project_id     int         NOT NULL,             -- the one project it acts in; 0: any project of the tenant
  name           text        NOT NULL,
  state          text        COLLATE "C" NOT NULL CHECK (state IN ('active', 'disabled')),
  auth_method    text        COLLATE "C" NOT NULL CHECK (auth_method IN ('client_secret', 'private_key_jwt', 'none')),
  grant_types    text[]      NOT NULL,
  scopes         text[]      NOT NULL,             -- the most that a token can be granted
  jwks           text        NOT NULL DEFAULT '',  -- a JWK Set, or '' when jwks_uri says where it is
  jwks_uri       text        NOT NULL DEFAULT '',
  may_introspect boolean     NOT NULL DEFAULT false,
  token_life     int         NOT NULL DEFAULT 0,   -- seconds; 0: the server's default
  secret_hash    bytea       NOT NULL DEFAULT '',  -- keyed hash, see oauth.Pepper
  previous_hash  bytea       NOT NULL DEFAULT '',  -- the secret before a rotation with overlap ...
  previous_until timestamptz NOT NULL DEFAULT '-infinity', -- ... and how long it still counts
  created        timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id)
);
COMMENT ON TABLE identity.client IS 'class: tenant, read by enter';

CREATE TABLE identity.signing_key (
  tenant_id int         NOT NULL,
  kid       text        COLLATE "C" NOT NULL, -- RFC 7638 thumbprint
  alg       text        COLLATE "C" NOT NULL CHECK (alg IN ('ES256', 'RS256')),
  state     text        COLLATE "C" NOT NULL CHECK (state IN ('next', 'active', 'retired', 'revoked')),
  sealed    bytea       NOT NULL,             -- the private key, see oauth.Vault
  created   timestamptz NOT NULL DEFAULT now(),
  changed   timestamptz NOT NULL DEFAULT now(), -- when it came into this state
  PRIMARY KEY (tenant_id, kid)
);
CREATE UNIQUE INDEX signing_key_active ON identity.signing_key (tenant_id, alg) WHERE state = 'active';
CREATE UNIQUE INDEX signing_key_next ON identity.signing_key (tenant_id, alg) WHERE state = 'next';
COMMENT ON TABLE identity.signing_key IS 'class: tenant, read by enter';

CREATE TABLE identity.revoked_token (
  tenant_id  int         NOT NULL,
  jti        text        COLLATE "C" NOT NULL,
  expires_at timestamptz NOT NULL, -- of the token; the row is of no use after it
  PRIMARY KEY (tenant_id, jti)
);
COMMENT ON TABLE identity.revoked_token IS 'class: tenant, read by enter';

-- Client assertions that were used: each is good once.
CREATE TABLE identity.assertion_jti (
  tenant_id  int         NOT NULL,
  client_id  text        COLLATE "C" NOT NULL,
  jti        bytea       NOT NULL, -- SHA-256 of it, since its length is the client's choice
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, client_id, jti)
);
COMMENT ON TABLE identity.assertion_jti IS 'class: tenant';
