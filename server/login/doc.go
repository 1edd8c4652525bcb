// Package login knows the people of a tenant: their rows beside the User resources, passwords,
// second factors, sessions and the links that are mailed to them, and it serves the pages on which
// they sign in and look after their account.
//
// The pages are made on the server, work without scripts and say the same to a stranger whether or
// not somebody has the e-mail address that was typed. All rows lie behind the walls of the tenant:
// everything here runs as bulkhead_auth in the context of the tenant's project `system`.
//
// What it does not own: tokens and clients (package oauth, which asks Session who is signed in and
// SignIn to find out), what a person may do in a project (Memberships), and the User resources
// themselves, whose writer calls PutUser in its transaction.
package login
