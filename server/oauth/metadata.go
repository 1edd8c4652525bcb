package oauth

import (
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"
)

// scopesSupported are examples of what can be asked for: the language has no finite list. Resource
// scopes of people (user/, patient/) are granted but open nothing yet, so they are not among them.
var scopesSupported = []string{"system/*.cruds", "system/*.rs", "system/*.read", "system/*.write", "system/Patient.rs"}

// personScopes join them where people sign in. fhirUser and launch/patient need a Membership that
// says who the person is; they are published once Memberships can be written.
var personScopes = []string{"openid", "profile", "email", offlineAccess, onlineAccess}

// metadata is an issuer's description of itself (RFC 8414 section 2, OpenID Connect Discovery 1.0
// section 3). It names what works and nothing else; an authorization endpoint may be absent when
// no grant uses one.
type metadata struct {
	Issuer                   string   `json:"issuer"`
	TokenEndpoint            string   `json:"token_endpoint"`
	IntrospectionEndpoint    string   `json:"introspection_endpoint"`
	RevocationEndpoint       string   `json:"revocation_endpoint"`
	JWKSURI                  string   `json:"jwks_uri"`
	ScopesSupported          []string `json:"scopes_supported"`
	ResponseTypes            []string `json:"response_types_supported"`
	GrantTypes               []string `json:"grant_types_supported"`
	TokenAuthMethods         []string `json:"token_endpoint_auth_methods_supported"`
	TokenAuthAlgs            []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	IntrospectionAuthMethods []string `json:"introspection_endpoint_auth_methods_supported"`
	IntrospectionAuthAlgs    []string `json:"introspection_endpoint_auth_signing_alg_values_supported"`
	RevocationAuthMethods    []string `json:"revocation_endpoint_auth_methods_supported"`
	RevocationAuthAlgs       []string `json:"revocation_endpoint_auth_signing_alg_values_supported"`
	AuthorizationEndpoint    string   `json:"authorization_endpoint,omitempty"`
	ResponseModes            []string `json:"response_modes_supported,omitempty"`
	CodeChallengeMethods     []string `json:"code_challenge_methods_supported,omitempty"`
	IssParameter             bool     `json:"authorization_response_iss_parameter_supported,omitempty"`
	RequestParameter         bool     `json:"request_parameter_supported"`
	RequestURIParameter      bool     `json:"request_uri_parameter_supported"`
}

var authMethods = []string{SecretBasic, SecretPost, PrivateKeyJWT}

func (s *Server) metadata(i issuer) metadata {
	m := metadata{
		Issuer:                   i.url,
		TokenEndpoint:            i.endpoint("token"),
		IntrospectionEndpoint:    i.endpoint("introspect"),
		RevocationEndpoint:       i.endpoint("revoke"),
		JWKSURI:                  i.endpoint("jwks.json"),
		ScopesSupported:          scopesSupported,
		ResponseTypes:            []string{},
		GrantTypes:               []string{grantClientCredentials},
		TokenAuthMethods:         authMethods,
		TokenAuthAlgs:            assertionAlgs,
		IntrospectionAuthMethods: authMethods,
		IntrospectionAuthAlgs:    assertionAlgs,
		RevocationAuthMethods:    authMethods,
		RevocationAuthAlgs:       assertionAlgs,
	}
	if s.config.Login != nil {
		m.AuthorizationEndpoint = i.endpoint("authorize")
		m.ResponseTypes, m.ResponseModes, m.CodeChallengeMethods, m.IssParameter = []string{"code"}, []string{"query"}, []string{"S256"}, true
		m.GrantTypes = []string{grantAuthorizationCode, grantRefreshToken, grantClientCredentials}
		m.ScopesSupported = slices.Concat(personScopes, scopesSupported)
		m.TokenAuthMethods = append(slices.Clone(authMethods), authNone)
		m.RevocationAuthMethods = m.TokenAuthMethods
	}
	return m
}

// personMetadata is what OpenID Connect adds for people.
type personMetadata struct {
	UserinfoEndpoint   string   `json:"userinfo_endpoint,omitempty"`
	EndSessionEndpoint string   `json:"end_session_endpoint,omitempty"`
	ClaimsSupported    []string `json:"claims_supported,omitempty"`
	Prompts            []string `json:"prompt_values_supported,omitempty"`
}

func (s *Server) personMetadata(i issuer) personMetadata {
	if s.config.Login == nil {
		return personMetadata{}
	}
	return personMetadata{
		UserinfoEndpoint: i.endpoint("userinfo"), EndSessionEndpoint: i.endpoint("logout"),
		ClaimsSupported: []string{"iss", "sub", "aud", "exp", "iat", "auth_time", "amr", "nonce", "sid", "at_hash", "name", "email"},
		Prompts:         []string{"none", "login", "consent", "select_account"},
	}
}

// authorizationServer is the metadata under RFC 8414's address.
func (s *Server) authorizationServer(c echo.Context) error {
	iss, err := s.issuer(c)
	if err != nil {
		return s.fail(c, err)
	}
	openDocument(c)
	return writeJSON(c, http.StatusOK, s.metadata(iss))
}

// openidConfiguration is the same under OpenID Connect's address, with what that demands besides.
func (s *Server) openidConfiguration(c echo.Context) error {
	iss, err := s.issuer(c)
	if err != nil {
		return s.fail(c, err)
	}
	openDocument(c)
	return writeJSON(c, http.StatusOK, struct {
		metadata
		personMetadata
		SubjectTypes []string `json:"subject_types_supported"`
		IDTokenAlgs  []string `json:"id_token_signing_alg_values_supported"`
	}{s.metadata(iss), s.personMetadata(iss), []string{"public"}, []string{string(IDTokenAlg)}})
}

// protectedResource describes a project's FHIR API as a resource (RFC 9728).
func (s *Server) protectedResource(c echo.Context) error {
	project, err := s.project(c)
	if err != nil {
		return err
	}
	openDocument(c)
	return writeJSON(c, http.StatusOK, map[string]any{
		"resource":                 s.FHIRBase(project),
		"authorization_servers":    []string{s.IssuerURL(project.TenantSlug)},
		"scopes_supported":         scopesSupported,
		"bearer_methods_supported": []string{"header"},
		"resource_name":            project.Name,
	})
}
