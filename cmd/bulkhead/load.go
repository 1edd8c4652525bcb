package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
)

// loadOptions are the flags of `bulkhead load`.
type loadOptions struct {
	fhirBase      string
	tokenEndpoint string
	clientID      string
	clientSecret  string
	scope         string
	workers       int
	group         int
	retryFor      time.Duration
	asIs          bool
	json          bool
	data          string
	tenant        string
	failuresTo    io.Writer // is told what was not stored instead of the summary on standard output
}

func newLoadCommand(p program) *cobra.Command {
	var o loadOptions
	cmd := &cobra.Command{
		Use:   "load --fhir-base URL --client-id ID [flags] FILE...",
		Short: "Load transaction bundles, collections or single resources into a project",
		Long: `Load posts FHIR data to one project, over HTTP with a client's token, as any other client would.

Files are .json, .ndjson or either with .gz; "-" is standard input. A file may hold transaction and
batch bundles (one patient each, as Synthea writes them), collections, or single resources (as a bulk
export writes them). Single resources are sent in transactions of --group resources.

Order. Files whose first bundle holds nothing but organizations, practitioners, locations and the
like are sent first, one bundle after the other, then patients, then what refers to them. What the
server refuses is tried again after everything else, because what it refers to may be there by then.

Running it again duplicates nothing. An entry that would create a resource anew each time (POST) is
sent as an update with a known id (PUT Type/id): the resource's own id, else the one in its urn:uuid
fullUrl, else one derived from the content of the bundle. A second run therefore updates in place:
it makes a new version of each, unless the server leaves equal content alone, which is reported as
unchanged. Conditional creates (ifNoneExist) and conditional references stay as they are, except that
a create on condition that no resource has the entry's own id as its identifier becomes a PUT with
that id. --as-is turns all of this off.

Busy answers (429, 502, 503, 504) and broken connections are tried again for --retry-for, waiting as
long as Retry-After says. The summary counts by type what was created, updated, unchanged and not
stored. The exit code is 1 if anything was not stored.

The client's id and secret may be given as BULKHEAD_CLIENT_ID and BULKHEAD_CLIENT_SECRET instead,
which keeps the secret out of the list of processes.`,
		Example: `  bulkhead load --data .bulkhead patients.ndjson.gz
  bulkhead load --fhir-base https://fhir.example.org/w/acme/main/api/v1/fhir/r4 \
      --client-id loader --client-secret S3CRET practitioners.ndjson patients.ndjson.gz
  BULKHEAD_CLIENT_SECRET=S3CRET bulkhead load --fhir-base URL --client-id loader --json *.json`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			if err := o.fromDev(); err != nil {
				return err
			}
			o.fromEnvironment(p.getenv)
			if err := o.check(); err != nil {
				return err
			}
			return load(cmd.Context(), p, o, files)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.data, "data", "", "load into a running bulkhead dev with this directory, as its demo client")
	f.StringVar(&o.tenant, "tenant", "", "with --data: the demo tenant (default: the first)")
	f.StringVar(&o.fhirBase, "fhir-base", "", "the project's FHIR base URL")
	f.StringVar(&o.tokenEndpoint, "token-endpoint", "", "the tenant's OAuth token endpoint (default: as the project's smart-configuration says)")
	f.StringVar(&o.clientID, "client-id", "", "the client's id")
	f.StringVar(&o.clientSecret, "client-secret", "", "the client's secret")
	f.StringVar(&o.scope, "scope", "system/*.cruds", "the scope to ask for")
	f.IntVar(&o.workers, "workers", 4, "how many requests at once")
	f.IntVar(&o.group, "group", 200, "how many single resources in one transaction")
	f.DurationVar(&o.retryFor, "retry-for", 5*time.Minute, "how long a request is tried again while the server is busy or away")
	f.BoolVar(&o.asIs, "as-is", false, "send the entries of bundles unchanged; running it again then creates them again")
	f.BoolVar(&o.json, "json", false, "print the summary as one JSON object")
	return cmd
}

// fromDev takes addresses and client from the report of a running dev.
func (o *loadOptions) fromDev() error {
	if o.data == "" {
		return nil
	}
	if o.fhirBase != "" || o.clientID != "" {
		return usagef("--data goes without --fhir-base and --client-id: it brings them along")
	}
	text, err := os.ReadFile(filepath.Join(o.data, reportName))
	if err != nil {
		return fmt.Errorf("no bulkhead dev runs on %s: %w", o.data, err)
	}
	var report devReport
	if err := json.Unmarshal(text, &report); err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(o.data, reportName), err)
	}
	for _, t := range report.Tenants {
		if o.tenant == "" || o.tenant == t.Tenant {
			o.fhirBase, o.tokenEndpoint, o.clientID, o.clientSecret = t.FHIRBase, t.TokenEndpoint, t.ClientID, t.ClientSecret
			return nil
		}
	}
	return usagef("dev has no tenant %s", o.tenant)
}

func (o *loadOptions) fromEnvironment(getenv func(string) string) {
	for name, field := range map[string]*string{
		"BULKHEAD_FHIR_BASE": &o.fhirBase, "BULKHEAD_TOKEN_ENDPOINT": &o.tokenEndpoint,
		"BULKHEAD_CLIENT_ID": &o.clientID, "BULKHEAD_CLIENT_SECRET": &o.clientSecret,
	} {
		if *field == "" {
			*field = getenv(name)
		}
	}
}

func (o *loadOptions) check() error {
	switch {
	case o.fhirBase == "":
		return usagef("--fhir-base is missing")
	case o.clientID == "":
		return usagef("--client-id is missing")
	case o.workers < 1 || o.workers > 64:
		return usagef("--workers must be 1 to 64")
	case o.group < 1 || o.group > 5000:
		return usagef("--group must be 1 to 5000")
	}
	return nil
}

// load does the work of the command.
func load(ctx context.Context, p program, o loadOptions, files []string) error {
	inputs, err := openInputs(p.stdin, files)
	if err != nil {
		return err
	}
	client, err := newLoadClient(ctx, o)
	if err != nil {
		return err
	}
	var total int64
	for _, in := range inputs {
		total += in.size
	}
	l := &loader{options: o, client: client, report: newLoadReport(), progress: newProgress(p.stderr, total, "loading")}
	err = l.run(ctx, inputs)
	l.progress.finish()
	l.report.finish()
	if o.json {
		if printErr := writeJSON(p.stdout, l.report.summary(err)); printErr != nil {
			return printErr
		}
	} else if o.failuresTo == nil {
		l.report.print(p.stdout)
	} else if l.report.notStored() > 0 {
		l.report.print(o.failuresTo)
	}
	if err != nil {
		return fmt.Errorf("the load did not get to its end: %w", err)
	}
	if l.report.notStored() > 0 {
		return errReported
	}
	return nil
}
