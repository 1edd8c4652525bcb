package oauth

import (
	"crypto"
	"encoding/json"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
)

// Ring is the signing keys of one tenant as they were at one moment. It is never changed, so that
// requests share it without a lock.
type Ring struct {
	keys   []*SigningKey
	public map[string]crypto.PublicKey // by kid; what may still be believed
	jwks   []byte
}

// NewRing gathers a tenant's keys. Revoked ones are left out: nothing that they signed holds.
func NewRing(keys []*SigningKey) (*Ring, error) {
	ring := &Ring{public: make(map[string]crypto.PublicKey, len(keys))}
	set := jwk.NewSet()
	for _, key := range keys {
		if key.State == KeyRevoked {
			continue
		}
		public, err := key.jwk()
		if err != nil {
			return nil, err
		}
		if err := set.AddKey(public); err != nil {
			return nil, err
		}
		ring.keys = append(ring.keys, key)
		ring.public[key.KID] = key.private.Public()
	}
	jwks, err := json.Marshal(set)
	if err != nil {
		return nil, err
	}
	ring.jwks = jwks
	return ring, nil
}

// Signer returns the active key of a line, or nil when the tenant has none yet.
func (r *Ring) Signer(alg jwa.SignatureAlgorithm) *SigningKey { return r.in(alg, KeyActive) }

func (r *Ring) in(alg jwa.SignatureAlgorithm, state KeyState) *SigningKey {
	for _, key := range r.keys {
		if key.Alg == alg && key.State == state {
			return key
		}
	}
	return nil
}

// Public returns the key called kid if a signature by alg may be believed with it, else nil. The
// next and retired keys count: the first may already sign elsewhere, the second has live tokens.
func (r *Ring) Public(kid string, alg jwa.SignatureAlgorithm) crypto.PublicKey {
	if key, ok := r.public[kid]; ok && fits(alg, key) {
		return key
	}
	return nil
}

// JWKS returns the JWK Set (RFC 7517 section 5) of the keys in use, as JSON.
func (r *Ring) JWKS() []byte { return r.jwks }

// key returns the key called kid, or nil.
func (r *Ring) key(kid string) *SigningKey {
	for _, key := range r.keys {
		if key.KID == kid {
			return key
		}
	}
	return nil
}
