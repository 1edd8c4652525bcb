package db

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"bulkhead/db/dbsqlc"
)

// Caller is who a transaction is for: the part of an access token that Postgres is told.
type Caller struct {
	Tenant, Project int32
	TokenID         string // jti; "" for the program's own work
	ClientID        string
	KeyID           string // kid of the key that signed the token
	GrantID         string // of the person's grant that the token came of; "" for a client on its own
}

// contextLife is how long a signed context may take to reach the database.
const contextLife = 60 * time.Second

const enter = "SELECT app.enter($1, $2)"

// View is read-only access to one project. Every statement carries its own context and is a
// transaction of its own, so a statement is one round trip and the connection holds nothing
// between two of them.
type View struct {
	*dbsqlc.Queries
	door *door
}

// Tx is a transaction inside one project.
type Tx struct {
	*dbsqlc.Queries
	door *door
}

// Last returns the queries for the last statement of the transaction, which takes the COMMIT
// along in its round trip. Nothing can be run after it.
func (tx *Tx) Last() *dbsqlc.Queries {
	tx.door.last = true
	return tx.Queries
}

// View runs fn with read-only access to the caller's project. Errors are those of this package.
func (d *DB) View(ctx context.Context, plane Plane, caller Caller, fn func(*View) error) error {
	return d.withConn(ctx, plane, caller.Tenant, func(conn *pgxpool.Conn) error {
		dr := &door{db: d, conn: conn.Conn(), caller: caller, plane: plane, mode: 'r', last: true}
		return fn(&View{Queries: dbsqlc.New(dr), door: dr})
	})
}

// Update runs fn in a transaction inside the caller's project and commits it when fn returns nil.
// fn runs again when the database asks for it (serialization failure, deadlock), so it must not
// keep anything from a run that failed.
func (d *DB) Update(ctx context.Context, plane Plane, caller Caller, fn func(*Tx) error) error {
	return d.update(ctx, plane, caller, 'w', fn)
}

// UpdateDeleting is Update in a project, or of a tenant, that is being deleted and so refuses all
// others.
func (d *DB) UpdateDeleting(ctx context.Context, plane Plane, caller Caller, fn func(*Tx) error) error {
	return d.update(ctx, plane, caller, 'd', fn)
}

const attempts = 6

func (d *DB) update(ctx context.Context, plane Plane, caller Caller, mode byte, fn func(*Tx) error) error {
	for try := 1; ; try++ {
		err := d.withConn(ctx, plane, caller.Tenant, func(conn *pgxpool.Conn) error {
			dr := &door{db: d, conn: conn.Conn(), caller: caller, plane: plane, mode: mode}
			err := fn(&Tx{Queries: dbsqlc.New(dr), door: dr})
			return dr.end(ctx, err)
		})
		if err == nil || !retryable(err) || try == attempts {
			return err
		}
		pause := time.Duration(rand.IntN(10<<try)) * time.Millisecond
		select {
		case <-ctx.Done():
			return classify(ctx.Err())
		case <-time.After(pause):
		}
	}
}

// Operate runs fn as bulkhead_operator, which sees tenants and projects as records and nothing
// that they hold.
func (d *DB) Operate(ctx context.Context, fn func(*dbsqlc.Queries) error) error {
	pool := d.pools[Operator]
	if pool == nil {
		return fmt.Errorf("%w: no database URL for bulkhead_operator", ErrUnavailable)
	}
	return classify(pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error { return fn(dbsqlc.New(tx)) }))
}

// withConn runs fn on a connection of the plane's pool, and once more when its context was refused
// because the key has been rotated: then nothing of it has happened.
func (d *DB) withConn(ctx context.Context, plane Plane, tenant int32, fn func(*pgxpool.Conn) error) error {
	pool := d.pools[plane]
	if pool == nil {
		return fmt.Errorf("%w: no database URL for %s", ErrUnavailable, roles[plane])
	}
	release, err := d.shares[plane].take(ctx, tenant)
	if err != nil {
		return err
	}
	defer release()
	key := d.key.Load()
	err = acquire(ctx, pool, fn)
	if !errors.Is(err, ErrContext) {
		return err
	}
	if loadErr := d.loadKey(ctx); loadErr != nil {
		return errors.Join(err, loadErr)
	}
	if d.key.Load().id == key.id {
		return err
	}
	return acquire(ctx, pool, fn)
}

func acquire(ctx context.Context, pool *pgxpool.Pool, fn func(*pgxpool.Conn) error) error {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		if ctx.Err() == nil {
			return &stateError{meaning: ErrUnavailable, cause: err}
		}
		return classify(err)
	}
	defer conn.Release()
	return fn(conn)
}

// door is the one way to the connection. The first statement takes along BEGIN and the signed
// context, the last one COMMIT, all in one round trip of the extended protocol. A pipeline without
// BEGIN is one transaction too: Postgres ends it at the Sync.
type door struct {
	db     *DB
	conn   *pgx.Conn
	caller Caller
	plane  Plane
	mode   byte // as app.enter knows it
	last   bool // the next statement is the last one (of a View: each is)
	open   bool // BEGIN was sent
	done   bool
}

var errDone = errors.New("db: a statement after the last one of its transaction")

func (d *door) send(ctx context.Context, sql string, args []any) *reply {
	return d.pipeline(ctx, Statement{SQL: sql, Args: args})
}

// pipeline sends statements in one round trip. Their results are to be read in order.
func (d *door) pipeline(ctx context.Context, statements ...Statement) *reply {
	if d.done {
		return &reply{err: errDone}
	}
	batch := &pgx.Batch{}
	skip := 0
	if !d.open {
		if !d.last {
			batch.Queue("BEGIN")
			d.open = true
			skip++
		}
		payload, mac := d.db.signContext(d.plane, d.caller, d.mode)
		batch.Queue(enter, payload, mac)
		skip++
	}
	for _, s := range statements {
		batch.Queue(s.SQL, s.Args...)
	}
	if d.last {
		if d.open {
			batch.Queue("COMMIT")
		}
		d.done = d.mode != 'r'
	}
	r := &reply{door: d, results: d.conn.SendBatch(ctx, batch), commits: d.last && d.mode != 'r'}
	for range skip {
		if _, err := r.results.Exec(); err != nil {
			_ = r.finish(err) // kept in r.err
			return r
		}
	}
	return r
}

// end commits what Last has not, or rolls back.
func (d *door) end(ctx context.Context, err error) error {
	if err == nil && d.open && !d.done {
		_, err = d.conn.Exec(ctx, "COMMIT")
		d.done = true
		return d.committed(err)
	}
	if err != nil && d.open && !d.conn.IsClosed() && d.conn.PgConn().TxStatus() != 'I' {
		// The client may be gone; the transaction must end all the same.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if _, rollbackErr := d.conn.Exec(ctx, "ROLLBACK"); rollbackErr != nil {
			_ = d.conn.Close(ctx)
		}
	}
	return err
}

// committed says what a COMMIT came to. A lost answer is unknown, and so is one that Postgres gave
// before its standby had the data.
func (d *door) committed(err error) error {
	if d.conn.PgConn().CustomData()["unsynced"] == true {
		delete(d.conn.PgConn().CustomData(), "unsynced")
		return ErrUnknownOutcome
	}
	var pg *pgconn.PgError
	if err != nil && !errors.As(err, &pg) {
		return &stateError{meaning: ErrUnknownOutcome, cause: err}
	}
	return classify(err)
}

// Exec, Query and QueryRow make door a dbsqlc.DBTX.

// Exec runs one statement.
func (d *door) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	r := d.send(ctx, sql, args)
	if r.err != nil {
		return pgconn.CommandTag{}, r.err
	}
	tag, err := r.results.Exec()
	return tag, r.finish(err)
}

// Query runs one statement and returns its rows.
func (d *door) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	r := d.send(ctx, sql, args)
	if r.err != nil {
		return nil, r.err
	}
	rows, err := r.results.Query()
	if err != nil {
		return nil, r.finish(err)
	}
	return &replyRows{Rows: rows, reply: r}, nil
}

// QueryRow runs one statement whose first row is wanted.
func (d *door) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	r := d.send(ctx, sql, args)
	if r.err != nil {
		return r
	}
	r.row = r.results.QueryRow()
	return r
}

// reply is what one round trip brought back.
type reply struct {
	door    *door
	results pgx.BatchResults
	row     pgx.Row
	commits bool
	err     error
}

// finish reads the rest of the round trip, which is where a COMMIT may still fail.
func (r *reply) finish(err error) error {
	closeErr := r.results.Close()
	switch {
	case err != nil && r.commits && r.door.conn.IsClosed():
		r.err = r.door.committed(err)
	case err != nil:
		r.err = classify(err)
	case r.commits:
		r.err = r.door.committed(closeErr)
	default:
		r.err = classify(closeErr)
	}
	return r.err
}

// Scan makes reply a pgx.Row.
func (r *reply) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	return r.finish(r.row.Scan(dest...))
}

// replyRows ends the round trip with the last row, so that Err tells of a failed COMMIT too.
type replyRows struct {
	pgx.Rows
	reply  *reply
	closed bool
}

func (r *replyRows) Next() bool {
	if r.Rows.Next() {
		return true
	}
	r.Close()
	return false
}

func (r *replyRows) Close() {
	if r.closed {
		return
	}
	r.closed = true
	r.Rows.Close()
	_ = r.reply.finish(r.Rows.Err()) // kept for Err
}

func (r *replyRows) Err() error {
	if r.closed {
		return r.reply.err
	}
	return classify(r.Rows.Err())
}

// SignContext makes the two arguments of app.enter for one transaction that starts within a minute,
// for `bulkhead psql` and for tests that go around this package.
func (d *DB) SignContext(plane Plane, c Caller) (payload string, mac []byte) {
	return d.signContext(plane, c, 'w')
}

// signContext makes what app.enter verifies.
func (d *DB) signContext(plane Plane, c Caller, mode byte) (payload string, mac []byte) {
	key := d.key.Load()
	b := make([]byte, 0, 160)
	b = strconv.AppendInt(b, int64(key.id), 10)
	b = append(b, '\n')
	b = strconv.AppendInt(b, int64(c.Tenant), 10)
	b = append(b, '\n')
	b = strconv.AppendInt(b, int64(c.Project), 10)
	b = append(b, '\n')
	b = strconv.AppendInt(b, time.Now().Add(contextLife).Unix(), 10)
	b = append(b, '\n', mode, '\n')
	b = append(b, roles[plane]...)
	for _, fact := range []string{c.TokenID, c.ClientID, c.KeyID, c.GrantID} {
		b = append(b, '\n')
		b = append(b, fact...)
	}
	return string(b), sign(key.key, b)
}
