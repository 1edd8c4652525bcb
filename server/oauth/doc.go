// Package oauth is the authorization server: one issuer per tenant, with a room (a file) for each
// endpoint, named as the RFCs name it.
//
//	token.go       POST {issuer}/token (RFC 6749 section 3.2); grant.go runs fosite behind it
//	introspect.go  POST {issuer}/introspect (RFC 7662)
//	revoke.go      POST {issuer}/revoke (RFC 7009)
//	jwks.go        GET {issuer}/jwks.json (RFC 7517)
//	metadata.go    discovery: OpenID Connect, RFC 8414, RFC 9728
//	smart.go       .well-known/smart-configuration of a project (SMART App Launch 2.2)
//
// Beside the rooms stand what they share: the keys of a tenant (key.go, ring.go), the access token
// (claims.go, bearer.go), how clients prove who they are (credentials.go, assertion.go, secret.go,
// jwks_fetch.go) and what a ClientApplication resource means (client.go).
//
// It does not own people, pages and federation (package login), nor what a scope allows (package
// access). fosite stays inside this package.
package oauth
