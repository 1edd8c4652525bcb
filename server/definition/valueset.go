package definition

import "bulkhead/server/fhir"

// ValueSet is an expanded value set. Of an open system it is not known which codes belong.
type ValueSet struct {
	URL   string
	codes map[string]map[string]struct{} // system -> codes
	any   map[string]struct{}            // the codes of all systems together
	open  map[string]struct{}            // "*" means any system
}

// ValueSet returns the value set that a binding names (without version), or nil when the
// release does not hold it. Required and extensible bindings and their maximum sets are held.
func (s *Set) ValueSet(url string) *ValueSet { return s.valueSets()[url] }

// Membership is the answer to whether a code belongs to a value set.
type Membership uint8

// The answers.
const (
	NotMember Membership = iota
	Member
	Unknown // the system's codes cannot be listed
)

// HasCode tells whether a bare code belongs, whatever its system: the case of the type code.
func (v *ValueSet) HasCode(code string) Membership {
	if _, ok := v.any[code]; ok {
		return Member
	}
	if len(v.open) > 0 {
		return Unknown
	}
	return NotMember
}

// Has tells whether a code of a system belongs.
func (v *ValueSet) Has(system, code string) Membership {
	if _, ok := v.codes[system][code]; ok {
		return Member
	}
	if _, ok := v.open[system]; ok {
		return Unknown
	}
	if _, ok := v.open["*"]; ok {
		return Unknown
	}
	return NotMember
}

// Size returns the number of codes that are listed.
func (v *ValueSet) Size() int {
	n := 0
	for _, codes := range v.codes {
		n += len(codes)
	}
	return n
}

// Some returns up to n codes, for a text that says what is expected; nil if there are more.
func (v *ValueSet) Some(n int) []string {
	if len(v.any) > n || len(v.open) > 0 {
		return nil
	}
	return sortedKeys(v.any)
}

func decodeValueSets(doc *fhir.Value) map[string]*ValueSet {
	out := make(map[string]*ValueSet, len(doc.Members))
	for i := range doc.Members {
		m := &doc.Members[i]
		set := &ValueSet{
			URL:   m.Name,
			codes: map[string]map[string]struct{}{},
			any:   map[string]struct{}{},
			open:  map[string]struct{}{},
		}
		if systems := m.Value.Get("codes"); systems != nil {
			for j := range systems.Members {
				system := &systems.Members[j]
				codes := make(map[string]struct{}, len(system.Value.Items))
				for k := range system.Value.Items {
					code := system.Value.Items[k].Text()
					codes[code] = struct{}{}
					set.any[code] = struct{}{}
				}
				set.codes[system.Name] = codes
			}
		}
		for _, system := range texts(m.Value.Get("open")) {
			set.open[system] = struct{}{}
		}
		out[m.Name] = set
	}
	return out
}

// HasSystem tells whether codes of a system can belong.
func (v *ValueSet) HasSystem(system string) bool {
	if _, ok := v.codes[system]; ok {
		return true
	}
	_, ok := v.open[system]
	return ok
}

// Each calls f with every code that is listed, in no order. It is false when the value set has
// codes that cannot be listed.
func (v *ValueSet) Each(f func(system, code string)) bool {
	for system, codes := range v.codes {
		for code := range codes {
			f(system, code)
		}
	}
	return len(v.open) == 0
}
