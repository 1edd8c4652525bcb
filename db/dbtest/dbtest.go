// Package dbtest gives tests a real Postgres with Bulkhead's schema, roles and policies. Tests run
// as the runtime roles: a superuser would pass every isolation test for the wrong reason.
//
// TEST_DATABASE_URL names a server to use, as a superuser; without it each test binary runs an
// embedded one. All tests of a binary share one database and make a tenant of their own; a test
// that changes the schema or policies, or looks across tenants, takes a Clone.
package dbtest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"bulkhead/db"
	"bulkhead/db/embedded"
	"bulkhead/policies"
)

// Database is one database with the schema and policies of this checkout.
type Database struct {
	*db.DB
	Master   db.MasterKey
	super    *pgx.ConnConfig
	password string
}

var (
	once   sync.Once
	shared *Database
	opened error
	cloned atomic.Int32
)

// Open returns the database that all tests of this binary share.
func Open(t testing.TB) *Database {
	t.Helper()
	once.Do(func() { shared, opened = start() })
	if opened != nil {
		t.Fatalf("dbtest: %v", opened)
	}
	return shared
}

// Clone returns a fresh database of its own for t.
func Clone(t testing.TB) *Database {
	t.Helper()
	base := Open(t)
	name := fmt.Sprintf("%s_%d", base.super.Database, cloned.Add(1))
	d, err := create(base.super, name)
	if err != nil {
		t.Fatalf("dbtest: %v", err)
	}
	t.Cleanup(func() {
		d.Close()
		if err := exec(base.super, "DROP DATABASE "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)"); err != nil {
			t.Errorf("dbtest: %v", err)
		}
	})
	return d
}

func start() (*Database, error) {
	url := os.Getenv("TEST_DATABASE_URL")
	if url == "" {
		// It ends with this process, however that ends.
		server, err := embedded.Start(context.Background(), embedded.Config{
			Temporary: true, Fast: true, Settings: map[string]string{"max_connections": "200"},
		})
		if err != nil {
			return nil, err
		}
		url = server.SuperuserDSN("postgres")
	}
	super, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	suffix := make([]byte, 4)
	rand.Read(suffix)
	return create(super, "bulkhead_test_"+hex.EncodeToString(suffix))
}

func create(server *pgx.ConnConfig, name string) (*Database, error) {
	if err := exec(server, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()); err != nil {
		return nil, err
	}
	super := server.Copy()
	super.Database = name
	// Roles belong to the server, so every test binary on it must choose the same password.
	sum := sha256.Sum256([]byte(server.Password + "bulkhead test"))
	d := &Database{Master: db.NewMasterKey(), super: super, password: hex.EncodeToString(sum[:12])}
	ctx := context.Background()
	passwords := map[string]string{}
	for _, role := range policies.LoginRoles {
		passwords[role] = d.password
	}
	if err := db.Bootstrap(ctx, d.SuperuserURL(), passwords); err != nil {
		return nil, err
	}
	if err := db.MigrateUp(ctx, d.URL("bulkhead_migrator"), d.Master); err != nil {
		return nil, err
	}
	var err error
	d.DB, err = db.Open(ctx, d.Config())
	return d, err
}

func exec(server *pgx.ConnConfig, sql string) error {
	ctx := context.Background()
	conn, err := pgx.ConnectConfig(ctx, server)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	return err
}

// Config is how the program would open this database. A test that counts round trips or wants a
// small pool changes it and calls db.Open.
func (d *Database) Config() db.Config {
	return db.Config{
		AppURL: d.URL("bulkhead_app"), AuthURL: d.URL("bulkhead_auth"), OperatorURL: d.URL("bulkhead_operator"),
		Master: d.Master, MaxConns: 8,
	}
}

// URL is the DSN of a login role.
func (d *Database) URL(role string) string { return dsn(d.super, role, d.password) }

// SuperuserURL is the DSN of the administrator, for tests that set a stage no role may set.
func (d *Database) SuperuserURL() string { return dsn(d.super, d.super.User, d.super.Password) }

func dsn(c *pgx.ConnConfig, user, password string) string {
	quote := func(s string) string { return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'" }
	return fmt.Sprintf("host=%s port=%d user=%s password=%s dbname=%s sslmode=disable",
		quote(c.Host), c.Port, quote(user), quote(password), quote(c.Database))
}

// Connect opens a plain connection as a role, outside of package db's door; "" is the superuser.
func (d *Database) Connect(t testing.TB, role string) *pgx.Conn {
	t.Helper()
	url := d.SuperuserURL()
	if role != "" {
		url = d.URL(role)
	}
	conn, err := pgx.Connect(context.Background(), url)
	if err != nil {
		t.Fatalf("dbtest: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// Tenant is a fresh tenant with one project.
type Tenant struct {
	Slug, ProjectSlug string
	Caller            db.Caller // in the project
	System            db.Caller // in the tenant's project system
}

var tenants atomic.Int64

// NewTenant makes a tenant with a project `main` of FHIR R4, or of the version given.
func (d *Database) NewTenant(t testing.TB, fhirVersion ...string) Tenant {
	t.Helper()
	version := "r4"
	if len(fhirVersion) > 0 {
		version = fhirVersion[0]
	}
	ctx := context.Background()
	tenant := Tenant{Slug: fmt.Sprintf("t%d", tenants.Add(1)), ProjectSlug: "main"}
	id, err := d.CreateTenant(ctx, tenant.Slug, "Test tenant")
	if err != nil {
		t.Fatalf("dbtest: %v", err)
	}
	tenant.System = db.Caller{Tenant: id, Project: db.SystemProject}
	tenant.Caller = d.NewProject(t, tenant, "main", version)
	return tenant
}

// NewProject makes another project in tenant.
func (d *Database) NewProject(t testing.TB, tenant Tenant, slug, fhirVersion string) db.Caller {
	t.Helper()
	caller := db.Caller{Tenant: tenant.System.Tenant}
	err := d.Update(context.Background(), db.Identity, tenant.System, func(tx *db.Tx) (err error) {
		caller.Project, err = tx.CreateProject(context.Background(), slug, "Test project", fhirVersion, nil)
		return err
	})
	if err != nil {
		t.Fatalf("dbtest: %v", err)
	}
	return caller
}
