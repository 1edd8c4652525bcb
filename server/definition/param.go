package definition

import "hash/fnv"

// ParamType is the type of a search parameter.
type ParamType string

// The types of search parameters (http://hl7.org/fhir/search-param-type).
const (
	NumberParam    ParamType = "number"
	DateParam      ParamType = "date"
	StringParam    ParamType = "string"
	TokenParam     ParamType = "token"
	ReferenceParam ParamType = "reference"
	CompositeParam ParamType = "composite"
	QuantityParam  ParamType = "quantity"
	URIParam       ParamType = "uri"
	SpecialParam   ParamType = "special"
)

// SearchParam is a SearchParameter. One object stands for all its base types, so Expression may
// be a union whose other parts belong to other types and yield nothing.
type SearchParam struct {
	ID          string // of the SearchParameter resource: "clinical-patient"
	URL         string
	Code        string
	Type        ParamType
	Base        []string
	Expression  string // FHIRPath; empty for those that need their own code (_text, _filter)
	Target      []string
	Comparators []string // empty: the specification does not limit them
	Modifiers   []string // likewise
	Components  []Component
}

// Component is one part of a composite parameter.
type Component struct {
	Param      *SearchParam
	Expression string // evaluated on each node that the composite's expression yields
}

// SearchParams returns the parameters of a type that have an expression, by code: its own and
// those of Resource and DomainResource. For a type that is unknown it is nil.
func (s *Set) SearchParams(typeName string) []*SearchParam {
	t := s.types[typeName]
	if t == nil {
		return nil
	}
	return t.params
}

// SearchParam returns the parameter of a type with a code, or nil. Parameters without an
// expression are found as well.
func (s *Set) SearchParam(typeName, code string) *SearchParam {
	t := s.types[typeName]
	if t == nil {
		return nil
	}
	return t.paramsCode[code]
}

// SearchParamByURL returns the parameter with a canonical URL, or nil.
func (s *Set) SearchParamByURL(url string) *SearchParam { return s.paramsURL[url] }

// AllSearchParams returns every parameter of the release and of the platform, by id.
func (s *Set) AllSearchParams() []*SearchParam { return s.params }

// ParamID is the number that index rows carry for a parameter of a resource type: the 32-bit
// FNV-1a hash of "Type.code" without its top bit. The type is that of the resource that is
// indexed, also for inherited parameters ("Patient._id").
func ParamID(resourceType, code string) int32 {
	h := fnv.New32a()
	h.Write([]byte(resourceType))
	h.Write([]byte{'.'})
	h.Write([]byte(code))
	return int32(h.Sum32() & 0x7fffffff)
}
