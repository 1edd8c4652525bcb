package oauth_test

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/lestrrat-go/jwx/v2/jws"

	"bulkhead/db"
	"bulkhead/server/fhir"
	"bulkhead/server/login"
	"bulkhead/server/oauth"
)

const (
	callback = "https://app.example/cb"
	verifier = "a-verifier-of-43-characters-or-more-0123456789"

	appClient = `{"resourceType":"ClientApplication","name":"Growth <Charts>","grantType":["authorization_code","refresh_token","client_credentials"],` +
		`"redirectUri":["https://app.example/cb","https://app.example/cb?x=1","http://127.0.0.1/cb","com.example.app:/cb"],` +
		`"postLogoutRedirectUri":["https://app.example/bye"],` +
		`"scope":"openid profile email fhirUser launch/patient offline_access online_access user/*.cruds patient/*.rs system/*.rs"}`
)

var publicClient = strings.Replace(strings.Replace(appClient, `"name"`, `"tokenEndpointAuthMethod":"none","name"`, 1), `,"client_credentials"`, "", 1)

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// app is a client with people, and a browser in which one of them is signed in.
type app struct {
	theClient
	*testing.T
	st   *stage
	web  *http.Client
	sid  string
	user string
}

// newApp makes a tenant with an app of its project and somebody who is signed in.
func newApp(t *testing.T, resource string) *app {
	t.Helper()
	st := openStage(t)
	tenant := st.NewTenant(t)
	a := &app{theClient: st.register(t, tenant, tenant.Caller, "app", resource), T: t, st: st}
	a.user = a.person("ada", login.RoleAdmin)
	a.signIn(a.user)
	return a
}

// person makes somebody without a password.
func (a *app) person(id, role string) string {
	a.Helper()
	err := a.st.Update(a.Context(), db.Identity, a.tenant.System, func(tx *db.Tx) error {
		return login.PutUser(a.Context(), tx, a.tenant.System.Tenant, id, login.UserSpec{Email: id + "@example.com", Name: "Ada " + id, Role: role})
	})
	if err != nil {
		a.Fatal(err)
	}
	return id
}

// signIn gives a fresh browser a session of a person, as package login makes them.
func (a *app) signIn(person string) {
	a.Helper()
	secret := rand.Text()
	hash := sha256.Sum256([]byte(secret))
	a.sid = rand.Text()
	a.sql(`INSERT INTO identity.session (tenant_id, hash, sid, person_id, stage, amr, auth_time, last_seen, expires_at, user_agent, address)
		VALUES ($1, $2, $3, $4, 'full', '{pwd}', now() - interval '1 minute', now(), now() + interval '1 hour', '', '')`,
		a.tenant.System.Tenant, hash[:], a.sid, person)
	a.newBrowser()
	u, _ := url.Parse(a.issuer + "/")
	a.web.Jar.SetCookies(u, []*http.Cookie{{Name: "bulkhead_session", Value: secret, Path: u.Path[:len(u.Path)-1]}})
}

func (a *app) newBrowser() {
	jar, _ := cookiejar.New(nil)
	a.web = &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// sql sets a stage that no role may set.
func (a *app) sql(statement string, args ...any) {
	a.Helper()
	if _, err := a.st.Connect(a.T, "").Exec(a.Context(), statement, args...); err != nil {
		a.Fatal(err)
	}
}

// parameters are those of a good request, but for the pairs; the value "-" leaves one out.
func (a *app) parameters(pairs ...string) url.Values {
	values := url.Values{
		"response_type": {"code"}, "client_id": {a.id}, "redirect_uri": {callback}, "scope": {"openid user/Patient.rs offline_access"},
		"state": {"a state & more"}, "nonce": {"n1"}, "code_challenge": {challengeOf(verifier)}, "code_challenge_method": {"S256"}, "aud": {a.base},
	}
	for i := 0; i < len(pairs); i += 2 {
		values.Set(pairs[i], pairs[i+1])
		if pairs[i+1] == "-" {
			values.Del(pairs[i])
		}
	}
	return values
}

func (a *app) visit(method, location string, form url.Values) answer {
	a.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	request, err := http.NewRequestWithContext(a.Context(), method, location, body)
	if err != nil {
		a.Fatal(err)
	}
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	response, err := a.web.Do(request)
	if err != nil {
		a.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		a.Fatal(err)
	}
	return answer{status: response.StatusCode, header: response.Header, text: string(text)}
}

// ask opens the authorization endpoint.
func (a *app) ask(pairs ...string) answer {
	a.Helper()
	return a.visit(http.MethodGet, a.issuer+"/authorize?"+a.parameters(pairs...).Encode(), nil)
}

var hiddenField = regexp.MustCompile(`<input type="hidden" name="(\w+)" value="([^"]*)">`)

// consentForm is what the consent page would send.
func (a *app) consentForm(page answer, say string) url.Values {
	a.Helper()
	if page.status != http.StatusOK || !strings.Contains(page.text, "It asks to") {
		a.Fatalf("no consent page: %d %v %s", page.status, page.header, page.text)
	}
	form := url.Values{"answer": {say}}
	for _, field := range hiddenField.FindAllStringSubmatch(page.text, -1) {
		form.Set(field[1], html.UnescapeString(field[2]))
	}
	return form
}

func (a *app) consent(page answer, say string) answer {
	a.Helper()
	return a.visit(http.MethodPost, a.issuer+"/authorize/consent", a.consentForm(page, say))
}

// back reads what the app gets at its redirect URI.
func (a *app) back(got answer) url.Values {
	a.Helper()
	location, err := url.Parse(got.header.Get("Location"))
	if err != nil || got.status != http.StatusSeeOther || strings.HasPrefix(got.header.Get("Location"), "/") {
		a.Fatalf("not sent to the app: %d %v\n%s", got.status, got.header, got.text)
	}
	return location.Query()
}

// code asks, agrees if asked, and returns the code.
func (a *app) code(pairs ...string) string {
	a.Helper()
	page := a.ask(pairs...)
	if page.status == http.StatusOK {
		page = a.consent(page, "allow")
	}
	code := a.back(page).Get("code")
	if code == "" {
		a.Fatalf("no code: %v", page.header)
	}
	return code
}

func (a *app) client() *theClient {
	if a.secret == "" {
		return nil
	}
	return &a.theClient
}

// redeem sends a good token request for a code, but for the pairs.
func (a *app) redeem(code string, pairs ...string) answer {
	a.Helper()
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier}}
	return a.exchange(form, pairs...)
}

func (a *app) refresh(token string, pairs ...string) answer {
	a.Helper()
	return a.exchange(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}, pairs...)
}

func (a *app) exchange(form url.Values, pairs ...string) answer {
	a.Helper()
	if a.secret == "" {
		form.Set("client_id", a.id)
	}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
		if pairs[i+1] == "-" {
			form.Del(pairs[i])
		}
	}
	var list []string
	for name := range form {
		list = append(list, name, form.Get(name))
	}
	return post(a.T, a.endpoint, a.client(), list...)
}

// tokens runs the whole flow.
func (a *app) tokens(pairs ...string) answer {
	a.Helper()
	got := a.redeem(a.code(pairs...))
	if got.status != http.StatusOK {
		a.Fatalf("no tokens: %d %s", got.status, got.text)
	}
	return got
}

// alive tells whether an access token counts, asked at app.enter's door.
func (a *app) alive(token string) bool {
	a.Helper()
	return get(a.T, a.issuer+"/userinfo", token).status == http.StatusOK
}

// refuses fails unless the token endpoint said invalid_grant.
func (a *app) refuses(name string, got answer) {
	a.Helper()
	if got.status != http.StatusBadRequest || got.str("error") != "invalid_grant" || got.str("access_token") != "" {
		a.Errorf("%s: %d %s", name, got.status, got.text)
	}
}

// enroll makes a Membership of the person in the project.
func (a *app) enroll(id, person, link string) {
	a.Helper()
	body := `{"resourceType":"Membership","user":{"reference":"User/` + person + `"},"status":"active"`
	if link != "" {
		body += `,"link":{"reference":"` + link + `"}`
	}
	storeMembership(a, id, person, body+"}")
}

func readClient(st *stage, resource string) (oauth.ClientSpec, error) {
	parsed, err := fhir.Parse(resource)
	if err != nil {
		return oauth.ClientSpec{}, err
	}
	return st.server.ReadClient(&parsed)
}

// protectedOf is the header of a JWT.
func protectedOf(t *testing.T, token string) jws.Headers {
	t.Helper()
	message, err := jws.Parse([]byte(token))
	if err != nil {
		t.Fatal(err)
	}
	return message.Signatures()[0].ProtectedHeaders()
}
