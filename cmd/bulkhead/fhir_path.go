package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
	"bulkhead/server/fhirpath"
)

func newFHIRPathCommand(p program) *cobra.Command {
	var version string
	var vars []string
	var strict, lenient bool
	cmd := &cobra.Command{
		Use:   "path [flags] EXPRESSION [FILE]",
		Short: "Evaluate a FHIRPath expression on the resources of a file",
		Long: `Path evaluates a FHIRPath expression and prints one JSON object for each item of the result:

  {"type":"string","path":"Patient.name[0].given[0]","value":"Peter"}

The type of a computed item is that of a system type ("System.Boolean") and it has no path; a
primitive that has an id or extensions has "_value" for them. Without FILE the input is empty.

A .json file holds one resource, every other file one resource a line; either may be packed with
.gz, and "-" is standard input. With one resource a line each object begins with "line". An
expression that is wrong, or does not fit the data, is an error and the exit code is 1.

--fhir-version none reads the file by its JSON names alone, without the types of FHIR.`,
		Example: `  bulkhead fhir path "Patient.name.where(use = 'official').given" patient.json
  bulkhead fhir path "@2024-02-29 + 1 year"
  bulkhead fhir path "%limit < 5" --var limit=3`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			run := pathRun{p: p, env: fhirpath.Env{Strict: strict, SingleAs: !lenient}}
			if version != "none" {
				v, err := fhirVersion(version)
				if err != nil {
					return err
				}
				run.env.Set = definition.For(v)
			}
			if err := run.setVars(vars); err != nil {
				return err
			}
			var err error
			if run.expr, err = fhirpath.Compile(args[0]); err != nil {
				return err
			}
			run.env.Trace = run.trace
			return run.files(cmd.Context(), args[1:])
		},
	}
	f := cmd.Flags()
	f.StringVar(&version, "fhir-version", string(fhir.R4), "the release whose types to use: r4, r4b or none")
	f.StringArrayVar(&vars, "var", nil, "a variable, NAME=JSON; an array is a collection")
	f.BoolVar(&strict, "strict", false, "refuse paths that name no element, or another type than that of the resource")
	f.BoolVar(&lenient, "lenient", false, "let \"as\" filter several items, as search parameters need it")
	return cmd
}

// pathRun is one call of the command.
type pathRun struct {
	p    program
	env  fhirpath.Env
	expr *fhirpath.Expr
}

func (r *pathRun) setVars(list []string) error {
	r.env.Vars = map[string][]fhirpath.Item{}
	for _, text := range list {
		name, value, ok := strings.Cut(text, "=")
		v, err := fhir.Parse(value)
		if !ok || name == "" || err != nil {
			return usagef("--var must be NAME=JSON")
		}
		items := []fhirpath.Item{}
		switch v.Kind {
		case fhir.Null:
		case fhir.Array:
			for i := range v.Items {
				items = append(items, fhirpath.Root(r.env.Set, &v.Items[i]))
			}
		default:
			items = append(items, fhirpath.Root(r.env.Set, &v))
		}
		r.env.Vars[name] = items
	}
	return nil
}

func (r *pathRun) trace(name string, items []fhirpath.Item) {
	for i := range items {
		fmt.Fprintf(r.p.stderr, "trace %s: %s\n", name, itemValue(&items[i]))
	}
}

func (r *pathRun) files(ctx context.Context, names []string) error {
	out := bufio.NewWriterSize(r.p.stdout, 64<<10)
	if len(names) == 0 {
		err := r.evaluate(out, 0, &fhir.Value{Kind: fhir.Object})
		return errors.Join(err, out.Flush())
	}
	lines := !strings.HasSuffix(strings.TrimSuffix(names[0], ".gz"), ".json")
	failed := false
	err := eachDocument(r.p.stdin, names[0], func(line int, text string) error {
		v, err := fhir.Parse(text)
		if err == nil {
			n := 0
			if lines {
				n = line
			}
			err = r.evaluate(out, n, &v)
		}
		if err != nil {
			failed = true
			fmt.Fprintf(r.p.stderr, "%s:%d: %v\n", names[0], line, err)
		}
		return ctx.Err()
	})
	if err := errors.Join(err, out.Flush()); err != nil {
		return err
	}
	if failed {
		return errReported
	}
	return nil
}

// evaluate prints the result for one resource. A line of the corpora ({"file":...,"resource":...})
// stands for its resource.
func (r *pathRun) evaluate(out *bufio.Writer, line int, v *fhir.Value) error {
	if inner := v.Get("resource"); inner != nil && v.Get("resourceType") == nil && v.Get("file") != nil {
		v = inner
	}
	items, err := r.expr.Eval(&r.env, v)
	if err != nil {
		return err
	}
	root := fhirpath.Root(r.env.Set, v)
	for i := range items {
		b := []byte{'{'}
		if line > 0 {
			b = append(strconv.AppendInt(append(b, `"line":`...), int64(line), 10), ',')
		}
		b = append(appendItem(b, r.env.Set, &root, &items[i]), '}', '\n')
		if _, err := out.Write(b); err != nil {
			return err
		}
	}
	return nil
}

// appendItem writes the members of one item of a result.
func appendItem(b []byte, set *definition.Set, root, it *fhirpath.Item) []byte {
	name := it.TypeName()
	if it.Namespace() == "System" {
		name = "System." + name
	}
	b = fhir.AppendString(append(b, `"type":`...), name)
	if path := fhirpath.Path(set, root, it); path != "" {
		b = fhir.AppendString(append(b, `,"path":`...), path)
	}
	if value := itemValue(it); value != nil {
		b = append(append(b, `,"value":`...), value...)
	}
	if it.Extra != nil {
		b = it.Extra.Append(append(b, `,"_value":`...))
	}
	return b
}

// itemValue returns an item as JSON: a node as it stands, of what is computed the numbers and
// Booleans as such, a type as an object, and all else as text. It is nil for a primitive without a value.
func itemValue(it *fhirpath.Item) []byte {
	switch it.Kind {
	case fhirpath.Node:
		if it.JSON == nil {
			return nil
		}
		return it.JSON.Append(nil)
	case fhirpath.Boolean, fhirpath.Integer, fhirpath.Decimal:
		return []byte(it.Text())
	case fhirpath.TypeInfo:
		namespace, name, _ := strings.Cut(it.Text(), ".")
		return fmt.Appendf(nil, `{"namespace":%q,"name":%q}`, namespace, name)
	default:
		return fhir.AppendString(nil, it.Text())
	}
}
