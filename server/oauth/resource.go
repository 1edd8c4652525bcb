package oauth

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"bulkhead/db"
	"bulkhead/server/fhir"
)

// Authorize verifies the bearer token of a request to a project's FHIR API. The caller that it
// returns goes into db.View and db.Update, where app.enter() looks for what has ended the token
// since (then it is db.ErrRevoked: answer it as Revoked says). No SQL runs before the token is known
// to be good, but for reading the tenant's keys now and then.
//
// Errors are *BearerError (401 and 403) or those of package db.
func (s *Server) Authorize(ctx context.Context, authorization string, project db.Project) (*Bearer, db.Caller, error) {
	token, err := BearerToken(authorization)
	if err != nil {
		return nil, db.Caller{}, err
	}
	target := Target{
		TenantID: project.Tenant, Tenant: project.TenantSlug, Project: project.Slug, ProjectID: project.Project, FHIRBase: s.FHIRBase(project),
	}
	bearer, err := s.verify(ctx, target, token, time.Now())
	if err != nil {
		return nil, db.Caller{}, err
	}
	if bearer.IsPerson() {
		return nil, db.Caller{}, notForPeople()
	}
	return bearer, bearer.caller(target), nil
}

// Revoked is the answer to a token that the database has refused.
func Revoked(cause error) error { return unauthorized(cause) }

// MissingToken is the answer to a request without a token.
func MissingToken() error { return missingToken() }

func (b *Bearer) caller(target Target) db.Caller {
	caller := db.Caller{Tenant: target.TenantID, Project: target.ProjectID, TokenID: b.ID, ClientID: b.ClientID, KeyID: b.KID}
	if b.IsPerson() {
		caller.GrantID = b.Session
	}
	return caller
}

// verify checks a token once and remembers it. Where it is aimed is asked every time.
func (s *Server) verify(ctx context.Context, target Target, token string, now time.Time) (*Bearer, error) {
	if len(token) > MaxTokenLength {
		return nil, unauthorized(errJWS)
	}
	key := tokenKey{tenant: target.TenantID, sum: sha256.Sum256([]byte(token))}
	if kept := s.tokens.get(key); kept != nil {
		if err := kept.alive(now); err != nil {
			return nil, unauthorized(err)
		}
		return kept, kept.aimedAt(target)
	}
	parsed, err := parseJWS(token)
	if err != nil {
		return nil, unauthorized(err)
	}
	ring, err := s.ring(ctx, target.TenantID, parsed.kid)
	if errors.Is(err, db.ErrNoProject) {
		return nil, fhir.Errorf(fhir.NotFound, "There is no such FHIR endpoint.")
	}
	if err != nil {
		return nil, err
	}
	bearer, err := verifyParsed(ring, s.IssuerURL(target.Tenant), s.config.Namespace, parsed, now)
	if err != nil {
		return nil, err
	}
	s.tokens.put(key, bearer)
	return bearer, bearer.aimedAt(target)
}
