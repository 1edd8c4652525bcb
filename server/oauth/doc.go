// Package oauth is the authorization server: one issuer per tenant, with a room (a file) for each
// endpoint, named as the RFCs name it.
//
//	token.go       POST {issuer}/token (RFC 6749 section 3.2); grant.go runs fosite behind it
//	authorize.go   GET and POST {issuer}/authorize (RFC 6749 section 3.1); consent.go asks, exchange.go redeems
//	userinfo.go    GET and POST {issuer}/userinfo, idtoken.go (OpenID Connect Core 1.0)
//	logout.go      GET and POST {issuer}/logout (OpenID Connect RP-Initiated Logout 1.0)
//	introspect.go  POST {issuer}/introspect (RFC 7662)
//	revoke.go      POST {issuer}/revoke (RFC 7009)
//	jwks.go        GET {issuer}/jwks.json (RFC 7517)
//	metadata.go    discovery: OpenID Connect, RFC 8414, RFC 9728
//	smart.go       .well-known/smart-configuration of a project (SMART App Launch 2.2)
//
// Beside the rooms stands what they share:
//
//	resource.go     a resource's question: whose token is this, and is it for here (bearer.go, claims.go)
//	authenticate.go who is this client (credentials.go, secret.go, assertion.go, jwks_fetch.go)
//	registry.go     the keys of a tenant (key.go, ring.go), kept in Postgres, sealed
//	client.go       what a ClientApplication resource means, and its row
//	protocol.go     forms in, JSON and RFC 6749 errors out
//
// It does not own people, pages and federation (package login), nor what a scope allows (package
// access). fosite stays inside this package.
package oauth
