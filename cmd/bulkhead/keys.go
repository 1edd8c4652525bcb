package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"bulkhead/server"
	"bulkhead/server/oauth"
)

func newKeysCommand(p program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "List, rotate and revoke the keys that a tenant's tokens are signed with",
		Long: `Each tenant signs with keys of its own: ES256 for access tokens, RS256 for id tokens. A key is published
(next) before it signs (active), and for a day after it (retired). Private keys are kept encrypted
under the master key.

` + databaseHelp,
		Example: `  bulkhead keys list --data .bulkhead --tenant north
  bulkhead keys rotate --data .bulkhead --tenant north`,
		RunE: runGroup,
	}
	cmd.AddCommand(newKeysList(p), newKeysRotate(p), newKeysRevoke(p))
	return cmd
}

func newKeysList(p program) *cobra.Command {
	return newKeysChange(p, "list", "Show a tenant's keys and their states",
		"Keys are made when they are first needed: a tenant that has issued no token may have none.",
		cobra.NoArgs, func(*cobra.Command, *server.Server, int32, []string) error { return nil })
}

func newKeysRotate(p program) *cobra.Command {
	return newKeysChange(p, "rotate", "Sign with the next keys from now on",
		`Rotate makes the next key of each line the active one, and another one next. Running servers sign with
it from the next token on. Tokens that were signed before keep their life.`,
		cobra.NoArgs, func(cmd *cobra.Command, s *server.Server, tenant int32, _ []string) error {
			return s.OAuth.RotateKeys(cmd.Context(), tenant)
		})
}

func newKeysRevoke(p program) *cobra.Command {
	return newKeysChange(p, "revoke KID", "End a key and every token that it signed",
		"Revoke bites on the next request. If the key was the active one, the next key takes its place.",
		cobra.ExactArgs(1), func(cmd *cobra.Command, s *server.Server, tenant int32, args []string) error {
			return notThere(s.OAuth.RevokeKey(cmd.Context(), tenant, args[0]), "there is no such key, or it is revoked already")
		})
}

// newKeysChange makes a subcommand that does something and then shows the keys.
func newKeysChange(p program, use, short, long string, args cobra.PositionalArgs, do func(*cobra.Command, *server.Server, int32, []string) error) *cobra.Command {
	var f tenantFlags
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long, Args: args,
		Example: "  bulkhead keys " + use + " --data .bulkhead --tenant north\n  bulkhead keys " + use + " --data .bulkhead --tenant north --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.with(cmd.Context(), p, func(s *server.Server) error {
				system, err := f.system(cmd.Context(), s)
				if err != nil {
					return err
				}
				if err := do(cmd, s, system.Tenant, args); err != nil {
					return err
				}
				keys, err := s.OAuth.Keys(cmd.Context(), system.Tenant)
				if err != nil {
					return err
				}
				return printKeys(p.stdout, f.tenant, keys, f.asJSON)
			})
		},
	}
	f.add(cmd)
	return cmd
}

func printKeys(w io.Writer, tenant string, keys []oauth.KeyInfo, asJSON bool) error {
	if asJSON {
		if keys == nil {
			keys = []oauth.KeyInfo{}
		}
		return writeJSON(w, map[string]any{"tenant": tenant, "keys": keys})
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "KID\tALG\tSTATE\tSINCE")
	for _, key := range keys {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", key.KID, key.Alg, key.State, key.Changed.UTC().Format(time.RFC3339))
	}
	return t.Flush()
}
