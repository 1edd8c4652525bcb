package login

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"bulkhead/db"
	"bulkhead/db/dbsqlc"
)

// Session is somebody who is signed in to a tenant in one browser.
type Session struct {
	SID      string // names the session, in the claim `sid` for instance; opens nothing
	PersonID string // the id of the User resource
	Email    string
	Name     string
	Role     string    // owner, admin or member
	AuthTime time.Time // when they last proved who they are
	AMR      []string  // by what (RFC 8176): pwd, otp, mfa
	Expires  time.Time // when the session ends at the latest

	hash      []byte
	stage     stage
	emailKey  string
	federated string
	hasTOTP   bool
	mustTOTP  bool
	next      string
	pending   []byte // sealed secret of a second factor being set up
}

// stage is how far signing in has come.
type stage string

const (
	stageFull  stage = "full"
	stageCode  stage = "code"  // a code of the second factor is still to be given
	stageSetup stage = "setup" // a second factor is still to be set up
)

// at is the stage that counts: a full session is not full any more once the person has, or their
// role needs, a second factor that was not given in it.
func (s *Session) at() stage {
	switch {
	case s.stage != stageFull || s.federated != "" || slices.Contains(s.AMR, "otp"):
		return s.stage
	case s.hasTOTP:
		return stageCode
	case s.mustTOTP:
		return stageSetup
	}
	return stageFull
}

// page is where a session that is not full goes on.
func (s *Session) page() string {
	switch s.at() {
	case stageCode:
		return "/login/code"
	case stageSetup:
		return "/login/setup"
	default:
		return "/account"
	}
}

// Session tells who is signed in to a tenant in the browser that sent the request; nil: nobody, or
// somebody who has not given all that is asked of them. Errors are those of package db.
func (s *Server) Session(c echo.Context, tenant db.Project) (*Session, error) {
	session, err := s.findSession(c.Request().Context(), tenant.Tenant, s.cookie(c, sessionCookie))
	if session == nil || err != nil || session.at() != stageFull {
		return nil, err
	}
	return session, nil
}

// SignIn answers the request by sending the browser to sign in and then to next, a path on this
// server below the tenant's own, with its query. With fresh the person must prove who they are even
// if they are signed in (OpenID Connect prompt=login, or max_age is exceeded): the caller sees
// that they did by Session.AuthTime when the browser comes back.
func (s *Server) SignIn(c echo.Context, tenant db.Project, next string, fresh bool) error {
	query := url.Values{}
	if next = safeNext(tenant.TenantSlug, next); next != "" {
		query.Set("next", next)
	}
	if fresh {
		query.Set("fresh", "1")
	}
	target := "/w/" + tenant.TenantSlug + "/login"
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	return c.Redirect(http.StatusSeeOther, target)
}

// safeNext returns a path below the tenant's own that a browser can be sent to, or "" when raw is
// anything else: another host in any spelling, another tenant, or a path that climbs.
func safeNext(tenant, raw string) string {
	if raw == "" || len(raw) > 4096 || strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '\\' }) {
		return ""
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" {
		return ""
	}
	if !strings.HasPrefix(u.Path, "/w/"+tenant+"/") || path.Clean(u.Path) != u.Path || strings.Contains(u.Path, `\`) {
		return ""
	}
	return (&url.URL{Path: u.Path, RawQuery: u.RawQuery}).String()
}

// Names of cookies. Over https they carry a prefix by which a browser takes them from https only.
const (
	sessionCookie = "bulkhead_session"
	formCookie    = "bulkhead_form"
	deviceCookie  = "bulkhead_device" // see device.go
)

func (s *Server) cookieName(name string) string {
	if s.secure {
		return "__Secure-" + name
	}
	return name
}

func (s *Server) cookie(c echo.Context, name string) string {
	cookie, err := c.Request().Cookie(s.cookieName(name))
	if err != nil || len(cookie.Value) > 100 {
		return ""
	}
	return cookie.Value
}

// setCookie keeps a secret in the browser until that is closed, or a device's for long; "" removes it. The path keeps one
// tenant's cookies from the pages of another.
func (s *Server) setCookie(c echo.Context, tenant, name, value string) {
	cookie := &http.Cookie{
		Name: s.cookieName(name), Value: value, Path: "/w/" + tenant,
		HttpOnly: true, Secure: s.secure, SameSite: http.SameSiteLaxMode,
	}
	switch {
	case value == "":
		cookie.MaxAge = -1
	case name == deviceCookie:
		cookie.MaxAge = int(deviceLife / time.Second)
	}
	c.SetCookie(cookie)
}

// findSession reads the session that a cookie opens, at whatever stage; nil when there is none.
func (s *Server) findSession(ctx context.Context, tenant int32, secret string) (*Session, error) {
	if secret == "" {
		return nil, nil
	}
	hash := hashSecret(secret)
	var row dbsqlc.FindSessionRow
	err := s.view(ctx, tenant, func(v *db.View) (err error) {
		row, err = v.FindSession(ctx, tenant, hash)
		return err
	})
	if errors.Is(err, db.ErrNotFound) {
		return nil, nil
	}
	if err == nil && row.Stale {
		err = s.update(ctx, tenant, func(tx *db.Tx) error { return tx.Last().TouchSession(ctx, tenant, hash) })
	}
	if err != nil {
		return nil, err
	}
	return &Session{
		SID: row.Sid, PersonID: row.PersonID, Email: row.Email, Name: row.Name, Role: row.Role,
		AuthTime: row.AuthTime, AMR: row.Amr, Expires: row.ExpiresAt,
		hash: hash, stage: stage(row.Stage), emailKey: row.EmailKey, federated: row.Federated,
		hasTOTP: row.HasTotp, mustTOTP: row.NeedsSecondFactor, next: row.Next, pending: row.TotpPending,
	}, nil
}

// begin starts a session in place of the browser's former one, in tx, and returns what the cookie is
// to hold once tx has committed.
func (v *visit) begin(ctx context.Context, tx *db.Tx, person string, at stage, amr []string, next string) (secret string, err error) {
	secret, hash := newSecret()
	replaced := []byte{}
	if v.cookie != "" {
		replaced = hashSecret(v.cookie)
	}
	err = tx.InsertSession(ctx, dbsqlc.InsertSessionParams{
		TenantID: v.tenant.Tenant, Hash: hash, Sid: randomHex(16), PersonID: person, Stage: string(at), Amr: amr,
		Next: next, UserAgent: cut(v.Request().UserAgent(), 300), Address: cut(v.address(), 64), ReplacedHash: replaced,
	})
	return secret, err
}

// complete makes the visit's session full, under a new cookie, in tx.
func (v *visit) complete(ctx context.Context, tx *db.Tx, amr ...string) (secret string, err error) {
	secret, hash := newSecret()
	proved := slices.Clone(v.session.AMR)
	for _, method := range amr {
		if !slices.Contains(proved, method) {
			proved = append(proved, method)
		}
	}
	changed, err := tx.CompleteSession(ctx, dbsqlc.CompleteSessionParams{
		TenantID: v.tenant.Tenant, Hash: v.session.hash, NewHash: hash, Amr: proved,
	})
	if err == nil && changed == 0 {
		err = errOutOfDate
	}
	return secret, err
}

// cut bounds a text that a client chose; bytes that are no characters go.
func cut(text string, n int) string {
	text = strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", ""), "")
	if len(text) > n {
		text = strings.ToValidUTF8(text[:n], "")
	}
	return text
}
