package validate_test

import (
	"strings"
	"testing"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
	"bulkhead/server/validate"
)

// without returns an object without a member.
func without(v *fhir.Value, name string) *fhir.Value {
	out := &fhir.Value{Kind: fhir.Object}
	for _, m := range v.Members {
		if m.Name != name {
			out.Members = append(out.Members, m)
		}
	}
	return out
}

// usCore returns the definitions of US Core and those it builds on; where differential is true,
// without their snapshots.
func usCore(t testing.TB, version string, differential bool) (library *validate.Holdings, structures map[string]*fhir.Value) {
	library = validate.NewHoldings(definition.For(fhir.R4))
	structures = map[string]*fhir.Value{}
	add := func(line string) {
		v := parse(t, line)
		if v.Get("resourceType").Text() == "StructureDefinition" {
			structures[v.Get("url").Text()] = v
			if differential {
				v = without(v, "snapshot")
			}
		}
		library.Add(v)
	}
	for _, part := range []string{"StructureDefinition-profiles", "StructureDefinition-extensions", "ValueSet", "CodeSystem"} {
		lines(t, "definitions/uscore-"+version+"/"+part+".ndjson.gz", add)
	}
	lines(t, "definitions/r4/StructureDefinition-profiles.ndjson.gz", add)
	return library, structures
}

// TestUSCoreExamplesConform checks the examples of US Core under the profiles that they name.
func TestUSCoreExamplesConform(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"3.1.1", "6.1.0", "7.0.0"} {
		for _, diff := range []bool{false, true} {
			name := version
			if diff {
				name += " from differentials"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				library, _ := usCore(t, version, diff)
				set := definition.For(fhir.R4)
				valid, total := 0, 0
				examples(t, "examples/uscore-"+version+"-instances.ndjson.gz", func(file string, resource *fhir.Value) {
					total++
					issues := validate.Resource(set, resource, validate.WithProfiles(library))
					if defective["uscore-"+version+"-instances "+file] != "" {
						return
					}
					if len(issues) == 0 {
						valid++
						return
					}
					for _, issue := range issues[:min(4, len(issues))] {
						t.Errorf("%s: %v: %s", file, issue.Expression, issue.Diagnostics)
					}
				})
				t.Logf("US Core %s: %d of %d conform", name, valid, total)
			})
		}
	}
}

// TestUSCoreMutantsAreRefused breaks each example at one place that its profile speaks of: a
// required element is taken away, or a fixed value or pattern is made another.
func TestUSCoreMutantsAreRefused(t *testing.T) {
	t.Parallel()
	library, structures := usCore(t, "6.1.0", false)
	set := definition.For(fhir.R4)
	refused, total := 0, 0
	examples(t, "examples/uscore-6.1.0-instances.ndjson.gz", func(file string, resource *fhir.Value) {
		for _, url := range itemsOf(resource.Get("meta").Get("profile")) {
			sd := structures[url.Text()]
			if sd == nil {
				continue
			}
			for _, fault := range faults(sd) {
				mutant := fault.apply(resource)
				if mutant == nil {
					continue
				}
				total++
				if len(validate.Resource(set, mutant, validate.WithProfiles(library))) > 0 {
					refused++
				} else {
					t.Errorf("%s: accepted without or with another %s", file, fault.id)
				}
			}
		}
	})
	t.Logf("US Core 6.1.0 mutants: %d of %d refused", refused, total)
}

func itemsOf(v *fhir.Value) []fhir.Value {
	if v == nil {
		return nil
	}
	return v.Items
}

// fault is one way to break a resource.
type fault struct {
	id    string
	names []string
	wrong bool // put another value there instead of taking it away
}

// faults lists what the elements of a profile demand, and the slices that must be there.
func faults(sd *fhir.Value) []fault {
	var out []fault
	for _, e := range sd.Get("snapshot").Get("element").Items {
		id := e.Get("id").Text()
		names := strings.Split(id, ".")[1:]
		if len(names) == 0 {
			continue
		}
		name, slice, _ := strings.Cut(names[len(names)-1], ":")
		if strings.Count(id, ":") == 1 && slice != "" && !strings.HasSuffix(name, "[x]") && e.Get("min").Text() != "0" {
			names[len(names)-1] = name
			out = append(out, fault{id: id, names: names, wrong: true})
		}
		if strings.Contains(id, ":") {
			continue
		}
		if e.Get("min").Text() != "0" {
			out = append(out, fault{id: id, names: names})
		}
		for _, m := range e.Members {
			if strings.HasPrefix(m.Name, "fixed") || strings.HasPrefix(m.Name, "pattern") {
				out = append(out, fault{id: id, names: names, wrong: true})
			}
		}
	}
	return out
}

// apply returns the broken resource, or nil if there is nothing to break: a required element may
// be below one that is not there.
func (f fault) apply(v *fhir.Value) *fhir.Value {
	out, done := f.change(v, f.names)
	if !done {
		return nil
	}
	return out
}

func (f fault) change(v *fhir.Value, names []string) (*fhir.Value, bool) {
	if v.Kind == fhir.Array {
		out := &fhir.Value{Kind: fhir.Array}
		done := false
		for i := range v.Items {
			item, changed := f.change(&v.Items[i], names)
			done = done || changed
			out.Items = append(out.Items, *item)
		}
		return out, done
	}
	out := &fhir.Value{Kind: fhir.Object}
	done := false
	for _, m := range v.Members {
		choice := strings.HasSuffix(names[0], "[x]") && strings.HasPrefix(m.Name, strings.TrimSuffix(names[0], "[x]"))
		switch {
		case m.Name == "_"+names[0]:
		case m.Name != names[0] && !choice:
			out.Members = append(out.Members, m)
		case len(names) > 1:
			child, changed := f.change(&m.Value, names[1:])
			done = done || changed
			out.Members = append(out.Members, fhir.Member{Name: m.Name, Value: *child})
		case f.wrong:
			done = true
			out.Members = append(out.Members, fhir.Member{Name: m.Name, Value: another(&m.Value)})
		default:
			done = true
		}
	}
	return out, done
}

// another returns a value of the same shape with other text in it.
func another(v *fhir.Value) fhir.Value {
	out := *v
	switch v.Kind {
	case fhir.Object:
		out.Members = nil
		for _, m := range v.Members {
			out.Members = append(out.Members, fhir.Member{Name: m.Name, Value: another(&m.Value)})
		}
	case fhir.Array:
		out.Items = nil
		for i := range v.Items {
			out.Items = append(out.Items, another(&v.Items[i]))
		}
	case fhir.String:
		return fhir.StringValue(v.Text() + "x")
	default:
	}
	return out
}
