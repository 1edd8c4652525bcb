package search

import (
	"slices"
	"strings"

	"bulkhead/server/definition"
)

// criterion understands a parameter of the given types: name may be a chain. depth counts the
// steps of chains around it.
func (p *parser) criterion(plans []*plan, name string, pair Pair, depth int) (criterion, error) {
	if depth > MaxChain {
		return nil, tooCostly(pair.Name, "A chain may have %d steps at most.", MaxChain)
	}
	if depth > 0 {
		for _, one := range plans {
			if !slices.Contains(p.s.Reached, one.typ.Name) {
				p.s.Reached = append(p.s.Reached, one.typ.Name)
			}
		}
	}
	if rest, ok := strings.CutPrefix(name, hasPrefix); ok {
		return p.has(plans, rest, pair, depth)
	}
	head, tail, chained := strings.Cut(name, ".")
	code, modifier, _ := strings.Cut(head, ":")
	if chained {
		return p.chain(plans, code, modifier, tail, pair, depth)
	}
	switch code {
	case idParam:
		return p.ids(plans, modifier, pair)
	case updatedParam:
		return p.updated(plans, modifier, pair)
	case typeParam:
		return p.typeFilter(modifier, pair)
	case "_list":
		if modifier != "" || p.set.ResourceType("List") == nil {
			return nil, unknown(pair.Name, "_list takes no modifier.")
		}
		return p.has(plans, "List:item:_id", pair, depth)
	}
	fields, err := p.fields(plans, code, pair.Name)
	if err != nil {
		return nil, err
	}
	for _, f := range fields {
		if f.x.param.Type != fields[0].x.param.Type {
			return nil, unknown(pair.Name, "%q is not the same kind of parameter in all types that are searched.", code)
		}
	}
	if modifier == "missing" {
		return p.missing(fields, pair)
	}
	values, err := alternatives(pair)
	if err != nil {
		return nil, err
	}
	return p.typed(fields, modifier, values, pair.Name)
}

// alternatives splits a value at its commas.
func alternatives(pair Pair) ([]string, error) {
	values := split(pair.Value, ',')
	if len(values) > MaxValues {
		return nil, tooCostly(pair.Name, "A parameter may have %d values at most.", MaxValues)
	}
	for _, v := range values {
		if v == "" {
			return nil, wrong(pair.Name, "A value is empty.")
		}
		if len(v) > maxValue {
			return nil, tooCostly(pair.Name, "A value may have %d bytes at most.", maxValue)
		}
	}
	return values, nil
}

// typed understands the values of a parameter by its type.
func (p *parser) typed(fields []field, modifier string, values []string, name string) (criterion, error) {
	switch fields[0].x.param.Type {
	case definition.TokenParam:
		return p.token(fields, modifier, values, name)
	case definition.StringParam:
		return p.text(fields, modifier, values, name)
	case definition.DateParam:
		return p.date(fields, modifier, values, name)
	case definition.NumberParam:
		return p.number(fields, modifier, values, name, false)
	case definition.QuantityParam:
		return p.number(fields, modifier, values, name, true)
	case definition.ReferenceParam:
		return p.reference(fields, modifier, values, name)
	case definition.URIParam:
		return p.uri(fields, modifier, values, name)
	case definition.CompositeParam:
		return p.composite(fields, modifier, values, name)
	default:
		return nil, unknown(name, "Parameters of type %s are not supported.", fields[0].x.param.Type)
	}
}

func unsupportedModifier(name, modifier string) error {
	return unknown(name, "The modifier :%s is not supported for this parameter.", cut(modifier, 64))
}

func badEscape(name string) error {
	return wrong(name, `A backslash must be followed by , | $ or another backslash.`)
}

func (p *parser) missing(fields []field, pair Pair) (criterion, error) {
	switch pair.Value {
	case "true", "false":
		return missing{fields: fields, want: pair.Value == "true"}, nil
	default:
		return nil, wrong(pair.Name, ":missing must be true or false.")
	}
}

func (p *parser) ids(plans []*plan, modifier string, pair Pair) (criterion, error) {
	if modifier == "missing" && (pair.Value == "true" || pair.Value == "false") {
		return constant{holds: pair.Value == "false"}, nil
	}
	if modifier != "" && modifier != "not" {
		return nil, unsupportedModifier(pair.Name, modifier)
	}
	values, err := alternatives(pair)
	if err != nil {
		return nil, err
	}
	one := &ids{types: typeIDs(plans)}
	for _, v := range values {
		text, ok := unescape(v)
		if !ok {
			return nil, badEscape(pair.Name)
		}
		one.ids = append(one.ids, cut(text, maxKey))
	}
	if modifier == "not" {
		return not{inner: one}, nil
	}
	return one, nil
}

func typeIDs(plans []*plan) []int16 {
	out := make([]int16, len(plans))
	for i, p := range plans {
		out[i] = p.typeID
	}
	return out
}

func (p *parser) updated(plans []*plan, modifier string, pair Pair) (criterion, error) {
	if modifier == "missing" && (pair.Value == "true" || pair.Value == "false") {
		return constant{holds: pair.Value == "false"}, nil
	}
	if modifier != "" {
		return nil, unsupportedModifier(pair.Name, modifier)
	}
	values, err := alternatives(pair)
	if err != nil {
		return nil, err
	}
	list, err := p.intervals(values, pair.Name)
	return &updated{types: typeIDs(plans), any: list}, err
}

// typeFilter is _type where the types are given already, or at the end of a chain.
func (p *parser) typeFilter(modifier string, pair Pair) (criterion, error) {
	if modifier != "" {
		return nil, unsupportedModifier(pair.Name, modifier)
	}
	var wanted []int16
	for name := range strings.SplitSeq(pair.Value, ",") {
		if p.set.ResourceType(name) == nil {
			return nil, wrong(pair.Name, "%q is no resource type of FHIR %s.", cut(name, 64), p.set.Version.Number())
		}
		id, _ := definition.TypeID(name)
		wanted = append(wanted, id)
	}
	return typeIs{types: wanted}, nil
}

// typeIs holds for resources of some types.
type typeIs struct {
	testOnly
	types []int16
}

func (t typeIs) test(c *compiler, at place) string {
	return at.typ + " = ANY(" + c.arg(t.types, "smallint[]") + ")"
}

func (p *parser) token(fields []field, modifier string, values []string, name string) (criterion, error) {
	t := &tokens{fields: fields}
	switch modifier {
	case "", "not":
	case "text":
		return p.text(fields, "", values, name)
	case "of-type":
		return p.ofType(fields, values, name)
	case "in", "not-in":
		return p.inValueSet(fields, modifier, values, name)
	case "above", "below":
		return p.subsumed(fields, modifier, values, name)
	default:
		return nil, unsupportedModifier(name, modifier)
	}
	for _, text := range values {
		v, err := parseToken(text, name)
		if err != nil {
			return nil, err
		}
		t.values = append(t.values, v)
	}
	if modifier == "not" {
		return not{inner: t}, nil
	}
	return t, nil
}

// parseToken reads code, system|code, |code and system|.
func parseToken(text, name string) (tokenValue, error) {
	parts := split(text, '|')
	if len(parts) > 1 {
		// A second bar can only belong to the code.
		parts = []string{parts[0], strings.Join(parts[1:], "|")}
	}
	for i, part := range parts {
		plain, ok := unescape(part)
		if !ok {
			return tokenValue{}, badEscape(name)
		}
		parts[i] = plain
	}
	if len(parts) == 1 {
		return tokenValue{code: parts[0], anySystem: true}, nil
	}
	v := tokenValue{system: parts[0], code: parts[1], anyCode: parts[1] == ""}
	if v.system == "" && v.code == "" {
		return v, wrong(name, "A token must be code, system|code, |code or system|.")
	}
	return v, nil
}

// ofType reads system|code|value: the type and value of an Identifier.
func (p *parser) ofType(fields []field, values []string, name string) (criterion, error) {
	t := &tokens{fields: fields, param: func(e entry) int32 {
		return definition.ParamID(e.field.plan.typ.Name, e.field.x.param.Code+ofTypeSuffix)
	}}
	for _, text := range values {
		parts := split(text, '|')
		if len(parts) != 3 {
			return nil, wrong(name, "A value of :of-type must be system|code|value.")
		}
		for i, part := range parts {
			plain, ok := unescape(part)
			if !ok || plain == "" {
				return nil, wrong(name, "A value of :of-type must be system|code|value.")
			}
			parts[i] = plain
		}
		t.values = append(t.values, tokenValue{system: parts[0] + "|" + parts[1], code: strings.ToLower(parts[2])})
	}
	return t, nil
}

func (p *parser) text(fields []field, modifier string, values []string, name string) (criterion, error) {
	t := &texts{fields: fields}
	switch modifier {
	case "":
		t.mode = textPrefix
	case "exact":
		t.mode = textExact
	case "contains":
		t.mode = textContains
	default:
		return nil, unsupportedModifier(name, modifier)
	}
	for _, v := range values {
		text, ok := unescape(v)
		if !ok {
			return nil, badEscape(name)
		}
		value := newTextValue(text, t.mode)
		if value.folded == "" {
			return nil, wrong(name, "A value has no letters or digits.")
		}
		t.values = append(t.values, value)
	}
	return t, nil
}

func (p *parser) uri(fields []field, modifier string, values []string, name string) (criterion, error) {
	u := &uris{fields: fields}
	for _, v := range values {
		text, ok := unescape(v)
		if !ok {
			return nil, badEscape(name)
		}
		switch modifier {
		case "":
			u.exact = append(u.exact, key(text))
		case "below":
			u.addBelow(text)
		case "above":
			u.addAbove(text)
		default:
			return nil, unsupportedModifier(name, modifier)
		}
	}
	return u, nil
}

func (p *parser) reference(fields []field, modifier string, values []string, name string) (criterion, error) {
	allowed := targetTypes(p.set, fields)
	switch {
	case modifier == "":
	case modifier == "identifier":
		t := &tokens{fields: fields, param: func(e entry) int32 {
			return definition.ParamID(e.field.plan.typ.Name, e.field.x.param.Code+identifierSuffix)
		}}
		for _, text := range values {
			v, err := parseToken(text, name)
			if err != nil {
				return nil, err
			}
			t.values = append(t.values, v)
		}
		return t, nil
	case p.set.ResourceType(modifier) != nil:
		id, _ := definition.TypeID(modifier)
		allowed = []int16{id}
	default:
		return nil, unsupportedModifier(name, modifier)
	}
	r := &references{fields: fields}
	for _, v := range values {
		text, ok := unescape(v)
		if !ok {
			return nil, badEscape(name)
		}
		list, err := p.targets(text, modifier, allowed, name)
		if err != nil {
			return nil, err
		}
		r.targets = append(r.targets, list...)
	}
	return r, nil
}

// targets lists what one value of a reference parameter may mean.
func (p *parser) targets(text, modifier string, allowed []int16, name string) ([]target, error) {
	if typ, id, ok := local(text, p.Base); ok {
		number, _ := definition.TypeID(typ)
		if modifier != "" && typ != modifier {
			return nil, wrong(name, "%s is no %s.", cut(text, 128), modifier)
		}
		if isAbsolute(text) {
			return []target{{number, id}, {0, key(text)}}, nil
		}
		return []target{{number, id}}, nil
	}
	if isAbsolute(text) {
		return []target{{0, key(text)}}, nil
	}
	if !validID(text) {
		return nil, wrong(name, "A reference must be an id, Type/id or a URL.")
	}
	var out []target
	for _, t := range allowed {
		out = append(out, target{t, text})
	}
	if modifier == "" {
		out = append(out, target{0, text})
	}
	return out, nil
}
