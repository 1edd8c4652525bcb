// Package access turns what a token was granted into what its holder may do.
//
// It owns the language of SMART App Launch scopes, versions 1 and 2 (scope.go): how they are
// written, which of them cover which, and what a set of them allows. Roles, memberships and access
// policies join it with the flows for people.
//
// It is pure: no I/O, no HTTP, no Postgres. What it says is the first check of a request and never
// the last one; the walls inside Postgres hold without it.
package access
