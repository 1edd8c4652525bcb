package definition

import (
	"testing"

	"bulkhead/server/fhir"
)

func TestLoadRefusesBrokenFiles(t *testing.T) {
	t.Parallel()
	if _, err := load(fhir.R4, []byte("not gzip"), nil); err == nil {
		t.Error("a file that is no gzip was accepted")
	}
	if _, err := load(fhir.R4, r4File[:len(r4File)/2], nil); err == nil {
		t.Error("half a file was accepted")
	}
	if _, err := load(fhir.R4, r4ValueSets, nil); err == nil {
		t.Error("a file without the base types was accepted")
	}
}

func BenchmarkLoad(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := load(fhir.R4, r4File, r4ValueSets); err != nil {
			b.Fatal(err)
		}
	}
}
