package oauth

import (
	"crypto/sha256"
	"sync"
)

// tokenCache keeps verified access tokens for their life: a signature costs 60 us to verify, more
// than a quarter of what a whole read may cost. Nothing that can change is kept: expiry, project
// and audience are compared on every request, and what ends a token is looked up by app.enter().
//
// It holds two generations of bounded size. What is asked for moves to the young one; when that is
// full, the old one is dropped.
type tokenCache struct {
	mu         sync.Mutex
	young, old map[tokenKey]*Bearer
}

// tokenKey names a token without holding it, in the tenant under whose keys it was verified.
type tokenKey struct {
	tenant int32
	sum    [sha256.Size]byte
}

// maxTokensCached is the size of a generation. An entry takes about 1.5 kB.
const maxTokensCached = 8192

func newTokenCache() *tokenCache {
	return &tokenCache{young: map[tokenKey]*Bearer{}, old: map[tokenKey]*Bearer{}}
}

func (c *tokenCache) get(key tokenKey) *Bearer {
	c.mu.Lock()
	defer c.mu.Unlock()
	if found := c.young[key]; found != nil {
		return found
	}
	found := c.old[key]
	if found != nil {
		c.add(key, found)
	}
	return found
}

func (c *tokenCache) put(key tokenKey, bearer *Bearer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(key, bearer)
}

func (c *tokenCache) add(key tokenKey, bearer *Bearer) {
	if len(c.young) >= maxTokensCached {
		c.old, c.young = c.young, make(map[tokenKey]*Bearer, maxTokensCached)
	}
	c.young[key] = bearer
}
