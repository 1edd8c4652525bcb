package login

import (
	"net/http/httptest"
	"testing"
)

func TestBehindProxies(t *testing.T) {
	t.Parallel()
	behind, err := BehindProxies([]string{"10.0.0.0/8", "fd00::/8"})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ peer, forwarded, want string }{
		{"10.1.2.3:99", "203.0.113.9", "203.0.113.9"},
		{"10.1.2.3:99", "198.51.100.1, 203.0.113.9, 10.9.9.9", "203.0.113.9"}, // the first is what the client made up
		{"203.0.113.9:99", "198.51.100.1", "203.0.113.9"},
		{"127.0.0.1:99", "198.51.100.1", "127.0.0.1"},
		{"10.1.2.3:99", "", "10.1.2.3"},
		{"[fd00::1]:99", "2001:db8::7", "2001:db8::7"},
		{"10.1.2.3:99", "rubbish", "10.1.2.3"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = test.peer
		if test.forwarded != "" {
			r.Header.Set("X-Forwarded-For", test.forwarded)
		}
		if got := behind(r); got != test.want {
			t.Errorf("%s, %q: got %q, want %q", test.peer, test.forwarded, got, test.want)
		}
	}
	if _, err := BehindProxies([]string{"10.0.0.1"}); err == nil {
		t.Error("an address is taken for a network")
	}
}
