package terminology

import (
	"strings"

	"bulkhead/server/fhir"
)

// CodeSystem is a CodeSystem resource, ready to be asked. It is read-only.
type CodeSystem struct {
	URL, Version, Name, Title string
	Content                   string // complete, fragment, example, not-present or supplement
	Concepts                  []*Concept

	byCode map[string]*Concept
	folded map[string]*Concept // by lower case; nil if case matters
}

// Concept is a code of a code system.
type Concept struct {
	Code, Display string
	Designations  []fhir.Value // as in the resource
	Properties    []Property
	Parents       []*Concept // right above
	Children      []*Concept // right below
	Abstract      bool       // not to be chosen by a user
	Inactive      bool
	nested        bool // below another concept in the resource
}

// Property is a property of a concept.
type Property struct {
	Code  string
	Type  string     // of the value: Code, Coding, String, Integer, Boolean, DateTime or Decimal
	Value fhir.Value // as in the resource
}

// Text is a property's value as a filter compares it: the code of a Coding.
func (p *Property) Text() string {
	if p.Value.Kind == fhir.Object {
		return p.Value.Get("code").Text()
	}
	return p.Value.Text()
}

// ReadCodeSystem makes a CodeSystem of a resource. version is that of the resource where the
// resource does not say it.
func ReadCodeSystem(v *fhir.Value, version string) *CodeSystem {
	cs := &CodeSystem{
		URL: v.Get("url").Text(), Version: version, Name: v.Get("name").Text(), Title: v.Get("title").Text(),
		Content: v.Get("content").Text(), byCode: map[string]*Concept{},
	}
	if own := v.Get("version").Text(); own != "" {
		cs.Version = own
	}
	if v.Get("caseSensitive").Text() == "false" {
		cs.folded = map[string]*Concept{}
	}
	cs.read(items(v.Get("concept")), nil)
	for _, c := range cs.Concepts {
		cs.link(c)
	}
	return cs
}

func (cs *CodeSystem) read(list []fhir.Value, parent *Concept) {
	for i := range list {
		v := &list[i]
		c := &Concept{Code: v.Get("code").Text(), Display: v.Get("display").Text(), Designations: items(v.Get("designation")), nested: parent != nil}
		for _, p := range items(v.Get("property")) {
			c.property(&p)
		}
		if parent != nil {
			join(parent, c)
		}
		cs.Concepts = append(cs.Concepts, c)
		if cs.byCode[c.Code] == nil {
			cs.byCode[c.Code] = c
		}
		if cs.folded != nil {
			cs.folded[strings.ToLower(c.Code)] = c
		}
		cs.read(items(v.Get("concept")), c)
	}
}

func (c *Concept) property(v *fhir.Value) {
	p := Property{Code: v.Get("code").Text()}
	for _, m := range v.Members {
		if typ, ok := strings.CutPrefix(m.Name, "value"); ok {
			p.Type, p.Value = typ, m.Value
		}
	}
	c.Properties = append(c.Properties, p)
	switch text := p.Text(); p.Code {
	case "notSelectable", "abstract":
		c.Abstract = c.Abstract || text == "true"
	case "inactive":
		c.Inactive = c.Inactive || text == "true"
	case "status":
		c.Inactive = c.Inactive || text == "retired" || text == "deprecated" || text == "inactive"
	}
}

// link follows the properties that place a concept in the hierarchy besides nesting.
func (cs *CodeSystem) link(c *Concept) {
	for i := range c.Properties {
		p := &c.Properties[i]
		other := cs.byCode[p.Text()]
		if other == nil {
			continue
		}
		switch p.Code {
		case "parent", "subsumedBy":
			join(other, c)
		case "child":
			join(c, other)
		}
	}
}

func join(parent, child *Concept) {
	for _, p := range child.Parents {
		if p == parent {
			return
		}
	}
	child.Parents = append(child.Parents, parent)
	parent.Children = append(parent.Children, child)
}

// Find returns the concept with a code, or nil. The case of letters counts unless the code system
// says that it does not.
func (cs *CodeSystem) Find(code string) *Concept {
	if c := cs.byCode[code]; c != nil {
		return c
	}
	return cs.folded[strings.ToLower(code)]
}

// Whole tells whether every code of the system is here, so that what is not here is no code of it.
func (cs *CodeSystem) Whole() bool { return cs.Content == "complete" || cs.Content == "" }

// Subsumes tells whether a is b or above it.
func Subsumes(a, b *Concept) bool {
	if a == b {
		return true
	}
	found := false
	walk(b, func(c *Concept) []*Concept { return c.Parents }, func(c *Concept) bool {
		found = found || c == a
		return !found
	})
	return found
}

// Below lists a concept and all that it subsumes; Above one and all that subsume it.
func Below(c *Concept) []*Concept { return reach(c, func(c *Concept) []*Concept { return c.Children }) }

// Above lists a concept and all that subsume it.
func Above(c *Concept) []*Concept { return reach(c, func(c *Concept) []*Concept { return c.Parents }) }

func reach(c *Concept, next func(*Concept) []*Concept) (list []*Concept) {
	walk(c, next, func(c *Concept) bool {
		list = append(list, c)
		return true
	})
	return list
}

// walk visits each concept that can be reached once; cycles end.
func walk(from *Concept, next func(*Concept) []*Concept, visit func(*Concept) bool) {
	seen := map[*Concept]bool{from: true}
	for queue := []*Concept{from}; len(queue) > 0; queue = queue[1:] {
		if !visit(queue[0]) {
			return
		}
		for _, c := range next(queue[0]) {
			if !seen[c] {
				seen[c] = true
				queue = append(queue, c)
			}
		}
	}
}

func items(v *fhir.Value) []fhir.Value {
	if v == nil {
		return nil
	}
	return v.Items
}
