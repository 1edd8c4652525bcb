package search

import (
	"math"
	"strings"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
	"bulkhead/server/fhir/ucum"
)

// Extract returns the index rows of a resource. base is the URL of the project's FHIR API without
// a slash at the end, or "": absolute references below it are references to the project's own
// resources. It is false when the resource's type is unknown.
//
// Extract never fails on content: what cannot be read as its type says (validation refuses it
// before) has no rows.
func (c *Catalog) Extract(resource *fhir.Value, base string) (*Rows, bool) {
	p := c.plan(resource.Get("resourceType").Text())
	if p == nil {
		return nil, false
	}
	e := extractor{plan: p, base: base, offset: c.Offset}
	e.walker = walker{resource: resource, to: &e}
	e.walker.visit(p.rows, resource, nil, 0)
	e.constants()
	e.rows.finish()
	return &e.rows, true
}

// Extract is Catalog.Extract with the parameters of a release.
func Extract(set *definition.Set, resource *fhir.Value, base string) (*Rows, bool) {
	return Standard(set).Extract(resource, base)
}

// extractor turns the values that the tree selects into rows.
type extractor struct {
	plan   *plan
	base   string
	offset int // see Catalog.Offset
	walker walker
	rows   Rows
}

func (*extractor) enter(string, int) {}
func (*extractor) leave()            {}

func (e *extractor) take(n *node, v, _ *fhir.Value) {
	for _, leaf := range n.leaves {
		e.index(e.plan.params[leaf], n, v)
	}
}

func (e *extractor) index(x *indexed, n *node, v *fhir.Value) {
	if n.typ.Name == "Extension" && x.compound == nil {
		e.extension(x, n, v)
		return
	}
	switch x.param.Type {
	case definition.TokenParam:
		e.token(x, n.typ.Name, v)
	case definition.StringParam:
		e.text(x.id, n.typ.Name, v)
	case definition.DateParam:
		e.date(x.id, n.typ.Name, v)
	case definition.NumberParam:
		e.number(x.id, n.typ.Name, v)
	case definition.QuantityParam:
		e.quantity(x.id, n.typ.Name, v)
	case definition.ReferenceParam:
		e.reference(x, n.typ, v)
	case definition.URIParam:
		e.uri(x.id, v)
	case definition.CompositeParam:
		e.composite(x, n, v)
	}
}

// extension indexes the value of an extension. A few expressions of the specification select the
// extension itself where they mean its value.
func (e *extractor) extension(x *indexed, n *node, v *fhir.Value) {
	for i := range v.Members {
		m := &v.Members[i]
		f := n.block.Field(m.Name)
		if f != nil && strings.HasPrefix(m.Name, "value") && m.Value.Kind != fhir.Null {
			e.index(x, &node{typ: f.Type, block: f.Block}, &m.Value)
		}
	}
}

// constants adds what is indexed although the resource does not say it: a patient without
// deceased[x] has deceased = false.
func (e *extractor) constants() {
	if e.plan.typ.Name != "Patient" || e.walker.resource.Get("deceasedBoolean") != nil || e.walker.resource.Get("deceasedDateTime") != nil {
		return
	}
	if x := e.plan.byCode["deceased"]; x != nil {
		e.addToken(x.id, "", "false")
	}
}

// Suffixes of parameters that have rows of their own: "identifier:of-type", "subject:identifier".
const (
	ofTypeSuffix     = ":of-type"
	identifierSuffix = ":identifier"
)

func (e *extractor) derived(x *indexed, suffix string) int32 {
	return definition.ParamID(e.plan.typ.Name, x.param.Code+suffix)
}

func (e *extractor) addToken(param int32, system, code string) {
	if system == "" && code == "" {
		return
	}
	e.rows.Tokens = append(e.rows.Tokens, Token{Param: param, Code: key(foldCode(system, code)), System: key(system)})
}

func (e *extractor) token(x *indexed, typ string, v *fhir.Value) {
	switch typ {
	case "Coding":
		e.coding(x.id, v)
	case "CodeableConcept":
		if list := v.Get("coding"); list != nil {
			for i := range list.Items {
				e.coding(x.id, &list.Items[i])
			}
		}
		e.addString(x.id, v.Get("text").Text())
	case "Identifier":
		e.addToken(x.id, v.Get("system").Text(), v.Get("value").Text())
		e.identifierType(x, v)
	case "ContactPoint":
		e.addToken(x.id, "", v.Get("value").Text())
	case "Quantity", "Range", "Reference", "Extension", "BackboneElement":
	default:
		if v.Kind == fhir.Object || v.Kind == fhir.Array {
			return
		}
		if x.param.Code == "deceased" && x.param.ID == "Patient-deceased" {
			e.addToken(x.id, "", deceased(v))
			return
		}
		e.addToken(x.id, "", v.Text())
	}
}

// deceased is the value of Patient.deceased.exists() and Patient.deceased != false.
func deceased(v *fhir.Value) string {
	if v.Kind == fhir.False {
		return "false"
	}
	return "true"
}

func (e *extractor) coding(param int32, v *fhir.Value) {
	e.addToken(param, v.Get("system").Text(), v.Get("code").Text())
	e.addString(param, v.Get("display").Text())
}

// identifierType adds what :of-type searches: code = the identifier's value, system = system and
// code of its type.
func (e *extractor) identifierType(x *indexed, v *fhir.Value) {
	value := v.Get("value").Text()
	list := v.Get("type").Get("coding")
	if list == nil || value == "" {
		return
	}
	for i := range list.Items {
		c := &list.Items[i]
		if code := c.Get("code").Text(); code != "" {
			e.rows.Tokens = append(e.rows.Tokens, Token{
				Param: e.derived(x, ofTypeSuffix), Code: key(foldCode("", value)),
				System: key(c.Get("system").Text() + "|" + code),
			})
		}
	}
}

func (e *extractor) addString(param int32, text string) {
	if text == "" {
		return
	}
	if folded := Fold(text); folded != "" {
		e.rows.Strings = append(e.rows.Strings, String{Param: param, Value: folded, Hash: hash64(text)})
	}
}

var (
	humanNameParts = map[string]bool{"text": true, "family": true, "given": true, "prefix": true, "suffix": true}
	addressParts   = map[string]bool{
		"text": true, "line": true, "city": true, "district": true,
		"state": true, "postalCode": true, "country": true,
	}
	conceptParts = map[string]bool{"text": true, "display": true}
)

func (e *extractor) text(param int32, typ string, v *fhir.Value) {
	switch typ {
	case "HumanName":
		e.parts(param, v, humanNameParts)
	case "Address":
		e.parts(param, v, addressParts)
	case "CodeableConcept", "Coding":
		e.parts(param, v, conceptParts)
		if list := v.Get("coding"); list != nil {
			for i := range list.Items {
				e.parts(param, &list.Items[i], conceptParts)
			}
		}
	default:
		e.addString(param, v.Text())
	}
}

func (e *extractor) parts(param int32, v *fhir.Value, wanted map[string]bool) {
	for i := range v.Members {
		m := &v.Members[i]
		if !wanted[m.Name] {
			continue
		}
		if m.Value.Kind != fhir.Array {
			e.addString(param, m.Value.Text())
			continue
		}
		for j := range m.Value.Items {
			e.addString(param, m.Value.Items[j].Text())
		}
	}
}

func (e *extractor) date(param int32, typ string, v *fhir.Value) {
	for _, d := range dates(typ, v, e.offset) {
		d.Param = param
		d.Wide = d.Lo == pastForever || d.Hi == futureForever || d.Hi-d.Lo > wideDate
		e.rows.Dates = append(e.rows.Dates, d)
	}
}

// dates returns the interval that a value covers, if it says one. Of a Timing only the outer limits
// count (R4 search, date).
func dates(typ string, v *fhir.Value, offset int) []Date {
	switch typ {
	case "Period":
		start, end := v.Get("start").Text(), v.Get("end").Text()
		if start == "" && end == "" {
			return nil
		}
		d := Date{Lo: pastForever, Hi: futureForever}
		if start != "" {
			lo, _, ok := parseDate(start, offset)
			if !ok {
				return nil
			}
			d.Lo = lo
		}
		if end != "" {
			_, hi, ok := parseDate(end, offset)
			if !ok {
				return nil
			}
			d.Hi = hi
		}
		if d.Hi <= d.Lo {
			return nil
		}
		return []Date{d}
	case "Timing":
		var parts []Date
		if list := v.Get("event"); list != nil {
			for i := range list.Items {
				parts = append(parts, dates("dateTime", &list.Items[i], offset)...)
			}
		}
		if bounds := v.Get("repeat").Get("boundsPeriod"); bounds != nil {
			parts = append(parts, dates("Period", bounds, offset)...)
		}
		for _, d := range parts {
			parts[0].Lo, parts[0].Hi = min(parts[0].Lo, d.Lo), max(parts[0].Hi, d.Hi)
		}
		return parts[:min(len(parts), 1)]
	default:
		if v.Kind != fhir.String {
			return nil
		}
		lo, hi, ok := parseDate(v.Text(), offset)
		if !ok {
			return nil
		}
		return []Date{{Lo: lo, Hi: hi}}
	}
}

func (e *extractor) addNumber(param int32, unit string, lo, hi float64) {
	e.rows.Numbers = append(e.rows.Numbers, Number{Param: param, Unit: unit, Lo: lo, Hi: hi})
}

func (e *extractor) number(param int32, typ string, v *fhir.Value) {
	switch typ {
	case "integer", "positiveInt", "unsignedInt":
		if d, ok := parseDecimal(v.Text()); ok {
			// A whole number has no implicit precision (R4 search, number). The bounds are
			// exclusive, as those of a decimal are.
			e.addNumber(param, "", previous(d.value), next(d.value))
		}
	case "decimal":
		if d, ok := parseDecimal(v.Text()); ok {
			lo, hi := d.bounds()
			unit := ""
			if !isNarrow(lo, hi) {
				unit = "~"
			}
			e.addNumber(param, unit, lo, hi)
		}
	default:
		for _, q := range classed(quantities(typ, v)) {
			if q.unit == "" || q.unit == "~" {
				e.addNumber(param, q.unit, q.lo, q.hi)
			}
		}
	}
}

func (e *extractor) quantity(param int32, typ string, v *fhir.Value) {
	for _, q := range classed(quantities(typ, v)) {
		e.addNumber(param, q.unit, q.lo, q.hi)
	}
}

type amount struct {
	unit   string
	lo, hi float64
}

// quantities returns a quantity in each of its unit forms.
func quantities(typ string, v *fhir.Value) []amount {
	switch typ {
	case "Range":
		return rangeOf(v.Get("low"), v.Get("high"))
	case "SampledData":
		return sampled(v)
	case "Money":
		d, ok := parseDecimal(v.Get("value").Text())
		if !ok {
			return nil
		}
		lo, hi := d.bounds()
		return unitForms("", "urn:iso:std:iso:4217", v.Get("currency").Text(), "", lo, hi)
	case "integer", "positiveInt", "unsignedInt", "decimal":
		d, ok := parseDecimal(v.Text())
		if !ok {
			return nil
		}
		lo, hi := d.bounds()
		return []amount{{"", lo, hi}}
	}
	d, ok := parseDecimal(v.Get("value").Text())
	if !ok || v.Kind != fhir.Object {
		return nil
	}
	lo, hi := d.bounds()
	mark := ""
	switch v.Get("comparator").Text() {
	case "<":
		lo, hi, mark = math.Inf(-1), previous(d.value-comparatorGap), "~"
	case "<=":
		lo, hi, mark = math.Inf(-1), d.value, "~"
	case ">":
		lo, hi, mark = next(d.value+comparatorGap), math.Inf(1), "~"
	case ">=":
		lo, hi, mark = d.value, math.Inf(1), "~"
	}
	return unitForms(mark, v.Get("system").Text(), v.Get("code").Text(), v.Get("unit").Text(), lo, hi)
}

// comparatorGap keeps a value with comparator < or > away from its limit.
const comparatorGap = 1e-9

// unitForms lists the rows of a magnitude. Bounds without end stay as they are in every unit.
func unitForms(mark, system, code, unit string, lo, hi float64) []amount {
	out := []amount{{mark, lo, hi}}
	if code != "" {
		out = append(out, amount{mark + key("|"+code), lo, hi})
	}
	if unit != "" && unit != code {
		out = append(out, amount{mark + key("|"+unit), lo, hi})
	}
	if code == "" || system == "" {
		return out
	}
	form, factor := systemUnit(system, code)
	return append(out, amount{mark + form, factor(lo), factor(hi)})
}

// classed marks the amounts of numbers whose implicit precision is too wide for their plain unit.
func classed(list []amount) []amount {
	for i, a := range list {
		if !strings.HasPrefix(a.unit, "~") && !isNarrow(a.lo, a.hi) {
			list[i].unit = "~" + a.unit
		}
	}
	return list
}

// ucumSystem is the system of UCUM codes.
const ucumSystem = "http://unitsofmeasure.org"

// systemUnit returns the unit form of a code in a system and the conversion into it.
func systemUnit(system, code string) (string, func(float64) float64) {
	if system == ucumSystem {
		if u, ok := ucum.Lookup(code); ok && !u.Special() {
			return key("=" + u.Canonical()), u.Float
		}
	}
	return key(system + "|" + code), func(x float64) float64 { return x }
}

func rangeOf(low, high *fhir.Value) []amount {
	lo, hi := math.Inf(-1), math.Inf(1)
	first := low
	if d, ok := parseDecimal(low.Get("value").Text()); ok {
		lo = d.value
	}
	if d, ok := parseDecimal(high.Get("value").Text()); ok {
		hi = d.value
		if first == nil {
			first = high
		}
	}
	if math.IsInf(lo, -1) && math.IsInf(hi, 1) || lo > hi {
		return nil
	}
	if math.IsInf(lo, -1) || math.IsInf(hi, 1) {
		return halfRange(first, lo, hi)
	}
	return unitForms("~", first.Get("system").Text(), first.Get("code").Text(), first.Get("unit").Text(), lo, hi)
}

// Marks, behind "~", of a Range with one limit. The other limit is not known (R4 datatypes, Range),
// so a comparison holds only if it does for every limit there could be: what asks how far the range
// reaches sees the one that is known, what asks where it ends sees none.
const (
	halfKnown = "="
	halfOpen  = "?"
)

func halfRange(limit *fhir.Value, lo, hi float64) []amount {
	system, code, unit := limit.Get("system").Text(), limit.Get("code").Text(), limit.Get("unit").Text()
	known := hi
	if math.IsInf(hi, 1) {
		known = lo
	}
	return append(unitForms("~"+halfKnown, system, code, unit, known, known), unitForms("~"+halfOpen, system, code, unit, lo, hi)...)
}

// sampled covers the values of a series between its stated limits, or as its data give them.
func sampled(v *fhir.Value) []amount {
	origin, ok := parseDecimal(v.Get("origin").Get("value").Text())
	if !ok {
		return nil
	}
	factor := 1.0
	if d, ok := parseDecimal(v.Get("factor").Text()); ok {
		factor = d.value
	}
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, field := range strings.Fields(v.Get("data").Text()) {
		limit := field
		switch field {
		case "L":
			limit = v.Get("lowerLimit").Text()
		case "U":
			limit = v.Get("upperLimit").Text()
		}
		if d, ok := parseDecimal(limit); ok {
			x := origin.value + d.value*factor
			lo, hi = min(lo, x), max(hi, x)
		}
	}
	if lo > hi {
		return nil
	}
	unit := v.Get("origin")
	return unitForms("~", unit.Get("system").Text(), unit.Get("code").Text(), unit.Get("unit").Text(), lo, hi)
}

func (e *extractor) uri(param int32, v *fhir.Value) {
	text := v.Text()
	if text == "" {
		return
	}
	e.rows.URIs = append(e.rows.URIs, URI{Param: param, Value: key(text)})
	if bare, _, versioned := strings.Cut(text, "|"); versioned && bare != "" {
		e.rows.URIs = append(e.rows.URIs, URI{Param: param, Value: key(bare)})
	}
}

func (e *extractor) addReference(param int32, target int16, id string) {
	e.rows.References = append(e.rows.References, Reference{Param: param, TargetType: target, TargetID: id})
}

func (e *extractor) reference(x *indexed, typ *definition.Type, v *fhir.Value) {
	text := v.Text()
	canonical := typ.Name == "canonical" || typ.Name == "uri"
	if v.Kind == fhir.Object {
		if id := v.Get("identifier"); id != nil {
			e.addToken(e.derived(x, identifierSuffix), id.Get("system").Text(), id.Get("value").Text())
		}
		text = v.Get("reference").Text()
	}
	if text == "" || text[0] == '#' || len(text) > 4096 {
		return
	}
	if name, id, ok := local(text, e.base); ok {
		target, _ := definition.TypeID(name)
		e.addReference(x.id, target, id)
		if !canonical || !isAbsolute(text) {
			return
		}
	}
	e.addReference(x.id, 0, key(text))
	if bare, _, versioned := strings.Cut(text, "|"); versioned && canonical && bare != "" {
		e.addReference(x.id, 0, key(bare))
	}
}
