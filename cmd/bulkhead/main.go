// Command bulkhead is a multi-tenant FHIR server whose tenants are kept apart by
// PostgreSQL row-level security.
package main

func main() {}
