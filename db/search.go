package db

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// Hit is one row of a search: a match, or a resource that came along by _include.
type Hit struct {
	Type        int16
	ID          string
	Version     int32
	LastUpdated time.Time
	Body        string
	RID         int64
	Mode        string // match or include
	Key         string // sort keys of the row, for the cursor of a page
}

// Search runs a statement that package search made. Its columns are those of Hit, in order, and
// its text is put together from constants only; everything a client sent is in args.
func (v *View) Search(ctx context.Context, sql string, args []any) ([]Hit, error) {
	return v.door.search(ctx, sql, args)
}

// Search is View.Search inside a transaction, for conditional interactions.
func (tx *Tx) Search(ctx context.Context, sql string, args []any) ([]Hit, error) {
	return tx.door.search(ctx, sql, args)
}

// Count runs a statement of package search that yields one number.
func (v *View) Count(ctx context.Context, sql string, args []any) (n int64, err error) {
	return n, v.door.QueryRow(ctx, sql, args...).Scan(&n)
}

// Statement is a statement that package search made, with its arguments.
type Statement struct {
	SQL  string
	Args []any
}

// SearchAll runs searches in one round trip; the hits of each stand at its place.
func (v *View) SearchAll(ctx context.Context, statements []Statement) ([][]Hit, error) {
	return v.door.searchAll(ctx, nil, statements)
}

// SearchAll takes the locks of the keys, in their order, and then runs searches, which therefore
// see what the former holders of the locks committed. All of it is one round trip. Two
// transactions that sort their keys wait for one another and do not deadlock.
func (tx *Tx) SearchAll(ctx context.Context, keys []string, statements []Statement) ([][]Hit, error) {
	return tx.door.searchAll(ctx, keys, statements)
}

const lockKeys = "SELECT app.lock(k.key) FROM unnest($1::text[]) WITH ORDINALITY AS k(key, n) ORDER BY k.n"

func (d *door) searchAll(ctx context.Context, keys []string, statements []Statement) ([][]Hit, error) {
	all := statements
	if len(keys) > 0 {
		all = append([]Statement{{SQL: lockKeys, Args: []any{keys}}}, statements...)
	}
	if len(all) == 0 {
		return nil, nil
	}
	r := d.pipeline(ctx, all...)
	if r.err != nil {
		return nil, r.err
	}
	if len(keys) > 0 {
		if _, err := r.results.Exec(); err != nil {
			return nil, r.finish(err)
		}
	}
	found := make([][]Hit, len(statements))
	for i := range statements {
		rows, err := r.results.Query()
		if err == nil {
			found[i], err = collect(rows, hitColumns)
		}
		if err != nil {
			return nil, r.finish(err)
		}
	}
	return found, r.finish(nil)
}

func hitColumns(h *Hit) []any {
	return []any{&h.Type, &h.ID, &h.Version, &h.LastUpdated, &h.Body, &h.RID, &h.Mode, &h.Key}
}

func (d *door) search(ctx context.Context, sql string, args []any) ([]Hit, error) {
	rows, err := d.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, hitColumns)
}

// collect reads all rows; columns says where the columns of one row go.
func collect[T any](rows pgx.Rows, columns func(*T) []any) ([]T, error) {
	defer rows.Close()
	var all []T
	for rows.Next() {
		var one T
		if err := rows.Scan(columns(&one)...); err != nil {
			return nil, classify(err)
		}
		all = append(all, one)
	}
	return all, rows.Err()
}
