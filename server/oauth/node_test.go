package oauth_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"testing"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"

	"bulkhead/server/login"
)

// TestNodeClients runs the clients of testdata/node. They are installed by `npm ci` there, which
// .ci/run does; without them the test fails where CI is set.
func TestNodeClients(t *testing.T) {
	t.Parallel()
	dir := nodeClients(t)
	st := openStage(t)
	secret := st.newClient(t)
	type keyed struct {
		ID  string  `json:"id"`
		Alg string  `json:"alg"`
		JWK jwk.Key `json:"jwk"`
	}
	var keys []keyed
	for _, alg := range []jwa.SignatureAlgorithm{jwa.RS384, jwa.ES384, jwa.ES256, jwa.PS256} {
		private, jwks := keyPair(t, alg)
		key, err := jwk.FromRaw(private)
		if err != nil {
			t.Fatal(err)
		}
		_ = key.Set(jwk.KeyIDKey, "k1")
		id := "key-" + alg.String()
		st.register(t, secret.tenant, secret.tenant.Caller, id, keyClient("jwks", jwks))
		keys = append(keys, keyed{ID: id, Alg: alg.String(), JWK: key})
	}
	stage, err := json.Marshal(map[string]any{
		"issuer": secret.issuer, "base": secret.base, "keys": keys,
		"secret": map[string]string{"id": secret.id, "secret": secret.secret},
	})
	if err != nil {
		t.Fatal(err)
	}
	runNode(t, dir, "clients.mjs", stage)
}

// TestNodeAppsOfPeople lets openid-client take people through the code flow, in a browser that is a
// jar of cookies: sign-in page, consent page and back.
func TestNodeAppsOfPeople(t *testing.T) {
	t.Parallel()
	dir := nodeClients(t)
	const password = "seven quiet otters paddle"
	a := newApp(t, appClient)
	people, err := login.NewPeople(a.st.DB)
	if err == nil {
		err = people.SetPassword(t.Context(), a.tenant.System.Tenant, a.user, password)
	}
	if err != nil {
		t.Fatal(err)
	}
	public := a.st.register(t, a.tenant, a.tenant.Caller, "public", publicClient)
	stage, err := json.Marshal(map[string]any{
		"issuer": a.issuer, "base": a.base, "callback": callback, "bye": "https://app.example/bye",
		"clients": []map[string]string{{"id": a.id, "secret": a.secret}, {"id": public.id}},
		"person":  map[string]string{"id": a.user, "email": "ada@example.com", "password": password},
	})
	if err != nil {
		t.Fatal(err)
	}
	runNode(t, dir, "people.mjs", stage)
}

// nodeClients is where the Node clients are installed.
func nodeClients(t *testing.T) (dir string) {
	t.Helper()
	const place = "testdata/node"
	if _, err := os.Stat(place + "/node_modules"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("run `npm ci` in server/oauth/%s first", place)
		}
		t.Skipf("the Node clients are not installed: run `npm ci` in server/oauth/%s", place)
	}
	return place
}

func runNode(t *testing.T, dir, program string, stage []byte) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "node", program)
	command.Dir = dir
	command.Env = append(os.Environ(), "STAGE="+string(stage))
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	t.Logf("%s", output)
}
