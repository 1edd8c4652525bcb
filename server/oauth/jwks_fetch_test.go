package oauth

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
)

func TestKeyFetcherHonoursCacheControl(t *testing.T) {
	t.Parallel()
	_, set := clientKeyPair(t, "k1", jwa.ES256)
	for control, want := range map[string]int64{"max-age=60": 1, "no-store": 3, "max-age=1": 3, "": 1, "public, max-age=600": 1} {
		t.Run(control, func(t *testing.T) {
			t.Parallel()
			var served atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				served.Add(1)
				if control != "" {
					w.Header().Set("Cache-Control", control)
				}
				_, _ = w.Write(set)
			}))
			defer server.Close()
			fetcher := newKeyFetcher(true)
			for i := range 3 {
				now := testNow.Add(time.Duration(i) * 2 * time.Second)
				if keys, err := fetcher.Keys(t.Context(), 1, server.URL, "k1", now); err != nil || len(keys) != 1 {
					t.Fatalf("got %v, %v", keys, err)
				}
			}
			if got := served.Load(); got != want {
				t.Errorf("fetched %d times, want %d", got, want)
			}
			if _, err := fetcher.Keys(t.Context(), 2, server.URL, "k1", testNow); err != nil || served.Load() != want+1 {
				t.Error("another tenant was served from the same cache entry")
			}
		})
	}
}

func TestKeyFetcherSeesRolledKeys(t *testing.T) {
	t.Parallel()
	_, first := clientKeyPair(t, "k1", jwa.ES256)
	_, second := clientKeyPair(t, "k2", jwa.ES256)
	var served atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=3600")
		if served.Add(1) == 1 {
			_, _ = w.Write(first)
		} else {
			_, _ = w.Write(second)
		}
	}))
	defer server.Close()
	fetcher := newKeyFetcher(true)
	steps := []struct {
		after  time.Duration
		kid    string
		found  bool
		served int64
	}{
		{0, "k1", true, 1},
		{0, "k2", false, 1}, // within a second of the last fetch nobody can make us fetch again
		{2 * time.Second, "k2", true, 2},
		{3 * time.Second, "k2", true, 2},
	}
	for _, step := range steps {
		keys, err := fetcher.Keys(t.Context(), 1, server.URL, step.kid, testNow.Add(step.after))
		if err != nil || hasKey(keys, step.kid) != step.found || served.Load() != step.served {
			t.Fatalf("%+v: got %v, %v after %d fetches", step, keys, err, served.Load())
		}
	}
}

func TestKeyFetcherRefusesAnswers(t *testing.T) {
	t.Parallel()
	_, set := clientKeyPair(t, "k1", jwa.ES256)
	release := make(chan struct{})
	answers := map[string]http.HandlerFunc{
		"a redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/other", http.StatusFound) },
		"an error":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"a huge body": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, strings.Repeat(" ", maxJWKSBytes)+string(set))
		},
		"a slow body": func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			select {
			case <-release:
			case <-r.Context().Done():
			}
		},
		"a page": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") },
	}
	defer close(release)
	for name, answer := range answers {
		server := httptest.NewServer(answer)
		fetcher := newKeyFetcher(true)
		fetcher.client.Timeout = 200 * time.Millisecond
		if keys, err := fetcher.Keys(t.Context(), 1, server.URL, "k1", testNow); err == nil {
			t.Errorf("%s: got %v", name, keys)
		}
		server.Close()
	}
}

func TestKeyFetcherStaysOutside(t *testing.T) {
	t.Parallel()
	fetcher := newKeyFetcher(false)
	for _, location := range []string{
		"http://client.example/jwks", "https://user:pass@client.example/jwks", "https://client.example/jwks#x", "file:///etc/passwd",
		"https:///jwks", "https:jwks", "gopher://client.example", "", "://", "https://client.example/" + strings.Repeat("x", 2048),
	} {
		if err := fetcher.checkKeyURL(location); !errors.Is(err, errKeyURL) {
			t.Errorf("%q: got %v", location, err)
		}
	}
	for _, location := range []string{
		"https://127.0.0.1/jwks", "https://[::1]/jwks", "https://10.0.0.1/", "https://169.254.169.254/latest/meta-data", "https://[fd00::1]/",
		"https://[::ffff:127.0.0.1]/", "https://0.0.0.0/", "https://[64:ff9b::7f00:1]/", "https://192.168.1.1:8443/", "https://100.64.0.1/", "https://[fe80::1]/",
	} {
		if err := fetcher.checkKeyURL(location); !errors.Is(err, errKeyAddress) {
			t.Errorf("%q: got %v", location, err)
		}
	}
	for location, want := range map[string]error{
		"http://127.0.0.1:1/jwks": nil, "http://localhost/jwks": nil, "https://[::1]/jwks": nil, "https://client.example/jwks": nil,
		"http://client.example/jwks": errKeyURL, "http://10.0.0.1/jwks": errKeyURL, "https://10.0.0.1/jwks": errKeyAddress,
	} {
		if err := newKeyFetcher(true).checkKeyURL(location); !errors.Is(err, want) {
			t.Errorf("with loopback allowed, %q: got %v", location, err)
		}
	}
	// A name that resolves to the inside passes the first check and is refused when it is dialled.
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	inside := strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	if err := fetcher.checkKeyURL(inside); err != nil {
		t.Fatal(err)
	}
	if _, err := fetcher.Keys(t.Context(), 1, inside, "k1", testNow); !errors.Is(err, errKeyAddress) {
		t.Errorf("got %v", err)
	}
	for address, want := range map[string]bool{
		"8.8.8.8": true, "2606:4700::1111": true, "127.0.0.1": false, "172.16.0.1": false, "224.0.0.1": false, "255.255.255.255": false,
		"::": false, "ff02::1": false, "2002:7f00:1::": false, "198.18.0.1": false,
	} {
		if got := public(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: public is %v", address, got)
		}
	}
}
