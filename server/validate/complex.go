package validate

import (
	"strconv"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
)

// complex holds the rules about a value of a datatype that are no constraints in the definitions.
func (w *walker) complex(field *definition.Field, v *fhir.Value) {
	switch field.Type {
	case w.reference:
		w.checkReference(field.Ref.Targets, v)
	case w.codeableReference:
		if ref := v.Get("reference"); ref != nil && ref.Kind == fhir.Object {
			w.push("reference", -1)
			w.checkReference(field.Ref.Targets, ref)
			w.pop()
		}
	case w.quantity:
		if !w.lenient && len(field.Ref.Profiles) > 0 && v.Get("comparator") != nil && field.Ref.Profiles[0] == "SimpleQuantity" {
			w.addAt("comparator", fhir.Invariant, "sqty-1: a comparator is not allowed here (SimpleQuantity).")
		}
	case w.attachment:
		if !w.lenient {
			w.checkSize(v)
		}
	}
}

// checkSize compares Attachment.size, the number of bytes before base64, with the data.
func (w *walker) checkSize(v *fhir.Value) {
	size, data := v.Get("size"), v.Get("data")
	if size == nil || data == nil || data.Kind != fhir.String {
		return
	}
	text := data.Text()
	if said, err := strconv.Atoi(size.Text()); err == nil && isBase64(text) && said != base64Size(text) {
		w.addAt("size", fhir.ValueInvalid, "size says %d bytes, but data holds %d.", said, base64Size(text))
	}
}

// base64Size returns how many bytes a valid base64 text stands for.
func base64Size(text string) int {
	n, pad := 0, 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '=':
			pad++
			n++
		case !isSpace(c):
			n++
		}
	}
	return n/4*3 - pad
}
