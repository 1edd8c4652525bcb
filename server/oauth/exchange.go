package oauth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/url"
	"slices"
	"time"

	"github.com/ory/fosite"

	"bulkhead/db"
	"bulkhead/db/dbsqlc"
	"bulkhead/server/access"
)

// The grants of people (RFC 6749 sections 4.1 and 6), and the scopes that ask for refresh tokens
// (OpenID Connect Core 1.0 section 11, SMART App Launch 2.2).
const (
	grantAuthorizationCode = "authorization_code"
	grantRefreshToken      = "refresh_token"
	offlineAccess          = "offline_access"
	onlineAccess           = "online_access"
)

// errGrant is the one answer to a code or refresh token that does not count: which rule it broke
// helps nobody who holds it by right.
var errGrant = fosite.ErrInvalidGrant.WithHint("The code or refresh token is unknown, used, expired, revoked, or for another client or redirect URI, or the code_verifier is wrong.")

// redeemed is a grant for which tokens are about to be made.
type redeemed struct {
	dbsqlc.FindGrantRow
	id      string
	nonce   string
	granted access.Scopes // of this access token
	refresh string        // the new refresh token, or ""
}

// redeem answers the two grants of people. A refusal commits what it has found out, such as that a
// code came twice.
func (s *Server) redeem(ctx context.Context, iss issuer, c *client, form url.Values) (*redeemed, error) {
	kind := form.Get("grant_type")
	if !slices.Contains(c.grantTypes, kind) {
		return nil, fosite.ErrUnauthorizedClient.WithHint("The client has not registered for this grant.")
	}
	for _, name := range []string{"code", "code_verifier", "redirect_uri", "refresh_token"} {
		if len(form[name]) > 1 {
			return nil, fosite.ErrInvalidRequest.WithHintf("The parameter %s is repeated.", name)
		}
	}
	step := s.redeemRefreshToken
	if kind == grantAuthorizationCode {
		step = s.redeemCode
	}
	var out *redeemed
	var refused error
	err := s.db.Update(ctx, db.Identity, systemOf(iss.tenant), func(tx *db.Tx) (err error) {
		if err := s.purge(ctx, tx, iss.tenant); err != nil {
			return err
		}
		out, err = step(ctx, tx, iss, c, form)
		var known *fosite.RFC6749Error
		if refused = nil; errors.As(err, &known) {
			refused = err
			return nil
		}
		return err
	})
	if err == nil {
		err = refused
	}
	return out, err
}

// redeemCode redeems a code, once (RFC 6749 section 4.1.3, RFC 7636 section 4.6).
func (s *Server) redeemCode(ctx context.Context, tx *db.Tx, iss issuer, c *client, form url.Values) (*redeemed, error) {
	if form.Get("code") == "" {
		return nil, fosite.ErrInvalidRequest.WithHint("The parameter code is missing.")
	}
	verifier := form.Get("code_verifier")
	if len(verifier) < 43 || len(verifier) > 128 || !isUnreserved(verifier, "-._~") {
		return nil, fosite.ErrInvalidGrant.WithHint("The code_verifier is missing, or is none.")
	}
	hash := sha256.Sum256([]byte(form.Get("code")))
	row, err := tx.LockCode(ctx, iss.tenant, hash[:])
	if errors.Is(err, db.ErrNotFound) || err == nil && row.ClientID != c.id {
		return nil, errGrant
	}
	if err != nil {
		return nil, err
	}
	if row.Used { // whoever was first may have been a thief (section 4.1.2)
		if err := tx.RevokeGrant(ctx, iss.tenant, row.GrantID); err != nil {
			return nil, err
		}
		return nil, errGrant
	}
	proof := sha256.Sum256([]byte(verifier))
	proved := hmac.Equal([]byte(base64.RawURLEncoding.EncodeToString(proof[:])), []byte(row.CodeChallenge))
	if row.Expired || row.RedirectUri != form.Get("redirect_uri") || !proved {
		return nil, errGrant
	}
	out, err := s.revive(ctx, tx, iss, c, row.GrantID, form)
	if err != nil {
		return nil, err
	}
	out.nonce = row.Nonce
	if err := tx.UseCode(ctx, iss.tenant, hash[:]); err != nil {
		return nil, err
	}
	return out, s.addRefreshToken(ctx, tx, iss, c, out)
}

// redeemRefreshToken redeems a refresh token, once: another takes its place. One that comes twice
// ends the grant, because one of the two who have it is a thief (RFC 9700 section 4.14.2).
func (s *Server) redeemRefreshToken(ctx context.Context, tx *db.Tx, iss issuer, c *client, form url.Values) (*redeemed, error) {
	if form.Get("refresh_token") == "" {
		return nil, fosite.ErrInvalidRequest.WithHint("The parameter refresh_token is missing.")
	}
	hash := sha256.Sum256([]byte(form.Get("refresh_token")))
	row, err := tx.LockRefreshToken(ctx, iss.tenant, hash[:])
	if errors.Is(err, db.ErrNotFound) || err == nil && row.ClientID != c.id {
		return nil, errGrant
	}
	if err != nil {
		return nil, err
	}
	if row.Used {
		if err := tx.RevokeGrant(ctx, iss.tenant, row.GrantID); err != nil {
			return nil, err
		}
		return nil, errGrant
	}
	if row.Expired {
		return nil, errGrant
	}
	out, err := s.revive(ctx, tx, iss, c, row.GrantID, form)
	if err != nil {
		return nil, err
	}
	if form.Get("scope") != "" {
		narrowed, err := access.ParseScopes(form.Get("scope"))
		if err != nil || !out.granted.CoverAll(narrowed) {
			return nil, fosite.ErrInvalidScope.WithHint("The scope is more than was granted.")
		}
		out.granted = narrowed
	}
	if err := tx.UseRefreshToken(ctx, iss.tenant, hash[:]); err != nil {
		return nil, err
	}
	return out, s.addRefreshToken(ctx, tx, iss, c, out)
}

// revive reads a grant that is still alive and aims the client at its project. What the client may
// not have any more is left out of it.
func (s *Server) revive(ctx context.Context, tx *db.Tx, iss issuer, c *client, id string, form url.Values) (*redeemed, error) {
	row, err := tx.FindGrant(ctx, iss.tenant, id)
	if errors.Is(err, db.ErrNotFound) {
		return nil, errGrant
	}
	if err != nil {
		return nil, err
	}
	if c.project != 0 && c.project != row.ProjectID {
		return nil, errGrant
	}
	home, err := tx.FindHome(ctx, iss.tenant, row.ProjectID)
	if errors.Is(err, db.ErrNotFound) {
		return nil, errGrant
	}
	if err != nil {
		return nil, err
	}
	c.target = Target{
		TenantID: iss.tenant, Tenant: iss.slug, Project: home.Slug, ProjectID: row.ProjectID,
		FHIRBase: fhirBase(s.config.BaseURL, iss.slug, home.Slug, home.FhirVersion),
	}
	for _, name := range []string{"resource", "aud", "audience"} {
		for _, wanted := range form[name] {
			if wanted != c.target.FHIRBase {
				return nil, errInvalidTarget
			}
		}
	}
	out := &redeemed{FindGrantRow: row, id: id}
	held := access.ReadScopes(c.scopes)
	for _, scope := range access.ReadScopes(row.Scopes) {
		if scope.Context != access.System && held.Cover(scope) {
			out.granted = append(out.granted, scope)
		}
	}
	return out, nil
}

// mayRefresh tells whether a grant of these scopes comes with refresh tokens.
func (c *client) mayRefresh(granted access.Scopes) bool {
	return slices.Contains(c.grantTypes, grantRefreshToken) && (granted.Has(offlineAccess) || granted.Has(onlineAccess))
}

func (s *Server) addRefreshToken(ctx context.Context, tx *db.Tx, iss issuer, c *client, out *redeemed) error {
	if !c.mayRefresh(access.ReadScopes(out.Scopes)) {
		return nil
	}
	out.refresh = NewSecret()
	hash := sha256.Sum256([]byte(out.refresh))
	expires := time.Now().Add(s.config.RefreshLife)
	if expires.After(out.ExpiresAt) {
		expires = out.ExpiresAt
	}
	return tx.InsertRefreshToken(ctx, dbsqlc.InsertRefreshTokenParams{
		TenantID: iss.tenant, Hash: hash[:], GrantID: out.id, ClientID: c.id, ExpiresAt: expires,
	})
}
