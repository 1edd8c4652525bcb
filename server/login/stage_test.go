package login

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"bulkhead/db"
	"bulkhead/db/dbtest"
)

const goodPassword = "seven quiet otters paddle"

// outbox is a mailer that keeps what it is given.
type outbox struct {
	mu   sync.Mutex
	sent []Mail
}

func (o *outbox) Send(_ context.Context, m Mail) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sent = append(o.sent, m)
	return nil
}

// stage is a server with one tenant, and who acts on it.
type testStage struct {
	*testing.T
	*Server
	database *dbtest.Database
	tenant   dbtest.Tenant
	project  db.Project
	url      string // of the tenant
	mail     *outbox
	clock    time.Time
	mu       sync.Mutex
}

func newStage(t *testing.T) *testStage {
	t.Helper()
	return newStageOn(t, dbtest.Open(t))
}

func newStageOn(t *testing.T, database *dbtest.Database) *testStage {
	t.Helper()
	e := echo.New()
	web := httptest.NewServer(e)
	t.Cleanup(web.Close)
	box := &outbox{}
	server, err := New(Config{DB: database.DB, BaseURL: web.URL, Mailer: box, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	server.hasher.memory = 64 // the cost is not what is tested
	for _, route := range server.Routes() {
		e.Add(route.Method, route.Path, route.Handler)
	}
	s := &testStage{T: t, Server: server, database: database, mail: box, clock: time.Now()}
	server.now = func() time.Time {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.clock
	}
	s.tenant = database.NewTenant(t)
	s.project = s.find(s.tenant.Slug)
	s.url = web.URL + "/w/" + s.tenant.Slug
	return s
}

func (s *testStage) find(slug string) db.Project {
	s.Helper()
	found, err := s.database.FindProject(s.Context(), slug, "system")
	if err != nil {
		s.Fatal(err)
	}
	return found
}

// later moves the clock of the second factor.
func (s *testStage) later(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock = s.clock.Add(d)
}

// person makes somebody with goodPassword in a tenant.
func (s *testStage) person(tenant int32, id, email, role string) {
	s.Helper()
	s.put(tenant, id, UserSpec{Email: email, Name: "Ada Example", Role: role})
	if err := s.SetPassword(s.Context(), tenant, id, goodPassword); err != nil {
		s.Fatal(err)
	}
}

func (s *testStage) put(tenant int32, id string, spec UserSpec) {
	s.Helper()
	err := s.update(s.Context(), tenant, func(tx *db.Tx) error { return PutUser(s.Context(), tx, tenant, id, spec) })
	if err != nil {
		s.Fatal(err)
	}
}

// sql runs a statement as the administrator, to set a stage that no role may set.
func (s *testStage) sql(statement string, args ...any) {
	s.Helper()
	if _, err := s.database.Connect(s.T, "").Exec(s.Context(), statement, args...); err != nil {
		s.Fatal(err)
	}
}

// browser is a browser that follows no redirect by itself.
type testBrowser struct {
	s   *testStage
	jar *cookiejar.Jar
	web *http.Client
}

func (s *testStage) browser() *testBrowser {
	jar, _ := cookiejar.New(nil)
	return &testBrowser{s: s, jar: jar, web: &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// answer is what came back.
type answer struct {
	*http.Response
	text string
}

func (b *testBrowser) do(method, target string, form url.Values) answer {
	b.s.Helper()
	if strings.HasPrefix(target, "/w/") {
		target = b.s.config.BaseURL + target
	} else if !strings.HasPrefix(target, "http") {
		target = b.s.url + target
	}
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(b.s.Context(), method, target, body)
	if err != nil {
		b.s.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	response, err := b.web.Do(r)
	if err != nil {
		b.s.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		b.s.Fatal(err)
	}
	return answer{response, string(text)}
}

func (b *testBrowser) get(path string) answer {
	b.s.Helper()
	return b.do(http.MethodGet, path, nil)
}

var hidden = regexp.MustCompile(`<input type="hidden" name="(\w+)" value="([^"]*)">`)

// fields are the hidden fields of the page's form that is sent to a path of the tenant.
func (a answer) fields(s *testStage, action string) url.Values {
	s.Helper()
	_, rest, found := strings.Cut(a.text, `<form method="post" action="/w/`+s.tenant.Slug+action+`">`)
	if !found {
		s.Fatalf("%d: the page has no form for %s:\n%s", a.StatusCode, action, a.text)
	}
	form, _, _ := strings.Cut(rest, "</form>")
	values := url.Values{}
	for _, field := range hidden.FindAllStringSubmatch(form, -1) {
		values.Set(field[1], strings.NewReplacer("&amp;", "&", "&#43;", "+", "&#34;", `"`).Replace(field[2]))
	}
	return values
}

// fill opens a page, fills its form for action in and sends it.
func (b *testBrowser) fill(page, action string, pairs ...string) answer {
	b.s.Helper()
	values := b.get(page).fields(b.s, action)
	for i := 0; i < len(pairs); i += 2 {
		values.Set(pairs[i], pairs[i+1])
	}
	return b.do(http.MethodPost, action, values)
}

// signIn gives an e-mail address and goodPassword.
func (b *testBrowser) signIn(email string) answer {
	b.s.Helper()
	return b.fill("/login?fresh=1", "/login", "email", email, "password", goodPassword)
}

// leads fails unless the answer is a redirect to a path of the tenant.
func (a answer) leads(s *testStage, path string) {
	s.Helper()
	if a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != "/w/"+s.tenant.Slug+path {
		s.Fatalf("got %d to %q, want 303 to %q\n%s", a.StatusCode, a.Header.Get("Location"), path, a.text)
	}
}

// says fails unless the answer has a status and a text.
func (a answer) says(s *testStage, status int, text string) {
	s.Helper()
	if a.StatusCode != status || !strings.Contains(a.text, text) {
		s.Fatalf("got %d, want %d and %q:\n%s", a.StatusCode, status, text, a.text)
	}
}

// cookieValue is what a cookie holds for the tenant's pages.
func (b *testBrowser) cookieValue(name string) string {
	u, _ := url.Parse(b.s.url + "/login")
	for _, cookie := range b.jar.Cookies(u) {
		if cookie.Name == name {
			return cookie.Value
		}
	}
	return ""
}

func (b *testBrowser) setCookie(name, value string) {
	u, _ := url.Parse(b.s.url + "/login")
	b.jar.SetCookies(u, []*http.Cookie{{Name: name, Value: value, Path: u.Path[:strings.LastIndex(u.Path, "/")]}})
}

var keyText = regexp.MustCompile(`<code class="key">([A-Z2-7 ]+)</code>`)

// setUp sets up a second factor on the page and returns the secret and the recovery codes.
func (b *testBrowser) setUp() (secret []byte, codes []string) {
	b.s.Helper()
	page := b.get("/login/setup")
	match := keyText.FindStringSubmatch(page.text)
	if match == nil {
		b.s.Fatalf("%d: no key on the page:\n%s", page.StatusCode, page.text)
	}
	secret, err := base32Text.DecodeString(strings.ReplaceAll(match[1], " ", ""))
	if err != nil {
		b.s.Fatal(err)
	}
	values := page.fields(b.s, "/login/setup")
	values.Set("code", b.s.code(secret))
	done := b.do(http.MethodPost, "/login/setup", values)
	done.says(b.s, http.StatusOK, "Recovery codes")
	for _, found := range regexp.MustCompile(`<li><code>([a-z2-7-]+)</code>`).FindAllStringSubmatch(done.text, -1) {
		codes = append(codes, found[1])
	}
	if len(codes) != recoveryCodes {
		b.s.Fatalf("got %d recovery codes", len(codes))
	}
	return secret, codes
}

// code is what the person's app shows now.
func (s *testStage) code(secret []byte) string {
	return totpAt(secret, s.Server.now().Unix()/int64(totpStep/time.Second))
}

var linkText = regexp.MustCompile(`http\S+\?code=\S+`)

// lastLink waits for the mail that is on its way and returns the newest link in the outbox.
func (s *testStage) lastLink() string {
	s.Helper()
	s.Close()
	s.mail.mu.Lock()
	defer s.mail.mu.Unlock()
	for i := len(s.mail.sent) - 1; i >= 0; i-- {
		if link := linkText.FindString(s.mail.sent[i].Text); link != "" {
			return link
		}
	}
	s.Fatal("no link was mailed")
	return ""
}

// sessionOf asks as the authorization endpoint does.
func (s *testStage) sessionOf(b *testBrowser) *Session {
	s.Helper()
	r := httptest.NewRequest(http.MethodGet, s.url+"/authorize", nil)
	r.AddCookie(&http.Cookie{Name: sessionCookie, Value: b.cookieValue(sessionCookie)})
	session, err := s.Session(echo.New().NewContext(r, httptest.NewRecorder()), s.project)
	if err != nil {
		s.Fatal(err)
	}
	return session
}
