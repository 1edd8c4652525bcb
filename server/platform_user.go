package server

import (
	"context"
	"net/http"

	"bulkhead/db"
	"bulkhead/server/fhir"
	"bulkhead/server/login"
)

// createUser answers POST User: resource and person in one transaction. The person has no password
// until they are invited.
func (s *Server) createUser(r *request) error {
	v, err := r.readResource(r.typ)
	if err != nil {
		return err
	}
	return s.putUser(r, http.MethodPost, newID(), v)
}

// updateUser answers PUT User/[id]. Status inactive signs the person out at once.
func (s *Server) updateUser(r *request) error {
	id := r.Param("id")
	if err := checkID(id); err != nil {
		return err
	}
	v, err := r.readResource(r.typ)
	if err != nil {
		return err
	}
	if err := checkBodyID(&v, id); err != nil {
		return err
	}
	return s.putUser(r, http.MethodPut, id, v)
}

func (s *Server) putUser(r *request, method, id string, v fhir.Value) error {
	ch, err := r.prepare(method, r.typ, r.typeID, id, v, "")
	if err != nil {
		return err
	}
	spec, err := login.ReadUser(&v)
	if err != nil {
		return err
	}
	err = r.write(r.plane, func(tx *db.Tx) error {
		if method == http.MethodPut {
			if ch.held, err = r.lock(tx, r.typeID, id); err != nil {
				return err
			}
			if err := checkPreconditions(r.Request().Header, ch.held); err != nil {
				return err
			}
		}
		if err := login.PutUser(r.ctx(), tx, r.caller.Tenant, id, spec); err != nil {
			return err
		}
		return r.store(r.ctx(), tx.Last(), ch)
	})
	if err != nil {
		return err
	}
	return r.answerWrite(ch)
}

// deleteUser answers DELETE User/[id]. The person's sessions, links and codes go with it.
func (s *Server) deleteUser(r *request) error {
	id := r.Param("id")
	if err := checkID(id); err != nil {
		return err
	}
	var ch *change
	err := r.write(r.plane, func(tx *db.Tx) error {
		ch = nil
		old, err := r.lock(tx, r.typeID, id)
		if err != nil {
			return err
		}
		if err := checkPreconditions(r.Request().Header, old); err != nil {
			return err
		}
		if old == nil || old.deleted {
			return nil
		}
		if err := login.DropUser(r.ctx(), tx, r.caller.Tenant, id); err != nil {
			return err
		}
		ch = deletion(r.typ, r.typeID, id, old)
		return r.store(r.ctx(), tx.Last(), ch)
	})
	if err != nil {
		return err
	}
	if ch != nil {
		r.setVersion(ch.version, ch.lastUpdated)
	}
	return r.NoContent(http.StatusNoContent)
}

// CreateUser makes a person and their User in a tenant, for the program's own commands. system is
// the tenant's project of that name. Errors: *fhir.Error when the spec is none, or the e-mail
// address is taken.
func (s *Server) CreateUser(ctx context.Context, system db.Project, spec login.UserSpec) (id string, err error) {
	r, err := s.ownRequest(system, "User")
	if err != nil {
		return "", err
	}
	v, err := fhir.Parse(spec.Resource())
	if err != nil {
		return "", err
	}
	ch, err := r.prepare(http.MethodPost, r.typ, r.typeID, newID(), v, "")
	if err != nil {
		return "", err
	}
	err = s.DB.Update(ctx, r.plane, r.caller, func(tx *db.Tx) error {
		if err := login.PutUser(ctx, tx, system.Tenant, ch.id, spec); err != nil {
			return err
		}
		return r.store(ctx, tx.Last(), ch)
	})
	return ch.id, err
}

// SetUserStatus disables a person, which signs them out at once, or lets them in again.
// db.ErrNotFound when the tenant has no such user.
func (s *Server) SetUserStatus(ctx context.Context, system db.Project, id string, active bool) error {
	r, err := s.ownRequest(system, "User")
	if err != nil {
		return err
	}
	return r.changeOwn(ctx, id, func(tx *db.Tx, old *held) (*change, error) {
		if old == nil || old.deleted {
			return nil, db.ErrNotFound
		}
		v, err := fhir.Parse(old.body)
		if err != nil {
			return nil, err
		}
		v = withStatus(&v, map[bool]string{true: "active", false: "inactive"}[active])
		spec, err := login.ReadUser(&v)
		if err != nil {
			return nil, err
		}
		if err := login.PutUser(ctx, tx, system.Tenant, id, spec); err != nil {
			return nil, err
		}
		ch, err := r.prepare(http.MethodPut, r.typ, r.typeID, id, v, "")
		if err != nil {
			return nil, err
		}
		ch.held = old
		return ch, nil
	})
}
