package login

import (
	"errors"
	"sort"
	"strings"
	"testing"
	"time"
)

func TestPasswordRules(t *testing.T) {
	t.Parallel()
	about := []string{"ada.lovelace@example.org", "Ada Lovelace", "Northern Hospital"}
	for _, test := range []struct {
		password     string
		secondFactor bool
		ok           bool
	}{
		{"seven quiet otters", false, true},
		{"fourteen chars", false, false},
		{"fifteen chars!!", false, true},
		{"otters7!", true, true},
		{"otter7!", true, false},
		{"пятнадцать букв", false, true}, // characters count, not bytes
		{"ﬁﬁﬁﬁﬁﬁﬁﬁ", false, false},       // after normalisation, and then it repeats itself
		{"PASSWORD1", true, false},
		{"password12345678", false, false},
		{"sunshinesuperman", false, false},
		{"aaaaaaaaaaaaaaaaaaaa", false, false},
		{"abcdefghijklmnopqrstuvwxyz", false, false},
		{"9876543210987654", false, false},
		{"abababababababababab", false, false},
		{"ada.lovelace@example.org", false, false},
		{"northern hospital", false, false},
		{"bulkheadbulkhead", false, false},
		{"northern otters paddle", false, true},
		{strings.Repeat("quiet otters ", 19), false, true},
		{strings.Repeat("quiet otters ", 20), false, false},
		{"bytes that are no \xff characters", false, false},
		{"", true, false},
	} {
		err := checkPassword(test.password, test.secondFactor, about...)
		var weak *PasswordError
		if (err == nil) != test.ok || err != nil && !errors.As(err, &weak) {
			t.Errorf("%q: got %v", test.password, err)
		}
	}
}

func TestBreachedListIsSorted(t *testing.T) {
	t.Parallel()
	lines := strings.Split(strings.TrimSuffix(breachedList, "\n"), "\n")
	if !sort.StringsAreSorted(lines) || len(lines) < 20_000 {
		t.Fatalf("%d lines, or not sorted", len(lines))
	}
	for _, i := range []int{0, 1, len(lines) / 2, len(lines) - 2, len(lines) - 1} {
		if !listed(lines[i]) {
			t.Errorf("%q is not found", lines[i])
		}
	}
	for _, word := range []string{"", "\n", "~~~~~~~~~~~~", " ", "correcthorsebatterystaple", lines[3] + "\n" + lines[4]} {
		if listed(word) {
			t.Errorf("%q is found", word)
		}
	}
}

func TestPasswordHash(t *testing.T) {
	t.Parallel()
	h := newHasher([]byte("pepper"))
	start := time.Now()
	stored, err := h.hash(t.Context(), goodPassword)
	if err != nil || !strings.HasPrefix(stored, "$argon2id$v=19$m=47104,t=1,p=1$") {
		t.Fatalf("got %q, %v", stored, err)
	}
	t.Logf("one hash takes %s", time.Since(start).Round(time.Millisecond))
	check := func(h *hasher, stored, password string, want, wantStale bool) {
		t.Helper()
		match, stale, err := h.verify(t.Context(), stored, password)
		if err != nil || match != want || stale != wantStale {
			t.Errorf("got %v, %v, %v", match, stale, err)
		}
	}
	check(h, stored, goodPassword, true, false)
	check(h, stored, goodPassword+" ", false, false)
	check(h, stored, strings.Repeat("x", 1<<20), false, false)
	check(h, "", goodPassword, false, false)
	check(newHasher([]byte("another pepper")), stored, goodPassword, false, false)
	dearer := newHasher([]byte("pepper"))
	dearer.passes = 2
	check(dearer, stored, goodPassword, true, true)
	for _, broken := range []string{"x", "$argon2id$v=19$m=1$a$b", "$argon2id$v=19$m=8,t=1,p=1$!!$AA", "$2y$10$abc"} {
		if _, _, err := h.verify(t.Context(), broken, goodPassword); err == nil {
			t.Errorf("%q is taken", broken)
		}
	}
	// Letters that look the same in two encodings are the same password.
	if stored, err = h.hash(t.Context(), "Zoe\u0308 paddles quietly"); err != nil {
		t.Fatal(err)
	}
	check(h, stored, "Zo\u00eb paddles quietly", true, false)
}

func TestPasswordIsHashedAnewWhenTheCostRises(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.person(s.project.Tenant, "u1", "ada@example.org", RoleAdmin)
	s.hasher.memory = 128
	stored := func() (hash string) {
		err := s.database.Connect(t, "").QueryRow(t.Context(), "SELECT password_hash FROM identity.person WHERE tenant_id = $1", s.project.Tenant).Scan(&hash)
		if err != nil {
			t.Fatal(err)
		}
		return hash
	}
	if !strings.Contains(stored(), "m=64,") {
		t.Fatal(stored())
	}
	b := s.browser()
	b.signIn("ada@example.org").leads(s, "/account")
	if !strings.Contains(stored(), "m=128,") {
		t.Error(stored())
	}
	b.signIn("ada@example.org").leads(s, "/account")
}
