package search

import (
	"strconv"
	"strings"

	"bulkhead/server/definition"
)

// control understands the parameters that shape the result. It is false for all others.
func (p *parser) control(name, modifier string, pair Pair) (bool, error) {
	plain := func(f func(string) error) (bool, error) {
		if modifier != "" {
			return true, unknown(pair.Name, "%s takes no modifier.", name)
		}
		return true, f(pair.Value)
	}
	switch name {
	case "_format", "_pretty":
		return true, nil
	case cursorParam:
		return plain(func(v string) error { p.s.Cursor = v; return nil })
	case "_count":
		return plain(p.count)
	case "_total":
		return plain(p.total)
	case "_summary":
		return plain(p.summary)
	case "_elements":
		return plain(p.elements)
	case "_sort":
		return plain(p.sort)
	case "_include", "_revinclude":
		return true, p.include(name == "_revinclude", modifier, pair)
	case "_contained", "_containedType":
		if name == "_contained" && pair.Value == "false" && modifier == "" {
			return true, nil
		}
		return true, unknown(pair.Name, "Searching in contained resources is not supported.")
	case typeParam:
		if p.Type == "" && modifier == "" {
			return true, nil
		}
		return false, nil
	default:
		return false, nil
	}
}

func (p *parser) count(value string) error {
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 || strings.HasPrefix(value, "+") {
		return wrong("_count", "_count must be a whole number from 0 to %d.", MaxCount)
	}
	p.s.Count = min(n, MaxCount)
	if n == 0 {
		p.s.CountOnly = true // R4 search, _count: 0 is treated as _summary=count
	}
	return nil
}

func (p *parser) total(value string) error {
	if value != "none" && value != "accurate" && value != "estimate" {
		return wrong("_total", "_total must be none, accurate or estimate.")
	}
	p.s.Total = value
	return nil
}

func (p *parser) summary(value string) error {
	switch value {
	case "true", "text", "data", "false":
		p.s.Summary = value
	case "count":
		p.s.CountOnly = true
	default:
		return wrong("_summary", "_summary must be true, text, data, count or false.")
	}
	return nil
}

func (p *parser) elements(value string) error {
	for name := range strings.SplitSeq(value, ",") {
		name = strings.TrimSpace(name)
		if name == "" || len(name) > 128 || len(p.s.Elements) >= 256 {
			return wrong("_elements", "_elements must be a list of element names.")
		}
		p.s.Elements = append(p.s.Elements, name)
	}
	return nil
}

func (p *parser) sort(value string) error {
	for code := range strings.SplitSeq(value, ",") {
		key := sortKey{}
		if rest, falling := strings.CutPrefix(code, "-"); falling {
			key.desc, code = true, rest
		}
		switch code {
		case idParam:
			key.kind = sortID
		case updatedParam:
			key.kind = sortUpdated
		default:
			fields, err := p.fields(p.s.plans, code, "_sort")
			if err != nil {
				return err
			}
			for _, f := range fields {
				if t := f.x.param.Type; t == definition.CompositeParam || t != fields[0].x.param.Type {
					return unknown("_sort", "The results cannot be sorted by %s.", code)
				}
			}
			key.fields = fields
		}
		if p.s.sort = append(p.s.sort, key); len(p.s.sort) > MaxSortKeys {
			return tooCostly("_sort", "_sort may have %d keys at most.", MaxSortKeys)
		}
	}
	return nil
}

// fields finds a parameter by its code in each of the types; all of them must have it.
func (p *parser) fields(plans []*plan, code, name string) ([]field, error) {
	var out []field
	for _, one := range plans {
		x := one.byCode[code]
		if x == nil {
			if len(plans) > 8 {
				return nil, unknown(name, "Not every resource type has a search parameter %q.", cut(code, 64))
			}
			return nil, unknown(name, "%s has no search parameter %q.", one.typ.Name, cut(code, 64))
		}
		if len(x.sources) == 0 && x.compound == nil && !notStored[code] {
			return nil, unknown(name, "The search parameter %q of %s is not supported.", code, one.typ.Name)
		}
		out = append(out, field{one, x})
	}
	return out, nil
}

// include understands Type:param, Type:param:TargetType, Type:* and *.
func (p *parser) include(reverse bool, modifier string, pair Pair) error {
	i := Include{Reverse: reverse}
	switch modifier {
	case "":
	case "iterate", "recurse":
		i.Iterate = true
	default:
		return unknown(pair.Name, "The only modifier of %s is :iterate.", strings.TrimSuffix(pair.Name, ":"+modifier))
	}
	if len(p.s.Includes) >= MaxIncluded {
		return tooCostly(pair.Name, "A query may have %d _include and _revinclude at most.", MaxIncluded)
	}
	parts := strings.Split(pair.Value, ":")
	if pair.Value == wildcardParam && !reverse {
		p.s.Includes = append(p.s.Includes, i)
		return nil
	}
	if len(parts) < 2 || len(parts) > 3 {
		return wrong(pair.Name, "%s must be Type:parameter or Type:parameter:TargetType.", pair.Name)
	}
	source := p.catalog.plan(parts[0])
	if source == nil {
		return wrong(pair.Name, "%q is no resource type of FHIR %s.", cut(parts[0], 64), p.set.Version.Number())
	}
	if err := p.includeFields(&i, source, parts[1], pair.Name); err != nil {
		return err
	}
	if len(parts) == 3 {
		id, ok := definition.TypeID(parts[2])
		if !ok || p.set.ResourceType(parts[2]) == nil {
			return wrong(pair.Name, "%q is no resource type of FHIR %s.", cut(parts[2], 64), p.set.Version.Number())
		}
		i.target = id
	}
	p.s.Includes = append(p.s.Includes, i)
	return nil
}

func (p *parser) includeFields(i *Include, source *plan, code, name string) error {
	if code == wildcardParam {
		for _, x := range source.params {
			if x.param.Type == definition.ReferenceParam && x.stored {
				i.fields = append(i.fields, field{source, x})
			}
		}
		return nil
	}
	x := source.byCode[code]
	if x == nil || x.param.Type != definition.ReferenceParam || len(x.sources) == 0 {
		return wrong(name, "%s has no search parameter %q of type reference.", source.typ.Name, cut(code, 64))
	}
	i.fields = []field{{source, x}}
	return nil
}
