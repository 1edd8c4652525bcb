package oauth_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"

	"bulkhead/server/fhir"
)

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

func keyPair(t testing.TB, alg jwa.SignatureAlgorithm) (private crypto.Signer, jwks string) {
	t.Helper()
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
	key, err := jwk.FromRaw(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	_ = key.Set(jwk.KeyIDKey, "k1")
	set := jwk.NewSet()
	_ = set.AddKey(key)
	text, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return private, string(text)
}

func keyClient(member, value string) string {
	return strings.TrimSuffix(plainClient, "}") + `,"` + member + `":` + string(fhir.AppendString(nil, value)) + "}"
}

// assertion signs a client assertion; change may spoil its claims.
func (c theClient) assertion(t testing.TB, key crypto.Signer, alg jwa.SignatureAlgorithm, change func(map[string]any)) string {
	t.Helper()
	claims := map[string]any{
		"iss": c.id, "sub": c.id, "aud": c.endpoint, "jti": uuid.NewString(), "exp": time.Now().Add(5 * time.Minute).Unix(),
	}
	if change != nil {
		change(claims)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	headers := jws.NewHeaders()
	_ = headers.Set(jws.KeyIDKey, "k1")
	token, err := jws.Sign(payload, jws.WithKey(alg, key, jws.WithProtectedHeaders(headers)))
	if err != nil {
		t.Fatal(err)
	}
	return string(token)
}

func (c theClient) assert(t testing.TB, assertion string, pairs ...string) answer {
	t.Helper()
	return post(t, c.endpoint, nil, append([]string{
		"grant_type", "client_credentials", "scope", "system/*.rs", "client_assertion_type", assertionType, "client_assertion", assertion,
	}, pairs...)...)
}

func TestTokenByPrivateKeyJWT(t *testing.T) {
	t.Parallel()
	st := openStage(t)
	tenant := st.NewTenant(t)
	for _, alg := range []jwa.SignatureAlgorithm{jwa.RS384, jwa.ES384, jwa.ES256, jwa.PS256} {
		t.Run(alg.String(), func(t *testing.T) {
			t.Parallel()
			key, jwks := keyPair(t, alg)
			c := st.register(t, tenant, tenant.Caller, "key-"+alg.String(), keyClient("jwks", jwks))
			if c.secret != "" {
				t.Error("a client with keys was given a secret")
			}
			once := c.assertion(t, key, alg, nil)
			got := c.assert(t, once)
			if got.status != http.StatusOK || get(t, c.base+"/Patient", got.str("access_token")).status != http.StatusOK {
				t.Fatalf("got %d %s", got.status, got.text)
			}
			if again := c.assert(t, once); again.status != http.StatusUnauthorized || again.str("error") != "invalid_client" {
				t.Errorf("the same assertion again: %d %s", again.status, again.text)
			}
			if got := c.assert(t, c.assertion(t, key, alg, func(m map[string]any) { m["aud"] = []string{c.issuer} }), "client_id", c.id); got.status != http.StatusOK {
				t.Errorf("for the issuer: %d %s", got.status, got.text)
			}
		})
	}
}

func TestPrivateKeyJWTRefused(t *testing.T) {
	t.Parallel()
	st := openStage(t)
	tenant := st.NewTenant(t)
	key, jwks := keyPair(t, jwa.ES384)
	stranger, _ := keyPair(t, jwa.ES384)
	c := st.register(t, tenant, tenant.Caller, "c1", keyClient("jwks", jwks))
	plain := st.register(t, tenant, tenant.Caller, "c2", plainClient)
	twin := st.NewTenant(t)
	other := st.register(t, twin, twin.Caller, "c1", keyClient("jwks", jwks))
	good := func() string { return c.assertion(t, key, jwa.ES384, nil) }
	spoilt := func(name string, value any) string {
		return c.assertion(t, key, jwa.ES384, func(m map[string]any) { m[name] = value })
	}
	for name, got := range map[string]answer{
		"a stranger's key":           c.assert(t, c.assertion(t, stranger, jwa.ES384, nil)),
		"a client that has a secret": plain.assert(t, plain.assertion(t, key, jwa.ES384, nil)),
		"an unknown client":          c.assert(t, spoilt("sub", "nobody")),
		"another issuer's endpoint":  other.assert(t, good()),
		"six minutes":                c.assert(t, spoilt("exp", time.Now().Add(6*time.Minute).Unix())),
		"no jti":                     c.assert(t, spoilt("jti", "")),
		"another client_id":          c.assert(t, good(), "client_id", "c2"),
		"a secret beside it":         c.assert(t, good(), "client_secret", "x"),
		"a wrong assertion type": post(t, c.endpoint, nil, "grant_type", "client_credentials",
			"client_assertion_type", "not_an_assertion_type", "client_assertion", good()),
		"no assertion type": post(t, c.endpoint, nil, "grant_type", "client_credentials", "client_assertion", good()),
		"no assertion":      post(t, c.endpoint, nil, "grant_type", "client_credentials", "client_assertion_type", assertionType),
		"noise":             c.assert(t, "not.a.jwt"),
	} {
		if got.status != http.StatusUnauthorized && got.status != http.StatusBadRequest || got.body["access_token"] != nil {
			t.Errorf("%s: %d %s", name, got.status, got.text)
		}
	}
	secret := theClient{id: c.id, secret: "x"}
	if got := post(t, c.endpoint, &secret, "grant_type", "client_credentials"); got.status != http.StatusUnauthorized {
		t.Errorf("a secret for a client with keys: %d", got.status)
	}
	// The twin has the same client id and key, and remembers assertions of its own.
	same := uuid.NewString()
	for _, client := range []theClient{c, other} {
		if got := client.assert(t, client.assertion(t, key, jwa.ES384, func(m map[string]any) { m["jti"] = same })); got.status != http.StatusOK {
			t.Errorf("the jti of another tenant's client: %d %s", got.status, got.text)
		}
	}
}

func TestAssertionIsGoodOnceAmongMany(t *testing.T) {
	t.Parallel()
	st := openStage(t)
	tenant := st.NewTenant(t)
	key, jwks := keyPair(t, jwa.ES256)
	c := st.register(t, tenant, tenant.Caller, "c1", keyClient("jwks", jwks))
	once := c.assertion(t, key, jwa.ES256, nil)
	var granted atomic.Int32
	done := make(chan struct{})
	for range 8 {
		go func() {
			if c.assert(t, once).status == http.StatusOK {
				granted.Add(1)
			}
			done <- struct{}{}
		}()
	}
	for range 8 {
		<-done
	}
	if granted.Load() != 1 {
		t.Errorf("granted %d times", granted.Load())
	}
}

func TestTokenByJWKSURI(t *testing.T) {
	t.Parallel()
	st := openStage(t)
	tenant := st.NewTenant(t)
	key, jwks := keyPair(t, jwa.ES256)
	published := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(jwks)) }))
	defer published.Close()
	c := st.register(t, tenant, tenant.Caller, "c1", keyClient("jwksUri", published.URL+"/jwks"))
	if got := c.assert(t, c.assertion(t, key, jwa.ES256, nil)); got.status != http.StatusOK {
		t.Errorf("got %d %s", got.status, got.text)
	}
	gone := st.register(t, tenant, tenant.Caller, "c2", keyClient("jwksUri", "http://127.0.0.1:1/jwks"))
	if got := gone.assert(t, gone.assertion(t, key, jwa.ES256, nil)); got.status != http.StatusUnauthorized || strings.Contains(got.text, "127.0.0.1") {
		t.Errorf("keys that cannot be read: %d %s", got.status, got.text)
	}
}
