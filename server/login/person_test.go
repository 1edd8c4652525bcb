package login

import (
	"errors"
	"strings"
	"testing"
	"time"

	"bulkhead/db"
	"bulkhead/server/fhir"
)

func TestReadUser(t *testing.T) {
	t.Parallel()
	for _, spec := range []UserSpec{
		{Email: "ada@example.org", Name: `Ada "Countess" Lovelace`, Role: RoleOwner},
		{Email: "eve@example.org", Role: RoleMember, Disabled: true, Federated: "idp-1"},
	} {
		value, err := fhir.Parse(spec.Resource())
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ReadUser(&value); err != nil || got != spec {
			t.Errorf("got %+v, %v", got, err)
		}
	}
	long := strings.Repeat("a", 201)
	for text, at := range map[string]string{
		`{"email":"ada","role":"owner"}`:                                          "User.email",
		`{"email":"Ada <ada@example.org>","role":"owner"}`:                        "User.email",
		`{"email":"ada@example.org\nBcc: eve@example.org","role":"owner"}`:        "User.email",
		`{"email":"ada@example.org,eve@example.org","role":"owner"}`:              "User.email",
		`{"email":"` + long + `@example.org` + long + `","role":"owner"}`:         "User.email",
		`{"email":"ada@example.org","role":"root"}`:                               "User.role",
		`{"email":"ada@example.org"}`:                                             "User.role",
		`{"email":"ada@example.org","role":"owner","name":"` + long + `"}`:        "User.name",
		`{"email":"ada@example.org","role":"owner","name":"a\nb"}`:                "User.name",
		`{"email":"a@b.c","role":"owner","federated":{"reference":"Patient/1"}}`:  "User.federated",
		`{"email":"a@b.c","role":"owner","federated":{"display":"the provider"}}`: "User.federated",
	} {
		value, err := fhir.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		_, err = ReadUser(&value)
		var told *fhir.Error
		if !errors.As(err, &told) || len(told.Issues[0].Expression) != 1 || told.Issues[0].Expression[0] != at {
			t.Errorf("%s: got %v", text, err)
		}
	}
}

func TestPeople(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	tenant := s.project.Tenant
	s.person(tenant, "u1", "Ada@Example.org", RoleOwner)
	s.put(tenant, "u2", UserSpec{Email: "eve@example.org", Name: "Eve", Role: RoleMember})
	err := s.update(t.Context(), tenant, func(tx *db.Tx) error {
		return PutUser(t.Context(), tx, tenant, "u3", UserSpec{Email: "ADA@example.org", Role: RoleMember})
	})
	var told *fhir.Error
	if !errors.As(err, &told) || told.Issues[0].Code != fhir.Duplicate {
		t.Errorf("a second person of the same address: %v", err)
	}
	id, err := s.ID(t.Context(), tenant, " ADA@example.org")
	if err != nil || id != "u1" {
		t.Errorf("got %q, %v", id, err)
	}
	s.browser().signIn("ada@example.org").leads(s, "/account")
	list, err := s.List(t.Context(), tenant)
	if err != nil || len(list) != 2 || list[0].ID != "u1" || !list[0].Password || list[0].LastLogin == nil || list[1].Password || list[1].LastLogin != nil {
		t.Fatalf("got %+v, %v", list, err)
	}
	var weak *PasswordError
	if err := s.SetPassword(t.Context(), tenant, "u2", "short"); !errors.As(err, &weak) {
		t.Errorf("got %v", err)
	}
	if err := s.SetPassword(t.Context(), tenant, "nobody", goodPassword); !errors.Is(err, db.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	// A change of the resource leaves the password as it is.
	s.put(tenant, "u1", UserSpec{Email: "ada@example.org", Name: "Ada L.", Role: RoleAdmin})
	s.browser().signIn("ada@example.org").leads(s, "/account")
	if err := s.update(t.Context(), tenant, func(tx *db.Tx) error { return DropUser(t.Context(), tx, tenant, "u1") }); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"person", "session", "login_link", "recovery_code"} {
		column := map[bool]string{true: "id", false: "person_id"}[table == "person"]
		var n int
		err := s.database.Connect(t, "").QueryRow(t.Context(), "SELECT count(*) FROM identity."+table+" WHERE tenant_id = $1 AND "+column+" = 'u1'", tenant).Scan(&n)
		if err != nil || n != 0 {
			t.Errorf("%s: %d rows are left, %v", table, n, err)
		}
	}
}

func TestPolicy(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	tenant := s.project.Tenant
	got, err := s.Policy(t.Context(), tenant)
	if err != nil || got.Idle != time.Hour || got.Life != 12*time.Hour || len(got.SecondFactor) != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
	want := Policy{SecondFactor: []string{RoleOwner}, Idle: 15 * time.Minute, Life: 8 * time.Hour}
	for range 2 {
		if err := s.SetPolicy(t.Context(), tenant, want); err != nil {
			t.Fatal(err)
		}
	}
	if got, err = s.Policy(t.Context(), tenant); err != nil || got.Idle != want.Idle || got.Life != want.Life || len(got.SecondFactor) != 1 {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, bad := range []Policy{
		{SecondFactor: []string{"root"}, Idle: time.Hour, Life: time.Hour},
		{Idle: time.Second, Life: time.Hour},
		{Idle: time.Hour, Life: 60 * 24 * time.Hour},
	} {
		if err := s.SetPolicy(t.Context(), tenant, bad); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}
