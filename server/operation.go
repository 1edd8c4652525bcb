package server

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"bulkhead/server/fhir"
	"bulkhead/server/search"
)

// operation is what the CapabilityStatement says of one operation of the standard.
type operation struct {
	code  string
	types []string // nil: every resource type
	url   string   // of its OperationDefinition
}

// operations are those that routes lists, by code.
var operations = []operation{
	{code: "everything", types: []string{"Patient"}, url: "http://hl7.org/fhir/OperationDefinition/Patient-everything"},
	{code: "everything", types: []string{"Encounter"}, url: "http://hl7.org/fhir/OperationDefinition/Encounter-everything"},
	{code: "expand", types: []string{"ValueSet"}, url: "http://hl7.org/fhir/OperationDefinition/ValueSet-expand"},
	{code: "lookup", types: []string{"CodeSystem"}, url: "http://hl7.org/fhir/OperationDefinition/CodeSystem-lookup"},
	{code: "meta", url: "http://hl7.org/fhir/OperationDefinition/Resource-meta"},
	{code: "meta-add", url: "http://hl7.org/fhir/OperationDefinition/Resource-meta-add"},
	{code: "meta-delete", url: "http://hl7.org/fhir/OperationDefinition/Resource-meta-delete"},
	{code: "subsumes", types: []string{"CodeSystem"}, url: "http://hl7.org/fhir/OperationDefinition/CodeSystem-subsumes"},
	{code: "translate", types: []string{"ConceptMap"}, url: "http://hl7.org/fhir/OperationDefinition/ConceptMap-translate"},
	{code: "validate", url: "http://hl7.org/fhir/OperationDefinition/Resource-validate"},
	{code: "validate-code", types: []string{"CodeSystem"}, url: "http://hl7.org/fhir/OperationDefinition/CodeSystem-validate-code"},
	{code: "validate-code", types: []string{"ValueSet"}, url: "http://hl7.org/fhir/OperationDefinition/ValueSet-validate-code"},
}

// params is what an operation was given: by the query, and by a Parameters resource in the body.
type params struct{ list []param }

type param struct {
	name  string
	at    string      // expression
	typ   string      // FHIR type of value; "" when it came in the query or is a resource
	value *fhir.Value // nil for a part that has neither value nor resource
}

const maxParams = 200

// readParams reads the parameters of an operation. Those that are not among known are refused: one
// that is left out silently would change what the answer means. body is the Parameters resource
// where the caller has read it.
func (r *request) readParams(body *fhir.Value, known ...string) (*params, error) {
	pairs, err := search.Pairs(r.Request().URL.RawQuery)
	if err != nil {
		return nil, err
	}
	p := &params{}
	for _, pair := range pairs {
		if pair.Name != "_format" && pair.Name != "_pretty" {
			value := fhir.StringValue(pair.Value)
			p.list = append(p.list, param{name: pair.Name, at: pair.Name, value: &value})
		}
	}
	if body == nil && r.Request().Method == http.MethodPost && (r.entry != nil || r.Request().ContentLength != 0) {
		v, err := r.readResource("Parameters")
		if err != nil {
			return nil, err
		}
		body = &v
	}
	if err := p.add(body); err != nil {
		return nil, err
	}
	if len(p.list) > maxParams {
		return nil, fhir.Errorf(fhir.TooCostly, "An operation takes %d parameters at most.", maxParams)
	}
	for _, one := range p.list {
		if !slices.Contains(known, one.name) {
			return nil, fhir.Errorf(fhir.NotSupported, "The operation has no parameter of this name here.").At(one.at)
		}
	}
	return p, nil
}

// add takes the parameters of a Parameters resource.
func (p *params) add(body *fhir.Value) error {
	list := body.Get("parameter")
	if list == nil {
		return nil
	}
	if list.Kind != fhir.Array {
		return fhir.Errorf(fhir.Structure, "A list is expected.").At("Parameters.parameter")
	}
	for i := range list.Items {
		at := "Parameters.parameter[" + strconv.Itoa(i) + "]"
		v := &list.Items[i]
		name := v.Get("name")
		if v.Kind != fhir.Object || name == nil || name.Kind != fhir.String {
			return fhir.Errorf(fhir.Required, "A parameter has a name.").At(at + ".name")
		}
		one := param{name: name.Text(), at: at}
		for j := range v.Members {
			m := &v.Members[j]
			typ, isValue := strings.CutPrefix(m.Name, "value")
			if !isValue && m.Name != "resource" {
				continue
			}
			if one.value != nil {
				return fhir.Errorf(fhir.Structure, "A parameter has one value or one resource.").At(at)
			}
			one.value, one.typ = &m.Value, typ
		}
		p.list = append(p.list, one)
	}
	return nil
}

// all returns the parameters of a name.
func (p *params) all(name string) (found []param) {
	for _, one := range p.list {
		if one.name == name {
			found = append(found, one)
		}
	}
	return found
}

// one returns the only parameter of a name; its value is nil if there is none.
func (p *params) one(name string) (param, error) {
	found := p.all(name)
	switch len(found) {
	case 0:
		return param{}, nil
	case 1:
		return found[0], nil
	default:
		return param{}, fhir.Errorf(fhir.Invalid, "The parameter %s is given more than once.", name).At(found[1].at)
	}
}

// text returns the value of a parameter that is a text; "" if it is not given.
func (p *params) text(name string) (string, error) {
	one, err := p.one(name)
	if err != nil || one.value == nil {
		return "", err
	}
	if one.value.Kind == fhir.Object || one.value.Kind == fhir.Array || one.value.Text() == "" {
		return "", fhir.Errorf(fhir.ValueInvalid, "The parameter %s must have a simple value.", name).At(one.at)
	}
	return one.value.Text(), nil
}

// number returns the value of a parameter that is an integer not below 0; otherwise if it is not
// given.
func (p *params) number(name string, otherwise int) (int, error) {
	text, err := p.text(name)
	if err != nil || text == "" {
		return otherwise, err
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > 1<<30 {
		return 0, fhir.Errorf(fhir.ValueInvalid, "The parameter %s must be an integer that is not negative.", name).At(p.all(name)[0].at)
	}
	return n, nil
}

// flag returns the value of a parameter that is a boolean; false if it is not given.
func (p *params) flag(name string) (bool, error) {
	text, err := p.text(name)
	if err != nil {
		return false, err
	}
	switch text {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	default:
		return false, fhir.Errorf(fhir.ValueInvalid, "The parameter %s must be true or false.", name).At(p.all(name)[0].at)
	}
}

// object returns the value of a parameter that is a resource or of a data type; nil if it is not
// given.
func (p *params) object(name string) (*fhir.Value, error) {
	one, err := p.one(name)
	if err != nil || one.value == nil {
		return nil, err
	}
	if one.value.Kind != fhir.Object {
		return nil, fhir.Errorf(fhir.ValueInvalid, "The parameter %s must be an object, in a Parameters resource.", name).At(one.at)
	}
	return one.value, nil
}

// at is the expression of the first parameter of a name.
func (p *params) at(name string) string {
	if found := p.all(name); len(found) > 0 {
		return found[0].at
	}
	return name
}
