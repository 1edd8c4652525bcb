package fhirpath

import (
	"slices"
	"strconv"
	"strings"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
)

// Path returns where a node stands in a resource, with the index of each array member:
// "Patient.name[0].given[1]". It is "" for a computed item and for a node of another tree.
// Choice elements go by their FHIRPath name ("Observation.value").
//
// Evaluations do not keep track of places; they are found here by searching the tree.
func Path(set *definition.Set, root, it *Item) string {
	if it.Kind != Node || root.Kind != Node {
		return ""
	}
	target := it.JSON
	if target == nil {
		target = it.Extra
	}
	if target == nil {
		return ""
	}
	var parts []string
	if !locate(root.JSON, target, &parts) {
		return ""
	}
	var b strings.Builder
	b.WriteString(rootName(root))
	block, v := root.block(), root.JSON
	for i := len(parts) - 1; i >= 0; i-- {
		part := parts[i]
		if strings.HasPrefix(part, "[") {
			n, _ := strconv.Atoi(part[1 : len(part)-1])
			v = at(v, n)
			b.WriteString(part)
		} else {
			name := strings.TrimPrefix(part, "_")
			v = v.Get(part)
			field := block.Field(name)
			if block = nil; field != nil {
				name, block = field.Element.Name, field.Block
			}
			b.WriteByte('.')
			b.WriteString(name)
		}
		if set != nil && v.Get("resourceType") != nil {
			block = nil
			if t := Root(set, v).Type; t != nil {
				block = t.Block
			}
		}
	}
	return b.String()
}

// Locate returns the JSON members and array indexes that lead from the root of a tree to a node, in
// the manner of RFC 6901: "name", "0", "given". A primitive without a value is found at its "_"
// sibling. It is false for a computed item and for a node of another tree.
func Locate(root *fhir.Value, it *Item) ([]string, bool) {
	target := it.JSON
	if target == nil {
		target = it.Extra
	}
	if it.Kind != Node || target == nil {
		return nil, false
	}
	var parts []string
	if !locate(root, target, &parts) {
		return nil, false
	}
	slices.Reverse(parts)
	for i, part := range parts {
		if strings.HasPrefix(part, "[") {
			parts[i] = part[1 : len(part)-1]
		}
	}
	return parts, true
}

func rootName(root *Item) string {
	if root.Type != nil {
		return root.TypeName()
	}
	return root.JSON.Get("resourceType").Text()
}

// locate gathers the steps to target, last first.
func locate(v, target *fhir.Value, parts *[]string) bool {
	if v == target {
		return true
	}
	switch v.Kind {
	case fhir.Object:
		for i := range v.Members {
			if locate(&v.Members[i].Value, target, parts) {
				*parts = append(*parts, v.Members[i].Name)
				return true
			}
		}
	case fhir.Array:
		for i := range v.Items {
			if locate(&v.Items[i], target, parts) {
				*parts = append(*parts, "["+strconv.Itoa(i)+"]")
				return true
			}
		}
	}
	return false
}
