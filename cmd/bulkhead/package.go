package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"bulkhead/server"
)

// packageOptions are the flags of `bulkhead package install`.
type packageOptions struct {
	load      loadOptions // for the way over HTTP
	direct    tenantFlags // for the way through the database
	project   string
	narrative bool
	json      bool
}

func newPackageCommand(p program) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "package",
		Short:   "Load FHIR packages into a project",
		Long:    "A FHIR package (a .tgz as npm has it) holds profiles, value sets, code systems and search parameters.",
		Example: "  bulkhead package install --help",
		RunE:    runGroup,
	}
	cmd.AddCommand(newPackageInstall(p))
	return cmd
}

func newPackageInstall(p program) *cobra.Command {
	var o packageOptions
	cmd := &cobra.Command{
		Use:   "install FILE.tgz",
		Short: "Load the definitions of a FHIR package into a project",
		Long: `Install stores the profiles, extensions, value sets, code systems, concept maps, search parameters, naming
systems, operation definitions and capability statements of a package in one project, where they belong
to that project alone. From then on resources that name the profiles are checked against them.

It reads the one file that it is given and nothing else: packages that this one depends on are listed,
never fetched. Links, paths that lead out of the package, and packages beyond the limits (` + packageLimits + `)
are refused as a whole.

Running it again changes nothing. A definition is recognised by its canonical URL; one that is stored
with the same content is left alone, one with other content gets a new version. A definition whose id is
taken by another canonical URL is not stored. The narrative is left out unless --narrative is given.

Either over HTTP with a client's token (--fhir-base, --client-id, --client-secret, as load), or straight
into the database (--data or the database flags, with --tenant and --project).`,
		Example: `  bulkhead package install --data .bulkhead --tenant acme --project main hl7.fhir.us.core-6.1.0.tgz
  BULKHEAD_CLIENT_SECRET=S3CRET bulkhead package install --fhir-base URL --client-id loader --json us-core.tgz`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return installPackage(cmd.Context(), p, &o, args[0])
		},
	}
	o.direct.database.add(cmd)
	f := cmd.Flags()
	f.StringVar(&o.direct.tenant, "tenant", "", "the tenant, straight into the database")
	f.StringVar(&o.project, "project", "", "the project, straight into the database")
	f.StringVar(&o.load.fhirBase, "fhir-base", "", "the project's FHIR base URL, over HTTP")
	f.StringVar(&o.load.tokenEndpoint, "token-endpoint", "", "the tenant's OAuth token endpoint (default: as the project's smart-configuration says)")
	f.StringVar(&o.load.clientID, "client-id", "", "the client's id")
	f.StringVar(&o.load.clientSecret, "client-secret", "", "the client's secret")
	f.BoolVar(&o.narrative, "narrative", false, "store the narrative too, which is several times as long as the rest")
	f.BoolVar(&o.json, "json", false, "print one JSON object")
	return cmd
}

func installPackage(ctx context.Context, p program, o *packageOptions, file string) error {
	overHTTP := o.load.fhirBase != ""
	if overHTTP == (o.direct.tenant != "") || !overHTTP && o.project == "" {
		return usagef("give either --fhir-base with a client, or --tenant and --project with a database")
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	content, err := readPackage(f, o.narrative, maxPackageBytes)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if overHTTP {
		return installOverHTTP(ctx, p, o, content)
	}
	return o.direct.with(ctx, p, func(s *server.Server) error {
		project, err := s.DB.FindProject(ctx, o.direct.tenant, o.project)
		if err != nil {
			return err
		}
		return o.install(ctx, p.stdout, content, project.FHIRVersion, func(ctx context.Context, bundle []byte) (int, []byte, error) {
			return s.Process(ctx, o.direct.tenant, o.project, bundle)
		})
	})
}

func installOverHTTP(ctx context.Context, p program, o *packageOptions, content *packageContent) error {
	o.load.fromEnvironment(p.getenv)
	o.load.workers, o.load.group, o.load.scope, o.load.retryFor = 1, 1, "system/*.cruds", packageRetry
	if err := o.load.check(); err != nil {
		return err
	}
	client, err := newLoadClient(ctx, o.load)
	if err != nil {
		return err
	}
	version := client.base[strings.LastIndexByte(client.base, '/')+1:]
	return o.install(ctx, p.stdout, content, version, func(ctx context.Context, bundle []byte) (int, []byte, error) {
		status, _, body, err := client.post(ctx, bundle)
		return status, body, err
	})
}

func (o *packageOptions) install(ctx context.Context, w io.Writer, content *packageContent, version string, post func(context.Context, []byte) (int, []byte, error)) error {
	if !content.fits(version) {
		return fmt.Errorf("the package %s is for FHIR %s, and the project has %s", content.name(), strings.Join(content.FHIRVersions, ", "), version)
	}
	i := &installer{content: content, post: post, report: packageReport{
		Package: content.Name, Version: content.Version, DependsOn: content.Dependencies, Skipped: content.skipped, Counts: map[string]*packageCount{},
	}}
	if err := i.run(ctx); err != nil {
		return fmt.Errorf("the installation did not get to its end; run it again: %w", err)
	}
	if o.json {
		if err := writeJSON(w, i.report); err != nil {
			return err
		}
	} else {
		i.report.print(w)
	}
	if len(i.report.Failed) > 0 {
		return errReported
	}
	return nil
}

// packageReport says what an installation did.
type packageReport struct {
	Package   string                   `json:"package"`
	Version   string                   `json:"version"`
	DependsOn map[string]string        `json:"depends_on,omitempty"` // packages that may be needed too
	Created   int                      `json:"created"`
	Updated   int                      `json:"updated"`
	Unchanged int                      `json:"unchanged"`
	Skipped   int                      `json:"skipped"` // files that are no definitions
	Counts    map[string]*packageCount `json:"types"`
	Failed    []packageFailure         `json:"failed"`
}

type packageCount struct {
	Created   int `json:"created"`
	Updated   int `json:"updated"`
	Unchanged int `json:"unchanged"`
	Failed    int `json:"failed"`
}

type packageFailure struct {
	Type   string `json:"type"`
	ID     string `json:"id"`
	URL    string `json:"url"`
	Reason string `json:"reason"`
}

func (r *packageReport) count(d *packageResource) *packageCount {
	c := r.Counts[d.typ]
	if c == nil {
		c = &packageCount{}
		r.Counts[d.typ] = c
	}
	return c
}

func (r *packageReport) fail(d *packageResource, reason string) {
	r.count(d).Failed++
	r.Failed = append(r.Failed, packageFailure{d.typ, d.id, d.url, reason})
}

func (r *packageReport) store(d *packageResource, status int) {
	if status == http.StatusCreated {
		r.count(d).Created++
		r.Created++
		return
	}
	r.count(d).Updated++
	r.Updated++
}

func (r *packageReport) print(w io.Writer) {
	fmt.Fprintf(w, "%s %s: %d created, %d updated, %d unchanged, %d not stored; %d files are no definitions\n",
		r.Package, r.Version, r.Created, r.Updated, r.Unchanged, len(r.Failed), r.Skipped)
	for _, f := range r.Failed {
		fmt.Fprintf(w, "not stored: %s/%s (%s): %s\n", f.Type, f.ID, f.URL, f.Reason)
	}
	for name, version := range r.DependsOn {
		fmt.Fprintf(w, "it refers to the package %s %s, which is not fetched\n", name, version)
	}
}
