-- The directory of tenants and projects, and the tables that hold FHIR resources, their history
-- and their search index. Runs as bulkhead_owner. Every table says its class in a comment
-- ("class: ..."); policies/walls.sql puts up the wall of that class, and start-up refuses a table
-- without one.
--
-- tenant_id and project_id lead every primary key, unique constraint and index, so that no
-- constraint can tell of another tenant and every row of a project lies together.

CREATE SCHEMA identity;
CREATE SCHEMA directory;

CREATE TABLE directory.tenant (
  id           int         PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  slug         text        COLLATE "C" NOT NULL UNIQUE CHECK (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
  name         text        NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
  state        text        COLLATE "C" NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'suspended', 'deleting')),
  created      timestamptz NOT NULL DEFAULT now(),
  last_project int         NOT NULL DEFAULT 0 -- counts project ids up; an id is never used twice
);
COMMENT ON TABLE directory.tenant IS 'class: directory';

CREATE TABLE directory.project (
  tenant_id    int         NOT NULL REFERENCES directory.tenant,
  id           int         NOT NULL,
  slug         text        COLLATE "C" NOT NULL CHECK (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
  name         text        NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
  kind         text        COLLATE "C" NOT NULL DEFAULT 'user' CHECK (kind IN ('system', 'user')),
  fhir_version text        COLLATE "C" NOT NULL CHECK (fhir_version IN ('r4', 'r4b')),
  state        text        COLLATE "C" NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'suspended', 'deleting')),
  settings     jsonb       NOT NULL DEFAULT '{}',
  created      timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, slug),
  CHECK ((kind = 'system') = (slug = 'system'))
);
COMMENT ON TABLE directory.project IS 'class: directory';

CREATE TABLE resource (
  tenant_id    int         NOT NULL,
  project_id   int         NOT NULL,
  type         smallint    NOT NULL,               -- definition.TypeID
  id           text        COLLATE "C" NOT NULL,
  rid          bigint      NOT NULL,               -- stable over versions, rises with time of creation
  version      int         NOT NULL,
  last_updated timestamptz NOT NULL,
  method       text        COLLATE "C" NOT NULL,   -- the interaction that made this version: POST, PUT, PATCH, DELETE
  deleted      boolean     NOT NULL DEFAULT false,
  tokens       bigint[]    NOT NULL,               -- search.TokenHash of each token, a residual filter only
  body         text        NOT NULL,               -- as sent, but for id and meta; '' when deleted
  PRIMARY KEY (tenant_id, project_id, type, id),
  UNIQUE (tenant_id, project_id, type, rid)        -- the default order of a search, newest first
);
CREATE INDEX resource_last_updated ON resource (tenant_id, project_id, type, last_updated DESC, rid DESC);
COMMENT ON TABLE resource IS 'class: clinical';

-- A version moves here when it is superseded; a create writes one row, not two.
CREATE TABLE resource_history (
  tenant_id    int         NOT NULL,
  project_id   int         NOT NULL,
  rid          bigint      NOT NULL,
  version      int         NOT NULL,
  type         smallint    NOT NULL,
  id           text        COLLATE "C" NOT NULL,
  last_updated timestamptz NOT NULL,
  method       text        COLLATE "C" NOT NULL,
  deleted      boolean     NOT NULL,
  body         text        NOT NULL,
  PRIMARY KEY (tenant_id, project_id, rid, version)
);
CREATE INDEX resource_history_last_updated ON resource_history (tenant_id, project_id, type, last_updated DESC, rid DESC, version DESC);
COMMENT ON TABLE resource_history IS 'class: clinical';

-- The search index: one row per value of a search parameter. param is definition.ParamID, one
-- number per resource type and parameter. In each primary key rid comes right after the value that
-- is looked up, so that a page in rid order needs no sort. The second index, by rid, answers what
-- is asked of a few known resources: residual filters, _include, :missing, sort keys. It costs next
-- to nothing, since rid rises and its inserts go to the right edge. All rows are written in the
-- transaction of the resource: a 201 means that it can be found.
CREATE TABLE index_token (
  tenant_id  int    NOT NULL,
  project_id int    NOT NULL,
  param      int    NOT NULL,
  code       text   COLLATE "C" NOT NULL,
  system     text   COLLATE "C" NOT NULL, -- '' where there is none
  rid        bigint NOT NULL,
  PRIMARY KEY (tenant_id, project_id, param, code, rid, system)
);
CREATE INDEX index_token_rid ON index_token (tenant_id, project_id, rid, param);
COMMENT ON TABLE index_token IS 'class: clinical';

CREATE TABLE index_string (
  tenant_id  int    NOT NULL,
  project_id int    NOT NULL,
  param      int    NOT NULL,
  value      text   COLLATE "C" NOT NULL, -- folded and cut, see search.Fold
  rid        bigint NOT NULL,
  hash       bigint NOT NULL,             -- of the whole text as sent, for :exact
  PRIMARY KEY (tenant_id, project_id, param, value, rid, hash)
);
CREATE INDEX index_string_rid ON index_string (tenant_id, project_id, rid, param);
COMMENT ON TABLE index_string IS 'class: clinical';

CREATE TABLE index_date (
  tenant_id  int         NOT NULL,
  project_id int         NOT NULL,
  param      int         NOT NULL,
  lo         timestamptz NOT NULL, -- first instant
  hi         timestamptz NOT NULL, -- first instant after it
  rid        bigint      NOT NULL,
  wide       boolean     NOT NULL, -- longer than search.Wide, so that a search by hi can bound lo for all others
  PRIMARY KEY (tenant_id, project_id, param, lo, rid, hi)
);
CREATE INDEX index_date_rid ON index_date (tenant_id, project_id, rid, param);
CREATE INDEX index_date_wide ON index_date (tenant_id, project_id, param, lo, rid, hi) WHERE wide;
COMMENT ON TABLE index_date IS 'class: clinical';

CREATE TABLE index_number (
  tenant_id  int    NOT NULL,
  project_id int    NOT NULL,
  param      int    NOT NULL,
  unit       text   COLLATE "C" NOT NULL, -- '' for the bare number; package search lists the forms
  lo         float8 NOT NULL,
  hi         float8 NOT NULL,
  rid        bigint NOT NULL,
  PRIMARY KEY (tenant_id, project_id, param, unit, lo, rid, hi)
);
CREATE INDEX index_number_rid ON index_number (tenant_id, project_id, rid, param);
COMMENT ON TABLE index_number IS 'class: clinical';

CREATE TABLE index_reference (
  tenant_id   int      NOT NULL,
  project_id  int      NOT NULL,
  param       int      NOT NULL,
  target_type smallint NOT NULL, -- 0: not a resource of this project, target_id is the URL
  target_id   text     COLLATE "C" NOT NULL,
  rid         bigint   NOT NULL,
  PRIMARY KEY (tenant_id, project_id, param, target_type, target_id, rid)
);
CREATE INDEX index_reference_rid ON index_reference (tenant_id, project_id, rid, param);
COMMENT ON TABLE index_reference IS 'class: clinical';

CREATE TABLE index_uri (
  tenant_id  int    NOT NULL,
  project_id int    NOT NULL,
  param      int    NOT NULL,
  value      text   COLLATE "C" NOT NULL,
  rid        bigint NOT NULL,
  PRIMARY KEY (tenant_id, project_id, param, value, rid)
);
CREATE INDEX index_uri_rid ON index_uri (tenant_id, project_id, rid, param);
COMMENT ON TABLE index_uri IS 'class: clinical';

-- One row per tuple of a composite parameter; what a parameter does not have is '' or 0.
CREATE TABLE index_composite (
  tenant_id  int      NOT NULL,
  project_id int      NOT NULL,
  param      int      NOT NULL,
  code       text     COLLATE "C" NOT NULL,
  system     text     COLLATE "C" NOT NULL,
  code2      text     COLLATE "C" NOT NULL,
  system2    text     COLLATE "C" NOT NULL,
  lo         float8   NOT NULL,
  hi         float8   NOT NULL,
  unit       text     COLLATE "C" NOT NULL,
  value      text     COLLATE "C" NOT NULL,
  lo2        float8   NOT NULL,
  hi2        float8   NOT NULL,
  rid        bigint   NOT NULL,
  n          smallint NOT NULL,
  PRIMARY KEY (tenant_id, project_id, param, code, rid, n)
);
CREATE INDEX index_composite_rid ON index_composite (tenant_id, project_id, rid, param);
COMMENT ON TABLE index_composite IS 'class: clinical';

-- Without these, joins under RLS are estimated at one row, because the planner multiplies the
-- selectivities of tenant, project and param as if they were independent.
CREATE STATISTICS resource_key (dependencies, ndistinct) ON tenant_id, project_id, type FROM resource;
CREATE STATISTICS resource_history_key (dependencies, ndistinct) ON tenant_id, project_id, type FROM resource_history;
CREATE STATISTICS index_token_key (dependencies, ndistinct) ON tenant_id, project_id, param, code FROM index_token;
CREATE STATISTICS index_string_key (dependencies, ndistinct) ON tenant_id, project_id, param, value FROM index_string;
CREATE STATISTICS index_date_key (dependencies, ndistinct) ON tenant_id, project_id, param, lo FROM index_date;
CREATE STATISTICS index_number_key (dependencies, ndistinct) ON tenant_id, project_id, param, unit FROM index_number;
CREATE STATISTICS index_reference_key (dependencies, ndistinct) ON tenant_id, project_id, param, target_type, target_id FROM index_reference;
CREATE STATISTICS index_uri_key (dependencies, ndistinct) ON tenant_id, project_id, param, value FROM index_uri;
CREATE STATISTICS index_composite_key (dependencies, ndistinct) ON tenant_id, project_id, param, code FROM index_composite;

-- The platform's own types (Project, ClientApplication, User, ...) live in tables of the same
-- shape that only bulkhead_auth may touch. SQL names these tables without a schema and the role's
-- search_path decides, so that one set of queries serves both planes and neither role holds a
-- grant on the other's tables.
CREATE TABLE identity.resource         (LIKE resource         INCLUDING ALL);
CREATE TABLE identity.resource_history (LIKE resource_history INCLUDING ALL);
CREATE TABLE identity.index_token      (LIKE index_token      INCLUDING ALL);
CREATE TABLE identity.index_string     (LIKE index_string     INCLUDING ALL);
CREATE TABLE identity.index_date       (LIKE index_date       INCLUDING ALL);
CREATE TABLE identity.index_number     (LIKE index_number     INCLUDING ALL);
CREATE TABLE identity.index_reference  (LIKE index_reference  INCLUDING ALL);
CREATE TABLE identity.index_uri        (LIKE index_uri        INCLUDING ALL);
CREATE TABLE identity.index_composite  (LIKE index_composite  INCLUDING ALL);
COMMENT ON TABLE identity.resource IS 'class: identity';
COMMENT ON TABLE identity.resource_history IS 'class: identity';
COMMENT ON TABLE identity.index_token IS 'class: identity';
COMMENT ON TABLE identity.index_string IS 'class: identity';
COMMENT ON TABLE identity.index_date IS 'class: identity';
COMMENT ON TABLE identity.index_number IS 'class: identity';
COMMENT ON TABLE identity.index_reference IS 'class: identity';
COMMENT ON TABLE identity.index_uri IS 'class: identity';
COMMENT ON TABLE identity.index_composite IS 'class: identity';
