package oauth

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"bulkhead/server/access"
	"bulkhead/server/fhir"
)

// clockSkew is how far another machine's clock may be ahead of this one's.
const clockSkew = 10 * time.Second

// BearerError is why a bearer token does not open a resource (RFC 6750 section 3.1). It unwraps to
// the *fhir.Error that a FHIR client is told.
type BearerError struct {
	Code string // invalid_token or insufficient_scope; "" when no token was sent
	err  *fhir.Error
}

func (e *BearerError) Error() string { return e.err.Error() }

func (e *BearerError) Unwrap() error { return e.err }

// Challenge is the value of WWW-Authenticate that goes with the error. metadata is the URL of the
// protected resource's metadata (RFC 9728 section 5.1).
func (e *BearerError) Challenge(metadata string) string {
	challenge := `Bearer resource_metadata="` + metadata + `"`
	if e.Code != "" {
		challenge += `, error="` + e.Code + `", error_description="` + e.err.Issues[0].Diagnostics + `"`
	}
	return challenge
}

// The reasons that are worth telling apart. Why a signature or claim was not believed is not one of
// them: it goes to the log only.
var (
	errNoToken      = errors.New("no bearer token")
	errForeignKey   = errors.New("no key of this tenant has this kid")
	errWrongType    = errors.New("typ or alg is not that of an access token")
	errWrongIssuer  = errors.New("another issuer")
	errIncomplete   = errors.New("a claim is missing")
	errOtherProject = errors.New("token of another project")
	errPerson       = errors.New("token of a person")
)

func unauthorized(cause error) *BearerError {
	return &BearerError{Code: "invalid_token", err: fhir.Errorf(fhir.Login,
		"The access token is missing, expired, revoked or not for this server.").With(http.StatusUnauthorized).Because(cause)}
}

func missingToken() *BearerError {
	return &BearerError{err: fhir.Errorf(fhir.Login, "An access token is needed.").With(http.StatusUnauthorized).Because(errNoToken)}
}

func wrongProject() *BearerError {
	return &BearerError{Code: "insufficient_scope", err: fhir.Errorf(fhir.Forbidden,
		"The access token is for another project.").With(http.StatusForbidden).Because(errOtherProject)}
}

// notForPeople refuses the token of a person. What a person may see are some of a project's rows, and
// until requests are narrowed to these, such a token opens none.
func notForPeople() *BearerError {
	return &BearerError{Code: "insufficient_scope", err: fhir.Errorf(fhir.Forbidden,
		"Access tokens of people do not open this API yet.").With(http.StatusForbidden).Because(errPerson)}
}

// BearerToken takes the token out of an Authorization header (RFC 6750 section 2.1). Tokens in the
// query or the body are not read: they end up in logs.
func BearerToken(authorization string) (string, error) {
	scheme, token, _ := strings.Cut(authorization, " ")
	token = strings.TrimLeft(token, " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", missingToken()
	}
	return token, nil
}

// Bearer is a verified access token: who calls, and what the token grants.
type Bearer struct {
	Claims
	KID    string
	Scopes access.Scopes
}

// Target is the project that a request is for, as its URL names it.
type Target struct {
	TenantID  int32
	Tenant    string
	Project   string
	ProjectID int32
	FHIRBase  string // the only audience that is believed
}

// verifyParsed checks all of a token but where it is aimed, in the order that costs least before
// the signature is known to be good.
func verifyParsed(ring *Ring, issuer, namespace string, parsed *compactJWS, now time.Time) (*Bearer, error) {
	typ := strings.TrimPrefix(strings.ToLower(parsed.typ), "application/")
	if typ != accessTokenType || parsed.alg != string(AccessTokenAlg) {
		return nil, unauthorized(errWrongType)
	}
	key := ring.Public(parsed.kid, AccessTokenAlg)
	if key == nil {
		return nil, unauthorized(errForeignKey)
	}
	if err := parsed.verify(AccessTokenAlg, key); err != nil {
		return nil, unauthorized(err)
	}
	bearer := &Bearer{Claims: readClaims(parsed, namespace), KID: parsed.kid}
	if err := bearer.check(issuer, parsed, now); err != nil {
		return nil, unauthorized(err)
	}
	for _, scope := range access.ReadScopes(strings.Fields(bearer.Scope)) {
		if !bearer.IsPerson() || scope.Context != access.System { // no person is ever granted those
			bearer.Scopes = append(bearer.Scopes, scope)
		}
	}
	return bearer, nil
}

// check looks at what holds for every project of the tenant.
func (b *Bearer) check(issuer string, parsed *compactJWS, now time.Time) error {
	if b.Issuer != issuer {
		return errWrongIssuer
	}
	if b.Subject == "" || b.ClientID == "" || b.ID == "" || b.Issued == 0 || b.Expires == 0 {
		return errIncomplete
	}
	// Whose token it is decides what can end it: a person's names its grant.
	if b.ResourceType != clientType && b.ResourceType != personType || b.IsPerson() && b.Session == "" {
		return errIncomplete
	}
	if err := b.alive(now); err != nil {
		return err
	}
	if notBefore, ok := parsed.seconds("nbf"); ok && time.Unix(notBefore, 0).After(now.Add(clockSkew)) {
		return fmt.Errorf("not before %d", notBefore)
	}
	return nil
}

// alive checks what changes while a token is kept.
func (b *Bearer) alive(now time.Time) error {
	if b.Expires <= now.Unix() {
		return fmt.Errorf("expired at %d", b.Expires)
	}
	if time.Unix(b.Issued, 0).After(now.Add(clockSkew)) {
		return fmt.Errorf("issued at %d, in the future", b.Issued)
	}
	return nil
}

// aimedAt tells whether the token is for this project of this tenant, and for its FHIR base.
func (b *Bearer) aimedAt(target Target) error {
	if b.Tenant != target.Tenant {
		return unauthorized(errWrongIssuer)
	}
	if b.Project != target.Project || b.ProjectID != target.ProjectID || !slices.Contains(b.Audience, target.FHIRBase) {
		return wrongProject()
	}
	return nil
}
