package login

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"bulkhead/db"
	"bulkhead/db/dbsqlc"
)

// Policy is what a tenant asks of everybody who signs in.
type Policy struct {
	SecondFactor []string      // the roles that need a second factor
	Idle         time.Duration // a session ends when it is not used for so long
	Life         time.Duration // a session ends so long after signing in, used or not
}

// DefaultPolicy holds for a tenant that has not set one; the queries know the same numbers.
var DefaultPolicy = Policy{SecondFactor: []string{}, Idle: time.Hour, Life: 12 * time.Hour}

// What a policy's times must lie between: the columns' constraints say the same.
const (
	minIdle    = time.Minute
	minLife    = 5 * time.Minute
	maxSession = 30 * 24 * time.Hour
)

// Policy reads a tenant's policy.
func (p *People) Policy(ctx context.Context, tenant int32) (Policy, error) {
	policy := DefaultPolicy
	err := p.view(ctx, tenant, func(v *db.View) error {
		row, err := v.FindLoginPolicy(ctx, tenant)
		if errors.Is(err, db.ErrNotFound) {
			return nil
		}
		policy = Policy{
			SecondFactor: row.SecondFactor,
			Idle:         time.Duration(row.IdleSeconds) * time.Second,
			Life:         time.Duration(row.LifeSeconds) * time.Second,
		}
		return err
	})
	return policy, err
}

// SetPolicy replaces a tenant's policy. Whoever is signed in without a second factor that their role
// needs from now on is led to set one up before anything else.
func (p *People) SetPolicy(ctx context.Context, tenant int32, policy Policy) error {
	for _, role := range policy.SecondFactor {
		if !validRole(role) {
			return fmt.Errorf("%q is not a role: owner, admin or member", role)
		}
	}
	if policy.Idle < minIdle || policy.Life < minLife || policy.Idle > maxSession || policy.Life > maxSession {
		return fmt.Errorf("a session may be idle for %s to %s and live for %s to %s", minIdle, maxSession, minLife, maxSession)
	}
	required := slices.Clone(policy.SecondFactor)
	if required == nil {
		required = []string{}
	}
	return p.update(ctx, tenant, func(tx *db.Tx) error {
		return tx.Last().PutLoginPolicy(ctx, dbsqlc.PutLoginPolicyParams{
			TenantID: tenant, SecondFactor: required,
			IdleSeconds: int32(policy.Idle / time.Second), LifeSeconds: int32(policy.Life / time.Second),
		})
	})
}
