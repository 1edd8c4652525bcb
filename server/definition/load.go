package definition

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"sort"
	"strconv"
	"strings"
	"sync"

	"bulkhead/server/fhir"
)

// mustLoad decodes embedded files. They are part of the program, and the tests load them all, so
// a failure is a broken build and not an input that could be answered.
func mustLoad(version fhir.Version, file, valueSets []byte) *Set {
	set, err := load(version, file, valueSets)
	if err != nil {
		panic("definition: the embedded definitions are broken: " + err.Error())
	}
	return set
}

func load(version fhir.Version, file, valueSets []byte) (*Set, error) {
	doc, err := unpack(file)
	if err != nil {
		return nil, err
	}
	platform, err := fhir.Parse(platformFile)
	if err != nil {
		return nil, err
	}
	l := loader{set: &Set{
		Version:      version,
		types:        make(map[string]*Type, 256),
		paramsURL:    make(map[string]*SearchParam, 2048),
		compartments: map[string]*Compartment{},
		valueSets: sync.OnceValue(func() map[string]*ValueSet {
			doc, err := unpack(valueSets)
			if err != nil {
				panic("definition: the embedded value sets are broken: " + err.Error())
			}
			sets := decodeValueSets(&doc)
			for url, set := range decodeValueSets(platform.Get("valueSets")) {
				sets[url] = set
			}
			return sets
		}),
	}}
	if err := l.run(&doc, &platform); err != nil {
		return nil, err
	}
	return l.set, nil
}

func unpack(file []byte) (fhir.Value, error) {
	z, err := gzip.NewReader(bytes.NewReader(file))
	if err != nil {
		return fhir.Value{}, err
	}
	text, err := io.ReadAll(z)
	if err != nil {
		return fhir.Value{}, err
	}
	return fhir.Parse(string(text))
}

// loader resolves the names in the documents into pointers.
type loader struct {
	set         *Set
	constraints map[string]*Constraint
	defs        map[string]*fhir.Value // type name -> its document
	contents    map[string]*Block      // path of a backbone element -> its members
	pending     []pendingContent
	err         error
}

// pendingContent is a content reference to an element that may not be loaded yet.
type pendingContent struct {
	element *Element
	path    string
}

func (l *loader) fail(format string, args ...any) {
	l.err = errors.Join(l.err, fmt.Errorf(format, args...))
}

func (l *loader) run(docs ...*fhir.Value) error {
	l.constraints = map[string]*Constraint{}
	l.defs = map[string]*fhir.Value{}
	l.contents = map[string]*Block{}
	for i, doc := range docs {
		l.readConstraints(doc.Get("constraints"))
		l.declareTypes(items(doc.Get("types")), i > 0)
	}
	for name := range l.defs {
		l.fill(l.set.types[name])
	}
	if l.err != nil {
		return l.err
	}
	l.resolveContents()
	for _, doc := range docs {
		l.readParams(items(doc.Get("searchParameters")))
		l.readCompartments(items(doc.Get("compartments")))
		l.readOperations(items(doc.Get("operations")))
	}
	for _, doc := range docs {
		l.linkComponents(items(doc.Get("searchParameters")))
	}
	l.finish()
	return l.err
}

func (l *loader) readConstraints(table *fhir.Value) {
	if table == nil {
		return
	}
	for i := range table.Members {
		m := &table.Members[i]
		key := m.Value.Get("key").Text()
		if key == "" {
			key = m.Name
		}
		l.constraints[m.Name] = &Constraint{
			Index:      len(l.set.constraints),
			Key:        key,
			Warning:    m.Value.Get("severity").Text() == "warning",
			Human:      m.Value.Get("human").Text(),
			Expression: m.Value.Get("expression").Text(),
		}
		l.set.constraints = append(l.set.constraints, l.constraints[m.Name])
	}
}

var kinds = map[string]Kind{"primitive": Primitive, "complex": Complex, "resource": Resource}

func (l *loader) declareTypes(list []fhir.Value, platform bool) {
	for i := range list {
		def := &list[i]
		name := def.Get("name").Text()
		t := &Type{
			Name:     name,
			Format:   formats[name],
			Kind:     kinds[def.Get("kind").Text()],
			Abstract: def.Get("abstract") != nil,
			Platform: platform,
		}
		l.set.types[t.Name] = t
		l.defs[t.Name] = def
	}
}

// fill gives t its members, after its base has got its own.
func (l *loader) fill(t *Type) {
	if t.Block != nil {
		return
	}
	def := l.defs[t.Name]
	var inherited *Block
	if base := def.Get("base").Text(); base != "" {
		if t.Base = l.set.types[base]; t.Base == nil {
			l.fail("%s: no base type %s", t.Name, base)
			return
		}
		l.fill(t.Base)
		if l.err != nil {
			return
		}
		inherited = t.Base.Block
		t.Constraints = append(t.Constraints, t.Base.Constraints...)
	}
	t.Constraints = append(t.Constraints, l.constraintList(def.Get("constraints"))...)
	elements := items(def.Get("elements"))
	own := map[string]int{} // parent path -> number of own elements, to size the maps
	for i := range elements {
		parent, _ := splitPath(elements[i].Get("path").Text())
		own[parent]++
	}
	t.Block = newBlock(t.Name, inherited, own[""])
	for i := range elements {
		l.addElement(t, own, &elements[i])
	}
}

func newBlock(path string, inherited *Block, own int) *Block {
	b := &Block{Path: path}
	if inherited == nil {
		b.fields = make(map[string]*Field, own)
		b.named = make(map[string]*Element, own)
		return b
	}
	n := len(inherited.Elements) + own
	b.Elements = append(make([]*Element, 0, n), inherited.Elements...)
	b.Required = inherited.Required
	b.fields = make(map[string]*Field, n)
	b.named = make(map[string]*Element, n)
	for name, field := range inherited.fields {
		b.fields[name] = field
	}
	for name, element := range inherited.named {
		b.named[name] = element
	}
	return b
}

// splitPath cuts "a.b.c" into "a.b" and "c".
func splitPath(path string) (parent, name string) {
	dot := strings.LastIndexByte(path, '.')
	if dot < 0 {
		return "", path
	}
	return path[:dot], path[dot+1:]
}

func (l *loader) addElement(t *Type, own map[string]int, def *fhir.Value) {
	path := def.Get("path").Text()
	parentPath, name := splitPath(path)
	block := t.Block
	if parentPath != "" {
		block = l.contents[t.Name+"."+parentPath]
	}
	if block == nil {
		l.fail("%s.%s: no parent", t.Name, path)
		return
	}
	e := &Element{
		Path:        t.Name + "." + path,
		Index:       len(block.Elements),
		Min:         number(def.Get("min"), 0),
		Max:         number(def.Get("max"), 1),
		Modifier:    def.Get("modifier") != nil,
		Summary:     def.Get("summary") != nil,
		Constraints: l.constraintList(def.Get("constraints")),
		Binding:     readBinding(def.Get("binding")),
	}
	e.Name, e.Choice = strings.CutSuffix(name, "[x]")
	l.readTypes(e, def)
	if children := own[path]; children > 0 && len(e.Types) > 0 {
		l.fill(e.Types[0].Type)
		e.Content = newBlock(e.Path, e.Types[0].Type.Block, children)
		l.contents[e.Path] = e.Content
	}
	if content := def.Get("content").Text(); content != "" {
		l.pending = append(l.pending, pendingContent{e, content})
	}
	if len(e.Types) == 0 {
		l.fail("%s: no type", e.Path)
		return
	}
	block.add(e)
}

func (l *loader) readTypes(e *Element, def *fhir.Value) {
	if def.Get("content") != nil {
		e.Types = []*TypeRef{{Type: l.set.types["BackboneElement"]}}
		return
	}
	list := items(def.Get("types"))
	e.Types = make([]*TypeRef, 0, len(list))
	for i := range list {
		code := list[i].Get("code").Text()
		t := l.set.types[code]
		if t == nil {
			l.fail("%s: no type %s", e.Path, code)
			continue
		}
		ref := &TypeRef{Type: t, Targets: texts(list[i].Get("targets")), Profiles: texts(list[i].Get("profiles"))}
		for _, target := range ref.Targets {
			if target == "Resource" {
				ref.Targets = nil
				break
			}
		}
		e.Types = append(e.Types, ref)
	}
}

// add appends e and files the JSON names it goes by. Blocks of types are set in resolveContents,
// because a type may not have got its own yet.
func (b *Block) add(e *Element) {
	b.Elements = append(b.Elements, e)
	if e.Min > 0 {
		b.Required |= 1 << e.Index
	}
	b.named[e.Name] = e
	for _, ref := range e.Types {
		f := &Field{Name: e.Name, Element: e, Ref: ref, Type: ref.Type}
		if e.Choice {
			f.Name = e.Name + strings.ToUpper(ref.Type.Name[:1]) + ref.Type.Name[1:]
		}
		e.Fields = append(e.Fields, f)
		b.fields[f.Name] = f
	}
}

// resolveContents settles content references, then says for each field what its value holds.
func (l *loader) resolveContents() {
	for _, p := range l.pending {
		if p.element.Content = l.contents[p.path]; p.element.Content == nil {
			l.fail("%s: no element %s", p.element.Path, p.path)
		}
	}
	for _, t := range l.set.types {
		t.Block.resolve()
	}
	for _, b := range l.contents {
		b.resolve()
	}
}

func (b *Block) resolve() {
	for _, f := range b.fields {
		if f.Block = f.Element.Content; f.Block == nil {
			f.Block = f.Type.Block
		}
	}
}

func (l *loader) constraintList(list *fhir.Value) []*Constraint {
	keys := items(list)
	if len(keys) == 0 {
		return nil
	}
	out := make([]*Constraint, 0, len(keys))
	for i := range keys {
		c := l.constraints[keys[i].Text()]
		if c == nil {
			l.fail("no constraint %s", keys[i].Text())
			continue
		}
		out = append(out, c)
	}
	return out
}

func readBinding(def *fhir.Value) *Binding {
	if def == nil {
		return nil
	}
	return &Binding{
		Strength: def.Get("strength").Text(),
		ValueSet: def.Get("valueSet").Text(),
		Max:      def.Get("max").Text(),
	}
}

func items(v *fhir.Value) []fhir.Value {
	if v == nil {
		return nil
	}
	return v.Items
}

func texts(v *fhir.Value) []string {
	list := items(v)
	if len(list) == 0 {
		return nil
	}
	out := make([]string, len(list))
	for i := range list {
		out[i] = list[i].Text()
	}
	return out
}

func number(v *fhir.Value, missing int) int {
	switch text := v.Text(); text {
	case "":
		return missing
	case "*":
		return Unbounded
	default:
		n, _ := strconv.Atoi(text)
		return n
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}
