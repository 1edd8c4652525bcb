package login

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"bulkhead/db"
	"bulkhead/db/dbtest"
)

func TestCSRF(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.person(s.project.Tenant, "u1", "ada@example.org", RoleAdmin)
	b := s.browser()
	b.signIn("ada@example.org").leads(s, "/account")
	other := s.browser()
	other.signIn("ada@example.org").leads(s, "/account")
	forms := []string{"/account/password", "/account/sessions", "/account/sign-out"}
	page, otherPage := b.get("/account"), other.get("/account")
	for i, action := range forms {
		for name, values := range map[string]url.Values{
			"without a token":           {},
			"with an empty token":       {"form": {""}},
			"with a made-up token":      {"form": {strings.Repeat("A", 64)}},
			"with another form's":       page.fields(s, forms[(i+1)%len(forms)]),
			"with another session's":    otherPage.fields(s, action),
			"with a stranger's":         {"form": s.browser().get("/login").fields(s, "/login")["form"]},
			"with a truncated one":      {"form": {page.fields(s, action).Get("form")[:40]}},
			"with the token in the URL": nil,
		} {
			target := action
			if values == nil {
				values, target = url.Values{}, action+"?form="+page.fields(s, action).Get("form")
			}
			if got := b.do(http.MethodPost, target, values); got.StatusCode != http.StatusForbidden {
				t.Errorf("%s %s: got %d", action, name, got.StatusCode)
			}
		}
		if got := b.do(http.MethodGet, action, nil); got.StatusCode != http.StatusMethodNotAllowed && got.StatusCode != http.StatusNotFound {
			t.Errorf("GET %s: got %d", action, got.StatusCode)
		}
	}
	b.get("/account").says(s, http.StatusOK, "Ada Example")

	// Signing a victim in as the attacker needs a token of the victim's browser too.
	victim := s.browser()
	stolen := s.browser().get("/login").fields(s, "/login")
	stolen.Set("email", "ada@example.org")
	stolen.Set("password", goodPassword)
	if got := victim.do(http.MethodPost, "/login", stolen); got.StatusCode != http.StatusForbidden || victim.cookieValue(sessionCookie) != "" {
		t.Errorf("login CSRF: got %d", got.StatusCode)
	}
}

func TestCSRFByOrigin(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	b := s.browser()
	values := b.get("/login").fields(s, "/login")
	for _, test := range []struct {
		header, value string
		status        int
	}{
		{"Sec-Fetch-Site", "cross-site", http.StatusForbidden},
		{"Sec-Fetch-Site", "same-site", http.StatusForbidden},
		{"Origin", "https://evil.example", http.StatusForbidden},
		{"Origin", "null", http.StatusForbidden},
		{"Origin", s.config.BaseURL, http.StatusUnprocessableEntity}, // it is looked at; nothing was typed
	} {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/login", strings.NewReader(values.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set(test.header, test.value)
		r.Host = "inside.example" // as a proxy may send it; the jar goes by it
		r.AddCookie(&http.Cookie{Name: formCookie, Value: b.cookieValue(formCookie)})
		response, err := b.web.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != test.status {
			t.Errorf("%s %s: got %d", test.header, test.value, response.StatusCode)
		}
	}
}

func TestSessionFixation(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.person(s.project.Tenant, "u1", "ada@example.org", RoleAdmin)
	planted := strings.Repeat("p", 43)
	b := s.browser()
	b.setCookie(sessionCookie, planted)
	b.signIn("ada@example.org").leads(s, "/account")
	first := b.cookieValue(sessionCookie)
	if first == planted || first == "" {
		t.Fatal("the planted session was taken over")
	}
	attacker := s.browser()
	attacker.setCookie(sessionCookie, planted)
	if attacker.get("/account").StatusCode != http.StatusSeeOther {
		t.Error("the planted cookie opens the account")
	}
	secret, _ := b.setUp()
	second := b.cookieValue(sessionCookie)
	if second == first {
		t.Error("the session kept its name over the second factor's set-up")
	}
	s.later(time.Minute)
	b.signIn("ada@example.org").leads(s, "/login/code")
	half := b.cookieValue(sessionCookie)
	b.fill("/login/code", "/login/code", "code", s.code(secret)).leads(s, "/account")
	if half == second || b.cookieValue(sessionCookie) == half {
		t.Error("the session kept its name over the second factor")
	}
	for _, old := range []string{first, second, half} {
		attacker.setCookie(sessionCookie, old)
		if attacker.get("/account").StatusCode != http.StatusSeeOther {
			t.Error("a cookie from before opens the account")
		}
	}
}

func TestClickjackingAndOtherHeaders(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.person(s.project.Tenant, "u1", "ada@example.org", RoleAdmin)
	b := s.browser()
	b.signIn("ada@example.org").leads(s, "/account")
	pages := []answer{
		s.browser().get("/login"), s.browser().get("/login/reset"), s.browser().get("/login/invitation?code=x"), b.get("/account"), b.get("/login/setup"),
		s.browser().get("/w/no-such-tenant/login"), s.browser().do(http.MethodPost, "/login", url.Values{}),
	}
	for _, page := range pages {
		h := page.Header
		if csp := h.Get("Content-Security-Policy"); csp != contentSecurity+"; form-action 'self'" || !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: Content-Security-Policy %q", page.Request.URL.Path, csp)
		}
		for name, want := range map[string]string{
			"X-Frame-Options": "DENY", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Access-Control-Allow-Origin": "",
		} {
			if h.Get(name) != want {
				t.Errorf("%s: %s is %q", page.Request.URL.Path, name, h.Get(name))
			}
		}
		if regexp.MustCompile(`(?i)<script|<style|\sstyle=|\son\w+=|javascript:`).MatchString(page.text) {
			t.Errorf("%s: something inline", page.Request.URL.Path)
		}
		if !strings.Contains(page.text, `<html lang="en">`) {
			t.Errorf("%s: no language", page.Request.URL.Path)
		}
	}
}

func TestCookies(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.person(s.project.Tenant, "u1", "ada@example.org", RoleAdmin)
	b := s.browser()
	cookies := append(b.get("/login").Cookies(), b.signIn("ada@example.org").Cookies()...)
	if len(cookies) < 2 {
		t.Fatalf("got %v", cookies)
	}
	for _, cookie := range cookies {
		if !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Path != "/w/"+s.tenant.Slug || cookie.Secure || cookie.Domain != "" {
			t.Errorf("got %s", cookie.Raw)
		}
	}
	secure, err := New(Config{DB: s.database.DB, BaseURL: "https://fhir.example"})
	if err != nil || !secure.secure || secure.cookieName(sessionCookie) != "__Secure-"+sessionCookie {
		t.Errorf("https: %v, %v", secure, err)
	}
	var stored int
	err = s.database.Connect(t, "").QueryRow(t.Context(), "SELECT count(*) FROM identity.session WHERE tenant_id = $1 AND hash = $2",
		s.project.Tenant, hashSecret(b.cookieValue(sessionCookie))).Scan(&stored)
	if err != nil || stored != 1 {
		t.Errorf("the session is not stored under its hash: %d, %v", stored, err)
	}
}

func TestOpenRedirect(t *testing.T) {
	t.Parallel()
	const tenant = "north"
	for _, bad := range []string{
		"https://evil.example/", "//evil.example/w/north/x", "///evil.example", `/\evil.example`, `\\evil.example`, "http:/w/north/x", "javascript:alert(1)",
		"/w/south/account", "/w/north", "/w/northern/x", "/w/north/../south/account", "/w/north/%2e%2e/south", "/w/north//evil.example", "/w/north/./x",
		"/w/north/x\r\nSet-Cookie: a=b", "/w/north/\tx", "/w/north/%5c%5cevil", "https:///w/north/x", "//user@/w/north/x", "", "w/north/x", "?next=/", "data:text/html,x",
		"/w/north/" + strings.Repeat("a", 5000), "/w/north/%zz",
	} {
		if got := safeNext(tenant, bad); got != "" {
			t.Errorf("%q leads to %q", bad, got)
		}
	}
	for _, good := range []string{"/w/north/account", "/w/north/authorize?a=b&redirect_uri=https://app.example/", "/w/north/authorize?x=%2F%2Fy"} {
		if got := safeNext(tenant, good); got != good {
			t.Errorf("%q became %q", good, got)
		}
	}
	s := newStage(t)
	s.person(s.project.Tenant, "u1", "ada@example.org", RoleAdmin)
	b := s.browser()
	b.fill("/login?next="+url.QueryEscape("//evil.example/"), "/login", "email", "ada@example.org", "password", goodPassword).leads(s, "/account")
	b.get("/login?next="+url.QueryEscape("https://evil.example/")).leads(s, "/account")
	s.browser().fill("/login", "/login", "email", "ada@example.org", "password", goodPassword, "next", "https://evil.example/").leads(s, "/account")
}

func FuzzSafeNext(f *testing.F) {
	f.Add("/w/north/account")
	f.Add("//evil.example")
	f.Fuzz(func(t *testing.T, raw string) {
		next := safeNext("north", raw)
		if next == "" {
			return
		}
		base, _ := url.Parse("https://fhir.example/w/north/login")
		target, err := base.Parse(next)
		if err != nil || target.Host != "fhir.example" || target.Scheme != "https" || !strings.HasPrefix(target.Path, "/w/north/") {
			t.Errorf("%q leads to %v, %v", raw, target, err)
		}
	})
}

// tracer counts statements.
type tracer struct{ n atomic.Int64 }

func (tr *tracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}
func (tr *tracer) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
func (tr *tracer) TraceBatchStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	tr.n.Add(int64(len(data.Batch.QueuedQueries)))
	return ctx
}
func (tr *tracer) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (tr *tracer) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}

// TestEnumeration holds that a stranger learns nothing about who has an account: neither from the
// answer nor from the work, which is counted in statements and password hashes.
func TestEnumeration(t *testing.T) {
	t.Parallel()
	base := dbtest.Open(t)
	config := base.Config()
	statements := &tracer{}
	config.Tracer = statements
	traced, err := db.Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(traced.Close)
	s := newStageOn(t, &dbtest.Database{DB: traced, Master: base.Master})
	s.database = base
	tenant := s.project.Tenant
	s.person(tenant, "u1", "ada@example.org", RoleAdmin)
	s.person(tenant, "u2", "off@example.org", RoleAdmin)
	s.put(tenant, "u2", UserSpec{Email: "off@example.org", Role: RoleAdmin, Disabled: true})
	s.put(tenant, "u3", UserSpec{Email: "far@example.org", Role: RoleAdmin, Federated: "idp"})
	s.put(tenant, "u4", UserSpec{Email: "new@example.org", Role: RoleAdmin})
	var hashes atomic.Int64
	s.hasher.worked = func() { hashes.Add(1) }

	type outcome struct {
		status             int
		text, location     string
		statements, hashes int64
	}
	try := func(page, email, password string) outcome {
		b := s.browser()
		values := b.get(page).fields(s, page)
		values.Set("email", email)
		values.Set("password", password)
		statements.n.Store(0)
		hashes.Store(0)
		got := b.do(http.MethodPost, page, values)
		text := hidden.ReplaceAllString(strings.ReplaceAll(got.text, email, "E"), "")
		return outcome{got.StatusCode, text, got.Header.Get("Location"), statements.n.Load(), hashes.Load()}
	}
	for _, page := range []string{"/login", "/login/reset"} {
		want := try(page, "nobody@example.org", "wrong wrong wrong")
		if page == "/login" && (want.hashes != 1 || want.status != http.StatusUnprocessableEntity) || want.statements == 0 {
			t.Fatalf("%s: got %+v", page, want)
		}
		for _, test := range []struct{ name, email, password string }{
			{"a wrong password", "ada@example.org", "wrong wrong wrong"},
			{"somebody disabled", "off@example.org", goodPassword},
			{"somebody who signs in elsewhere", "far@example.org", goodPassword},
			{"somebody invited", "new@example.org", ""},
		} {
			if test.password == "" {
				test.password = "x"
			}
			if got := try(page, test.email, test.password); got != want {
				t.Errorf("%s, %s: got %+v, want %+v", page, test.name, got, want)
			}
		}
	}
}

func TestResetLinkOnce(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.person(s.project.Tenant, "u1", "ada@example.org", RoleAdmin)
	thief := s.browser()
	thief.signIn("ada@example.org").leads(s, "/account")
	b := s.browser()
	b.fill("/login/reset", "/login/reset", "email", "ADA@example.org").leads(s, "/login/reset?sent=1")
	link := s.lastLink()
	b.get(link).says(s, http.StatusOK, "ada@example.org") // a mail scanner looks at it
	const fresh = "another four quiet words"
	first, second := b.get(link).fields(s, "/login/password"), s.browser()
	raced := second.get(link).fields(s, "/login/password")
	for _, values := range []url.Values{first, raced} {
		values.Set("password", fresh)
		values.Set("again", fresh)
	}
	weak := url.Values{"form": first["form"], "code": first["code"], "password": {"short"}, "again": {"short"}}
	b.do(http.MethodPost, "/login/password", weak).says(s, http.StatusUnprocessableEntity, "at least 15 characters")
	b.do(http.MethodPost, "/login/password", first).leads(s, "/login?done=password")
	second.do(http.MethodPost, "/login/password", raced).says(s, http.StatusGone, "no longer good")
	b.get(link).says(s, http.StatusGone, "no longer good")
	if thief.get("/account").StatusCode != http.StatusSeeOther {
		t.Error("a new password does not end the sessions")
	}
	b.signIn("ada@example.org").says(s, http.StatusUnprocessableEntity, notRight)
	b.fill("/login", "/login", "email", "ada@example.org", "password", fresh).leads(s, "/account")
}

func TestResetLinkRaced(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.person(s.project.Tenant, "u1", "ada@example.org", RoleAdmin)
	made, err := s.newLink(t.Context(), s.project.Tenant, resetLink, "ada@example.org", "")
	if err != nil {
		t.Fatal(err)
	}
	var won atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if s.redeem(context.Background(), s.project.Tenant, resetLink, made.secret, "x") == nil {
				won.Add(1)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 {
		t.Errorf("%d redeemed the link", won.Load())
	}
}

func TestResetLinkDead(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	other := s.find(s.database.NewTenant(t).Slug)
	tenant := s.project.Tenant
	s.person(tenant, "u1", "ada@example.org", RoleAdmin)
	s.person(other.Tenant, "u1", "ada@example.org", RoleAdmin)
	link := func(in int32, kind purpose) string {
		made, err := s.newLink(t.Context(), in, kind, "ada@example.org", "")
		if err != nil {
			t.Fatal(err)
		}
		return made.secret
	}
	b := s.browser()
	dead := func(name, page, code string) {
		t.Helper()
		b.get(page+"?code="+code).says(s, http.StatusGone, "no longer good")
		values := url.Values{"code": {code}, "password": {"another four quiet words"}, "again": {"another four quiet words"}}
		// The form's token is of a good link's page, so that only the link is wrong.
		good := map[string]purpose{"/login/password": resetLink, "/login/invitation": invitationLink}[page]
		s.put(tenant, "u9", UserSpec{Email: "good@example.org", Role: RoleMember})
		made, err := s.newLink(t.Context(), tenant, good, "good@example.org", "")
		if err != nil {
			t.Fatal(err)
		}
		values["form"] = b.get(page+"?code="+made.secret).fields(s, page)["form"]
		if got := b.do(http.MethodPost, page, values); got.StatusCode != http.StatusGone {
			t.Errorf("%s: got %d", name, got.StatusCode)
		}
	}
	dead("made up", "/login/password", strings.Repeat("A", 43))
	dead("none", "/login/password", "")
	dead("of a foreign tenant", "/login/password", link(other.Tenant, resetLink))
	dead("an invitation of a foreign tenant", "/login/invitation", link(other.Tenant, invitationLink))
	dead("an invitation used as a reset", "/login/password", link(tenant, invitationLink))
	dead("a reset used as an invitation", "/login/invitation", link(tenant, resetLink))

	truncated := link(tenant, resetLink)
	dead("truncated", "/login/password", truncated[:40])
	older := link(tenant, invitationLink)
	link(tenant, invitationLink)
	dead("superseded", "/login/invitation", older)
	asked := link(tenant, resetLink)
	link(tenant, resetLink) // a stranger can ask for one, and must not take the person's away by it
	b.get("/login/password?code="+asked).says(s, http.StatusOK, "ada@example.org")

	expired := link(tenant, resetLink)
	s.sql("UPDATE identity.login_link SET expires_at = now() - interval '1 second' WHERE tenant_id = $1 AND hash = $2", tenant, hashSecret(expired))
	dead("expired", "/login/password", expired)

	changed := link(tenant, invitationLink)
	s.put(tenant, "u1", UserSpec{Email: "ada@other.example", Role: RoleAdmin})
	dead("mailed to an address that is not the person's any more", "/login/invitation", changed)
	s.put(tenant, "u1", UserSpec{Email: "ada@example.org", Role: RoleAdmin})

	disabled := link(tenant, resetLink)
	s.put(tenant, "u1", UserSpec{Email: "ada@example.org", Role: RoleAdmin, Disabled: true})
	dead("of somebody disabled", "/login/password", disabled)
	s.put(tenant, "u1", UserSpec{Email: "ada@example.org", Role: RoleAdmin})
	dead("of somebody disabled for a while", "/login/password", disabled)
	s.browser().signIn("ada@example.org").leads(s, "/account")
}

// TestSameEmailInTwoTenants holds that two tenants with the same user id, address and password never
// meet.
func TestSameEmailInTwoTenants(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	other := s.find(s.database.NewTenant(t).Slug)
	s.person(s.project.Tenant, "u1", "ada@example.org", RoleMember)
	s.person(other.Tenant, "u1", "ada@example.org", RoleOwner)
	b := s.browser()
	b.signIn("ada@example.org").leads(s, "/account")

	cookie := b.cookieValue(sessionCookie)
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.config.BaseURL+"/w/"+other.TenantSlug+"/account", nil)
	r.AddCookie(&http.Cookie{Name: sessionCookie, Value: cookie})
	response, err := s.browser().web.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusSeeOther {
		t.Errorf("the session of one tenant opens another's account: %d", response.StatusCode)
	}
	u, _ := url.Parse(s.config.BaseURL + "/w/" + other.TenantSlug + "/login")
	if len(b.jar.Cookies(u)) > 0 {
		t.Error("a browser sends one tenant's cookie to another")
	}
	// L21: what one tenant does to its person is not done to the other's.
	s.put(s.project.Tenant, "u1", UserSpec{Email: "moved@example.org", Role: RoleMember, Disabled: true})
	if err := s.update(t.Context(), s.project.Tenant, func(tx *db.Tx) error { return DropUser(t.Context(), tx, s.project.Tenant, "u1") }); err != nil {
		t.Fatal(err)
	}
	people, err := s.List(t.Context(), other.Tenant)
	if err != nil || len(people) != 1 || people[0].Email != "ada@example.org" || people[0].State != "active" || people[0].Role != RoleOwner {
		t.Errorf("got %+v, %v", people, err)
	}
	// A statement that names the other tenant, inside this one's context, reaches nothing.
	err = s.database.Update(t.Context(), db.Identity, systemOf(s.project.Tenant), func(tx *db.Tx) error {
		n, err := tx.DeletePerson(t.Context(), other.Tenant, "u1")
		if n != 0 {
			t.Error("a row behind another tenant's wall was deleted")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	err = s.database.Update(t.Context(), db.Identity, systemOf(s.project.Tenant), func(tx *db.Tx) error {
		return PutUser(t.Context(), tx, other.Tenant, "u1", UserSpec{Email: "evil@example.org", Role: RoleOwner})
	})
	if err == nil {
		t.Error("a row was written behind another tenant's wall")
	}
}

func TestSessionExpires(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.person(s.project.Tenant, "u1", "ada@example.org", RoleAdmin)
	for _, set := range []string{"last_seen = now() - interval '61 minutes'", "expires_at = now()"} {
		b := s.browser()
		b.signIn("ada@example.org").leads(s, "/account")
		s.sql("UPDATE identity.session SET last_seen = now() - interval '5 minutes' WHERE tenant_id = $1", s.project.Tenant)
		b.get("/account").says(s, http.StatusOK, "this one") // and it is used again
		s.sql("UPDATE identity.session SET "+set+" WHERE tenant_id = $1", s.project.Tenant)
		if b.get("/account").StatusCode != http.StatusSeeOther {
			t.Errorf("%s: still signed in", set)
		}
	}
	if err := s.SetPolicy(t.Context(), s.project.Tenant, Policy{Idle: 10 * time.Minute, Life: time.Hour}); err != nil {
		t.Fatal(err)
	}
	b := s.browser()
	b.signIn("ada@example.org").leads(s, "/account")
	s.sql("UPDATE identity.session SET last_seen = now() - interval '11 minutes' WHERE tenant_id = $1", s.project.Tenant)
	if b.get("/account").StatusCode != http.StatusSeeOther {
		t.Error("the tenant's own idle time does not count")
	}
}

func TestDisabledPersonIsOut(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.person(s.project.Tenant, "u1", "ada@example.org", RoleAdmin)
	b := s.browser()
	b.signIn("ada@example.org").leads(s, "/account")
	s.put(s.project.Tenant, "u1", UserSpec{Email: "ada@example.org", Role: RoleAdmin, Disabled: true})
	if b.get("/account").StatusCode != http.StatusSeeOther {
		t.Error("still signed in")
	}
	s.put(s.project.Tenant, "u1", UserSpec{Email: "ada@example.org", Role: RoleAdmin})
	if b.get("/account").StatusCode != http.StatusSeeOther {
		t.Error("the session came back to life")
	}
	b.signIn("ada@example.org").leads(s, "/account")
	s.sql("UPDATE directory.tenant SET state = 'suspended' WHERE id = $1", s.project.Tenant)
	if got := b.get("/account").StatusCode; got != http.StatusNotFound {
		t.Errorf("suspended tenant: got %d", got)
	}
}

// TestNothingSecretIsLogged goes through everything that carries a secret and looks for each in the
// log, and for e-mail addresses, since people type passwords into that field too.
func TestNothingSecretIsLogged(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	var log syncBuffer
	s.config.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s.person(s.project.Tenant, "u1", "ada@example.org", RoleAdmin)
	b := s.browser()
	b.fill("/login", "/login", "email", "hunter2hunter2hunter2@example.org", "password", "wrong horse wrong horse")
	b.signIn("ada@example.org").leads(s, "/account")
	secret, codes := b.setUp()
	secrets := []string{goodPassword, "hunter2", "wrong horse", "ada@", b.cookieValue(sessionCookie), base32Text.EncodeToString(secret)}
	s.later(totpStep)
	half := s.half()
	secrets = append(secrets, half.cookieValue(sessionCookie), s.code(secret), codes[0], foldCode(codes[0]), "123 456")
	half.fill("/login/code", "/login/code", "code", "123 456")
	half.fill("/login/code", "/login/code", "code", codes[0]).leads(s, "/account")
	half.fill("/account", "/account/recovery-codes", "current", "wrong horse")
	half.fill("/login/reset", "/login/reset", "email", "ada@example.org")
	link := s.lastLink()
	_, code, _ := strings.Cut(link, "code=")
	const fresh = "another four quiet words"
	b.fill(strings.TrimPrefix(link, s.url), "/login/password", "password", fresh, "again", fresh).leads(s, "/login?done=password")
	s.sql("UPDATE identity.person SET password_hash = 'broken' WHERE tenant_id = $1", s.project.Tenant)
	s.browser().signIn("ada@example.org").says(s, http.StatusInternalServerError, "Something went wrong")
	for _, secret := range append(secrets, code, fresh) {
		if secret == "" || strings.Contains(log.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
	for _, event := range []string{"sign-in refused", "password accepted", "code refused", "second factor set up", "password set by a link", "page failed"} {
		if !strings.Contains(log.String(), event) {
			t.Errorf("the log does not tell: %s", event)
		}
	}
}

// syncBuffer is a buffer that several goroutines write to.
type syncBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
