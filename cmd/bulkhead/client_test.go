package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bulkhead/server/oauth"
)

const (
	clientScope = "system/Patient.rs"
	clientJWKS  = `{ "keys": [ {"kty":"EC","kid":"k1","crv":"P-256",
		"x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"} ] }` // RFC 7515 A.3
)

// printed reads the JSON object that a command printed.
func printed(t *testing.T, r result, into any) {
	t.Helper()
	if r.code != exitDone {
		t.Fatalf("code %d: %s%s", r.code, r.stdout, r.stderr)
	}
	if err := json.Unmarshal([]byte(r.stdout), into); err != nil {
		t.Fatalf("%v: %s", err, r.stdout)
	}
}

// tokenStatus asks the token endpoint of a server on the stage.
func (s stage) tokenStatus(t *testing.T, tenant, id, secret string) int {
	t.Helper()
	f := tenantFlags{database: databaseFlags{data: s.dir}, tenant: tenant}
	d, err := f.database.find(t.Context(), program{getenv: func(string) string { return "" }, stderr: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	api, opened, err := newServer(t.Context(), program{getenv: func(string) string { return "" }, stderr: io.Discard}, d, nil, serveOptions{baseURL: "http://127.0.0.1:8080"})
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret}}
	request := httptest.NewRequest(http.MethodPost, "/w/"+tenant+"/token", strings.NewReader(form.Encode()))
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	recorder := httptest.NewRecorder()
	api.ServeHTTP(recorder, request)
	return recorder.Code
}

func TestAClientsLife(t *testing.T) {
	t.Parallel()
	s := openStage(t)
	on := []string{"--data", s.dir, "--tenant", "acme"}
	client := func(args ...string) result {
		return call(t, nil, append(append([]string{"client"}, args...), on...)...)
	}

	var made createdClient
	printed(t, client("create", "--project", "main", "--name", "Lab", "--scope", clientScope, "--json"), &made)
	want := createdClient{
		ClientID: made.ClientID, ClientSecret: made.ClientSecret, AuthMethod: "client_secret_basic", Scope: clientScope, Tenant: "acme", Project: "main",
		Issuer: "http://127.0.0.1:8080/w/acme", TokenEndpoint: "http://127.0.0.1:8080/w/acme/token", FHIRBase: "http://127.0.0.1:8080/w/acme/main/api/v1/fhir/r4",
	}
	if made != want || made.ClientID == "" || len(made.ClientSecret) != 43 {
		t.Fatalf("got %+v", made)
	}
	if status := s.tokenStatus(t, "acme", made.ClientID, made.ClientSecret); status != http.StatusOK {
		t.Fatalf("the secret: %d", status)
	}
	var list struct{ Clients []oauth.ClientInfo }
	printed(t, client("list", "--json"), &list)
	found := false
	for _, c := range list.Clients {
		found = found || c.ID == made.ClientID && c.Project == "main" && c.State == "active" && c.Name == "Lab"
	}
	if r := client("list"); !found || !strings.Contains(r.stdout, made.ClientID) || strings.Contains(r.stdout, made.ClientSecret) {
		t.Errorf("the list: %s", r.stdout)
	}

	var rotated struct {
		ClientSecret string `json:"client_secret"`
	}
	printed(t, client("rotate-secret", made.ClientID, "--overlap", "1h", "--json"), &rotated)
	for name, secret := range map[string]string{"old": made.ClientSecret, "new": rotated.ClientSecret} {
		if status := s.tokenStatus(t, "acme", made.ClientID, secret); status != http.StatusOK {
			t.Errorf("the %s secret during the overlap: %d", name, status)
		}
	}
	before := rotated.ClientSecret
	printed(t, client("rotate-secret", made.ClientID, "--json"), &rotated)
	for secret, want := range map[string]int{made.ClientSecret: 401, before: 401, rotated.ClientSecret: 200} {
		if status := s.tokenStatus(t, "acme", made.ClientID, secret); status != want {
			t.Errorf("a secret after a rotation without overlap: %d, want %d", status, want)
		}
	}
	if r := client("disable", made.ClientID); r.code != exitDone || s.tokenStatus(t, "acme", made.ClientID, rotated.ClientSecret) != 401 {
		t.Errorf("disable: %d %s", r.code, r.stderr)
	}
	if r := client("delete", made.ClientID, "--json"); r.code != exitDone || !strings.Contains(r.stdout, `"deleted"`) {
		t.Errorf("delete: %d %s", r.code, r.stderr)
	}
	for _, args := range [][]string{{"delete", made.ClientID}, {"disable", made.ClientID}, {"rotate-secret", made.ClientID}} {
		if r := client(args...); r.code != exitFailed || !strings.Contains(r.stderr, "no client") {
			t.Errorf("%v of a client that is gone: %d %s", args, r.code, r.stderr)
		}
	}
}

func TestClientCreate(t *testing.T) {
	t.Parallel()
	s := openStage(t)
	file := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(file, []byte(clientJWKS), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"with keys":            {[]string{"--name", "n", "--jwks", file}, exitDone, "private_key_jwt"},
		"with the URL of keys": {[]string{"--name", "n", "--jwks-uri", "https://client.example/jwks"}, exitDone, "private_key_jwt"},
		"of the whole tenant":  {[]string{"--name", "n", "--base-url", "https://fhir.example"}, exitDone, "https://fhir.example/w/globex/system/api/v1/fhir/r4"},
		"without a name":       {nil, exitUsage, "--name"},
		"an unknown scope":     {[]string{"--name", "n", "--scope", "everything"}, exitUsage, "--scope"},
		"an unknown project":   {[]string{"--name", "n", "--project", "nowhere"}, exitFailed, "no such project"},
		"keys inside":          {[]string{"--name", "n", "--jwks-uri", "https://10.0.0.1/jwks"}, exitFailed, "not a public one"},
		"two kinds of keys":    {[]string{"--name", "n", "--jwks", file, "--jwks-uri", "https://x.example"}, exitUsage, "none of the others can be"},
		"no such file":         {[]string{"--name", "n", "--jwks", "/nowhere.json"}, exitFailed, "no such file"},
		"an endless token":     {[]string{"--name", "n", "--token-life", "24h"}, exitFailed, "1 to 3600 seconds"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := call(t, nil, append([]string{"client", "create", "--data", s.dir, "--tenant", "globex"}, c.args...)...)
			if r.code != c.code || !strings.Contains(r.stdout+r.stderr, c.says) {
				t.Errorf("code %d, want %d with %q:\n%s%s", r.code, c.code, c.says, r.stdout, r.stderr)
			}
		})
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	s := openStage(t)
	type keyList struct {
		Tenant string
		Keys   []oauth.KeyInfo
	}
	keys := func(args ...string) keyList {
		var list keyList
		printed(t, call(t, nil, append(append([]string{"keys"}, args...), "--data", s.dir, "--tenant", "acme", "--json")...), &list)
		return list
	}
	count := func(list keyList, state oauth.KeyState) (n int) {
		for _, key := range list.Keys {
			if key.State == state {
				n++
			}
		}
		return n
	}
	first := keys("rotate")
	if count(first, oauth.KeyActive) != 2 || count(first, oauth.KeyNext) != 2 || first.Tenant != "acme" {
		t.Fatalf("got %+v", first)
	}
	second := keys("rotate")
	if count(second, oauth.KeyActive) != 2 || count(second, oauth.KeyRetired) < 2 {
		t.Errorf("got %+v", second)
	}
	var active string
	for _, key := range second.Keys {
		if key.Alg == "ES256" && key.State == oauth.KeyActive {
			active = key.KID
		}
	}
	if third := keys("revoke", active); count(third, oauth.KeyRevoked) != 1 || count(third, oauth.KeyActive) != 2 {
		t.Errorf("got %+v", third)
	}
	if r := call(t, nil, "keys", "revoke", active, "--data", s.dir, "--tenant", "acme"); r.code != exitFailed || !strings.Contains(r.stderr, "no such key") {
		t.Errorf("a second time: %d %s", r.code, r.stderr)
	}
	if r := call(t, nil, "keys", "list", "--data", s.dir, "--tenant", "nowhere"); r.code != exitFailed || !strings.Contains(r.stderr, "tenant nowhere") {
		t.Errorf("an unknown tenant: %d %s", r.code, r.stderr)
	}
}
