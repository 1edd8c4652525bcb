package fhir

// Version is a FHIR release that a project can have.
type Version string

// The releases supported, as they stand in the URL.
const (
	R4  Version = "r4"
	R4B Version = "r4b"
)

// Number returns the release's version number as CapabilityStatement.fhirVersion has it.
func (v Version) Number() string {
	if v == R4B {
		return "4.3.0"
	}
	return "4.0.1"
}
