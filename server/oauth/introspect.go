package oauth

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/ory/fosite"

	"bulkhead/db"
)

// introspect is the introspection endpoint (RFC 7662). The client authenticates as at the token
// endpoint; a bearer token is no authentication here. A client sees its own tokens; with the right
// to introspect also those of others, of its own project if it is bound to one. About every other
// token, good or bad, the answer is the same: not active.
func (s *Server) introspect(c echo.Context) error {
	iss, asking, form, err := s.tokenRequest(c)
	if err != nil {
		return s.fail(c, err)
	}
	if asking.IsPublic() {
		return s.fail(c, fosite.ErrInvalidClient.WithHint("A client without authentication cannot ask about tokens."))
	}
	noStore(c)
	found, err := s.living(c.Request().Context(), iss, form.Get("token"))
	if err != nil {
		return s.fail(c, err)
	}
	if found == nil || !asking.maySee(found) {
		return writeJSON(c, http.StatusOK, map[string]bool{"active": false})
	}
	return writeJSON(c, http.StatusOK, introspection(found, s.config.Namespace))
}

func (c *client) maySee(token *Bearer) bool {
	if token.ClientID == c.id {
		return true
	}
	return c.mayIntrospect && (c.project == 0 || c.project == token.ProjectID)
}

// introspection is the answer for an active token (RFC 7662 section 2.2).
func introspection(b *Bearer, namespace string) map[string]any {
	answer := map[string]any{
		"active": true, "token_type": "Bearer", "scope": b.Scope, "client_id": b.ClientID, "sub": b.Subject, "iss": b.Issuer,
		"aud": b.Audience, "exp": b.Expires, "iat": b.Issued, "jti": b.ID,
		namespace + "tenant": b.Tenant, namespace + "project": b.Project,
	}
	if b.Patient != "" {
		answer["patient"] = b.Patient
	}
	if b.FHIRUser != "" {
		answer["fhirUser"] = b.FHIRUser
	}
	return answer
}

// living returns the access token of the issuer that a text is, or nil when it is none, or one that
// opens nothing any more. That is asked at the same door through which it would be used.
func (s *Server) living(ctx context.Context, iss issuer, text string) (*Bearer, error) {
	bearer, err := s.ours(ctx, iss, text)
	if bearer == nil || err != nil {
		return nil, err
	}
	caller := bearer.caller(Target{TenantID: iss.tenant, ProjectID: bearer.ProjectID})
	err = s.db.View(ctx, db.Identity, caller, func(v *db.View) error {
		_, err := v.TouchToken(ctx)
		return err
	})
	if errors.Is(err, db.ErrRevoked) || errors.Is(err, db.ErrNoProject) {
		return nil, nil
	}
	return bearer, err
}

// ours returns the unexpired access token that a text is, or nil when it is not one of this issuer.
func (s *Server) ours(ctx context.Context, iss issuer, text string) (*Bearer, error) {
	parsed, err := parseJWS(text)
	if err != nil {
		return nil, nil
	}
	ring, err := s.ring(ctx, iss.tenant, parsed.kid)
	if err != nil {
		return nil, err
	}
	bearer, err := verifyParsed(ring, iss.url, s.config.Namespace, parsed, time.Now())
	if err != nil || bearer.Tenant != iss.slug {
		return nil, nil
	}
	return bearer, nil
}

// tokenRequest reads a request about a token: issuer, authenticated client and form.
func (s *Server) tokenRequest(c echo.Context) (iss issuer, asking *client, form url.Values, err error) {
	if iss, err = s.issuer(c); err != nil {
		return iss, nil, nil, err
	}
	if form, err = readForm(c); err != nil {
		return iss, nil, nil, err
	}
	if asking, err = s.authenticate(c.Request().Context(), iss, c.Request(), form); err != nil {
		return iss, nil, nil, err
	}
	if form.Get("token") == "" {
		return iss, nil, nil, fosite.ErrInvalidRequest.WithHint("The parameter token is missing.")
	}
	return iss, asking, form, nil
}
