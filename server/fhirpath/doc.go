// Package fhirpath is the FHIRPath language: the normative release (N1), the parts of the later
// drafts that are in use, and the additions of FHIR R4.
//
// An expression is compiled once and may then be evaluated by many goroutines at once:
//
//	expr, err := fhirpath.Cached("Patient.name.where(use = 'official').family")
//	items, err := expr.Eval(&fhirpath.Env{Set: definition.For(fhir.R4)}, &resource)
//
// It works on the JSON tree as it was sent. An Item that is a node of the tree carries its FHIR
// type and element definition; its path is worked out when asked for (Path). Without a definition
// set the tree is read by JSON names and kinds alone.
//
// The package is pure: it reads nothing but its arguments, resolve() asks the caller, and now()
// is the caller's too. Everything is bounded (length and depth of an expression, steps and items
// of an evaluation, size of texts and numbers); going beyond is an error, never a panic. Regular
// expressions run in linear time (package regexp), so look-around is refused.
package fhirpath
