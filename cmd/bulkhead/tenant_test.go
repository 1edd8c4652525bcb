package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// callJSON runs a command with --json and returns the one object that it prints.
func callJSON(t *testing.T, s stage, args ...string) map[string]any {
	t.Helper()
	r := call(t, nil, append(args, "--data", s.dir, "--json")...)
	if r.code != exitDone {
		t.Fatalf("%v: code %d: %s%s", args, r.code, r.stdout, r.stderr)
	}
	d := json.NewDecoder(strings.NewReader(r.stdout))
	var object map[string]any
	if err := d.Decode(&object); err != nil {
		t.Fatalf("%v: %v: %s", args, err, r.stdout)
	}
	if d.More() {
		t.Errorf("%v prints more than one object: %s", args, r.stdout)
	}
	return object
}

func TestATenantIsProvisioned(t *testing.T) {
	t.Parallel()
	s := openStage(t)
	made := callJSON(t, s, "tenant", "create", "northwind", "--name", "Northwind")
	projects, _ := made["projects"].([]any)
	if made["tenant"] != "northwind" || made["state"] != "active" || len(projects) != 1 || projects[0].(map[string]any)["project"] != "system" {
		t.Fatalf("created: %v", made)
	}
	project := callJSON(t, s, "project", "create", "care", "--tenant", "northwind", "--fhir-version", "r4b")
	if base, _ := project["fhir_base"].(string); !strings.HasSuffix(base, "/w/northwind/care/api/v1/fhir/r4b") {
		t.Errorf("project: %v", project)
	}
	client := callJSON(t, s, "client", "create", "--tenant", "northwind", "--project", "care", "--name", "x")
	if client["client_secret"] == "" {
		t.Errorf("client: %v", client)
	}
	if list := callJSON(t, s, "project", "list", "--tenant", "northwind")["projects"].([]any); len(list) != 2 {
		t.Errorf("projects: %v", list)
	}
	found := false
	for _, one := range callJSON(t, s, "tenant", "list")["tenants"].([]any) {
		if one := one.(map[string]any); one["tenant"] == "northwind" {
			found = one["project_count"] == 1.0
		}
	}
	if !found {
		t.Error("it is not in the list, or not with one project")
	}
	if got := callJSON(t, s, "tenant", "suspend", "northwind"); got["state"] != "suspended" {
		t.Errorf("%v", got)
	}
	if r := call(t, nil, "project", "create", "more", "--tenant", "northwind", "--data", s.dir); r.code != exitFailed || !strings.Contains(r.stderr, "suspended") {
		t.Errorf("a project in a suspended tenant: %+v", r)
	}
	callJSON(t, s, "tenant", "resume", "northwind")
	callJSON(t, s, "project", "delete", "care", "--tenant", "northwind")
	if show := callJSON(t, s, "tenant", "show", "northwind"); len(show["projects"].([]any)) != 1 {
		t.Errorf("%v", show)
	}
	callJSON(t, s, "project", "create", "again", "--tenant", "northwind")
	callJSON(t, s, "tenant", "delete", "northwind")
	if r := call(t, nil, "tenant", "show", "northwind", "--data", s.dir); r.code != exitFailed || !strings.Contains(r.stderr, "no tenant northwind") {
		t.Errorf("%+v", r)
	}
}

func TestProvisioningRefuses(t *testing.T) {
	t.Parallel()
	s := openStage(t)
	for name, c := range map[string]struct {
		args string
		code int
		says string
	}{
		"a tenant twice":         {"tenant create acme", exitFailed, "there is a tenant acme already"},
		"no slug":                {"tenant create Acme_1", exitFailed, "cannot be a tenant"},
		"a tenant of nowhere":    {"tenant suspend nobody", exitFailed, "no tenant nobody"},
		"a project twice":        {"project create main --tenant acme", exitFailed, "main"},
		"a project of no tenant": {"project create x --tenant nobody", exitFailed, "no such tenant"},
		"project system":         {"project delete system --tenant acme", exitFailed, "system"},
		"no such project":        {"project delete nothing --tenant acme", exitFailed, "no such project"},
		"a version":              {"project create x --tenant acme --fhir-version r5", exitUsage, "r4 or r4b"},
		"no tenant":              {"project list", exitUsage, "tenant"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := call(t, nil, append(strings.Fields(c.args), "--data", s.dir)...)
			if r.code != c.code || !strings.Contains(r.stderr, c.says) {
				t.Errorf("code %d, want %d with %q: %s%s", r.code, c.code, c.says, r.stdout, r.stderr)
			}
		})
	}
}
