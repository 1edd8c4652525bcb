package oauth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/singleflight"
)

// Bounds of a fetch of somebody else's JWK Set.
const (
	maxJWKSBytes    = 512 << 10
	jwksTimeout     = 2 * time.Second
	defaultJWKSLife = 5 * time.Minute // when the answer says nothing of caching
	maxJWKSLife     = time.Hour       // whatever the answer says
	jwksRefetchWait = time.Second     // between two fetches for kids that are not there
	maxJWKSCached   = 4096            // documents; the cache starts anew beyond that
)

// Why a key document is not fetched or not believed. The client is told no more than that.
var (
	errKeyURL     = errors.New("a jwks_uri must be an https URL without user, password and fragment")
	errKeyAddress = errors.New("the address is not a public one")
	errKeyAnswer  = errors.New("the answer is not a JWK Set")
)

// keyFetcher fetches and keeps clients' JWK Sets. A tenant can register any URL, so it reaches
// public addresses only, checked after name resolution for the very address that is dialled (a
// name that resolves elsewhere the second time gains nothing), follows no redirect, sends nothing
// and reads little.
type keyFetcher struct {
	client   *http.Client
	loopback bool // development and tests: http and loopback addresses are allowed
	flight   singleflight.Group

	mu    sync.Mutex
	cache map[string]keyDocument // by tenant and URL
}

type keyDocument struct {
	keys    []clientKey
	fetched time.Time
	expires time.Time
}

func newKeyFetcher(allowLoopback bool) *keyFetcher {
	f := &keyFetcher{loopback: allowLoopback, cache: map[string]keyDocument{}}
	dialer := &net.Dialer{Timeout: jwksTimeout, Control: f.control}
	f.client = &http.Client{
		Timeout: jwksTimeout,
		Transport: &http.Transport{
			Proxy:                  nil, // a proxy would dial for us, past control
			DialContext:            dialer.DialContext,
			TLSHandshakeTimeout:    jwksTimeout,
			MaxResponseHeaderBytes: 16 << 10,
			MaxIdleConnsPerHost:    1,
			IdleConnTimeout:        30 * time.Second,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return f
}

// control refuses to dial an address that is not public.
func (f *keyFetcher) control(_, address string, _ syscall.RawConn) error {
	addr, err := netip.ParseAddrPort(address)
	if err != nil {
		return errKeyAddress
	}
	if ip := addr.Addr().Unmap(); !public(ip) && (!f.loopback || !ip.IsLoopback()) {
		return errKeyAddress
	}
	return nil
}

// closed are the ranges that netip does not name but that are not the public internet either:
// shared, reserved and test networks, and the translations that lead back to IPv4.
var closed = prefixes(
	"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15",
	"198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
	"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fec0::/10",
)

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		list[i] = netip.MustParsePrefix(text)
	}
	return list
}

func public(ip netip.Addr) bool {
	if !ip.IsGlobalUnicast() || ip.IsPrivate() {
		return false
	}
	for _, prefix := range closed {
		if prefix.Contains(ip) {
			return false
		}
	}
	return true
}

// checkKeyURL tells whether a URL may be registered and fetched.
func (f *keyFetcher) checkKeyURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || len(text) > 2048 || u.Hostname() == "" || u.User != nil || u.Fragment != "" || u.Opaque != "" {
		return errKeyURL
	}
	ip, err := netip.ParseAddr(u.Hostname())
	here := f.loopback && (u.Hostname() == "localhost" || err == nil && ip.Unmap().IsLoopback())
	switch {
	case u.Scheme != "https" && (u.Scheme != "http" || !here):
		return errKeyURL
	case err == nil && !public(ip.Unmap()) && !here:
		return errKeyAddress
	}
	return nil
}

// Keys returns the keys at a client's jwks_uri, from the cache while Cache-Control lets it. When no
// kept key is called kid the document is fetched again, at most once a second, so that a client can
// roll its keys over at any time.
func (f *keyFetcher) Keys(ctx context.Context, tenant int32, location, kid string, now time.Time) ([]clientKey, error) {
	name := strconv.Itoa(int(tenant)) + " " + location
	f.mu.Lock()
	kept, ok := f.cache[name]
	f.mu.Unlock()
	if ok && now.Before(kept.expires) && (hasKey(kept.keys, kid) || now.Before(kept.fetched.Add(jwksRefetchWait))) {
		return kept.keys, nil
	}
	// The fetch serves everyone who waits for it, so one caller going away must not end it.
	result, err, _ := f.flight.Do(name, func() (any, error) {
		fetched, err := f.fetch(context.WithoutCancel(ctx), location, now)
		if err != nil {
			return nil, err
		}
		f.keep(name, fetched)
		return fetched.keys, nil
	})
	if err != nil {
		return nil, err
	}
	return result.([]clientKey), nil
}

func hasKey(keys []clientKey, kid string) bool {
	for i := range keys {
		if keys[i].kid == kid {
			return true
		}
	}
	return false
}

func (f *keyFetcher) keep(name string, document keyDocument) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.cache) >= maxJWKSCached {
		clear(f.cache)
	}
	f.cache[name] = document
}

func (f *keyFetcher) fetch(ctx context.Context, location string, now time.Time) (keyDocument, error) {
	if err := f.checkKeyURL(location); err != nil {
		return keyDocument{}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, location, nil)
	if err != nil {
		return keyDocument{}, errKeyURL
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	response, err := f.client.Do(request)
	if err != nil {
		return keyDocument{}, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return keyDocument{}, fmt.Errorf("%w: status %d", errKeyAnswer, response.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxJWKSBytes+1))
	if err != nil {
		return keyDocument{}, err
	}
	if len(body) > maxJWKSBytes {
		return keyDocument{}, fmt.Errorf("%w: longer than %d bytes", errKeyAnswer, maxJWKSBytes)
	}
	keys, err := parseClientKeys(body)
	if err != nil {
		return keyDocument{}, fmt.Errorf("%w: %w", errKeyAnswer, err)
	}
	return keyDocument{keys: keys, fetched: now, expires: now.Add(lifetime(response.Header.Get("Cache-Control")))}, nil
}

// lifetime reads how long an answer may be kept (RFC 9111 section 5.2.2).
func lifetime(cacheControl string) time.Duration {
	life := defaultJWKSLife
	for directive := range strings.SplitSeq(strings.ToLower(cacheControl), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch name {
		case "no-store", "no-cache":
			return 0
		case "max-age":
			if seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31); err == nil {
				life = min(time.Duration(seconds)*time.Second, maxJWKSLife)
			}
		}
	}
	return life
}
