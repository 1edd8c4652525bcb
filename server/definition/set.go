package definition

import (
	_ "embed"
	"sync"

	"bulkhead/server/fhir"
)

//go:embed r4.json.gz
var r4File []byte

//go:embed r4b.json.gz
var r4bFile []byte

//go:embed r4-valuesets.json.gz
var r4ValueSets []byte

//go:embed r4b-valuesets.json.gz
var r4bValueSets []byte

//go:embed platform.json
var platformFile string

// Set is everything defined in one release.
type Set struct {
	Version fhir.Version

	types        map[string]*Type
	resources    []*Type // concrete, by name
	params       []*SearchParam
	paramsURL    map[string]*SearchParam
	compartments map[string]*Compartment
	operations   []*Operation
	constraints  []*Constraint
	valueSets    func() map[string]*ValueSet
}

var (
	r4Set  = sync.OnceValue(func() *Set { return mustLoad(fhir.R4, r4File, r4ValueSets) })
	r4bSet = sync.OnceValue(func() *Set { return mustLoad(fhir.R4B, r4bFile, r4bValueSets) })
)

// For returns the definitions of version; R4 for a version that is unknown. The first call for a
// version decodes it (some ten milliseconds), later ones cost nothing.
func For(version fhir.Version) *Set {
	if version == fhir.R4B {
		return r4bSet()
	}
	return r4Set()
}

// Type returns the type called name, abstract ones included, or nil.
func (s *Set) Type(name string) *Type { return s.types[name] }

// ResourceType returns the concrete resource type called name, or nil. Platform types are
// resource types too.
func (s *Set) ResourceType(name string) *Type {
	t := s.types[name]
	if t == nil || t.Kind != Resource || t.Abstract {
		return nil
	}
	return t
}

// ResourceTypes returns the concrete resource types, those of the platform included, by name.
func (s *Set) ResourceTypes() []*Type { return s.resources }

// IsSubtype tells whether the type called name is the one called base or derived from it.
func (s *Set) IsSubtype(name, base string) bool {
	t, b := s.types[name], s.types[base]
	return t != nil && b != nil && t.Is(b)
}

// Compartment returns the compartment of a resource type ("Patient"), or nil.
func (s *Set) Compartment(code string) *Compartment { return s.compartments[code] }

// Operations returns the operations that the specification defines, by URL.
func (s *Set) Operations() []*Operation { return s.operations }

// Constraints returns every constraint that a type or element of the release refers to, by Index.
func (s *Set) Constraints() []*Constraint { return s.constraints }

// Compartment says which resources belong to one resource of type Code.
type Compartment struct {
	Code string
	URL  string
	// Params maps a resource type to the codes of the reference parameters that put it into the
	// compartment; "{def}" stands for the resource itself.
	Params map[string][]string
}

// Operation is an OperationDefinition of the specification.
type Operation struct {
	Code     string // without the dollar sign
	URL      string
	Resource []string // types it is defined on
	System   bool
	Type     bool
	Instance bool
	Affects  bool // it may change state, so it needs POST
}
