package login

import (
	"errors"
	"net/http"

	"bulkhead/db"
	"bulkhead/db/dbsqlc"
)

func (s *Server) resetPage(v *visit) error {
	return s.showReset(v, http.StatusOK, v.QueryParam("sent") != "", "", "")
}

func (s *Server) showReset(v *visit, status int, sent bool, email, problem string) error {
	return v.show(status, "reset", view{
		Title: map[bool]string{false: "Forgot your password?", true: "Look into your mail"}[sent], Error: problem, Field: "email",
		Data: map[string]any{"Sent": sent, "Mail": s.config.Mailer != nil, "Email": email},
	})
}

// requestReset mails a link to whoever has the e-mail address. The answer is the same if nobody has.
func (s *Server) requestReset(v *visit) error {
	ctx, tenant := v.Request().Context(), v.tenant.Tenant
	email := FoldEmail(cut(v.field("email"), 254))
	if !validEmail(email) || s.config.Mailer == nil {
		return s.showReset(v, http.StatusUnprocessableEntity, false, email, "Enter an e-mail address, like name@example.org.")
	}
	if err := s.attempt(ctx, tenant, s.count(tenant, byResetFrom, networkOf(v.address()))); err != nil {
		return err
	}
	err := s.attempt(ctx, tenant, s.count(tenant, byReset, email))
	if _, enough := blocked(err); enough {
		return v.redirect("/login/reset?sent=1") // nobody's mailbox is filled, and nobody is told
	}
	if err != nil {
		return err
	}
	made, err := s.newLink(ctx, tenant, resetLink, email, "")
	switch {
	case err == nil:
		s.send(ctx, resetMail(v.tenant.TenantName, made, linkURL(s.config.BaseURL+"/w/"+v.tenant.TenantSlug, resetLink, made.secret)))
		v.log("password reset asked for", "")
	case !errors.Is(err, db.ErrNotFound):
		return err
	}
	return v.redirect("/login/reset?sent=1")
}

// linkPage asks for a password for whoever holds a link. It does not use the link up: mail scanners
// open links too.
func (s *Server) linkPage(kind purpose) func(*visit) error {
	return func(v *visit) error {
		code := v.QueryParam("code")
		row, err := s.findLink(v.Request().Context(), v.tenant.Tenant, kind, code)
		if err != nil {
			return s.deadLink(v, kind, err)
		}
		return s.showLink(v, http.StatusOK, kind, code, row, view{})
	}
}

func (s *Server) showLink(v *visit, status int, kind purpose, code string, row dbsqlc.FindLoginLinkRow, p view) error {
	p.Title = "Choose a new password"
	if kind == invitationLink {
		p.Title = "Choose your password"
	}
	p.Data = map[string]any{
		"Invited": kind == invitationLink, "Name": row.Name, "Email": row.Email, "Code": code,
		"Action": kind.path(), "Least": minPassword(row.NeedsSecondFactor),
	}
	return v.show(status, "password", p)
}

// deadLink is the answer to a link that was used, has expired, is another tenant's or for something
// else, or never was.
func (s *Server) deadLink(v *visit, kind purpose, err error) error {
	if !errors.Is(err, db.ErrNotFound) {
		return err
	}
	text := "It was used already, or is too old. You can ask for another on the sign-in page."
	if kind == invitationLink {
		text = "It was used already, is too old, or a newer one was sent. Please ask an administrator for another."
	}
	return v.errorPage(http.StatusGone, "This link is no longer good", text)
}

// useLink sets the password. The person signs in with it then, second factor and all: a link alone
// opens no account.
func (s *Server) useLink(kind purpose) func(*visit) error {
	return func(v *visit) error {
		ctx, tenant := v.Request().Context(), v.tenant.Tenant
		code, password := v.field("code"), v.field("password")
		row, err := s.findLink(ctx, tenant, kind, code)
		if err != nil {
			return s.deadLink(v, kind, err)
		}
		if problem, field := s.newPassword(v, row.NeedsSecondFactor, row.Email, row.Name); problem != "" {
			return s.showLink(v, http.StatusUnprocessableEntity, kind, code, row, view{Error: problem, Field: field})
		}
		hash, err := s.hasher.hash(ctx, password)
		if err != nil {
			return err
		}
		if err := s.redeem(ctx, tenant, kind, code, hash); err != nil {
			return s.deadLink(v, kind, err)
		}
		// Whoever reads the mail of this address is not a guesser.
		own, shared := s.count(tenant, byEmail, FoldEmail(row.Email)), s.count(tenant, byReset, FoldEmail(row.Email))
		if err := s.update(ctx, tenant, func(tx *db.Tx) error { return forgive(ctx, tx.Last(), tenant, own, shared) }); err != nil {
			return err
		}
		v.log("password set by a link", row.ID)
		if kind == resetLink {
			s.send(ctx, noticeMail(v.tenant.TenantName, row.Email, row.Name, "The password was changed"))
		}
		return v.redirect("/login?done=password")
	}
}

// newPassword holds the two fields of a new password against the rules.
func (s *Server) newPassword(v *visit, secondFactor bool, about ...string) (problem, field string) {
	password := v.field("password")
	var weak *PasswordError
	if err := checkPassword(password, secondFactor, append(about, v.tenant.TenantName)...); errors.As(err, &weak) {
		return weak.Reason, "password"
	}
	if v.field("again") != password {
		return "The two passwords are not the same.", "again"
	}
	return "", ""
}
