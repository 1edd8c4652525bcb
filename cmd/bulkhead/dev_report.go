package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// devReport is dev.json.
type devReport struct {
	Tenants  []devTenant `json:"tenants"`
	Postgres devPostgres `json:"postgres"`
	Console  *string     `json:"console"` // URL of the web console; null while there is none
}

type devTenant struct {
	Tenant        string `json:"tenant"`
	Project       string `json:"project"`
	FHIRBase      string `json:"fhir_base"`
	TokenEndpoint string `json:"token_endpoint"`
	ClientID      string `json:"client_id"`
	ClientSecret  string `json:"client_secret"`
}

type devPostgres struct {
	App       string `json:"app_dsn"`
	Auth      string `json:"auth_dsn"`
	Auditor   string `json:"auditor_dsn"`
	Superuser string `json:"superuser_dsn"`
}

const (
	reportName = "dev.json"
	asideName  = "dev.json.previous"
	shellName  = "dev.env"
)

// setAsideReport takes the report of an earlier run out of the way, but keeps its secrets.
func setAsideReport(dir string) error {
	err := os.Rename(filepath.Join(dir, reportName), filepath.Join(dir, asideName))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// readReport reads the report of the run before; nothing if there was none.
func readReport(dir string) *devReport {
	var r devReport
	text, err := os.ReadFile(filepath.Join(dir, asideName))
	if err != nil || json.Unmarshal(text, &r) != nil {
		return &devReport{}
	}
	return &r
}

// client is a tenant's client of the run before, as long as it is known.
func (r *devReport) client(tenant string) (id, secret string) {
	for _, t := range r.Tenants {
		if t.Tenant == tenant {
			return t.ClientID, t.ClientSecret
		}
	}
	return "", ""
}

// devBase is where a running dev serves, for commands that are given beside it; "" if none runs.
func devBase(dir string) string {
	var r devReport
	text, err := os.ReadFile(filepath.Join(dir, reportName))
	if err != nil || json.Unmarshal(text, &r) != nil || len(r.Tenants) == 0 {
		return ""
	}
	base, _, _ := strings.Cut(r.Tenants[0].FHIRBase, "/w/")
	return base
}

// write makes dev.env and dev.json, the latter last: who sees it can use everything.
func (r *devReport) write(dir string) error {
	var b bytes.Buffer
	if err := writeJSON(&b, r); err != nil {
		return err
	}
	if err := errors.Join(writeWhole(dir, shellName, r.shell()), writeWhole(dir, reportName, b.Bytes())); err != nil {
		return err
	}
	err := os.Remove(filepath.Join(dir, asideName))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// shell is the report as assignments, for scripts and the README's lines: those of the second
// tenant begin with OTHER_.
func (r *devReport) shell() []byte {
	var b bytes.Buffer
	for i, prefix := range []string{"", "OTHER_"} {
		t := r.Tenants[i]
		for _, v := range [][2]string{
			{"FHIR_BASE", t.FHIRBase}, {"TOKEN_ENDPOINT", t.TokenEndpoint}, {"CLIENT_ID", t.ClientID}, {"CLIENT_SECRET", t.ClientSecret},
		} {
			fmt.Fprintf(&b, "%s%s='%s'\n", prefix, v[0], v[1])
		}
	}
	return b.Bytes()
}

// writeWhole makes a file that only its owner can read, complete at once.
func writeWhole(dir, name string, text []byte) error {
	file, err := os.CreateTemp(dir, ".dev-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = os.Rename(file.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}

// print says what to paste.
func (r *devReport) print(w io.Writer, dir string, sample bool) {
	mine, other := r.Tenants[0], r.Tenants[1]
	id := people[0].id
	fmt.Fprintf(w, `
Paste this to try it. Addresses and secrets are in %s.

# a token for the project %s of the tenant %s
BASE=%s
TOKEN=$(curl -s -u '%s:%s' -d grant_type=client_credentials -d 'scope=system/*.cruds' \
  %s | sed 's/.*"access_token":"\([^"]*\)".*/\1/')

# create a patient
curl -s "$BASE/Patient" -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/fhir+json' \
  -d '{"resourceType":"Patient","name":[{"family":"Lovelace","given":["Ada"]}],"birthDate":"1815-12-10"}'
`, filepath.Join(dir, reportName), mine.Project, mine.Tenant, mine.FHIRBase, mine.ClientID, mine.ClientSecret, mine.TokenEndpoint)
	fmt.Fprintf(w, `
# search
curl -s "$BASE/Patient?family=lovelace&_pretty=true" -H "Authorization: Bearer $TOKEN"
`)
	if sample {
		fmt.Fprintf(w, `curl -s "$BASE/Observation?patient=%s&code=http://loinc.org|8480-6&_pretty=true" -H "Authorization: Bearer $TOKEN"
`, id)
	}
	fmt.Fprintf(w, `
# the other tenant asks for the same patient: 404
OTHER=$(curl -s -u '%s:%s' -d grant_type=client_credentials -d 'scope=system/*.cruds' \
  %s | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
curl -s -o /dev/null -w '%%{http_code}\n' %s/Patient/%s -H "Authorization: Bearer $OTHER"

# the walls by hand, as the role that the server uses
%s psql --data %s --tenant %s --project %s -c 'SELECT tenant_id, project_id, count(*) FROM resource GROUP BY 1, 2'

`, other.ClientID, other.ClientSecret, other.TokenEndpoint, other.FHIRBase, id, thisCommand(), dir, other.Tenant, other.Project)
}

// thisCommand is how a reader calls this program again.
func thisCommand() string {
	path, err := os.Executable()
	if err != nil {
		return "bulkhead"
	}
	if strings.Contains(path, "go-build") {
		return "go run ./cmd/bulkhead"
	}
	return path
}
