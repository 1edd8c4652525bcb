// Package definition knows what FHIR R4 and R4B define: types and their elements, constraints,
// bindings, search parameters, compartments and operations, and the same for the resource types
// of the platform itself (Project, User, ...).
//
// The definitions are embedded in compact form and decoded once per release, on first use. A Set
// and all that hangs on it is read-only and shared between goroutines. The package is pure.
//
// The embedded files are written by server/definition/generate from the npm packages
// hl7.fhir.r4.examples 4.0.1 and hl7.fhir.r4b.core 4.3.0 (CC0-1.0). To write them again, give it
// the unpacked package, or the same resources as ndjson.gz:
//
//	go run ./server/definition/generate -in R4 -out server/definition/r4
//	go run ./server/definition/generate -in R4B -also R4 -out server/definition/r4b
package definition
