// Package terminology answers what codes mean: it expands value sets, tells whether a code belongs
// to one, looks codes up, compares and translates them, over CodeSystem, ValueSet and ConceptMap
// resources.
//
// It owns the meaning of ValueSet.compose (R4 section 4.9.8), of the hierarchy of code systems and
// of concept maps. It does not own where resources come from: a Resolver finds them, and one that
// knows a single project and its FHIR release never mixes those of two projects. It is pure, looks
// nothing up elsewhere, and its work is bounded.
package terminology
