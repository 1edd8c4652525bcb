package oauth

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"time"

	"bulkhead/db"
	"bulkhead/db/dbsqlc"
)

// idToken makes an id_token (OpenID Connect Core 1.0 section 2): RS256, because SMART test kits and
// many relying parties know nothing else.
func (s *Server) idToken(ctx context.Context, iss issuer, c *client, got *redeemed, accessToken string, now time.Time, life time.Duration) (string, error) {
	ring, err := s.Ring(ctx, iss.tenant) // as it is now: what a key signs after its end nobody can verify
	if err == nil && ring.Signer(IDTokenAlg) == nil {
		ring, err = s.ensure(ctx, iss.tenant, IDTokenAlg)
	}
	if err != nil {
		return "", err
	}
	key := ring.Signer(IDTokenAlg)
	if key == nil {
		return "", errors.New("there is no key for id_tokens")
	}
	sum := sha256.Sum256([]byte(accessToken))
	w := claimWriter{dst: make([]byte, 0, 512)}
	w.text("iss", iss.url)
	w.text("sub", got.PersonID)
	w.text("aud", c.id)
	w.number("exp", now.Add(life).Unix())
	w.number("iat", now.Unix())
	w.number("auth_time", got.AuthTime.Unix())
	w.texts("amr", got.Amr)
	w.text("sid", got.SessionSid)
	w.text("at_hash", base64.RawURLEncoding.EncodeToString(sum[:16]))
	if got.nonce != "" {
		w.text("nonce", got.nonce)
	}
	if got.granted.Has("fhirUser") && got.FhirUser != "" {
		w.text("fhirUser", c.target.FHIRBase+"/"+got.FhirUser)
	}
	if got.granted.Has("profile") || got.granted.Has("email") {
		subject, err := s.subject(ctx, iss.tenant, got.PersonID)
		if err != nil {
			return "", err
		}
		if got.granted.Has("profile") && subject.Name != "" {
			w.text("name", subject.Name)
		}
		if got.granted.Has("email") {
			w.text("email", subject.Email)
		}
	}
	return signJWS(key, "JWT", append(w.dst, '}'))
}

func (s *Server) subject(ctx context.Context, tenant int32, person string) (row dbsqlc.FindSubjectRow, err error) {
	err = s.db.View(ctx, db.Identity, systemOf(tenant), func(v *db.View) error {
		row, err = v.FindSubject(ctx, tenant, person)
		return err
	})
	return row, err
}

// idTokenHint is what an id_token of this issuer tells at logout. It may have expired.
type idTokenHint struct{ client, session string }

// readHint reads an id_token_hint (OpenID Connect RP-Initiated Logout 1.0 section 2); false when it is
// no id_token of this issuer.
func (s *Server) readHint(ctx context.Context, iss issuer, text string) (hint idTokenHint, ok bool, err error) {
	parsed, err := parseJWS(text)
	if err != nil || parsed.alg != string(IDTokenAlg) || parsed.typ != "JWT" {
		return hint, false, nil
	}
	ring, err := s.ring(ctx, iss.tenant, parsed.kid)
	if err != nil {
		return hint, false, err
	}
	key := ring.Public(parsed.kid, IDTokenAlg)
	audience := parsed.texts("aud")
	if key == nil || parsed.verify(IDTokenAlg, key) != nil || parsed.text("iss") != iss.url || len(audience) != 1 {
		return hint, false, nil
	}
	hint = idTokenHint{client: audience[0], session: parsed.text("sid")}
	return hint, hint.session != "" && hint.client != "", nil
}
