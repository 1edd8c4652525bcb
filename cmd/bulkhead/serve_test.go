package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// runtimeEnvironment is what a deployment gives the server: two roles and the master key.
func (s stage) runtimeEnvironment(t *testing.T) map[string]string {
	t.Helper()
	return map[string]string{
		"BULKHEAD_APP_URL": s.url(t, "bulkhead_app"), "BULKHEAD_AUTH_URL": s.url(t, "bulkhead_auth"),
		"BULKHEAD_MASTER_KEY_FILE": filepath.Join(s.dir, masterKeyName), "BULKHEAD_LISTEN": "127.0.0.1:0",
	}
}

var listensOn = regexp.MustCompile(`serves on (\S+)`)

// startServe runs serve in this process and gives its address and a function that ends it.
func startServe(t *testing.T, environment map[string]string, args ...string) (address string, stop func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	stderr, code := &lockedBuffer{}, make(chan int, 1)
	go func() {
		code <- run(ctx, append([]string{"serve"}, args...), program{
			getenv: func(name string) string { return environment[name] }, stdin: strings.NewReader(""), stdout: &lockedBuffer{}, stderr: stderr,
		})
	}()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if match := listensOn.FindStringSubmatch(stderr.String()); match != nil {
			return match[1], func() int { cancel(); return <-code }
		}
		select {
		case got := <-code:
			t.Fatalf("serve ended with %d: %s", got, stderr)
		default:
		}
	}
	t.Fatalf("serve does not start: %s", stderr)
	return "", nil
}

func TestServeWithTheRuntimeRolesAlone(t *testing.T) {
	t.Parallel()
	s := openStage(t)
	address, stop := startServe(t, s.runtimeEnvironment(t), "--log-json")
	if r := call(t, nil, "health", "--url", "http://"+address); r.code != exitDone || r.stdout != "ready\n" {
		t.Errorf("code %d: %s%s", r.code, r.stdout, r.stderr)
	}
	if code := stop(); code != exitDone {
		t.Errorf("serve ended with %d", code)
	}
	if r := call(t, nil, "health", "--url", "http://"+address); r.code != exitFailed {
		t.Errorf("a server that is gone is healthy: code %d", r.code)
	}
}

func TestServeRefuses(t *testing.T) {
	t.Parallel()
	s := openStage(t)
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() }) // after the parallel subtests
	for name, c := range map[string]struct {
		change map[string]string
		args   []string
		code   int
		says   string
	}{
		"a superuser":                {map[string]string{"BULKHEAD_APP_URL": s.server.SuperuserDSN(databaseName)}, nil, exitFailed, "should be bulkhead_app's"},
		"a role of the other plane":  {map[string]string{"BULKHEAD_AUTH_URL": s.url(t, "bulkhead_app")}, nil, exitFailed, "should be bulkhead_auth's"},
		"an address that is taken":   {nil, []string{"--listen", taken.Addr().String()}, exitFailed, "choose another address with --listen"},
		"a certificate without key":  {nil, []string{"--tls-cert", "x.pem"}, exitUsage, "tls"},
		"a certificate that is none": {nil, []string{"--tls-cert", "/dev/null", "--tls-key", "/dev/null"}, exitFailed, "PEM"},
		"no master key":              {map[string]string{"BULKHEAD_MASTER_KEY_FILE": ""}, nil, exitUsage, "master key"},
		"an odd base URL":            {nil, []string{"--base-url", "ftp://x"}, exitFailed, "base URL"},
		"a number that is none":      {map[string]string{"BULKHEAD_MAX_CONNS": "many"}, nil, exitUsage, "BULKHEAD_MAX_CONNS"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			environment := s.runtimeEnvironment(t)
			for key, value := range c.change {
				environment[key] = value
			}
			ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second) // if it serves after all
			defer cancel()
			r := callWith(ctx, "", environment, append([]string{"serve"}, c.args...)...)
			if r.code != c.code || !strings.Contains(r.stderr, c.says) {
				t.Errorf("code %d, want %d with %q:\n%s", r.code, c.code, c.says, r.stderr)
			}
		})
	}
}

func TestServeSpeaksTLS(t *testing.T) {
	t.Parallel()
	s := openStage(t)
	cert, key, pool := selfSigned(t)
	address, stop := startServe(t, s.runtimeEnvironment(t), "--tls-cert", cert, "--tls-key", key)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "localhost", MinVersion: tls.VersionTLS12}}}
	response, err := client.Get("https://" + address + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK || response.TLS == nil {
		t.Errorf("%s", response.Status)
	}
	if code := stop(); code != exitDone {
		t.Errorf("serve ended with %d", code)
	}
}

// selfSigned writes a certificate for localhost and its key.
func selfSigned(t *testing.T) (cert, key string, pool *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	pool.AddCert(parsed)
	return cert, key, pool
}

func TestDefaultBase(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{"127.0.0.1:80": "http://127.0.0.1:80", "[::]:8080": "http://localhost:8080", "0.0.0.0:9": "http://localhost:9", "[::1]:7": "http://[::1]:7"} {
		parsed, err := net.ResolveTCPAddr("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if got := defaultBase(parsed, false); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}
