package oauth_test

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"

	"bulkhead/db"
	"bulkhead/server/login"
)

func TestPKCE(t *testing.T) {
	t.Parallel()
	for name, resource := range map[string]string{"confidential": appClient, "public": publicClient} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t, resource)
			code := a.code()
			// fosite 0.49 gives a token to the second of these.
			a.refuses("wrong", a.redeem(code, "code_verifier", strings.Repeat("w", 43)))
			a.refuses("missing", a.redeem(code, "code_verifier", "-"))
			a.refuses("blank", a.redeem(code, "code_verifier", ""))
			a.refuses("equal to the challenge", a.redeem(code, "code_verifier", challengeOf(verifier)))
			a.refuses("longer", a.redeem(code, "code_verifier", verifier+"x"))
			a.refuses("truncated", a.redeem(code, "code_verifier", verifier[:len(verifier)-1]))
			a.refuses("not of its alphabet", a.redeem(code, "code_verifier", verifier+"\x00"))
			a.refuses("too long", a.redeem(code, "code_verifier", strings.Repeat("v", 129)))
			if got := a.redeem(code); got.status != http.StatusOK {
				t.Errorf("right: %d %s", got.status, got.text)
			}
		})
	}
}

// TestCodesAreForOneClientOnce swaps, replays, cuts and ages codes.
func TestCodesAreForOneClientOnce(t *testing.T) {
	t.Parallel()
	a, foreign := newApp(t, appClient), newApp(t, appClient)
	other := a.st.register(t, a.tenant, a.tenant.Caller, "other", appClient)
	lab := a.st.NewProject(t, a.tenant, "lab", "r4")
	labApp := a.st.register(t, a.tenant, lab, "lab-app", appClient)
	as := func(c theClient, code string) answer {
		return post(t, c.endpoint, &c, "grant_type", "authorization_code", "code", code, "redirect_uri", callback, "code_verifier", verifier)
	}
	code := a.code()
	a.refuses("by another client", as(other, code))
	a.refuses("by a client of another project", as(labApp, code))
	a.refuses("in another tenant, by the same client id", as(foreign.theClient, code))
	a.refuses("truncated", a.redeem(code[:len(code)-1]))
	a.refuses("longer", a.redeem(code+"A"))
	a.refuses("made up", a.redeem(strings.Repeat("A", 43)))
	a.refuses("as a refresh token", a.refresh(code))
	if got := a.redeem(code, "resource", foreign.base); got.str("error") != "invalid_target" {
		t.Errorf("for another project: %d %s", got.status, got.text)
	}
	if got := post(t, a.endpoint, nil, "grant_type", "authorization_code", "client_id", a.id, "code", code, "redirect_uri", callback, "code_verifier", verifier); got.status != http.StatusUnauthorized {
		t.Errorf("without the client's secret: %d %s", got.status, got.text)
	}
	if got := post(t, a.endpoint, &a.theClient, "grant_type", "authorization_code", "code", code, "code", code, "redirect_uri", callback, "code_verifier", verifier); got.str("error") != "invalid_request" {
		t.Errorf("twice in one request: %d %s", got.status, got.text)
	}
	if got := a.redeem(code); got.status != http.StatusOK {
		t.Fatalf("after all that, by right: %d %s", got.status, got.text)
	}
	old := a.code()
	a.sql("UPDATE identity.authorization_code SET expires_at = now() WHERE tenant_id = $1 AND NOT used", a.tenant.System.Tenant)
	a.refuses("expired", a.redeem(old))
	plain := a.st.register(t, a.tenant, a.tenant.Caller, "plain", plainClient)
	if got := as(plain, a.code()); got.str("error") != "unauthorized_client" {
		t.Errorf("a client without this grant: %d %s", got.status, got.text)
	}
	if got := a.redeem("", "code", "-"); got.str("error") != "invalid_request" {
		t.Errorf("none: %d %s", got.status, got.text)
	}
}

func TestReplayedCodeEndsWhatItGave(t *testing.T) {
	t.Parallel()
	a := newApp(t, appClient)
	code := a.code()
	first, other := a.redeem(code), a.tokens()
	second := a.refresh(first.str("refresh_token"))
	if !a.alive(second.str("access_token")) {
		t.Fatal("the token does not open")
	}
	a.refuses("replayed", a.redeem(code))
	for name, got := range map[string]answer{"first": first, "refreshed": second} {
		if a.alive(got.str("access_token")) {
			t.Errorf("the %s access token lives", name)
		}
	}
	a.refuses("the refresh token", a.refresh(second.str("refresh_token")))
	if !a.alive(other.str("access_token")) {
		t.Error("another grant ended with it")
	}
}

func TestOneOfManyAtOnceGetsTokens(t *testing.T) {
	t.Parallel()
	a := newApp(t, appClient)
	code := a.code()
	var wait sync.WaitGroup
	got := make([]answer, 8)
	for i := range got {
		wait.Go(func() { got[i] = a.redeem(code) })
	}
	wait.Wait()
	won := 0
	for _, answer := range got {
		if answer.status == http.StatusOK {
			won++
			if a.alive(answer.str("access_token")) {
				t.Error("a code that came twice left a token alive")
			}
		}
	}
	if won != 1 {
		t.Errorf("%d got tokens", won)
	}
}

func TestRefresh(t *testing.T) {
	t.Parallel()
	for name, resource := range map[string]string{"confidential": appClient, "public": publicClient} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t, resource)
			first := a.tokens("scope", "openid user/*.rs offline_access")
			narrow := a.refresh(first.str("refresh_token"), "scope", "user/Patient.r")
			if narrow.status != http.StatusOK || narrow.str("scope") != "user/Patient.r" || narrow.body["id_token"] != nil || narrow.str("refresh_token") == first.str("refresh_token") {
				t.Errorf("narrowed: %d %s", narrow.status, narrow.text)
			}
			again := a.refresh(narrow.str("refresh_token"))
			if again.status != http.StatusOK || again.str("scope") != "openid user/*.rs offline_access" || claimsOf(a, again.str("id_token"))["nonce"] != nil {
				t.Errorf("the grant keeps its scopes: %d %s", again.status, again.text)
			}
			for _, scope := range []string{"user/*.cruds", "system/Patient.rs", "openid email", "nonsense"} {
				if got := a.refresh(again.str("refresh_token"), "scope", scope); got.str("error") != "invalid_scope" {
					t.Errorf("%s: %d %s", scope, got.status, got.text)
				}
			}
			last := a.refresh(again.str("refresh_token"))
			if !a.alive(last.str("access_token")) {
				t.Fatalf("%d %s", last.status, last.text)
			}
			a.refuses("used before", a.refresh(first.str("refresh_token")))
			if a.alive(last.str("access_token")) || a.alive(again.str("access_token")) {
				t.Error("a refresh token came twice, and the grant's access tokens live")
			}
			a.refuses("the newest of the family", a.refresh(last.str("refresh_token")))
		})
	}
}

func TestRefreshTokensAreForOneClient(t *testing.T) {
	t.Parallel()
	a, foreign := newApp(t, appClient), newApp(t, appClient)
	other := a.st.register(t, a.tenant, a.tenant.Caller, "other", appClient)
	as := func(c theClient, token string) answer {
		return post(t, c.endpoint, &c, "grant_type", "refresh_token", "refresh_token", token)
	}
	token := a.tokens().str("refresh_token")
	a.refuses("another client", as(other, token))
	a.refuses("another tenant, the same client id", as(foreign.theClient, token))
	a.refuses("truncated", a.refresh(token[1:]))
	a.refuses("as a code", a.redeem(token))
	if got := a.refresh(token, "resource", foreign.base); got.str("error") != "invalid_target" {
		t.Errorf("for another project: %d %s", got.status, got.text)
	}
	if got := a.refresh(""); got.str("error") != "invalid_request" {
		t.Errorf("none: %d %s", got.status, got.text)
	}
	got := a.refresh(token)
	if got.status != http.StatusOK {
		t.Fatalf("by right: %d %s", got.status, got.text)
	}
	a.sql("UPDATE identity.refresh_token SET expires_at = now() WHERE tenant_id = $1", a.tenant.System.Tenant)
	a.refuses("expired", a.refresh(got.str("refresh_token")))
	capped := a.tokens().str("refresh_token")
	a.sql("UPDATE identity.app_grant SET expires_at = now() WHERE tenant_id = $1", a.tenant.System.Tenant)
	a.refuses("past the grant's end", a.refresh(capped))
	if got := a.tokens("scope", "openid user/*.rs"); got.body["refresh_token"] != nil {
		t.Errorf("without asking for it: %s", got.text)
	}
}

// TestGrantsEndWith is what ends a person's tokens, on the next request.
func TestGrantsEndWith(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		end     func(a *app)
		offline bool // whether offline grants end too
	}{
		"the session": {func(a *app) { a.sql("DELETE FROM identity.session WHERE sid = $1", a.sid) }, false},
		"the session's time": {func(a *app) {
			a.sql("UPDATE identity.session SET expires_at = now() WHERE sid = $1", a.sid)
		}, false},
		"the person, disabled": {func(a *app) {
			a.put(login.UserSpec{Email: "ada@example.com", Role: login.RoleAdmin, Disabled: true})
			a.put(login.UserSpec{Email: "ada@example.com", Role: login.RoleAdmin}) // does not bring it back
		}, true},
		"the person, deleted": {func(a *app) {
			a.identity(func(tx *db.Tx) error { return login.DropUser(a.Context(), tx, a.tenant.System.Tenant, a.user) })
		}, true},
		"the password": {func(a *app) {
			people, err := login.NewPeople(a.st.DB)
			if err == nil {
				err = people.SetPassword(a.Context(), a.tenant.System.Tenant, a.user, "seven quiet otters paddle")
			}
			if err != nil {
				a.Fatal(err)
			}
		}, true},
		"the client": {func(a *app) {
			a.identity(func(tx *db.Tx) error { return a.st.server.DisableClient(a.Context(), tx, a.tenant.Caller, a.id) })
		}, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t, appClient)
			online, offline := a.tokens("scope", "openid user/*.rs online_access"), a.tokens()
			if !a.alive(online.str("access_token")) || !a.alive(offline.str("access_token")) {
				t.Fatal("they do not open")
			}
			test.end(a)
			if a.alive(online.str("access_token")) {
				t.Error("the online access token lives")
			}
			if got := a.refresh(online.str("refresh_token")); got.status == http.StatusOK {
				t.Error("the online grant lives")
			}
			if a.alive(offline.str("access_token")) == test.offline {
				t.Errorf("the offline access token lives: %v", test.offline)
			}
			if got := a.refresh(offline.str("refresh_token")); (got.status == http.StatusOK) == test.offline {
				t.Errorf("the offline grant: %d %s", got.status, got.text)
			}
		})
	}
}

func (a *app) identity(fn func(tx *db.Tx) error) {
	a.Helper()
	if err := a.st.Update(a.Context(), db.Identity, a.tenant.System, fn); err != nil {
		a.Fatal(err)
	}
}

func (a *app) put(spec login.UserSpec) {
	a.Helper()
	a.identity(func(tx *db.Tx) error { return login.PutUser(a.Context(), tx, a.tenant.System.Tenant, a.user, spec) })
}

func TestRevokedRefreshTokenEndsItsGrant(t *testing.T) {
	t.Parallel()
	for name, resource := range map[string]string{"confidential": appClient, "public": publicClient} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t, resource)
			got := a.tokens()
			other := a.st.register(t, a.tenant, a.tenant.Caller, "other", appClient)
			if answer := post(t, a.issuer+"/revoke", &other, "token", got.str("refresh_token")); answer.status != http.StatusOK || !a.alive(got.str("access_token")) {
				t.Errorf("by another client: %d", answer.status)
			}
			pairs := []string{"token", got.str("refresh_token"), "token_type_hint", "refresh_token"}
			if a.secret == "" {
				pairs = append(pairs, "client_id", a.id)
			}
			if answer := post(t, a.issuer+"/revoke", a.client(), pairs...); answer.status != http.StatusOK {
				t.Errorf("%d %s", answer.status, answer.text)
			}
			if a.alive(got.str("access_token")) {
				t.Error("its access token lives")
			}
			a.refuses("the refresh token", a.refresh(got.str("refresh_token")))
			if a.secret == "" {
				if answer := post(t, a.issuer+"/introspect", nil, "client_id", a.id, "token", got.str("access_token")); answer.status != http.StatusUnauthorized {
					t.Errorf("a public client may introspect: %d", answer.status)
				}
			}
		})
	}
}

// TestEnterAsksForTheGrant is the door that every request goes through.
func TestEnterAsksForTheGrant(t *testing.T) {
	t.Parallel()
	a := newApp(t, appClient)
	claims := claimsOf(a, a.tokens().str("access_token"))
	kid := protectedOf(t, a.tokens().str("access_token")).KeyID()
	good := a.tenant.Caller
	good.TokenID, good.ClientID, good.KeyID, good.GrantID = claims["jti"].(string), a.id, kid, claims["sid"].(string)
	enter := func(c db.Caller) error {
		return a.st.View(t.Context(), db.Clinical, c, func(v *db.View) error {
			_, err := v.TouchToken(t.Context())
			return err
		})
	}
	if err := enter(good); err != nil {
		t.Fatal(err)
	}
	lab := a.st.NewProject(t, a.tenant, "lab", "r4")
	all := a.st.register(t, a.tenant, a.tenant.System, "all", appClient)
	for name, change := range map[string]func(c *db.Caller){
		"no such grant":        func(c *db.Caller) { c.GrantID = "none" },
		"of another client":    func(c *db.Caller) { c.ClientID = all.id },
		"in another project":   func(c *db.Caller) { c.Project, c.ClientID = lab.Project, all.id },
		"a grant and no token": func(c *db.Caller) { c.TokenID, c.ClientID, c.KeyID = "", "", "" },
	} {
		c := good
		change(&c)
		if err := enter(c); !errors.Is(err, db.ErrRevoked) {
			t.Errorf("%s: %v", name, err)
		}
	}
	a.sql("UPDATE identity.app_grant SET revoked = true WHERE id = $1", good.GrantID)
	if err := enter(good); !errors.Is(err, db.ErrRevoked) {
		t.Errorf("revoked: %v", err)
	}
}

func TestUserinfoIsForPeople(t *testing.T) {
	t.Parallel()
	a, foreign := newApp(t, appClient), newApp(t, appClient)
	info := func(token string) int { return get(t, a.issuer+"/userinfo", token).status }
	for name, test := range map[string]struct {
		token string
		want  int
	}{
		"none":              {"", http.StatusUnauthorized},
		"noise":             {"noise", http.StatusUnauthorized},
		"a client's own":    {a.token(t), http.StatusUnauthorized},
		"of another tenant": {foreign.tokens().str("access_token"), http.StatusUnauthorized},
		"without openid":    {a.tokens("scope", "user/*.rs").str("access_token"), http.StatusForbidden},
	} {
		if got := info(test.token); got != test.want {
			t.Errorf("%s: %d", name, got)
		}
	}
	got := get(t, a.issuer+"/userinfo", a.tokens("scope", "openid").str("access_token"))
	if got.status != http.StatusOK || len(got.body) != 1 {
		t.Errorf("openid alone: %d %s", got.status, got.text)
	}
}

func TestLogout(t *testing.T) {
	t.Parallel()
	a, foreign := newApp(t, appClient), newApp(t, appClient)
	got := a.tokens("scope", "openid user/*.rs")
	hint, here := got.str("id_token"), a.issuer+"/logout?"
	for name, query := range map[string]string{
		"without a hint":     "",
		"an access token":    "id_token_hint=" + got.str("access_token"),
		"of another tenant":  "id_token_hint=" + foreign.tokens().str("id_token"),
		"a changed hint":     "id_token_hint=" + hint[:len(hint)-4] + "AAAA",
		"another client":     "client_id=other&id_token_hint=" + hint,
		"a foreign redirect": "post_logout_redirect_uri=https://evil.example/&id_token_hint=" + hint,
		"a redirect URI":     "post_logout_redirect_uri=" + callback + "&id_token_hint=" + hint,
	} {
		sent := a.visit(http.MethodGet, here+query, nil)
		if location := sent.header.Get("Location"); location != "" && location != "/w/"+a.tenant.Slug+"/account" || !a.alive(got.str("access_token")) {
			t.Errorf("%s: %d %v", name, sent.status, sent.header)
		}
	}
	sent := a.visit(http.MethodGet, here+"post_logout_redirect_uri=https://app.example/bye&state=s1&id_token_hint="+hint, nil)
	if sent.header.Get("Location") != "https://app.example/bye?state=s1" {
		t.Errorf("%d %v", sent.status, sent.header)
	}
	if a.alive(got.str("access_token")) {
		t.Error("the access token outlives the session")
	}
	if again := a.ask(); !strings.Contains(again.header.Get("Location"), "/login?") {
		t.Errorf("still signed in: %d %v", again.status, again.header)
	}
}
