package db

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Console is a login role's way in by hand: `bulkhead psql` hands it to psql, or runs one statement
// through it where there is no psql. It is for people who try the walls; no request comes this way.
type Console struct {
	URL   string // of the login role
	Enter string // the statement that enters the project, good for 60 seconds; "" enters none
}

// Console prepares one. The role must be that of plane; a nil caller enters no project.
func (d *DB) Console(url string, plane Plane, caller *Caller) Console {
	c := Console{URL: url}
	if caller != nil {
		payload, mac := d.signContext(plane, *caller, 'w')
		c.Enter = fmt.Sprintf(`SELECT app.enter(E'%s', '\x%s')`, strings.ReplaceAll(payload, "\n", `\n`), hex.EncodeToString(mac))
	}
	return c
}

// Table is the answer to one statement, as text.
type Table struct {
	Columns []string
	Rows    [][]string // NULL is ""
	Tag     string     // "SELECT 3"
}

// Run executes one statement in a transaction of its own, after entering, and commits it. Errors are
// Postgres's own, because the reader wants to see what the database says.
func (c Console) Run(ctx context.Context, sql string) (Table, error) {
	conn, err := pgx.Connect(ctx, c.URL)
	if err != nil {
		return Table{}, &stateError{meaning: ErrUnavailable, cause: err}
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var table Table
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if c.Enter != "" {
			if _, err := tx.Exec(ctx, c.Enter); err != nil {
				return err
			}
		}
		// The extended protocol takes one statement only.
		result := conn.PgConn().ExecParams(ctx, sql, nil, nil, nil, nil)
		table = read(result)
		tag, err := result.Close()
		table.Tag = tag.String()
		return err
	})
	return table, err
}

func read(result *pgconn.ResultReader) Table {
	var t Table
	for _, f := range result.FieldDescriptions() {
		t.Columns = append(t.Columns, f.Name)
	}
	for result.NextRow() {
		row := make([]string, 0, len(t.Columns))
		for _, value := range result.Values() {
			row = append(row, string(value))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}
