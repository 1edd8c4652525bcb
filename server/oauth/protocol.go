package oauth

import (
	"encoding/json"
	"errors"
	"log/slog"
	"mime"
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"
	"github.com/ory/fosite"

	"bulkhead/db"
)

// maxForm bounds the body of a request to any endpoint, in bytes.
const maxForm = 64 << 10

// errNoIssuer is the answer below a tenant that is not there.
var errNoIssuer = &fosite.RFC6749Error{
	ErrorField: "not_found", CodeField: http.StatusNotFound, DescriptionField: "There is no such authorization server.",
}

// readForm reads a form-encoded body (RFC 6749 section 3.2: a parameter is there once at most).
func readForm(c echo.Context) (url.Values, error) {
	r := c.Request()
	if media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); media != echo.MIMEApplicationForm {
		return nil, fosite.ErrInvalidRequest.WithHint("The body must be application/x-www-form-urlencoded.")
	}
	r.Body = http.MaxBytesReader(c.Response(), r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return nil, fosite.ErrInvalidRequest.WithHint("The body cannot be read.").WithWrap(err)
	}
	for _, name := range []string{"grant_type", "scope", "token", "token_type_hint"} {
		if len(r.PostForm[name]) > 1 {
			return nil, fosite.ErrInvalidRequest.WithHintf("The parameter %s is repeated.", name)
		}
	}
	return r.PostForm, nil
}

// noStore forbids to keep an answer that holds or describes tokens (RFC 6749 section 5.1).
func noStore(c echo.Context) {
	c.Response().Header().Set("Cache-Control", "no-store")
	c.Response().Header().Set("Pragma", "no-cache")
}

// fail answers an error as RFC 6749 section 5.2 has it. What went wrong inside goes to the log.
func (s *Server) fail(c echo.Context, err error) error {
	noStore(c)
	known := &fosite.RFC6749Error{}
	switch {
	case errors.Is(err, db.ErrNoProject):
		known = errNoIssuer
	case errors.Is(err, db.ErrUnavailable), errors.Is(err, db.ErrTimeout), errors.Is(err, db.ErrConflict):
		slog.WarnContext(c.Request().Context(), "oauth: the database does not answer", "error", err)
		known = fosite.ErrTemporarilyUnavailable
		c.Response().Header().Set("Retry-After", "1")
	case errors.As(err, &known):
	default:
		slog.ErrorContext(c.Request().Context(), "oauth: a request failed", "path", c.Path(), "error", err)
		known = fosite.ErrServerError
	}
	if known.CodeField == http.StatusUnauthorized {
		c.Response().Header().Set("WWW-Authenticate", `Basic realm="`+s.IssuerURL(c.Param("tenant"))+`", charset="UTF-8"`)
	}
	description := known.HintField
	if description == "" {
		description = known.DescriptionField
	}
	return writeJSON(c, known.CodeField, map[string]string{"error": known.ErrorField, "error_description": ascii(description)})
}

// ascii keeps what error_description may hold (RFC 6749 section 5.2).
func ascii(text string) string {
	clean := []byte(text)
	for i, b := range clean {
		if b < 0x20 || b > 0x7e || b == '"' || b == '\\' {
			clean[i] = '\''
		}
	}
	return string(clean)
}

func writeJSON(c echo.Context, status int, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return c.Blob(status, echo.MIMEApplicationJSON, text)
}
