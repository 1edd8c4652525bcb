package fhir

import (
	"fmt"
	"strings"
)

// IssueType is a code of http://hl7.org/fhir/issue-type.
type IssueType string

// The issue types that Bulkhead uses. Package server holds the table from type to HTTP status.
const (
	Invalid      IssueType = "invalid"
	Structure    IssueType = "structure"
	Required     IssueType = "required"
	ValueInvalid IssueType = "value"
	Invariant    IssueType = "invariant"
	Login        IssueType = "login"
	Forbidden    IssueType = "forbidden"
	Processing   IssueType = "processing"
	NotSupported IssueType = "not-supported"
	Duplicate    IssueType = "duplicate"
	MultipleHits IssueType = "multiple-matches"
	NotFound     IssueType = "not-found"
	Deleted      IssueType = "deleted"
	TooLong      IssueType = "too-long"
	CodeInvalid  IssueType = "code-invalid"
	Extension    IssueType = "extension"
	TooCostly    IssueType = "too-costly"
	BusinessRule IssueType = "business-rule"
	Conflict     IssueType = "conflict"
	LockError    IssueType = "lock-error"
	Exception    IssueType = "exception"
	Timeout      IssueType = "timeout"
	Throttled    IssueType = "throttled"
	Transient    IssueType = "transient"
	Information  IssueType = "informational"
)

// Issue is one OperationOutcome.issue.
type Issue struct {
	Severity    string // fatal, error, warning or information; "" means error
	Code        IssueType
	Diagnostics string
	Expression  []string // FHIRPath to the element, or the name of a search parameter
}

// Error is a failure as the client is told it, and the private cause. Handlers and pure rooms
// return it; package server turns it into a status and an OperationOutcome, and nowhere else.
type Error struct {
	Status int     // HTTP status where the first issue's type does not say it; usually 0
	Issues []Issue // never empty; the first one decides
	Err    error   // the cause for the log; never shown
}

// Errorf makes an Error of one issue without an expression.
func Errorf(code IssueType, format string, args ...any) *Error {
	return &Error{Issues: []Issue{{Code: code, Diagnostics: fmt.Sprintf(format, args...)}}}
}

// At returns e with the expression of its first issue set.
func (e *Error) At(expression string) *Error {
	e.Issues[0].Expression = []string{expression}
	return e
}

// With returns e with the HTTP status set.
func (e *Error) With(status int) *Error {
	e.Status = status
	return e
}

// Because returns e with its private cause set.
func (e *Error) Because(err error) *Error {
	e.Err = err
	return e
}

func (e *Error) Error() string {
	var b strings.Builder
	for i, issue := range e.Issues {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(string(issue.Code))
		b.WriteString(": ")
		b.WriteString(issue.Diagnostics)
	}
	if e.Err != nil {
		b.WriteString(": ")
		b.WriteString(e.Err.Error())
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }
