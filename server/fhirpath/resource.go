package fhirpath

import (
	"strings"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
)

// fhirFunctions are the additions of FHIR (http://hl7.org/fhir/R4/fhirpath.html).
var fhirFunctions = map[string]function{
	"extension":    {run: fnExtension, min: 1, max: 1},
	"hasExtension": {run: fnHasExtension, min: 1, max: 1},
	"hasValue":     {run: fnHasValue},
	"getValue":     {run: fnGetValue},
	"resolve":      {run: fnResolve},
	"memberOf":     {run: fnMemberOf, min: 1, max: 1},
	"conformsTo":   {run: fnConformsTo, min: 1, max: 1},
	"subsumes":     {run: fnSubsumes, min: 1, max: 1},
	"subsumedBy":   {run: fnSubsumedBy, min: 1, max: 1},
	"htmlChecks":   {run: fnHTMLChecks},
}

func fnExtension(c *call, ev *evaluator, sc *scope, in, dst []Item) []Item {
	url, ok := c.argument(ev, sc, 0)
	if !ok {
		return dst
	}
	for i := range in {
		base := len(dst)
		dst = ev.walk(&in[i], extensionPath, dst)
		kept := dst[:base]
		for _, x := range dst[base:] {
			if x.JSON.Get("url").Text() == url {
				kept = append(kept, x)
			}
		}
		dst = kept
	}
	return dst
}

var extensionPath = []string{"extension"}

// fnHasExtension is no function of the language; R4 uses it in one search parameter.
func fnHasExtension(c *call, ev *evaluator, sc *scope, in, dst []Item) []Item {
	buf := fnExtension(c, ev, sc, in, ev.get())
	found := len(buf) > 0
	ev.put(buf)
	return append(dst, boolItem(found))
}

// valued returns the only item if it is a primitive with a value.
func valued(in []Item) (*Item, bool) {
	if len(in) != 1 {
		return nil, false
	}
	it := &in[0]
	if it.Kind != Node {
		return it, it.Kind != Quantity && it.Kind != TypeInfo
	}
	return it, it.JSON != nil && it.JSON.Kind != fhir.Null && it.primitive()
}

func fnHasValue(_ *call, _ *evaluator, _ *scope, in, dst []Item) []Item {
	_, ok := valued(in)
	return append(dst, boolItem(ok))
}

func fnGetValue(_ *call, _ *evaluator, _ *scope, in, dst []Item) []Item {
	it, ok := valued(in)
	if !ok {
		return dst
	}
	v, ok := it.Value()
	if !ok {
		return dst
	}
	return append(dst, valueItem(v))
}

// referenceOf returns the reference that an item holds, and the type that goes with it.
func referenceOf(it *Item) (reference, typ string) {
	if s, ok := it.plainString(); ok {
		return s, ""
	}
	if it.Kind != Node || it.JSON == nil {
		return "", ""
	}
	return it.JSON.Get("reference").Text(), it.JSON.Get("type").Text()
}

func fnResolve(_ *call, ev *evaluator, sc *scope, in, dst []Item) []Item {
	for i := range in {
		reference, typ := referenceOf(&in[i])
		if !ev.step(1) {
			return dst
		}
		if strings.HasPrefix(reference, "#") {
			dst = ev.contained(reference[1:], dst)
			continue
		}
		if reference != "" && ev.env.Resolve != nil {
			if it, ok := ev.env.Resolve(reference); ok {
				dst = append(dst, it)
				continue
			}
		}
		if t := ReferenceType(ev.env.Set, reference, typ); t != nil {
			dst = append(dst, Item{Type: t})
		}
	}
	return dst
}

// contained finds a resource contained in %rootResource; no id means the root itself.
func (ev *evaluator) contained(id string, dst []Item) []Item {
	root := ev.env.RootResource
	if root == nil {
		root = ev.env.Resource
	}
	if root == nil {
		root = &ev.input[0]
	}
	if id == "" {
		return append(dst, *root)
	}
	list := root.JSON.Get("contained")
	if list == nil {
		return dst
	}
	for i := range list.Items {
		if list.Items[i].Get("id").Text() == id {
			return append(dst, Root(ev.env.Set, &list.Items[i]))
		}
	}
	return dst
}

// ReferenceType returns the type of the resource that a reference names: "Patient/1", a URL that
// ends like that (with or without version), or else the type said in Reference.type. It is nil
// when neither says it.
func ReferenceType(set *definition.Set, reference, typ string) *definition.Type {
	if set == nil {
		return nil
	}
	reference, _, _ = strings.Cut(reference, "/_history/")
	if slash := strings.LastIndexByte(reference, '/'); slash > 0 && slash < len(reference)-1 {
		rest := reference[:slash]
		if t := set.ResourceType(rest[strings.LastIndexByte(rest, '/')+1:]); t != nil {
			return t
		}
	}
	if typ == "" {
		return nil
	}
	return set.ResourceType(strings.TrimPrefix(typ, extensionURL))
}

func fnMemberOf(c *call, ev *evaluator, sc *scope, in, dst []Item) []Item {
	it, ok := ev.single(in)
	url, okURL := c.argument(ev, sc, 0)
	if !ok || !okURL || ev.env.MemberOf == nil {
		return dst
	}
	member, err := ev.env.MemberOf(it, url)
	return ev.answer(member, err, dst)
}

// answer appends what a hook of the caller found out.
func (ev *evaluator) answer(b bool, err error, dst []Item) []Item {
	if err != nil {
		if ev.err == nil {
			ev.err = err
		}
		return dst
	}
	return append(dst, boolItem(b))
}

// fnConformsTo knows the base types by itself and asks the caller about profiles.
func fnConformsTo(c *call, ev *evaluator, sc *scope, in, dst []Item) []Item {
	it, ok := ev.single(in)
	url, okURL := c.argument(ev, sc, 0)
	if !ok || !okURL {
		return dst
	}
	if name, base := strings.CutPrefix(url, extensionURL); base && ev.env.Set != nil {
		if t := ev.env.Set.Type(name); t != nil {
			return append(dst, boolItem(it.Kind == Node && it.Type.Is(t)))
		}
	}
	if ev.env.ConformsTo == nil {
		ev.fail(fhir.NotSupported, "The profile %s is not known.", url)
		return dst
	}
	conforms, err := ev.env.ConformsTo(it, url)
	return ev.answer(conforms, err, dst)
}

func fnSubsumes(c *call, ev *evaluator, sc *scope, in, dst []Item) []Item {
	return c.subsumption(ev, sc, in, dst, false)
}

func fnSubsumedBy(c *call, ev *evaluator, sc *scope, in, dst []Item) []Item {
	return c.subsumption(ev, sc, in, dst, true)
}

func (c *call) subsumption(ev *evaluator, sc *scope, in, dst []Item, by bool) []Item {
	a, okA := ev.single(in)
	b, okB := ev.one(c.args[0], sc)
	if !okA || !okB || ev.env.Subsumes == nil {
		return dst
	}
	if by {
		a, b = b, a
	}
	subsumes, err := ev.env.Subsumes(a, b)
	return ev.answer(subsumes, err, dst)
}

func fnHTMLChecks(_ *call, ev *evaluator, _ *scope, in, dst []Item) []Item {
	it, ok := ev.single(in)
	if !ok {
		return dst
	}
	text := it.Text()
	if ev.env.HTMLChecks != nil && ev.step(len(text)/16) {
		return append(dst, boolItem(ev.env.HTMLChecks(text)))
	}
	return append(dst, boolItem(strings.HasPrefix(strings.TrimSpace(text), "<div")))
}
