package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// loadClient posts bundles with a token of the client-credentials grant, which it renews in time.
type loadClient struct {
	base     string
	http     *http.Client
	oauth    clientcredentials.Config
	ctx      context.Context // of the token requests, which oauth2 wants when a source is made
	retryFor time.Duration

	mu     sync.Mutex
	tokens oauth2.TokenSource
}

// maxResponse bounds an answer: one line for each of the entries of a bundle.
const maxResponse = 64 << 20

func newLoadClient(ctx context.Context, o loadOptions) (*loadClient, error) {
	base, err := url.Parse(o.fhirBase)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, usagef("--fhir-base must be a http or https URL")
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = o.workers
	c := &loadClient{
		base: strings.TrimSuffix(o.fhirBase, "/"), retryFor: o.retryFor,
		http: &http.Client{Transport: transport, Timeout: 10 * time.Minute},
	}
	if o.tokenEndpoint == "" {
		if o.tokenEndpoint, err = c.discover(ctx); err != nil {
			return nil, err
		}
	}
	c.oauth = clientcredentials.Config{ClientID: o.clientID, ClientSecret: o.clientSecret, TokenURL: o.tokenEndpoint}
	if o.scope != "" {
		c.oauth.Scopes = strings.Fields(o.scope)
	}
	tokenClient := &http.Client{Transport: &retryTransport{next: transport, client: c}, Timeout: o.retryFor + time.Minute}
	c.ctx = context.WithValue(ctx, oauth2.HTTPClient, tokenClient)
	c.renew(nil)
	if _, err := c.token(); err != nil {
		return nil, fmt.Errorf("no token: %w", err)
	}
	return c, nil
}

// discover reads the token endpoint from the project's SMART configuration.
func (c *loadClient) discover(ctx context.Context) (string, error) {
	status, _, body, err := c.send(ctx, http.MethodGet, c.base+"/.well-known/smart-configuration", nil, nil)
	var config struct {
		TokenEndpoint string `json:"token_endpoint"`
	}
	if err == nil && status == http.StatusOK {
		err = json.Unmarshal(body, &config)
	}
	if err != nil || config.TokenEndpoint == "" {
		return "", fmt.Errorf("%s/.well-known/smart-configuration names no token endpoint (status %d): give --token-endpoint", c.base, status)
	}
	return config.TokenEndpoint, nil
}

func (c *loadClient) token() (*oauth2.Token, error) {
	c.mu.Lock()
	source := c.tokens
	c.mu.Unlock()
	return source.Token()
}

// renew forgets a token that the server refused, unless another worker did already.
func (c *loadClient) renew(refused *oauth2.Token) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tokens != nil {
		if now, err := c.tokens.Token(); err == nil && refused != nil && now.AccessToken != refused.AccessToken {
			return
		}
	}
	c.tokens = c.oauth.TokenSource(c.ctx)
}

// post sends a bundle until the server has decided about it. An error means that it never did.
func (c *loadClient) post(ctx context.Context, body []byte) (status int, header http.Header, answer []byte, err error) {
	for renewed := false; ; renewed = true {
		token, err := c.token()
		if err != nil {
			return 0, nil, nil, err
		}
		status, header, answer, err = c.send(ctx, http.MethodPost, c.base, body, token)
		if err != nil || status != http.StatusUnauthorized || renewed {
			return status, header, answer, err
		}
		c.renew(token)
	}
}

// send repeats a request while the server is busy or cannot be reached.
func (c *loadClient) send(ctx context.Context, method, address string, body []byte, token *oauth2.Token) (int, http.Header, []byte, error) {
	for wait := newBackoff(c.retryFor); ; {
		status, header, answer, err := c.once(ctx, method, address, body, token)
		if err == nil && !busy(status) {
			return status, header, answer, nil
		}
		if waitErr := wait.sleep(ctx, header); waitErr != nil {
			if errors.Is(waitErr, errGaveUp) && err == nil {
				return status, header, answer, nil
			}
			return 0, nil, nil, errors.Join(err, waitErr)
		}
	}
}

func (c *loadClient) once(ctx context.Context, method, address string, body []byte, token *oauth2.Token) (int, http.Header, []byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return 0, nil, nil, err
	}
	request.Header.Set("Accept", "application/fhir+json")
	if body != nil {
		request.Header.Set("Content-Type", "application/fhir+json")
		request.Header.Set("Prefer", "return=minimal")
	}
	if token != nil {
		token.SetAuthHeader(request)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return 0, nil, nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxResponse))
	return response.StatusCode, response.Header, answer, err
}

func busy(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// retryTransport makes token requests as patient as the others.
type retryTransport struct {
	next   http.RoundTripper
	client *loadClient
}

func (t *retryTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	for wait := newBackoff(t.client.retryFor); ; {
		if r.GetBody != nil {
			body, err := r.GetBody()
			if err != nil {
				return nil, err
			}
			r.Body = body
		}
		response, err := t.next.RoundTrip(r)
		if err == nil && !busy(response.StatusCode) {
			return response, nil
		}
		var header http.Header
		if err == nil {
			header = response.Header
		}
		if waitErr := wait.sleep(r.Context(), header); waitErr != nil {
			if err == nil {
				return response, nil // the caller reads what the server said last
			}
			return nil, errors.Join(err, waitErr)
		}
		if err == nil {
			response.Body.Close()
		}
	}
}

var errGaveUp = errors.New("gave up trying again")

// backoff waits ever longer between tries, but not beyond its end.
type backoff struct {
	end  time.Time
	next time.Duration
}

const (
	firstPause   = 200 * time.Millisecond
	longestPause = 10 * time.Second
)

func newBackoff(total time.Duration) *backoff {
	return &backoff{end: time.Now().Add(total), next: firstPause}
}

// sleep waits as long as Retry-After says, if the answer has it, else a random part of a doubling time.
func (b *backoff) sleep(ctx context.Context, header http.Header) error {
	pause := b.next/2 + rand.N(b.next/2) //nolint:gosec // chance here is no secret
	b.next = min(2*b.next, longestPause)
	if asked, ok := retryAfter(header); ok {
		pause = asked
	}
	if time.Now().Add(pause).After(b.end) {
		return errGaveUp
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(pause):
		return nil
	}
}

// retryAfter reads seconds or a date (RFC 9110 section 10.2.3).
func retryAfter(header http.Header) (time.Duration, bool) {
	text := header.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil && seconds >= 0 {
		return time.Duration(min(seconds, 3600)) * time.Second, true
	}
	if date, err := http.ParseTime(text); err == nil {
		return max(0, time.Until(date)), true
	}
	return 0, false
}
