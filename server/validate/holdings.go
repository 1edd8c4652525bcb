package validate

import (
	"strings"
	"sync"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
)

// Holdings is a Library over the StructureDefinitions, ValueSets and CodeSystems of one project
// in memory. Resources are added first; then it may be used by many goroutines at once.
type Holdings struct {
	set         *definition.Set
	structures  map[string]*fhir.Value
	valueSets   map[string]*fhir.Value
	codeSystems map[string]*fhir.Value

	mu       sync.Mutex
	profiles map[string]*Profile // nil while being compiled, and for what cannot be used
	codes    map[string]*codeList
	concepts map[string]*hierarchy
}

// NewHoldings returns holdings without anything in them.
func NewHoldings(set *definition.Set) *Holdings {
	return &Holdings{
		set:        set,
		structures: map[string]*fhir.Value{}, valueSets: map[string]*fhir.Value{}, codeSystems: map[string]*fhir.Value{},
		profiles: map[string]*Profile{}, codes: map[string]*codeList{}, concepts: map[string]*hierarchy{},
	}
}

// Add takes a resource in; what is no definition is passed over. Of two with one canonical URL
// the later one is found without a version.
func (h *Holdings) Add(v *fhir.Value) {
	var shelf map[string]*fhir.Value
	switch v.Get("resourceType").Text() {
	case "StructureDefinition":
		shelf = h.structures
	case "ValueSet":
		shelf = h.valueSets
	case "CodeSystem":
		shelf = h.codeSystems
	default:
		return
	}
	url := v.Get("url").Text()
	shelf[url] = v
	if version := v.Get("version").Text(); version != "" {
		shelf[url+"|"+version] = v
	}
}

// held finds a resource by its canonical URL; another version stands in for one that is not held.
func held(shelf map[string]*fhir.Value, url string) *fhir.Value {
	if v := shelf[url]; v != nil {
		return v
	}
	plain, _, _ := strings.Cut(url, "|")
	return shelf[plain]
}

// Profile returns a profile; nil for one that is not held or cannot be used (CompileProfile says
// why when it is stored).
func (h *Holdings) Profile(url string) *Profile {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.profile(url)
}

func (h *Holdings) profile(url string) *Profile {
	if p, done := h.profiles[url]; done {
		return p
	}
	sd := held(h.structures, url)
	if sd == nil {
		return nil
	}
	h.profiles[url] = nil // ends circles of base definitions
	p, err := CompileProfile(h.set, sd, h.profile)
	if err != nil {
		return nil
	}
	h.profiles[url] = p
	return p
}

// HasCode tells whether a value set that is held has a code, as far as its compose and the code
// systems held say.
func (h *Holdings) HasCode(valueSet, system, code string) definition.Membership {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.hasCode(valueSet, system, code, 0)
}

// maxValueSetDepth bounds value sets that include each other.
const maxValueSetDepth = 16

func (h *Holdings) hasCode(url, system, code string, depth int) definition.Membership {
	if set := held(h.valueSets, url); set != nil && depth < maxValueSetDepth {
		list := h.codes[url]
		if list == nil {
			list = readCodeList(set)
			h.codes[url] = list
		}
		return h.inList(list, system, code, depth)
	}
	plain, _, _ := strings.Cut(url, "|")
	if set := h.set.ValueSet(plain); set != nil {
		if system == "" {
			return set.HasCode(code)
		}
		return set.Has(system, code)
	}
	return definition.Unknown
}

// codeList is a ValueSet.compose, or its expansion where there is none.
type codeList struct {
	includes, excludes []include
}

type include struct {
	system    string
	codes     map[string]struct{} // nil: not listed
	filters   []filter
	valueSets []string
}

type filter struct{ property, op, value string }

func readCodeList(set *fhir.Value) *codeList {
	out := &codeList{}
	compose := set.Get("compose")
	for _, v := range items(compose.Get("include")) {
		out.includes = append(out.includes, readInclude(&v))
	}
	for _, v := range items(compose.Get("exclude")) {
		out.excludes = append(out.excludes, readInclude(&v))
	}
	if compose == nil {
		out.includes = readExpansion(items(set.Get("expansion").Get("contains")), nil)
	}
	return out
}

func readInclude(v *fhir.Value) include {
	in := include{system: v.Get("system").Text()}
	if concepts := v.Get("concept"); concepts != nil {
		in.codes = make(map[string]struct{}, len(concepts.Items))
		for i := range concepts.Items {
			in.codes[concepts.Items[i].Get("code").Text()] = struct{}{}
		}
	}
	for _, f := range items(v.Get("filter")) {
		in.filters = append(in.filters, filter{f.Get("property").Text(), f.Get("op").Text(), f.Get("value").Text()})
	}
	for _, url := range items(v.Get("valueSet")) {
		in.valueSets = append(in.valueSets, url.Text())
	}
	return in
}

func readExpansion(list []fhir.Value, out []include) []include {
	for i := range list {
		if code := list[i].Get("code").Text(); code != "" {
			out = append(out, include{system: list[i].Get("system").Text(), codes: map[string]struct{}{code: {}}})
		}
		out = readExpansion(items(list[i].Get("contains")), out)
	}
	return out
}

func (h *Holdings) inList(list *codeList, system, code string, depth int) definition.Membership {
	answer := definition.NotMember
	for i := range list.includes {
		answer = either(answer, h.included(&list.includes[i], system, code, depth))
	}
	for i := range list.excludes {
		if answer == definition.NotMember {
			break
		}
		switch h.included(&list.excludes[i], system, code, depth) {
		case definition.Member:
			return definition.NotMember
		case definition.Unknown:
			answer = definition.Unknown
		case definition.NotMember:
		}
	}
	return answer
}

// either is the answer for a union.
func either(a, b definition.Membership) definition.Membership {
	switch {
	case a == definition.Member || b == definition.Member:
		return definition.Member
	case a == definition.Unknown || b == definition.Unknown:
		return definition.Unknown
	default:
		return definition.NotMember
	}
}

// included tells whether one include has a code: its system must, and every value set it names.
func (h *Holdings) included(in *include, system, code string, depth int) definition.Membership {
	answer := definition.Member
	if in.system != "" {
		if system != "" && system != in.system {
			return definition.NotMember
		}
		answer = h.inSystem(in, code)
	}
	for _, url := range in.valueSets {
		switch h.hasCode(url, system, code, depth+1) {
		case definition.NotMember:
			return definition.NotMember
		case definition.Unknown:
			if answer == definition.Member {
				answer = definition.Unknown
			}
		case definition.Member:
		}
	}
	return answer
}

func (h *Holdings) inSystem(in *include, code string) definition.Membership {
	if in.codes != nil {
		_, listed := in.codes[code]
		return member(listed)
	}
	tree := h.hierarchy(in.system)
	if tree == nil {
		return definition.Unknown
	}
	if _, known := tree.parents[code]; !known {
		return member(false)
	}
	for _, f := range in.filters {
		switch {
		case f.property != "concept" || f.op != "is-a" && f.op != "descendent-of" && f.op != "is-not-a":
			return definition.Unknown
		case tree.below(code, f.value, f.op != "descendent-of") == (f.op == "is-not-a"):
			return definition.NotMember
		}
	}
	return definition.Member
}

// hierarchy is a complete code system: each code with the codes right above it.
type hierarchy struct{ parents map[string][]string }

// hierarchy returns the code system with a URL, or nil if it is not held as a whole.
func (h *Holdings) hierarchy(url string) *hierarchy {
	if tree, done := h.concepts[url]; done {
		return tree
	}
	var tree *hierarchy
	if system := held(h.codeSystems, url); system != nil && system.Get("content").Text() == "complete" {
		tree = &hierarchy{map[string][]string{}}
		tree.add(items(system.Get("concept")), "")
	}
	h.concepts[url] = tree
	return tree
}

func (t *hierarchy) add(concepts []fhir.Value, parent string) {
	for i := range concepts {
		c := &concepts[i]
		code := c.Get("code").Text()
		up := t.parents[code]
		if parent != "" {
			up = append(up, parent)
		}
		for _, p := range items(c.Get("property")) {
			if name := p.Get("code").Text(); name == "parent" || name == "subsumedBy" {
				up = append(up, p.Get("valueCode").Text())
			}
		}
		t.parents[code] = up
		t.add(items(c.Get("concept")), code)
	}
}

// below tells whether code is a descendant of root, or root itself where self is true.
func (t *hierarchy) below(code, root string, self bool) bool {
	if code == root {
		return self
	}
	seen := map[string]bool{code: true}
	for queue := []string{code}; len(queue) > 0; queue = queue[1:] {
		for _, up := range t.parents[queue[0]] {
			if up == root {
				return true
			}
			if !seen[up] {
				seen[up] = true
				queue = append(queue, up)
			}
		}
	}
	return false
}
