package oauth

import (
	"net/http"
	"net/url"

	"github.com/ory/fosite"
)

// assertionType is the client_assertion_type of private_key_jwt (RFC 7523 section 2.2).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// The client authentication methods that work (OpenID Connect Core 1.0 section 9).
const (
	SecretBasic   = "client_secret_basic"
	SecretPost    = "client_secret_post"
	PrivateKeyJWT = "private_key_jwt"
)

// credentials is what a client sent to prove who it is. Nothing in it is believed yet.
type credentials struct {
	method    string
	clientID  string
	secret    string
	assertion *compactJWS
}

// readCredentials finds the one authentication method that a request uses (RFC 6749 section 2.3:
// more than one is an error). form is the body's; a query never holds credentials.
func readCredentials(r *http.Request, form url.Values) (*credentials, error) {
	for _, name := range []string{"client_id", "client_secret", "client_assertion", "client_assertion_type"} {
		if len(form[name]) > 1 {
			return nil, fosite.ErrInvalidRequest.WithHintf("The parameter %s is repeated.", name)
		}
		if r.URL.Query().Has(name) {
			return nil, fosite.ErrInvalidRequest.WithHintf("The parameter %s must not be in the URL.", name)
		}
	}
	id, secret, basic := r.BasicAuth()
	posted, asserted := form.Get("client_secret") != "", form.Get("client_assertion") != "" || form.Get("client_assertion_type") != ""
	switch {
	case basic && (posted || asserted) || posted && asserted:
		return nil, fosite.ErrInvalidRequest.WithHint("Only one client authentication method may be used.")
	case basic:
		return basicCredentials(id, secret, form.Get("client_id"))
	case r.Header.Get("Authorization") != "":
		return nil, fosite.ErrInvalidClient.WithHint("The Authorization header is not HTTP Basic.")
	case asserted:
		return assertedCredentials(form)
	case posted && form.Get("client_id") != "":
		return &credentials{method: SecretPost, clientID: form.Get("client_id"), secret: form.Get("client_secret")}, nil
	case !posted && form.Get("client_id") != "":
		return &credentials{method: authNone, clientID: form.Get("client_id")}, nil
	default:
		return nil, fosite.ErrInvalidClient.WithHint("The request holds no client authentication.")
	}
}

// basicCredentials reads HTTP Basic as clients send it: form-encoded as RFC 6749 section 2.3.1
// asks, or as it stands. Ids and secrets hold no character that the two spell differently.
func basicCredentials(id, secret, formID string) (*credentials, error) {
	id, secret = formDecoded(id), formDecoded(secret)
	if id == "" || secret == "" {
		return nil, fosite.ErrInvalidClient.WithHint("The client id or secret is empty.")
	}
	if formID != "" && formID != id {
		return nil, fosite.ErrInvalidRequest.WithHint("The client_id differs from that of the Authorization header.")
	}
	return &credentials{method: SecretBasic, clientID: id, secret: secret}, nil
}

func formDecoded(text string) string {
	if decoded, err := url.QueryUnescape(text); err == nil {
		return decoded
	}
	return text
}

// assertedCredentials reads a client assertion. The client is whom the assertion names; a client_id
// beside it must be the same.
func assertedCredentials(form url.Values) (*credentials, error) {
	if form.Get("client_assertion_type") != assertionType {
		return nil, fosite.ErrInvalidRequest.WithHintf("The client_assertion_type must be %s.", assertionType)
	}
	parsed, err := parseJWS(form.Get("client_assertion"))
	if err != nil {
		return nil, invalidAssertion(err)
	}
	id := parsed.text("sub")
	if id == "" {
		return nil, invalidAssertion(errAssertionSubject)
	}
	if formID := form.Get("client_id"); formID != "" && formID != id {
		return nil, fosite.ErrInvalidRequest.WithHint("The client_id differs from the subject of the assertion.")
	}
	return &credentials{method: PrivateKeyJWT, clientID: id, assertion: parsed}, nil
}
