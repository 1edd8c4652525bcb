package main

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// site serves the stage as `bulkhead serve` would, and returns its URL.
func (s stage) site(t *testing.T) string {
	t.Helper()
	f := databaseFlags{data: s.dir}
	p := program{getenv: func(string) string { return "" }, stderr: io.Discard}
	d, err := f.find(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	var handler http.Handler
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(web.Close)
	site, opened, err := newServer(t.Context(), p, d, nil, serveOptions{baseURL: web.URL, mail: mailFlags{target: "file:" + t.TempDir()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(opened.Close)
	handler = site
	return web.URL
}

var formToken = regexp.MustCompile(`name="form" value="([^"]+)"`)

// submit opens a page of the site, fills its form in, sends it and follows where it leads.
func submit(t *testing.T, page string, fields url.Values) (where, text string) {
	t.Helper()
	jar, _ := cookiejar.New(nil)
	web := &http.Client{Jar: jar}
	read := func(response *http.Response, err error) (string, string) {
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.Request.URL.Path, string(body)
	}
	_, text = read(web.Get(page))
	match := formToken.FindStringSubmatch(text)
	if match == nil {
		t.Fatalf("no form: %s", text)
	}
	fields.Set("form", match[1])
	target, _, _ := strings.Cut(page, "?")
	return read(web.PostForm(target, fields))
}

func TestAUsersLife(t *testing.T) {
	t.Parallel()
	s := openStage(t)
	site := s.site(t)
	callJSON(t, s, "tenant", "create", "people", "--name", "People's Hospital")
	on := []string{"--tenant", "people"}
	user := func(args ...string) map[string]any {
		t.Helper()
		return callJSON(t, s, append(append([]string{"user"}, args...), on...)...)
	}
	signIn := func(email, password string) string {
		t.Helper()
		where, _ := submit(t, site+"/w/people/login", url.Values{"email": {email}, "password": {password}})
		return where
	}

	made := user("create", "--email", "Ada@example.org", "--name", "Ada", "--role", "owner")
	password, _ := made["password"].(string)
	if made["sign_in"] != "http://127.0.0.1:8080/w/people/login" || made["role"] != "owner" || len(password) < 20 {
		t.Fatalf("created: %v", made)
	}
	if where := signIn("ada@example.org", password); where != "/w/people/account" {
		t.Errorf("the password leads to %s", where)
	}
	if r := call(t, nil, append([]string{"user", "create", "--email", "ada@EXAMPLE.org", "--data", s.dir}, on...)...); r.code != exitFailed || !strings.Contains(r.stderr, "Another user of this tenant") {
		t.Errorf("twice: %+v", r)
	}

	user("disable", "ada@example.org")
	if where := signIn("ada@example.org", password); where != "/w/people/login" {
		t.Errorf("somebody disabled gets to %s", where)
	}
	user("enable", "ada@example.org")
	if where := signIn("ada@example.org", password); where != "/w/people/account" {
		t.Errorf("somebody enabled again gets to %s", where)
	}

	const chosen = "four quiet river otters"
	r := callWith(t.Context(), chosen+"\n", nil, append([]string{"user", "reset-password", "--password-stdin", "ada@example.org", "--data", s.dir}, on...)...)
	if r.code != exitDone || signIn("ada@example.org", chosen) != "/w/people/account" || signIn("ada@example.org", password) == "/w/people/account" {
		t.Errorf("reset: %+v", r)
	}
	r = callWith(t.Context(), "short\n", nil, append([]string{"user", "create", "--password-stdin", "--email", "eve@example.org", "--data", s.dir}, on...)...)
	if r.code != exitFailed || !strings.Contains(r.stderr, "15 characters") {
		t.Errorf("a short password: %+v", r)
	}

	users := user("list")["users"].([]any)
	if len(users) != 1 || users[0].(map[string]any)["email"] != "Ada@example.org" || users[0].(map[string]any)["last_login"] == nil {
		t.Errorf("list: %v", users)
	}
	if r := call(t, nil, append([]string{"user", "list", "--data", s.dir}, on...)...); !strings.Contains(r.stdout, "Ada@example.org") || strings.Contains(r.stdout, "argon2") {
		t.Errorf("list: %s", r.stdout)
	}
	for _, command := range []string{"disable", "reset-password", "reset-second-factor"} {
		if r := call(t, nil, append([]string{"user", command, "nobody@example.org", "--data", s.dir}, on...)...); r.code != exitFailed || !strings.Contains(r.stderr, "tenant people has no user nobody@example.org") {
			t.Errorf("%s: %+v", command, r)
		}
	}
}

func TestAUserIsInvited(t *testing.T) {
	t.Parallel()
	s := openStage(t)
	site := s.site(t)
	callJSON(t, s, "tenant", "create", "inviting", "--name", "Inviting Clinic")
	dir := t.TempDir()
	on := []string{"--tenant", "inviting", "--base-url", site}
	made := callJSON(t, s, append([]string{"user", "invite", "--email", "ada@example.org", "--role", "admin", "--mail", "file:" + dir}, on...)...)
	link, _ := made["link"].(string)
	if !strings.HasPrefix(link, site+"/w/inviting/login/invitation?code=") || made["mailed"] != true {
		t.Fatalf("invited: %v", made)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.eml"))
	if err != nil || len(files) != 1 {
		t.Fatalf("mailed %v, %v", files, err)
	}
	if text, err := os.ReadFile(files[0]); err != nil || !strings.Contains(string(text), "Your account at Inviting Clinic") {
		t.Errorf("mailed %s, %v", text, err)
	}
	const chosen = "four quiet river otters"
	_, code, _ := strings.Cut(link, "code=")
	if where, text := submit(t, link, url.Values{"code": {code}, "password": {chosen}, "again": {chosen}}); where != "/w/inviting/login" || !strings.Contains(text, "Your password is set") {
		t.Errorf("led to %s: %s", where, text)
	}
	if where, _ := submit(t, site+"/w/inviting/login", url.Values{"email": {"ada@example.org"}, "password": {chosen}}); where != "/w/inviting/account" {
		t.Errorf("led to %s", where)
	}
	reset := callJSON(t, s, append([]string{"user", "reset-password", "ada@example.org"}, on...)...)
	if link, _ := reset["link"].(string); !strings.HasPrefix(link, site+"/w/inviting/login/password?code=") || reset["mailed"] != nil {
		t.Errorf("reset: %v", reset)
	}
	// Where a second factor is needed, it comes before everything else.
	policy := callJSON(t, s, "user", "policy", "--tenant", "inviting", "--second-factor", "owner,admin", "--idle", "30m")
	if policy["idle_seconds"] != 1800.0 || len(policy["second_factor"].([]any)) != 2 {
		t.Errorf("policy: %v", policy)
	}
	if where, _ := submit(t, site+"/w/inviting/login", url.Values{"email": {"ada@example.org"}, "password": {chosen}}); where != "/w/inviting/login/setup" {
		t.Errorf("led to %s", where)
	}
	if r := call(t, nil, "user", "policy", "--tenant", "inviting", "--second-factor", "root", "--data", s.dir); r.code != exitUsage || !strings.Contains(r.stderr, "not a role") {
		t.Errorf("policy: %+v", r)
	}
	if none := callJSON(t, s, "user", "policy", "--tenant", "inviting", "--second-factor", "none"); len(none["second_factor"].([]any)) != 0 || none["idle_seconds"] != 1800.0 {
		t.Errorf("policy: %v", none)
	}
}
