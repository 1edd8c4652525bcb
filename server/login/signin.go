package login

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"bulkhead/db"
	"bulkhead/db/dbsqlc"
)

// What the sign-in page can be told to say, by a name in its query.
var signInNotices = map[string]string{
	"password":   "Your password is set. Sign in with it.",
	"signed-out": "You are signed out.",
}

// The one answer to whoever cannot be let in, whatever the reason.
const notRight = "The e-mail address or the password is not right."

func (s *Server) signInPage(v *visit) error {
	next := safeNext(v.tenant.TenantSlug, v.QueryParam("next"))
	if v.session != nil && v.QueryParam("fresh") == "" {
		if v.session.at() == stageFull {
			return v.onward(next)
		}
		if next == "" || next == v.session.next {
			return v.redirect(v.session.page())
		}
	}
	email := ""
	if v.session != nil {
		email = v.session.Email // they prove anew who they are
	}
	return s.showSignIn(v, http.StatusOK, email, next, "")
}

func (s *Server) showSignIn(v *visit, status int, email, next, problem string) error {
	v.leadsAway(next)
	return v.show(status, "signin", view{
		Title: "Sign in", Error: problem, Field: "password", Done: signInNotices[v.QueryParam("done")],
		Data: map[string]any{"Email": email, "Next": next, "Reset": s.config.Mailer != nil},
	})
}

// signIn checks an e-mail address and a password. It does the same for an address that nobody has, a
// person who is disabled or signs in elsewhere, and a wrong password: the attempt is counted, the
// person looked for, one password hash derived; and all get the same answer.
func (s *Server) signIn(v *visit) error {
	ctx, tenant := v.Request().Context(), v.tenant.Tenant
	email, password := cut(v.field("email"), 254), v.field("password")
	next := safeNext(v.tenant.TenantSlug, v.field("next"))
	if FoldEmail(email) == "" || password == "" {
		return s.showSignIn(v, http.StatusUnprocessableEntity, email, next, "Enter your e-mail address and your password.")
	}
	own, shared := s.count(tenant, byEmail, FoldEmail(email)), s.count(tenant, byAddress, networkOf(v.address()))
	if device := v.device(FoldEmail(email)); device != "" {
		own = s.count(tenant, byDevice, device)
	}
	if err := s.attempt(ctx, tenant, own, shared); err != nil {
		if wait, is := blocked(err); is {
			v.retryAfter(wait)
			return s.showSignIn(v, http.StatusTooManyRequests, email, next, "Too many attempts. Please try again in "+minutes(wait)+".")
		}
		return err
	}
	person, stale, err := s.authenticate(ctx, tenant, email, password)
	if err != nil {
		return err
	}
	if person.ID == "" {
		v.log("sign-in refused", "")
		return s.showSignIn(v, http.StatusUnprocessableEntity, email, next, notRight)
	}
	at := stageFull
	switch {
	case person.HasTotp:
		at = stageCode
	case person.NeedsSecondFactor:
		at = stageSetup
	}
	newHash := ""
	if stale {
		if newHash, err = s.hasher.hash(ctx, password); err != nil {
			return err
		}
	}
	return s.letIn(v, person, at, next, newHash, func(ctx context.Context, tx *db.Tx) error {
		return forgive(ctx, tx.Queries, tenant, own, shared)
	})
}

// authenticate finds the person whose password this is; no id when there is none.
func (s *Server) authenticate(ctx context.Context, tenant int32, email, password string) (person dbsqlc.FindPersonByEmailRow, stale bool, err error) {
	err = s.view(ctx, tenant, func(v *db.View) (err error) {
		person, err = v.FindPersonByEmail(ctx, tenant, FoldEmail(email))
		return err
	})
	if err != nil && !errors.Is(err, db.ErrNotFound) {
		return person, false, err
	}
	stored := ""
	if person.State == "active" && person.Federated == "" {
		stored = person.PasswordHash
	}
	match, stale, err := s.hasher.verify(ctx, stored, password)
	if err != nil || !match {
		return dbsqlc.FindPersonByEmailRow{}, false, err
	}
	return person, stale, nil
}

// letIn begins the session of a person who gave the right password, and leads on.
func (s *Server) letIn(v *visit, person dbsqlc.FindPersonByEmailRow, at stage, next, newHash string, also func(context.Context, *db.Tx) error) error {
	ctx, tenant := v.Request().Context(), v.tenant.Tenant
	kept := next
	if at == stageFull {
		kept = "" // it leads there at once
	}
	var secret string
	err := s.update(ctx, tenant, func(tx *db.Tx) (err error) {
		if secret, err = v.begin(ctx, tx, person.ID, at, []string{"pwd"}, kept); err != nil {
			return err
		}
		if newHash != "" {
			err = tx.RehashPassword(ctx, dbsqlc.RehashPasswordParams{TenantID: tenant, ID: person.ID, OldHash: person.PasswordHash, NewHash: newHash})
			if err != nil {
				return err
			}
		}
		if at == stageFull {
			if err := tx.NoteLogin(ctx, tenant, person.ID); err != nil {
				return err
			}
		}
		return also(ctx, tx)
	})
	if err != nil {
		return err
	}
	s.setCookie(v, v.tenant.TenantSlug, sessionCookie, secret)
	s.setCookie(v, v.tenant.TenantSlug, formCookie, "")
	v.knowDevice(FoldEmail(person.Email))
	v.log("password accepted", person.ID, slog.String("stage", string(at)))
	switch at {
	case stageCode:
		return v.redirect("/login/code")
	case stageSetup:
		return v.redirect("/login/setup")
	default:
		return v.onward(next)
	}
}
