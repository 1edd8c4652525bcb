package oauth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/ory/fosite"
)

// assertionAlgs are the algorithms of client assertions: what SMART demands (RS384, ES384) and what
// current clients use by default. Which of them a key may verify depends on the key's kind.
var assertionAlgs = []string{string(jwa.RS384), string(jwa.ES384), string(jwa.ES256), string(jwa.PS256)}

// maxAssertionLife is how far ahead exp may lie (SMART Backend Services 2.2: five minutes).
const maxAssertionLife = 5 * time.Minute

// What can be wrong with a client assertion. The client is told: it wrote the text.
var (
	errAssertionSubject   = errors.New("iss and sub must both be the client id")
	errAssertionAudience  = errors.New("aud must be the token endpoint or the issuer")
	errAssertionExpiry    = errors.New("exp must lie ahead, by five minutes at most")
	errAssertionIssued    = errors.New("iat and nbf must not lie ahead")
	errAssertionID        = errors.New("a jti is needed")
	errAssertionReplayed  = errors.New("the jti was used before")
	errAssertionKeyID     = errors.New("a kid is needed")
	errAssertionAlg       = errors.New("alg must be RS384, ES384, ES256 or PS256")
	errAssertionType      = errors.New("typ must be JWT")
	errAssertionKeyURL    = errors.New("jku must be the registered jwks_uri")
	errAssertionKey       = errors.New("no registered key has this kid and fits alg")
	errAssertionSignature = errors.New("the signature is wrong")
)

// invalidAssertion is the protocol error for a client assertion (RFC 7521 section 4.2.1).
func invalidAssertion(cause error) error {
	return fosite.ErrInvalidClient.WithHintf("The client assertion is refused: %s.", cause).WithWrap(cause)
}

// assertion is a client assertion whose claims are in order. Its signature is not known yet.
type assertion struct {
	*compactJWS
	id      [sha256.Size]byte // of jti: what is kept to refuse a second use
	expires time.Time
}

// checkAssertion checks all that needs no key: header and claims (RFC 7523 section 3 and SMART App
// Launch 2.2, asymmetric client authentication). audiences are the names that this server goes by;
// keyURL is the client's registered jwks_uri, or "".
func checkAssertion(token *compactJWS, clientID string, audiences []string, keyURL string, now time.Time) (*assertion, error) {
	switch {
	case !slices.Contains(assertionAlgs, token.alg):
		return nil, errAssertionAlg
	case token.typ != "" && !strings.EqualFold(token.typ, "JWT") && token.typ != "client-authentication+jwt":
		return nil, errAssertionType
	case token.kid == "":
		return nil, errAssertionKeyID
	case token.jku != "" && token.jku != keyURL:
		return nil, errAssertionKeyURL
	case token.text("iss") != clientID || token.text("sub") != clientID:
		return nil, errAssertionSubject
	case !slices.ContainsFunc(token.texts("aud"), func(aud string) bool { return slices.Contains(audiences, aud) }):
		return nil, errAssertionAudience
	case token.text("jti") == "":
		return nil, errAssertionID
	}
	exp, ok := token.seconds("exp")
	expires := time.Unix(exp, 0)
	if !ok || !expires.After(now) || expires.After(now.Add(maxAssertionLife+clockSkew)) {
		return nil, errAssertionExpiry
	}
	for _, name := range []string{"iat", "nbf"} {
		at, ok := token.seconds(name)
		if ok && time.Unix(at, 0).After(now.Add(clockSkew)) || !ok && token.claims.Get(name) != nil {
			return nil, errAssertionIssued
		}
	}
	return &assertion{compactJWS: token, id: sha256.Sum256([]byte(token.text("jti"))), expires: expires}, nil
}

// verifyWith checks the signature with a client's keys: those called kid whose kind fits alg.
func (a *assertion) verifyWith(keys []clientKey) error {
	found := false
	for _, key := range keys {
		if key.kid != a.kid || key.alg != "" && key.alg != a.alg || !fits(jwa.SignatureAlgorithm(a.alg), key.public) {
			continue
		}
		found = true
		if a.verify(jwa.SignatureAlgorithm(a.alg), key.public) == nil {
			return nil
		}
	}
	if found {
		return errAssertionSignature
	}
	return errAssertionKey
}

// clientKey is one public key of a client.
type clientKey struct {
	kid    string
	alg    string // the only algorithm it is for, or ""
	public crypto.PublicKey
}

// maxClientKeys bounds a JWK Set.
const maxClientKeys = 32

// ErrJWKS says that a text is not a JWK Set that a client can be known by.
var ErrJWKS = errors.New("not a JWK Set with at least one public signing key that has a kid and is an RSA key of 2048 to 8192 bits or an EC key on P-256 or P-384")

// parseClientKeys reads a JWK Set and keeps the keys that can verify an assertion. Keys of other
// kinds are left out (RFC 7517 section 5); a private or symmetric key fails the whole set, since
// whoever publishes one has no secret any more.
func parseClientKeys(text []byte) ([]clientKey, error) {
	var document struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &document); err != nil || len(document.Keys) > maxClientKeys {
		return nil, ErrJWKS
	}
	var keys []clientKey
	for _, raw := range document.Keys {
		key, err := jwk.ParseKey(raw)
		if err != nil {
			continue
		}
		if private, err := jwk.IsPrivateKey(key); private || err != nil || key.KeyType() == jwa.OctetSeq {
			return nil, ErrJWKS
		}
		if use := key.KeyUsage(); use != "" && use != string(jwk.ForSignature) || key.KeyID() == "" {
			continue
		}
		var public any
		if err := key.Raw(&public); err != nil || !usable(public) {
			continue
		}
		keys = append(keys, clientKey{kid: key.KeyID(), alg: key.Algorithm().String(), public: public})
	}
	if len(keys) == 0 {
		return nil, ErrJWKS
	}
	return keys, nil
}

// usable tells whether a key can verify assertions at all: of a known kind, and a point of its curve.
func usable(public crypto.PublicKey) bool {
	if key, ok := public.(*ecdsa.PublicKey); ok {
		if _, err := key.ECDH(); err != nil {
			return false
		}
	}
	return slices.ContainsFunc(assertionAlgs, func(alg string) bool { return fits(jwa.SignatureAlgorithm(alg), public) })
}
