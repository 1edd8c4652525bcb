package validate

import (
	"strconv"

	"bulkhead/server/fhir"
)

// equalValue is what fixed[x] demands: the same members and values, arrays in the same order.
// Numbers are compared by value, the order of members does not matter.
func equalValue(want, got *fhir.Value) bool {
	if want.Kind != got.Kind {
		return false
	}
	switch want.Kind {
	case fhir.Object:
		if len(want.Members) != len(got.Members) {
			return false
		}
		for i := range want.Members {
			other := got.Get(want.Members[i].Name)
			if other == nil || !equalValue(&want.Members[i].Value, other) {
				return false
			}
		}
		return true
	case fhir.Array:
		if len(want.Items) != len(got.Items) {
			return false
		}
		for i := range want.Items {
			if !equalValue(&want.Items[i], &got.Items[i]) {
				return false
			}
		}
		return true
	default:
		return equalScalar(want, got)
	}
}

func equalScalar(want, got *fhir.Value) bool {
	if want.Kind != got.Kind {
		return false
	}
	if want.Kind != fhir.Number || want.Raw == got.Raw {
		return want.Text() == got.Text()
	}
	a, err1 := strconv.ParseFloat(want.Raw, 64)
	b, err2 := strconv.ParseFloat(got.Raw, 64)
	return err1 == nil && err2 == nil && a == b
}

// matchesPattern is what pattern[x] demands: every member of the pattern is there and matches,
// and every item of an array in the pattern matches some item.
func matchesPattern(pattern, got *fhir.Value) bool {
	if pattern.Kind != got.Kind {
		return false
	}
	switch pattern.Kind {
	case fhir.Object:
		for i := range pattern.Members {
			other := got.Get(pattern.Members[i].Name)
			if other == nil || !matchesPattern(&pattern.Members[i].Value, other) {
				return false
			}
		}
		return true
	case fhir.Array:
		for i := range pattern.Items {
			if !someMatches(&pattern.Items[i], got.Items) {
				return false
			}
		}
		return true
	default:
		return equalScalar(pattern, got)
	}
}

func someMatches(pattern *fhir.Value, list []fhir.Value) bool {
	for i := range list {
		if matchesPattern(pattern, &list[i]) {
			return true
		}
	}
	return false
}

// short shows a value in an answer.
func short(v *fhir.Value) string {
	const most = 200
	text := string(v.Append(nil))
	if len(text) > most {
		return text[:most] + "..."
	}
	return text
}
