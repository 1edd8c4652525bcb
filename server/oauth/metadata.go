package oauth

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// scopesSupported are examples of what can be asked for: the language has no finite list.
var scopesSupported = []string{"system/*.cruds", "system/*.rs", "system/*.read", "system/*.write", "system/Patient.rs"}

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
	RequestParameter         bool     `json:"request_parameter_supported"`
	RequestURIParameter      bool     `json:"request_uri_parameter_supported"`
}

var authMethods = []string{SecretBasic, SecretPost, PrivateKeyJWT}

func (i issuer) metadata() metadata {
	return metadata{
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
}

// authorizationServer is the metadata under RFC 8414's address.
func (s *Server) authorizationServer(c echo.Context) error {
	iss, err := s.issuer(c)
	if err != nil {
		return s.fail(c, err)
	}
	openDocument(c)
	return writeJSON(c, http.StatusOK, iss.metadata())
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
		SubjectTypes []string `json:"subject_types_supported"`
		IDTokenAlgs  []string `json:"id_token_signing_alg_values_supported"`
	}{iss.metadata(), []string{"public"}, []string{string(IDTokenAlg)}})
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
