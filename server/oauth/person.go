package oauth

import (
	"context"
	"net/url"
	"time"

	"bulkhead/server/access"
)

// personTokenLife is how long a client's access tokens for people live.
func (s *Server) personTokenLife(c *client) time.Duration {
	if c.life > 0 {
		return c.life
	}
	return s.config.PersonTokenLife
}

// grantPerson answers a token request by which a person's grant is redeemed (RFC 6749 section 5.1,
// SMART App Launch 2.2, OpenID Connect Core 1.0 section 3.1.3.3).
func (s *Server) grantPerson(ctx context.Context, iss issuer, c *client, form url.Values) (map[string]any, error) {
	got, err := s.redeem(ctx, iss, c, form)
	if err != nil {
		return nil, err
	}
	key, err := s.signer(ctx, iss.tenant, c.signingKID)
	if err != nil {
		return nil, err
	}
	now, life := time.Now(), s.personTokenLife(c)
	claims := Claims{
		Issuer: iss.url, Subject: got.PersonID, Audience: []string{c.target.FHIRBase, c.id}, ClientID: c.id, ID: newTokenID(), Session: got.id,
		Issued: now.Unix(), Expires: now.Add(life).Unix(), Scope: got.granted.String(), Tenant: iss.slug, Project: c.target.Project,
		ProjectID: c.target.ProjectID, UserRole: got.Role, UserID: got.PersonID, ResourceType: personType, AccessPolicies: []string{},
	}
	answer := map[string]any{"token_type": "Bearer", "expires_in": int(life / time.Second), "scope": claims.Scope}
	if got.launched() {
		claims.Patient = got.Patient
		answer["patient"], answer["need_patient_banner"] = got.Patient, true
	}
	if got.granted.Has("fhirUser") && got.FhirUser != "" {
		claims.FHIRUser = c.target.FHIRBase + "/" + got.FhirUser
	}
	token, err := signJWS(key, accessTokenType, claims.JSON(s.config.Namespace))
	if err != nil {
		return nil, err
	}
	answer["access_token"] = token
	if got.refresh != "" {
		answer["refresh_token"] = got.refresh
	}
	if got.granted.Has("openid") {
		if answer["id_token"], err = s.idToken(ctx, iss, c, got, token, now, life); err != nil {
			return nil, err
		}
	}
	return answer, nil
}

// launched tells whether this token comes with the patient that its app was opened for.
func (r *redeemed) launched() bool {
	return r.Patient != "" && (r.granted.Has("launch/patient") || len(r.granted.In(access.Patient)) > 0)
}
