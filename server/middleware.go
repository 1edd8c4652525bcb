package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
)

const requestKey = "bulkhead request"

func requestOf(c echo.Context) *request { return c.Get(requestKey).(*request) }

// trimSlash makes ".../fhir/r4/" mean ".../fhir/r4".
func trimSlash(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		u := c.Request().URL
		if len(u.Path) > 1 {
			u.Path = strings.TrimSuffix(u.Path, "/")
			u.RawPath = strings.TrimSuffix(u.RawPath, "/")
		}
		return next(c)
	}
}

// errDeadline ends a request that takes too long.
var errDeadline = fmt.Errorf("the request's time is up: %w", context.DeadlineExceeded)

// accept starts a request: it gets its id and its deadline.
func (s *Server) accept(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		id := c.Request().Header.Get(echo.HeaderXRequestID)
		if !sane(id) {
			id = uuid.Must(uuid.NewV7()).String()
		}
		c.Response().Header().Set(echo.HeaderXRequestID, id)
		ctx, cancel := context.WithCancelCause(c.Request().Context())
		defer cancel(nil)
		clock := time.AfterFunc(s.Timeout, func() { cancel(errDeadline) })
		defer clock.Stop()
		c.SetRequest(c.Request().WithContext(ctx))
		r := &request{Context: c, server: s, id: id, clock: clock}
		defer r.release()
		c.Set(requestKey, r)
		return next(c)
	}
}

// sane tells whether an id sent by the client may go into logs and answers.
func sane(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

// record writes the access log. It names the route and never the path or the query: ids and search
// values tell of patients.
func (s *Server) record(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start := time.Now()
		r := requestOf(c)
		if err := next(c); err != nil {
			s.fail(err, c)
		}
		status := c.Response().Status
		level := slog.LevelInfo
		attrs := []slog.Attr{
			slog.String("request", r.id), slog.String("method", c.Request().Method), slog.String("route", c.Path()),
			slog.Int("status", status), slog.Int64("bytes", c.Response().Size), slog.Duration("took", time.Since(start)),
		}
		if r.project.Tenant != 0 {
			attrs = append(attrs, slog.String("tenant", r.project.TenantSlug), slog.String("project", r.project.Slug), slog.String("type", r.typ))
		}
		if r.bearer != nil {
			attrs = append(attrs, slog.String("client", r.bearer.ClientID))
		}
		if r.cause != nil {
			attrs = append(attrs, slog.String("cause", r.cause.Error()))
		}
		ctx := c.Request().Context()
		if status >= http.StatusInternalServerError && !errors.Is(context.Cause(ctx), context.Canceled) { // else the client went away
			level = slog.LevelError
		}
		s.Log.LogAttrs(context.WithoutCancel(ctx), level, "request", attrs...)
		return nil
	}
}

// recover turns a panic into an error of this one request.
func (s *Server) recover(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			what := recover()
			if what == nil {
				return
			}
			if reason, ok := what.(error); ok && errors.Is(reason, http.ErrAbortHandler) {
				panic(what)
			}
			s.Log.Error("panic", slog.String("request", requestOf(c).id), slog.String("stack", string(debug.Stack())))
			err = fmt.Errorf("panic: %v", what)
		}()
		return next(c)
	}
}

// What scripts of other origins may send and see. Tokens travel in a header that a browser never
// adds by itself, so every origin may be let in.
const (
	corsMethods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
	corsHeaders = "Accept, Authorization, Content-Type, If-Match, If-Modified-Since, If-None-Exist, If-None-Match, Prefer, X-Request-Id"
	corsExposed = "Content-Location, ETag, Last-Modified, Location, Retry-After, WWW-Authenticate, X-Request-Id"
)

func cors(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set(echo.HeaderAccessControlAllowOrigin, "*")
		h.Set(echo.HeaderAccessControlExposeHeaders, corsExposed)
		h.Set("X-Content-Type-Options", "nosniff")
		if c.Request().Method != http.MethodOptions {
			return next(c)
		}
		h.Set(echo.HeaderAllow, corsMethods)
		h.Set(echo.HeaderAccessControlAllowMethods, corsMethods)
		h.Set(echo.HeaderAccessControlAllowHeaders, corsHeaders)
		h.Set(echo.HeaderAccessControlMaxAge, "86400")
		return c.NoContent(http.StatusNoContent)
	}
}
