// Package fhir holds the values of the FHIR standard that every other room speaks: the JSON
// document as it was sent, issues and OperationOutcome, bundles, references and versions.
//
// It is pure: standard library only, no I/O, nothing that knows of tenants, HTTP or Postgres.
package fhir
