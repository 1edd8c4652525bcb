package validate

import (
	"strings"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
	"bulkhead/server/fhirpath"
)

// slices sorts the values of an element into its slices and checks each slice.
func (w *walker) slices(n *node, places []place) {
	rules := n.slicing
	if rules == nil {
		rules = w.implied(n)
	}
	members := make([][]*place, len(n.slices))
	for i := range places {
		matched := false
		for s, slice := range n.slices {
			if w.matches(rules, slice, &places[i].item) {
				members[s] = append(members[s], &places[i])
				matched = true
				break
			}
		}
		if !matched && rules.closed {
			w.at1(&places[i], func() {
				w.add(fhir.Structure, "%s: the value fits none of the slices, and no others are allowed: %s.", w.conforming.URL, sliceNames(n))
			})
		}
	}
	for s, slice := range n.slices {
		w.count(slice, len(members[s]), slice.slice)
		for _, p := range members[s] {
			w.at1(p, func() { w.node(slice, &p.item) })
		}
		if len(slice.slices) > 0 {
			again := make([]place, 0, len(members[s]))
			for _, p := range members[s] {
				again = append(again, *p)
			}
			w.slices(slice, again)
		}
	}
}

func sliceNames(n *node) string {
	names := make([]string, len(n.slices))
	for i, s := range n.slices {
		names[i] = s.slice
	}
	return strings.Join(names, ", ")
}

// implied is the slicing of an element that has slices but does not say how: extensions by their
// url, choices by their type.
func (w *walker) implied(n *node) *slicing {
	if n.name == "extension" || n.name == "modifierExtension" {
		return &slicing{discriminators: []discriminator{{kind: "value", path: "url", expr: urlPath}}}
	}
	return &slicing{discriminators: []discriminator{{kind: "type", path: "$this"}}}
}

var urlPath, _ = fhirpath.Cached("url")

// matches tells whether a value belongs to a slice: all discriminators must agree.
func (w *walker) matches(rules *slicing, slice *node, it *fhirpath.Item) bool {
	if len(rules.discriminators) == 0 {
		return w.silently(func() { w.node(slice, it) })
	}
	for i := range rules.discriminators {
		if !w.discriminates(&rules.discriminators[i], slice, it) {
			return false
		}
	}
	return true
}

func (w *walker) discriminates(d *discriminator, slice *node, it *fhirpath.Item) bool {
	if d.path == "url" && it.Type == w.extension {
		if url := w.extensionURL(slice); url != "" {
			return it.JSON.Get("url").Text() == url
		}
	}
	found := []fhirpath.Item{*it}
	if d.expr != nil {
		var err error
		if found, err = d.expr.Append(nil, w.env, it); err != nil {
			return false
		}
	}
	target := slice
	for _, name := range steps(d.path) {
		if target = w.next(target, name); target == nil {
			break
		}
	}
	switch d.kind {
	case "exists":
		return existsAsSaid(target, len(found) > 0)
	case "type":
		return w.anyItem(found, func(x *fhirpath.Item) bool { return target == nil || w.oneType(target, x) })
	case "profile":
		return w.anyItem(found, func(x *fhirpath.Item) bool { return target != nil && w.conforms(target, x) })
	default:
		return w.valueMatches(slice, d.path, found)
	}
}

func (w *walker) anyItem(list []fhirpath.Item, is func(*fhirpath.Item) bool) bool {
	for i := range list {
		if is(&list[i]) {
			return true
		}
	}
	return false
}

// extensionURL is the url of the extension that a slice is for.
func (w *walker) extensionURL(slice *node) string {
	for _, c := range slice.children {
		if c.name == "url" && c.fixed != nil {
			return c.fixed.Text()
		}
	}
	for _, t := range slice.types {
		for _, url := range t.profiles {
			url, _, _ = strings.Cut(url, "|")
			return url
		}
	}
	return ""
}

// lookup finds a child by its name or that of its choice; extension('url') finds the slice.
func (n *node) lookup(name string) *node {
	if url, ok := strings.CutPrefix(name, "extension("); ok {
		url = strings.Trim(url, "')\"")
		for _, c := range n.children {
			for _, s := range c.slices {
				for _, t := range s.types {
					if c.name == "extension" && len(t.profiles) > 0 && t.profiles[0] == url {
						return s
					}
				}
			}
		}
		return nil
	}
	for _, c := range n.children {
		if c.name == name || strings.HasPrefix(c.name, name) && len(c.name) > len(name) && c.name[len(name)] < 'a' {
			return c
		}
	}
	return nil
}

// steps splits a discriminator path into the names that lead down; a quoted url may hold dots.
// Calls of resolve() and ofType() stay where they are: what is resolved is described by the types
// of the node.
func steps(path string) []string {
	var out []string
	start, depth := 0, 0
	add := func(step string) {
		switch {
		case step == "" || step == "$this" || step == "resolve()" || strings.HasPrefix(step, "ofType("):
		default:
			out = append(out, step)
		}
	}
	for i := 0; i < len(path); i++ {
		switch path[i] {
		case '(':
			depth++
		case ')':
			depth--
		case '.':
			if depth == 0 {
				add(path[start:i])
				start = i + 1
			}
		}
	}
	add(path[start:])
	return out
}

func existsAsSaid(target *node, exists bool) bool {
	switch {
	case target == nil:
		return true
	case target.max == 0:
		return !exists
	default:
		return exists || target.min == 0
	}
}

// oneType tells whether an item is of one of a node's types; what is resolved, of one of the
// types that its references may point to.
func (w *walker) oneType(n *node, it *fhirpath.Item) bool {
	if len(n.types) == 0 {
		return true
	}
	for _, t := range n.types {
		if it.Type != nil && it.Type.Kind == definition.Resource && len(t.targets) > 0 {
			for _, url := range t.targets {
				name := strings.TrimPrefix(url, coreURL)
				if p := w.shelf.Profile(url); p != nil {
					name = p.Type.Name
				}
				if w.set.IsSubtype(it.Type.Name, name) {
					return true
				}
			}
			continue
		}
		if w.isOfType(it, t.code) {
			return true
		}
	}
	return false
}

// conforms tells whether an item conforms to a profile that a node names for its type or target.
func (w *walker) conforms(n *node, it *fhirpath.Item) bool {
	for _, t := range n.types {
		for _, url := range append(t.profiles[:len(t.profiles):len(t.profiles)], t.targets...) {
			p := w.shelf.Profile(url)
			if p != nil && it.JSON != nil && it.Type == p.Type && w.silently(func() { w.profile(p, it) }) {
				return true
			}
		}
	}
	return false
}

// valueMatches tells whether what a discriminator finds has the value that the slice asks for:
// fixed, pattern or required binding at the path, or a pattern further up that reaches down to it.
// A slice that asks for nothing there takes every value.
func (w *walker) valueMatches(slice *node, path string, found []fhirpath.Item) bool {
	names := steps(path)
	n := slice
	for i := range names {
		if whole := firstOf(n.fixed, n.pattern); whole != nil && !w.hasParts(reach(whole, names[i:]), found) {
			return false
		}
		if n = w.next(n, names[i]); n == nil {
			return true
		}
	}
	return w.anyItem(found, func(x *fhirpath.Item) bool { return w.hasValue(n, x) })
}

// next returns the node below n with a name; a profile that n's type names may hold it.
func (w *walker) next(n *node, name string) *node {
	if below := n.lookup(name); below != nil {
		return below
	}
	if len(n.types) == 1 && len(n.types[0].profiles) == 1 {
		if p := w.shelf.Profile(n.types[0].profiles[0]); p != nil {
			return p.root.lookup(name)
		}
	}
	return nil
}

// hasParts tells whether one of the items matches each part of a pattern.
func (w *walker) hasParts(parts []*fhir.Value, found []fhirpath.Item) bool {
	for _, part := range parts {
		if !w.anyItem(found, func(x *fhirpath.Item) bool { return x.JSON != nil && matchesPattern(part, x.JSON) }) {
			return false
		}
	}
	return true
}

// hasValue tells whether an item has the value that a node asks for, itself or in what is below.
func (w *walker) hasValue(n *node, it *fhirpath.Item) bool {
	if it.JSON == nil {
		return false
	}
	return (n.fixed == nil || equalValue(n.fixed, it.JSON)) &&
		(n.pattern == nil || matchesPattern(n.pattern, it.JSON)) &&
		(n.valueSet == "" || w.inValueSet(n.valueSet, it) != definition.NotMember) &&
		(len(n.children) == 0 || w.silently(func() { w.node(n, it) }))
}

func firstOf(a, b *fhir.Value) *fhir.Value {
	if a != nil {
		return a
	}
	return b
}

// reach returns the parts of a value at a path of names, through arrays.
func reach(v *fhir.Value, names []string) []*fhir.Value {
	if v == nil {
		return nil
	}
	if v.Kind == fhir.Array {
		var out []*fhir.Value
		for i := range v.Items {
			out = append(out, reach(&v.Items[i], names)...)
		}
		return out
	}
	if len(names) == 0 {
		return []*fhir.Value{v}
	}
	return reach(v.Get(names[0]), names[1:])
}
