package main

import (
	"context"
	"errors"

	"bulkhead/db"
	"bulkhead/server"
	"bulkhead/server/fhir"
)

// setUpClient makes the demo client in a project, and gives its secret: the one of an
// earlier run as long as that is known, else a new one.
func setUpClient(ctx context.Context, opened *db.DB, s *server.Server, home db.Caller, entry devTenant) (secret string, err error) {
	resource, err := fhir.Parse(demoClient)
	if err != nil {
		return "", err
	}
	spec, err := s.OAuth.ReadClient(&resource)
	if err != nil {
		return "", err
	}
	err = opened.Update(ctx, db.Identity, home, func(tx *db.Tx) error {
		secret, err = s.OAuth.PutClient(ctx, tx, home, entry.ClientID, spec)
		if err != nil || secret != "" {
			return err // it is new
		}
		if secret = entry.ClientSecret; secret != "" {
			return nil
		}
		secret, err = s.OAuth.RotateSecret(ctx, tx, home.Tenant, entry.ClientID, 0)
		return err
	})
	if err == nil && secret == "" {
		err = errors.New("the client has no secret")
	}
	return secret, err
}
