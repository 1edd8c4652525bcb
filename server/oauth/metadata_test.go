package oauth_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"bulkhead/server/oauth"
)

func TestMetadata(t *testing.T) {
	t.Parallel()
	st := openStage(t)
	c := st.newClient(t)
	path := strings.TrimPrefix(c.issuer, st.url)
	for name, location := range map[string]string{
		"openid": c.issuer + "/.well-known/openid-configuration",
		"oauth":  st.url + "/.well-known/oauth-authorization-server" + path,
		"smart":  c.base + "/.well-known/smart-configuration",
	} {
		got := get(t, location, "")
		if got.status != http.StatusOK || got.str("issuer") != c.issuer || got.header.Get("Access-Control-Allow-Origin") != "*" ||
			!strings.HasPrefix(got.header.Get("Content-Type"), "application/json") {
			t.Errorf("%s: %d %s", name, got.status, got.text)
		}
		for member, endpoint := range map[string]string{
			"authorization_endpoint": "/authorize", "token_endpoint": "/token", "introspection_endpoint": "/introspect", "revocation_endpoint": "/revoke", "jwks_uri": "/jwks.json",
		} {
			if got.str(member) != c.issuer+endpoint {
				t.Errorf("%s: %s is %q", name, member, got.str(member))
			}
		}
		checkPeopleMetadata(t, name, c.issuer, got)
		if name == "smart" && !(slices.Equal(got.body["code_challenge_methods_supported"].([]any), []any{"S256"}) &&
			slices.Contains(got.body["capabilities"].([]any), any("client-confidential-asymmetric"))) {
			t.Errorf("smart: %s", got.text)
		}
	}
	if head, err := http.Head(c.base + "/.well-known/smart-configuration"); err != nil || head.Body.Close() != nil || head.StatusCode != http.StatusOK {
		t.Errorf("HEAD: %v, %v", head, err)
	}
	resource := get(t, st.url+"/.well-known/oauth-protected-resource"+strings.TrimPrefix(c.base, st.url), "")
	if resource.str("resource") != c.base || !slices.Equal(resource.body["authorization_servers"].([]any), []any{c.issuer}) {
		t.Errorf("protected resource: %s", resource.text)
	}
	jwks := get(t, c.issuer+"/jwks.json", "")
	if keys, _ := jwks.body["keys"].([]any); jwks.status != http.StatusOK || len(keys) != 4 || strings.Contains(jwks.text, `"d"`) {
		t.Errorf("jwks: %d %s", jwks.status, jwks.text)
	}
	for _, location := range []string{
		st.url + "/w/%00/jwks.json", st.url + "/w/%ff%fe/jwks.json", st.url + "/w/..%2f/jwks.json", st.url + "/w/" + strings.Repeat("a", 300) + "/jwks.json",
		strings.Replace(c.base, "/main/", "/%00/", 1) + "/.well-known/smart-configuration",
		st.url + "/w/nowhere/jwks.json", st.url + "/w/nowhere/.well-known/openid-configuration", st.url + "/.well-known/oauth-authorization-server/w/nowhere",
		strings.Replace(c.base, "/main/", "/nowhere/", 1) + "/.well-known/smart-configuration",
		strings.Replace(c.base, "/r4", "/r4b", 1) + "/.well-known/smart-configuration",
		st.url + "/.well-known/oauth-protected-resource/w/nowhere/main/api/v1/fhir/r4",
	} {
		if got := get(t, location, ""); got.status != http.StatusNotFound {
			t.Errorf("%s: %d", location, got.status)
		}
	}
}

// checkPeopleMetadata: what works for people is published, and what opens nothing yet is not.
func checkPeopleMetadata(t *testing.T, name, issuer string, got answer) {
	t.Helper()
	for member, want := range map[string][]any{
		"response_types_supported": {"code"}, "response_modes_supported": {"query"}, "code_challenge_methods_supported": {"S256"},
		"grant_types_supported": {"authorization_code", "refresh_token", "client_credentials"},
	} {
		if list, _ := got.body[member].([]any); !slices.Equal(list, want) {
			t.Errorf("%s: %s is %v", name, member, got.body[member])
		}
	}
	if got.body["authorization_response_iss_parameter_supported"] != true || got.body["registration_endpoint"] != nil || got.body["pushed_authorization_request_endpoint"] != nil {
		t.Errorf("%s: %s", name, got.text)
	}
	for _, promise := range []string{`"user/`, `"patient/`, `"launch`, "sso-openid-connect", "fhirUser", "dpop"} {
		if strings.Contains(got.text, promise) {
			t.Errorf("%s promises %s", name, promise)
		}
	}
	if name == "openid" && (got.str("userinfo_endpoint") != issuer+"/userinfo" || got.str("end_session_endpoint") != issuer+"/logout") {
		t.Errorf("%s: %s", name, got.text)
	}
}

// TestWithoutPagesThereAreNoFlowsForPeople is a server that people cannot sign in to.
func TestWithoutPagesThereAreNoFlowsForPeople(t *testing.T) {
	t.Parallel()
	bare, err := oauth.New(openStage(t).DB, oauth.Config{BaseURL: "https://fhir.example"})
	if err != nil {
		t.Fatal(err)
	}
	for _, route := range bare.Routes() {
		for _, name := range []string{"authorize", "userinfo", "logout"} {
			if strings.Contains(route.Path, name) && !strings.Contains(route.Path, "oauth-authorization-server") {
				t.Errorf("%s %s", route.Method, route.Path)
			}
		}
	}
}

// TestForeignTokensOverHTTP takes tokens where they were not made for.
func TestForeignTokensOverHTTP(t *testing.T) {
	t.Parallel()
	st := openStage(t)
	a, b := st.newClient(t), st.newClient(t)
	token := a.token(t)
	for name, test := range map[string]struct {
		location, token string
		status          int
	}{
		"of another tenant":   {b.base + "/Patient", token, 401},
		"of another project":  {strings.Replace(a.base, "/main/", "/system/", 1) + "/Patient", token, 403},
		"none":                {a.base + "/Patient", "", 401},
		"noise":               {a.base + "/Patient", "x.y.z", 401},
		"longer than we read": {a.base + "/Patient", token + strings.Repeat("A", 9000), 401},
		"its own":             {a.base + "/Patient", token, 200},
	} {
		got := get(t, test.location, test.token)
		if got.status != test.status {
			t.Errorf("%s: %d %s", name, got.status, got.text)
		}
		if got.status == 401 && !strings.HasPrefix(got.header.Get("WWW-Authenticate"), "Bearer ") {
			t.Errorf("%s: challenge %q", name, got.header.Get("WWW-Authenticate"))
		}
	}
}
