package oauth

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/ory/fosite"

	"bulkhead/db"
	"bulkhead/db/dbsqlc"
)

// authenticate finds out which client of the issuer sent a request, and where a token for it would
// lead. Every refusal that depends on the client is the same invalid_client, after the same work.
func (s *Server) authenticate(ctx context.Context, iss issuer, r *http.Request, form url.Values) (*client, error) {
	sent, err := readCredentials(r, form)
	if err != nil {
		return nil, err
	}
	wanted, project, err := s.wantedProject(ctx, iss, form)
	if err != nil {
		return nil, err
	}
	found, err := s.findClient(ctx, iss, sent.clientID, project)
	if err != nil {
		return nil, err
	}
	if sent.assertion != nil {
		err = s.checkAsserted(ctx, iss, found, sent.assertion)
	} else if !s.pepper.Match(iss.tenant, sent.clientID, sent.secret, found.secrets) || found.method != authSecret {
		err = errUnknownClient
	}
	if err != nil {
		return nil, err
	}
	if found.state != "active" {
		return nil, errUnknownClient
	}
	if wanted != "" && wanted != found.target.FHIRBase {
		found.target.FHIRBase = ""
	}
	return found, nil
}

var errUnknownClient = fosite.ErrInvalidClient.WithHint("The client is unknown, disabled, or its secret is wrong.")

// findClient reads a client and the project of its token in one round trip. A client that is not
// there is one that nothing matches.
func (s *Server) findClient(ctx context.Context, iss issuer, id string, project int32) (*client, error) {
	var row dbsqlc.FindClientRow
	err := s.db.View(ctx, db.Identity, systemOf(iss.tenant), func(v *db.View) (err error) {
		row, err = v.FindClient(ctx, project, iss.tenant, id)
		return err
	})
	if errors.Is(err, db.ErrNotFound) || errors.Is(err, db.ErrInvalid) {
		return &client{id: id}, nil
	}
	if err != nil {
		return nil, err
	}
	found := &client{
		id: id, state: row.State, method: row.AuthMethod, grantTypes: row.GrantTypes, scopes: row.Scopes,
		jwks: row.Jwks, jwksURI: row.JwksUri, mayIntrospect: row.MayIntrospect, project: row.ProjectID,
		life: time.Duration(row.TokenLife) * time.Second, signingKID: row.SigningKid,
	}
	for _, hash := range [][]byte{row.SecretHash, row.PreviousHash} {
		if len(hash) > 0 {
			found.secrets = append(found.secrets, hash)
		}
	}
	if row.TargetID != 0 {
		found.target = Target{
			TenantID: iss.tenant, Tenant: iss.slug, Project: row.TargetSlug, ProjectID: row.TargetID,
			FHIRBase: fhirBase(s.config.BaseURL, iss.slug, row.TargetSlug, row.TargetVersion),
		}
	}
	return found, nil
}

// wantedProject reads which project's FHIR base a request names, as resource (RFC 8707), aud (SMART)
// or audience. Without one, a client of the whole tenant gets a token for project system. A URL
// that leads nowhere is project 0, which no client has.
func (s *Server) wantedProject(ctx context.Context, iss issuer, form url.Values) (base string, project int32, err error) {
	for _, name := range []string{"resource", "aud", "audience"} {
		for _, value := range form[name] {
			if base != "" && value != base {
				return "", 0, errInvalidTarget
			}
			base = value
		}
	}
	if base == "" {
		return "", db.SystemProject, nil
	}
	slug, _, ok := strings.Cut(strings.TrimPrefix(base, iss.url+"/"), "/")
	if !ok || !strings.HasPrefix(base, iss.url+"/") {
		return base, 0, nil
	}
	found, err := s.db.FindProject(ctx, iss.slug, slug)
	if errors.Is(err, db.ErrNoProject) || errors.Is(err, db.ErrInvalid) {
		return base, 0, nil
	}
	return base, found.Project, err
}

// checkAsserted checks a client assertion: its claims, its signature by one of the client's keys,
// and that it was not used before.
func (s *Server) checkAsserted(ctx context.Context, iss issuer, found *client, token *compactJWS) error {
	if found.method != authKey {
		return errUnknownClient
	}
	now := time.Now()
	checked, err := checkAssertion(token, found.id, []string{iss.url, iss.endpoint("token")}, found.jwksURI, now)
	if err != nil {
		return invalidAssertion(err)
	}
	keys, err := s.clientKeys(ctx, iss, found, token.kid, now)
	if err != nil {
		return fosite.ErrInvalidClient.WithHint("The client's keys cannot be read.").WithWrap(err)
	}
	if err := checked.verifyWith(keys); err != nil {
		return invalidAssertion(err)
	}
	var fresh int64
	err = s.db.Update(ctx, db.Identity, systemOf(iss.tenant), func(tx *db.Tx) (err error) {
		fresh, err = tx.Last().UseAssertion(ctx, dbsqlc.UseAssertionParams{
			TenantID: iss.tenant, ClientID: found.id, Jti: checked.id[:], ExpiresAt: checked.expires,
		})
		return err
	})
	if err == nil && fresh == 0 {
		err = invalidAssertion(errAssertionReplayed)
	}
	return err
}

func (s *Server) clientKeys(ctx context.Context, iss issuer, found *client, kid string, now time.Time) ([]clientKey, error) {
	if found.jwksURI != "" {
		return s.fetcher.Keys(ctx, iss.tenant, found.jwksURI, kid, now)
	}
	return parseClientKeys([]byte(found.jwks))
}
