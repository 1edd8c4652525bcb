package oauth

import (
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"
)

// Bounds of the redirect URIs of a client.
const (
	maxRedirects   = 20
	maxRedirectLen = 2048
)

var (
	errRedirectForm   = errors.New("it must be absolute, at most 2048 printable characters, without fragment, user name and wildcard")
	errRedirectScheme = errors.New("it must be https, http on this machine (127.0.0.1, [::1], localhost), or an app's own scheme with a dot in it")
)

// checkRedirects checks the redirect URIs that a client wants to register.
func checkRedirects(list []string) error {
	if len(list) > maxRedirects {
		return errors.New("there are more than 20")
	}
	for _, text := range list {
		if err := checkRedirect(text); err != nil {
			return err
		}
	}
	return nil
}

// checkRedirect lets pass what a browser can be sent to with a code (RFC 9700 section 2.1, RFC 8252
// section 7): nothing that a script or another scheme of the browser would answer.
func checkRedirect(text string) error {
	printable := func(r rune) bool { return r > ' ' && r < 0x7f && !strings.ContainsRune("\\*#<>\"'`", r) }
	if len(text) > maxRedirectLen || strings.ContainsFunc(text, func(r rune) bool { return !printable(r) }) {
		return errRedirectForm
	}
	u, err := url.Parse(text)
	if err != nil || !u.IsAbs() || u.User != nil || strings.Contains(u.Path, "..") {
		return errRedirectForm
	}
	scheme, _, _ := strings.Cut(text, ":")
	switch {
	case scheme == "https" && u.Hostname() != "":
		return nil
	case scheme == "http" && (isLoopback(u) || u.Hostname() == "localhost"):
		return nil
	case scheme != "https" && scheme != "http" && scheme == strings.ToLower(scheme) && strings.Contains(scheme, "."):
		return nil
	}
	return errRedirectScheme
}

func isLoopback(u *url.URL) bool { return u.Hostname() == "127.0.0.1" || u.Hostname() == "::1" }

// mayRedirect tells whether a client may have its answer at uri: one of the registered ones, letter
// by letter. Only the port of a loopback address may differ, which a native app cannot know before
// it listens (RFC 8252 section 7.3).
func (c *client) mayRedirect(uri string) bool {
	if slices.Contains(c.redirects, uri) {
		return true
	}
	wanted, ok := withoutLoopbackPort(uri)
	return ok && slices.ContainsFunc(c.redirects, func(registered string) bool {
		plain, ok := withoutLoopbackPort(registered)
		return ok && plain == wanted
	})
}

// withoutLoopbackPort takes the port out of an http URI on the loopback address; false for others.
func withoutLoopbackPort(uri string) (string, bool) {
	if checkRedirect(uri) != nil {
		return "", false
	}
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "http" || !isLoopback(u) {
		return "", false
	}
	rest, ok := strings.CutPrefix(uri, "http://"+u.Host)
	return "http://" + strings.TrimSuffix(u.Host, ":"+u.Port()) + rest, ok
}

// leadBack sends the browser to a redirect URI that was matched, with an answer behind its query.
func leadBack(c echo.Context, uri string, answer url.Values) error {
	separator := "?"
	if strings.Contains(uri, "?") {
		separator = "&"
	}
	c.Response().Header().Set("Location", uri+separator+answer.Encode())
	return c.NoContent(303)
}

// host names a redirect URI to a person: the host, or the scheme of an app.
func hostOf(uri string) string {
	u, err := url.Parse(uri)
	switch {
	case err != nil:
		return ""
	case u.Scheme == "http":
		return "an app on this device"
	case u.Host != "" && u.Scheme == "https":
		return u.Host
	}
	return "the app " + u.Scheme
}
