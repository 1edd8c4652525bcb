package oauth

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// smartConfiguration is a project's .well-known/smart-configuration (SMART App Launch 2.2, section
// 2.2). Launches are no capability as long as the scopes of people open nothing in the FHIR API, nor
// is sso-openid-connect as long as fhirUser has no Membership to come from.
func (s *Server) smartConfiguration(c echo.Context) error {
	project, err := s.project(c)
	if err != nil {
		return err
	}
	iss := issuer{slug: project.TenantSlug, url: s.IssuerURL(project.TenantSlug)}
	capabilities := []string{"client-confidential-symmetric", "client-confidential-asymmetric", "permission-v1", "permission-v2"}
	if s.config.Login != nil {
		capabilities = append(capabilities, "authorize-post", "client-public", "permission-offline", "permission-online")
	}
	openDocument(c)
	return writeJSON(c, http.StatusOK, struct {
		metadata
		CodeChallengeMethods []string `json:"code_challenge_methods_supported"`
		Capabilities         []string `json:"capabilities"`
	}{
		metadata: s.metadata(iss),
		// Required of every server, also of one without an authorization endpoint.
		CodeChallengeMethods: []string{"S256"},
		Capabilities:         capabilities,
	})
}
