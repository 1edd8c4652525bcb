package search_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"

	"bulkhead/db/dbtest"
)

// BenchmarkPage measures pages of searches as the runtime role, over a project of
// BULKHEAD_BENCH_PATIENTS patients (2,000 unless told) with 20 observations each. The figures to
// compare are those of two sizes: a page should cost what its rows cost.
func BenchmarkPage(b *testing.B) {
	patients := 2000
	if n, err := strconv.Atoi(os.Getenv("BULKHEAD_BENCH_PATIENTS")); err == nil {
		patients = n
	}
	w := newWorld(b)
	var batch []string
	flush := func() {
		if len(batch) > 0 {
			w.store(batch...)
		}
		batch = batch[:0]
	}
	for i := range patients {
		batch = append(batch, fmt.Sprintf(`{"resourceType":"Patient","id":"p%d","gender":%q,"birthDate":"%d-%02d-%02d","name":[{"family":"%c%s%d","given":["G%d"]}],
			"identifier":[{"system":"urn:s","value":"v%d"}],"address":[{"city":"City%d"}]}`,
			i, []string{"male", "female"}[i%2], 1930+i%90, 1+i%12, 1+i%28, 'A'+i%26, "amily", i%3000, i%500, i, i%300))
		for j := range 20 {
			n := i*20 + j
			batch = append(batch, fmt.Sprintf(`{"resourceType":"Observation","id":"o%d","status":"final","category":[{"coding":[{"system":"urn:cat","code":"vital-signs"}]}],
				"code":{"coding":[{"system":"http://loinc.org","code":"c%d","display":"Something %d"}]},"subject":{"reference":"Patient/p%d"},
				"effectiveDateTime":"%d-%02d-%02dT10:%02d:00Z","valueQuantity":{"value":%d.5,"unit":"mg","system":"http://unitsofmeasure.org","code":"mg"}}`,
				n, n%200, n%200, i, 2005+n*7919%20, 1+n*31%12, 1+n*17%28, n%60, n*37%1000))
		}
		if len(batch) > 1000 {
			flush()
		}
	}
	flush()
	if _, err := dbtest.Open(b).Connect(b, "").Exec(context.Background(), "VACUUM ANALYZE"); err != nil {
		b.Fatal(err)
	}
	for _, q := range []struct{ typ, query string }{
		{"Observation", "_count=10"},
		{"Observation", "code=http://loinc.org|c7"},
		{"Observation", "combo-code=c7"},
		{"Observation", "code=http://loinc.org|c7&status=final"},
		{"Observation", "patient=p77"},
		{"Observation", "patient=p77&code=http://loinc.org|c141"},
		{"Observation", "patient=p77&date=ge2015"},
		{"Observation", "date=ge2020-01-01"},
		{"Observation", "date=ge2024-12-24&date=lt2024-12-27"},
		{"Observation", "code=c7&_sort=-date"},
		{"Observation", "_sort=-date"},
		{"Observation", "value-quantity=gt900||mg"},
		{"Observation", "code-value-quantity=c7$gt500"},
		{"Observation", "patient.identifier=urn:s|v77"},
		{"Observation", "patient.gender=female"},
		{"Observation", "patient.family=Zamily&code=c7"},
		{"Patient", "gender=male&_count=5"},
		{"Patient", "family=S"},
		{"Patient", "gender=female&family=B"},
		{"Patient", "family=Bamily1&birthdate=1931-02-02"},
		{"Patient", "name=g77"},
		{"Patient", "address-city=city7&family=A&_count=50"},
		{"Patient", "birthdate=ge1970&birthdate=lt1971&_count=50"},
		{"Patient", "identifier=urn:s|v77"},
		{"Patient", "_has:Observation:patient:code=c7"},
		{"Patient", "_lastUpdated=ge2020"},
		{"Observation", "_include=Observation:patient"},
		{"Patient", "_id=p77&_revinclude=Observation:patient"},
	} {
		b.Run(q.typ+"?"+q.query, func(b *testing.B) {
			s, err := w.parse(q.typ, q.query)
			if err != nil {
				b.Fatal(err)
			}
			hits := len(w.page(s, nil))
			b.ReportMetric(float64(hits), "hits")
			for b.Loop() {
				w.page(s, nil)
			}
		})
	}
}
