package terminology

import (
	"sync"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
)

// Library holds terminology resources by their canonical URLs: those of a project, above those of
// its FHIR release. Resources are added first; then it may be used by many goroutines at once.
type Library struct {
	set  *definition.Set // of a release; nil for a project's own
	base *Library        // asked for what is not here; nil for that of a release

	held map[heldKey]*heldTerm
	maps []string // URLs of the concept maps that were added

	mu sync.Mutex // guards what is made of the resources
}

type heldKey struct{ typ, url, version string }

// heldTerm is a resource and what was made of it: *CodeSystem, *ValueSet or *ConceptMap.
type heldTerm struct {
	value *fhir.Value
	made  any
}

var standards sync.Map // *definition.Set -> *Library

// Standard returns the terminology of a release. It belongs to no project.
func Standard(set *definition.Set) *Library {
	if l, ok := standards.Load(set); ok {
		return l.(*Library)
	}
	l, _ := standards.LoadOrStore(set, &Library{set: set, held: map[heldKey]*heldTerm{}})
	return l.(*Library)
}

// NewLibrary returns a library for the resources of one project, above base.
func NewLibrary(base *Library) *Library {
	return &Library{base: base, held: map[heldKey]*heldTerm{}}
}

// Add takes a resource in; what is no CodeSystem, ValueSet or ConceptMap, or has no URL, is passed
// over. Of two with one URL the later one is found without a version.
func (l *Library) Add(v *fhir.Value) {
	typ, url := v.Get("resourceType").Text(), v.Get("url").Text()
	switch {
	case url == "", typ == "CodeSystem" && v.Get("content").Text() == "supplement":
		return
	case typ == "ConceptMap":
		if l.held[heldKey{typ, url, ""}] == nil {
			l.maps = append(l.maps, url)
		}
	case typ != "CodeSystem" && typ != "ValueSet":
		return
	}
	one := &heldTerm{value: v}
	l.held[heldKey{typ, url, ""}] = one
	if version := v.Get("version").Text(); version != "" {
		l.held[heldKey{typ, url, version}] = one
	}
}

// find returns what was made of the resource with a URL and version, or nil.
func (l *Library) find(typ, url, version string) any {
	l.mu.Lock()
	defer l.mu.Unlock()
	one := l.held[heldKey{typ, url, version}]
	if one == nil && l.set != nil {
		one = l.load(typ, url, version)
	}
	if one == nil {
		return nil
	}
	return one.made
}

// load decodes a resource of the release.
func (l *Library) load(typ, url, version string) *heldTerm {
	t := l.set.Term(typ, url)
	if t == nil || version != "" && version != t.Version {
		return nil
	}
	v, err := t.Value()
	if err != nil {
		return nil
	}
	one := &heldTerm{made: compile(typ, &v, t.Version)}
	l.held[heldKey{typ, url, ""}], l.held[heldKey{typ, url, t.Version}] = one, one
	return one
}

func compile(typ string, v *fhir.Value, version string) any {
	switch typ {
	case "CodeSystem":
		return ReadCodeSystem(v, version)
	case "ValueSet":
		return ReadValueSet(v, version)
	default:
		return ReadConceptMap(v, version)
	}
}

func (l *Library) get(typ, url, version string) any {
	if l == nil || url == "" {
		return nil
	}
	if l.set == nil {
		l.mu.Lock()
		one := l.held[heldKey{typ, url, version}]
		if one != nil && one.made == nil {
			one.made = compile(typ, one.value, "")
		}
		l.mu.Unlock()
		if one != nil {
			return one.made
		}
		return l.base.get(typ, url, version)
	}
	return l.find(typ, url, version)
}

// CodeSystem makes a Library a Resolver.
func (l *Library) CodeSystem(url, version string) *CodeSystem {
	cs, _ := l.get("CodeSystem", url, version).(*CodeSystem)
	return cs
}

// ValueSet makes a Library a Resolver.
func (l *Library) ValueSet(url, version string) *ValueSet {
	vs, _ := l.get("ValueSet", url, version).(*ValueSet)
	return vs
}

// ConceptMap returns the concept map with a URL, or nil.
func (l *Library) ConceptMap(url, version string) *ConceptMap {
	m, _ := l.get("ConceptMap", url, version).(*ConceptMap)
	return m
}

// ConceptMaps returns all concept maps, those of the project first. One of the release whose URL
// the project has taken is left out.
func (l *Library) ConceptMaps() (list []*ConceptMap) {
	seen := map[string]bool{}
	for at := l; at != nil; at = at.base {
		urls := at.maps
		if at.set != nil {
			urls = at.set.Terms("ConceptMap")
		}
		for _, url := range urls {
			if m := at.ConceptMap(url, ""); m != nil && !seen[url] {
				seen[url] = true
				list = append(list, m)
			}
		}
	}
	return list
}
