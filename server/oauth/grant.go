package oauth

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"

	"bulkhead/server/access"
)

// grantClientCredentials is the grant of clients that act for themselves (RFC 6749 section 4.4), the
// one that fosite runs. Those of people are in exchange.go: what they must keep together (a code, its
// grant, what it gave, and that a second use ends all of it) is one transaction of ours.
const grantClientCredentials = "client_credentials"

// errInvalidTarget is RFC 8707's error for a resource that the client has no business with.
var errInvalidTarget = &fosite.RFC6749Error{
	ErrorField: "invalid_target", CodeField: http.StatusBadRequest,
	DescriptionField: "The requested resource is not a FHIR base URL that this client may get tokens for.",
}

// newProvider wires fosite: its flow, our client authentication, scopes, audience and tokens.
//
// PKCE is enforced for every client, because with EnforcePKCE off fosite 0.49 hands out a token
// when a wrong verifier is followed by a request without one. Request objects are refused because
// clients here are no fosite.OpenIDConnectClient: its parser would accept alg none. fosite runs no
// redirecting flow here; both stay set so that none can ever be without.
func (s *Server) newProvider() fosite.OAuth2Provider {
	config := &fosite.Config{
		EnforcePKCE:                    true,
		EnforcePKCEForPublicClients:    true,
		EnablePKCEPlainChallengeMethod: false,
		AccessTokenLifespan:            s.config.TokenLife,
		ScopeStrategy:                  scopeStrategy,
		AudienceMatchingStrategy:       exactAudience,
		ClientAuthenticationStrategy:   s.fositeClient,
	}
	config.TokenEndpointHandlers = fosite.TokenEndpointHandlers{
		&oauth2.ClientCredentialsGrantHandler{
			HandleHelper: &oauth2.HandleHelper{
				AccessTokenStrategy: accessTokenStrategy{namespace: s.config.Namespace}, AccessTokenStorage: noRows{}, Config: config,
			},
			Config: config,
		},
	}
	return fosite.NewOAuth2Provider(noRows{}, config)
}

// scopeStrategy is fosite's question whether a client may ask for a scope.
func scopeStrategy(held []string, wanted string) bool {
	scope, err := access.ParseScope(wanted)
	return err == nil && access.ReadScopes(held).Cover(scope)
}

// exactAudience compares whole URLs; fosite's own strategy takes any path below one.
func exactAudience(held, wanted []string) error {
	for _, audience := range wanted {
		if !slices.Contains(held, audience) {
			return errInvalidTarget
		}
	}
	return nil
}

// session is what a token is made of besides the request.
type session struct {
	issuer  issuer
	client  *client
	key     *SigningKey
	tokenID string
	issued  time.Time
	expires time.Time
}

// SetExpiresAt, GetExpiresAt, GetUsername, GetSubject and Clone make session a fosite.Session.

// SetExpiresAt sets when the access token expires; there are no other tokens.
func (s *session) SetExpiresAt(kind fosite.TokenType, at time.Time) {
	if kind == fosite.AccessToken {
		s.expires = at
	}
}

// GetExpiresAt says when the access token expires.
func (s *session) GetExpiresAt(fosite.TokenType) time.Time { return s.expires }

// GetUsername is empty: no person takes part.
func (s *session) GetUsername() string { return "" }

// GetSubject is the client itself.
func (s *session) GetSubject() string { return s.client.id }

// Clone copies the session.
func (s *session) Clone() fosite.Session {
	clone := *s
	return &clone
}

// accessTokenStrategy makes access tokens that are RFC 9068 JWTs, known by their jti. fosite's own
// are neither, and are known by a signature that can be changed without breaking it.
type accessTokenStrategy struct{ namespace string }

// AccessTokenSignature names a token in storage; nothing is stored.
func (accessTokenStrategy) AccessTokenSignature(context.Context, string) string { return "" }

// ValidateAccessToken is not asked by any flow: bearer.go verifies tokens.
func (accessTokenStrategy) ValidateAccessToken(context.Context, fosite.Requester, string) error {
	return fosite.ErrTokenSignatureMismatch
}

// GenerateAccessToken signs the token of a granted request.
func (a accessTokenStrategy) GenerateAccessToken(_ context.Context, requester fosite.Requester) (token, signature string, err error) {
	s := requester.GetSession().(*session)
	claims := Claims{
		Issuer:         s.issuer.url,
		Subject:        s.client.id,
		Audience:       []string{s.client.target.FHIRBase, s.client.id},
		ClientID:       s.client.id,
		ID:             s.tokenID,
		Session:        s.tokenID, // each is a grant of its own
		Issued:         s.issued.Unix(),
		Expires:        s.expires.Unix(),
		Scope:          joinScopes(requester.GetGrantedScopes()),
		Tenant:         s.issuer.slug,
		Project:        s.client.target.Project,
		ProjectID:      s.client.target.ProjectID,
		UserRole:       "member",
		UserID:         s.client.id,
		ResourceType:   clientType,
		AccessPolicies: []string{},
	}
	token, err = signJWS(s.key, accessTokenType, claims.JSON(a.namespace))
	return token, s.tokenID, err
}

func newTokenID() string { return uuid.NewString() }

// client makes a row and the project that a token is asked for a fosite.Client.
type client struct {
	id, name      string
	state         string
	method        string
	grantTypes    []string
	scopes        []string
	jwks, jwksURI string
	secrets       [][]byte // keyed hashes
	mayIntrospect bool
	redirects     []string // redirect URIs
	logouts       []string // redirect URIs after signing out
	project       int32    // the one it is bound to; 0: none
	life          time.Duration
	signingKID    string
	target        Target // where its token would lead; FHIRBase "" when nowhere
}

// GetID and the other methods of fosite.Client and ClientWithCustomTokenLifespans follow.

// GetID is the client_id.
func (c *client) GetID() string { return c.id }

// GetHashedSecret is nothing: client authentication is our own.
func (c *client) GetHashedSecret() []byte { return nil }

// GetRedirectURIs lists where the client takes people.
func (c *client) GetRedirectURIs() []string { return c.redirects }

// GetGrantTypes lists the grants that the client registered for.
func (c *client) GetGrantTypes() fosite.Arguments { return c.grantTypes }

// GetResponseTypes is empty: fosite runs no redirecting flow.
func (c *client) GetResponseTypes() fosite.Arguments { return nil }

// GetScopes lists what the client may ask for.
func (c *client) GetScopes() fosite.Arguments { return c.scopes }

// IsPublic says that the client has no credentials.
func (c *client) IsPublic() bool { return c.method == authNone }

// GetAudience is the one FHIR base that this request can get a token for.
func (c *client) GetAudience() fosite.Arguments {
	if c.target.FHIRBase == "" {
		return nil
	}
	return fosite.Arguments{c.target.FHIRBase}
}

// GetEffectiveLifespan is how long the client's tokens live.
func (c *client) GetEffectiveLifespan(_ fosite.GrantType, _ fosite.TokenType, fallback time.Duration) time.Duration {
	if c.life > 0 {
		return c.life
	}
	return fallback
}

// noRows is fosite's storage for a flow that stores nothing: an access token is known by its
// signature, and what ends it early is looked up by app.enter().
type noRows struct{}

// CreateAccessTokenSession stores nothing.
func (noRows) CreateAccessTokenSession(context.Context, string, fosite.Requester) error { return nil }

// GetAccessTokenSession finds nothing.
func (noRows) GetAccessTokenSession(context.Context, string, fosite.Session) (fosite.Requester, error) {
	return nil, fosite.ErrNotFound
}

// DeleteAccessTokenSession has nothing to delete.
func (noRows) DeleteAccessTokenSession(context.Context, string) error { return nil }

// GetClient finds nobody: client authentication is our own and does not ask here.
func (noRows) GetClient(context.Context, string) (fosite.Client, error) {
	return nil, fosite.ErrNotFound
}

// ClientAssertionJWTValid refuses, for the same reason.
func (noRows) ClientAssertionJWTValid(context.Context, string) error { return fosite.ErrJTIKnown }

// SetClientAssertionJWT refuses, for the same reason.
func (noRows) SetClientAssertionJWT(context.Context, string, time.Time) error {
	return fosite.ErrJTIKnown
}

type issuerKey struct{}

// fositeClient is the client authentication that fosite calls.
func (s *Server) fositeClient(ctx context.Context, r *http.Request, form url.Values) (fosite.Client, error) {
	return s.authenticate(ctx, ctx.Value(issuerKey{}).(issuer), r, form)
}
