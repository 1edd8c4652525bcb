package oauth

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// jwks publishes a tenant's public keys (RFC 7517). A key is here before it signs, so that others
// may keep the answer for five minutes.
func (s *Server) jwks(c echo.Context) error {
	iss, err := s.issuer(c)
	if err != nil {
		return s.fail(c, err)
	}
	ctx := c.Request().Context()
	ring, err := s.ring(ctx, iss.tenant, "")
	if err == nil && (ring.Signer(AccessTokenAlg) == nil || ring.Signer(IDTokenAlg) == nil) {
		ring, err = s.ensure(ctx, iss.tenant, AccessTokenAlg, IDTokenAlg)
	}
	if err != nil {
		return s.fail(c, err)
	}
	openDocument(c)
	return c.Blob(http.StatusOK, "application/jwk-set+json", ring.JWKS())
}

// openDocument marks what anyone may read and keep, from any page.
func openDocument(c echo.Context) {
	c.Response().Header().Set("Cache-Control", "public, max-age=300")
	c.Response().Header().Set("Access-Control-Allow-Origin", "*")
}
