package server_test

import (
	"fmt"
	"sync"
	"testing"
)

// writers is how many requests meet in the tests of this file.
const writers = 20

// together runs a request of each writer at once and counts the statuses.
func together(t *testing.T, request func(n int) answer) map[int]int {
	t.Helper()
	var wait, start sync.WaitGroup
	var mu sync.Mutex
	statuses := map[int]int{}
	start.Add(1)
	for n := range writers {
		wait.Go(func() {
			start.Wait()
			got := request(n)
			mu.Lock()
			defer mu.Unlock()
			statuses[got.status]++
			if got.status >= 500 {
				t.Errorf("writer %d: %d %s", n, got.status, got.body)
			}
		})
	}
	start.Done()
	wait.Wait()
	return statuses
}

func TestOfWritersOnOneVersionOneWins(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.must(201, "PUT", "Patient/a", `{"resourceType":"Patient","id":"a"}`)
	got := together(t, func(n int) answer {
		return a.do("PUT", "Patient/a", fmt.Sprintf(`{"resourceType":"Patient","id":"a","name":[{"family":"w%d"}]}`, n), "If-Match", `W/"1"`)
	})
	if got[200] != 1 || got[412] != writers-1 {
		t.Error(got)
	}
	if read := a.must(200, "GET", "Patient/a", ""); read.Header.Get("ETag") != `W/"2"` {
		t.Error(read.Header)
	}
}

func TestNoUpdateIsLost(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	got := together(t, func(n int) answer {
		return a.do("PUT", "Patient/a", fmt.Sprintf(`{"resourceType":"Patient","id":"a","name":[{"family":"w%d"}]}`, n))
	})
	if got[201] != 1 || got[200] != writers-1 {
		t.Error(got)
	}
	last := ""
	for n := 1; n <= writers; n++ {
		version, at := updated(t, a.must(200, "GET", fmt.Sprintf("Patient/a/_history/%d", n), "").body)
		if version != fmt.Sprint(n) || at <= last {
			t.Errorf("version %s at %s, after %s", version, at, last)
		}
		last = at
	}
	a.must(404, "GET", fmt.Sprintf("Patient/a/_history/%d", writers+1), "")
	fresh := newAPI(t)
	fresh.must(201, "PUT", "Patient/a", `{"resourceType":"Patient","id":"a","name":[{"family":"w1"}]}`)
	if got, want := fmt.Sprint(a.indexRows()), fmt.Sprint(fresh.indexRows()); got != want {
		t.Errorf("index rows %s, of one version %s", got, want)
	}
}

func TestWritersAndDeletersLeaveOneHistory(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	got := together(t, func(n int) answer {
		if n%2 == 0 {
			return a.do("DELETE", "Patient/a", "")
		}
		return a.do("PUT", "Patient/a", `{"resourceType":"Patient","id":"a"}`)
	})
	if got[204] != writers/2 || got[200]+got[201] != writers/2 {
		t.Error(got)
	}
	seen := 0
	for n := 1; ; n++ {
		status := a.do("GET", fmt.Sprintf("Patient/a/_history/%d", n), "").status
		if status == 404 {
			break
		}
		seen++
	}
	if seen != a.count() {
		t.Errorf("%d versions can be read, %d are stored", seen, a.count())
	}
}
