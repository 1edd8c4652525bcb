// Package ucum reads units of the Unified Code for Units of Measure (case-sensitive codes) and
// converts magnitudes to base units with exact fractions.
//
// A unit is a linear map to a product of powers of the seven UCUM base units and of the arbitrary
// units (international units and their like are comparable with themselves only). Logarithmic and
// trigonometric scales (pH, B, Np, ...) are read but never converted.
//
// The codes and factors are those of UCUM, copyright Regenstrief Institute, Inc. and the UCUM
// Organization, used under the UCUM terms of use (http://unitsofmeasure.org).
package ucum
