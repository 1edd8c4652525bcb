// Package validate says what is wrong with a resource: structure, cardinality, primitive formats,
// references, contained resources, bindings, invariants and the safety of narrative.
//
// All that is wrong is told at once, each issue with the path of the element and what was
// expected there. Paths are FHIRPath with the names that stand in the JSON ("valueQuantity"), so
// that they point at what was sent.
//
// It is pure: it never looks anything up outside the resource and the definitions.
package validate
