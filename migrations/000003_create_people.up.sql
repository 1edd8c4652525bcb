-- People: who may sign in to a tenant, how, and where they are signed in now. Whatever a browser or
-- a mail carries is kept here as a hash only.

-- What signing in needs of a User resource, kept in step with it in the same transaction, and what
-- the person proves themselves with.
CREATE TABLE identity.person (
  tenant_id     int         NOT NULL,
  id            text        COLLATE "C" NOT NULL, -- the id of the User resource
  email         text        COLLATE "C" NOT NULL, -- where mail goes
  email_key     text        COLLATE "C" NOT NULL, -- the same, folded: see login.FoldEmail
  name          text        NOT NULL,
  role          text        COLLATE "C" NOT NULL CHECK (role IN ('owner', 'admin', 'member')),
  state         text        COLLATE "C" NOT NULL CHECK (state IN ('active', 'disabled')),
  federated     text        COLLATE "C" NOT NULL DEFAULT '', -- the identity provider that alone signs this person in, or ''
  password_hash text        COLLATE "C" NOT NULL DEFAULT '', -- PHC string of argon2id, or '' while there is none
  totp_secret   bytea       NOT NULL DEFAULT '',  -- sealed, or '' without a second factor
  totp_step     bigint      NOT NULL DEFAULT 0,   -- the last time step whose code was used
  created       timestamptz NOT NULL DEFAULT now(),
  last_login    timestamptz NOT NULL DEFAULT to_timestamp(0), -- that: never
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, email_key)
);
COMMENT ON TABLE identity.person IS 'class: tenant';

-- A tenant's rules for signing in; the defaults hold for a tenant without a row.
CREATE TABLE identity.login_policy (
  tenant_id     int    NOT NULL PRIMARY KEY,
  second_factor text[] NOT NULL DEFAULT '{}',                                                      -- the roles that need one
  idle_seconds  int    NOT NULL DEFAULT 3600  CHECK (idle_seconds BETWEEN 60 AND 2592000),         -- a session ends when it is not used for so long ...
  life_seconds  int    NOT NULL DEFAULT 43200 CHECK (life_seconds BETWEEN 300 AND 2592000)         -- ... and so long after it began
);
COMMENT ON TABLE identity.login_policy IS 'class: tenant';

CREATE TABLE identity.session (
  tenant_id    int         NOT NULL,
  hash         bytea       NOT NULL,             -- SHA-256 of what the cookie holds
  sid          text        COLLATE "C" NOT NULL, -- names the session to the person, to clients and in logs; opens nothing
  person_id    text        COLLATE "C" NOT NULL,
  stage        text        COLLATE "C" NOT NULL CHECK (stage IN ('full', 'code', 'setup')), -- code, setup: a second factor is still to be given, or set up
  amr          text[]      NOT NULL,             -- what the person has proved (RFC 8176)
  auth_time    timestamptz NOT NULL,             -- when
  last_seen    timestamptz NOT NULL,             -- to the minute
  expires_at   timestamptz NOT NULL,
  next         text        NOT NULL DEFAULT '',  -- where to go once the session is full
  totp_pending bytea       NOT NULL DEFAULT '',  -- sealed secret of a second factor that is being set up
  user_agent   text        NOT NULL,
  address      text        NOT NULL,
  PRIMARY KEY (tenant_id, hash)
);
CREATE UNIQUE INDEX session_sid ON identity.session (tenant_id, sid);
CREATE INDEX session_person ON identity.session (tenant_id, person_id);
CREATE INDEX session_expires_at ON identity.session (tenant_id, expires_at);
COMMENT ON TABLE identity.session IS 'class: tenant';

-- Links that were mailed. The row goes when its link is used, and with all others of the person
-- when a password is set.
CREATE TABLE identity.login_link (
  tenant_id  int         NOT NULL,
  hash       bytea       NOT NULL, -- SHA-256 of what the link holds
  purpose    text        COLLATE "C" NOT NULL CHECK (purpose IN ('reset', 'invitation')),
  person_id  text        COLLATE "C" NOT NULL,
  email_key  text        COLLATE "C" NOT NULL, -- the address it went to: it dies when the person has another
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, hash)
);
CREATE INDEX login_link_person ON identity.login_link (tenant_id, person_id);
CREATE INDEX login_link_expires_at ON identity.login_link (tenant_id, expires_at);
COMMENT ON TABLE identity.login_link IS 'class: tenant';

CREATE TABLE identity.recovery_code (
  tenant_id int   NOT NULL,
  person_id text  COLLATE "C" NOT NULL,
  hash      bytea NOT NULL, -- keyed hash
  PRIMARY KEY (tenant_id, person_id, hash)
);
COMMENT ON TABLE identity.recovery_code IS 'class: tenant';

-- How often something was tried of late. There is a row for an e-mail address whether or not anyone
-- has it, so that being locked out tells nothing.
CREATE TABLE identity.attempt (
  tenant_id     int         NOT NULL,
  key           bytea       NOT NULL, -- keyed hash of what is counted: an e-mail address, a network address, a person's codes
  failures      int         NOT NULL,
  blocked_until timestamptz NOT NULL,
  changed       timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, key)
);
CREATE INDEX attempt_changed ON identity.attempt (tenant_id, changed);
COMMENT ON TABLE identity.attempt IS 'class: tenant';
