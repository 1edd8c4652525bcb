package login

import (
	"fmt"
	"net"
	"net/http"

	"github.com/labstack/echo/v4"
)

// peer is where a connection comes from.
func peer(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// BehindProxies makes a Config.Address for a server that is reached through proxies, whose networks
// (CIDR) are given: of X-Forwarded-For it takes the last address that none of them has, and nothing
// at all from a peer that is no proxy, since anyone can send that header. Without it everybody who
// comes through a proxy shares one throttle.
func BehindProxies(networks []string) (func(*http.Request) string, error) {
	options := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, text := range networks {
		_, network, err := net.ParseCIDR(text)
		if err != nil {
			return nil, fmt.Errorf("%q is not a network such as 10.0.0.0/8", text)
		}
		options = append(options, echo.TrustIPRange(network))
	}
	return echo.ExtractIPFromXFFHeader(options...), nil
}
