package validate

import (
	"strings"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
	"bulkhead/server/fhirpath"
)

// scope is a resource that is not contained: contained ids and #references are of one scope, and
// urn: references are looked up in the Bundle around it.
type scope struct {
	outer     *scope
	resource  *fhir.Value
	typ       *definition.Type
	contained []contained
	byID      map[string]int // index of contained, where there are many
	inside    bool           // the walk is within a contained resource
	bundle    map[string]*fhir.Value
	isBundle  bool
}

type contained struct {
	id   string
	typ  string
	used bool
}

// find returns the contained resource with an id, or nil.
func (s *scope) find(id string) *contained {
	if s.byID != nil {
		if i, ok := s.byID[id]; ok {
			return &s.contained[i]
		}
		return nil
	}
	for i := range s.contained {
		if s.contained[i].id == id {
			return &s.contained[i]
		}
	}
	return nil
}

// missing tells whether a reference is to a contained resource that is not there.
func (s *scope) missing(text string) bool {
	return len(text) > 1 && text[0] == '#' && s.find(text[1:]) == nil
}

// use notes that something points to a contained resource.
func (s *scope) use(text string) {
	if len(s.contained) > 0 && strings.HasPrefix(text, "#") {
		if c := s.find(text[1:]); c != nil {
			c.used = true
		}
	}
}

// entry returns the resource of the Bundle around s that has a fullUrl, or nil.
func (s *scope) entry(url string) *fhir.Value {
	for outer := s.outer; outer != nil; outer = outer.outer {
		if outer.isBundle {
			return outer.entries()[url]
		}
	}
	return nil
}

func (s *scope) entries() map[string]*fhir.Value {
	if s.bundle != nil {
		return s.bundle
	}
	s.bundle = map[string]*fhir.Value{}
	if list := s.resource.Get("entry"); list != nil {
		for i := range list.Items {
			if url := list.Items[i].Get("fullUrl").Text(); url != "" {
				s.bundle[url] = list.Items[i].Get("resource")
			}
		}
	}
	return s.bundle
}

// resource checks a resource: the document itself, or one inside contained, Bundle.entry or
// Parameters.parameter. want is what the element allows, element nil for the document.
func (w *walker) resource(v *fhir.Value, want *definition.Type, element *definition.Element) {
	if v.Kind != fhir.Object {
		w.add(fhir.Structure, "A resource is expected: an object with resourceType, but this is a JSON %s.", v.Kind)
		return
	}
	name := v.Get("resourceType")
	switch {
	case name == nil:
		w.addAt("resourceType", fhir.Required, "A resource needs the member resourceType.")
		return
	case name.Kind != fhir.String:
		w.addAt("resourceType", fhir.Structure, "resourceType must be a string, but it is a JSON %s.", name.Kind)
		return
	}
	t := w.set.ResourceType(name.Text())
	if t == nil || !t.Is(want) {
		w.addAt("resourceType", fhir.Structure, "%s is no resource type of FHIR %s.", quote(name.Text()), w.set.Version.Number())
		return
	}
	if element == nil {
		w.push(t.Name, -1)
		defer w.pop()
	}
	if element != nil && element.Name == "contained" && w.scope != nil {
		w.contained(v, t)
		return
	}
	w.scope = &scope{outer: w.scope, resource: v, typ: t, isBundle: t.Name == "Bundle"}
	w.gatherContained(v)
	root := fhirpath.Root(w.set, v)
	w.within(v, t, &root, &root)
	w.checkContainedUsed()
	w.scope = w.scope.outer
}

// within checks the content of a resource, with an environment of its own for its invariants.
func (w *walker) within(v *fhir.Value, t *definition.Type, resource, root *fhirpath.Item) {
	outer := w.env
	w.env = w.newEnv(resource, root)
	w.object(v, t.Block, t)
	if !w.lenient {
		w.checkInvariants(t.Constraints, resource)
		w.profiles(v, t, resource, w.scope.outer == nil && !w.scope.inside)
	}
	w.env = outer
}

// gatherContained lists the contained resources before the walk, so that a reference can be
// judged wherever it stands.
func (w *walker) gatherContained(v *fhir.Value) {
	list := v.Get("contained")
	if list == nil || len(list.Items) == 0 {
		return
	}
	w.scope.contained = make([]contained, len(list.Items))
	for i := range list.Items {
		w.scope.contained[i] = contained{
			id:  list.Items[i].Get("id").Text(),
			typ: list.Items[i].Get("resourceType").Text(),
		}
	}
	const few = 16
	if len(list.Items) <= few {
		return
	}
	w.scope.byID = make(map[string]int, len(list.Items))
	for i := range w.scope.contained {
		if _, twice := w.scope.byID[w.scope.contained[i].id]; !twice {
			w.scope.byID[w.scope.contained[i].id] = i
		}
	}
}

// contained checks one contained resource against the rules that hold for it alone: dom-2, dom-4
// and dom-5, and that it has an id of its own.
func (w *walker) contained(v *fhir.Value, t *definition.Type) {
	id := v.Get("id").Text()
	switch {
	case w.scope.inside: // dom-2 has been said by the one around it
	case id == "":
		w.addAt("id", fhir.Required, "A contained resource needs an id, so that it can be referred to.")
	case w.scope.find(id) != &w.scope.contained[w.path[len(w.path)-1].index]:
		w.addAt("id", fhir.Duplicate, "The contained id %s is used twice.", quote(id))
	}
	if v.Get("contained") != nil {
		w.broken("dom-2", "A contained resource must not contain resources itself.")
	}
	meta := v.Get("meta")
	if meta.Get("versionId") != nil || meta.Get("lastUpdated") != nil {
		w.broken("dom-4", "A contained resource must not have meta.versionId or meta.lastUpdated.")
	}
	if meta.Get("security") != nil {
		w.broken("dom-5", "A contained resource must not have meta.security.")
	}
	inside := w.scope.inside
	w.scope.inside = true
	item := fhirpath.Root(w.set, v)
	w.within(v, t, &item, w.env.RootResource)
	w.scope.inside = inside
}

// broken notes that a named invariant is broken.
func (w *walker) broken(key, text string) { w.add(fhir.Invariant, "%s: %s", key, text) }

// checkContainedUsed is dom-3: a contained resource is referred to from elsewhere in the
// resource, or refers to its container.
func (w *walker) checkContainedUsed() {
	for i := range w.scope.contained {
		if c := &w.scope.contained[i]; !c.used && c.id != "" {
			w.push("contained", i)
			w.broken("dom-3", "Nothing in the resource refers to this contained resource, #"+c.id+".")
			w.pop()
		}
	}
}
