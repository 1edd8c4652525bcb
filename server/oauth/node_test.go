package oauth_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"testing"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
)

// TestNodeClients runs the clients of testdata/node. They are installed by `npm ci` there, which
// .ci/run does; without them the test fails where CI is set.
func TestNodeClients(t *testing.T) {
	t.Parallel()
	const dir = "testdata/node"
	if _, err := os.Stat(dir + "/node_modules"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("run `npm ci` in server/oauth/%s first", dir)
		}
		t.Skipf("the Node clients are not installed: run `npm ci` in server/oauth/%s", dir)
	}
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
	command := exec.CommandContext(t.Context(), "node", "clients.mjs")
	command.Dir = dir
	command.Env = append(os.Environ(), "STAGE="+string(stage))
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	t.Logf("%s", output)
}
