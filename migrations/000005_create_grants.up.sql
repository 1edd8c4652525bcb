-- What people have granted to apps. Whatever an app redeems is kept here as a hash only. Like the
-- other tables of oauth these have no index besides their keys.

-- Where a client takes people: OAuth redirect URIs, and those after signing out.
ALTER TABLE identity.client
  ADD COLUMN redirect_uris text[] NOT NULL DEFAULT '{}',
  ADD COLUMN logout_uris   text[] NOT NULL DEFAULT '{}';

-- One authorization by one person: every code, refresh token and access token that came of it ends
-- with it. The claim sid of its access tokens is its id.
CREATE TABLE identity.app_grant (
  tenant_id   int         NOT NULL,
  id          text        COLLATE "C" NOT NULL,
  client_id   text        COLLATE "C" NOT NULL,
  person_id   text        COLLATE "C" NOT NULL,
  project_id  int         NOT NULL,
  scopes      text[]      NOT NULL,
  session_sid text        COLLATE "C" NOT NULL, -- the session in which it was given
  offline     boolean     NOT NULL,             -- outlives that session
  auth_time   timestamptz NOT NULL,             -- when the person had proved who they are ...
  amr         text[]      NOT NULL,             -- ... and by what
  patient     text        COLLATE "C" NOT NULL DEFAULT '', -- launch context: id of the Patient
  fhir_user   text        COLLATE "C" NOT NULL DEFAULT '', -- what the person is in the project: Practitioner/1
  created     timestamptz NOT NULL DEFAULT now(),
  expires_at  timestamptz NOT NULL,             -- whatever is done with it
  revoked     boolean     NOT NULL DEFAULT false,
  PRIMARY KEY (tenant_id, id)
);
COMMENT ON TABLE identity.app_grant IS 'class: tenant, read by enter';

-- Rows stay when the code is used, so that a second use is seen.
CREATE TABLE identity.authorization_code (
  tenant_id      int         NOT NULL,
  hash           bytea       NOT NULL, -- SHA-256
  grant_id       text        COLLATE "C" NOT NULL,
  client_id      text        COLLATE "C" NOT NULL,
  redirect_uri   text        NOT NULL,
  code_challenge text        COLLATE "C" NOT NULL, -- S256, for every client
  nonce          text        NOT NULL,
  expires_at     timestamptz NOT NULL,
  used           boolean     NOT NULL DEFAULT false,
  PRIMARY KEY (tenant_id, hash)
);
COMMENT ON TABLE identity.authorization_code IS 'class: tenant';

-- Each is good once; rows stay as long as their grant, so that a second use is seen.
CREATE TABLE identity.refresh_token (
  tenant_id  int         NOT NULL,
  hash       bytea       NOT NULL, -- SHA-256
  grant_id   text        COLLATE "C" NOT NULL,
  client_id  text        COLLATE "C" NOT NULL,
  expires_at timestamptz NOT NULL, -- when it is not used
  used       boolean     NOT NULL DEFAULT false,
  PRIMARY KEY (tenant_id, hash)
);
COMMENT ON TABLE identity.refresh_token IS 'class: tenant';

-- What a person has agreed to, so that they are not asked the same again.
CREATE TABLE identity.consent (
  tenant_id  int         NOT NULL,
  person_id  text        COLLATE "C" NOT NULL,
  client_id  text        COLLATE "C" NOT NULL,
  project_id int         NOT NULL,
  scopes     text[]      NOT NULL,
  given      timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, person_id, client_id, project_id)
);
COMMENT ON TABLE identity.consent IS 'class: tenant';

-- enter() asks whether a person is still active, and still signed in where a grant lives no longer.
COMMENT ON TABLE identity.person IS 'class: tenant, read by enter';
COMMENT ON TABLE identity.session IS 'class: tenant, read by enter';
