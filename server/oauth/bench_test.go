package oauth_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/lestrrat-go/jwx/v2/jwa"

	"bulkhead/db/dbtest"
	"bulkhead/server/oauth"
)

// BenchmarkToken prints tokens per second of the whole endpoint without the network, and the CPU
// that a token costs program and Postgres. Authentication, row-level security and fsync are on.
//
//	go test ./server/oauth -run xxx -bench Token -benchtime 5000x
func BenchmarkToken(b *testing.B) {
	d := dbtest.Open(b)
	s, err := oauth.New(d.DB, oauth.Config{BaseURL: "https://fhir.example"})
	if err != nil {
		b.Fatal(err)
	}
	e := echo.New()
	for _, route := range s.Routes() {
		e.Add(route.Method, route.Path, route.Handler)
	}
	st := &stage{Database: d, server: s, url: "https://fhir.example"}
	c := st.newClient(b)
	key, jwks := keyPair(b, jwa.ES256)
	keyed := st.register(b, c.tenant, c.tenant.Caller, "keyed", keyClient("jwks", jwks))
	ask := func(form url.Values, basic bool) int {
		request := httptest.NewRequest(http.MethodPost, c.endpoint, strings.NewReader(form.Encode()))
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if basic {
			request.SetBasicAuth(c.id, c.secret)
		}
		recorder := httptest.NewRecorder()
		e.ServeHTTP(recorder, request)
		return recorder.Code
	}
	b.Run("client_secret_basic", func(b *testing.B) {
		form := url.Values{"grant_type": {"client_credentials"}, "scope": {"system/*.rs"}}
		measure(b, st, func(int) int { return ask(form, true) })
	})
	b.Run("private_key_jwt ES256", func(b *testing.B) {
		forms := make([]url.Values, b.N)
		for i := range forms {
			forms[i] = url.Values{
				"grant_type": {"client_credentials"}, "scope": {"system/*.rs"}, "client_assertion_type": {assertionType},
				"client_assertion": {keyed.assertion(b, key, jwa.ES256, nil)},
			}
		}
		measure(b, st, func(i int) int { return ask(forms[i], false) })
	})
}

// measure runs b.N requests from four workers.
func measure(b *testing.B, st *stage, run func(i int) int) {
	if status := run(0); status != http.StatusOK && b.N > 1 {
		b.Fatalf("status %d", status)
	}
	next := make(chan int)
	failed := make(chan int, 4)
	b.ResetTimer()
	program, postgres, started := programCPU(), postgresCPU(b, st), time.Now()
	for range 4 {
		go func() {
			bad := 0
			for i := range next {
				if run(i) != http.StatusOK {
					bad++
				}
			}
			failed <- bad
		}()
	}
	for i := 1; i < b.N; i++ {
		next <- i
	}
	close(next)
	for range 4 {
		if bad := <-failed; bad > 0 {
			b.Errorf("%d requests failed", bad)
		}
	}
	n := float64(max(b.N-1, 1))
	b.ReportMetric(n/time.Since(started).Seconds(), "tokens/s")
	b.ReportMetric(float64((programCPU()-program).Microseconds())/n, "us-program")
	b.ReportMetric(float64((postgresCPU(b, st)-postgres).Microseconds())/n, "us-postgres")
}

func programCPU() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// postgresCPU adds up what the server's processes have used, in steps of 10 ms; 0 where there is no /proc.
func postgresCPU(b *testing.B, st *stage) time.Duration {
	b.Helper()
	var pids []int
	conn := st.Connect(b, "")
	rows, err := conn.Query(context.Background(), "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
	if err != nil {
		b.Fatal(err)
	}
	for rows.Next() {
		var pid int
		if err := rows.Scan(&pid); err != nil {
			b.Fatal(err)
		}
		pids = append(pids, pid)
	}
	rows.Close()
	_ = conn.Close(context.Background())
	var total time.Duration
	for _, pid := range pids {
		text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
		if err != nil {
			continue
		}
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		for _, field := range fields[11:13] { // utime, stime
			ticks, _ := strconv.Atoi(field)
			total += time.Duration(ticks) * 10 * time.Millisecond
		}
	}
	return total
}

// BenchmarkAuthorize prints what verifying the same token again costs.
func BenchmarkAuthorize(b *testing.B) {
	st := openStage(b)
	c := st.newClient(b)
	header := "Bearer " + c.token(b)
	project, err := st.FindProject(b.Context(), c.tenant.Slug, c.tenant.ProjectSlug)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, _, err := st.server.Authorize(b.Context(), header, project); err != nil {
			b.Fatal(err)
		}
	}
}
