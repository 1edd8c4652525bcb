package oauth

import (
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"bulkhead/db"
)

// userinfo is the UserInfo endpoint (OpenID Connect Core 1.0 section 5.3), by GET and POST, for the
// access token of a person that was granted openid.
func (s *Server) userinfo(c echo.Context) error {
	iss, err := s.issuer(c)
	if err != nil {
		return s.fail(c, err)
	}
	noStore(c)
	ctx := c.Request().Context()
	text, err := BearerToken(c.Request().Header.Get(echo.HeaderAuthorization))
	if err != nil {
		return challenge(c, http.StatusUnauthorized, "")
	}
	bearer, err := s.living(ctx, iss, text)
	if err != nil {
		return s.fail(c, err)
	}
	if bearer == nil || !bearer.IsPerson() {
		return challenge(c, http.StatusUnauthorized, "invalid_token")
	}
	if !bearer.Scopes.Has("openid") {
		return challenge(c, http.StatusForbidden, "insufficient_scope")
	}
	subject, err := s.subject(ctx, iss.tenant, bearer.Subject)
	if errors.Is(err, db.ErrNotFound) {
		return challenge(c, http.StatusUnauthorized, "invalid_token")
	}
	if err != nil {
		return s.fail(c, err)
	}
	answer := map[string]any{"sub": bearer.Subject}
	if bearer.Scopes.Has("profile") && subject.Name != "" {
		answer["name"] = subject.Name
	}
	if bearer.Scopes.Has("email") {
		answer["email"] = subject.Email
	}
	if bearer.FHIRUser != "" {
		answer["fhirUser"] = bearer.FHIRUser
	}
	return writeJSON(c, http.StatusOK, answer)
}

// challenge refuses as RFC 6750 section 3 has it.
func challenge(c echo.Context, status int, code string) error {
	text := "Bearer"
	if code != "" {
		text += ` error="` + code + `"`
	}
	c.Response().Header().Set(echo.HeaderWWWAuthenticate, text)
	return writeJSON(c, status, map[string]string{"error": code})
}
