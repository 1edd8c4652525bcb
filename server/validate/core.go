package validate

import (
	"sync"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
)

// core is what a release's validators share: the types that rules are about.
type core struct {
	set               *definition.Set
	resource          *definition.Type
	reference         *definition.Type
	codeableReference *definition.Type // nil in R4
	extension         *definition.Type
	coding            *definition.Type
	codeableConcept   *definition.Type
	quantity          *definition.Type
	attachment        *definition.Type
	invariants        []invariant // by Constraint.Index
	fullURL           *definition.Element
	extensionNested   int // index of Extension.extension
	extensionValue    int // index of Extension.value[x]
}

var (
	r4Core  = sync.OnceValue(func() *core { return newCore(definition.For(fhir.R4)) })
	r4bCore = sync.OnceValue(func() *core { return newCore(definition.For(fhir.R4B)) })
)

func coreOf(set *definition.Set) *core {
	if set.Version == fhir.R4B {
		return r4bCore()
	}
	return r4Core()
}

func newCore(set *definition.Set) *core {
	extension := set.Type("Extension")
	return &core{
		set:               set,
		resource:          set.Type("Resource"),
		reference:         set.Type("Reference"),
		codeableReference: set.Type("CodeableReference"),
		extension:         extension,
		coding:            set.Type("Coding"),
		codeableConcept:   set.Type("CodeableConcept"),
		quantity:          set.Type("Quantity"),
		attachment:        set.Type("Attachment"),
		invariants:        compileInvariants(set),
		fullURL:           set.Type("Bundle").Field("entry").Block.Element("fullUrl"),
		extensionNested:   extension.Block.Element("extension").Index,
		extensionValue:    extension.Block.Element("value").Index,
	}
}
