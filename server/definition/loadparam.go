package definition

import (
	"sort"

	"bulkhead/server/fhir"
)

func (l *loader) readParams(list []fhir.Value) {
	for i := range list {
		def := &list[i]
		p := &SearchParam{
			ID:          def.Get("id").Text(),
			URL:         def.Get("url").Text(),
			Code:        def.Get("code").Text(),
			Type:        ParamType(def.Get("type").Text()),
			Base:        texts(def.Get("base")),
			Expression:  def.Get("expression").Text(),
			Target:      texts(def.Get("target")),
			Comparators: texts(def.Get("comparator")),
			Modifiers:   texts(def.Get("modifier")),
		}
		l.set.params = append(l.set.params, p)
		l.set.paramsURL[p.URL] = p
	}
}

func (l *loader) linkComponents(list []fhir.Value) {
	for i := range list {
		components := items(list[i].Get("component"))
		if len(components) == 0 {
			continue
		}
		p := l.set.paramsURL[list[i].Get("url").Text()]
		for j := range components {
			url := components[j].Get("definition").Text()
			part := l.set.paramsURL[url]
			if part == nil {
				l.fail("%s: no component %s", p.ID, url)
				continue
			}
			p.Components = append(p.Components, Component{part, components[j].Get("expression").Text()})
		}
	}
}

func (l *loader) readCompartments(list []fhir.Value) {
	for i := range list {
		c := &Compartment{
			Code:   list[i].Get("code").Text(),
			URL:    list[i].Get("url").Text(),
			Params: map[string][]string{},
		}
		if params := list[i].Get("params"); params != nil {
			for j := range params.Members {
				c.Params[params.Members[j].Name] = texts(&params.Members[j].Value)
			}
		}
		l.set.compartments[c.Code] = c
	}
}

func (l *loader) readOperations(list []fhir.Value) {
	for i := range list {
		def := &list[i]
		l.set.operations = append(l.set.operations, &Operation{
			Code:     def.Get("code").Text(),
			URL:      def.Get("url").Text(),
			Resource: texts(def.Get("resource")),
			System:   def.Get("system") != nil,
			Type:     def.Get("type") != nil,
			Instance: def.Get("instance") != nil,
			Affects:  def.Get("affects") != nil,
		})
	}
}

// finish makes the sorted lists, and gives each resource type its parameters. One of a derived
// type hides the one of its base with the same code.
func (l *loader) finish() {
	sort.Slice(l.set.params, func(i, j int) bool { return l.set.params[i].ID < l.set.params[j].ID })
	own := map[string][]*SearchParam{}
	for _, p := range l.set.params {
		for _, base := range p.Base {
			own[base] = append(own[base], p)
		}
	}
	for _, name := range sortedKeys(l.set.types) {
		t := l.set.types[name]
		if t.Kind != Resource {
			continue
		}
		if !t.Abstract {
			l.set.resources = append(l.set.resources, t)
		}
		t.paramsCode = map[string]*SearchParam{}
		for base := t; base != nil; base = base.Base {
			for _, p := range own[base.Name] {
				if t.paramsCode[p.Code] == nil {
					t.paramsCode[p.Code] = p
				}
			}
		}
		for _, code := range sortedKeys(t.paramsCode) {
			if p := t.paramsCode[code]; p.Expression != "" {
				t.params = append(t.params, p)
			}
		}
	}
}
