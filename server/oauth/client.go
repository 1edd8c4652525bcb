package oauth

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"bulkhead/db"
	"bulkhead/db/dbsqlc"
	"bulkhead/server/access"
	"bulkhead/server/fhir"
)

// How a client authenticates, as its row says it. Either of the two secret methods is taken from a
// client that has a secret: many libraries try one and then the other.
const (
	authSecret = "client_secret"
	authKey    = "private_key_jwt"
	authNone   = "none"
)

// maxTokenLife bounds ClientApplication.accessTokenLifetime, in seconds.
const maxTokenLife = 3600

// ClientSpec is what a ClientApplication resource asks for.
type ClientSpec struct {
	Name          string
	Disabled      bool // status inactive
	GrantTypes    []string
	Scopes        access.Scopes // the most that its tokens can be granted
	JWKS          string        // a JWK Set as JSON text, or ""
	JWKSURI       string        // where the JWK Set is, or ""
	MayIntrospect bool
	RedirectURIs  []string
	Public        bool     // has no credentials
	LogoutURIs    []string // where people are sent after signing out
	TokenLife     int32    // seconds; 0: the server's default
	method        string
}

// ReadClient reads a ClientApplication whose structure has been validated. What it asks for must
// make sense together; errors are *fhir.Error with the element's path.
func (r *Registry) ReadClient(resource *fhir.Value) (ClientSpec, error) {
	spec := ClientSpec{
		Name:          resource.Get("name").Text(),
		Disabled:      resource.Get("status").Text() == "inactive",
		JWKS:          resource.Get("jwks").Text(),
		JWKSURI:       resource.Get("jwksUri").Text(),
		MayIntrospect: resource.Get("introspection").Text() == "true",
	}
	spec.GrantTypes = texts(resource, "grantType")
	spec.RedirectURIs = texts(resource, "redirectUri")
	if err := checkRedirects(spec.RedirectURIs); err != nil {
		return spec, fhir.Errorf(fhir.ValueInvalid, "A redirect URI cannot be used: %s.", err).At("ClientApplication.redirectUri")
	}
	spec.LogoutURIs = texts(resource, "postLogoutRedirectUri")
	if err := checkRedirects(spec.LogoutURIs); err != nil {
		return spec, fhir.Errorf(fhir.ValueInvalid, "A redirect URI cannot be used: %s.", err).At("ClientApplication.postLogoutRedirectUri")
	}
	scopes, err := access.ParseScopes(resource.Get("scope").Text())
	if err != nil {
		return spec, fhir.Errorf(fhir.ValueInvalid, "A scope is not one that this server knows: %s.", err).At("ClientApplication.scope")
	}
	spec.Scopes = scopes
	if text := resource.Get("accessTokenLifetime").Text(); text != "" {
		seconds, err := strconv.ParseInt(text, 10, 32)
		if err != nil || seconds < 1 || seconds > maxTokenLife {
			return spec, fhir.Errorf(fhir.ValueInvalid, "An access token lives 1 to %d seconds.", maxTokenLife).At("ClientApplication.accessTokenLifetime")
		}
		spec.TokenLife = int32(seconds)
	}
	return r.checkKeys(spec, resource.Get("tokenEndpointAuthMethod").Text())
}

func texts(resource *fhir.Value, element string) []string {
	var list []string
	if found := resource.Get(element); found != nil {
		for i := range found.Items {
			list = append(list, found.Items[i].Text())
		}
	}
	return list
}

// checkKeys finds the authentication method that the spec's keys fit.
func (r *Registry) checkKeys(spec ClientSpec, method string) (ClientSpec, error) {
	invalid := func(element, text string) (ClientSpec, error) {
		return spec, fhir.Errorf(fhir.ValueInvalid, "%s", text).At("ClientApplication." + element)
	}
	keyed := spec.JWKS != "" || spec.JWKSURI != ""
	switch method {
	case "":
		if spec.method = authSecret; keyed {
			spec.method = authKey
		}
	case SecretBasic, SecretPost:
		spec.method = authSecret
	case PrivateKeyJWT:
		spec.method = authKey
	case authNone:
		spec.method = authNone
	default:
		return invalid("tokenEndpointAuthMethod", "The authentication method is not one that this server knows.")
	}
	spec.Public = spec.method == authNone
	switch {
	case spec.method == authKey && !keyed:
		return invalid("jwks", "A client that authenticates with private_key_jwt needs jwks or jwksUri.")
	case spec.method != authKey && keyed:
		return invalid("tokenEndpointAuthMethod", "A client with jwks or jwksUri authenticates with private_key_jwt.")
	case spec.JWKS != "" && spec.JWKSURI != "":
		return invalid("jwksUri", "A client has jwks or jwksUri, not both.")
	case spec.method == authNone && slices.Contains(spec.GrantTypes, grantClientCredentials):
		return invalid("grantType", "A client without authentication cannot use client_credentials.")
	}
	if spec.JWKS != "" {
		if _, err := parseClientKeys([]byte(spec.JWKS)); err != nil {
			return invalid("jwks", "The text is "+err.Error()+".")
		}
	}
	if spec.JWKSURI != "" {
		if err := r.fetcher.checkKeyURL(spec.JWKSURI); err != nil {
			return invalid("jwksUri", "The URL cannot be used: "+err.Error()+".")
		}
	}
	return spec, nil
}

// PutClient brings the client row of a ClientApplication into step with it, in the transaction that
// writes the resource. home is the project that the resource is in: from `system` the client may
// act in every project of the tenant, from another in that one only. secret is "" unless one was
// made just now; this is the only time that it can be seen.
//
// A client id that another project of the tenant uses is a *fhir.Error of type duplicate.
func (r *Registry) PutClient(ctx context.Context, tx *db.Tx, home db.Caller, id string, spec ClientSpec) (secret string, err error) {
	state := "active"
	if spec.Disabled {
		state = "disabled"
	}
	hasSecret, err := tx.PutClient(ctx, dbsqlc.PutClientParams{
		TenantID: home.Tenant, ID: id, ProjectID: binding(home), Name: spec.Name, State: state, AuthMethod: spec.method,
		GrantTypes: notNil(spec.GrantTypes), Scopes: spec.Scopes.Strings(), Jwks: spec.JWKS, JwksUri: spec.JWKSURI,
		MayIntrospect: spec.MayIntrospect, TokenLife: spec.TokenLife,
		RedirectUris: notNil(spec.RedirectURIs), LogoutUris: notNil(spec.LogoutURIs),
	})
	if errors.Is(err, db.ErrNotFound) {
		return "", fhir.Errorf(fhir.Duplicate, "The client id %s is taken.", id).At("ClientApplication.id")
	}
	if err != nil || spec.method != authSecret || hasSecret {
		return "", err
	}
	return r.RotateSecret(ctx, tx, home.Tenant, id, 0)
}

// PutClientFor is PutClient for a caller with a token, who cannot hand on more than the token
// grants: neither by making a client, nor by taking over one through its keys. What an app does for
// people counts like what the client would do itself; who they are is theirs to tell.
func (r *Registry) PutClientFor(ctx context.Context, tx *db.Tx, home db.Caller, by access.Scopes, id string, spec ClientSpec) (secret string, err error) {
	if !by.CoverAll(asOwn(spec.Scopes)) {
		return "", fhir.Errorf(fhir.Forbidden, "A client cannot be given scopes that the caller's own token does not have.").At("ClientApplication.scope")
	}
	return r.PutClient(ctx, tx, home, id, spec)
}

// asOwn is what a client could do that had for itself what it may ask people for.
func asOwn(scopes access.Scopes) access.Scopes {
	var own access.Scopes
	for _, scope := range scopes {
		if scope.Context != access.None {
			scope.Context = access.System
			own = append(own, scope)
		}
	}
	return own
}

// binding is the project that a client from home is bound to; 0 means none.
func binding(home db.Caller) int32 {
	if home.Project == db.SystemProject {
		return 0
	}
	return home.Project
}

func notNil(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// RotateSecret gives a client a new secret and returns it, the only time that it can be seen. The
// old one counts for the overlap. db.ErrNotFound when there is no such client with a secret.
func (r *Registry) RotateSecret(ctx context.Context, tx *db.Tx, tenant int32, id string, overlap time.Duration) (secret string, err error) {
	secret = NewSecret()
	changed, err := tx.SetSecret(ctx, dbsqlc.SetSecretParams{
		TenantID: tenant, ID: id, SecretHash: r.pepper.Hash(tenant, id, secret), PreviousUntil: time.Now().Add(overlap),
	})
	if err == nil && changed == 0 {
		err = db.ErrNotFound
	}
	if err != nil {
		return "", err
	}
	return secret, nil
}

// DropClient removes the row of a ClientApplication that is being deleted, and says whether it was
// there. The client's tokens end with it.
func (r *Registry) DropClient(ctx context.Context, tx *db.Tx, home db.Caller, id string) (bool, error) {
	dropped, err := tx.DeleteClient(ctx, home.Tenant, id, binding(home))
	return dropped > 0, err
}

// DisableClient ends a client's tokens and refuses it others. db.ErrNotFound when there is none.
func (r *Registry) DisableClient(ctx context.Context, tx *db.Tx, home db.Caller, id string) error {
	changed, err := tx.SetClientState(ctx, dbsqlc.SetClientStateParams{
		TenantID: home.Tenant, ID: id, ProjectID: binding(home), State: "disabled",
	})
	if err == nil && changed == 0 {
		err = db.ErrNotFound
	}
	return err
}

// ClientInfo describes a client to its tenant's administrator.
type ClientInfo struct {
	ID         string    `json:"client_id"`
	Project    string    `json:"project"` // where it lives; in system it acts for the whole tenant
	Name       string    `json:"name"`
	State      string    `json:"state"` // active or disabled
	AuthMethod string    `json:"auth_method"`
	GrantTypes []string  `json:"grant_types"`
	Scopes     []string  `json:"scopes"`
	JWKSURI    string    `json:"jwks_uri,omitempty"`
	Introspect bool      `json:"introspection"`
	Created    time.Time `json:"created"`
}

// Clients lists a tenant's clients, the oldest first.
func (r *Registry) Clients(ctx context.Context, tenant int32) ([]ClientInfo, error) {
	list := []ClientInfo{}
	err := r.db.View(ctx, db.Identity, systemOf(tenant), func(v *db.View) error {
		rows, err := v.ListClients(ctx, tenant)
		for _, row := range rows {
			list = append(list, ClientInfo{
				ID: row.ID, Project: row.Project, Name: row.Name, State: row.State, AuthMethod: row.AuthMethod,
				GrantTypes: row.GrantTypes, Scopes: row.Scopes, JWKSURI: row.JwksUri, Introspect: row.MayIntrospect, Created: row.Created,
			})
		}
		return err
	})
	return list, err
}

// ClientResource writes a ClientApplication that ReadClient reads back as spec, without id and meta.
func (spec ClientSpec) ClientResource() string {
	text := func(s string) string { return string(fhir.AppendString(nil, s)) }
	status := "active"
	if spec.Disabled {
		status = "inactive"
	}
	var b strings.Builder
	b.WriteString(`{"resourceType":"ClientApplication","name":` + text(spec.Name) + `,"status":"` + status + `"`)
	b.WriteString(`,"grantType":[`)
	for i, grant := range spec.GrantTypes {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(text(grant))
	}
	b.WriteByte(']')
	if spec.Public {
		b.WriteString(`,"tokenEndpointAuthMethod":"none"`)
	}
	writeList(&b, "redirectUri", spec.RedirectURIs)
	writeList(&b, "postLogoutRedirectUri", spec.LogoutURIs)
	for _, member := range []struct{ name, value string }{
		{"scope", spec.Scopes.String()}, {"jwks", spec.JWKS}, {"jwksUri", spec.JWKSURI},
	} {
		if member.value != "" {
			b.WriteString(`,"` + member.name + `":` + text(member.value))
		}
	}
	if spec.MayIntrospect {
		b.WriteString(`,"introspection":true`)
	}
	if spec.TokenLife > 0 {
		b.WriteString(`,"accessTokenLifetime":` + strconv.Itoa(int(spec.TokenLife)))
	}
	return b.String() + "}"
}

func writeList(b *strings.Builder, name string, list []string) {
	for i, text := range list {
		separator := ","
		if i == 0 {
			separator = `,"` + name + `":[`
		}
		b.WriteString(separator + string(fhir.AppendString(nil, text)))
	}
	if len(list) > 0 {
		b.WriteByte(']')
	}
}
