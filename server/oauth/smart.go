package oauth

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// smartConfiguration is a project's .well-known/smart-configuration (SMART App Launch 2.2, section
// 2.2). The capabilities are those of Backend Services; launches join them when they work.
func (s *Server) smartConfiguration(c echo.Context) error {
	project, err := s.project(c)
	if err != nil {
		return err
	}
	iss := issuer{slug: project.TenantSlug, url: s.IssuerURL(project.TenantSlug)}
	openDocument(c)
	return writeJSON(c, http.StatusOK, struct {
		metadata
		CodeChallengeMethods []string `json:"code_challenge_methods_supported"`
		Capabilities         []string `json:"capabilities"`
	}{
		metadata: iss.metadata(),
		// Required of every server, also of one without an authorization endpoint.
		CodeChallengeMethods: []string{"S256"},
		Capabilities: []string{
			"client-confidential-symmetric", "client-confidential-asymmetric", "permission-v1", "permission-v2",
		},
	})
}
