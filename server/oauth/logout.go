package oauth

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/labstack/echo/v4"

	"bulkhead/server/login"
)

// logoutPosted is POST {issuer}/logout: the same as GET, see authorizePosted.
func (s *Server) logoutPosted(c echo.Context) error {
	form, err := readForm(c)
	if err != nil {
		return s.fail(c, err)
	}
	noStore(c)
	kept := url.Values{}
	for _, name := range []string{"id_token_hint", "client_id", "post_logout_redirect_uri", "state"} {
		if form.Has(name) {
			kept[name] = form[name]
		}
	}
	return c.Redirect(http.StatusSeeOther, "/w/"+url.PathEscape(c.Param("tenant"))+"/logout?"+kept.Encode())
}

// logout is RP-initiated logout (OpenID Connect RP-Initiated Logout 1.0). With an id_token of the very
// session it ends that; without one the person is shown where they can do so themselves, since any
// page can send them here. What the session's grants gave ends with it, but for offline ones.
func (s *Server) logout(g *login.Guest) error {
	c, tenant := g.Context(), g.Tenant()
	iss := issuer{tenant: tenant.Tenant, slug: tenant.TenantSlug, url: s.IssuerURL(tenant.TenantSlug)}
	ctx := c.Request().Context()
	hint, ok, err := s.readHint(ctx, iss, c.QueryParam("id_token_hint"))
	if err != nil {
		return err
	}
	session := g.Session()
	if !ok || session != nil && session.SID != hint.session {
		return g.Account()
	}
	if id := c.QueryParam("client_id"); id != "" && id != hint.client {
		return refusedPage(g, refusal{"The app is not the one that you signed in for."})
	}
	back := c.QueryParam("post_logout_redirect_uri")
	if back != "" {
		found, err := s.findClient(ctx, iss, hint.client)
		if err != nil {
			return err
		}
		if found.state != "active" || !slices.Contains(found.logouts, back) {
			return refusedPage(g, refusal{"The app has not registered the address that it wants you to be sent to."})
		}
	}
	if err := g.SignOut(); err != nil {
		return err
	}
	if back == "" {
		return g.SignedOut()
	}
	answer := url.Values{}
	if state := c.QueryParam("state"); state != "" {
		answer.Set("state", state)
	}
	return leadBack(c, back, answer)
}
