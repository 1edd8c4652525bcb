package validate

import (
	"fmt"
	"strconv"
	"strings"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
	"bulkhead/server/fhirpath"
)

// Library answers what profiles refer to. It must stay inside the project.
type Library interface {
	// Profile returns the profile with a canonical URL (with or without |version), or nil if the
	// project does not hold it.
	Profile(url string) *Profile
	// HasCode tells whether a code belongs to a value set; Unknown if that cannot be known. The
	// system is "" for an element of type code.
	HasCode(valueSet, system, code string) definition.Membership
}

// WithProfiles checks resources against the profiles that they name in meta.profile, as far as
// the library has them, and the document also against the further profiles given here.
func WithProfiles(library Library, further ...*Profile) Option {
	return func(w *walker) { w.shelf, w.further = library, further }
}

// Profile is a StructureDefinition that constrains a type, ready to be checked. It is read-only.
type Profile struct {
	URL     string
	Version string
	Type    *definition.Type
	root    *node
}

// node is what a profile says about one element, or about one slice of it.
type node struct {
	name     string // JSON name, or "value" for value[x]
	slice    string // "" for the element as a whole
	min      int
	max      int // definition.Unbounded if the profile does not limit it
	types    []nodeType
	fixed    *fhir.Value
	pattern  *fhir.Value
	valueSet string // required binding
	checks   []nodeCheck
	slicing  *slicing
	slices   []*node
	children []*node
	limits   limits
}

// nodeType is one type that a profile allows for an element.
type nodeType struct {
	code     string
	profiles []string // of the value itself
	targets  []string // of what a reference points to
}

type nodeCheck struct {
	key, human string
	warning    bool
	expr       *fhirpath.Expr
}

// limits are minValue, maxValue (numbers and dates, compared as FHIRPath does) and maxLength.
type limits struct {
	maxLength int
	min, max  *fhirpath.Expr
}

// slicing says how the values of an element are told apart.
type slicing struct {
	discriminators []discriminator
	closed         bool
}

type discriminator struct {
	kind string // value, pattern, exists, type or profile
	path string
	expr *fhirpath.Expr // nil for $this
}

// CompileProfile reads a StructureDefinition. base returns the profile that it builds on when it
// has a differential only; a base that is a type of the specification need not be known. The
// error is a *fhir.Error that says what cannot be used.
func CompileProfile(set *definition.Set, sd *fhir.Value, base func(url string) *Profile) (*Profile, error) {
	p := &Profile{URL: sd.Get("url").Text(), Version: sd.Get("version").Text(), Type: set.Type(sd.Get("type").Text())}
	if p.URL == "" || p.Type == nil {
		return nil, fhir.Errorf(fhir.ValueInvalid, "A profile needs a url, and the type that it constrains must be known.")
	}
	c := profileCompiler{set: set, profile: p}
	if elements := sd.Get("snapshot").Get("element"); elements != nil {
		p.root = newNode(p.Type.Name)
		c.overlay(elements)
		return p, c.err
	}
	url := sd.Get("baseDefinition").Text()
	if name, core := strings.CutPrefix(url, coreURL); core && set.Type(name) != nil {
		p.root = newNode(p.Type.Name)
	} else if b := base(url); b != nil {
		p.root = b.root.clone()
	} else {
		return nil, fhir.Errorf(fhir.NotFound, "The profile %s builds on %s, which is not here.", quote(p.URL), quote(url))
	}
	if elements := sd.Get("differential").Get("element"); elements != nil {
		c.overlay(elements)
	}
	return p, c.err
}

const coreURL = "http://hl7.org/fhir/StructureDefinition/"

func newNode(name string) *node { return &node{name: name, max: definition.Unbounded} }

func (n *node) clone() *node {
	out := *n
	out.slices = cloneAll(n.slices)
	out.children = cloneAll(n.children)
	return &out
}

func cloneAll(list []*node) []*node {
	out := make([]*node, len(list))
	for i, n := range list {
		out[i] = n.clone()
	}
	return out
}

// child returns the child with a name, made if it is not there.
func (n *node) child(name string) *node {
	for _, c := range n.children {
		if c.name == name {
			return c
		}
	}
	c := newNode(name)
	n.children = append(n.children, c)
	return c
}

// sliceOf returns the slice with a name, made if it is not there.
func (n *node) sliceOf(name string) *node {
	for _, s := range n.slices {
		if s.slice == name {
			return s
		}
	}
	s := newNode(n.name)
	s.slice = name
	n.slices = append(n.slices, s)
	return s
}

type profileCompiler struct {
	set     *definition.Set
	profile *Profile
	err     error
}

func (c *profileCompiler) fail(id, format string, args ...any) {
	if c.err == nil {
		c.err = fhir.Errorf(fhir.ValueInvalid, "%s: element %s: %s", c.profile.URL, id, fmt.Sprintf(format, args...))
	}
}

// overlay writes what element definitions say over the tree. Elements are found by their id, or
// by path and slice name where there is none.
func (c *profileCompiler) overlay(elements *fhir.Value) {
	for i := range elements.Items {
		e := &elements.Items[i]
		id := e.Get("id").Text()
		if id == "" {
			id = e.Get("path").Text()
			if slice := e.Get("sliceName").Text(); slice != "" {
				id += ":" + slice
			}
		}
		if n := c.find(id); n != nil {
			c.read(n, id, e)
		}
	}
}

// find walks an element id ("Observation.component:systolic.value[x]") down to its node.
func (c *profileCompiler) find(id string) *node {
	parts := strings.Split(id, ".")
	n := c.profile.root
	for _, part := range parts[1:] {
		name, slice, sliced := strings.Cut(part, ":")
		n = n.child(strings.TrimSuffix(name, "[x]"))
		for sliced {
			var own string
			own, slice, sliced = strings.Cut(slice, "/")
			n = n.sliceOf(own)
		}
	}
	return n
}

func (c *profileCompiler) read(n *node, id string, e *fhir.Value) {
	if v := e.Get("min"); v != nil {
		n.min, _ = strconv.Atoi(v.Text())
	}
	if v := e.Get("max"); v != nil {
		n.max = definition.Unbounded
		if v.Text() != "*" {
			n.max, _ = strconv.Atoi(v.Text())
		}
	}
	if v := e.Get("type"); v != nil && id != c.profile.Type.Name {
		n.types = readTypes(v)
	}
	if b := e.Get("binding"); b != nil && b.Get("strength").Text() == "required" {
		n.valueSet = b.Get("valueSet").Text()
	}
	if s := e.Get("slicing"); s != nil {
		n.slicing = c.readSlicing(id, s)
	}
	if v := e.Get("maxLength"); v != nil {
		n.limits.maxLength, _ = strconv.Atoi(v.Text())
	}
	for i := range e.Members {
		m := &e.Members[i]
		switch {
		case strings.HasPrefix(m.Name, "fixed"):
			n.fixed = &m.Value
		case strings.HasPrefix(m.Name, "pattern"):
			n.pattern = &m.Value
		case strings.HasPrefix(m.Name, "minValue"):
			n.limits.min = c.limit(id, "minValue", ">=", m)
		case strings.HasPrefix(m.Name, "maxValue"):
			n.limits.max = c.limit(id, "maxValue", "<=", m)
		}
	}
	if list := e.Get("constraint"); list != nil {
		c.readConstraints(n, id, list)
	}
}

func readTypes(list *fhir.Value) []nodeType {
	out := make([]nodeType, 0, len(list.Items))
	for i := range list.Items {
		t := nodeType{code: list.Items[i].Get("code").Text()}
		for _, url := range items(list.Items[i].Get("profile")) {
			t.profiles = append(t.profiles, url.Text())
		}
		for _, url := range items(list.Items[i].Get("targetProfile")) {
			t.targets = append(t.targets, url.Text())
		}
		out = append(out, t)
	}
	return out
}

func items(v *fhir.Value) []fhir.Value {
	if v == nil {
		return nil
	}
	return v.Items
}

func (c *profileCompiler) readSlicing(id string, v *fhir.Value) *slicing {
	s := &slicing{closed: v.Get("rules").Text() == "closed"}
	for _, d := range items(v.Get("discriminator")) {
		out := discriminator{kind: d.Get("type").Text(), path: d.Get("path").Text()}
		if out.path != "$this" {
			expr, err := fhirpath.Cached(out.path)
			if err != nil {
				c.fail(id, "the discriminator %s cannot be used", quote(out.path))
				continue
			}
			out.expr = expr
		}
		s.discriminators = append(s.discriminators, out)
	}
	return s
}

// limit compiles minValue[x] and maxValue[x] into a comparison.
func (c *profileCompiler) limit(id, prefix, operator string, m *fhir.Member) *fhirpath.Expr {
	text := m.Value.Text()
	switch strings.TrimPrefix(m.Name, prefix) {
	case "Date", "DateTime", "Instant":
		text = "@" + text
	case "Time":
		text = "@T" + text
	case "Integer", "Decimal", "PositiveInt", "UnsignedInt":
	default:
		return nil // a Quantity: units would have to be compared, which no profile in use needs
	}
	expr, err := fhirpath.Cached("$this " + operator + " " + text)
	if err != nil {
		c.fail(id, "%s cannot be used", m.Name)
	}
	return expr
}

// readConstraints adds the constraints that the base definitions do not have.
func (c *profileCompiler) readConstraints(n *node, id string, list *fhir.Value) {
	for i := range list.Items {
		v := &list.Items[i]
		check := nodeCheck{key: v.Get("key").Text(), human: v.Get("human").Text(), warning: v.Get("severity").Text() == "warning"}
		source := v.Get("expression").Text()
		if source == "" || native[check.key] || c.isBase(v) || n.hasCheck(check.key) {
			continue
		}
		expr, err := fhirpath.Cached(source)
		if err != nil {
			c.fail(id, "the constraint %s cannot be used: %s", check.key, err)
			continue
		}
		check.expr = expr
		n.checks = append(n.checks, check)
	}
}

// isBase tells whether a constraint is repeated from a type of the specification, where the walk
// checks it anyway.
func (c *profileCompiler) isBase(v *fhir.Value) bool {
	name, ok := strings.CutPrefix(v.Get("source").Text(), coreURL)
	return ok && c.set.Type(name) != nil
}

func (n *node) hasCheck(key string) bool {
	for i := range n.checks {
		if n.checks[i].key == key {
			return true
		}
	}
	return false
}
