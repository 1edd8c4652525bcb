package validate

import (
	"strings"
	"unicode/utf8"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
	"bulkhead/server/fhirpath"
)

// place is a value in the document, as profiles look at it.
type place struct {
	name  string // JSON name of the member
	index int    // -1: no item of an array
	item  fhirpath.Item
}

// profiles checks a resource against what it claims to conform to.
func (w *walker) profiles(v *fhir.Value, t *definition.Type, resource *fhirpath.Item, document bool) {
	if w.shelf == nil || w.lenient {
		return
	}
	list := v.Get("meta").Get("profile")
	for i, url := range items(list) {
		p := w.shelf.Profile(url.Text())
		switch {
		case p == nil:
			w.warn(fhir.NotFound, "meta.profile[%d]: the project does not hold the profile %s.", i, quote(url.Text()))
		case p.Type != t:
			w.add(fhir.Invalid, "meta.profile[%d]: %s is a profile of %s.", i, quote(p.URL), p.Type.Name)
		default:
			w.profile(p, resource)
		}
	}
	if document {
		for _, p := range w.further {
			if p.Type == t {
				w.profile(p, resource)
			} else {
				w.add(fhir.Invalid, "%s is a profile of %s.", quote(p.URL), p.Type.Name)
			}
		}
	}
}

// maxProfileDepth bounds profiles that refer to each other in circles.
const maxProfileDepth = 24

// profile checks the value at the current path against a profile.
func (w *walker) profile(p *Profile, it *fhirpath.Item) {
	if w.depth >= maxProfileDepth || w.full() {
		return
	}
	w.depth++
	outer := w.conforming
	w.conforming = p
	w.node(p.root, it)
	w.conforming = outer
	w.depth--
}

// silently runs a check and tells whether it found an error, without noting any.
func (w *walker) silently(check func()) (valid bool) {
	issues, warnings := w.issues, w.warnings
	w.issues, w.warnings = nil, false
	check()
	valid = len(w.issues) == 0
	w.issues, w.warnings = issues, warnings
	return valid
}

// maxProfileWork bounds how many values are compared with a node of a profile, for one document.
const maxProfileWork = 2_000_000

// node checks one value against a node: what it says of the value itself, then of its children.
func (w *walker) node(n *node, it *fhirpath.Item) {
	if w.work++; w.work > maxProfileWork {
		return
	}
	w.nodeValue(n, it)
	for _, child := range n.children {
		if w.full() {
			return
		}
		places := w.children(it, child.name)
		w.count(child, len(places), "")
		for i := range places {
			w.at1(&places[i], func() { w.node(child, &places[i].item) })
		}
		if len(child.slices) > 0 {
			w.slices(child, places)
		}
	}
}

// at1 runs a check with the path of a place.
func (w *walker) at1(p *place, check func()) {
	w.push(p.name, p.index)
	check()
	w.pop()
}

// count checks cardinality; slice names the slice that is counted.
func (w *walker) count(n *node, got int, slice string) {
	what := n.name
	if slice != "" {
		what = "slice " + slice + " of " + n.name
	}
	switch {
	case got < n.min:
		w.addAt(n.name, fhir.Required, "%s: %s must be there at least %d times, but is %d times.", w.conforming.URL, what, n.min, got)
	case n.max != definition.Unbounded && got > n.max:
		w.addAt(n.name, fhir.Structure, "%s: %s may be there at most %d times, but is %d times.", w.conforming.URL, what, n.max, got)
	}
}

// children returns the values of a member by its FHIRPath name ("value") or its JSON name
// ("valueQuantity").
func (w *walker) children(it *fhirpath.Item, name string) []place {
	object, block := it.JSON, blockOf(it)
	if it.Type != nil && it.Type.Format != definition.NoFormat {
		object = it.Extra
	}
	if object == nil || block == nil {
		return nil
	}
	var fields []*definition.Field
	if e := block.Element(name); e != nil {
		fields = e.Fields
	} else if f := block.Field(name); f != nil {
		fields = []*definition.Field{f}
	}
	for _, f := range fields {
		if places := w.members(object, f); len(places) > 0 {
			return places
		}
	}
	return nil
}

// members returns the values of one JSON member, with the _name objects beside primitives.
func (w *walker) members(object *fhir.Value, f *definition.Field) []place {
	v := object.Get(f.Name)
	var extra *fhir.Value
	if f.Type.Format != definition.NoFormat {
		extra = object.Get("_" + f.Name)
	}
	if v == nil && extra == nil {
		return nil
	}
	if !f.Element.Repeats() {
		return []place{{f.Name, -1, w.memberItem(f, v, extra)}}
	}
	n := max(len(items(v)), len(items(extra)))
	out := make([]place, 0, n)
	for i := range n {
		out = append(out, place{f.Name, i, w.memberItem(f, itemAt(v, i), itemAt(extra, i))})
	}
	return out
}

func itemAt(v *fhir.Value, i int) *fhir.Value {
	if v == nil || i >= len(v.Items) || v.Items[i].Kind == fhir.Null {
		return nil
	}
	return &v.Items[i]
}

// memberItem makes the item of a value; that of a resource is of the type it says.
func (w *walker) memberItem(f *definition.Field, v, extra *fhir.Value) fhirpath.Item {
	it := fhirpath.Element(f, v, extra)
	if f.Type == w.core.resource {
		if t := w.set.ResourceType(v.Get("resourceType").Text()); t != nil {
			it.Type = t
		}
	}
	return it
}

// blockOf returns the definition of the members of an item, or nil.
func blockOf(it *fhirpath.Item) *definition.Block {
	if it.Field != nil && it.Type == it.Field.Type {
		return it.Field.Block
	}
	if it.Type == nil {
		return nil
	}
	return it.Type.Block
}

// nodeValue checks what a node says of a value itself.
func (w *walker) nodeValue(n *node, it *fhirpath.Item) {
	url := w.conforming.URL
	if len(n.types) > 0 && it.Field != nil {
		w.nodeTypes(n, it)
	}
	if n.fixed != nil && it.JSON != nil && !equalValue(n.fixed, it.JSON) {
		w.add(fhir.ValueInvalid, "%s: the value must be exactly %s.", url, short(n.fixed))
	}
	if n.pattern != nil && it.JSON != nil && !matchesPattern(n.pattern, it.JSON) {
		w.add(fhir.ValueInvalid, "%s: the value must contain %s.", url, short(n.pattern))
	}
	if n.valueSet != "" && it.JSON != nil && w.inValueSet(n.valueSet, it) == definition.NotMember {
		w.add(fhir.CodeInvalid, "%s: a code of the value set %s is required.", url, n.valueSet)
	}
	if n.limits.maxLength > 0 && utf8.RuneCountInString(it.JSON.Text()) > n.limits.maxLength {
		w.add(fhir.TooLong, "%s: at most %d characters are allowed.", url, n.limits.maxLength)
	}
	for _, limit := range [...]*fhirpath.Expr{n.limits.min, n.limits.max} {
		if limit == nil {
			continue
		}
		if holds, known, err := limit.Test(w.env, it); err == nil && known && !holds {
			w.add(fhir.ValueInvalid, "%s: the value must be so that %s.", url, strings.TrimPrefix(limit.String(), "$this "))
		}
	}
	for i := range n.checks {
		w.nodeCheck(&n.checks[i], it)
	}
}

func (w *walker) nodeCheck(c *nodeCheck, it *fhirpath.Item) {
	if c.warning && !w.warnings {
		return
	}
	switch holds, known, err := c.expr.Test(w.env, it); {
	case err != nil:
		w.warn(fhir.Processing, "%s: %s could not be evaluated: %s", w.conforming.URL, c.key, err)
	case holds || !known:
	case c.warning:
		w.warn(fhir.Invariant, "%s: %s: %s", w.conforming.URL, c.key, c.human)
	default:
		w.add(fhir.Invariant, "%s: %s: %s", w.conforming.URL, c.key, c.human)
	}
}

// nodeTypes checks the type of a value, its own profiles, and the type of what it refers to.
func (w *walker) nodeTypes(n *node, it *fhirpath.Item) {
	var codes []string
	var same []nodeType
	for _, t := range n.types {
		codes = append(codes, t.code)
		if w.isOfType(it, t.code) {
			same = append(same, t)
		}
	}
	if len(same) == 0 {
		w.add(fhir.Structure, "%s: the type must be %s, but it is %s.", w.conforming.URL, strings.Join(codes, " or "), it.TypeName())
		return
	}
	w.typeProfiles(same, it)
	if it.Type == w.reference {
		w.targetProfiles(same, it)
	}
}

func (w *walker) isOfType(it *fhirpath.Item, code string) bool {
	if strings.HasPrefix(code, "http://hl7.org/fhirpath/System.") || it.Type == nil {
		return true
	}
	return w.set.IsSubtype(it.Type.Name, code)
}

// typeProfiles demands that a value conforms to one of the profiles that its type names. A
// profile that the project does not hold cannot be checked.
func (w *walker) typeProfiles(types []nodeType, it *fhirpath.Item) {
	var known []*Profile
	for _, t := range types {
		if len(t.profiles) == 0 {
			return
		}
		for _, url := range t.profiles {
			p := w.shelf.Profile(url)
			if p == nil {
				return
			}
			known = append(known, p)
		}
	}
	if len(known) == 1 {
		w.profile(known[0], it)
		return
	}
	for _, p := range known {
		if w.silently(func() { w.profile(p, it) }) {
			return
		}
	}
	w.add(fhir.Structure, "%s: the value conforms to none of the profiles allowed here.", w.conforming.URL)
}

// targetProfiles checks the type of what a reference points to.
func (w *walker) targetProfiles(types []nodeType, it *fhirpath.Item) {
	literal := it.JSON.Get("reference").Text()
	if literal == "" || w.scope.missing(literal) {
		return
	}
	target, problem := w.target(literal)
	if target == "" || problem != "" {
		return
	}
	var allowedTypes []string
	for _, t := range types {
		if len(t.targets) == 0 {
			return
		}
		for _, url := range t.targets {
			name, core := strings.CutPrefix(url, coreURL)
			if p := w.shelf.Profile(url); p != nil {
				name = p.Type.Name
			} else if !core || w.set.Type(name) == nil {
				return // a profile that is not here may be of any type
			}
			if w.set.IsSubtype(target, name) {
				return
			}
			allowedTypes = append(allowedTypes, name)
		}
	}
	w.addAt("reference", fhir.ValueInvalid, "%s: a reference to %s is not allowed here; expected: %s.",
		w.conforming.URL, target, strings.Join(allowedTypes, ", "))
}

// inValueSet tells whether a coded value belongs to a value set: the set of the specification, or
// what the library says.
func (w *walker) inValueSet(url string, it *fhirpath.Item) definition.Membership {
	has := func(system, code string) definition.Membership {
		plain, _, _ := strings.Cut(url, "|")
		if r := rules[plain]; r != nil {
			return member((system == "" || system == r.system) && r.valid(code))
		}
		if set := w.set.ValueSet(plain); set != nil {
			if system == "" && it.Type.Format != definition.NoFormat {
				return set.HasCode(code)
			}
			return set.Has(system, code)
		}
		return w.shelf.HasCode(url, system, code)
	}
	switch it.Type {
	case w.codeableConcept:
		return anyCoding(items(it.JSON.Get("coding")), has)
	case w.coding, w.quantity:
		code := it.JSON.Get("code")
		if code == nil {
			return definition.Unknown
		}
		return has(it.JSON.Get("system").Text(), code.Text())
	default:
		if it.JSON.Kind != fhir.String {
			return definition.Unknown
		}
		return has("", it.JSON.Text())
	}
}

// anyCoding is the best answer of a list of codings.
func anyCoding(codings []fhir.Value, has func(system, code string) definition.Membership) definition.Membership {
	best := definition.NotMember
	for i := range codings {
		code := codings[i].Get("code")
		if code == nil {
			if codings[i].Get("_code") != nil || codings[i].Get("extension") != nil {
				best = definition.Unknown
			}
			continue
		}
		switch has(codings[i].Get("system").Text(), code.Text()) {
		case definition.Member:
			return definition.Member
		case definition.Unknown:
			best = definition.Unknown
		case definition.NotMember:
		}
	}
	return best
}
