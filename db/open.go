package db

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"bulkhead/policies"
)

// Plane says which tables a transaction is about, and so which role it runs as.
type Plane uint8

// The planes.
const (
	Clinical Plane = iota // bulkhead_app: resources of patients' care
	Identity              // bulkhead_auth: clients, keys, users and the other platform types
	Operator              // bulkhead_operator: tenants and projects as records
)

var roles = [...]string{Clinical: "bulkhead_app", Identity: "bulkhead_auth", Operator: "bulkhead_operator"}

// Config says where Postgres is. Each URL (or keyword DSN) connects as the role of its plane;
// several hosts and target_session_attrs work as in libpq, and so does TLS.
type Config struct {
	AppURL      string // bulkhead_app
	AuthURL     string // bulkhead_auth
	OperatorURL string // bulkhead_operator; may be empty, then Operate fails
	Master      MasterKey
	MaxConns    int32           // of each pool; 0 means pgxpool's default or what the URL says
	Tracer      pgx.QueryTracer // sees every statement; for tests that count round trips
}

// DB holds a pool for each plane. It is safe for concurrent use.
type DB struct {
	pools  [3]*pgxpool.Pool
	shares [3]*shares
	master MasterKey
	key    atomic.Pointer[contextKey]

	mu       sync.Mutex
	projects map[[2]string]cachedProject
}

type contextKey struct {
	id  int32
	key []byte
}

// Open connects, makes sure that the walls stand (else *UnsafeError) and learns which context key
// is current.
func Open(ctx context.Context, config Config) (*DB, error) {
	d := &DB{master: config.Master, projects: map[[2]string]cachedProject{}}
	for plane, url := range []string{Clinical: config.AppURL, Identity: config.AuthURL, Operator: config.OperatorURL} {
		if url == "" {
			continue
		}
		pool, err := open(ctx, Plane(plane), url, config)
		if err != nil {
			d.Close()
			return nil, fmt.Errorf("%s: %w", roles[plane], err)
		}
		d.pools[plane] = pool
		d.shares[plane] = newShares(pool.Config().MaxConns)
	}
	if err := errors.Join(d.guard(ctx), d.loadKey(ctx)); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// guard refuses a database whose walls do not hold and a connection that stands above them.
func (d *DB) guard(ctx context.Context) error {
	var findings []policies.Finding
	checked := false
	for plane, pool := range d.pools {
		if pool == nil {
			continue
		}
		err := pool.AcquireFunc(ctx, func(c *pgxpool.Conn) error {
			session, err := policies.CheckSession(ctx, c.Conn(), roles[plane])
			findings = append(findings, session...)
			if err != nil || checked {
				return err
			}
			checked = true
			all, err := policies.Check(ctx, c.Conn())
			findings = append(findings, all...)
			return err
		})
		if err != nil {
			return classify(err)
		}
	}
	if len(findings) == 0 {
		return nil
	}
	return &UnsafeError{Findings: findings}
}

func open(ctx context.Context, plane Plane, url string, config Config) (*pgxpool.Pool, error) {
	pc, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	if config.MaxConns > 0 {
		pc.MaxConns = config.MaxConns
	}
	params := pc.ConnConfig.RuntimeParams
	params["search_path"] = map[Plane]string{Clinical: "public", Identity: "identity", Operator: "directory"}[plane]
	params["timezone"] = "UTC"
	defaultParam(params, "application_name", "bulkhead")
	// Measured under RLS: a custom plan is made anew each time (123 us against 24), a parallel one
	// costs 6 ms of worker start for a page of 20, and so does compiling one.
	defaultParam(params, "plan_cache_mode", "force_generic_plan")
	defaultParam(params, "max_parallel_workers_per_gather", "0")
	defaultParam(params, "jit", "off")
	defaultParam(params, "statement_timeout", "30s")
	defaultParam(params, "lock_timeout", "10s")
	defaultParam(params, "idle_in_transaction_session_timeout", "30s")
	pc.ConnConfig.Tracer = config.Tracer
	pc.ConnConfig.OnNotice = noteUnsyncedCommit
	pc.MaxConnLifetimeJitter = time.Minute
	// A connection that comes back inside a transaction would carry a tenant with it.
	pc.AfterRelease = func(c *pgx.Conn) bool { return c.PgConn().TxStatus() == 'I' }
	return pgxpool.NewWithConfig(ctx, pc)
}

func defaultParam(params map[string]string, name, value string) {
	if _, set := params[name]; !set {
		params[name] = value
	}
}

// noteUnsyncedCommit remembers that a COMMIT was acknowledged although no standby has it: Postgres
// says so in a warning with the SQLSTATE of a cancelled query.
func noteUnsyncedCommit(c *pgconn.PgConn, n *pgconn.Notice) {
	if n.Code == "57014" {
		c.CustomData()["unsynced"] = true
	}
}

// Close ends all connections after their transactions.
func (d *DB) Close() {
	for _, p := range d.pools {
		if p != nil {
			p.Close()
		}
	}
}

// Ping says whether every pool can reach its database.
func (d *DB) Ping(ctx context.Context) error {
	for _, p := range d.pools {
		if p == nil {
			continue
		}
		if err := p.Ping(ctx); err != nil {
			return classify(err)
		}
	}
	return nil
}

// Derive returns the 32-byte key for purpose from the master key of this deployment.
func (d *DB) Derive(purpose string) []byte { return d.master.Derive(purpose) }

func (d *DB) loadKey(ctx context.Context) error {
	for _, pool := range d.pools {
		if pool == nil {
			continue
		}
		var id *int32
		if err := pool.QueryRow(ctx, "SELECT app.context_key_id()").Scan(&id); err != nil {
			return fmt.Errorf("context key: %w (has `bulkhead migrate up` been run?)", classify(err))
		}
		if id == nil {
			return fmt.Errorf("context key: none is installed; run `bulkhead migrate up`")
		}
		d.key.Store(&contextKey{id: *id, key: d.master.contextKey(*id)})
		return nil
	}
	return fmt.Errorf("no database URL is set")
}
