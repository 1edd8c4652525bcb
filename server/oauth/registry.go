package oauth

import (
	"context"
	"fmt"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"

	"bulkhead/db"
	"bulkhead/db/dbsqlc"
)

// Registry keeps the clients and signing keys of every tenant. The server and the commands share
// it; it knows nothing of HTTP.
type Registry struct {
	db      *db.DB
	pepper  Pepper
	vault   *Vault
	fetcher *keyFetcher
}

// NewRegistry returns the registry of a database. allowLoopback lets clients register jwks_uri on
// this machine and over http: for development and tests only.
func NewRegistry(database *db.DB, allowLoopback bool) (*Registry, error) {
	vault, err := NewVault(database.Derive("signing key"))
	if err != nil {
		return nil, err
	}
	return &Registry{
		db: database, pepper: database.Derive("client secret"), vault: vault, fetcher: newKeyFetcher(allowLoopback),
	}, nil
}

// systemOf is the context of a tenant's own affairs.
func systemOf(tenant int32) db.Caller { return db.Caller{Tenant: tenant, Project: db.SystemProject} }

// Ring reads a tenant's keys.
func (r *Registry) Ring(ctx context.Context, tenant int32) (*Ring, error) {
	var rows []dbsqlc.ListSigningKeysRow
	err := r.db.View(ctx, db.Identity, systemOf(tenant), func(v *db.View) (err error) {
		rows, err = v.ListSigningKeys(ctx, tenant)
		return err
	})
	if err != nil {
		return nil, err
	}
	return r.open(tenant, rows)
}

func (r *Registry) open(tenant int32, rows []dbsqlc.ListSigningKeysRow) (*Ring, error) {
	keys := make([]*SigningKey, len(rows))
	for i, row := range rows {
		key, err := r.vault.Open(tenant, row.Kid, row.Alg, KeyState(row.State), row.Sealed)
		if err != nil {
			return nil, fmt.Errorf("key %s of tenant %d: %w", row.Kid, tenant, err)
		}
		keys[i] = key
	}
	return NewRing(keys)
}

// EnsureKeys gives each of the lines an active and a next key where the tenant has none yet. Keys
// are made when they are first needed, since an RSA key costs some 100 ms.
func (r *Registry) EnsureKeys(ctx context.Context, tenant int32, lines ...jwa.SignatureAlgorithm) (*Ring, error) {
	err := r.db.Update(ctx, db.Identity, systemOf(tenant), func(tx *db.Tx) error {
		ring, err := r.lockKeys(ctx, tx, tenant)
		if err != nil {
			return err
		}
		for _, alg := range lines {
			for _, state := range []KeyState{KeyActive, KeyNext} {
				if ring.in(alg, state) != nil {
					continue
				}
				if err := r.addKey(ctx, tx, tenant, alg, state); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return r.Ring(ctx, tenant)
}

// RotateKeys lets the next key of each line sign from now on, and makes another to come after it.
// The key before it is published for another day, so that what it signed keeps its life.
func (r *Registry) RotateKeys(ctx context.Context, tenant int32) error {
	return r.db.Update(ctx, db.Identity, systemOf(tenant), func(tx *db.Tx) error {
		ring, err := r.lockKeys(ctx, tx, tenant)
		if err != nil {
			return err
		}
		for _, alg := range []jwa.SignatureAlgorithm{AccessTokenAlg, IDTokenAlg} {
			if err := moveKeys(ctx, tx, tenant, alg, KeyActive, KeyRetired); err != nil {
				return err
			}
			if err := r.promote(ctx, tx, tenant, ring, alg); err != nil {
				return err
			}
		}
		return nil
	})
}

// RevokeKey ends a key and every token that it signed, at once. When it was the active one, the
// next takes its place.
func (r *Registry) RevokeKey(ctx context.Context, tenant int32, kid string) error {
	return r.db.Update(ctx, db.Identity, systemOf(tenant), func(tx *db.Tx) error {
		ring, err := r.lockKeys(ctx, tx, tenant)
		if err != nil {
			return err
		}
		changed, err := tx.SetSigningKeyState(ctx, string(KeyRevoked), tenant, kid)
		if err != nil {
			return err
		}
		if changed == 0 {
			return db.ErrNotFound
		}
		for _, key := range ring.keys {
			if key.KID != kid || key.State == KeyRetired {
				continue
			}
			if key.State == KeyNext {
				return r.addKey(ctx, tx, tenant, key.Alg, KeyNext)
			}
			return r.promote(ctx, tx, tenant, ring, key.Alg)
		}
		return nil
	})
}

// KeyInfo describes a signing key to its tenant's administrator.
type KeyInfo struct {
	KID     string    `json:"kid"`
	Alg     string    `json:"alg"`
	State   KeyState  `json:"state"`
	Created time.Time `json:"created"`
	Changed time.Time `json:"changed"` // when it came into its state
}

// Keys lists a tenant's keys, revoked and retired ones too.
func (r *Registry) Keys(ctx context.Context, tenant int32) ([]KeyInfo, error) {
	var list []KeyInfo
	err := r.db.View(ctx, db.Identity, systemOf(tenant), func(v *db.View) error {
		rows, err := v.DescribeSigningKeys(ctx, tenant)
		for _, row := range rows {
			list = append(list, KeyInfo{KID: row.Kid, Alg: row.Alg, State: KeyState(row.State), Created: row.Created, Changed: row.Changed})
		}
		return err
	})
	return list, err
}

// lockKeys makes tx the only one that changes the tenant's keys, and returns them.
func (r *Registry) lockKeys(ctx context.Context, tx *db.Tx, tenant int32) (*Ring, error) {
	if err := tx.LockKeys(ctx); err != nil {
		return nil, err
	}
	rows, err := tx.ListSigningKeys(ctx, tenant)
	if err != nil {
		return nil, err
	}
	return r.open(tenant, rows)
}

// promote makes the next key of a line, or else a new one, the active one, and adds a next.
func (r *Registry) promote(ctx context.Context, tx *db.Tx, tenant int32, ring *Ring, alg jwa.SignatureAlgorithm) error {
	if ring.in(alg, KeyNext) != nil {
		if err := moveKeys(ctx, tx, tenant, alg, KeyNext, KeyActive); err != nil {
			return err
		}
	} else if err := r.addKey(ctx, tx, tenant, alg, KeyActive); err != nil {
		return err
	}
	return r.addKey(ctx, tx, tenant, alg, KeyNext)
}

func moveKeys(ctx context.Context, tx *db.Tx, tenant int32, alg jwa.SignatureAlgorithm, from, to KeyState) error {
	_, err := tx.MoveSigningKeys(ctx, dbsqlc.MoveSigningKeysParams{
		TenantID: tenant, Alg: string(alg), FromState: string(from), ToState: string(to),
	})
	return err
}

func (r *Registry) addKey(ctx context.Context, tx *db.Tx, tenant int32, alg jwa.SignatureAlgorithm, state KeyState) error {
	key, err := NewSigningKey(alg)
	if err != nil {
		return err
	}
	sealed, err := r.vault.Seal(tenant, key)
	if err != nil {
		return err
	}
	return tx.InsertSigningKey(ctx, dbsqlc.InsertSigningKeyParams{
		TenantID: tenant, Kid: key.KID, Alg: string(alg), State: string(state), Sealed: sealed,
	})
}
