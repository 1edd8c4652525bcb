package oauth_test

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/labstack/echo/v4"

	"bulkhead/db"
	"bulkhead/db/dbtest"
	"bulkhead/server/access"
	"bulkhead/server/fhir"
	"bulkhead/server/login"
	"bulkhead/server/oauth"
)

// stage is the authorization server over HTTP, with a resource below each FHIR base that opens to
// good tokens as the FHIR API does: verified first, then let in by app.enter().
type stage struct {
	*dbtest.Database
	server *oauth.Server
	pages  *login.Server
	url    string
}

var (
	stageOnce   sync.Once
	sharedStage *stage
)

func openStage(t testing.TB) *stage {
	t.Helper()
	d := dbtest.Open(t)
	stageOnce.Do(func() { sharedStage = newStage(t, d) })
	if sharedStage == nil {
		t.Fatal("the stage could not be set")
	}
	return sharedStage
}

// newStage runs until the test binary ends: parallel tests share it.
func newStage(t testing.TB, d *dbtest.Database) *stage {
	t.Helper()
	e := echo.New()
	listener := httptest.NewServer(e)
	pages, err := login.New(login.Config{DB: d.DB, BaseURL: listener.URL, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for _, route := range pages.Routes() {
		e.Add(route.Method, route.Path, route.Handler)
	}
	s, err := oauth.New(d.DB, oauth.Config{BaseURL: listener.URL, AllowLoopback: true, Login: pages})
	if err != nil {
		t.Fatal(err)
	}
	for _, route := range s.Routes() {
		e.Add(route.Method, route.Path, route.Handler)
	}
	st := &stage{Database: d, server: s, pages: pages, url: listener.URL}
	e.GET("/w/:tenant/:project/api/v1/fhir/:version/Patient", st.resource)
	e.HTTPErrorHandler = func(err error, c echo.Context) {
		status := http.StatusInternalServerError
		var known *fhir.Error
		var bearer *oauth.BearerError
		var http *echo.HTTPError
		switch {
		case errors.As(err, &bearer):
			c.Response().Header().Set("WWW-Authenticate", bearer.Challenge("https://x"))
			fallthrough
		case errors.As(err, &known):
			if status = 404; errors.As(err, &known) && known.Status != 0 {
				status = known.Status
			}
		case errors.As(err, &http):
			status = http.Code
		}
		_ = c.String(status, err.Error())
	}
	return st
}

func (st *stage) resource(c echo.Context) error {
	ctx := c.Request().Context()
	project, err := st.FindProject(ctx, c.Param("tenant"), c.Param("project"))
	if err != nil {
		return fhir.Errorf(fhir.NotFound, "no such project").With(404)
	}
	bearer, caller, err := st.server.Authorize(ctx, c.Request().Header.Get("Authorization"), project)
	if err != nil {
		return err
	}
	if !bearer.Scopes.Allows("Patient", access.Search) {
		return fhir.Errorf(fhir.Forbidden, "scope").With(403)
	}
	err = st.View(ctx, db.Clinical, caller, func(v *db.View) error {
		_, err := v.TouchToken(ctx)
		return err
	})
	if errors.Is(err, db.ErrRevoked) {
		return oauth.Revoked(err)
	}
	if errors.Is(err, db.ErrNoProject) {
		return fhir.Errorf(fhir.NotFound, "no such project").With(404)
	}
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, map[string]any{"project": caller.Project})
}

// theClient is a registered client and what is needed to use it.
type theClient struct {
	id, secret             string
	tenant                 dbtest.Tenant
	issuer, endpoint, base string
}

// register makes a client from a ClientApplication in the project that home names.
func (st *stage) register(t testing.TB, tenant dbtest.Tenant, home db.Caller, id, resource string) theClient {
	t.Helper()
	parsed, err := fhir.Parse(resource)
	if err != nil {
		t.Fatal(err)
	}
	spec, err := st.server.ReadClient(&parsed)
	if err != nil {
		t.Fatal(err)
	}
	client := theClient{
		id: id, tenant: tenant, issuer: st.server.IssuerURL(tenant.Slug), endpoint: st.server.TokenEndpoint(tenant.Slug),
		base: st.url + "/w/" + tenant.Slug + "/" + tenant.ProjectSlug + "/api/v1/fhir/r4",
	}
	err = st.Update(t.Context(), db.Identity, home, func(tx *db.Tx) (err error) {
		client.secret, err = st.server.PutClient(t.Context(), tx, home, id, spec)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

const plainClient = `{"resourceType":"ClientApplication","name":"c","grantType":["client_credentials"],"scope":"system/*.cruds"}`

// newClient makes a tenant with a client that is bound to its project.
func (st *stage) newClient(t testing.TB) theClient {
	t.Helper()
	tenant := st.NewTenant(t)
	return st.register(t, tenant, tenant.Caller, "c1", plainClient)
}

// answer is what came back over HTTP.
type answer struct {
	status int
	header http.Header
	body   map[string]any
	text   string
}

func (a answer) str(name string) string {
	text, _ := a.body[name].(string)
	return text
}

func do(t testing.TB, request *http.Request) answer {
	t.Helper()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{status: response.StatusCode, header: response.Header, text: string(text)}
	_ = json.Unmarshal(text, &a.body)
	return a
}

func get(t testing.TB, location, token string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, location, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	return do(t, request)
}

// post sends a form; pairs are names and values. basic adds HTTP Basic of the client.
func post(t testing.TB, location string, basic *theClient, pairs ...string) answer {
	t.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, location, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if basic != nil {
		request.SetBasicAuth(basic.id, basic.secret)
	}
	return do(t, request)
}

func (c theClient) token(t testing.TB, pairs ...string) string {
	t.Helper()
	got := post(t, c.endpoint, &c, append([]string{"grant_type", "client_credentials"}, pairs...)...)
	if got.status != http.StatusOK {
		t.Fatalf("no token: %d %s", got.status, got.text)
	}
	return got.str("access_token")
}
