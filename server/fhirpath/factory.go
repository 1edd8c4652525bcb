package fhirpath

import (
	"encoding/base64"
	"strings"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
)

// factory is %factory.NAME(args): a value of a FHIR type made from its parts (the type factory
// API of the later drafts).
type factory struct {
	name string
	typ  string // of create()
	args []expr
}

// part is one argument of a factory function: the member that it becomes.
type factoryPart struct {
	member string
	list   bool
	typ    string // "" for a string
}

// factoryTypes are the complex types that the factory makes, with the order of their parts.
var factoryTypes = map[string][]factoryPart{
	"Identifier":      {{member: "system"}, {member: "value"}, {member: "use"}, {member: "type", typ: "CodeableConcept"}},
	"HumanName":       {{member: "family"}, {member: "given", list: true}, {member: "prefix", list: true}, {member: "suffix", list: true}, {member: "text"}, {member: "use"}},
	"ContactPoint":    {{member: "system"}, {member: "value"}, {member: "use"}},
	"Address":         {{member: "line", list: true}, {member: "city"}, {member: "state"}, {member: "postalCode"}, {member: "country"}, {member: "use"}, {member: "type"}},
	"Quantity":        {{member: "system"}, {member: "code"}, {member: "value", typ: "decimal"}, {member: "unit"}},
	"Coding":          {{member: "system"}, {member: "code"}, {member: "display"}, {member: "version"}},
	"CodeableConcept": {{member: "coding", list: true, typ: "Coding"}, {member: "text"}},
}

func (c *compiler) factory(n *syntax) expr {
	x := &factory{name: n.name}
	least, most := 1, 2
	switch {
	case n.name == "create":
		least, most = 1, 1
		if len(n.args) == 1 {
			x.typ = parseTypeSpec(n.args[0].typeArgument()).name
		}
	case n.name == "Extension":
		least = 2
	case n.name == "withExtension" || n.name == "withProperty":
		least, most = 3, 3
	case factoryTypes[n.name] != nil:
		most = len(factoryTypes[n.name])
	}
	if len(n.args) < least || len(n.args) > most {
		return c.fail(n, "%factory."+n.name+"() has another number of arguments")
	}
	if x.typ == "" {
		x.args = c.compileAll(n.args)
	}
	return x
}

func (x *factory) eval(ev *evaluator, sc *scope, dst []Item) []Item {
	args := make([][]Item, len(x.args))
	for i, arg := range x.args {
		args[i] = arg.eval(ev, sc, nil)
	}
	if ev.err != nil || !ev.step(10) {
		return dst
	}
	it, ok := x.make(ev, args)
	if !ok {
		ev.fail(invalidArgument, "%%factory.%s() cannot make a value of these arguments.", x.name)
		return dst
	}
	return append(dst, it)
}

func (x *factory) make(ev *evaluator, args [][]Item) (Item, bool) {
	if ev.env.Set == nil {
		return Item{}, false
	}
	name := x.name
	if x.typ != "" {
		name = x.typ
	}
	typ := ev.env.Set.Type(name)
	switch {
	case x.typ != "":
		if typ != nil && typ.Kind == definition.Primitive {
			return Item{Type: typ}, true
		}
		return Item{Type: typ, JSON: &fhir.Value{Kind: fhir.Object}}, typ != nil
	case name == "Extension":
		v, ok := makeExtension(args[0], args[1])
		return Item{Type: typ, JSON: &v}, ok
	case name == "withExtension":
		return withExtension(args)
	case name == "withProperty":
		return withProperty(args)
	case factoryTypes[name] != nil:
		v, ok := makeComplex(factoryTypes[name], args)
		return Item{Type: typ, JSON: &v}, ok
	case typ != nil && typ.Kind == definition.Primitive:
		return makePrimitive(typ, args)
	default:
		return Item{}, false
	}
}

// makePrimitive makes a primitive from its value, which may be missing, and an extension.
func makePrimitive(typ *definition.Type, args [][]Item) (Item, bool) {
	it := Item{Type: typ}
	if len(args[0]) > 1 {
		return it, false
	}
	if len(args[0]) == 1 {
		v, ok := args[0][0].Value()
		if !ok {
			return it, false
		}
		made, ok := primitiveJSON(typ.Name, v)
		if !ok {
			return it, false
		}
		it.JSON = &made
	}
	if len(args) == 2 && len(args[1]) > 0 {
		list := fhir.Value{Kind: fhir.Array}
		for i := range args[1] {
			if args[1][i].Type == nil || args[1][i].Type.Name != "Extension" {
				return it, false
			}
			list.Items = append(list.Items, *args[1][i].JSON)
		}
		it.Extra = object(fhir.Member{Name: "extension", Value: list})
	}
	return it, true
}

func object(members ...fhir.Member) *fhir.Value {
	return &fhir.Value{Kind: fhir.Object, Members: members}
}

// primitiveJSON writes a system value as a FHIR primitive, if it has the format of that type.
func primitiveJSON(typ string, v Value) (fhir.Value, bool) {
	text := v.String()
	switch primitiveKinds[typ] {
	case Boolean:
		b, ok := toBoolean(v)
		if b.Bool {
			return fhir.Value{Kind: fhir.True}, ok
		}
		return fhir.Value{Kind: fhir.False}, ok
	case Integer:
		n, ok := toInteger(v)
		ok = ok && (typ != "positiveInt" || n.Int > 0) && (typ != "unsignedInt" || n.Int >= 0)
		return fhir.Value{Kind: fhir.Number, Raw: n.String()}, ok
	case Decimal:
		d, ok := toDecimal(v)
		if !ok {
			return fhir.Value{}, false
		}
		return fhir.Value{Kind: fhir.Number, Raw: d.String()}, true
	case Date, DateTime, Time:
		m, ok := parseMoment(primitiveKinds[typ], text)
		ok = ok && (typ != "instant" || m.HasZone && m.Precision >= Second)
		return fhir.StringValue(text), ok
	}
	return fhir.StringValue(text), v.Kind == String && hasFormat(typ, text)
}

// hasFormat checks the primitives that are strings.
func hasFormat(typ, s string) bool {
	switch typ {
	case "string", "markdown", "xhtml":
		return s != ""
	case "uri", "url", "canonical":
		return !strings.ContainsAny(s, " \t\r\n")
	case "code":
		return s != "" && strings.Join(strings.Fields(s), " ") == s
	case "id":
		return s != "" && len(s) <= 64 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.") == ""
	case "oid":
		rest, ok := strings.CutPrefix(s, "urn:oid:")
		return ok && len(rest) > 2 && rest[0] <= '2' && rest[0] >= '0' && rest[1] == '.' && strings.Trim(rest, "0123456789.") == ""
	case "uuid":
		rest, ok := strings.CutPrefix(s, "urn:uuid:")
		return ok && len(rest) == 36 && strings.Trim(rest, "0123456789abcdef-") == ""
	case "base64Binary":
		_, err := base64.StdEncoding.DecodeString(s)
		return err == nil
	default:
		return true
	}
}

// makeExtension makes an Extension whose value member is named after the type of the value.
func makeExtension(url, value []Item) (fhir.Value, bool) {
	if len(url) != 1 || len(value) != 1 {
		return fhir.Value{}, false
	}
	u, ok := url[0].plainString()
	if !ok {
		return fhir.Value{}, false
	}
	out := object(fhir.Member{Name: "url", Value: fhir.StringValue(u)})
	it := value[0]
	if it.Kind == Node && it.Type != nil {
		name := "value" + strings.ToUpper(it.Type.Name[:1]) + it.Type.Name[1:]
		addItem(out, name, &it)
		return *out, true
	}
	v, ok := it.Value()
	if !ok || v.Kind == Quantity || v.Kind == TypeInfo {
		return fhir.Value{}, false
	}
	made, ok := primitiveJSON(strings.ToLower(v.Kind.String()[:1])+v.Kind.String()[1:], v)
	out.Members = append(out.Members, fhir.Member{Name: "value" + v.Kind.String(), Value: made})
	return *out, ok
}

// addItem adds a node as a member, with its "_" sibling.
func addItem(out *fhir.Value, name string, it *Item) {
	if it.JSON != nil {
		out.Members = append(out.Members, fhir.Member{Name: name, Value: *it.JSON})
	}
	if it.Extra != nil {
		out.Members = append(out.Members, fhir.Member{Name: "_" + name, Value: *it.Extra})
	}
}

func makeComplex(parts []factoryPart, args [][]Item) (fhir.Value, bool) {
	out := object()
	for i, items := range args {
		part := parts[i]
		if len(items) == 0 {
			continue
		}
		if !part.list && len(items) > 1 {
			return *out, false
		}
		var values []fhir.Value
		for j := range items {
			v, ok := part.value(&items[j])
			if !ok {
				return *out, false
			}
			values = append(values, v)
		}
		member := fhir.Member{Name: part.member, Value: values[0]}
		if part.list {
			member.Value = fhir.Value{Kind: fhir.Array, Items: values}
		}
		out.Members = append(out.Members, member)
	}
	return *out, true
}

func (p factoryPart) value(it *Item) (fhir.Value, bool) {
	switch p.typ {
	case "":
		s, ok := it.plainString()
		return fhir.StringValue(s), ok
	case "decimal":
		v, ok := it.Value()
		if !ok {
			return fhir.Value{}, false
		}
		return primitiveJSON("decimal", v)
	default:
		if it.Kind != Node || it.Type == nil || it.Type.Name != p.typ || it.JSON == nil {
			return fhir.Value{}, false
		}
		return *it.JSON, true
	}
}

// withExtension returns a copy of an instance with one more extension.
func withExtension(args [][]Item) (Item, bool) {
	if len(args[0]) != 1 || args[0][0].Kind != Node {
		return Item{}, false
	}
	ext, ok := makeExtension(args[1], args[2])
	if !ok {
		return Item{}, false
	}
	it := args[0][0]
	holder := &it.JSON
	if it.primitive() {
		holder = &it.Extra
	}
	copied := object()
	list := fhir.Value{Kind: fhir.Array}
	if *holder != nil {
		for _, m := range (*holder).Members {
			if m.Name == "extension" {
				list.Items = append(list.Items, m.Value.Items...)
			} else {
				copied.Members = append(copied.Members, m)
			}
		}
	}
	list.Items = append(list.Items, ext)
	copied.Members = append(copied.Members, fhir.Member{Name: "extension", Value: list})
	*holder = copied
	return it, true
}

// withProperty returns a copy of an instance with a member set.
func withProperty(args [][]Item) (Item, bool) {
	if len(args[0]) != 1 || args[0][0].Kind != Node || len(args[1]) != 1 || len(args[2]) != 1 {
		return Item{}, false
	}
	it, value := args[0][0], args[2][0]
	name, ok := args[1][0].plainString()
	if !ok || it.Type.Field(name) == nil {
		return Item{}, false
	}
	if value.Kind != Node {
		v, _ := value.Value()
		made, ok := primitiveJSON(it.Type.Field(name).Type.Name, v)
		if !ok {
			return Item{}, false
		}
		value = Item{JSON: &made}
	}
	holder := &it.JSON
	if it.primitive() {
		holder = &it.Extra
	}
	copied := object()
	if *holder != nil {
		for _, m := range (*holder).Members {
			if m.Name != name && m.Name != "_"+name {
				copied.Members = append(copied.Members, m)
			}
		}
	}
	addItem(copied, name, &value)
	*holder = copied
	return it, true
}
