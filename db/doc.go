// Package db is the only door to Postgres.
//
// A query can be run only inside a transaction that has entered a tenant and a project: View and
// Update open one with a signed context that app.enter() verifies in the same round trip, and
// row-level security does the rest. It knows nothing of FHIR, HTTP or OAuth.
//
// Nothing here takes SQL text from a client, and no statement goes over the simple protocol, which
// would run stacked statements.
package db
