package validate

import (
	"fmt"
	"strconv"
	"strings"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
	"bulkhead/server/fhirpath"
)

// MaxIssues is how many issues are told about one resource.
const MaxIssues = 100

// Resource returns the issues of a resource against the base definitions of its release; none if
// it is valid. Warnings are left out unless WithWarnings is given.
func Resource(set *definition.Set, v *fhir.Value, options ...Option) []fhir.Issue {
	w := walker{core: coreOf(set)}
	for _, option := range options {
		option(&w)
	}
	w.resource(v, w.core.resource, nil)
	if w.work > maxProfileWork {
		w.issues = append(w.issues, fhir.Issue{
			Severity: "error", Code: fhir.TooCostly,
			Diagnostics: "Checking the profiles takes too long: they refer to each other too often.",
		})
	}
	return w.issues
}

// Option changes what Resource checks.
type Option func(*walker)

// StructureOnly leaves out bindings and invariants: what a project with lenient validation asks
// for. Narrative must be safe all the same.
func StructureOnly() Option { return func(w *walker) { w.lenient = true } }

// WithWarnings adds what is recommended but not demanded, as issues of severity warning.
func WithWarnings() Option { return func(w *walker) { w.warnings = true } }

// walker goes down one document. The path is kept as a stack and written out only for an issue.
type walker struct {
	*core
	lenient  bool
	warnings bool
	path     []step
	scope    *scope
	env      *fhirpath.Env // of the resource that the walk is in
	issues   []fhir.Issue

	shelf      Library // nil: profiles are not checked
	further    []*Profile
	conforming *Profile // that is being checked
	depth      int      // of profiles that refer to others
	work       int      // values compared with profiles so far
}

// step is one element on the way down: its name, and its index if it is an item of an array.
type step struct {
	name  string
	index int // -1: no item
}

func (w *walker) push(name string, index int) { w.path = append(w.path, step{name, index}) }
func (w *walker) pop()                        { w.path = w.path[:len(w.path)-1] }
func (w *walker) full() bool                  { return len(w.issues) >= MaxIssues }

// at writes the path of the current element, or of one of its members.
func (w *walker) at(member string) string {
	var b strings.Builder
	for i, s := range w.path {
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(s.name)
		if s.index >= 0 {
			b.WriteByte('[')
			b.WriteString(strconv.Itoa(s.index))
			b.WriteByte(']')
		}
	}
	if member != "" {
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(member)
	}
	return b.String()
}

// add notes an issue with the current element.
func (w *walker) add(code fhir.IssueType, format string, args ...any) {
	w.addAt("", code, format, args...)
}

// addAt notes an issue with a member of the current element.
func (w *walker) addAt(member string, code fhir.IssueType, format string, args ...any) {
	if w.full() {
		return
	}
	w.issues = append(w.issues, fhir.Issue{
		Severity:    "error",
		Code:        code,
		Diagnostics: fmt.Sprintf(format, args...),
		Expression:  []string{w.at(member)},
	})
}

// warn notes a warning with the current element, if warnings are wanted.
func (w *walker) warn(code fhir.IssueType, format string, args ...any) {
	if w.warnings && !w.full() {
		w.add(code, format, args...)
		w.issues[len(w.issues)-1].Severity = "warning"
	}
}

// alsoAt adds a member of the current element to the expressions of the issue noted last.
func (w *walker) alsoAt(member string) {
	if last := len(w.issues) - 1; last < MaxIssues-1 {
		w.issues[last].Expression = append(w.issues[last].Expression, w.at(member))
	}
}

// quote shows a text that the client sent, cut to a length that an answer can carry.
func quote(text string) string {
	const most = 60
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return strconv.Quote(text)
}
