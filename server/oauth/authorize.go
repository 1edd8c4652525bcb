package oauth

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/ory/fosite"

	"bulkhead/db"
	"bulkhead/server/access"
	"bulkhead/server/login"
)

// maxAuthorizeQuery bounds the parameters of an authorization request: they travel through the
// sign-in page and back in one URL.
const maxAuthorizeQuery = 3000

// authorizeParameters is what is read of an authorization request. Everything else is dropped.
var authorizeParameters = []string{
	"response_type", "response_mode", "client_id", "redirect_uri", "scope", "state", "nonce", "code_challenge", "code_challenge_method",
	"aud", "resource", "audience", "prompt", "max_age", "launch", "request", "request_uri", freshParameter,
}

// authorizeRequest is an authorization request (RFC 6749 section 4.1.1) that has been checked as far
// as it can be without knowing who is there.
type authorizeRequest struct {
	iss       issuer
	client    *client
	form      url.Values
	redirect  string
	challenge string
	scopes    access.Scopes
	project   db.Project
	prompt    []string
	maxAge    time.Duration // since the person proved who they are; -1: any
}

// path is where the request is asked again, once the person has signed in.
func (a *authorizeRequest) path() string {
	return "/w/" + a.iss.slug + "/authorize?" + a.form.Encode()
}

func (a *authorizeRequest) prompts(what string) bool { return slices.Contains(a.prompt, what) }

// refusal is why the browser cannot be sent back to the client: who asks is not known, or where
// the answer goes would be somebody else's choice.
type refusal struct{ text string }

func (r refusal) Error() string { return r.text }

// authorizePosted is POST {issuer}/authorize: the same as GET. It comes from a page of the client, and
// browsers keep cookies from such a request; from the redirect they do not.
func (s *Server) authorizePosted(c echo.Context) error {
	form, err := readForm(c)
	if err != nil {
		return s.fail(c, err)
	}
	noStore(c)
	kept := url.Values{}
	for _, name := range authorizeParameters {
		if form.Has(name) {
			kept[name] = form[name]
		}
	}
	return c.Redirect(http.StatusSeeOther, "/w/"+url.PathEscape(c.Param("tenant"))+"/authorize?"+kept.Encode())
}

// authorize is the authorization endpoint (RFC 6749 section 3.1): the code flow, with PKCE, for
// people who are signed in here.
func (s *Server) authorize(g *login.Guest) error {
	if g.Context().Request().Method != http.MethodGet {
		return g.Context().NoContent(http.StatusMethodNotAllowed) // HEAD would make codes
	}
	return s.proceed(g, g.Context().QueryParams(), "")
}

// consented is the answer of the consent page.
func (s *Server) consented(g *login.Guest) error {
	form, err := url.ParseQuery(g.Field("request"))
	if err != nil {
		return refusedPage(g, refusal{"The request cannot be read."})
	}
	answer := g.Field("answer")
	if answer != "allow" {
		answer = "deny"
	}
	return s.proceed(g, form, answer)
}

// proceed takes an authorization request as far as it can go now. answer is what the person said to
// it on the consent page, "" before they were asked.
func (s *Server) proceed(g *login.Guest, form url.Values, answer string) error {
	tenant := g.Tenant()
	request := &authorizeRequest{
		iss:  issuer{tenant: tenant.Tenant, slug: tenant.TenantSlug, url: s.IssuerURL(tenant.TenantSlug)},
		form: form, maxAge: -1,
	}
	ctx := g.Context().Request().Context()
	err := s.findRedirect(ctx, request)
	var refused refusal
	switch {
	case errors.As(err, &refused):
		return refusedPage(g, refused)
	case err != nil:
		return err
	}
	err = s.checkAuthorize(ctx, request)
	if err == nil {
		err = s.decide(g, request, answer)
	}
	var known *fosite.RFC6749Error
	if errors.As(err, &known) {
		return request.answerError(g.Context(), known)
	}
	return err
}

func refusedPage(g *login.Guest, refused refusal) error {
	return g.Refuse(http.StatusBadRequest, "This link does not work", refused.text+" Please tell whoever runs the app that you came from.")
}

// answerError sends the browser back with an error (RFC 6749 section 4.1.2.1, RFC 9207).
func (a *authorizeRequest) answerError(c echo.Context, known *fosite.RFC6749Error) error {
	description := known.HintField
	if description == "" {
		description = known.DescriptionField
	}
	return a.answer(c, url.Values{"error": {known.ErrorField}, "error_description": {ascii(description)}})
}

func (a *authorizeRequest) answer(c echo.Context, answer url.Values) error {
	answer.Set("iss", a.iss.url)
	if state := a.form["state"]; len(state) == 1 {
		answer.Set("state", state[0])
	}
	return leadBack(c, a.redirect, answer)
}

// findRedirect finds the client and where its answer goes. Until both are known to belong together
// the browser is sent nowhere.
func (s *Server) findRedirect(ctx context.Context, a *authorizeRequest) error {
	ids, uris := a.form["client_id"], a.form["redirect_uri"]
	if len(ids) != 1 || ids[0] == "" {
		return refusal{"It does not say which app asks."}
	}
	found, err := s.findClient(ctx, a.iss, ids[0])
	if err != nil {
		return err
	}
	if found.state != "active" || !slices.Contains(found.grantTypes, grantAuthorizationCode) {
		return refusal{"The app is not known here, or may not ask people for access."}
	}
	if len(uris) != 1 || !found.mayRedirect(uris[0]) {
		return refusal{"The app has not registered the address that it wants you to be sent to."}
	}
	a.client, a.redirect = found, uris[0]
	return nil
}

// checkAuthorize checks everything else that the client has sent.
func (s *Server) checkAuthorize(ctx context.Context, a *authorizeRequest) error {
	for _, name := range authorizeParameters {
		if len(a.form[name]) > 1 && name != "resource" && name != "aud" && name != "audience" {
			return fosite.ErrInvalidRequest.WithHintf("The parameter %s is repeated.", name)
		}
	}
	switch {
	case len(a.form.Encode()) > maxAuthorizeQuery:
		return fosite.ErrInvalidRequest.WithHint("The request is too long.")
	case a.form.Has("request"):
		return fosite.ErrRequestNotSupported
	case a.form.Has("request_uri"):
		return fosite.ErrRequestURINotSupported
	case a.form.Has("launch"):
		return fosite.ErrInvalidRequest.WithHint("There is no such launch.")
	case a.form.Get("response_type") == "":
		return fosite.ErrInvalidRequest.WithHint("The parameter response_type is missing.")
	case a.form.Get("response_type") != "code":
		return fosite.ErrUnsupportedResponseType
	case a.form.Get("response_mode") != "" && a.form.Get("response_mode") != "query":
		return fosite.ErrUnsupportedResponseMode
	case a.form.Get("code_challenge_method") != "S256" || !isChallenge(a.form.Get("code_challenge")):
		return fosite.ErrInvalidRequest.WithHint("PKCE is needed: code_challenge, made by code_challenge_method S256.")
	}
	a.challenge = a.form.Get("code_challenge")
	if err := a.readPrompt(); err != nil {
		return err
	}
	if err := a.readScopes(); err != nil {
		return err
	}
	return s.readAudience(ctx, a)
}

// isChallenge tells whether text can be an S256 challenge: 32 bytes in base64url.
func isChallenge(text string) bool { return len(text) == 43 && isUnreserved(text, "-_") }

func isUnreserved(text, besides string) bool {
	for i := range len(text) {
		c := text[i]
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && strings.IndexByte(besides, c) < 0 {
			return false
		}
	}
	return true
}

func (a *authorizeRequest) readPrompt() error {
	a.prompt = strings.Fields(a.form.Get("prompt"))
	for _, prompt := range a.prompt {
		if !slices.Contains([]string{"none", "login", "consent", "select_account"}, prompt) {
			return fosite.ErrInvalidRequest.WithHint("The parameter prompt holds something that is not known.")
		}
	}
	if a.prompts("none") && len(a.prompt) > 1 {
		return fosite.ErrInvalidRequest.WithHint("The prompt none must be alone.")
	}
	if text := a.form.Get("max_age"); text != "" {
		seconds, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return fosite.ErrInvalidRequest.WithHint("The parameter max_age is not a number of seconds.")
		}
		a.maxAge = time.Duration(seconds) * time.Second
	}
	return nil
}

// readScopes reads the scopes, which must be among those that the client has. A person can hand on
// nothing that belongs to clients themselves.
func (a *authorizeRequest) readScopes() (err error) {
	if a.scopes, err = access.ParseScopes(a.form.Get("scope")); err != nil {
		return fosite.ErrInvalidScope.WithWrap(err)
	}
	if len(a.scopes) == 0 {
		return fosite.ErrInvalidScope.WithHint("The parameter scope is missing.")
	}
	if len(a.scopes.In(access.System)) > 0 {
		return fosite.ErrInvalidScope.WithHint("System scopes are for clients that act for themselves.")
	}
	if !access.ReadScopes(a.client.scopes).CoverAll(a.scopes) {
		return fosite.ErrInvalidScope.WithHint("The client may not ask for one of the scopes.")
	}
	return nil
}

// readAudience finds the project that the token is to be for: the one whose FHIR base is named, to
// the letter, or the one that the client is bound to.
func (s *Server) readAudience(ctx context.Context, a *authorizeRequest) error {
	wanted, err := s.wantedProject(ctx, a.iss, a.form)
	if err != nil {
		return err
	}
	if !wanted.named && a.client.project == 0 {
		return errInvalidTarget
	}
	if err := s.aim(ctx, a.iss, a.client, wanted); err != nil {
		return err
	}
	if a.client.target.FHIRBase == "" {
		return errInvalidTarget
	}
	if a.project = wanted.project; !wanted.named {
		a.project, err = s.db.FindProject(ctx, a.iss.slug, a.client.target.Project)
	}
	if errors.Is(err, db.ErrNoProject) || err == nil && (a.project.State != "active" || a.project.Project != a.client.target.ProjectID) {
		return errInvalidTarget
	}
	return err
}
