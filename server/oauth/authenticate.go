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
	wanted, err := s.wantedProject(ctx, iss, form)
	if err != nil {
		return nil, err
	}
	found, err := s.findClient(ctx, iss, sent.clientID)
	if err != nil {
		return nil, err
	}
	switch {
	case sent.assertion != nil:
		err = s.checkAsserted(ctx, iss, found, sent.assertion)
	case sent.method == authNone:
		if found.method != authNone { // a public client says who it is and proves nothing
			err = errUnknownClient
		}
	case !s.pepper.Match(iss.tenant, sent.clientID, sent.secret, found.secrets) || found.method != authSecret:
		err = errUnknownClient
	}
	if err != nil {
		return nil, err
	}
	if found.state != "active" {
		return nil, errUnknownClient
	}
	return found, s.aim(ctx, iss, found, wanted)
}

// aim sets where the client's token would lead: the project that it is bound to, else the one that
// the request names. A request that names another project than the client is bound to leads nowhere.
func (s *Server) aim(ctx context.Context, iss issuer, found *client, wanted wantedProject) error {
	target := Target{TenantID: iss.tenant, Tenant: iss.slug, Project: wanted.project.Slug, ProjectID: wanted.project.Project, FHIRBase: wanted.base}
	if found.project != 0 {
		home, err := s.home(ctx, iss, found.project)
		if err != nil {
			return err
		}
		target.Project, target.ProjectID = home.Slug, found.project
		target.FHIRBase = fhirBase(s.config.BaseURL, iss.slug, home.Slug, home.FhirVersion)
	}
	if wanted.named && wanted.base != target.FHIRBase {
		target.FHIRBase = ""
	}
	found.target = target
	return nil
}

// home reads what a project is called, once.
func (s *Server) home(ctx context.Context, iss issuer, project int32) (dbsqlc.FindHomeRow, error) {
	key := [2]int32{iss.tenant, project}
	s.mu.Lock()
	row, ok := s.homes[key]
	s.mu.Unlock()
	if ok {
		return row, nil
	}
	err := s.db.View(ctx, db.Identity, systemOf(iss.tenant), func(v *db.View) (err error) {
		row, err = v.FindHome(ctx, iss.tenant, project)
		return err
	})
	if errors.Is(err, db.ErrNotFound) {
		return row, errUnknownClient
	}
	if err != nil {
		return row, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.homes) >= maxHomes {
		clear(s.homes)
	}
	s.homes[key] = row
	return row, nil
}

var errUnknownClient = fosite.ErrInvalidClient.WithHint("The client is unknown, disabled, or its secret is wrong.")

// findClient reads a client. One that is not there is one that nothing matches.
func (s *Server) findClient(ctx context.Context, iss issuer, id string) (*client, error) {
	var row dbsqlc.FindClientRow
	err := s.db.View(ctx, db.Identity, systemOf(iss.tenant), func(v *db.View) (err error) {
		row, err = v.FindClient(ctx, iss.tenant, id)
		return err
	})
	if errors.Is(err, db.ErrNotFound) || errors.Is(err, db.ErrInvalid) {
		return &client{id: id}, nil
	}
	if err != nil {
		return nil, err
	}
	found := &client{
		id: id, name: row.Name, state: row.State, method: row.AuthMethod, grantTypes: row.GrantTypes, scopes: row.Scopes,
		jwks: row.Jwks, jwksURI: row.JwksUri, mayIntrospect: row.MayIntrospect, project: row.ProjectID,
		redirects: row.RedirectUris, logouts: row.LogoutUris, life: time.Duration(row.TokenLife) * time.Second, signingKID: row.SigningKid,
	}
	for _, hash := range [][]byte{row.SecretHash, row.PreviousHash} {
		if len(hash) > 0 {
			found.secrets = append(found.secrets, hash)
		}
	}
	return found, nil
}

// wantedProject is the project whose FHIR base a request names.
type wantedProject struct {
	project db.Project
	base    string // its FHIR base
	named   bool   // false: nothing was named, and it is project system
}

// wantedProject reads resource (RFC 8707), aud (SMART) or audience. Without any of them, a client of
// the whole tenant gets a token for project system. A URL that is no project's base leads nowhere.
func (s *Server) wantedProject(ctx context.Context, iss issuer, form url.Values) (wanted wantedProject, err error) {
	slug := "system"
	for _, name := range []string{"resource", "aud", "audience"} {
		for _, value := range form[name] {
			if wanted.named && value != wanted.base {
				return wanted, errInvalidTarget
			}
			wanted.base, wanted.named = value, true
		}
	}
	if wanted.named {
		slug, _, _ = strings.Cut(strings.TrimPrefix(wanted.base, iss.url+"/"), "/")
	}
	if !isSlug(slug) {
		return wanted, errInvalidTarget
	}
	wanted.project, err = s.db.FindProject(ctx, iss.slug, slug)
	switch {
	case errors.Is(err, db.ErrNoProject), err == nil && wanted.project.State != "active":
		return wanted, errInvalidTarget
	case err != nil:
		return wanted, err
	case !wanted.named:
		wanted.base = s.FHIRBase(wanted.project)
	case wanted.base != s.FHIRBase(wanted.project):
		return wanted, errInvalidTarget
	}
	return wanted, nil
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
		if err := s.purge(ctx, tx, iss.tenant); err != nil {
			return err
		}
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

// purgeWait is the time between two purges of one tenant.
const purgeWait = time.Minute

// purge takes away what a tenant's tables hold of tokens and assertions that have expired, at most
// once a minute: it reads all of the tenant's rows.
func (s *Server) purge(ctx context.Context, tx *db.Tx, tenant int32) error {
	now := time.Now()
	s.mu.Lock()
	due := now.After(s.purged[tenant].Add(purgeWait))
	if due {
		if len(s.purged) >= maxRings {
			clear(s.purged)
		}
		s.purged[tenant] = now
	}
	s.mu.Unlock()
	if !due {
		return nil
	}
	if err := tx.PurgeAssertions(ctx, tenant); err != nil {
		return err
	}
	if err := tx.PurgeGrants(ctx, tenant); err != nil {
		return err
	}
	return tx.PurgeRevoked(ctx, tenant)
}
