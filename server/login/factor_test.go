package login

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"bulkhead/db"
)

// TestTOTPVectors are those of RFC 6238, appendix B, cut to six digits.
func TestTOTPVectors(t *testing.T) {
	t.Parallel()
	secret := []byte("12345678901234567890")
	for at, want := range map[int64]string{
		59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130",
	} {
		if got := totpAt(secret, at/30); got != want {
			t.Errorf("at %d: got %s, want %s", at, got, want)
		}
		for drift, ok := range map[int64]bool{-60: false, -30: true, 0: true, 30: true, 60: false} {
			step, matched := matchTOTP(secret, want, time.Unix(at-at%30+drift, 0))
			if matched != ok || ok && step != at/30 {
				t.Errorf("at %d, clock off by %d: got %v, step %d", at, drift, matched, step)
			}
		}
	}
}

// enrolled is somebody with a second factor, whose browser has forgotten them.
func enrolled(t *testing.T) (s *testStage, secret []byte, codes []string) {
	t.Helper()
	s = newStage(t)
	s.person(s.project.Tenant, "u1", "ada@example.org", RoleAdmin)
	b := s.browser()
	b.signIn("ada@example.org").leads(s, "/account")
	secret, codes = b.setUp()
	return s, secret, codes
}

func (s *testStage) half() *testBrowser {
	s.Helper()
	b := s.browser()
	b.signIn("ada@example.org").leads(s, "/login/code")
	return b
}

func TestTOTPReplay(t *testing.T) {
	t.Parallel()
	s, secret, _ := enrolled(t)
	const refused = "was used already"
	// The code that turned the second factor on was used by that.
	s.half().fill("/login/code", "/login/code", "code", s.code(secret)).says(s, http.StatusUnprocessableEntity, refused)
	s.later(totpStep)
	code := s.code(secret)
	s.half().fill("/login/code", "/login/code", "code", code[:3]+" "+code[3:]).leads(s, "/account")
	s.half().fill("/login/code", "/login/code", "code", code).says(s, http.StatusUnprocessableEntity, refused)
	s.later(totpStep)
	s.half().fill("/login/code", "/login/code", "code", code).says(s, http.StatusUnprocessableEntity, refused)
	s.half().fill("/login/code", "/login/code", "code", s.code(secret)).leads(s, "/account")
}

func TestRecoveryCodeTwice(t *testing.T) {
	t.Parallel()
	s, _, codes := enrolled(t)
	s.half().fill("/login/code", "/login/code", "code", " "+codes[0]+" ").leads(s, "/account")
	s.half().fill("/login/code", "/login/code", "code", codes[0]).says(s, http.StatusUnprocessableEntity, "not right")
	b := s.half()
	b.fill("/login/code", "/login/code", "code", codes[1]).leads(s, "/account")
	b.get("/account").says(s, http.StatusOK, "8 recovery codes left")
	b.fill("/account", "/account/recovery-codes", "current", "wrong").says(s, http.StatusUnprocessableEntity, "current password is not right")
	b.fill("/account", "/account/recovery-codes", "current", goodPassword).says(s, http.StatusOK, "Recovery codes")
	s.half().fill("/login/code", "/login/code", "code", codes[2]).says(s, http.StatusUnprocessableEntity, "not right")
}

func TestRecoveryCodeOfSomebodyElse(t *testing.T) {
	t.Parallel()
	s, _, _ := enrolled(t)
	s.person(s.project.Tenant, "u2", "eve@example.org", RoleAdmin)
	b := s.browser()
	b.signIn("eve@example.org").leads(s, "/account")
	_, codes := b.setUp()
	s.half().fill("/login/code", "/login/code", "code", codes[0]).says(s, http.StatusUnprocessableEntity, "not right")
}

func TestCodesThrottled(t *testing.T) {
	t.Parallel()
	s, secret, _ := enrolled(t)
	s.later(totpStep)
	for range byPerson.free {
		s.half().fill("/login/code", "/login/code", "code", "000000")
	}
	s.half().fill("/login/code", "/login/code", "code", s.code(secret)).says(s, http.StatusTooManyRequests, "Too many attempts")
}

// TestPasswordAloneDoesNotReachTheSecondFactor: whoever knows the password only can neither set up
// another phone nor open the account.
func TestPasswordAloneDoesNotReachTheSecondFactor(t *testing.T) {
	t.Parallel()
	s, _, _ := enrolled(t)
	b := s.half()
	b.get("/login/setup").leads(s, "/login/code")
	b.get("/account").leads(s, "/login/code")
	values := b.get("/login/code").fields(s, "/login/code")
	for _, path := range []string{"/account/second-factor", "/account/password", "/login/setup"} {
		if got := b.do(http.MethodPost, path, values); got.StatusCode != http.StatusForbidden && got.StatusCode != http.StatusSeeOther {
			t.Errorf("%s: got %d", path, got.StatusCode)
		}
	}
	s.half().fill("/login/code", "/login/code", "code", "").says(s, http.StatusUnprocessableEntity, "not right")
}

func TestSecondFactorRequired(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.person(s.project.Tenant, "u1", "ada@example.org", RoleAdmin)
	s.person(s.project.Tenant, "u2", "eve@example.org", RoleMember)
	before := s.browser()
	before.signIn("ada@example.org").leads(s, "/account")
	policy := DefaultPolicy
	policy.SecondFactor = []string{RoleOwner, RoleAdmin}
	if err := s.SetPolicy(t.Context(), s.project.Tenant, policy); err != nil {
		t.Fatal(err)
	}
	before.get("/account").leads(s, "/login/setup")
	if s.sessionOf(before) != nil {
		t.Error("a session from before the rule counts")
	}
	b := s.browser()
	b.signIn("ada@example.org").leads(s, "/login/setup")
	b.get("/account").leads(s, "/login/setup")
	b.fill("/login/setup", "/login/setup", "code", "000000").says(s, http.StatusUnprocessableEntity, "not right")
	b.setUp()
	b.get("/account").says(s, http.StatusOK, "cannot be turned off")
	before.get("/account").leads(s, "/login/code")
	s.browser().signIn("eve@example.org").leads(s, "/account")
}

func TestSecondFactorTurnedOff(t *testing.T) {
	t.Parallel()
	s, _, codes := enrolled(t)
	b := s.half()
	b.fill("/login/code", "/login/code", "code", codes[0]).leads(s, "/account")
	b.fill("/account", "/account/second-factor", "current", "wrong").says(s, http.StatusUnprocessableEntity, "current password is not right")
	b.fill("/account", "/account/second-factor", "current", goodPassword).leads(s, "/account?done=second-factor")
	s.browser().signIn("ada@example.org").leads(s, "/account")
}

// TestASessionFromBeforeTheSecondFactor: whoever holds a session that began with the password alone
// can do nothing with it once the person has a second factor, least of all replace that.
func TestASessionFromBeforeTheSecondFactor(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.person(s.project.Tenant, "u1", "ada@example.org", RoleMember)
	thief, b := s.browser(), s.browser()
	thief.signIn("ada@example.org").leads(s, "/account")
	b.signIn("ada@example.org").leads(s, "/account")
	secret, _ := b.setUp()
	thief.get("/account").leads(s, "/login/code")
	thief.get("/login/setup").leads(s, "/login/code")
	if s.sessionOf(thief) != nil {
		t.Error("the session counts")
	}
	s.later(totpStep)
	thief.fill("/login/code", "/login/code", "code", s.code(secret)).leads(s, "/account")
}

func TestSecondFactorTakenAway(t *testing.T) {
	t.Parallel()
	s, _, codes := enrolled(t)
	if err := s.DropSecondFactor(t.Context(), s.project.Tenant, "u1"); err != nil {
		t.Fatal(err)
	}
	s.browser().signIn("ada@example.org").leads(s, "/account")
	b := s.browser()
	b.signIn("ada@example.org").leads(s, "/account")
	b.setUp()
	s.half().fill("/login/code", "/login/code", "code", codes[0]).says(s, http.StatusUnprocessableEntity, "not right")
	s.person(s.project.Tenant, "u2", "eve@example.org", RoleMember)
	for _, id := range []string{"u2", "nobody"} {
		if err := s.DropSecondFactor(t.Context(), s.project.Tenant, id); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("%s: got %v", id, err)
		}
	}
}

func TestSetUpAsksForAFreshSignIn(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.person(s.project.Tenant, "u1", "ada@example.org", RoleAdmin)
	b := s.browser()
	b.signIn("ada@example.org").leads(s, "/account")
	s.later(recent + time.Minute)
	b.get("/login/setup").leads(s, "/login?fresh=1&next=%2Fw%2F"+s.tenant.Slug+"%2Flogin%2Fsetup")
}

func TestSecretsAreSealed(t *testing.T) {
	t.Parallel()
	s, secret, _ := enrolled(t)
	var stored []byte
	err := s.database.Connect(t, "").QueryRow(t.Context(), "SELECT totp_secret FROM identity.person WHERE tenant_id = $1 AND id = 'u1'", s.project.Tenant).Scan(&stored)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := s.sealer.open(s.project.Tenant, "u1", stored)
	if err != nil || string(opened) != string(secret) {
		t.Errorf("got %x, %v", opened, err)
	}
	for name, open := range map[string]func() ([]byte, error){
		"another person": func() ([]byte, error) { return s.sealer.open(s.project.Tenant, "u2", stored) },
		"another tenant": func() ([]byte, error) { return s.sealer.open(s.project.Tenant+1, "u1", stored) },
		"truncated":      func() ([]byte, error) { return s.sealer.open(s.project.Tenant, "u1", stored[:10]) },
	} {
		if _, err := open(); err == nil {
			t.Errorf("%s: it opens", name)
		}
	}
}
