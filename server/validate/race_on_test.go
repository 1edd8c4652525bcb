//go:build race

package validate_test

// sample is 5 under the race detector, which is ten times slower: every fifth example will do,
// because what it looks for does not depend on the example.
const sample = 5
