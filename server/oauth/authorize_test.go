package oauth_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jwt"
)

// claimsOf verifies a token of the issuer by its published keys.
func claimsOf(a *app, token string) map[string]any {
	a.Helper()
	keys, err := jwk.Parse([]byte(get(a.T, a.issuer+"/jwks.json", "").text))
	if err != nil {
		a.Fatal(err)
	}
	parsed, err := jwt.Parse([]byte(token), jwt.WithKeySet(keys), jwt.WithIssuer(a.issuer))
	if err != nil {
		a.Fatal(err)
	}
	claims, _ := parsed.AsMap(a.Context())
	return claims
}

func TestCodeFlow(t *testing.T) {
	t.Parallel()
	for name, resource := range map[string]string{"confidential": appClient, "public": publicClient} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t, resource)
			page := a.ask("scope", "openid profile email user/Patient.rs user/Observation.c?category=a offline_access")
			csp := page.header.Get("Content-Security-Policy")
			if !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "form-action") || strings.Contains(page.text, "<script") ||
				page.header.Get("X-Frame-Options") != "DENY" || page.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%v", page.header)
			}
			for _, text := range []string{"Growth &lt;Charts&gt;", "app.example", "Read and search Patient records that you may see", "Add Observation records that you may see, only where category=a", "ada@example.com", "when you have signed out"} {
				if !strings.Contains(page.text, text) {
					t.Errorf("the page does not say %q:\n%s", text, page.text)
				}
			}
			sent := a.consent(page, "allow")
			got := a.back(sent)
			if !strings.HasPrefix(sent.header.Get("Location"), callback+"?") || got.Get("state") != "a state & more" || got.Get("iss") != a.issuer {
				t.Errorf("%v", sent.header)
			}
			tokens := a.redeem(got.Get("code"))
			if tokens.status != http.StatusOK || tokens.header.Get("Cache-Control") != "no-store" || tokens.header.Get("Pragma") != "no-cache" ||
				tokens.str("token_type") != "Bearer" || tokens.body["expires_in"] != float64(3600) || tokens.str("refresh_token") == "" ||
				tokens.str("scope") != "openid profile email user/Patient.rs user/Observation.c?category=a offline_access" {
				t.Errorf("%d %v %s", tokens.status, tokens.header, tokens.text)
			}
			checkPersonTokens(a, tokens)
		})
	}
}

func checkPersonTokens(a *app, tokens answer) {
	a.Helper()
	access := claimsOf(a, tokens.str("access_token"))
	if access["sub"] != a.user || access["https://haste.health/resource_type"] != "User" || access["https://haste.health/user_role"] != "admin" || access["client_id"] != a.id {
		a.Errorf("%v", access)
	}
	id := claimsOf(a, tokens.str("id_token"))
	sum := sha256.Sum256([]byte(tokens.str("access_token")))
	authTime := time.Unix(int64(id["auth_time"].(float64)), 0)
	if id["sub"] != a.user || id["nonce"] != "n1" || id["at_hash"] != base64.RawURLEncoding.EncodeToString(sum[:16]) || id["sid"] != a.sid ||
		id["amr"].([]any)[0] != "pwd" || time.Since(authTime) < 30*time.Second || id["email"] != "ada@example.com" || id["aud"].([]string)[0] != a.id {
		a.Errorf("%v", id)
	}
	if header := protectedOf(a.T, tokens.str("id_token")); header.Algorithm() != jwa.RS256 || header.Type() != "JWT" {
		a.Errorf("%v", header)
	}
	info := get(a.T, a.issuer+"/userinfo", tokens.str("access_token"))
	if info.status != http.StatusOK || info.str("sub") != a.user || info.str("name") != "Ada ada" {
		a.Errorf("userinfo: %d %s", info.status, info.text)
	}
	// The scopes of people open nothing yet.
	if got := get(a.T, a.base+"/Patient", tokens.str("access_token")); got.status != http.StatusForbidden {
		a.Errorf("the FHIR API: %d %s", got.status, got.text)
	}
	// Neither does an id_token, anywhere.
	for _, location := range []string{a.base + "/Patient", a.issuer + "/userinfo"} {
		if got := get(a.T, location, tokens.str("id_token")); got.status != http.StatusUnauthorized {
			a.Errorf("id_token at %s: %d", location, got.status)
		}
	}
}

func TestStrangersSignInFirst(t *testing.T) {
	t.Parallel()
	a := newApp(t, appClient)
	a.newBrowser()
	got := a.ask()
	location, _ := url.Parse(got.header.Get("Location"))
	if got.status != http.StatusSeeOther || location.Path != "/w/"+a.tenant.Slug+"/login" {
		t.Fatalf("%d %v", got.status, got.header)
	}
	next, _ := url.Parse(location.Query().Get("next"))
	if next.Path != "/w/"+a.tenant.Slug+"/authorize" || next.Query().Get("state") != "a state & more" || next.Query().Get("code_challenge") != challengeOf(verifier) {
		t.Errorf("comes back to %s", next)
	}
	if got := a.back(a.ask("prompt", "none")); got.Get("error") != "login_required" || got.Get("state") == "" || got.Get("iss") != a.issuer {
		t.Errorf("%v", got)
	}
	// The same by POST: the redirect carries the cookies that the post does not.
	posted := a.visit(http.MethodPost, a.issuer+"/authorize", a.parameters())
	location, _ = url.Parse(posted.header.Get("Location"))
	if posted.status != http.StatusSeeOther || location.Path != "/w/"+a.tenant.Slug+"/authorize" || location.Query().Encode() != a.parameters().Encode() {
		t.Errorf("%d %v", posted.status, posted.header)
	}
}

// TestAuthorizeErrorsGoBack is what the app is told, at its own address.
func TestAuthorizeErrorsGoBack(t *testing.T) {
	t.Parallel()
	a, foreign := newApp(t, appClient), newApp(t, appClient)
	a.st.NewProject(t, a.tenant, "lab", "r4")
	for name, test := range map[string][]string{
		"PKCE missing":                  {"invalid_request", "code_challenge", "-"},
		"PKCE blank":                    {"invalid_request", "code_challenge", ""},
		"PKCE plain":                    {"invalid_request", "code_challenge_method", "plain"},
		"PKCE without method":           {"invalid_request", "code_challenge_method", "-"},
		"PKCE of another length":        {"invalid_request", "code_challenge", "short"},
		"PKCE of other letters":         {"invalid_request", "code_challenge", strings.Repeat("+", 43)},
		"aud of nobody":                 {"invalid_target", "aud", "https://evil.example/fhir"},
		"aud with a slash more":         {"invalid_target", "aud", a.base + "/"},
		"aud a letter short":            {"invalid_target", "aud", a.base[:len(a.base)-1]},
		"aud below the base":            {"invalid_target", "aud", a.base + "/Patient"},
		"aud in another case":           {"invalid_target", "aud", strings.ToUpper(a.base)},
		"aud of another project":        {"invalid_target", "aud", strings.Replace(a.base, "/"+a.tenant.ProjectSlug+"/", "/lab/", 1)},
		"aud of another tenant":         {"invalid_target", "aud", foreign.base},
		"aud and another resource":      {"invalid_target", "resource", foreign.base},
		"token response":                {"unsupported_response_type", "response_type", "token"},
		"hybrid response":               {"unsupported_response_type", "response_type", "code id_token"},
		"no response type":              {"invalid_request", "response_type", "-"},
		"fragment":                      {"unsupported_response_mode", "response_mode", "fragment"},
		"request object":                {"request_not_supported", "request", "eyJhbGciOiJub25lIn0.e30."},
		"request object by reference":   {"request_uri_not_supported", "request_uri", "https://evil.example/r"},
		"no scope":                      {"invalid_scope", "scope", "-"},
		"unknown scope":                 {"invalid_scope", "scope", "openid all"},
		"system scope, though it's his": {"invalid_scope", "scope", "openid system/*.rs"},
		"more than the client has":      {"invalid_scope", "scope", "openid patient/*.cruds"},
		"unknown prompt":                {"invalid_request", "prompt", "maybe"},
		"prompt none and another":       {"invalid_request", "prompt", "none login"},
		"max_age not a number":          {"invalid_request", "max_age", "-1x"},
		"a launch that nobody made":     {"invalid_request", "launch", "xyz"},
		"too long":                      {"invalid_request", "nonce", strings.Repeat("n", 4000)},
		"consent without asking":        {"consent_required", "prompt", "none"},
	} {
		sent := a.ask(test[1], test[2])
		got := a.back(sent)
		if !strings.HasPrefix(sent.header.Get("Location"), callback+"?") || got.Get("error") != test[0] || got.Has("code") || got.Get("iss") != a.issuer || got.Get("state") == "" {
			t.Errorf("%s: %v", name, sent.header)
		}
	}
	twice := a.visit(http.MethodGet, a.issuer+"/authorize?"+a.parameters().Encode()+"&scope=openid", nil)
	if got := a.back(twice); got.Get("error") != "invalid_request" {
		t.Errorf("a parameter twice: %v", got)
	}
	all := a.st.register(t, a.tenant, a.tenant.System, "all", appClient)
	if got := a.back(a.ask("client_id", all.id, "aud", "-")); got.Get("error") != "invalid_target" {
		t.Errorf("no aud, and a client of the whole tenant: %v", got)
	}
}

// TestRedirectTricks never sends the browser anywhere.
func TestRedirectTricks(t *testing.T) {
	t.Parallel()
	a, foreign := newApp(t, appClient), newApp(t, appClient)
	plain := a.st.register(t, a.tenant, a.tenant.Caller, "plain", plainClient)
	refused := map[string]answer{
		"none":               a.ask("redirect_uri", "-"),
		"no client":          a.ask("client_id", "-"),
		"unknown client":     a.ask("client_id", "nobody"),
		"no client for this": a.ask("client_id", plain.id),
		"twice":              a.visit(http.MethodGet, a.issuer+"/authorize?"+a.parameters().Encode()+"&redirect_uri="+url.QueryEscape(callback), nil),
	}
	for _, uri := range []string{
		"https://evil.example/cb", "https://app.example/cb/", "https://app.example/cb/../evil", "https://app.example/cb?x=2", "https://app.example/cb#f",
		"https://app.example/cb?x=1&y=2", "https://app.example:443/cb", "https://APP.example/cb", "HTTPS://app.example/cb", "http://app.example/cb",
		"https://app.example.evil.example/cb", "https://app.example@evil.example/cb", "https://evil.example#@app.example/cb", "https://app.example%2f@evil.example/cb",
		"//app.example/cb", "/cb", "", " https://app.example/cb", "https://app.example/cb\n", "https://app.example/%63b", "javascript:alert(1)", "data:text/html,x",
		"http://127.0.0.1:8080/other", "https://127.0.0.1/cb", "http://127.0.0.2/cb", "http://localhost:8080/cb", "http://[::1]:8080/cb", "http://127.0.0.1:80@evil.example/cb",
		"http://127.0.0.1.evil.example/cb", "http://127.0.0.1:8080/cb?x=1", "com.example.app:/cb2", "com.example.app://evil.example/cb", "http://2130706433/cb",
	} {
		refused[uri] = a.ask("redirect_uri", uri)
	}
	for name, got := range refused {
		if got.status != http.StatusBadRequest || got.header.Get("Location") != "" {
			t.Errorf("%q: %d %v", name, got.status, got.header)
		}
	}
	// The same ids in another tenant are another app and another session.
	if got := foreign.visit(http.MethodGet, a.issuer+"/authorize?"+a.parameters().Encode(), nil); !strings.Contains(got.header.Get("Location"), "/login?") {
		t.Errorf("a session of another tenant: %d %v", got.status, got.header)
	}
	for _, uri := range []string{"https://app.example/cb?x=1", "http://127.0.0.1/cb", "http://127.0.0.1:49152/cb", "com.example.app:/cb"} {
		code := a.code("redirect_uri", uri)
		a.refuses("another redirect URI than before", a.redeem(code))
		a.refuses("no redirect URI", a.redeem(code, "redirect_uri", "-"))
		if got := a.redeem(code, "redirect_uri", uri); got.status != http.StatusOK {
			t.Errorf("%s: %d %s", uri, got.status, got.text)
		}
	}
}

func TestRedirectRegistration(t *testing.T) {
	t.Parallel()
	st := openStage(t)
	for uri, good := range map[string]bool{
		"https://a.example/cb": true, "http://127.0.0.1/cb": true, "http://[::1]:1/cb": true, "http://localhost/cb": true, "com.example.app:/cb": true,
		"http://a.example/cb": false, "https://*.a.example/cb": false, "https://a.example/cb#f": false, "https://u@a.example/": false, "javascript:x": false,
		"data:x": false, "myapp:/cb": false, "https:///cb": false, "/cb": false, "https://a.example/a b": false, `https://a.example\b`: false, "https://a.example/../b": false,
	} {
		if _, err := readClient(st, strings.Replace(appClient, "com.example.app:/cb", strings.ReplaceAll(uri, `\`, `\\`), 1)); (err == nil) != good {
			t.Errorf("%s: %v", uri, err)
		}
	}
}

func TestConsentIsTheirs(t *testing.T) {
	t.Parallel()
	a := newApp(t, appClient)
	if got := a.back(a.consent(a.ask(), "deny")); got.Get("error") != "access_denied" || got.Has("code") || got.Get("state") == "" {
		t.Errorf("denied: %v", got)
	}
	form := a.consentForm(a.ask(), "allow")
	forged := url.Values{"answer": {"allow"}, "request": form["request"], "form": {strings.Repeat("A", 64)}}
	if got := a.visit(http.MethodPost, a.issuer+"/authorize/consent", forged); got.status != http.StatusForbidden {
		t.Errorf("forged: %d", got.status)
	}
	a.signIn(a.person("eve", "admin"))
	if got := a.visit(http.MethodPost, a.issuer+"/authorize/consent", form); got.status != http.StatusForbidden || got.header.Get("Location") != "" {
		t.Errorf("a form of somebody else: %d", got.status)
	}
	a.signIn(a.user)
	// What goes along with the form is checked as if it had come anew.
	form = a.consentForm(a.ask(), "allow")
	form.Set("request", a.parameters("redirect_uri", "https://evil.example/").Encode())
	if got := a.visit(http.MethodPost, a.issuer+"/authorize/consent", form); got.status != http.StatusBadRequest || got.header.Get("Location") != "" {
		t.Errorf("another redirect URI: %d %v", got.status, got.header)
	}
	a.code()
	for name, asked := range map[string]bool{"scope=openid user/Patient.rs": false, "scope=openid user/Patient.cruds": true, "prompt=consent": true} {
		parameter, value, _ := strings.Cut(name, "=")
		if got := a.ask(parameter, value); (got.status == http.StatusOK) != asked {
			t.Errorf("%s: asked is %v", name, !asked)
		}
	}
	if got := a.back(a.ask("prompt", "none")); got.Get("code") == "" {
		t.Errorf("agreed before: %v", got)
	}
	a.st.register(t, a.tenant, a.tenant.Caller, a.id, strings.Replace(appClient, `"https://app.example/cb?x=1",`, `"https://new.example/cb",`, 1))
	if got := a.ask(); got.status != http.StatusOK {
		t.Errorf("the app leads elsewhere, and nobody is asked: %d", got.status)
	}
	if got := a.visit(http.MethodHead, a.issuer+"/authorize?"+a.parameters().Encode(), nil); got.status != http.StatusMethodNotAllowed {
		t.Errorf("HEAD: %d", got.status)
	}
	native := newApp(t, publicClient)
	for range 2 { // another program could pretend to be this one
		if got := native.ask("redirect_uri", "http://127.0.0.1:5000/cb"); got.status != http.StatusOK {
			t.Errorf("a native app: %d", got.status)
		}
		native.code("redirect_uri", "http://127.0.0.1:5000/cb")
	}
}

func TestPeopleProveAnewWhoTheyAre(t *testing.T) {
	t.Parallel()
	a := newApp(t, appClient)
	a.code()
	for _, wish := range [][]string{{"prompt", "login"}, {"prompt", "select_account"}, {"max_age", "0"}, {"max_age", "10"}} {
		got := a.ask(wish...)
		location, _ := url.Parse(got.header.Get("Location"))
		if got.status != http.StatusSeeOther || !strings.HasSuffix(location.Path, "/login") || location.Query().Get("fresh") != "1" {
			t.Fatalf("%v: %d %v", wish, got.status, got.header)
		}
		next := location.Query().Get("next")
		// Coming back without having done so does not help, nor does a mark of one's own.
		if again := a.visit(http.MethodGet, a.st.url+next, nil); !strings.Contains(again.header.Get("Location"), "/login?") {
			t.Errorf("%v, not done: %d %v", wish, again.status, again.header)
		}
		if again := a.ask(wish[0], wish[1], "bulkhead_fresh", "1.AAAA"); !strings.Contains(again.header.Get("Location"), "/login?") {
			t.Errorf("%v, forged: %d %v", wish, again.status, again.header)
		}
		a.sql("UPDATE identity.session SET auth_time = now() WHERE sid = $1", a.sid)
		if done := a.visit(http.MethodGet, a.st.url+next, nil); done.header.Get("Location") == "" || a.back(done).Get("code") == "" {
			t.Errorf("%v, done: %d %v", wish, done.status, done.header)
		}
		a.sql("UPDATE identity.session SET auth_time = now() - interval '1 minute' WHERE sid = $1", a.sid)
	}
	if got := a.back(a.ask("max_age", "3600")); got.Get("code") == "" {
		t.Errorf("%v", got)
	}
}
