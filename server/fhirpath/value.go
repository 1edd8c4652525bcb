package fhirpath

import (
	"strconv"
	"strings"

	"github.com/cockroachdb/apd/v3"

	"bulkhead/server/fhir"
)

// Value is a value of a system type.
type Value struct {
	Kind Kind
	Bool bool         // Boolean
	Int  int64        // Integer, Long
	Text string       // String; TypeInfo: the name
	Dec  *apd.Decimal // Decimal, Quantity; never changed once set
	When Moment       // Date, DateTime, Time
	// Unit is the unit of a Quantity: a UCUM code, or a calendar unit in the singular ("month")
	// when Calendar is set. For a TypeInfo it is the namespace.
	Unit     string
	Calendar bool
	// fromFHIR marks a Quantity that was a FHIR Quantity: its "a" is a year for calendar
	// arithmetic, and a UCUM year for everything else.
	fromFHIR bool
	// foreign is the code system of a unit that is not of UCUM, or "?" when none is given. Such
	// quantities compare with those of the same unit only.
	foreign string
}

// String returns the value as toString() does.
func (v *Value) String() string {
	switch v.Kind {
	case Boolean:
		return strconv.FormatBool(v.Bool)
	case Integer, Long:
		return strconv.FormatInt(v.Int, 10)
	case Decimal:
		return v.Dec.Text('f')
	case String:
		return v.Text
	case Date, DateTime, Time:
		return v.When.String()
	case Quantity:
		return v.Dec.Text('f') + " " + v.unitText()
	case TypeInfo:
		return v.Unit + "." + v.Text
	default:
		return ""
	}
}

// unitText writes the unit as a literal does.
func (v *Value) unitText() string {
	if !v.Calendar {
		return "'" + v.Unit + "'"
	}
	if isOne(v.Dec) {
		return v.Unit
	}
	return v.Unit + "s"
}

var (
	trueValue  = Value{Kind: Boolean, Bool: true}
	falseValue = Value{Kind: Boolean}
	smallInts  = func() (all [256]Value) {
		for i := range all {
			all[i] = Value{Kind: Integer, Int: int64(i)}
		}
		return all
	}()
)

func boolItem(b bool) Item {
	if b {
		return Item{Kind: Boolean, sys: &trueValue}
	}
	return Item{Kind: Boolean, sys: &falseValue}
}

func intItem(n int64) Item {
	if n >= 0 && n < int64(len(smallInts)) {
		return Item{Kind: Integer, sys: &smallInts[n]}
	}
	return Item{Kind: Integer, sys: &Value{Kind: Integer, Int: n}}
}

func stringItem(s string) Item { return Item{Kind: String, sys: &Value{Kind: String, Text: s}} }

func decimalItem(d *apd.Decimal) Item { return Item{Kind: Decimal, sys: &Value{Kind: Decimal, Dec: d}} }

func valueItem(v Value) Item { return Item{Kind: v.Kind, sys: &v} }

// NewItem returns the item for a system value, for environment variables.
func NewItem(v Value) Item {
	if v.Kind == Node || (v.Kind == Decimal || v.Kind == Quantity) && v.Dec == nil {
		return stringItem(v.Text)
	}
	return valueItem(v)
}

// nodeValue converts a node to its system value.
func nodeValue(it *Item) (Value, bool) {
	kind := it.systemKind()
	if it.JSON == nil || kind == Node || it.JSON.Kind == fhir.Null {
		return Value{}, false
	}
	if kind == Quantity {
		v, ok, _ := fhirQuantity(it.JSON)
		return v, ok
	}
	if it.JSON.Kind == fhir.Object || it.JSON.Kind == fhir.Array {
		return Value{}, false
	}
	switch text := it.JSON.Text(); kind {
	case Boolean:
		return Value{Kind: Boolean, Bool: it.JSON.Kind == fhir.True}, it.JSON.Kind == fhir.True || it.JSON.Kind == fhir.False
	case Integer, Long:
		return integerValue(kind, text)
	case Decimal:
		d, ok := parseDecimal(text)
		return Value{Kind: Decimal, Dec: d}, ok
	case Date, DateTime, Time:
		when, ok := parseMoment(kind, text)
		if !ok {
			return Value{Kind: String, Text: text}, true // the validator will say so
		}
		return Value{Kind: kind, When: when}, true
	default:
		return Value{Kind: String, Text: text}, true
	}
}

// integerValue reads an integer; what is none in spite of its type ("1.0") is a decimal.
func integerValue(kind Kind, text string) (Value, bool) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return Value{Kind: kind, Int: n}, true
	}
	d, ok := parseDecimal(text)
	return Value{Kind: Decimal, Dec: d}, ok
}

// fhirQuantity converts a FHIR Quantity. comparator is true when it cannot be converted because
// it is not an exact amount.
func fhirQuantity(q *fhir.Value) (v Value, ok, comparator bool) {
	number := q.Get("value")
	if number == nil || number.Kind != fhir.Number {
		return Value{}, false, false
	}
	if q.Get("comparator") != nil {
		return Value{}, false, true
	}
	d, ok := parseDecimal(number.Raw)
	if !ok {
		return Value{}, false, false
	}
	v = Value{Kind: Quantity, Dec: d, Unit: "1", fromFHIR: true}
	code, system := q.Get("code").Text(), q.Get("system").Text()
	switch {
	case system == ucumSystem && code != "":
		v.Unit = code
	case code == "" && q.Get("unit") == nil:
	default:
		v.Unit, v.foreign = code, system
		if code == "" || system == "" {
			v.Unit, v.foreign = q.Get("unit").Text()+"|"+code, "?"
		}
	}
	return v, true, false
}

const ucumSystem = "http://unitsofmeasure.org"

// isASCIIDigits tells whether s is not empty and holds digits only.
func isASCIIDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
