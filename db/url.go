package db

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5"
)

// URLAs returns the URL or keyword DSN of the same database, as another role.
func URLAs(address, role, password string) (string, error) {
	if _, err := pgx.ParseConfig(address); err != nil {
		return "", fmt.Errorf("database URL: %w", withoutSecret(err))
	}
	if !strings.Contains(address, "://") {
		quote := strings.NewReplacer(`\`, `\\`, `'`, `\'`)
		return fmt.Sprintf("%s user='%s' password='%s'", address, quote.Replace(role), quote.Replace(password)), nil
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", fmt.Errorf("database URL: %w", withoutSecret(err))
	}
	u.User = url.UserPassword(role, password)
	query := u.Query()
	query.Del("user") // libpq lets these win over what stands before the @
	query.Del("password")
	u.RawQuery = strings.ReplaceAll(query.Encode(), "+", "%20") // libpq does not read + as a space
	return u.String(), nil
}

// UserOf returns the role that a URL or keyword DSN connects as.
func UserOf(address string) (string, error) {
	config, err := pgx.ParseConfig(address)
	if err != nil {
		return "", fmt.Errorf("database URL: %w", withoutSecret(err))
	}
	return config.User, nil
}

// withoutSecret keeps the address, which may hold a password, out of a message.
func withoutSecret(err error) error {
	var parse *url.Error
	if errors.As(err, &parse) {
		return parse.Err
	}
	return err
}

// SplitPassword returns the URL without its password, for a list of processes that anyone may read, and
// the password.
func SplitPassword(address string) (without, password string, err error) {
	config, err := pgx.ParseConfig(address)
	if err != nil {
		return "", "", fmt.Errorf("database URL: %w", withoutSecret(err))
	}
	if !strings.Contains(address, "://") {
		return address + " password=''", config.Password, nil
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", "", fmt.Errorf("database URL: %w", withoutSecret(err))
	}
	u.User = url.User(config.User)
	query := u.Query()
	query.Del("password")
	u.RawQuery = strings.ReplaceAll(query.Encode(), "+", "%20")
	return u.String(), config.Password, nil
}
