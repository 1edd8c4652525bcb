package login

import (
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"bulkhead/db"
)

// Guest is a request to a page of another room, such as the consent page of package oauth, that is
// served in the frame of these pages and with their protection.
type Guest struct{ v *visit }

// Page wraps a page of another room at path, below the tenant's. A POST is refused before do runs
// unless the same browser got its form from Consent, for this path.
func (s *Server) Page(path string, do func(*Guest) error) echo.HandlerFunc {
	return s.handle(path, false, func(v *visit) error { return do(&Guest{v}) })
}

// Context is the request.
func (g *Guest) Context() echo.Context { return g.v.Context }

// Tenant is the tenant of the URL: its project `system`.
func (g *Guest) Tenant() db.Project { return g.v.tenant }

// Session tells who is signed in; nil: nobody, or somebody who has not given all that is asked of them.
func (g *Guest) Session() *Session {
	if g.v.session == nil || g.v.session.at() != stageFull {
		return nil
	}
	return g.v.session
}

// SignIn sends the browser to sign in and then to next; see Server.SignIn.
func (g *Guest) SignIn(next string, fresh bool) error {
	return g.v.server.SignIn(g.v, g.v.tenant, next, fresh)
}

// Consent is what a person is asked on the consent page.
type Consent struct {
	App     string   // what the client calls itself
	Place   string   // the project
	Leads   string   // where the browser goes then
	Asks    []string // what the app could do, a sentence each
	Lasting bool     // also when the person is not there
	Inert   bool     // some of it opens nothing yet
	Action  string   // the path that the answer is sent to, below the tenant's
	Request string   // goes along with the answer, in the field request; the answer is in the field answer: allow or deny
}

// Consent shows the consent page.
func (g *Guest) Consent(ask Consent) error {
	g.v.leadsAway(ask.Action) // the answer leads to the app
	return g.v.show(http.StatusOK, "consent", view{Title: "Allow " + ask.App + "?", Wide: true, Data: struct {
		Consent
		Email string
	}{ask, g.v.session.Email}})
}

// Field is what a field of the form holds.
func (g *Guest) Field(name string) string { return g.v.field(name) }

// Refuse shows a page that says what went wrong when the browser cannot be sent back to the app.
func (g *Guest) Refuse(status int, title, text string) error {
	return g.v.errorPage(status, title, text)
}

// SignOut ends the browser's session. Nothing happens when there is none.
func (g *Guest) SignOut() error {
	v := g.v
	if v.session == nil {
		return nil
	}
	err := v.server.update(v.Request().Context(), v.tenant.Tenant, func(tx *db.Tx) error {
		_, err := tx.Last().EndSession(v.Request().Context(), v.tenant.Tenant, v.session.hash)
		return err
	})
	if err != nil && !errors.Is(err, db.ErrNotFound) {
		return err
	}
	v.server.setCookie(v, v.tenant.TenantSlug, sessionCookie, "")
	v.log("signed out", v.session.PersonID)
	return nil
}

// SignedOut leads to the sign-in page, which says so.
func (g *Guest) SignedOut() error { return g.v.redirect("/login?done=signed-out") }

// Account leads to the page of the person's account, where they can sign out.
func (g *Guest) Account() error { return g.v.redirect("/account") }
