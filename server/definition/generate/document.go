package main

// document is the shape of NAME.json.gz; package definition decodes it by hand.
type document struct {
	Constraints      map[string]constraint `json:"constraints"`
	Types            []typeDef             `json:"types"`
	SearchParameters []searchParam         `json:"searchParameters"`
	Compartments     []compartment         `json:"compartments"`
	Operations       []operation           `json:"operations"`
}

type constraint struct {
	Key        string `json:"key,omitempty"` // where it differs from the name in the table
	Severity   string `json:"severity"`
	Human      string `json:"human"`
	Expression string `json:"expression,omitempty"`
}

type typeDef struct {
	Name        string    `json:"name"`
	Kind        string    `json:"kind"` // primitive, complex or resource
	Abstract    bool      `json:"abstract,omitempty"`
	Base        string    `json:"base,omitempty"`
	Constraints []string  `json:"constraints,omitempty"`
	Elements    []element `json:"elements,omitempty"` // own ones; inherited ones come from Base
}

// element is an own element of a type; Path is below the type ("component.value[x]").
type element struct {
	Path        string    `json:"path"`
	Min         int       `json:"min,omitempty"`
	Max         string    `json:"max,omitempty"` // "" means 1
	Types       []typeRef `json:"types,omitempty"`
	Content     string    `json:"content,omitempty"` // path of the element whose children it has
	Binding     *binding  `json:"binding,omitempty"`
	Constraints []string  `json:"constraints,omitempty"`
	Modifier    bool      `json:"modifier,omitempty"`
	Summary     bool      `json:"summary,omitempty"`
}

type typeRef struct {
	Code     string   `json:"code"`
	Targets  []string `json:"targets,omitempty"`
	Profiles []string `json:"profiles,omitempty"`
}

type binding struct {
	Strength string `json:"strength"`
	ValueSet string `json:"valueSet,omitempty"`
	Max      string `json:"max,omitempty"`
}

type searchParam struct {
	ID         string      `json:"id"`
	URL        string      `json:"url"`
	Code       string      `json:"code"`
	Type       string      `json:"type"`
	Base       []string    `json:"base"`
	Expression string      `json:"expression,omitempty"`
	Target     []string    `json:"target,omitempty"`
	Comparator []string    `json:"comparator,omitempty"`
	Modifier   []string    `json:"modifier,omitempty"`
	Component  []component `json:"component,omitempty"`
}

type component struct {
	Definition string `json:"definition"`
	Expression string `json:"expression"`
}

type compartment struct {
	Code   string              `json:"code"`
	URL    string              `json:"url"`
	Params map[string][]string `json:"params"`
}

type operation struct {
	Code     string   `json:"code"`
	URL      string   `json:"url"`
	Resource []string `json:"resource,omitempty"`
	System   bool     `json:"system,omitempty"`
	Type     bool     `json:"type,omitempty"`
	Instance bool     `json:"instance,omitempty"`
	Affects  bool     `json:"affects,omitempty"`
}

// valueSet is an expanded value set: system to codes, and the systems whose codes cannot be
// listed ("*" when not even the systems are known).
type valueSet struct {
	Codes map[string][]string `json:"codes,omitempty"`
	Open  []string            `json:"open,omitempty"`
}
