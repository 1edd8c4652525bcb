package server

import (
	"context"
	"net/http"

	"bulkhead/db"
	"bulkhead/server/fhir"
	"bulkhead/server/oauth"
)

// secretExtension carries a new client secret in the answer to the request that made it. It is
// never stored: only a keyed hash is.
const secretExtension = "urn:bulkhead:extension:client-secret"

// createClient answers POST ClientApplication: resource and client in one transaction. The answer
// holds the client's secret, if it has one, whatever Prefer asks for: it cannot be seen again.
func (s *Server) createClient(r *request) error {
	v, err := r.readResource(r.typ)
	if err != nil {
		return err
	}
	return s.putClient(r, http.MethodPost, newID(), v)
}

// updateClient answers PUT ClientApplication/[id], for a client that was made by POST.
func (s *Server) updateClient(r *request) error {
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
	return s.putClient(r, http.MethodPut, id, v)
}

func (s *Server) putClient(r *request, method, id string, v fhir.Value) error {
	ch, err := r.prepare(method, r.typ, r.typeID, id, v, "")
	if err != nil {
		return err
	}
	spec, err := s.OAuth.ReadClient(&v)
	if err != nil {
		return err
	}
	var secret string
	err = r.write(r.plane, func(tx *db.Tx) error {
		if method == http.MethodPut {
			if ch.held, err = r.lock(tx, r.typeID, id); err != nil {
				return err
			}
			if ch.held == nil {
				return clientNotNamed()
			}
			if err := checkPreconditions(r.Request().Header, ch.held); err != nil {
				return err
			}
		}
		if secret, err = s.OAuth.PutClientFor(r.ctx(), tx, r.caller, r.bearer.Scopes, id, spec); err != nil {
			return err
		}
		return r.store(r.ctx(), tx.Last(), ch)
	})
	if err != nil {
		return err
	}
	if secret == "" {
		return r.answerWrite(ch)
	}
	r.Response().Header().Set("Cache-Control", "no-store")
	r.Response().Header().Set("Location", r.location(ch.typ, ch.id, ch.version))
	r.setVersion(ch.version, ch.lastUpdated)
	status := http.StatusOK
	if ch.created() {
		status = http.StatusCreated
	}
	return r.answer(status, withSecret(ch.body, secret))
}

// clientNotNamed refuses to make a client under an id that the caller chose. Ids are unique in the
// tenant, so whether one is free would tell of the tenant's other projects.
func clientNotNamed() error {
	return fhir.Errorf(fhir.NotSupported, "The server names clients: create this one with POST.").With(http.StatusMethodNotAllowed)
}

// withSecret adds a secret to a resource that is answered, behind the extensions that it has.
func withSecret(body, secret string) string {
	v, err := fhir.Parse(body)
	if err != nil {
		return body // it was stored a moment ago
	}
	extension := fhir.Value{Kind: fhir.Object, Members: []fhir.Member{
		{Name: "url", Value: fhir.StringValue(secretExtension)}, {Name: "valueString", Value: fhir.StringValue(secret)},
	}}
	for i := range v.Members {
		if v.Members[i].Name == "extension" {
			v.Members[i].Value.Items = append(v.Members[i].Value.Items, extension)
			return string(v.Append(nil))
		}
	}
	v.Members = append(v.Members, fhir.Member{Name: "extension", Value: fhir.Value{Kind: fhir.Array, Items: []fhir.Value{extension}}})
	return string(v.Append(nil))
}

// deleteClient answers DELETE ClientApplication/[id]. The client's tokens end with it.
func (s *Server) deleteClient(r *request) error {
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
		if _, err := s.OAuth.DropClient(r.ctx(), tx, r.caller, id); err != nil {
			return err
		}
		if old == nil || old.deleted {
			return nil
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

// CreateClient makes a client and its ClientApplication in a project, for the program's own
// commands: nobody's scopes bound it. secret is "" for a client with keys.
func (s *Server) CreateClient(ctx context.Context, project db.Project, spec oauth.ClientSpec) (id, secret string, err error) {
	r, err := s.ownRequest(project, "ClientApplication")
	if err != nil {
		return "", "", err
	}
	v, err := fhir.Parse(spec.ClientResource())
	if err != nil {
		return "", "", err
	}
	if spec, err = s.OAuth.ReadClient(&v); err != nil {
		return "", "", err
	}
	ch, err := r.prepare(http.MethodPost, r.typ, r.typeID, newID(), v, "")
	if err != nil {
		return "", "", err
	}
	err = s.DB.Update(ctx, r.plane, r.caller, func(tx *db.Tx) error {
		if secret, err = s.OAuth.PutClient(ctx, tx, r.caller, ch.id, spec); err != nil {
			return err
		}
		return r.store(ctx, tx.Last(), ch)
	})
	return ch.id, secret, err
}

// DisableClient ends a client's tokens and lets it get no others, until its ClientApplication is
// made active again. db.ErrNotFound when the project has no such client.
func (s *Server) DisableClient(ctx context.Context, project db.Project, id string) error {
	r, err := s.ownRequest(project, "ClientApplication")
	if err != nil {
		return err
	}
	return r.changeOwn(ctx, id, func(tx *db.Tx, old *held) (*change, error) {
		if err := s.OAuth.DisableClient(ctx, tx, r.caller, id); err != nil || old == nil || old.deleted {
			return nil, err
		}
		v, err := fhir.Parse(old.body)
		if err != nil {
			return nil, err
		}
		ch, err := r.prepare(http.MethodPut, r.typ, r.typeID, id, withStatus(&v, "inactive"), "")
		if err != nil {
			return nil, err
		}
		ch.held = old
		return ch, nil
	})
}

// withStatus returns v with its status set, behind its name if it had none.
func withStatus(v *fhir.Value, status string) fhir.Value {
	member := fhir.Member{Name: "status", Value: fhir.StringValue(status)}
	members := make([]fhir.Member, 0, len(v.Members)+1)
	found := false
	for _, m := range v.Members {
		if m.Name == "status" {
			m, found = member, true
		}
		members = append(members, m)
	}
	if !found {
		members = append(members, member)
	}
	return fhir.Value{Kind: fhir.Object, Members: members}
}

// DeleteClient removes a client and its ClientApplication; its tokens end with it.
// db.ErrNotFound when the project has no such client.
func (s *Server) DeleteClient(ctx context.Context, project db.Project, id string) error {
	r, err := s.ownRequest(project, "ClientApplication")
	if err != nil {
		return err
	}
	return r.changeOwn(ctx, id, func(tx *db.Tx, old *held) (*change, error) {
		found, err := s.OAuth.DropClient(ctx, tx, r.caller, id)
		switch {
		case err != nil:
			return nil, err
		case old != nil && !old.deleted:
			return deletion(r.typ, r.typeID, id, old), nil
		case !found:
			return nil, db.ErrNotFound
		}
		return nil, nil
	})
}
