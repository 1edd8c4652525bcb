package oauth

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/ory/fosite"

	"bulkhead/server/access"
)

// token is the token endpoint (RFC 6749 section 3.2): the client credentials grant (section 4.4, SMART
// Backend Services) by fosite, those of people by exchange.go.
func (s *Server) token(c echo.Context) error {
	answer, err := s.grant(c)
	if err != nil {
		return s.fail(c, err)
	}
	noStore(c)
	return writeJSON(c, http.StatusOK, answer)
}

func (s *Server) grant(c echo.Context) (map[string]any, error) {
	iss, err := s.issuer(c)
	if err != nil {
		return nil, err
	}
	form, err := readForm(c)
	if err != nil {
		return nil, err
	}
	switch form.Get("grant_type") {
	case "":
		return nil, fosite.ErrInvalidRequest.WithHint("The parameter grant_type is missing.")
	case grantClientCredentials:
	case grantAuthorizationCode, grantRefreshToken:
		if s.config.Login == nil {
			return nil, fosite.ErrUnsupportedGrantType
		}
	default:
		return nil, fosite.ErrUnsupportedGrantType
	}
	if form.Has("request") || form.Has("request_uri") {
		return nil, fosite.ErrRequestNotSupported
	}
	if form.Get("grant_type") != grantClientCredentials {
		asking, err := s.authenticate(c.Request().Context(), iss, c.Request(), form)
		if err != nil {
			return nil, err
		}
		return s.grantPerson(c.Request().Context(), iss, asking, form)
	}
	// fosite knows the target by the name audience only.
	form["audience"] = append(append(form["audience"], form["resource"]...), form["aud"]...)
	now := time.Now()
	session := &session{issuer: iss, tokenID: newTokenID(), issued: now}
	ctx := context.WithValue(c.Request().Context(), issuerKey{}, iss)
	request, err := s.fosite.NewAccessRequest(ctx, c.Request(), session)
	if err != nil {
		return nil, err
	}
	answer, err := s.issue(ctx, request, session)
	if err != nil {
		return nil, err
	}
	return answer.ToMap(), nil
}

// issue grants what the client may have and signs the token.
func (s *Server) issue(ctx context.Context, request fosite.AccessRequester, session *session) (fosite.AccessResponder, error) {
	session.client = request.GetClient().(*client)
	if session.client.target.FHIRBase == "" {
		return nil, errInvalidTarget
	}
	granted, err := grantedScopes(session.client, request.GetRequestedScopes())
	if err != nil {
		return nil, err
	}
	for _, scope := range granted.Strings() {
		request.GrantScope(scope)
	}
	// fosite has set the expiry from a clock that it read later.
	life := session.client.GetEffectiveLifespan(grantClientCredentials, fosite.AccessToken, s.config.TokenLife)
	session.expires = session.issued.Add(life)
	if session.key, err = s.signer(ctx, session.issuer.tenant, session.client.signingKID); err != nil {
		return nil, err
	}
	answer, err := s.fosite.NewAccessResponse(ctx, request)
	if err != nil {
		return nil, err
	}
	answer.SetTokenType("Bearer")
	answer.SetExpiresIn(life)
	return answer, nil
}

// grantedScopes is what a client gets that acts for itself: the system scopes that it asks for,
// or all that it has when it asks for none (RFC 6749 section 3.3). fosite has checked that it may
// have them.
func grantedScopes(c *client, requested []string) (access.Scopes, error) {
	if len(requested) == 0 {
		if own := access.ReadScopes(c.scopes).In(access.System); len(own) > 0 {
			return own, nil
		}
		return nil, fosite.ErrInvalidScope.WithHint("The client has no scopes that it can use without a person.")
	}
	scopes, err := access.ParseScopes(joinScopes(requested))
	if err != nil {
		return nil, fosite.ErrInvalidScope.WithWrap(err)
	}
	if system := scopes.In(access.System); len(system) < len(scopes) {
		return nil, fosite.ErrInvalidScope.WithHint("Only system scopes can be granted without a person.")
	}
	return scopes, nil
}

func joinScopes(list []string) string { return strings.Join(list, " ") }
