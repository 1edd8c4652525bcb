package login

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestSignInAndOut(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.person(s.project.Tenant, "u1", "Ada@Example.org", RoleAdmin)
	b := s.browser()
	b.get("/account").leads(s, "/login?next="+url.QueryEscape("/w/"+s.tenant.Slug+"/account"))
	b.signIn(" ada@example.ORG ").leads(s, "/account")
	page := b.get("/account")
	page.says(s, http.StatusOK, "Ada Example")
	page.says(s, http.StatusOK, "this one")
	b.get("/login").leads(s, "/account")
	b.fill("/account", "/account/sign-out").leads(s, "/login?done=signed-out")
	b.get("/login?done=signed-out").says(s, http.StatusOK, "You are signed out.")
	if b.get("/account").StatusCode != http.StatusSeeOther {
		t.Error("still signed in")
	}
}

func TestSignInLeadsBackToWhereItWasAskedFor(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.person(s.project.Tenant, "u1", "ada@example.org", RoleAdmin)
	next := "/w/" + s.tenant.Slug + "/authorize?client_id=app&redirect_uri=https%3A%2F%2Fapp.example%2Fcb&state=a+b"
	page := "/login?next=" + url.QueryEscape(next)
	b := s.browser()
	answer := b.fill(page, "/login", "email", "ada@example.org", "password", goodPassword)
	if answer.Header.Get("Location") != next {
		t.Errorf("got %q, want %q", answer.Header.Get("Location"), next)
	}
	if got := b.get(page).Header.Get("Location"); got != next {
		t.Errorf("signed in already: got %q", got)
	}
	if strings.Contains(s.browser().get(page).Header.Get("Content-Security-Policy"), "form-action") {
		t.Error("form-action would stop the redirect to the app")
	}
	b.setUp()
	b = s.browser()
	b.fill(page, "/login", "email", "ada@example.org", "password", goodPassword).leads(s, "/login/code")
}

func TestSecondFactorKeepsWhereItLeads(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.person(s.project.Tenant, "u1", "ada@example.org", RoleAdmin)
	b := s.browser()
	b.signIn("ada@example.org").leads(s, "/account")
	secret, _ := b.setUp()
	s.later(time.Minute)
	next := "/w/" + s.tenant.Slug + "/authorize?x=1"
	b = s.browser()
	b.fill("/login?next="+url.QueryEscape(next), "/login", "email", "ada@example.org", "password", goodPassword).leads(s, "/login/code")
	b.get("/account").leads(s, "/login/code")
	b.fill("/login/code", "/login/code", "code", s.code(secret)).leads(s, "/authorize?x=1")
	b.get("/account").says(s, http.StatusOK, "On: an authenticator app")
}

func TestSessionForTheAuthorizationEndpoint(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.person(s.project.Tenant, "u1", "ada@example.org", RoleAdmin)
	b := s.browser()
	begun := time.Now().Add(-time.Second)
	b.signIn("ada@example.org").leads(s, "/account")
	session := s.sessionOf(b)
	if session == nil || session.PersonID != "u1" || session.AuthTime.Before(begun) || strings.Join(session.AMR, " ") != "pwd" || session.SID == "" {
		t.Fatalf("got %+v", session)
	}
	secret, _ := b.setUp()
	if session = s.sessionOf(b); strings.Join(session.AMR, " ") != "pwd otp mfa" {
		t.Errorf("got %v", session.AMR)
	}
	s.later(time.Minute)
	half := s.browser()
	half.signIn("ada@example.org").leads(s, "/login/code")
	if s.sessionOf(half) != nil {
		t.Error("a session without its second factor counts")
	}
	half.fill("/login/code", "/login/code", "code", s.code(secret)).leads(s, "/account")
	if again := s.sessionOf(half); again == nil || again.SID == session.SID || strings.Join(again.AMR, " ") != "pwd otp mfa" {
		t.Errorf("got %+v", again)
	}
}

func TestSignInThrottled(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.person(s.project.Tenant, "u1", "ada@example.org", RoleAdmin)
	texts := map[string]string{}
	for _, email := range []string{"ada@example.org", "nobody@example.org"} {
		b := s.browser()
		for range byEmail.free {
			b.fill("/login", "/login", "email", email, "password", "wrong wrong wrong").says(s, http.StatusUnprocessableEntity, notRight)
		}
		page := b.signIn(email)
		page.says(s, http.StatusTooManyRequests, "Too many attempts. Please try again in a minute.")
		if page.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		texts[email] = hidden.ReplaceAllString(strings.ReplaceAll(page.text, email, "E"), "")
	}
	if texts["ada@example.org"] != texts["nobody@example.org"] {
		t.Error("being locked out tells whether there is somebody")
	}
	// Time passes, and the right password is let in; then nothing is remembered.
	s.sql("UPDATE identity.attempt SET blocked_until = to_timestamp(0) WHERE tenant_id = $1", s.project.Tenant)
	b := s.browser()
	b.signIn("ada@example.org").leads(s, "/account")
	for range byEmail.free - 1 {
		s.browser().fill("/login", "/login", "email", "ada@example.org", "password", "wrong wrong wrong").says(s, http.StatusUnprocessableEntity, notRight)
	}
	b.signIn("ada@example.org").leads(s, "/account")
}

// TestNobodyIsLockedOutByAStranger: in a browser in which they signed in before, a person can go on
// while somebody else tries passwords for their address.
func TestNobodyIsLockedOutByAStranger(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.person(s.project.Tenant, "u1", "ada@example.org", RoleAdmin)
	s.person(s.project.Tenant, "u2", "eve@example.org", RoleAdmin)
	ada, eve := s.browser(), s.browser()
	ada.signIn("ada@example.org").leads(s, "/account")
	eve.signIn("eve@example.org").leads(s, "/account")
	wrong := func(b *testBrowser) answer {
		return b.fill("/login?fresh=1", "/login", "email", "ada@example.org", "password", "wrong wrong wrong")
	}
	for range byEmail.free {
		wrong(s.browser()).says(s, http.StatusUnprocessableEntity, notRight)
	}
	for name, device := range map[string]string{
		"none": "", "made up": strings.Repeat("A", 64), "somebody else's": eve.cookieValue(deviceCookie), "changed": "A" + ada.cookieValue(deviceCookie)[1:],
	} {
		b := s.browser()
		b.setCookie(deviceCookie, device)
		if got := b.signIn("ada@example.org"); got.StatusCode != http.StatusTooManyRequests {
			t.Errorf("a device cookie that is %s: %d", name, got.StatusCode)
		}
	}
	again := s.browser()
	again.setCookie(deviceCookie, ada.cookieValue(deviceCookie))
	again.signIn("ada@example.org").leads(s, "/account")
	for range byDevice.free {
		wrong(again).says(s, http.StatusUnprocessableEntity, notRight)
	}
	again.signIn("ada@example.org").says(s, http.StatusTooManyRequests, "Too many attempts")
}

func TestThrottleWaitsLonger(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	key := s.count(s.project.Tenant, counter{"test", 1, time.Hour}, "x")
	for i, want := range []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 15 * time.Minute, 15 * time.Minute} {
		if err := s.attempt(t.Context(), s.project.Tenant, key); err != nil {
			t.Fatalf("attempt %d: %v", i, err)
		}
		wait, _ := blocked(s.attempt(t.Context(), s.project.Tenant, key))
		if wait < want-5*time.Second || wait > want+5*time.Second {
			t.Errorf("after attempt %d: %s, want %s", i, wait, want)
		}
		s.sql("UPDATE identity.attempt SET blocked_until = to_timestamp(0) WHERE tenant_id = $1", s.project.Tenant)
	}
}

func TestThrottleCountsAddresses(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "::ffff:192.0.2.7": "192.0.2.7", "2001:db8:1:2:3::4": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64", "@": "",
	} {
		if got := networkOf(address); got != want {
			t.Errorf("%s: got %q, want %q", address, got, want)
		}
	}
	s := newStage(t)
	spray := counter{byAddress.kind, 3, time.Hour}
	network := s.count(s.project.Tenant, spray, "127.0.0.1")
	for range spray.free {
		if err := s.attempt(t.Context(), s.project.Tenant, network); err != nil {
			t.Fatal(err)
		}
	}
	s.browser().signIn("whoever@example.org").says(s, http.StatusTooManyRequests, "Too many attempts")
}

func TestThrottleForgetsWithItsWindow(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	key := s.count(s.project.Tenant, counter{"test", 3, time.Hour}, "x")
	take := func(times int) {
		t.Helper()
		for range times {
			if err := s.attempt(t.Context(), s.project.Tenant, key); err != nil {
				t.Fatal(err)
			}
		}
	}
	take(2)
	s.sql("UPDATE identity.attempt SET began = now() - interval '59 minutes' WHERE tenant_id = $1", s.project.Tenant)
	take(1)
	if _, is := blocked(s.attempt(t.Context(), s.project.Tenant, key)); !is {
		t.Fatal("an attempt kept the window open")
	}
	s.sql("UPDATE identity.attempt SET began = now() - interval '61 minutes', blocked_until = now() WHERE tenant_id = $1", s.project.Tenant)
	take(3)
}

func TestThrottleHoldsManyAtOnce(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	key := s.count(s.project.Tenant, counter{"test", 3, time.Hour}, "x")
	const parallel = 20
	results := make(chan error, parallel)
	for range parallel {
		go func() { results <- s.attempt(t.Context(), s.project.Tenant, key) }()
	}
	taken := 0
	for range parallel {
		if err := <-results; err == nil {
			taken++
		} else if _, is := blocked(err); !is {
			t.Fatal(err)
		}
	}
	if taken != 3 {
		t.Errorf("%d attempts got through at once, want 3", taken)
	}
}
