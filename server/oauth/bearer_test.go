package oauth

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"

	"bulkhead/server/access"
	"bulkhead/server/fhir"
)

const testIssuer = "https://fhir.example/w/north"

var (
	testTarget = Target{TenantID: 1, Tenant: "north", Project: "care", ProjectID: 2, FHIRBase: "https://fhir.example/w/north/care/api/v1/fhir/r4"}
	testNow    = time.Unix(1_800_000_000, 0)
)

func testClaims() Claims {
	return Claims{
		Issuer: testIssuer, Subject: "c1", Audience: []string{testTarget.FHIRBase, "c1"}, ClientID: "c1",
		ID: "j1", Session: "j1", Issued: testNow.Unix() - 1, Expires: testNow.Unix() + 300, Scope: "system/*.rs",
		Tenant: "north", Project: "care", ProjectID: 2, UserRole: "member", UserID: "c1", ResourceType: "ClientApplication",
		AccessPolicies: []string{},
	}
}

// verifyToken is what Server.verify does, without the cache and with the keys at hand.
func verifyToken(ring *Ring, token string) (*Bearer, error) {
	parsed, err := parseJWS(token)
	if err != nil {
		return nil, unauthorized(err)
	}
	bearer, err := verifyParsed(ring, testIssuer, DefaultNamespace, parsed, testNow)
	if err != nil {
		return nil, err
	}
	return bearer, bearer.aimedAt(testTarget)
}

func sign(t testing.TB, key *SigningKey, typ string, payload []byte) string {
	t.Helper()
	token, err := signJWS(key, typ, payload)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestAccessTokenRoundTrip(t *testing.T) {
	t.Parallel()
	key := newKey(t, KeyActive)
	claims := testClaims()
	token := sign(t, key, accessTokenType, claims.JSON(DefaultNamespace))
	bearer, err := verifyToken(newRing(t, key), token)
	if err != nil {
		t.Fatal(err)
	}
	if bearer.KID != key.KID || bearer.ID != "j1" || !bearer.Scopes.Allows("Patient", access.Read) {
		t.Errorf("got %+v", bearer)
	}
	var named map[string]any
	if err := json.Unmarshal(claims.JSON(DefaultNamespace), &named); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"iss", "sub", "aud", "client_id", "exp", "iat", "jti", "scope", "sid",
		"https://haste.health/tenant", "https://haste.health/project", "https://haste.health/user_role",
		"https://haste.health/user_id", "https://haste.health/resource_type", "https://haste.health/access_policies",
		"https://haste.health/membership",
	} {
		if _, ok := named[name]; !ok {
			t.Errorf("the claim %s is missing", name)
		}
	}
}

// TestAccessTokenRefused holds the attacks on a bearer token, each made as good as its maker can.
func TestAccessTokenRefused(t *testing.T) {
	t.Parallel()
	key, foreign, revoked := newKey(t, KeyActive), newKey(t, KeyActive), newKey(t, KeyRevoked)
	identity, err := NewSigningKey(IDTokenAlg)
	if err != nil {
		t.Fatal(err)
	}
	ring := newRing(t, key, identity, revoked)
	mint := func(change func(*Claims)) string {
		claims := testClaims()
		change(&claims)
		return sign(t, key, accessTokenType, claims.JSON(DefaultNamespace))
	}
	same := func(*Claims) {}
	good := mint(same)
	claims := testClaims()
	payload := claims.JSON(DefaultNamespace)
	part := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	parts := strings.Split(good, ".")

	publicDER, err := x509.MarshalPKIXPublicKey(key.private.Public().(*ecdsa.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	headers := jws.NewHeaders()
	_ = headers.Set("typ", accessTokenType)
	_ = headers.Set("kid", key.KID)
	hmacToken, err := jws.Sign(payload, jws.WithKey(jwa.HS256, publicDER, jws.WithProtectedHeaders(headers)))
	if err != nil {
		t.Fatal(err)
	}

	tests := []struct {
		name   string
		token  string
		status int
	}{
		{"alg none", part(`{"alg":"none","typ":"at+jwt","kid":"`+key.KID+`"}`) + "." + parts[1] + ".", 401},
		{"alg none with the old signature", part(`{"alg":"none","typ":"at+jwt","kid":"`+key.KID+`"}`) + "." + parts[1] + "." + parts[2], 401},
		{"HS256 with the public key", string(hmacToken), 401},
		{"a foreign key", sign(t, foreign, accessTokenType, payload), 401},
		{"a foreign key under our kid", sign(t, &SigningKey{KID: key.KID, Alg: AccessTokenAlg, private: foreign.private}, accessTokenType, payload), 401},
		{"a revoked key", sign(t, revoked, accessTokenType, payload), 401},
		{"the id_token key", sign(t, identity, accessTokenType, payload), 401},
		{"an id_token used as access token", sign(t, identity, "JWT", payload), 401},
		{"typ JWT", sign(t, key, "JWT", payload), 401},
		{"no kid", sign(t, &SigningKey{Alg: AccessTokenAlg, private: key.private}, accessTokenType, payload), 401},
		{"a foreign issuer", mint(func(c *Claims) { c.Issuer = "https://fhir.example/w/south" }), 401},
		{"a foreign tenant", mint(func(c *Claims) { c.Tenant = "south" }), 401},
		{"a foreign project", mint(func(c *Claims) { c.Project = "lab" }), 403},
		{"a deleted project of the same name", mint(func(c *Claims) { c.ProjectID = 1 }), 403},
		{"a foreign audience", mint(func(c *Claims) { c.Audience = []string{"https://fhir.example/w/north/lab/api/v1/fhir/r4"} }), 403},
		{"an audience that is a prefix", mint(func(c *Claims) { c.Audience = []string{"https://fhir.example/w/north/care"} }), 403},
		{"no audience", mint(func(c *Claims) { c.Audience = nil }), 403},
		{"expired", mint(func(c *Claims) { c.Expires = testNow.Unix() }), 401},
		{"issued in the future", mint(func(c *Claims) { c.Issued = testNow.Unix() + 60 }), 401},
		{"no expiry", mint(func(c *Claims) { c.Expires = 0 }), 401},
		{"no subject", mint(func(c *Claims) { c.Subject = "" }), 401},
		{"no jti", mint(func(c *Claims) { c.ID = "" }), 401},
		{"not yet valid", sign(t, key, accessTokenType, append(payload[:len(payload)-1:len(payload)-1], `,"nbf":1900000000}`...)), 401},
		{"a claim twice", sign(t, key, accessTokenType, append(payload[:len(payload)-1:len(payload)-1], `,"exp":1900000000}`...)), 401},
		{"another payload", parts[0] + "." + part(strings.Replace(string(payload), "system/*.rs", "system/*.cruds", 1)) + "." + parts[2], 401},
		{"padding", good + "=", 401},
		{"a critical extension", part(`{"alg":"ES256","typ":"at+jwt","crit":["x"],"kid":"`+key.KID+`"}`) + "." + parts[1] + "." + parts[2], 401},
		{"JSON serialization", `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`, 401},
		{"oversize", mint(func(c *Claims) { c.Scope = strings.Repeat("x", MaxTokenLength) }), 401},
		{"four parts", good + ".x", 401},
		{"nothing", "", 401},
		{"noise", "a.b.c", 401},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			bearer, err := verifyToken(ring, test.token)
			var refusal *BearerError
			var told *fhir.Error
			if !errors.As(err, &refusal) || !errors.As(err, &told) || told.Status != test.status {
				t.Fatalf("got %+v, %v; want status %d", bearer, err, test.status)
			}
			if challenge := refusal.Challenge("https://x"); !strings.HasPrefix(challenge, "Bearer ") || strings.Contains(challenge, "\n") {
				t.Errorf("challenge %q", challenge)
			}
		})
	}
	if _, err := verifyToken(ring, good); err != nil {
		t.Errorf("the untouched token: %v", err)
	}
}

func TestBearerToken(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{"Bearer abc": "abc", "bearer  abc": "abc", "Basic abc": "", "": "", "Bearer": "", "Bearer ": ""} {
		got, err := BearerToken(header)
		var told *fhir.Error
		if got != want || want == "" && (!errors.As(err, &told) || told.Status != http.StatusUnauthorized) {
			t.Errorf("%q: got %q, %v", header, got, err)
		}
	}
}

func BenchmarkAccessToken(b *testing.B) {
	key := newKey(b, KeyActive)
	ring := newRing(b, key)
	claims := testClaims()
	token := sign(b, key, accessTokenType, claims.JSON(DefaultNamespace))
	b.Run("issue", func(b *testing.B) {
		for b.Loop() {
			sign(b, key, accessTokenType, claims.JSON(DefaultNamespace))
		}
	})
	b.Run("verify", func(b *testing.B) {
		for b.Loop() {
			if _, err := verifyToken(ring, token); err != nil {
				b.Fatal(err)
			}
		}
	})
}
