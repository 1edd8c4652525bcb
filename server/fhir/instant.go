package fhir

import "time"

// instantLayout has milliseconds always, so that equal instants are equal texts.
const instantLayout = "2006-01-02T15:04:05.000Z"

// FormatInstant writes t as a FHIR instant in UTC with milliseconds.
func FormatInstant(t time.Time) string { return t.UTC().Format(instantLayout) }

// Now returns the time to stamp a new version with: in UTC and cut to what FormatInstant writes,
// so that the stored column and meta.lastUpdated are the same instant.
func Now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }
