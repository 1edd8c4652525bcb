package login

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"bulkhead/db"
)

func TestChangePassword(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.person(s.project.Tenant, "u1", "ada@example.org", RoleAdmin)
	b, elsewhere := s.browser(), s.browser()
	b.signIn("ada@example.org").leads(s, "/account")
	elsewhere.signIn("ada@example.org").leads(s, "/account")
	const fresh = "another four quiet words"
	change := func(current, password, again string) answer {
		return b.fill("/account", "/account/password", "current", current, "password", password, "again", again)
	}
	change("wrong wrong wrong", fresh, fresh).says(s, http.StatusUnprocessableEntity, "current password is not right")
	change(goodPassword, fresh, fresh+"x").says(s, http.StatusUnprocessableEntity, "not the same")
	change(goodPassword, "123456789012345", "123456789012345").says(s, http.StatusUnprocessableEntity, "guess")
	elsewhere.get("/account").says(s, http.StatusOK, "this one")
	change(goodPassword, fresh, fresh).leads(s, "/account?done=password")
	b.get("/account?done=password").says(s, http.StatusOK, "Your password is changed")
	if elsewhere.get("/account").StatusCode != http.StatusSeeOther {
		t.Error("the other session goes on")
	}
	s.Close()
	if len(s.mail.sent) != 1 || s.mail.sent[0].To != "ada@example.org" || !strings.Contains(s.mail.sent[0].Text, "password was changed") {
		t.Errorf("mailed %+v", s.mail.sent)
	}
	for range byConfirm.free {
		change("wrong wrong wrong", fresh, fresh)
	}
	change(fresh, goodPassword, goodPassword).says(s, http.StatusTooManyRequests, "Too many attempts")
}

func TestSessionsListedAndEnded(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.person(s.project.Tenant, "u1", "ada@example.org", RoleAdmin)
	s.person(s.project.Tenant, "u2", "eve@example.org", RoleAdmin)
	var mine [3]*testBrowser
	for i := range mine {
		mine[i] = s.browser()
		mine[i].signIn("ada@example.org").leads(s, "/account")
	}
	eve := s.browser()
	eve.signIn("eve@example.org").leads(s, "/account")

	// Nobody ends a session of somebody else.
	eve.signIn("eve@example.org").leads(s, "/account")
	s.browser().signIn("eve@example.org").leads(s, "/account")
	values := eve.get("/account").fields(s, "/account/sessions")
	values.Set("sid", s.sessionOf(mine[0]).SID)
	eve.do(http.MethodPost, "/account/sessions", values).leads(s, "/account?done=sessions")
	mine[0].get("/account").says(s, http.StatusOK, "Unknown browser")

	values = mine[0].get("/account").fields(s, "/account/sessions")
	values.Set("sid", s.sessionOf(mine[1]).SID)
	mine[0].do(http.MethodPost, "/account/sessions", values).leads(s, "/account?done=sessions")
	if mine[1].get("/account").StatusCode != http.StatusSeeOther {
		t.Error("the ended session goes on")
	}
	values.Del("sid")
	mine[0].do(http.MethodPost, "/account/sessions", values).leads(s, "/account?done=sessions")
	if mine[2].get("/account").StatusCode != http.StatusSeeOther {
		t.Error("the last session goes on")
	}
	mine[0].get("/account").says(s, http.StatusOK, "this one")
	eve.get("/account").says(s, http.StatusOK, "this one")
}

func TestBrowserNames(t *testing.T) {
	t.Parallel()
	for agent, want := range map[string]string{
		"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36":                                   "Chrome on Linux",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1": "Safari on iPhone",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0":                                                        "Firefox on Windows",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0":           "Edge on Windows",
		"curl/8": "Unknown browser",
	} {
		if got := browser(agent); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestInvitation(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.put(s.project.Tenant, "u1", UserSpec{Email: "ada@example.org", Name: "Ada Example", Role: RoleAdmin})
	link, message, err := s.Invitation(t.Context(), s.project, s.url, "u1")
	if err != nil || message.To != "ada@example.org" || !strings.Contains(message.Text, link) || !strings.HasPrefix(message.Text, "Hello Ada Example,") {
		t.Fatalf("got %q, %+v, %v", link, message, err)
	}
	b := s.browser()
	b.get(link).says(s, http.StatusOK, "Welcome, Ada Example")
	page := strings.TrimPrefix(link, s.url)
	b.fill(page, "/login/invitation", "password", goodPassword, "again", goodPassword).leads(s, "/login?done=password")
	b.get("/login?done=password").says(s, http.StatusOK, "Your password is set")
	b.signIn("ada@example.org").leads(s, "/account")
	s.put(s.project.Tenant, "u2", UserSpec{Email: "far@example.org", Role: RoleAdmin, Federated: "idp"})
	for _, id := range []string{"u2", "nobody"} {
		if _, _, err := s.Invitation(t.Context(), s.project, s.url, id); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("%s: got %v", id, err)
		}
	}
}

func TestFederatedPersonHasNoPassword(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.person(s.project.Tenant, "u1", "ada@example.org", RoleAdmin)
	b := s.browser()
	b.signIn("ada@example.org").leads(s, "/account")
	s.put(s.project.Tenant, "u1", UserSpec{Email: "ada@example.org", Role: RoleAdmin, Federated: "idp"})
	if b.get("/account").StatusCode != http.StatusSeeOther {
		t.Error("the session with the password goes on")
	}
	if err := s.SetPassword(t.Context(), s.project.Tenant, "u1", goodPassword); !errors.Is(err, db.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	s.put(s.project.Tenant, "u1", UserSpec{Email: "ada@example.org", Role: RoleAdmin})
	b.signIn("ada@example.org").says(s, http.StatusUnprocessableEntity, notRight)
}

func TestWithoutMail(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.config.Mailer = nil
	b := s.browser()
	b.get("/login").says(s, http.StatusOK, "Ask an administrator")
	b.get("/login/reset").says(s, http.StatusOK, "This server sends no mail")
}
