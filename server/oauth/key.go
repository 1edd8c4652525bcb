package oauth

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
)

// KeyState is where a signing key stands in its life.
type KeyState string

// A key is published before it signs, signs, is published for as long as what it signed may live,
// and is gone. A revoked key is gone at once, and what it signed with it.
const (
	KeyNext    KeyState = "next"
	KeyActive  KeyState = "active"
	KeyRetired KeyState = "retired"
	KeyRevoked KeyState = "revoked"
)

// The algorithms of a tenant's two key lines: access tokens are short and verified on every
// request, id_tokens are RS256 because test kits and many relying parties know nothing else.
const (
	AccessTokenAlg = jwa.ES256
	IDTokenAlg     = jwa.RS256
)

// SigningKey is one private key of a tenant.
type SigningKey struct {
	KID     string // RFC 7638 thumbprint, SHA-256, base64url
	Alg     jwa.SignatureAlgorithm
	State   KeyState
	private crypto.Signer
}

// NewSigningKey makes a key of the line alg in state next. RS256 costs some 100 ms of CPU.
func NewSigningKey(alg jwa.SignatureAlgorithm) (*SigningKey, error) {
	var private crypto.Signer
	var err error
	switch alg {
	case AccessTokenAlg:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case IDTokenAlg:
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	default:
		return nil, fmt.Errorf("no key line signs %s", alg)
	}
	if err != nil {
		return nil, err
	}
	kid, err := thumbprint(private.Public())
	if err != nil {
		return nil, err
	}
	return &SigningKey{KID: kid, Alg: alg, State: KeyNext, private: private}, nil
}

// thumbprint is the RFC 7638 SHA-256 thumbprint of a public key in base64url.
func thumbprint(public crypto.PublicKey) (string, error) {
	key, err := jwk.FromRaw(public)
	if err != nil {
		return "", err
	}
	sum, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}

// jwk is the public half as it is published.
func (k *SigningKey) jwk() (jwk.Key, error) {
	key, err := jwk.FromRaw(k.private.Public())
	if err != nil {
		return nil, err
	}
	for name, value := range map[string]any{
		jwk.KeyIDKey: k.KID, jwk.AlgorithmKey: k.Alg, jwk.KeyUsageKey: jwk.ForSignature,
	} {
		if err := key.Set(name, value); err != nil {
			return nil, err
		}
	}
	return key, nil
}

// Vault seals private keys for storage with AES-256-GCM. The tenant and the kid are authenticated
// with the text, so that a row copied to another tenant or name cannot be opened.
type Vault struct{ aead cipher.AEAD }

// vaultVersion leads every sealed text, so that another algorithm can follow one day.
const vaultVersion = 1

// ErrSealed says that a stored private key cannot be opened: it was changed, it stands in the wrong
// row, or the master key is another one.
var ErrSealed = errors.New("a stored signing key cannot be opened with this master key")

// NewVault returns the vault of a 32-byte key.
func NewVault(key []byte) (*Vault, error) {
	if len(key) != 32 {
		return nil, errors.New("the key that seals signing keys must have 32 bytes")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &Vault{aead: aead}, nil
}

func vaultContext(tenant int32, kid string) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{vaultVersion}, uint32(tenant)), kid...)
}

// Seal returns the key's private half (PKCS #8) as it may be stored in the row of tenant and kid.
func (v *Vault) Seal(tenant int32, key *SigningKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key.private)
	if err != nil {
		return nil, err
	}
	return v.aead.Seal([]byte{vaultVersion}, nil, der, vaultContext(tenant, key.KID)), nil
}

// Open reads back what Seal wrote for the same tenant and kid; everything else is ErrSealed.
func (v *Vault) Open(tenant int32, kid, alg string, state KeyState, sealed []byte) (*SigningKey, error) {
	if len(sealed) == 0 || sealed[0] != vaultVersion {
		return nil, ErrSealed
	}
	der, err := v.aead.Open(nil, nil, sealed[1:], vaultContext(tenant, kid))
	if err != nil {
		return nil, ErrSealed
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, ErrSealed
	}
	private, ok := parsed.(crypto.Signer)
	if !ok || !fits(jwa.SignatureAlgorithm(alg), private.Public()) {
		return nil, ErrSealed
	}
	return &SigningKey{KID: kid, Alg: jwa.SignatureAlgorithm(alg), State: state, private: private}, nil
}

// fits tells whether a key is of the kind that alg needs, so that an algorithm can never be chosen
// by whoever wrote a header or a row.
func fits(alg jwa.SignatureAlgorithm, public crypto.PublicKey) bool {
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		return alg == jwa.ES256 && key.Curve == elliptic.P256() || alg == jwa.ES384 && key.Curve == elliptic.P384()
	case *rsa.PublicKey:
		return (alg == jwa.RS256 || alg == jwa.RS384 || alg == jwa.PS256) && key.N.BitLen() >= 2048 && key.N.BitLen() <= 8192
	default:
		return false
	}
}
