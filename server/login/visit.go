package login

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"bulkhead/db"
)

// visit is one request to a page of a tenant.
type visit struct {
	echo.Context
	server  *Server
	path    string     // of the route, below the tenant's
	tenant  db.Project // the project `system` of the tenant
	cookie  string     // what the session cookie holds
	session *Session   // at whatever stage; nil: nobody is signed in
	binding string     // what forms are bound to
}

// maxForm bounds the body of a form.
const maxForm = 64 << 10

var errOutOfDate = errors.New("the form belongs to another session, or its session has ended")

// handle wraps a page: it finds tenant and session, keeps forged forms out and strangers from what
// is for people who are signed in.
func (s *Server) handle(path string, signedIn bool, do func(*visit) error) echo.HandlerFunc {
	return func(c echo.Context) error {
		v := &visit{Context: c, server: s, path: path, cookie: s.cookie(c, sessionCookie)}
		v.protect()
		err := v.open()
		if err == nil && c.Request().Method == http.MethodPost {
			err = v.checkForm()
		}
		switch {
		case err != nil:
		case signedIn && v.session == nil:
			err = s.SignIn(c, v.tenant, v.here(), false)
		case signedIn && v.session.at() != stageFull:
			err = v.redirect(v.session.page())
		default:
			err = do(v)
		}
		if err != nil {
			return v.fail(err)
		}
		return nil
	}
}

// here is where to come back to after signing in: a page that can be asked for.
func (v *visit) here() string {
	if v.Request().Method == http.MethodPost {
		return ""
	}
	return v.Request().URL.RequestURI()
}

// protect sets the headers that every page has. The pages use no script at all and one stylesheet.
func (v *visit) protect() {
	h := v.Response().Header()
	h.Set("Content-Security-Policy", contentSecurity+"; form-action 'self'")
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin") // a link's secret stays here; without any referrer browsers would send Origin: null
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	h.Del(echo.HeaderAccessControlAllowOrigin) // scripts of other origins have no business here
	h.Del(echo.HeaderAccessControlExposeHeaders)
	if v.server.secure {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

const contentSecurity = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'"

// leadsAway allows the form's answer to lead to an app at last. Chromium holds form-action against
// every redirect that follows a form, and after signing in for an app the last one leads to the
// app's redirect URI. The next path itself is one of ours, see safeNext.
func (v *visit) leadsAway(next string) {
	if next != "" {
		v.Response().Header().Set("Content-Security-Policy", contentSecurity)
	}
}

// open finds the tenant of the URL and the session of the browser.
func (v *visit) open() (err error) {
	ctx := v.Request().Context()
	v.tenant, err = v.server.db.FindProject(ctx, v.Param("tenant"), "system")
	if err == nil && v.tenant.State != "active" {
		err = db.ErrNoProject
	}
	if err != nil {
		v.tenant = db.Project{}
		return err
	}
	v.session, err = v.server.findSession(ctx, v.tenant.Tenant, v.cookie)
	return err
}

// address is where the request comes from.
func (v *visit) address() string { return v.server.config.Address(v.Request()) }

// bind returns what this browser's forms are bound to: its session, or before there is one a cookie
// made for nothing else.
func (v *visit) bind() string {
	if v.binding != "" {
		return v.binding
	}
	switch before := v.server.cookie(v.Context, formCookie); {
	case v.cookie != "":
		v.binding = v.cookie
	case before != "":
		v.binding = before
	default:
		v.binding, _ = newSecret()
		v.server.setCookie(v.Context, v.tenant.TenantSlug, formCookie, v.binding)
	}
	return v.binding
}

// token makes the token of a form that is sent to action, a path below the tenant's. It is another
// one each time, so that compression does not give it away.
func (v *visit) token(action string) string {
	nonce := make([]byte, 16)
	_, _ = rand.Read(nonce) // never fails
	return base64.RawURLEncoding.EncodeToString(append(nonce, v.mac(action, nonce)...))
}

func (v *visit) mac(action string, nonce []byte) []byte {
	mac := hmac.New(sha256.New, v.server.forms)
	mac.Write(binary.BigEndian.AppendUint32(nil, uint32(v.tenant.Tenant)))
	mac.Write(nonce)
	mac.Write([]byte(action + "\x00" + v.bind()))
	return mac.Sum(nil)
}

// checkForm reads a form and refuses it unless the same browser got it from us, for this path.
func (v *visit) checkForm() error {
	if err := v.server.crossOrigin.Check(v.Request()); err != nil {
		return errOutOfDate
	}
	v.Request().Body = http.MaxBytesReader(v.Response(), v.Request().Body, maxForm)
	if err := v.Request().ParseForm(); err != nil {
		return errOutOfDate
	}
	raw, err := base64.RawURLEncoding.DecodeString(v.Request().PostForm.Get("form"))
	if err != nil || len(raw) != 16+sha256.Size || !hmac.Equal(raw[16:], v.mac(v.path, raw[:16])) {
		return errOutOfDate
	}
	return nil
}

// field is what was typed into a field of the form.
func (v *visit) field(name string) string { return v.Request().PostForm.Get(name) }

// redirect leads to a path below the tenant's.
func (v *visit) redirect(path string) error {
	return v.Redirect(http.StatusSeeOther, "/w/"+v.tenant.TenantSlug+path)
}

// onward leads to a path that safeNext returned, or to the account.
func (v *visit) onward(next string) error {
	if next = safeNext(v.tenant.TenantSlug, next); next == "" {
		return v.redirect("/account")
	}
	return v.Redirect(http.StatusSeeOther, next)
}

// fail shows the page for an error.
func (v *visit) fail(err error) error {
	if v.Response().Committed {
		return err
	}
	wait, tooMany := blocked(err)
	switch {
	case errors.Is(err, db.ErrNoProject), errors.Is(err, db.ErrInvalid):
		return v.errorPage(http.StatusNotFound, "Not found", "There is no such page. Please check the address.")
	case errors.Is(err, errOutOfDate):
		return v.errorPage(http.StatusForbidden, "This form is out of date", "You have signed in or out since it was opened, or it was open for too long. Nothing was changed. Please start again.")
	case tooMany:
		v.retryAfter(wait)
		return v.errorPage(http.StatusTooManyRequests, "Too many attempts", "Please try again in "+minutes(wait)+".")
	}
	v.server.config.Log.LogAttrs(v.Request().Context(), slog.LevelError, "page failed", slog.String("page", v.path),
		slog.String("request", v.Response().Header().Get(echo.HeaderXRequestID)), slog.String("cause", err.Error()))
	if errors.Is(err, db.ErrUnavailable) || errors.Is(err, db.ErrTimeout) || errors.Is(err, db.ErrConflict) || errors.Is(err, db.ErrUnknownOutcome) {
		v.retryAfter(5 * time.Second)
		return v.errorPage(http.StatusServiceUnavailable, "Please try again", "The server is busy just now. Please try again in a moment.")
	}
	return v.errorPage(http.StatusInternalServerError, "Something went wrong", "This is our fault, not yours. Please try again later.")
}

func (v *visit) retryAfter(wait time.Duration) {
	v.Response().Header().Set(echo.HeaderRetryAfter, strconv.Itoa(int(wait/time.Second)+1))
}

// minutes says a time to wait in words.
func minutes(wait time.Duration) string {
	n := int((wait + time.Minute - 1) / time.Minute)
	if n <= 1 {
		return "a minute"
	}
	return strconv.Itoa(n) + " minutes"
}

// log notes what a person did. It names people by id and never by what was typed.
func (v *visit) log(what, person string, attrs ...slog.Attr) {
	attrs = append(attrs, slog.String("tenant", v.tenant.TenantSlug), slog.String("user", person), slog.String("address", v.address()))
	v.server.config.Log.LogAttrs(v.Request().Context(), slog.LevelInfo, what, attrs...)
}
