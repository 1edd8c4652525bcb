package access_test

import (
	"errors"
	"strings"
	"testing"

	"bulkhead/server/access"
)

func TestParseScope(t *testing.T) {
	t.Parallel()
	const all = access.All
	tests := []struct {
		text string
		want access.Scope
	}{
		{"system/Patient.rs", access.Scope{Context: access.System, Type: "Patient", Allow: access.Read | access.Search}},
		{"system/*.cruds", access.Scope{Context: access.System, Type: "*", Allow: all}},
		{"system/*.*", access.Scope{Context: access.System, Type: "*", Allow: all}},
		{"user/Observation.read", access.Scope{Context: access.User, Type: "Observation", Allow: access.Read | access.Search}},
		{"patient/*.write", access.Scope{Context: access.Patient, Type: "*", Allow: access.Create | access.Update | access.Delete}},
		{"patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory", access.Scope{
			Context: access.Patient, Type: "Observation", Allow: access.Read | access.Search,
			Query: "category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory",
		}},
		{"system/Observation.s?category=a&status=final", access.Scope{Context: access.System, Type: "Observation", Allow: access.Search, Query: "category=a&status=final"}},
		{"openid", access.Scope{}},
		{"launch/patient", access.Scope{}},
		{"offline_access", access.Scope{}},
	}
	for _, test := range tests {
		t.Run(test.text, func(t *testing.T) {
			t.Parallel()
			test.want.Text = test.text
			got, err := access.ParseScope(test.text)
			if err != nil || got != test.want {
				t.Fatalf("got %+v, %v; want %+v", got, err, test.want)
			}
		})
	}
}

func TestParseScopeRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "Patient", "system", "system/", "system/Patient", "system/Patient.", "system/.rs",
		"system/Patient.sr", "system/Patient.rr", "system/Patient.x", "system/Patient.rs?",
		"system/Patient.rs?name", "system/Patient.rs?name=", "system/Patient.rs?=x", "system/Patient.rs?a=%zz",
		"system/patient.rs", "system/Pa-tient.rs", "system/Pat*.rs", "System/Patient.rs", "group/Patient.rs",
		"system/Patient.reads", "system/Patient.rs.rs", "system/Patient.rs?a=\"b", "system/Patient.rs?a=b\\", "launch/else",
		"system/Patient.rs?" + strings.Repeat("a", access.MaxScopeLength),
	} {
		if got, err := access.ParseScope(text); !errors.Is(err, access.ErrUnknownScope) {
			t.Errorf("%q: got %+v, %v", text, got, err)
		}
	}
}

func TestParseScopesIsBounded(t *testing.T) {
	t.Parallel()
	for _, text := range []string{strings.Repeat("x", access.MaxTotalLength+1), strings.Repeat("a ", access.MaxScopes+1)} {
		if _, err := access.ParseScopes(text); !errors.Is(err, access.ErrTooManyScopes) {
			t.Errorf("got %v", err)
		}
	}
	set, err := access.ParseScopes("  openid   system/*.rs openid ")
	if err != nil || set.String() != "openid system/*.rs" {
		t.Errorf("got %q, %v", set, err)
	}
	if set := access.ReadScopes([]string{"system/*.rs", "nonsense"}); set.String() != "system/*.rs" {
		t.Errorf("got %q", set)
	}
}

func parse(t *testing.T, text string) access.Scopes {
	t.Helper()
	set, err := access.ParseScopes(text)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestScopesCover(t *testing.T) {
	t.Parallel()
	tests := []struct {
		held, wanted string
		want         bool
	}{
		{"system/*.cruds", "system/Patient.rs", true},
		{"system/*.cruds", "system/*.read", true},
		{"system/*.*", "system/*.cruds", true},
		{"system/*.rs", "system/Patient.read", true},
		{"system/*.read", "system/Patient.rs system/Observation.s", true},
		{"system/*.read", "system/Patient.write", false},
		{"system/Patient.r system/*.s", "system/Patient.rs", true},
		{"system/Patient.r system/*.s", "system/*.rs", false},
		{"system/Patient.cruds", "system/*.r", false},
		{"user/*.cruds", "system/Patient.r", false},
		{"system/*.cruds", "patient/Patient.r", false},
		{"system/Observation.rs?category=lab", "system/Observation.rs?category=lab", true},
		{"system/Observation.rs?category=lab", "system/Observation.rs", false},
		{"system/Observation.rs?category=lab", "system/Observation.rs?category=vital", false},
		{"system/Observation.rs", "system/Observation.rs?category=lab", true},
		{"openid", "openid", true},
		{"system/*.cruds", "openid", false},
		{"openid", "fhirUser", false},
		{"launch/patient", "launch", false},
		{"", "openid", false},
	}
	for _, test := range tests {
		if got := parse(t, test.held).CoverAll(parse(t, test.wanted)); got != test.want {
			t.Errorf("%q covers %q: got %v", test.held, test.wanted, got)
		}
	}
}

func TestScopesAllows(t *testing.T) {
	t.Parallel()
	tests := []struct {
		held, typeName string
		do             access.Interaction
		want           bool
	}{
		{"system/*.cruds", "Patient", access.All, true},
		{"system/Patient.rs", "Patient", access.Read, true},
		{"system/Patient.rs", "Patient", access.Update, false},
		{"system/Patient.rs", "Observation", access.Read, false},
		{"system/Patient.rs", access.AnyType, access.Search, false},
		{"system/*.s", access.AnyType, access.Search, true},
		{"system/Patient.r system/Patient.s", "Patient", access.Read | access.Search, true},
		{"system/Patient.rs?name=x", "Patient", access.Read, false},
		{"patient/*.cruds user/*.cruds openid", "Patient", access.Read, false},
		{"system/*.cruds", "Patient", 0, false},
	}
	for _, test := range tests {
		if got := parse(t, test.held).Allows(test.typeName, test.do); got != test.want {
			t.Errorf("%q allows %s on %s: got %v", test.held, test.do, test.typeName, got)
		}
	}
	if got := parse(t, "openid system/*.r user/*.s").In(access.System).String(); got != "system/*.r" {
		t.Errorf("got %q", got)
	}
}

// FuzzParseScope checks that what is understood means the same when written canonically.
func FuzzParseScope(f *testing.F) {
	for _, seed := range []string{"system/*.cruds", "patient/Observation.rs?category=a|b", "openid", "user/X.write", "system/A.sr"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		scope, err := access.ParseScope(text)
		if err != nil {
			return
		}
		if scope.Text != text {
			t.Fatalf("%q is kept as %q", text, scope.Text)
		}
		if scope.Context == access.None {
			return
		}
		canonical := scope.Context.String() + "/" + scope.Type + "." + scope.Allow.String()
		if scope.Query != "" {
			canonical += "?" + scope.Query
		}
		again, err := access.ParseScope(canonical)
		again.Text = text
		if err == nil && again != scope || err != nil && len(canonical) <= access.MaxScopeLength {
			t.Fatalf("%q became %+v, %v", canonical, again, err)
		}
		if set := (access.Scopes{scope}); !set.Cover(scope) {
			t.Fatalf("%q does not cover itself", text)
		}
	})
}
