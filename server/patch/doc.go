// Package patch changes resources: JSON Patch (RFC 6902) and FHIRPath Patch (FHIR R4, section
// 3.1.0.8). A patch gives a new tree; the old one is left as it was and shares with the new one
// all that the patch did not touch, so that order of members and number lexemes survive.
//
// The package is pure. Whether the result is a valid resource is for others to say.
package patch
