package definition

// Kind tells the three kinds of types apart.
type Kind uint8

// The kinds of types (StructureDefinition.kind).
const (
	Primitive Kind = iota + 1
	Complex
	Resource
)

// Unbounded is the Max of an element that may repeat without limit ("*").
const Unbounded = -1

// Format tells the primitive types apart where a map of names would be too slow.
type Format uint8

// The primitive types of FHIR R4 and R4B; NoFormat for types that are not primitive.
const (
	NoFormat Format = iota
	Boolean
	Integer
	UnsignedInt
	PositiveInt
	Decimal
	String
	Markdown
	Code
	ID
	URI
	URL
	Canonical
	OID
	UUID
	Base64Binary
	Date
	DateTime
	Instant
	Time
	XHTML
)

var formats = map[string]Format{
	"boolean": Boolean, "integer": Integer, "unsignedInt": UnsignedInt, "positiveInt": PositiveInt,
	"decimal": Decimal, "string": String, "markdown": Markdown, "code": Code, "id": ID, "uri": URI,
	"url": URL, "canonical": Canonical, "oid": OID, "uuid": UUID, "base64Binary": Base64Binary,
	"date": Date, "dateTime": DateTime, "instant": Instant, "time": Time, "xhtml": XHTML,
}

// Type is a primitive, complex or resource type.
type Type struct {
	Name     string
	Kind     Kind
	Format   Format // which primitive it is
	Abstract bool
	Base     *Type // nil for Element and Resource
	Platform bool  // a resource type of the platform itself, not of FHIR
	// Constraints hold for every value of the type, those of the base types included.
	// ele-1 is not listed: it holds everywhere.
	Constraints []*Constraint
	// Block lists the members of the type's JSON object. For a primitive they are the members of
	// the object beside the value (_birthDate): id and extension.
	Block *Block

	params     []*SearchParam          // own and inherited, with an expression, by code
	paramsCode map[string]*SearchParam // likewise
}

// Is tells whether t is other or derived from it.
func (t *Type) Is(other *Type) bool {
	for ; t != nil; t = t.Base {
		if t == other {
			return true
		}
	}
	return false
}

// Field returns how the JSON member called name is read in an object of type t, or nil if the
// type has no such member.
func (t *Type) Field(name string) *Field { return t.Block.Field(name) }

// Block is the content of one kind of JSON object: of a type, or of a backbone element.
// An element with a content reference shares the Block of the element it refers to.
type Block struct {
	Path     string     // "Patient", "Patient.contact"; where it is defined
	Elements []*Element // in the order of the specification, inherited ones first
	Required uint64     // bit e.Index is set for each element e with a Min above 0

	fields map[string]*Field
	named  map[string]*Element
}

// Field returns how the JSON member called name is read, or nil if there is no such member.
// Choices have one field for each type ("valueQuantity"). A leading underscore is not understood.
func (b *Block) Field(name string) *Field {
	if b == nil {
		return nil
	}
	return b.fields[name]
}

// Element returns the element with a FHIRPath name ("value" for value[x]), or nil.
func (b *Block) Element(name string) *Element {
	if b == nil {
		return nil
	}
	return b.named[name]
}

// Element is one element definition.
type Element struct {
	Name        string // as in FHIRPath: "value" for value[x]
	Path        string // "Observation.component.value[x]", below the type that defines it
	Index       int    // position in Block.Elements of each block that has it; less than 64
	Min         int
	Max         int // Unbounded, or 0, 1, ...
	Choice      bool
	Modifier    bool
	Summary     bool
	Types       []*TypeRef // never empty
	Fields      []*Field   // the JSON members it can appear as, in the order of Types
	Binding     *Binding   // nil if there is none
	Constraints []*Constraint
	Content     *Block // own members of a backbone element; nil where the type says it all
}

// Repeats tells whether the element is an array in JSON.
func (e *Element) Repeats() bool { return e.Max == Unbounded || e.Max > 1 }

// Field is an element as one JSON member: its name, and the type that goes with the name.
type Field struct {
	Name    string // "birthDate", "valueQuantity"
	Element *Element
	Ref     *TypeRef
	Type    *Type
	// Block lists the members of the value. For the element type Resource it is that of the
	// abstract type: which one it is stands in the value's resourceType.
	Block *Block
}

// TypeRef is one type that an element allows.
type TypeRef struct {
	Type *Type
	// Targets are the resource types that a Reference or canonical may point to; nil means any.
	Targets  []string
	Profiles []string // of the type itself: "SimpleQuantity"
}

// Binding ties a coded element to a value set.
type Binding struct {
	Strength string // required, extensible, preferred or example
	ValueSet string // canonical URL without version; may be empty
	Max      string // value set that codes may not leave although the strength is less; may be empty
}

// Constraint is an invariant.
type Constraint struct {
	Index      int // dense from 0 within the Set, for tables beside it
	Key        string
	Warning    bool // breaking it is no error
	Human      string
	Expression string // FHIRPath; may be empty
}
