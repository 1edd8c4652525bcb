package fhirpath

import (
	"strings"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
)

// Kind says what an Item is: a node of a JSON tree or a value of a system type.
type Kind uint8

// The kinds of items. All but Node are types of the namespace System.
const (
	Node Kind = iota
	Boolean
	Integer
	Long
	Decimal
	String
	Date
	DateTime
	Time
	Quantity
	TypeInfo
)

var kindNames = [...]string{
	"Node", "Boolean", "Integer", "Long", "Decimal", "String", "Date", "DateTime", "Time", "Quantity", "SimpleTypeInfo",
}

func (k Kind) String() string { return kindNames[k] }

// Item is one member of a collection.
type Item struct {
	// Kind is Node for a part of a resource, otherwise the item is a computed value.
	Kind Kind
	// Type is the FHIR type of a node; nil when it is not known.
	Type *definition.Type
	// Field is how the node is a member of its parent; nil for a root and where not known.
	Field *definition.Field
	// JSON is the node's value; nil when it has none (a primitive with extensions only, or the
	// stand-in for a resource that was resolved by its type alone).
	JSON *fhir.Value
	// Extra is the "_name" sibling of a primitive: its id and extensions. Usually nil.
	Extra *fhir.Value

	sys *Value // of a computed value
}

// Root returns the item for a resource or for any other JSON value. Its type is taken from the
// member resourceType.
func Root(set *definition.Set, v *fhir.Value) Item {
	it := Item{JSON: v}
	if set != nil {
		if name := v.Get("resourceType"); name != nil {
			it.Type = set.ResourceType(name.Text())
		}
	}
	return it
}

// Element returns the item for a value at a known element, as a validator has it in hand.
func Element(field *definition.Field, v, extra *fhir.Value) Item {
	return Item{Type: field.Type, Field: field, JSON: v, Extra: extra}
}

// TypeName returns the unqualified name of the item's type: "Patient", "code", "BackboneElement", "Boolean". For a
// node whose type is not known it is the system type of its JSON kind, or "" for an object.
func (it *Item) TypeName() string {
	if it.Kind != Node {
		return it.Kind.String()
	}
	if it.Type != nil {
		return it.Type.Name
	}
	if k := jsonKind(it.JSON); k != Node {
		return k.String()
	}
	return it.JSON.Get("resourceType").Text()
}

// Namespace returns "FHIR" or "System".
func (it *Item) Namespace() string {
	if it.Kind != Node || it.Type == nil && jsonKind(it.JSON) != Node {
		return "System"
	}
	return "FHIR"
}

// Text returns the item as text where it is a primitive: a string, a number's lexeme, a date in
// its written form. It is "" for everything else.
func (it *Item) Text() string {
	if it.Kind == Node {
		return it.JSON.Text()
	}
	return it.sys.String()
}

// Value returns the system value of a computed item or of a primitive or Quantity node. It is
// false for other nodes and for primitives without a value.
func (it *Item) Value() (Value, bool) {
	if it.Kind != Node {
		return *it.sys, true
	}
	return nodeValue(it)
}

// block returns the definition of the members of a node, or nil.
func (it *Item) block() *definition.Block {
	if it.Field != nil && it.Type == it.Field.Type {
		return it.Field.Block
	}
	if it.Type != nil {
		return it.Type.Block
	}
	return nil
}

// primitive tells whether a node is of a primitive type (or, untyped, no object).
func (it *Item) primitive() bool {
	if it.Type != nil {
		return it.Type.Kind == definition.Primitive
	}
	return it.JSON == nil || it.JSON.Kind != fhir.Object
}

// jsonKind is the system type of a JSON value without a FHIR type; Node for objects.
func jsonKind(v *fhir.Value) Kind {
	if v == nil {
		return Node
	}
	switch v.Kind {
	case fhir.True, fhir.False:
		return Boolean
	case fhir.String:
		return String
	case fhir.Number:
		if strings.ContainsAny(v.Raw, ".eE") {
			return Decimal
		}
		return Integer
	default:
		return Node
	}
}

// primitiveKinds maps the primitive types to system types. Those not listed are strings.
var primitiveKinds = map[string]Kind{
	"boolean": Boolean, "integer": Integer, "positiveInt": Integer, "unsignedInt": Integer, "integer64": Long,
	"decimal": Decimal, "date": Date, "dateTime": DateTime, "instant": DateTime, "time": Time,
}

// systemKind returns the system type that a node converts to; Node if there is none.
func (it *Item) systemKind() Kind {
	switch {
	case it.Kind != Node:
		return it.Kind
	case it.Type == nil:
		return jsonKind(it.JSON)
	case it.Type.Kind == definition.Primitive:
		if it.JSON != nil && it.JSON.Kind == fhir.String {
			switch it.Type.Name {
			case "date", "dateTime", "instant", "time", "integer64":
			default:
				return String
			}
		}
		if k, ok := primitiveKinds[it.Type.Name]; ok {
			return k
		}
		return String
	case isQuantity(it.Type):
		return Quantity
	default:
		return Node
	}
}

func isQuantity(t *definition.Type) bool {
	for ; t != nil; t = t.Base {
		if t.Name == "Quantity" {
			return true
		}
	}
	return false
}
