package server

import (
	"context"
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"bulkhead/db"
	"bulkhead/server/fhir"
	"bulkhead/server/oauth"
)

// statuses is the HTTP status of an issue type where the error does not set one.
var statuses = map[fhir.IssueType]int{
	fhir.Invalid:      http.StatusBadRequest,
	fhir.Structure:    http.StatusBadRequest,
	fhir.Required:     http.StatusBadRequest,
	fhir.ValueInvalid: http.StatusBadRequest,
	fhir.NotSupported: http.StatusBadRequest,
	fhir.TooCostly:    http.StatusBadRequest,
	fhir.Invariant:    http.StatusUnprocessableEntity,
	fhir.Processing:   http.StatusUnprocessableEntity,
	fhir.CodeInvalid:  http.StatusUnprocessableEntity,
	fhir.Extension:    http.StatusUnprocessableEntity,
	fhir.BusinessRule: http.StatusUnprocessableEntity,
	fhir.Login:        http.StatusUnauthorized,
	fhir.Forbidden:    http.StatusForbidden,
	fhir.NotFound:     http.StatusNotFound,
	fhir.Deleted:      http.StatusGone,
	fhir.Duplicate:    http.StatusConflict,
	fhir.Conflict:     http.StatusConflict,
	fhir.LockError:    http.StatusConflict,
	fhir.MultipleHits: http.StatusPreconditionFailed,
	fhir.TooLong:      http.StatusRequestEntityTooLarge,
	fhir.Throttled:    http.StatusTooManyRequests,
	fhir.Transient:    http.StatusServiceUnavailable,
	fhir.Timeout:      http.StatusServiceUnavailable,
}

// sentinels is what clients are told of the errors of package db. The first that matches counts.
var sentinels = []struct {
	is     error
	status int
	code   fhir.IssueType
	text   string
}{
	{db.ErrNotFound, http.StatusNotFound, fhir.NotFound, notFoundText},
	{db.ErrNoProject, http.StatusNotFound, fhir.NotFound, notFoundText},
	{db.ErrRevoked, http.StatusUnauthorized, fhir.Login, "The access token is missing, expired, revoked or not for this server."},
	{db.ErrDangling, http.StatusUnprocessableEntity, fhir.BusinessRule, "A reference leads to a resource that this project does not hold."},
	{db.ErrDuplicate, http.StatusConflict, fhir.Conflict, "Another request stored the same resource at the same time."},
	{db.ErrConflict, http.StatusConflict, fhir.LockError, "Another request was changing the same resources. Send the request again."},
	{db.ErrInvalid, http.StatusBadRequest, fhir.ValueInvalid, "The request holds a value that cannot be stored."},
	{db.ErrBusy, http.StatusTooManyRequests, fhir.Throttled, "This tenant has too many requests under way. Send the request again later."},
	{db.ErrTimeout, http.StatusServiceUnavailable, fhir.Timeout, "The request took too long and was ended. Nothing was stored."},
	{db.ErrUnknownOutcome, http.StatusServiceUnavailable, fhir.Transient, "The connection to the database was lost while the change was being committed: it may be stored or not. Read before you send it again."},
	{db.ErrUnavailable, http.StatusServiceUnavailable, fhir.Transient, "The database cannot be reached at the moment."},
	{db.ErrReadOnly, http.StatusServiceUnavailable, fhir.Transient, "The database takes no changes at the moment."},
	{db.ErrContext, http.StatusServiceUnavailable, fhir.Transient, "The request came in while keys were being changed. Send it again."},
}

// notFoundText is the same for what does not exist, what belongs to another project, and a project
// that does not exist: the answer must not tell them apart.
const notFoundText = "There is no such resource in this project."

func notFound() error { return fhir.Errorf(fhir.NotFound, "%s", notFoundText) }

// explain turns an error into the status and issues that a client may see. Anything unknown becomes
// a fixed sentence with the request's id, under which the log holds the cause.
func explain(err error, requestID string) (status int, issues []fhir.Issue) {
	if e, ok := errors.AsType[*fhir.Error](err); ok {
		status = e.Status
		if status == 0 {
			status = statuses[e.Issues[0].Code]
		}
		if status == 0 {
			status = http.StatusInternalServerError
		}
		return status, e.Issues
	}
	for _, s := range sentinels {
		if errors.Is(err, s.is) {
			return s.status, []fhir.Issue{{Code: s.code, Diagnostics: s.text}}
		}
	}
	if e, ok := errors.AsType[*echo.HTTPError](err); ok && e.Code < http.StatusInternalServerError {
		return e.Code, []fhir.Issue{routeIssue(e.Code)}
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return http.StatusServiceUnavailable, []fhir.Issue{{Code: fhir.Timeout, Diagnostics: "The request took too long and was ended."}}
	}
	return http.StatusInternalServerError, []fhir.Issue{{
		Severity: "fatal", Code: fhir.Exception, Diagnostics: "The server failed. The request's id is " + requestID + ".",
	}}
}

// routeIssue explains what the router refused.
func routeIssue(status int) fhir.Issue {
	switch status {
	case http.StatusNotFound:
		return fhir.Issue{Code: fhir.NotFound, Diagnostics: "There is nothing at this path."}
	case http.StatusMethodNotAllowed:
		return fhir.Issue{Code: fhir.NotSupported, Diagnostics: "This method is not allowed at this path."}
	default:
		return fhir.Issue{Code: fhir.Processing, Diagnostics: http.StatusText(status) + "."}
	}
}

// fail answers with err as an OperationOutcome. It is the only place that does.
func (s *Server) fail(err error, c echo.Context) {
	r := requestOf(c)
	if errors.Is(err, db.ErrRevoked) {
		err = oauth.Revoked(err)
	}
	r.cause = privateCause(err)
	if c.Response().Committed {
		r.cause = errors.Join(err, r.cause)
		return
	}
	status, issues := explain(err, r.id)
	h := c.Response().Header()
	for _, name := range []string{"ETag", echo.HeaderLastModified, echo.HeaderLocation} {
		h.Del(name)
	}
	if bearer, ok := errors.AsType[*oauth.BearerError](err); ok {
		h.Set(echo.HeaderWWWAuthenticate, bearer.Challenge(s.OAuth.ResourceMetadata(r.project)))
	}
	if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
		h.Set(echo.HeaderRetryAfter, "1")
	}
	if err := r.answer(status, fhir.Outcome(issues)); err != nil {
		r.cause = errors.Join(r.cause, err)
	}
}

// privateCause is what the log is told of an error beyond its status.
func privateCause(err error) error {
	if e, ok := errors.AsType[*fhir.Error](err); ok {
		return e.Err
	}
	if _, ok := errors.AsType[*echo.HTTPError](err); ok {
		return nil
	}
	if errors.Is(err, db.ErrNotFound) || errors.Is(err, db.ErrDangling) || errors.Is(err, db.ErrInvalid) {
		return nil // its text may hold ids or values
	}
	return err
}
