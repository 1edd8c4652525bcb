package search

import (
	"slices"
	"strings"
	"sync"

	"bulkhead/server/definition"
)

// plan is what the index holds for one resource type: which parameters have rows, which are
// answered by the rows of others, and the trees that extract them.
type plan struct {
	set    *definition.Set
	typ    *definition.Type
	typeID int16
	params []*indexed // by code
	byCode map[string]*indexed
	rows   *node // leaves of the parameters that are stored
	all    *node // leaves of every parameter, for Describe
}

// indexed is one parameter of the type.
type indexed struct {
	param    *definition.SearchParam
	id       int32
	branches []path // relative to the resource
	complete bool   // the branches say all that the expression says
	stored   bool
	sources  []source // whose rows answer it; itself if it is stored

	types    []*definition.Field // what its values can be
	single   bool                // at most one value in a resource
	compound *compound           // for composites
}

// source is a stored parameter, perhaps restricted to references to one type.
type source struct {
	id     int32
	target int16 // 0 is no restriction
}

// compound is how a composite parameter is indexed. Tuples that come from the resource itself
// have no rows: every component is matched by its own parameter, and any combination of their
// values is a tuple.
type compound struct {
	root  []*indexed // the parameters of the components, if there is a branch at the root
	parts []part
	trees map[*node][][]partTree // for each node of the composite and each component
}

// part is a component of the composite where it is stored in rows.
type part struct {
	param    *definition.SearchParam
	branches []path // relative to the composite's node, or to the resource after %resource
}

// Catalog is the search parameters of a project: those of its FHIR release, and its own.
type Catalog struct {
	// Offset is the time zone, in minutes east of UTC, of dates and times that name none, in
	// resources as in queries. It may not change while the project holds resources.
	Offset int

	// Terminology answers :in, :not-in, :above and :below of tokens. It may be nil: then only what
	// the release says of its own required and extensible value sets is known.
	Terminology Terminology

	set   *definition.Set
	extra []*definition.SearchParam
	plans sync.Map // type name -> *plan
}

// Code is a code of a code system.
type Code struct{ System, Code string }

// Terminology knows value sets and hierarchies of codes. It looks nothing up outside the project.
type Terminology interface {
	// Expand lists the codes of a value set; ok is false if it is unknown or cannot be listed.
	Expand(valueSet string) (codes []Code, ok bool)
	// Above lists a code and all that subsume it, Below a code and all that it subsumes.
	Above(c Code) []Code
	Below(c Code) []Code
}

var standard sync.Map // *definition.Set -> *Catalog

// Standard returns the catalog of a release without any additions.
func Standard(set *definition.Set) *Catalog {
	if c, ok := standard.Load(set); ok {
		return c.(*Catalog)
	}
	c, _ := standard.LoadOrStore(set, &Catalog{set: set})
	return c.(*Catalog)
}

// NewCatalog returns a catalog with a project's own parameters besides those of the release. One
// with the code of another replaces it.
func NewCatalog(set *definition.Set, own []*definition.SearchParam) *Catalog {
	return &Catalog{set: set, extra: own}
}

// plan returns the plan of a resource type, or nil if there is no such type.
func (c *Catalog) plan(typeName string) *plan {
	if p, ok := c.plans.Load(typeName); ok {
		return p.(*plan)
	}
	t := c.set.ResourceType(typeName)
	if t == nil {
		return nil
	}
	p, _ := c.plans.LoadOrStore(typeName, newPlan(c.set, t, c.params(t)))
	return p.(*plan)
}

// params returns the parameters of a type, by code.
func (c *Catalog) params(t *definition.Type) []*definition.SearchParam {
	out := slices.Clone(c.set.SearchParams(t.Name))
	for _, own := range c.extra {
		if !slices.ContainsFunc(own.Base, func(base string) bool { return is(t, base) }) {
			continue
		}
		out = slices.DeleteFunc(out, func(p *definition.SearchParam) bool { return p.Code == own.Code })
		out = append(out, own)
	}
	slices.SortFunc(out, func(a, b *definition.SearchParam) int { return strings.Compare(a.Code, b.Code) })
	return out
}

func newPlan(set *definition.Set, t *definition.Type, list []*definition.SearchParam) *plan {
	id, _ := definition.TypeID(t.Name)
	p := &plan{
		set: set, typ: t, typeID: id, byCode: map[string]*indexed{},
		rows: &node{typ: t, block: t.Block}, all: &node{typ: t, block: t.Block},
	}
	for _, param := range list {
		x := &indexed{param: param, id: definition.ParamID(t.Name, param.Code)}
		x.branches, x.complete = branchesFor(t, param.Expression)
		p.params = append(p.params, x)
		p.byCode[param.Code] = x
	}
	p.chooseStored()
	for _, x := range p.params {
		if x.param.Type == definition.CompositeParam {
			x.compound = p.compoundOf(x)
		}
	}
	for i, x := range p.params {
		p.grow(i, x)
	}
	return p
}

// branchesFor returns the branches of an expression that concern a type, relative to it.
func branchesFor(t *definition.Type, expression string) ([]path, bool) {
	all, ok := parsePaths(expression)
	if !ok {
		return special(expression, t), false
	}
	var own []path
	for _, one := range all {
		first := one[0]
		switch {
		case first.kind == stepName && is(t, first.name) && first.name != "Element":
			own = append(own, one[1:])
		case first.kind == stepName && t.Block.Element(first.name) != nil:
			own = append(own, one) // "name | alias" in InsurancePlan-name
		case first.kind == stepResource:
			own = append(own, one)
		}
	}
	return own, true
}

// special handles the one expression of the specification that is no path: Patient.deceased
// yields a truth value. The extraction makes it of the element (take in rows.go).
func special(expression string, t *definition.Type) []path {
	if t.Name == "Patient" && strings.HasPrefix(expression, "Patient.deceased.exists()") {
		return []path{{{kind: stepName, name: "deceased"}}}
	}
	return nil
}

// notStored lists the parameters that columns of the resource row answer.
var notStored = map[string]bool{"_id": true, "_lastUpdated": true}

// chooseStored decides which parameters have rows. Three kinds are answered by others: twins
// (Patient.phonetic has the expression of Patient.name), restrictions of a reference to one
// target type (Observation.patient), and unions of others (Observation.combo-code).
func (p *plan) chooseStored() {
	names := make([][]string, len(p.params))
	for i, x := range p.params {
		for _, b := range x.branches {
			names[i] = append(names[i], b.String())
		}
		slices.Sort(names[i])
		names[i] = slices.Compact(names[i])
		x.stored = x.param.Type != definition.CompositeParam && !notStored[x.param.Code]
	}
	for i, x := range p.params {
		if !x.stored || !x.complete {
			continue
		}
		if twin := p.twin(i, names); twin != nil {
			x.stored, x.sources = false, []source{{id: twin.id}}
		}
	}
	for i, x := range p.params {
		if x.stored && x.complete && len(x.sources) == 0 {
			p.restrict(i, names)
		}
	}
	for i, x := range p.params {
		if x.stored && x.complete {
			p.unite(i, names)
		}
	}
	for _, x := range p.params {
		if x.stored {
			x.sources = []source{{id: x.id}}
		}
	}
	for _, x := range p.params {
		x.sources = p.resolve(x.sources)
	}
}

func (p *plan) twin(i int, names [][]string) *indexed {
	for j := range i {
		y := p.params[j]
		if y.stored && y.complete && y.param.Type == p.params[i].param.Type && len(names[i]) > 0 && slices.Equal(names[i], names[j]) {
			return y
		}
	}
	return nil
}

// restrict recognises x = y.where(resolve() is T).
func (p *plan) restrict(i int, names [][]string) {
	x := p.params[i]
	if x.param.Type != definition.ReferenceParam || len(x.branches) != 1 {
		return
	}
	branch := x.branches[0]
	if len(branch) == 0 || branch[len(branch)-1].kind != stepResolves {
		return
	}
	target, ok := definition.TypeID(branch[len(branch)-1].arg)
	wanted := []string{branch[:len(branch)-1].String()}
	for j, y := range p.params {
		if ok && y != x && y.stored && y.param.Type == definition.ReferenceParam && slices.Equal(names[j], wanted) {
			x.stored, x.sources = false, []source{{id: y.id, target: target}}
			return
		}
	}
}

// unite recognises x = y | z | ...
func (p *plan) unite(i int, names [][]string) {
	x := p.params[i]
	if len(names[i]) < 2 {
		return
	}
	var covered []string
	var sources []source
	for j, y := range p.params {
		if y == x || !y.stored || !y.complete || y.param.Type != x.param.Type || len(names[j]) == 0 || len(names[j]) >= len(names[i]) {
			continue
		}
		if !subset(names[j], names[i]) || subset(names[j], covered) {
			continue
		}
		covered = append(covered, names[j]...)
		sources = append(sources, source{id: y.id})
	}
	if subset(names[i], covered) {
		x.stored, x.sources = false, sources
	}
}

func subset(small, large []string) bool {
	for _, s := range small {
		if !slices.Contains(large, s) {
			return false
		}
	}
	return true
}

// resolve replaces sources that turned out to be answered by others themselves.
func (p *plan) resolve(sources []source) []source {
	var out []source
	for _, s := range sources {
		for _, y := range p.params {
			if y.id != s.id {
				continue
			}
			if y.stored {
				out = append(out, s)
				break
			}
			for _, deeper := range y.sources {
				if s.target != 0 {
					deeper.target = s.target
				}
				out = append(out, deeper)
			}
		}
	}
	return out
}

// compoundOf splits a composite into the tuples at the root and those in rows.
func (p *plan) compoundOf(x *indexed) *compound {
	c := &compound{}
	components := x.param.Components
	if x.param.ID == "DocumentReference-relationship" && len(components) == 2 {
		// The specification has the two expressions crosswise: relatesto is the target, relation
		// the code.
		components = []definition.Component{
			{Param: components[0].Param, Expression: components[1].Expression},
			{Param: components[1].Param, Expression: components[0].Expression},
		}
	}
	for _, component := range components {
		branches, ok := parsePaths(component.Expression)
		if !ok || component.Param == nil {
			x.branches = nil
			return c
		}
		c.parts = append(c.parts, part{param: component.Param, branches: branches})
	}
	rooted := slices.ContainsFunc(x.branches, func(b path) bool { return len(b) == 0 })
	if rooted {
		for _, one := range c.parts {
			owner := p.owner(one)
			if owner == nil {
				c.root = nil
				break
			}
			c.root = append(c.root, owner)
		}
	}
	if rooted && c.root != nil {
		p.describeRoot(x, c)
		x.branches = slices.DeleteFunc(x.branches, func(b path) bool { return len(b) == 0 })
	}
	p.storeCompound(x)
	return c
}

// describeRoot keeps the tuples at the root in the tree of Describe.
func (p *plan) describeRoot(x *indexed, c *compound) {
	x.compound = c
	p.all.addLeaf(slices.Index(p.params, x))
	p.plant(x, p.all)
}

// owner returns the stored parameter that covers a component of the resource itself, the
// narrowest one.
func (p *plan) owner(one part) *indexed {
	var best *indexed
	for _, y := range p.params {
		if y.param.Type != one.param.Type || len(y.sources) == 0 {
			continue
		}
		var names []string
		for _, b := range y.branches {
			names = append(names, b.String())
		}
		covers := true
		for _, b := range one.branches {
			covers = covers && slices.Contains(names, b.String())
		}
		if covers && (best == nil || len(y.branches) < len(best.branches)) {
			best = y
		}
	}
	return best
}

// storeCompound shares the rows of composites that have the same branches and components.
func (p *plan) storeCompound(x *indexed) {
	if len(x.branches) == 0 {
		return
	}
	x.stored = true
	x.sources = []source{{id: x.id}}
	for _, y := range p.params {
		if y == x || y.compound == nil || !y.stored || len(y.branches) != len(x.branches) {
			continue
		}
		same := slices.EqualFunc(x.branches, y.branches, func(a, b path) bool { return a.String() == b.String() }) &&
			slices.EqualFunc(x.param.Components, y.param.Components, func(a, b definition.Component) bool {
				return a.Expression == b.Expression && a.Param != nil && b.Param != nil && a.Param.Type == b.Param.Type
			})
		if same {
			x.stored, x.sources = false, y.sources
			return
		}
	}
}

// grow adds the leaves of a parameter to the trees and learns what its values can be.
func (p *plan) grow(i int, x *indexed) {
	x.single = len(x.branches) > 0
	for _, b := range x.branches {
		for _, leaf := range p.all.follow(p.all, b) {
			leaf.addLeaf(i)
			p.plant(x, leaf)
			if leaf.field != nil {
				x.types = append(x.types, leaf.field)
			}
		}
		x.single = x.single && p.singular(b) && sameElement(b, x.branches[0])
		if x.stored {
			for _, leaf := range p.rows.follow(p.rows, b) {
				leaf.addLeaf(i)
				p.plant(x, leaf)
			}
		}
	}
}

// plant prepares the components of a composite below one of its nodes.
func (p *plan) plant(x *indexed, leaf *node) {
	if x.compound == nil {
		return
	}
	if x.compound.trees == nil {
		x.compound.trees = map[*node][][]partTree{}
	}
	var trees [][]partTree
	for _, one := range x.compound.parts {
		trees = append(trees, p.partTrees(one, leaf))
	}
	x.compound.trees[leaf] = trees
}

// singular tells whether a path yields at most one value: nothing on the way repeats.
func (p *plan) singular(b path) bool {
	block := p.typ.Block
	for _, s := range b {
		if s.kind != stepName {
			continue
		}
		e := block.Element(s.name)
		if e == nil || e.Repeats() {
			return false
		}
		block = nil
		if len(e.Fields) > 0 {
			block = e.Fields[0].Block
		}
	}
	return true
}

// sameElement tells whether two paths differ only in the type that they ask of a choice.
func sameElement(a, b path) bool {
	typed := func(s step) bool { return s.kind == stepAs }
	return slices.DeleteFunc(slices.Clone(a), typed).String() == slices.DeleteFunc(slices.Clone(b), typed).String()
}
