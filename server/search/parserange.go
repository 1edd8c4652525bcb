package search

import (
	"strings"

	"bulkhead/server/definition"
)

var prefixes = map[string]bool{
	"eq": true, "ne": true, "gt": true, "lt": true, "ge": true, "le": true, "sa": true, "eb": true, "ap": true,
}

// cutPrefix takes the comparison off the start of a value; without one it is eq.
func cutPrefix(text string) (prefix, rest string) {
	if len(text) > 2 && prefixes[text[:2]] {
		return text[:2], text[2:]
	}
	return "eq", text
}

func (p *parser) intervals(values []string, name string) ([]interval, error) {
	var out []interval
	for _, v := range values {
		prefix, text := cutPrefix(v)
		lo, hi, ok := parseDate(text, p.catalog.Offset)
		if !ok {
			return nil, wrong(name, "%q is no date: yyyy, yyyy-mm, yyyy-mm-dd or yyyy-mm-ddThh:mm:ss with a time zone, after an optional prefix.", cut(v, 64))
		}
		out = append(out, dateIntervals(prefix, lo, hi, p.Now.UnixMicro())...)
	}
	return out, nil
}

func (p *parser) date(fields []field, modifier string, values []string, name string) (criterion, error) {
	if modifier != "" {
		return nil, unsupportedModifier(name, modifier)
	}
	list, err := p.intervals(values, name)
	if err != nil {
		return nil, err
	}
	return &datesCriterion{fields: fields, any: list}, nil
}

func (p *parser) number(fields []field, modifier string, values []string, name string, quantity bool) (criterion, error) {
	if modifier != "" {
		return nil, unsupportedModifier(name, modifier)
	}
	n := &numbers{fields: fields}
	for _, v := range values {
		list, err := numberValue(v, name, quantity)
		if err != nil {
			return nil, err
		}
		n.any = append(n.any, list...)
	}
	return n, nil
}

// numberValue reads [prefix]number, and for a quantity number|system|code, number||code and
// number|system.
func numberValue(text, name string, quantity bool) ([]quantityCondition, error) {
	parts := split(text, '|')
	prefix, digits := cutPrefix(parts[0])
	d, ok := parseDecimal(digits)
	if !ok {
		return nil, wrong(name, "%q is no number, after an optional prefix.", cut(parts[0], 64))
	}
	lo, hi := d.bounds()
	if len(parts) > 1 && !quantity || len(parts) > 3 {
		return nil, wrong(name, "A value must be a number, and of a quantity number|system|code.")
	}
	var system, code string
	for i, to := range []*string{&system, &code} {
		if len(parts) > i+1 {
			if *to, ok = unescape(parts[i+1]); !ok {
				return nil, badEscape(name)
			}
		}
	}
	switch {
	case code == "" && system == "":
		return newQuantityConditions(prefix, "", false, d.value, lo, hi), nil
	case system == "":
		return newQuantityConditions(prefix, key("|"+code), false, d.value, lo, hi), nil
	case code == "" && system == ucumSystem:
		// Canonical units say nothing of the unit written, so the number alone is compared.
		return newQuantityConditions(prefix, "", false, d.value, lo, hi), nil
	case code == "":
		return newQuantityConditions(prefix, key(system+"|"), true, d.value, lo, hi), nil
	default:
		unit, factor := systemUnit(system, code)
		return newQuantityConditions(prefix, unit, false, factor(d.value), factor(lo), factor(hi)), nil
	}
}

// composite reads component values joined with $.
func (p *parser) composite(fields []field, modifier string, values []string, name string) (criterion, error) {
	if modifier != "" {
		return nil, unsupportedModifier(name, modifier)
	}
	if len(fields) != 1 {
		return nil, unknown(name, "A composite parameter can be searched in one type at a time.")
	}
	f := fields[0]
	m := &composites{field: f}
	for _, v := range values {
		parts := split(v, '$')
		if len(parts) != len(f.x.compound.parts) {
			return nil, wrong(name, "A value must have %d parts joined with $.", len(f.x.compound.parts))
		}
		var t tuple
		for i, text := range parts {
			one, err := p.component(f, i, text, name)
			if err != nil {
				return nil, err
			}
			t.components = append(t.components, one)
		}
		m.tuples = append(m.tuples, t)
	}
	if !m.stored() && !m.rooted() {
		return constant{}, nil
	}
	if len(m.tuples) == 1 && !m.stored() {
		return allOf{m.tuples[0].components}, nil
	}
	return m, nil
}

// component understands one part. At the root it is a criterion on the parameter that holds the
// component's values; in rows only its values count, and the component's definition says their type.
func (p *parser) component(f field, i int, text, name string) (criterion, error) {
	if text == "" {
		return nil, wrong(name, "A value is empty.")
	}
	one := field{plan: f.plan}
	if root := f.x.compound.root; len(root) > 0 {
		one.x = root[i]
	} else {
		one.x = &indexed{param: f.x.compound.parts[i].param}
		if known := f.plan.byCode[one.x.param.Code]; known != nil && known.param == one.x.param {
			one.x = known
		}
	}
	return p.typed([]field{one}, "", []string{text}, name)
}

// chain understands code[:Type].tail.
func (p *parser) chain(plans []*plan, code, modifier, tail string, pair Pair, depth int) (criterion, error) {
	fields, err := p.fields(plans, code, pair.Name)
	if err != nil {
		return nil, err
	}
	for _, f := range fields {
		if f.x.param.Type != definition.ReferenceParam {
			return nil, wrong(pair.Name, "%q cannot be chained: it is no reference.", code)
		}
	}
	allowed := targetTypes(p.set, fields)
	if modifier != "" {
		id, _ := definition.TypeID(modifier)
		if p.set.ResourceType(modifier) == nil {
			return nil, unsupportedModifier(pair.Name, modifier)
		}
		allowed = []int16{id}
	}
	first, _, _ := strings.Cut(tail, ".")
	first, _, _ = strings.Cut(first, ":")
	var targets []*plan
	for _, id := range allowed {
		one := p.catalog.plan(definition.TypeName(id))
		if one != nil && (one.byCode[first] != nil || first == "_has" || first == typeParam || first == "_list") {
			targets = append(targets, one)
		}
	}
	if len(targets) == 0 {
		return nil, unknown(pair.Name, "No target of %q has a search parameter %q.", code, cut(first, 64))
	}
	inner, err := p.criterion(targets, tail, pair, depth+1)
	if err != nil {
		return nil, err
	}
	return &chain{fields: fields, types: typeIDs(targets), inner: inner}, nil
}

// has understands Type:param:tail behind _has:.
func (p *parser) has(plans []*plan, rest string, pair Pair, depth int) (criterion, error) {
	name, rest, ok1 := strings.Cut(rest, ":")
	code, tail, ok2 := strings.Cut(rest, ":")
	if !ok1 || !ok2 || tail == "" {
		return nil, wrong(pair.Name, "_has must be _has:Type:reference:parameter.")
	}
	source := p.catalog.plan(name)
	if source == nil {
		return nil, wrong(pair.Name, "%q is no resource type of FHIR %s.", cut(name, 64), p.set.Version.Number())
	}
	fields, err := p.fields([]*plan{source}, code, pair.Name)
	if err != nil {
		return nil, err
	}
	if fields[0].x.param.Type != definition.ReferenceParam {
		return nil, wrong(pair.Name, "%s of %s is no reference.", code, name)
	}
	inner, err := p.criterion([]*plan{source}, tail, pair, depth+1)
	if err != nil {
		return nil, err
	}
	return &has{types: typeIDs(plans), fields: fields, inner: inner}, nil
}
