package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeServer answers tokens and bundles as a FHIR server does, and refuses references to what it does
// not hold. The commands' tests against the real server are in dev_test.go.
type fakeServer struct {
	*httptest.Server
	mu        sync.Mutex
	resources map[string]string    // Type/id to what was sent
	modified  map[string]time.Time // when it last changed
	created   int                  // by POST
	tokens    int
	requests  int
	trouble   func(n int, w http.ResponseWriter) bool // answers request n itself
}

func newFakeServer(t *testing.T) *fakeServer {
	t.Helper()
	s := &fakeServer{resources: map[string]string{}, modified: map[string]time.Time{}, trouble: func(int, http.ResponseWriter) bool { return false }}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", s.token)
	mux.HandleFunc("GET /fhir/.well-known/smart-configuration", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"token_endpoint":"%s/token"}`, s.URL)
	})
	mux.HandleFunc("POST /fhir", s.bundle)
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func (s *fakeServer) token(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, secret, _ := r.BasicAuth()
	if id == "" {
		id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	w.Header().Set("Content-Type", "application/json")
	if id != "loader" || secret != "s3cret" {
		w.WriteHeader(http.StatusUnauthorized)
		io.WriteString(w, `{"error":"invalid_client"}`)
		return
	}
	s.tokens++
	fmt.Fprintf(w, `{"access_token":"t%d","token_type":"Bearer","expires_in":300}`, s.tokens)
}

func (s *fakeServer) bundle(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	if s.trouble(s.requests, w) {
		return
	}
	if r.Header.Get("Authorization") != fmt.Sprintf("Bearer t%d", s.tokens) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	var b struct {
		Type  string
		Entry []json.RawMessage
	}
	if err := json.NewDecoder(r.Body).Decode(&b); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	names := map[string]bool{}
	for _, e := range b.Entry {
		names[parseEntry(e).FullURL], names[parseEntry(e).Request.URL] = true, true
	}
	var answers []string
	for _, e := range b.Entry {
		if outcome := s.refuse(parseEntry(e), names); outcome != "" {
			if b.Type == "transaction" {
				w.WriteHeader(http.StatusUnprocessableEntity)
				io.WriteString(w, outcome)
				return
			}
			answers = append(answers, `{"response":{"status":"422","outcome":`+outcome+`}}`)
			continue
		}
		answers = append(answers, "")
	}
	for i, e := range b.Entry {
		if answers[i] == "" {
			answers[i] = s.store(parseEntry(e))
		}
	}
	fmt.Fprintf(w, `{"resourceType":"Bundle","type":"%s-response","entry":[%s]}`, b.Type, strings.Join(answers, ","))
}

type sentEntry struct {
	FullURL  string
	Resource json.RawMessage
	Request  struct{ Method, URL, IfNoneExist string }
}

func parseEntry(raw json.RawMessage) (e sentEntry) {
	json.Unmarshal(raw, &e)
	return e
}

// refuse gives the OperationOutcome for an entry that cannot be stored.
func (s *fakeServer) refuse(e sentEntry, names map[string]bool) string {
	var r struct {
		Subject struct{ Reference string }
		Gender  string
	}
	json.Unmarshal(e.Resource, &r)
	if ref := r.Subject.Reference; ref != "" && !names[ref] && s.resources[ref] == "" {
		return fmt.Sprintf(`{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"not-found","diagnostics":"there is no %s"}]}`, ref)
	}
	if r.Gender == "bad" {
		return `{"resourceType":"OperationOutcome","issue":[{"code":"code-invalid","diagnostics":"no such gender","expression":["Patient.gender"]}]}`
	}
	return ""
}

// store keeps an entry and gives the response entry.
func (s *fakeServer) store(e sentEntry) string {
	key, status := e.Request.URL, "200"
	switch {
	case e.Request.IfNoneExist != "":
		key += "?" + e.Request.IfNoneExist
	case e.Request.Method == http.MethodPost:
		s.created++
		key += fmt.Sprintf("/new%d", s.created)
	}
	old, there := s.resources[key]
	if !there {
		status = "201 Created"
	}
	if text := string(e.Resource); !there || old != text && e.Request.Method == http.MethodPut {
		s.resources[key], s.modified[key] = text, time.Now()
	}
	return fmt.Sprintf(`{"response":{"status":"%s","lastModified":"%s"}}`, status, s.modified[key].UTC().Format(time.RFC3339Nano))
}

func (s *fakeServer) load(t *testing.T, args ...string) (result, loadSummary) {
	t.Helper()
	all := append([]string{"load", "--json", "--fhir-base", s.URL + "/fhir", "--client-id", "loader", "--retry-for", "5s"}, args...)
	r := call(t, map[string]string{"BULKHEAD_CLIENT_SECRET": "s3cret"}, all...)
	var sum loadSummary
	if err := json.Unmarshal([]byte(r.stdout), &sum); err != nil && r.code != exitUsage {
		t.Fatalf("%v in %s%s", err, r.stdout, r.stderr)
	}
	return r, sum
}

// file writes one; .gz is compressed.
func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	content := []byte(text)
	if strings.HasSuffix(name, ".gz") {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		io.WriteString(w, text)
		w.Close()
		content = b.Bytes()
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const (
	patientBundle = `{"resourceType":"Bundle","type":"transaction","entry":[` +
		`{"fullUrl":"urn:uuid:p1","resource":{"resourceType":"Patient","id":"p1","multipleBirthInteger":1e0},"request":{"method":"POST","url":"Patient"}},` +
		`{"fullUrl":"urn:uuid:o1","resource":{"resourceType":"Observation","subject":{"reference":"urn:uuid:p1"}},"request":{"method":"POST","url":"Observation"}},` +
		`{"resource":{"resourceType":"Observation","subject":{"reference":"Organization/x"}},"request":{"method":"POST","url":"Observation"}}]}`
	infrastructure = `{"resourceType":"Bundle","type":"batch","entry":[` +
		`{"fullUrl":"urn:uuid:x","resource":{"resourceType":"Organization","id":"x"},"request":{"method":"POST","url":"Organization","ifNoneExist":"identifier=https://example.org|x"}},` +
		`{"fullUrl":"urn:uuid:d","resource":{"resourceType":"Practitioner","id":"d"},"request":{"method":"POST","url":"Practitioner","ifNoneExist":"identifier=http://hl7.org/fhir/sid/us-npi|7"}}]}`
)

func TestLoadTwiceStoresOnce(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	patients, organizations := file(t, "patients.ndjson.gz", patientBundle+"\n\n"), file(t, "hospitals.ndjson", infrastructure)
	r, sum := s.load(t, patients, organizations)
	if r.code != exitDone || sum.Total != (loadCount{Created: 5}) || sum.Documents != 2 {
		t.Fatalf("first: code %d, %+v\n%s", r.code, sum, r.stderr)
	}
	for _, key := range []string{"Patient/p1", "Observation/o1", "Organization/x", "Practitioner?identifier=http://hl7.org/fhir/sid/us-npi|7"} {
		if s.resources[key] == "" {
			t.Errorf("%s is missing in %v", key, s.resources)
		}
	}
	if got := s.resources["Patient/p1"]; !strings.Contains(got, `"multipleBirthInteger":1e0`) {
		t.Errorf("the number was rewritten: %s", got)
	}
	if got := s.resources["Observation/o1"]; !strings.Contains(got, `"id":"o1"`) {
		t.Errorf("the id of the fullUrl was not taken: %s", got)
	}
	for key := range s.modified { // as if the first load had been an hour ago
		s.modified[key] = s.modified[key].Add(-time.Hour)
	}
	r, sum = s.load(t, organizations, patients)
	if r.code != exitDone || sum.Total != (loadCount{Unchanged: 5}) || len(s.resources) != 5 {
		t.Errorf("second: code %d, %+v, %d resources", r.code, sum.Total, len(s.resources))
	}
	_, sum = s.load(t, "--as-is", patients)
	if sum.Total.Created != 3 || len(s.resources) != 8 {
		t.Errorf("as it is: %+v, %d resources", sum.Total, len(s.resources))
	}
}

func TestLoadSingleResources(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	// Given in the wrong order, and with a reference to a later line of the same file.
	observations := file(t, "Observation.ndjson", `{"resourceType":"Observation","id":"o1","subject":{"reference":"Patient/p1"}}
{"resourceType":"Observation","id":"o2","subject":{"reference":"Observation/o3"}}
{"resourceType":"Observation","id":"o3"}
{"resourceType":"Observation","status":"final"}`)
	patients := file(t, "patients.json", `{"resourceType":"Bundle","type":"collection","entry":[
  {"resource":{"resourceType":"Patient","id":"p1"}},
  {"resource":{"resourceType":"Patient","id":"p2"}}]}`)
	log := file(t, "log.ndjson", `{"exportId":"1","eventId":"kickoff"}`)
	r, sum := s.load(t, "--group", "1", observations, patients, log)
	if r.code != exitDone || sum.Total.Created != 6 || sum.Resources["Patient"].Created != 2 {
		t.Errorf("code %d, %+v\n%s", r.code, sum, r.stderr)
	}
}

func TestLoadSaysWhatWasNotStored(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	path := file(t, "mixed.ndjson", `{"resourceType":"Patient","id":"good"}
{"resourceType":"Patient","id":"bad","gender":"bad"}
{"resourceType":"Patient","id":"broken"
{"no":"type"}
{"resourceType":"Observation","id":"lost","subject":{"reference":"Patient/nobody"}}
{"resourceType":"Bundle","type":"transaction"}`)
	r, sum := s.load(t, path)
	if r.code != exitFailed || sum.Total != (loadCount{Created: 1, NotStored: 2}) || sum.Unread != 3 || len(sum.Failures) != 5 {
		t.Errorf("code %d, %+v", r.code, sum)
	}
	text, err := json.Marshal(sum.Failures)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"mixed.ndjson:2", "mixed.ndjson:3", "mixed.ndjson:4", "there is no Patient/nobody", "mixed.ndjson:6", "no entry"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is missing in %s", want, text)
		}
	}
	human := call(t, map[string]string{"BULKHEAD_CLIENT_SECRET": "s3cret"}, "load", "--fhir-base", s.URL+"/fhir", "--client-id", "loader", path)
	if human.code != exitFailed || !strings.Contains(human.stdout, "NOT STORED: 5, of which 3 could not be read") {
		t.Errorf("code %d\n%s", human.code, human.stdout)
	}
}

func TestLoadCountsEachEntryOfABatch(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	path := file(t, "batch.json", `{"resourceType":"Bundle","type":"batch","entry":[
  {"resource":{"resourceType":"Patient","id":"a"},"request":{"method":"PUT","url":"Patient/a"}},
  {"resource":{"resourceType":"Patient","id":"b","gender":"bad"},"request":{"method":"PUT","url":"Patient/b"}}]}`)
	r, sum := s.load(t, path)
	if r.code != exitFailed || sum.Total != (loadCount{Created: 1, NotStored: 1}) || !strings.Contains(sum.Failures[0].Reason, "no such gender") {
		t.Errorf("code %d, %+v", r.code, sum)
	}
}

func TestLoadIsPatient(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	s.trouble = func(n int, w http.ResponseWriter) bool {
		switch n {
		case 1:
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		case 2:
			w.WriteHeader(http.StatusServiceUnavailable)
		case 3: // the connection breaks
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
			}
			conn.Close()
		case 4: // the token is revoked
			s.tokens++
			w.WriteHeader(http.StatusUnauthorized)
		default:
			return false
		}
		return true
	}
	started := time.Now()
	r, sum := s.load(t, file(t, "p.json", `{"resourceType":"Patient","id":"p"}`))
	if r.code != exitDone || sum.Total.Created != 1 || s.requests != 5 {
		t.Errorf("code %d after %d requests, %+v", r.code, s.requests, sum)
	}
	if time.Since(started) < time.Second {
		t.Error("Retry-After was not waited for")
	}
}

func TestLoadGivesUp(t *testing.T) {
	t.Parallel()
	path := file(t, "p.json", `{"resourceType":"Patient","id":"p"}`)
	t.Run("on a wrong secret", func(t *testing.T) {
		t.Parallel()
		s := newFakeServer(t)
		r := call(t, map[string]string{"BULKHEAD_CLIENT_SECRET": "wrong"}, "load", "--fhir-base", s.URL+"/fhir", "--client-id", "loader", path)
		if r.code != exitFailed || !strings.Contains(r.stderr, "invalid_client") {
			t.Errorf("code %d, %s", r.code, r.stderr)
		}
	})
	t.Run("on a server that stays busy", func(t *testing.T) {
		t.Parallel()
		s := newFakeServer(t)
		s.trouble = func(_ int, w http.ResponseWriter) bool {
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}
		r, sum := s.load(t, "--retry-for", "300ms", path)
		if r.code != exitFailed || sum.Total.NotStored != 1 || !strings.Contains(sum.Error, "503") {
			t.Errorf("code %d, %+v", r.code, sum)
		}
	})
	t.Run("on a client without rights", func(t *testing.T) {
		t.Parallel()
		s := newFakeServer(t)
		s.trouble = func(_ int, w http.ResponseWriter) bool {
			w.WriteHeader(http.StatusForbidden)
			return true
		}
		r, sum := s.load(t, path)
		if r.code != exitFailed || sum.Total.NotStored != 1 || s.requests != 1 {
			t.Errorf("code %d after %d requests, %+v", r.code, s.requests, sum)
		}
	})
}

func TestLoadReadsStandardInput(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	r := callWith(t.Context(), patientBundle, map[string]string{
		"BULKHEAD_CLIENT_ID": "loader", "BULKHEAD_CLIENT_SECRET": "s3cret",
		"BULKHEAD_FHIR_BASE": s.URL + "/fhir", "BULKHEAD_TOKEN_ENDPOINT": s.URL + "/token",
	}, "load", "-")
	if r.code != exitFailed || !strings.Contains(r.stdout, "there is no Organization/x") {
		t.Errorf("code %d\n%s%s", r.code, r.stdout, r.stderr)
	}
}
