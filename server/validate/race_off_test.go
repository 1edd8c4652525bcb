//go:build !race

package validate_test

// sample says that every example is run.
const sample = 1
