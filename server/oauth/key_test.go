package oauth

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"testing"
)

func newKey(t testing.TB, state KeyState) *SigningKey {
	t.Helper()
	key, err := NewSigningKey(AccessTokenAlg)
	if err != nil {
		t.Fatal(err)
	}
	key.State = state
	return key
}

func newRing(t testing.TB, keys ...*SigningKey) *Ring {
	t.Helper()
	ring, err := NewRing(keys)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func TestVaultKeepsKeysToTheirRow(t *testing.T) {
	t.Parallel()
	vault, err := NewVault(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	key, other := newKey(t, KeyActive), newKey(t, KeyActive)
	sealed, err := vault.Seal(1, key)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := vault.Open(1, key.KID, "ES256", KeyRetired, sealed)
	if err != nil || opened.KID != key.KID || opened.State != KeyRetired {
		t.Fatalf("got %+v, %v", opened, err)
	}
	stranger, _ := NewVault(bytes.Repeat([]byte{8}, 32))
	flipped := bytes.Clone(sealed)
	flipped[len(flipped)-1] ^= 1
	for name, open := range map[string]func() (*SigningKey, error){
		"another tenant":     func() (*SigningKey, error) { return vault.Open(2, key.KID, "ES256", KeyActive, sealed) },
		"another kid":        func() (*SigningKey, error) { return vault.Open(1, other.KID, "ES256", KeyActive, sealed) },
		"another master key": func() (*SigningKey, error) { return stranger.Open(1, key.KID, "ES256", KeyActive, sealed) },
		"another algorithm":  func() (*SigningKey, error) { return vault.Open(1, key.KID, "RS256", KeyActive, sealed) },
		"a flipped bit":      func() (*SigningKey, error) { return vault.Open(1, key.KID, "ES256", KeyActive, flipped) },
		"nothing":            func() (*SigningKey, error) { return vault.Open(1, key.KID, "ES256", KeyActive, nil) },
	} {
		if _, err := open(); !errors.Is(err, ErrSealed) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := NewVault([]byte("short")); err == nil {
		t.Error("a short key is accepted")
	}
}

func TestRingPublishesWhatMayBeBelieved(t *testing.T) {
	t.Parallel()
	next, active, retired, revoked := newKey(t, KeyNext), newKey(t, KeyActive), newKey(t, KeyRetired), newKey(t, KeyRevoked)
	identity, err := NewSigningKey(IDTokenAlg)
	if err != nil {
		t.Fatal(err)
	}
	identity.State = KeyActive
	ring := newRing(t, next, active, retired, revoked, identity)
	if got := ring.Signer(AccessTokenAlg); got != active {
		t.Errorf("signs with %+v", got)
	}
	for _, key := range []*SigningKey{next, active, retired} {
		if ring.Public(key.KID, AccessTokenAlg) == nil {
			t.Errorf("the %s key is not believed", key.State)
		}
	}
	if ring.Public(revoked.KID, AccessTokenAlg) != nil {
		t.Error("the revoked key is believed")
	}
	if ring.Public(identity.KID, AccessTokenAlg) != nil || ring.Public(active.KID, IDTokenAlg) != nil {
		t.Error("a key is believed for the other line's algorithm")
	}
	var set struct{ Keys []map[string]any }
	if err := json.Unmarshal(ring.JWKS(), &set); err != nil || len(set.Keys) != 4 {
		t.Fatalf("got %s, %v", ring.JWKS(), err)
	}
	for _, key := range set.Keys {
		if key["use"] != "sig" || key["kid"] == "" || key["alg"] == "" || key["d"] != nil || key["p"] != nil {
			t.Errorf("published %v", key)
		}
		if key["kid"] == revoked.KID {
			t.Error("the revoked key is published")
		}
	}
	if raw, err := base64.RawURLEncoding.DecodeString(active.KID); err != nil || len(raw) != 32 {
		t.Errorf("kid %q is no SHA-256 thumbprint", active.KID)
	}
}

func TestPepperMatches(t *testing.T) {
	t.Parallel()
	pepper := Pepper("pepper")
	secret := NewSecret()
	if len(secret) != 43 || secret == NewSecret() {
		t.Errorf("secret %q", secret)
	}
	hash := pepper.Hash(1, "a", secret)
	old := pepper.Hash(1, "a", "old")
	for _, test := range []struct {
		name, client, secret string
		tenant               int32
		hashes               [][]byte
		want                 bool
	}{
		{"the secret", "a", secret, 1, [][]byte{hash}, true},
		{"one of two", "a", secret, 1, [][]byte{old, hash}, true},
		{"another secret", "a", secret + "x", 1, [][]byte{hash}, false},
		{"another client", "b", secret, 1, [][]byte{hash}, false},
		{"another tenant", "a", secret, 2, [][]byte{hash}, false},
		{"no client", "a", secret, 1, nil, false},
	} {
		if got := pepper.Match(test.tenant, test.client, test.secret, test.hashes); got != test.want {
			t.Errorf("%s: got %v", test.name, got)
		}
	}
	if bytes.Equal(pepper.Hash(1, "ab", "c"), pepper.Hash(1, "a", "bc")) {
		t.Error("id and secret run together")
	}
}
