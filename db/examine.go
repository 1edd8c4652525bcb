package db

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"bulkhead/policies"
)

// Examine connects to a database as it is, sound or not, and returns what is wrong with it: the walls,
// if url is that of the login role want then with that role too, and settings that lose data or show
// it. Its error is that of the connection.
func Examine(ctx context.Context, url, want string) (version string, findings []policies.Finding, err error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return "", nil, &stateError{meaning: ErrUnavailable, cause: err}
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := conn.QueryRow(ctx, "SHOW server_version").Scan(&version); err != nil {
		return "", nil, err
	}
	checks := []func(context.Context, *pgx.Conn) ([]policies.Finding, error){policies.Check, examineSettings}
	if want != "" {
		checks = append(checks, func(ctx context.Context, conn *pgx.Conn) ([]policies.Finding, error) {
			return policies.CheckSession(ctx, conn, want)
		})
	}
	for _, check := range checks {
		found, err := check(ctx, conn)
		if err != nil {
			return version, findings, err
		}
		findings = append(findings, found...)
	}
	return version, findings, nil
}

// settings that must have, or must not have, a value.
var settingRules = []struct{ name, bad, problem, remedy string }{
	{"fsync", "off", "is off: a crash of the machine may cost the whole database", "ALTER SYSTEM SET fsync = on; SELECT pg_reload_conf()"},
	{"full_page_writes", "off", "is off: a crash of the machine may cost pages", "ALTER SYSTEM SET full_page_writes = on; SELECT pg_reload_conf()"},
	{"synchronous_commit", "off", "is off: an acknowledged write may be lost", "ALTER SYSTEM SET synchronous_commit = on; SELECT pg_reload_conf()"},
	{"password_encryption", "md5", "is md5", "ALTER SYSTEM SET password_encryption = 'scram-sha-256', reload, and set the passwords again with `bulkhead migrate up`"},
	{"log_parameter_max_length_on_error", "-1", "writes the parameters of failed statements, which are patients' data, to the log", "ALTER SYSTEM SET log_parameter_max_length_on_error = 0; SELECT pg_reload_conf()"},
}

func examineSettings(ctx context.Context, conn *pgx.Conn) ([]policies.Finding, error) {
	var findings []policies.Finding
	for _, rule := range settingRules {
		var value string
		if err := conn.QueryRow(ctx, "SELECT current_setting($1)", rule.name).Scan(&value); err != nil {
			return nil, err
		}
		if value == rule.bad {
			findings = append(findings, policies.Finding{Object: "setting " + rule.name, Problem: rule.problem, Remedy: rule.remedy})
		}
	}
	var logged, plain bool
	err := conn.QueryRow(ctx, `
		SELECT current_setting('log_parameter_max_length') <> '0'
		       AND (current_setting('log_statement') IN ('all', 'mod') OR current_setting('log_min_duration_statement') <> '-1'),
		       coalesce((SELECT NOT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false)
		       AND NOT coalesce(inet_client_addr() <<= '127.0.0.0/8' OR inet_client_addr() = '::1', true)`).Scan(&logged, &plain)
	if err != nil {
		return nil, err
	}
	if logged {
		findings = append(findings, policies.Finding{
			Object: "setting log_parameter_max_length", Problem: "logged statements carry their parameters, which are patients' data",
			Remedy: "ALTER SYSTEM SET log_parameter_max_length = 0; SELECT pg_reload_conf()",
		})
	}
	if plain {
		findings = append(findings, policies.Finding{
			Object: "connection", Problem: "goes over the network without TLS", Remedy: "add sslmode=verify-full to the database URL",
		})
	}
	return findings, nil
}

// KeyFits tells whether the master key is the one that the database's context key was derived from. It
// asks to enter a project that cannot exist: a signature that fits is told so, another one is refused
// before that.
func (d *DB) KeyFits(ctx context.Context) (bool, error) {
	err := d.View(ctx, Identity, Caller{}, func(v *View) error {
		_, err := v.FindTenant(ctx, "")
		return err
	})
	switch {
	case errors.Is(err, ErrNoProject):
		return true, nil
	case errors.Is(err, ErrContext):
		return false, nil
	}
	return false, fmt.Errorf("context key: %w", err)
}
