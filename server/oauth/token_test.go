package oauth_test

import (
	"net/http"
	"strings"
	"testing"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

func TestTokenAnswer(t *testing.T) {
	t.Parallel()
	st := openStage(t)
	c := st.newClient(t)
	got := post(t, c.endpoint, &c, "grant_type", "client_credentials", "scope", "system/Patient.rs system/Observation.read")
	if got.status != http.StatusOK || got.str("token_type") != "Bearer" || got.body["expires_in"] != 300.0 ||
		got.str("scope") != "system/Patient.rs system/Observation.read" || got.body["refresh_token"] != nil {
		t.Errorf("got %d %s", got.status, got.text)
	}
	if got.header.Get("Cache-Control") != "no-store" || got.header.Get("Pragma") != "no-cache" || !strings.HasPrefix(got.header.Get("Content-Type"), "application/json") {
		t.Errorf("headers %v", got.header)
	}
	if read := get(t, c.base+"/Patient", got.str("access_token")); read.status != http.StatusOK {
		t.Errorf("the token does not open: %d %s", read.status, read.text)
	}
	narrow := c.token(t, "scope", "system/Observation.rs")
	if read := get(t, c.base+"/Patient", narrow); read.status != http.StatusForbidden {
		t.Errorf("a scope that was not granted: %d", read.status)
	}
	all := post(t, c.endpoint, &c, "grant_type", "client_credentials")
	if all.str("scope") != "system/*.cruds" {
		t.Errorf("without a scope: %s", all.text)
	}
}

func TestTokenByClientSecret(t *testing.T) {
	t.Parallel()
	st := openStage(t)
	c := st.newClient(t)
	grant := []string{"grant_type", "client_credentials"}
	escape := func(s string) string { return strings.NewReplacer("-", "%2D", "_", "%5F", "c", "%63").Replace(s) }
	escaped := c
	escaped.id, escaped.secret = escape(c.id), escape(c.secret)
	for name, got := range map[string]answer{
		"basic":                post(t, c.endpoint, &c, grant...),
		"basic, escaped":       post(t, c.endpoint, &escaped, grant...),
		"basic with the id":    post(t, c.endpoint, &c, append(grant, "client_id", c.id)...),
		"post":                 post(t, c.endpoint, nil, append(grant, "client_id", c.id, "client_secret", c.secret)...),
		"with resource":        post(t, c.endpoint, &c, append(grant, "resource", c.base)...),
		"with aud":             post(t, c.endpoint, &c, append(grant, "aud", c.base)...),
		"with the same, twice": post(t, c.endpoint, &c, append(grant, "resource", c.base, "audience", c.base)...),
	} {
		if got.status != http.StatusOK {
			t.Errorf("%s: %d %s", name, got.status, got.text)
		}
	}
}

func TestTokenRefused(t *testing.T) {
	t.Parallel()
	st := openStage(t)
	c, other := st.newClient(t), st.newClient(t)
	wrong, unknown := c, c
	wrong.secret, unknown.id = other.secret, "nobody"
	disabled := st.register(t, c.tenant, c.tenant.Caller, "off", strings.Replace(plainClient, `"grantType"`, `"status":"inactive","grantType"`, 1))
	disabled.secret = strings.Repeat("x", 43)
	person := st.register(t, c.tenant, c.tenant.Caller, "person", strings.Replace(strings.Replace(plainClient, "client_credentials", "authorization_code", 1), "system/*.cruds", "system/*.rs openid", 1))
	limited := st.register(t, c.tenant, c.tenant.Caller, "limited", strings.Replace(plainClient, "system/*.cruds", "system/Patient.rs user/*.rs openid", 1))
	grant := []string{"grant_type", "client_credentials"}
	with := func(pairs ...string) []string { return append(append([]string{}, grant...), pairs...) }
	tests := []struct {
		name   string
		client *theClient
		form   []string
		status int
		code   string
	}{
		{"a wrong secret", &wrong, grant, 401, "invalid_client"},
		{"an unknown client", &unknown, grant, 401, "invalid_client"},
		{"a disabled client", &disabled, grant, 401, "invalid_client"},
		{"a client id with a NUL", &theClient{id: "a\x00", secret: "x"}, grant, 401, "invalid_client"},
		{"an endless client id", &theClient{id: strings.Repeat("a", 5000), secret: "x"}, grant, 401, "invalid_client"},
		{"no client", nil, grant, 401, "invalid_client"},
		{"an id without a secret", nil, with("client_id", c.id), 401, "invalid_client"},
		{"two methods", &c, with("client_id", c.id, "client_secret", c.secret), 400, "invalid_request"},
		{"two ids", &c, with("client_id", "c2"), 400, "invalid_request"},
		{"the id repeated", nil, with("client_id", c.id, "client_id", c.id, "client_secret", c.secret), 400, "invalid_request"},
		{"no grant type", &c, []string{"scope", "system/*.rs"}, 400, "invalid_request"},
		{"the grant type repeated", &c, with("grant_type", "client_credentials"), 400, "invalid_request"},
		{"an unknown grant type", &c, []string{"grant_type", "not_a_grant_type"}, 400, "unsupported_grant_type"},
		{"the password grant", &c, []string{"grant_type", "password", "username", "u", "password", "p"}, 400, "unsupported_grant_type"},
		{"a request object", &c, with("request", "eyJhbGciOiJub25lIn0.e30."), 400, "request_not_supported"},
		{"a grant that is not registered", &person, grant, 400, "unauthorized_client"},
		{"an unknown scope", &c, with("scope", "patient/Patient.sr"), 400, "invalid_scope"},
		{"a scope that is not registered", &limited, with("scope", "system/Observation.rs"), 400, "invalid_scope"},
		{"a broader scope", &limited, with("scope", "system/Patient.cruds"), 400, "invalid_scope"},
		{"a scope that needs a person", &limited, with("scope", "openid"), 400, "invalid_scope"},
		{"another's scope of a person", &limited, with("scope", "system/Patient.rs user/*.rs"), 400, "invalid_scope"},
		{"another tenant's resource", &c, with("resource", other.base), 400, "invalid_target"},
		{"another project", &c, with("resource", strings.Replace(c.base, "/main/", "/system/", 1)), 400, "invalid_target"},
		{"a prefix of the resource", &c, with("resource", strings.TrimSuffix(c.base, "/r4")), 400, "invalid_target"},
		{"a longer resource", &c, with("resource", c.base+"/"), 400, "invalid_target"},
		{"two resources", &c, with("resource", c.base, "resource", other.base), 400, "invalid_target"},
		{"a resource with a NUL", &c, with("resource", strings.Replace(c.base, "main", "\x00", 1)), 400, "invalid_target"},
		{"a scope with a NUL", &c, with("scope", "system/\x00.rs"), 400, "invalid_scope"},
		{"a foreign URL", &c, with("aud", "https://evil.example/fhir"), 400, "invalid_target"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := post(t, c.endpoint, test.client, test.form...)
			if got.status != test.status || got.str("error") != test.code || got.body["access_token"] != nil {
				t.Fatalf("got %d %s", got.status, got.text)
			}
			if got.header.Get("Cache-Control") != "no-store" {
				t.Error("the answer may be stored")
			}
			if challenge := got.header.Get("WWW-Authenticate"); (test.status == 401) != strings.HasPrefix(challenge, "Basic ") {
				t.Errorf("challenge %q", challenge)
			}
		})
	}
	t.Run("a client of another tenant", func(t *testing.T) {
		t.Parallel()
		if got := post(t, other.endpoint, &c, grant...); got.status != 401 {
			t.Errorf("got %d", got.status)
		}
	})
	t.Run("credentials in the URL", func(t *testing.T) {
		t.Parallel()
		if got := post(t, c.endpoint+"?client_id="+c.id+"&client_secret="+c.secret, nil, grant...); got.status != 400 || got.str("error") != "invalid_request" {
			t.Errorf("got %d %s", got.status, got.text)
		}
	})
	t.Run("a JSON body", func(t *testing.T) {
		t.Parallel()
		request, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, c.endpoint, strings.NewReader(`{"grant_type":"client_credentials"}`))
		request.Header.Set("Content-Type", "application/json")
		if got := do(t, request); got.status != 400 || got.str("error") != "invalid_request" {
			t.Errorf("got %d %s", got.status, got.text)
		}
	})
	t.Run("a huge body", func(t *testing.T) {
		t.Parallel()
		if got := post(t, c.endpoint, &c, with("x", strings.Repeat("x", 100_000))...); got.status != 400 {
			t.Errorf("got %d %s", got.status, got.text)
		}
	})
	t.Run("an unknown tenant", func(t *testing.T) {
		t.Parallel()
		if got := post(t, st.url+"/w/nowhere/token", &c, grant...); got.status != 404 || got.str("error") != "not_found" {
			t.Errorf("got %d %s", got.status, got.text)
		}
	})
}

// TestTokenOfTenantClient is about clients that live in project system: they act in the project
// that they name, and in system when they name none.
func TestTokenOfTenantClient(t *testing.T) {
	t.Parallel()
	st := openStage(t)
	tenant := st.NewTenant(t)
	st.NewProject(t, tenant, "second", "r4b")
	c := st.register(t, tenant, tenant.System, "all", plainClient)
	second := strings.Replace(c.base, "/main/api/v1/fhir/r4", "/second/api/v1/fhir/r4b", 1)
	system := strings.Replace(c.base, "/main/", "/system/", 1)
	bases := []string{c.base, second, system}
	for _, base := range bases {
		token := c.token(t, "resource", base)
		for _, at := range bases {
			want := http.StatusForbidden
			if at == base {
				want = http.StatusOK
			}
			if got := get(t, at+"/Patient", token); got.status != want {
				t.Errorf("token for %s at %s: %d", base, at, got.status)
			}
		}
	}
	if got := get(t, system+"/Patient", c.token(t)); got.status != http.StatusOK {
		t.Errorf("without a resource: %d", got.status)
	}
	if got := post(t, c.endpoint, &c, "grant_type", "client_credentials", "resource", strings.Replace(second, "r4b", "r4", 1)); got.str("error") != "invalid_target" {
		t.Errorf("the wrong FHIR version: %d %s", got.status, got.text)
	}
}

func TestTokenWithGoClient(t *testing.T) {
	t.Parallel()
	st := openStage(t)
	c := st.newClient(t)
	for _, style := range []oauth2.AuthStyle{oauth2.AuthStyleAutoDetect, oauth2.AuthStyleInHeader, oauth2.AuthStyleInParams} {
		config := clientcredentials.Config{ClientID: c.id, ClientSecret: c.secret, TokenURL: c.endpoint, Scopes: []string{"system/*.rs"}, AuthStyle: style}
		response, err := config.Client(t.Context()).Get(c.base + "/Patient")
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("style %d: %d", style, response.StatusCode)
		}
	}
}
