package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// service is what the test reads of one in docker-compose.yml.
type service struct {
	Image       string
	Build       string
	Command     []string
	Environment map[string]string
	DependsOn   map[string]struct{ Condition string } `yaml:"depends_on"`
	Healthcheck struct{ Test []string }
	Ports       []string
	Restart     string
	ReadOnly    bool     `yaml:"read_only"`
	CapDrop     []string `yaml:"cap_drop"`
	Profiles    []string
}

func readCompose(t *testing.T) map[string]service {
	t.Helper()
	text, err := os.ReadFile("../../docker-compose.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Services map[string]service }
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	return file.Services
}

// Compose cannot run here, so what it promises is read out of the file.
func TestComposeRunsWithoutASuperuser(t *testing.T) {
	t.Parallel()
	services := readCompose(t)
	run := services["bulkhead"]
	for name, value := range run.Environment {
		if strings.Contains(value, "postgres:$") || strings.Contains(value, "POSTGRES_PASSWORD") || name == "BULKHEAD_DATABASE_URL" || name == "BULKHEAD_OPERATOR_URL" {
			t.Errorf("the server is given %s=%s", name, value)
		}
	}
	for name, role := range map[string]string{"BULKHEAD_APP_URL": "bulkhead_app", "BULKHEAD_AUTH_URL": "bulkhead_auth"} {
		if !strings.HasPrefix(run.Environment[name], "postgres://"+role+":") {
			t.Errorf("%s is %q", name, run.Environment[name])
		}
		if services["migrate"].Environment[name] != run.Environment[name] {
			t.Errorf("migrate sets another password for %s than the server uses", role)
		}
	}
	if run.DependsOn["migrate"].Condition != "service_completed_successfully" || services["migrate"].DependsOn["postgres"].Condition != "service_healthy" || services["migrate"].Restart != "no" {
		t.Error("the server must wait for migrate, and migrate for postgres")
	}
	for name, s := range services {
		if s.Build != "" && (!s.ReadOnly || !slices.Contains(s.CapDrop, "ALL")) {
			t.Errorf("%s may more than it needs", name)
		}
		for _, port := range s.Ports {
			if !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("%s opens %s to the network", name, port)
			}
		}
	}
	for _, name := range []string{"postgres", "bulkhead"} {
		if len(services[name].Healthcheck.Test) == 0 {
			t.Errorf("%s has no health check", name)
		}
	}
	if len(services["postgres"].Ports) > 0 {
		t.Error("postgres is reachable from outside")
	}
}

// Every command that the compose file and the Dockerfile give must be one of this program.
func TestComposeCallsCommandsThatExist(t *testing.T) {
	t.Parallel()
	for name, s := range readCompose(t) {
		if s.Build == "" {
			continue
		}
		commands := [][]string{s.Command}
		if test := s.Healthcheck.Test; len(test) > 0 {
			if test[0] != "CMD" || test[1] != "bulkhead" {
				t.Errorf("%s: the image has no shell, so the health check cannot be %q", name, test)
			}
			commands = append(commands, test[2:])
		}
		for _, command := range commands {
			if r := call(t, nil, append(slices.Clone(command), "--help")...); r.code != exitDone || !strings.Contains(r.stdout, "bulkhead "+command[0]) {
				t.Errorf("%s: %q: %s", name, command, r.stderr)
			}
		}
	}
}

func TestComposeAndItsExampleNameTheSameSecrets(t *testing.T) {
	t.Parallel()
	compose, err := os.ReadFile("../../docker-compose.yml")
	if err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile("../../.env.example")
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range regexp.MustCompile(`\$\{(\w+)`).FindAllStringSubmatch(string(compose), -1) {
		if !regexp.MustCompile(`(?m)^` + match[1] + `=`).Match(example) {
			t.Errorf(".env.example lacks %s", match[1])
		}
	}
	for line := range strings.Lines(string(example)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if ok && !strings.HasPrefix(line, "#") && value != "" && name != "BULKHEAD_BASE_URL" {
			t.Errorf(".env.example holds a value for %s, which everybody would then use", name)
		}
	}
}

func TestDockerfileRunsUnprivileged(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	file := string(text)
	_, final, _ := strings.Cut(file, "FROM gcr.io")
	for _, want := range []string{"AS build", "CGO_ENABLED=0"} {
		if !strings.Contains(file, want) {
			t.Errorf("%q is missing", want)
		}
	}
	for _, want := range []string{"USER 65532", `ENTRYPOINT ["bulkhead"]`, `CMD ["serve"]`, "HEALTHCHECK"} {
		if !strings.Contains(final, want) {
			t.Errorf("%q is missing in the image that runs", want)
		}
	}
	module, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	needed := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(module)
	if needed == nil || !strings.Contains(file, "golang:"+string(needed[1])) {
		t.Errorf("the Dockerfile builds with another Go than go.mod asks for")
	}
}
