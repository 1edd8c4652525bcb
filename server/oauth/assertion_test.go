package oauth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// clientKeyPair makes a client's key and its JWK Set with one member.
func clientKeyPair(t testing.TB, kid string, alg jwa.SignatureAlgorithm) (crypto.Signer, []byte) {
	t.Helper()
	var private crypto.Signer
	var err error
	switch alg {
	case jwa.ES256:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case jwa.ES384:
		private, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	default:
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	return private, jwksOf(t, kid, private.Public())
}

func jwksOf(t testing.TB, kid string, key any) []byte {
	t.Helper()
	converted, err := jwk.FromRaw(key)
	if err != nil {
		t.Fatal(err)
	}
	_ = converted.Set(jwk.KeyIDKey, kid)
	set := jwk.NewSet()
	_ = set.AddKey(converted)
	text, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func signAssertion(t testing.TB, key any, alg jwa.SignatureAlgorithm, header, claims map[string]any) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	headers := jws.NewHeaders()
	for name, value := range header {
		if err := headers.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	token, err := jws.Sign(payload, jws.WithKey(alg, key, jws.WithProtectedHeaders(headers)))
	if err != nil {
		t.Fatal(err)
	}
	return string(token)
}

func assertionClaims() map[string]any {
	return map[string]any{
		"iss": "c1", "sub": "c1", "aud": testIssuer + "/token", "jti": "a1",
		"iat": testNow.Unix(), "exp": testNow.Add(5 * time.Minute).Unix(),
	}
}

var testAudiences = []string{testIssuer, testIssuer + "/token"}

func TestAssertionByEveryKind(t *testing.T) {
	t.Parallel()
	for _, alg := range []jwa.SignatureAlgorithm{jwa.RS384, jwa.ES384, jwa.ES256, jwa.PS256} {
		private, set := clientKeyPair(t, "k1", alg)
		keys, err := parseClientKeys(set)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := parseJWS(signAssertion(t, private, alg, map[string]any{"kid": "k1", "typ": "JWT"}, assertionClaims()))
		if err != nil {
			t.Fatal(err)
		}
		checked, err := checkAssertion(parsed, "c1", testAudiences, "", testNow)
		if err != nil {
			t.Fatal(err)
		}
		if err := checked.verifyWith(keys); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
	}
}

func TestAssertionRefused(t *testing.T) {
	t.Parallel()
	private, set := clientKeyPair(t, "k1", jwa.ES384)
	stranger, _ := clientKeyPair(t, "k1", jwa.ES384)
	small, _ := clientKeyPair(t, "k1", jwa.ES256)
	keys, err := parseClientKeys(set)
	if err != nil {
		t.Fatal(err)
	}
	const keyURL = "https://client.example/jwks"
	with := func(name string, value any) map[string]any {
		claims := assertionClaims()
		if claims[name] = value; value == nil {
			delete(claims, name)
		}
		return claims
	}
	header := map[string]any{"kid": "k1"}
	at := func(d time.Duration) int64 { return testNow.Add(d).Unix() }
	tests := []struct {
		name   string
		key    any
		alg    jwa.SignatureAlgorithm
		header map[string]any
		claims map[string]any
		want   error
	}{
		{"HS256 with the public JWKS", set, jwa.HS256, header, assertionClaims(), errAssertionAlg},
		{"ES256 by another key", small, jwa.ES256, header, assertionClaims(), errAssertionKey},
		{"another key of the same kid", stranger, jwa.ES384, header, assertionClaims(), errAssertionSignature},
		{"another kid", private, jwa.ES384, map[string]any{"kid": "k2"}, assertionClaims(), errAssertionKey},
		{"no kid", private, jwa.ES384, nil, assertionClaims(), errAssertionKeyID},
		{"an access token", private, jwa.ES384, map[string]any{"kid": "k1", "typ": "at+jwt"}, assertionClaims(), errAssertionType},
		{"another jku", private, jwa.ES384, map[string]any{"kid": "k1", "jku": keyURL + "2"}, assertionClaims(), errAssertionKeyURL},
		{"another issuer", private, jwa.ES384, header, with("iss", "c2"), errAssertionSubject},
		{"another subject", private, jwa.ES384, header, with("sub", "c2"), errAssertionSubject},
		{"another audience", private, jwa.ES384, header, with("aud", "https://fhir.example/w/south/token"), errAssertionAudience},
		{"an audience with a path more", private, jwa.ES384, header, with("aud", testIssuer+"/token/x"), errAssertionAudience},
		{"no audience", private, jwa.ES384, header, with("aud", nil), errAssertionAudience},
		{"an audience that is no string", private, jwa.ES384, header, with("aud", []any{testIssuer, 1}), errAssertionAudience},
		{"no jti", private, jwa.ES384, header, with("jti", nil), errAssertionID},
		{"a jti that is no string", private, jwa.ES384, header, with("jti", 7), errAssertionID},
		{"expired", private, jwa.ES384, header, with("exp", at(0)), errAssertionExpiry},
		{"exp six minutes ahead", private, jwa.ES384, header, with("exp", at(6*time.Minute)), errAssertionExpiry},
		{"exp in milliseconds", private, jwa.ES384, header, with("exp", at(0)*1000), errAssertionExpiry},
		{"exp as text", private, jwa.ES384, header, with("exp", "1800000100"), errAssertionExpiry},
		{"no exp", private, jwa.ES384, header, with("exp", nil), errAssertionExpiry},
		{"iat ahead", private, jwa.ES384, header, with("iat", at(time.Minute)), errAssertionIssued},
		{"nbf ahead", private, jwa.ES384, header, with("nbf", at(time.Minute)), errAssertionIssued},
		{"iat as text", private, jwa.ES384, header, with("iat", "now"), errAssertionIssued},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			parsed, err := parseJWS(signAssertion(t, test.key, test.alg, test.header, test.claims))
			if err != nil {
				t.Fatal(err)
			}
			checked, err := checkAssertion(parsed, "c1", testAudiences, keyURL, testNow)
			if err == nil {
				err = checked.verifyWith(keys)
			}
			if !errors.Is(err, test.want) {
				t.Fatalf("got %v, want %v", err, test.want)
			}
		})
	}
	t.Run("alg none", func(t *testing.T) {
		t.Parallel()
		if _, err := parseJWS("eyJhbGciOiJub25lIn0.e30."); !errors.Is(err, errJWS) {
			t.Errorf("got %v", err)
		}
	})
}

func TestParseClientKeysRefuses(t *testing.T) {
	t.Parallel()
	private, _ := clientKeyPair(t, "k1", jwa.ES256)
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		"a private key":   jwksOf(t, "k1", private),
		"a symmetric key": jwksOf(t, "k1", []byte("0123456789abcdef0123456789abcdef")),
		"no kid":          jwksOf(t, "", private.Public()),
		"a weak RSA key":  jwksOf(t, "k1", weak.Public()),
		"no keys":         []byte(`{"keys":[]}`),
		"too many keys":   []byte(`{"keys":[` + strings.Repeat("{},", maxClientKeys) + `{}]}`),
		"not JSON":        []byte(`<html>`),
		"off the curve":   []byte(`{"keys":[{"kty":"EC","kid":"k1","crv":"P-256","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE","y":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE"}]}`),
		"for encryption":  []byte(strings.Replace(string(jwksOf(t, "k1", private.Public())), `"kty"`, `"use":"enc","kty"`, 1)),
	} {
		if keys, err := parseClientKeys(text); !errors.Is(err, ErrJWKS) {
			t.Errorf("%s: got %d keys, %v", name, len(keys), err)
		}
	}
}

// FuzzAssertion feeds the parser what a stranger may send: it must neither panic nor accept a text
// whose signature was never checked.
func FuzzAssertion(f *testing.F) {
	private, set := clientKeyPair(f, "k1", jwa.ES256)
	keys, err := parseClientKeys(set)
	if err != nil {
		f.Fatal(err)
	}
	good := signAssertion(f, private, jwa.ES256, map[string]any{"kid": "k1"}, assertionClaims())
	f.Add(good)
	f.Add(strings.Replace(good, ".", "..", 1))
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := parseJWS(text)
		if err != nil {
			return
		}
		checked, err := checkAssertion(parsed, "c1", testAudiences, "", testNow)
		if err == nil && checked.verifyWith(keys) == nil && text != good {
			t.Fatalf("accepted %q", text)
		}
	})
}
