package fhir

import "strings"

// Outcome writes issues as an OperationOutcome (http://hl7.org/fhir/R4/operationoutcome.html).
func Outcome(issues []Issue) string {
	b := make([]byte, 0, 256)
	b = append(b, `{"resourceType":"OperationOutcome","issue":[`...)
	for i := range issues {
		if i > 0 {
			b = append(b, ',')
		}
		b = issues[i].append(b)
	}
	return string(append(b, "]}"...))
}

func (i *Issue) append(b []byte) []byte {
	severity := i.Severity
	if severity == "" {
		severity = "error"
	}
	b = append(b, `{"severity":`...)
	b = AppendString(b, severity)
	b = append(b, `,"code":`...)
	b = AppendString(b, string(i.Code))
	if i.Diagnostics != "" {
		b = append(b, `,"diagnostics":`...)
		b = appendTold(b, i.Diagnostics)
	}
	for n, expression := range i.Expression {
		if n == 0 {
			b = append(b, `,"expression":[`...)
		} else {
			b = append(b, ',')
		}
		b = appendTold(b, expression)
	}
	if len(i.Expression) > 0 {
		b = append(b, ']')
	}
	return append(b, '}')
}

// appendTold writes a text that may repeat what a client sent, such as the name of a parameter:
// what is no Unicode text or NUL, which many parsers refuse, is replaced.
func appendTold(b []byte, text string) []byte {
	if strings.IndexByte(text, 0) >= 0 {
		text = strings.ReplaceAll(text, "\x00", "\uFFFD")
	}
	return AppendString(b, strings.ToValidUTF8(text, "\uFFFD"))
}
