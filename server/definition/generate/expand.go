package main

import "sort"

// expandAll expands every value set named.
func expandAll(src *source, urls map[string]bool) map[string]valueSet {
	out := map[string]valueSet{}
	for url := range urls {
		x := newExpansion()
		x.addSet(src, url, map[string]bool{})
		out[url] = x.result()
	}
	return out
}

// expansion is a set of codes, and of systems about which nothing can be said.
type expansion struct {
	codes map[string]map[string]bool
	open  map[string]bool
}

func newExpansion() *expansion {
	return &expansion{codes: map[string]map[string]bool{}, open: map[string]bool{}}
}

func (x *expansion) add(system, code string) {
	if x.codes[system] == nil {
		x.codes[system] = map[string]bool{}
	}
	x.codes[system][code] = true
}

// addSet adds the value set called url; one that the package lacks makes the result open.
func (x *expansion) addSet(src *source, url string, visiting map[string]bool) {
	set := src.valueSets[unversioned(url)]
	if set == nil || visiting[set.URL] {
		x.open["*"] = true
		return
	}
	visiting[set.URL] = true
	defer delete(visiting, set.URL)
	own := newExpansion()
	for _, include := range set.Compose.Include {
		own.include(src, include, visiting)
	}
	for _, exclude := range set.Compose.Exclude {
		gone := newExpansion()
		gone.include(src, exclude, visiting)
		for system, codes := range gone.codes {
			for code := range codes {
				delete(own.codes[system], code)
			}
		}
	}
	if len(set.Compose.Include) == 0 {
		own.open["*"] = true
	}
	x.union(own)
}

func (x *expansion) union(o *expansion) {
	for system, codes := range o.codes {
		for code := range codes {
			x.add(system, code)
		}
	}
	for system := range o.open {
		x.open[system] = true
	}
}

// include adds one compose.include: the codes of a system, limited to every value set it names.
func (x *expansion) include(src *source, in rawInclude, visiting map[string]bool) {
	if in.System == "" {
		for _, url := range in.ValueSet {
			x.addSet(src, url, visiting)
		}
		return
	}
	if len(in.ValueSet) > 0 {
		x.open[in.System] = true
		return
	}
	if len(in.Concept) > 0 {
		for _, c := range in.Concept {
			x.add(in.System, c.Code)
		}
		return
	}
	system := src.codeSystems[in.System]
	if system == nil || system.Content != "complete" || !x.filtered(system, in) {
		x.open[in.System] = true
	}
}

// filtered adds the codes of system that pass every filter; false when a filter is not understood.
func (x *expansion) filtered(system *rawCodeSystem, in rawInclude) bool {
	var keep map[string]bool
	for _, f := range in.Filter {
		if f.Property != "concept" || f.Op != "is-a" && f.Op != "descendent-of" {
			return false
		}
		below := descendants(system, f.Value)
		if f.Op == "is-a" {
			below[f.Value] = true
		}
		if keep == nil {
			keep = below
			continue
		}
		for code := range keep {
			if !below[code] {
				delete(keep, code)
			}
		}
	}
	walk(system.Concept, func(c rawConcept) {
		if keep == nil || keep[c.Code] {
			x.add(system.URL, c.Code)
		}
	})
	return true
}

func walk(concepts []rawConcept, visit func(rawConcept)) {
	for _, c := range concepts {
		visit(c)
		walk(c.Concept, visit)
	}
}

// descendants follows nesting and the subsumedBy and parent properties.
func descendants(system *rawCodeSystem, root string) map[string]bool {
	children := map[string][]string{}
	var link func([]rawConcept, string)
	link = func(concepts []rawConcept, parent string) {
		for _, c := range concepts {
			if parent != "" {
				children[parent] = append(children[parent], c.Code)
			}
			for _, p := range c.Property {
				if p.Code == "subsumedBy" || p.Code == "parent" {
					children[p.ValueCode] = append(children[p.ValueCode], c.Code)
				}
			}
			link(c.Concept, c.Code)
		}
	}
	link(system.Concept, "")
	out := map[string]bool{}
	var mark func(string)
	mark = func(code string) {
		for _, child := range children[code] {
			if !out[child] {
				out[child] = true
				mark(child)
			}
		}
	}
	mark(root)
	return out
}

func (x *expansion) result() valueSet {
	var out valueSet
	for system, codes := range x.codes {
		if len(codes) == 0 || x.open[system] {
			continue
		}
		list := make([]string, 0, len(codes))
		for code := range codes {
			list = append(list, code)
		}
		sort.Strings(list)
		if out.Codes == nil {
			out.Codes = map[string][]string{}
		}
		out.Codes[system] = list
	}
	for system := range x.open {
		out.Open = append(out.Open, system)
	}
	sort.Strings(out.Open)
	return out
}
