package patch

import (
	"math/big"
	"strconv"

	"bulkhead/server/fhir"
)

// Bounds on a patch: a copy operation can double a document each time.
const (
	maxOperations = 2000
	maxSize       = 64 << 20 // bytes of JSON that a patch may add
)

// at returns the value that tokens lead to, or nil.
func at(v *fhir.Value, tokens []string) *fhir.Value {
	for _, token := range tokens {
		switch v.Kind {
		case fhir.Object:
			if v = v.Get(token); v == nil {
				return nil
			}
		case fhir.Array:
			i, ok := arrayIndex(token, len(v.Items)-1)
			if !ok {
				return nil
			}
			v = &v.Items[i]
		default:
			return nil
		}
	}
	return v
}

// arrayIndex reads an index as RFC 6901 wants it: digits without leading zeros, up to last.
func arrayIndex(token string, last int) (int, bool) {
	if token == "" || len(token) > 9 || token[0] == '0' && len(token) > 1 {
		return 0, false
	}
	for _, c := range []byte(token) {
		if c < '0' || c > '9' {
			return 0, false
		}
	}
	i, err := strconv.Atoi(token)
	return i, err == nil && i <= last
}

// edit returns v with the value that tokens lead to replaced by what change makes of it. Only the
// objects and arrays on the way are copied. It is false when the way does not exist or change
// refuses.
func edit(v fhir.Value, tokens []string, change func(fhir.Value) (fhir.Value, bool)) (fhir.Value, bool) {
	if len(tokens) == 0 {
		return change(v)
	}
	switch v.Kind {
	case fhir.Object:
		i := memberIndex(&v, tokens[0])
		if i < 0 {
			return v, false
		}
		inner, ok := edit(v.Members[i].Value, tokens[1:], change)
		if !ok {
			return v, false
		}
		members := append([]fhir.Member(nil), v.Members...)
		members[i].Value = inner
		v.Members = members
		return v, true
	case fhir.Array:
		i, ok := arrayIndex(tokens[0], len(v.Items)-1)
		if !ok {
			return v, false
		}
		inner, ok := edit(v.Items[i], tokens[1:], change)
		if !ok {
			return v, false
		}
		items := append([]fhir.Value(nil), v.Items...)
		items[i] = inner
		v.Items = items
		return v, true
	default:
		return v, false
	}
}

func memberIndex(v *fhir.Value, name string) int {
	for i := range v.Members {
		if v.Members[i].Name == name {
			return i
		}
	}
	return -1
}

// setMember returns an object with a member set: in its place if it is there, else at the end.
func setMember(v fhir.Value, name string, value fhir.Value) fhir.Value {
	members := append([]fhir.Member(nil), v.Members...)
	if i := memberIndex(&v, name); i >= 0 {
		members[i].Value = value
	} else {
		members = append(members, fhir.Member{Name: name, Value: value})
	}
	return fhir.Value{Kind: fhir.Object, Members: members}
}

// dropMember returns an object without a member.
func dropMember(v fhir.Value, name string) fhir.Value {
	members := make([]fhir.Member, 0, len(v.Members))
	for i := range v.Members {
		if v.Members[i].Name != name {
			members = append(members, v.Members[i])
		}
	}
	return fhir.Value{Kind: fhir.Object, Members: members}
}

// insertItem returns an array with one more item before the i-th.
func insertItem(v fhir.Value, i int, item fhir.Value) fhir.Value {
	items := make([]fhir.Value, 0, len(v.Items)+1)
	items = append(append(append(items, v.Items[:i]...), item), v.Items[i:]...)
	return fhir.Value{Kind: fhir.Array, Items: items}
}

// dropItem returns an array without the i-th item.
func dropItem(v fhir.Value, i int) fhir.Value {
	items := make([]fhir.Value, 0, len(v.Items))
	items = append(append(items, v.Items[:i]...), v.Items[i+1:]...)
	return fhir.Value{Kind: fhir.Array, Items: items}
}

// budget counts what a patch adds, and fails it beyond maxSize or fhir.MaxDepth.
type budget struct{ left int }

// take accounts for a value that is put at a depth. It stops as soon as the budget is used up, so
// that its own work is bounded too.
func (b *budget) take(v *fhir.Value, depth int) bool {
	if b.left -= 8 + len(v.Raw); b.left < 0 || depth > fhir.MaxDepth {
		return false
	}
	for i := range v.Members {
		b.left -= len(v.Members[i].Name)
		if !b.take(&v.Members[i].Value, depth+1) {
			return false
		}
	}
	for i := range v.Items {
		if !b.take(&v.Items[i], depth+1) {
			return false
		}
	}
	return true
}

// equal compares as RFC 6902 section 4.6 says: members in any order, numbers by value.
func equal(a, b *fhir.Value) bool {
	if a.Kind != b.Kind {
		return false
	}
	switch a.Kind {
	case fhir.String:
		return a.Raw == b.Raw || a.Text() == b.Text()
	case fhir.Number:
		return a.Raw == b.Raw || sameNumber(a.Raw, b.Raw)
	case fhir.Array:
		if len(a.Items) != len(b.Items) {
			return false
		}
		for i := range a.Items {
			if !equal(&a.Items[i], &b.Items[i]) {
				return false
			}
		}
	case fhir.Object:
		if len(a.Members) != len(b.Members) {
			return false
		}
		for i := range a.Members {
			other := b.Get(a.Members[i].Name)
			if other == nil || !equal(&a.Members[i].Value, other) {
				return false
			}
		}
	}
	return true
}

// sameNumber compares two lexemes. fhir.Parse has seen to it that they fit a float64.
func sameNumber(a, b string) bool {
	x, okX := new(big.Rat).SetString(a)
	y, okY := new(big.Rat).SetString(b)
	return okX && okY && x.Cmp(y) == 0
}
