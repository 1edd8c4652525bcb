package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
	"bulkhead/server/validate"
)

func sampleLines(t *testing.T) []string {
	t.Helper()
	var b bytes.Buffer
	if err := writeSample(&b); err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(b.String()), "\n")
}

func TestSampleIsValidAndComplete(t *testing.T) {
	t.Parallel()
	set := definition.For(fhir.R4)
	counts, ids := map[string]int{}, map[string]bool{}
	var references []string
	for _, line := range sampleLines(t) {
		bundle, err := fhir.Parse(line)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries(&bundle) {
			resource := e.Get("resource")
			typ := resource.Get("resourceType").Text()
			counts[typ]++
			key := typ + "/" + resource.Get("id").Text()
			if ids[key] || e.Get("request").Get("url").Text() != key {
				t.Errorf("%s occurs twice, or its URL is wrong", key)
			}
			ids[key] = true
			for _, issue := range validate.Resource(set, resource) {
				t.Errorf("%s: %+v", key, issue)
			}
			references = append(references, referencesIn(resource)...)
		}
	}
	for _, reference := range references {
		if !ids[reference] {
			t.Errorf("%s is nowhere", reference)
		}
	}
	if counts["Patient"] != len(people) || counts["Encounter"] < 40 || counts["Observation"] < 100 || counts["MedicationRequest"] != counts["Condition"] {
		t.Errorf("%v", counts)
	}
	t.Logf("%v", counts)
}

func referencesIn(v *fhir.Value) (found []string) {
	if reference := v.Get("reference"); reference != nil {
		found = append(found, reference.Text())
	}
	for i := range v.Members {
		found = append(found, referencesIn(&v.Members[i].Value)...)
	}
	for i := range v.Items {
		found = append(found, referencesIn(&v.Items[i])...)
	}
	return found
}

func TestSampleIsTheSameEachTime(t *testing.T) {
	t.Parallel()
	first, second := sampleLines(t), sampleLines(t)
	if strings.Join(first, "\n") != strings.Join(second, "\n") {
		t.Error("two runs differ")
	}
	for _, line := range first {
		if !json.Valid([]byte(line)) {
			t.Errorf("no JSON: %s", line)
		}
	}
}
