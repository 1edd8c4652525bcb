package oauth_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jwt"

	"bulkhead/db"
	"bulkhead/server/oauth"
)

func TestRevocationBitesOnTheNextRequest(t *testing.T) {
	t.Parallel()
	st := openStage(t)
	c := st.newClient(t)
	stranger := st.register(t, c.tenant, c.tenant.Caller, "c2", plainClient)
	token, other := c.token(t), c.token(t)
	read := func(token string) int { return get(t, c.base+"/Patient", token).status }
	if read(token) != http.StatusOK {
		t.Fatal("the token does not open")
	}
	if got := post(t, c.issuer+"/revoke", &stranger, "token", token); got.status != http.StatusBadRequest || got.str("error") != "unauthorized_client" {
		t.Errorf("another client's token: %d %s", got.status, got.text)
	}
	if got := post(t, c.issuer+"/revoke", nil, "token", token); got.status != http.StatusUnauthorized {
		t.Errorf("without authentication: %d", got.status)
	}
	if read(token) != http.StatusOK {
		t.Error("a stranger ended the token")
	}
	for range 2 {
		if got := post(t, c.issuer+"/revoke", &c, "token", token, "token_type_hint", "access_token"); got.status != http.StatusOK {
			t.Errorf("got %d %s", got.status, got.text)
		}
	}
	got := get(t, c.base+"/Patient", token)
	if got.status != http.StatusUnauthorized || !strings.Contains(got.header.Get("WWW-Authenticate"), `error="invalid_token"`) {
		t.Errorf("the revoked token: %d %v", got.status, got.header)
	}
	if read(other) != http.StatusOK {
		t.Error("another token of the client ended with it")
	}
	for _, noise := range []string{"noise", "a.b.c", strings.Repeat("x", 20_000)} {
		if got := post(t, c.issuer+"/revoke", &c, "token", noise); got.status != http.StatusOK {
			t.Errorf("noise: %d", got.status)
		}
	}
	if got := post(t, c.issuer+"/revoke", &c); got.status != http.StatusBadRequest {
		t.Errorf("no token: %d", got.status)
	}
}

func TestTokensEndWithTheirClientAndProject(t *testing.T) {
	t.Parallel()
	st := openStage(t)
	ctx := t.Context()
	end := map[string]func(c theClient) error{
		"client disabled": func(c theClient) error {
			return st.Update(ctx, db.Identity, c.tenant.System, func(tx *db.Tx) error {
				return st.server.DisableClient(ctx, tx, c.tenant.Caller, c.id)
			})
		},
		"client deleted": func(c theClient) error {
			return st.Update(ctx, db.Identity, c.tenant.System, func(tx *db.Tx) error {
				_, err := st.server.DropClient(ctx, tx, c.tenant.Caller, c.id)
				return err
			})
		},
		"project deleted": func(c theClient) error {
			return st.DeleteProject(ctx, c.tenant.Caller.Tenant, c.tenant.Caller.Project, nil)
		},
		"key revoked": func(c theClient) error {
			keys, err := st.server.Keys(ctx, c.tenant.System.Tenant)
			for _, key := range keys {
				if key.State == oauth.KeyActive {
					return st.server.RevokeKey(ctx, c.tenant.System.Tenant, key.KID)
				}
			}
			return err
		},
	}
	for name, act := range end {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := st.newClient(t)
			token := c.token(t)
			if got := get(t, c.base+"/Patient", token); got.status != http.StatusOK {
				t.Fatalf("before: %d", got.status)
			}
			if err := act(c); err != nil {
				t.Fatal(err)
			}
			if got := get(t, c.base+"/Patient", token); got.status != http.StatusUnauthorized && got.status != http.StatusNotFound {
				t.Errorf("after: %d %s", got.status, got.text)
			}
			got := post(t, c.endpoint, &c, "grant_type", "client_credentials")
			if wantsToken := name == "key revoked"; wantsToken != (got.status == http.StatusOK) {
				t.Errorf("a new token: %d %s", got.status, got.text)
			}
		})
	}
}

// TestTokenOfADeletedProject: a project's name can be used again, a token for it cannot.
func TestTokenOfADeletedProject(t *testing.T) {
	t.Parallel()
	st := openStage(t)
	tenant := st.NewTenant(t)
	c := st.register(t, tenant, tenant.System, "all", plainClient)
	token := c.token(t, "resource", c.base)
	if err := st.DeleteProject(t.Context(), tenant.Caller.Tenant, tenant.Caller.Project, nil); err != nil {
		t.Fatal(err)
	}
	st.NewProject(t, tenant, "main", "r4")
	st.ForgetProject(tenant.Slug, "main")
	if got := get(t, c.base+"/Patient", token); got.status != http.StatusForbidden {
		t.Errorf("got %d %s", got.status, got.text)
	}
	if got := get(t, c.base+"/Patient", c.token(t, "resource", c.base)); got.status != http.StatusOK {
		t.Errorf("a new token: %d %s", got.status, got.text)
	}
}

func TestRotationKeepsLiveTokens(t *testing.T) {
	t.Parallel()
	st := openStage(t)
	c := st.newClient(t)
	tenant := c.tenant.System.Tenant
	keys := func() map[oauth.KeyState]string {
		list, err := st.server.Keys(t.Context(), tenant)
		if err != nil {
			t.Fatal(err)
		}
		found := map[oauth.KeyState]string{}
		for _, key := range list {
			if key.Alg == "ES256" {
				found[key.State] = key.KID
			}
		}
		return found
	}
	before := c.token(t)
	first := keys()
	published, err := jwk.Parse([]byte(get(t, c.issuer+"/jwks.json", "").text))
	if err != nil {
		t.Fatal(err)
	}
	if err := st.server.RotateKeys(t.Context(), tenant); err != nil {
		t.Fatal(err)
	}
	second := keys()
	if second[oauth.KeyActive] != first[oauth.KeyNext] || second[oauth.KeyRetired] != first[oauth.KeyActive] || second[oauth.KeyNext] == "" {
		t.Errorf("from %v to %v", first, second)
	}
	after := c.token(t)
	// Whoever keeps the key set from before can verify what the new key signs.
	for name, token := range map[string]string{"before": before, "after": after} {
		if _, err := jwt.Parse([]byte(token), jwt.WithKeySet(published)); err != nil {
			t.Errorf("%s, by the old key set: %v", name, err)
		}
		if got := get(t, c.base+"/Patient", token); got.status != http.StatusOK {
			t.Errorf("%s: %d %s", name, got.status, got.text)
		}
	}
	if err := st.server.RevokeKey(t.Context(), tenant, second[oauth.KeyRetired]); err != nil {
		t.Fatal(err)
	}
	if got := get(t, c.base+"/Patient", before); got.status != http.StatusUnauthorized {
		t.Errorf("signed by a revoked key: %d", got.status)
	}
	if got := get(t, c.base+"/Patient", after); got.status != http.StatusOK {
		t.Errorf("signed by a living key: %d", got.status)
	}
}

func TestIntrospection(t *testing.T) {
	t.Parallel()
	st := openStage(t)
	c, foreign := st.newClient(t), st.newClient(t)
	seer := strings.Replace(plainClient, `"scope"`, `"introspection":true,"scope"`, 1)
	resource := st.register(t, c.tenant, c.tenant.System, "resource", seer)
	elsewhere := st.register(t, c.tenant, st.NewProject(t, c.tenant, "lab", "r4"), "elsewhere", seer)
	nosy := st.register(t, c.tenant, c.tenant.Caller, "nosy", plainClient)
	ask := func(as *theClient, token string) answer { return post(t, c.issuer+"/introspect", as, "token", token) }
	token := c.token(t)
	for name, as := range map[string]*theClient{"its own client": &c, "a client with the right": &resource} {
		got := ask(as, token)
		if got.status != http.StatusOK || got.body["active"] != true || got.str("client_id") != c.id || got.str("scope") != "system/*.cruds" ||
			got.str("iss") != c.issuer || got.str("sub") != c.id || got.body["exp"].(float64) < float64(time.Now().Unix()) || got.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %s", name, got.status, got.text)
		}
	}
	revoked := c.token(t)
	post(t, c.issuer+"/revoke", &c, "token", revoked)
	for name, got := range map[string]answer{
		"without the right":   ask(&nosy, token),
		"of another project":  ask(&elsewhere, token),
		"of another tenant":   ask(&resource, foreign.token(t)),
		"revoked":             ask(&c, revoked),
		"changed":             ask(&c, token[:len(token)-4]+"AAAA"),
		"noise":               ask(&c, "noise"),
		"longer than we read": ask(&c, strings.Repeat("a", 9000)),
	} {
		if got.status != http.StatusOK || strings.TrimSpace(got.text) != `{"active":false}` {
			t.Errorf("%s: %d %s", name, got.status, got.text)
		}
	}
	if got := ask(nil, token); got.status != http.StatusUnauthorized {
		t.Errorf("without authentication: %d", got.status)
	}
	request, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, c.issuer+"/introspect", strings.NewReader("token="+token))
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Authorization", "Bearer "+token)
	if got := do(t, request); got.status != http.StatusUnauthorized {
		t.Errorf("a bearer token as authentication: %d", got.status)
	}
}
