package fhir_test

import (
	"errors"
	"strings"
	"testing"

	"bulkhead/server/fhir"
)

func TestDuplicateNamesAreLocated(t *testing.T) {
	t.Parallel()
	for text, path := range map[string]string{
		`{"id":1,"id":2}`: "id",
		`{"name":[{},{"given":["a"],"given":["b"]}]}`: "name[1].given",
		`{"a":{"b":[[{"c":1,"c":2}]]}}`:               "a.b[0][0].c",
		`[{"a":1,"a":2}]`:                             "[0].a",
	} {
		_, err := fhir.Parse(text)
		var e *fhir.Error
		if !errors.As(err, &e) || strings.Join(e.Issues[0].Expression, " ") != path {
			t.Errorf("%s: %v", text, err)
		}
	}
	var e *fhir.Error
	if _, err := fhir.Parse(`{"a":[}`); !errors.As(err, &e) || e.Issues[0].Expression != nil {
		t.Errorf("other faults have a byte offset only: %v", err)
	}
}
