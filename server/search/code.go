package search

import "strings"

// caseSensitive are the beginnings of code systems whose codes differ by case: those that HL7
// publishes with caseSensitive true. Its version 2 tables do not say so.
var caseSensitive = [...]string{
	"http://hl7.org/fhir/",
	"http://terminology.hl7.org/CodeSystem/",
	"http://unitsofmeasure.org",
	"urn:ietf:bcp:47",
	"urn:iso:std:iso:",
}

// foldCode is the form in which a code is stored and asked for. Tokens are not case sensitive
// (R4 search, token) unless their code system is.
func foldCode(system, code string) string {
	if isCaseSensitive(system) {
		return code
	}
	return strings.ToLower(code)
}

func isCaseSensitive(system string) bool {
	if strings.HasPrefix(system, "http://terminology.hl7.org/CodeSystem/v2-") {
		return false
	}
	for _, prefix := range caseSensitive {
		if strings.HasPrefix(system, prefix) {
			return true
		}
	}
	return false
}
