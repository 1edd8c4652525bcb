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

func (d *door) search(ctx context.Context, sql string, args []any) ([]Hit, error) {
	rows, err := d.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(h *Hit) []any {
		return []any{&h.Type, &h.ID, &h.Version, &h.LastUpdated, &h.Body, &h.RID, &h.Mode}
	})
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
