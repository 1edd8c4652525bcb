package db

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"bulkhead/policies"
)

// What can go wrong, by meaning. Callers test with errors.Is; Postgres's own words stay in the
// wrapped cause, for the log.
var (
	ErrNotFound       = errors.New("no such row")
	ErrNoProject      = errors.New("no such project, or it is suspended")
	ErrRevoked        = errors.New("the token, its client or its key is no longer valid")
	ErrContext        = errors.New("the signed context was refused")
	ErrDuplicate      = errors.New("the row exists already")
	ErrDangling       = errors.New("a reference leads to nothing in this project")
	ErrConflict       = errors.New("a concurrent transaction was in the way")
	ErrTimeout        = errors.New("the statement took too long")
	ErrReadOnly       = errors.New("a write in a read-only transaction")
	ErrInvalid        = errors.New("not a value that Postgres can store")
	ErrUnavailable    = errors.New("the database cannot be reached")
	ErrUnknownOutcome = errors.New("the connection was lost while the transaction was being committed")
	ErrForbidden      = errors.New("the role may not do this")
)

// DanglingError names the reference that leads nowhere.
type DanglingError struct{ Reference string }

func (e *DanglingError) Error() string { return ErrDangling.Error() + ": " + e.Reference }

// Is makes errors.Is(err, ErrDangling) true.
func (e *DanglingError) Is(target error) bool { return target == ErrDangling }

// UnsafeError says why the program does not start: isolation does not hold in this database.
type UnsafeError struct{ Findings []policies.Finding }

func (e *UnsafeError) Error() string {
	var b strings.Builder
	b.WriteString("tenants would not be kept apart in this database; `bulkhead doctor` says more:")
	for _, f := range e.Findings {
		b.WriteString("\n  ")
		b.WriteString(f.String())
	}
	return b.String()
}

// classify turns what pgx returns into the errors above, by SQLSTATE and never by text.
func classify(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrNotFound
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		if pg.Code == "BH005" {
			return &DanglingError{Reference: pg.Detail}
		}
		if meaning := sqlstate(pg.Code); meaning != nil {
			return &stateError{meaning: meaning, cause: err}
		}
		return err
	}
	var opErr *net.OpError
	var connectErr *pgconn.ConnectError
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &stateError{meaning: ErrTimeout, cause: err}
	case errors.As(err, &connectErr), errors.As(err, &opErr), pgconn.SafeToRetry(err), errors.Is(err, net.ErrClosed), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return &stateError{meaning: ErrUnavailable, cause: err}
	}
	return err
}

func sqlstate(code string) error {
	switch code {
	case "BH001", "BH002":
		return ErrContext
	case "BH003":
		return ErrNoProject
	case "BH004":
		return ErrRevoked
	case "23514":
		return ErrInvalid
	case "23505":
		return ErrDuplicate
	case "40001", "40P01":
		return ErrConflict
	case "57014", "25P03", "25P04", "55P03":
		return ErrTimeout
	case "25006":
		return ErrReadOnly
	case "42501":
		return ErrForbidden
	}
	switch code[:2] {
	case "08", "53", "57", "58":
		return ErrUnavailable
	case "22", "54":
		return ErrInvalid
	}
	return nil
}

// stateError keeps the cause for the log beside the meaning for the caller.
type stateError struct{ meaning, cause error }

func (e *stateError) Error() string        { return e.meaning.Error() + ": " + e.cause.Error() }
func (e *stateError) Is(target error) bool { return target == e.meaning }
func (e *stateError) Unwrap() error        { return e.cause }

// retryable says whether the same transaction may succeed when it is run again.
func retryable(err error) bool { return errors.Is(err, ErrConflict) }
