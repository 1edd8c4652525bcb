package login

import (
	"bytes"
	"net/http"
	"strings"
	"time"

	"bulkhead/db"
	"bulkhead/db/dbsqlc"
)

var accountNotices = map[string]string{
	"password":      "Your password is changed, and you are signed out everywhere else.",
	"second-factor": "The second factor is off.",
	"sessions":      "Signed out there.",
}

// sessionRow is one session as the account page shows it.
type sessionRow struct {
	SID, Browser, Address, Began, Used string
	Here                               bool
}

func (s *Server) accountPage(v *visit) error {
	return s.showAccount(v, http.StatusOK, view{Done: accountNotices[v.QueryParam("done")]})
}

func (s *Server) showAccount(v *visit, status int, p view) error {
	ctx, tenant := v.Request().Context(), v.tenant.Tenant
	var person dbsqlc.FindPersonRow
	var sessions []dbsqlc.ListSessionsRow
	err := s.view(ctx, tenant, func(view *db.View) (err error) {
		if person, err = view.FindPerson(ctx, tenant, v.session.PersonID); err != nil {
			return err
		}
		sessions, err = view.ListSessions(ctx, tenant, v.session.PersonID)
		return err
	})
	if err != nil {
		return err
	}
	rows := make([]sessionRow, len(sessions))
	for i, row := range sessions {
		rows[i] = sessionRow{
			SID: row.Sid, Browser: browser(row.UserAgent), Address: row.Address,
			Began: clock(row.AuthTime), Used: clock(row.LastSeen), Here: bytes.Equal(row.Hash, v.session.hash),
		}
	}
	p.Title, p.Wide = "Your account", true
	p.Data = map[string]any{
		"Session": v.session, "Role": map[string]string{RoleOwner: "Owner", RoleAdmin: "Administrator", RoleMember: "Member"}[v.session.Role],
		"Local": person.Federated == "", "HasTOTP": len(person.TotpSecret) > 0,
		"RecoveryCodes": int(person.RecoveryCodes), "Required": person.NeedsSecondFactor,
		"Least": minPassword(person.NeedsSecondFactor), "Sessions": rows, "Others": len(rows) > 1,
	}
	return v.show(status, "account", p)
}

func clock(at time.Time) string { return at.UTC().Format("2 Jan 2006, 15:04 UTC") }

// browser names what a User-Agent header seems to be. It is for people to know their own sessions by
// and decides nothing.
func browser(agent string) string {
	find := func(names ...[2]string) string {
		for _, name := range names {
			if strings.Contains(agent, name[0]) {
				return name[1]
			}
		}
		return ""
	}
	name := find([2]string{"Edg/", "Edge"}, [2]string{"OPR/", "Opera"}, [2]string{"Firefox/", "Firefox"}, [2]string{"Chrome/", "Chrome"}, [2]string{"Safari/", "Safari"})
	system := find([2]string{"Windows", "Windows"}, [2]string{"iPhone", "iPhone"}, [2]string{"iPad", "iPad"}, [2]string{"Android", "Android"}, [2]string{"Mac OS X", "macOS"}, [2]string{"Linux", "Linux"})
	switch {
	case name == "":
		return "Unknown browser"
	case system == "":
		return name
	}
	return name + " on " + system
}

// confirm checks that it is still the person who is signed in: by the password in a field. problem
// is what to show when it is not.
func (s *Server) confirm(v *visit) (problem string, err error) {
	ctx, tenant := v.Request().Context(), v.tenant.Tenant
	own := s.count(tenant, byConfirm, v.session.PersonID)
	if err := s.attempt(ctx, tenant, own); err != nil {
		return "", err
	}
	var person dbsqlc.FindPersonRow
	err = s.view(ctx, tenant, func(view *db.View) (err error) {
		person, err = view.FindPerson(ctx, tenant, v.session.PersonID)
		return err
	})
	if err != nil {
		return "", err
	}
	match, _, err := s.hasher.verify(ctx, person.PasswordHash, v.field("current"))
	if err != nil {
		return "", err
	}
	if !match {
		v.log("password refused", person.ID)
		return "Your current password is not right.", nil
	}
	return "", s.update(ctx, tenant, func(tx *db.Tx) error { return forgive(ctx, tx.Last(), tenant, own, counted{}) })
}

func (s *Server) changePassword(v *visit) error {
	ctx, tenant := v.Request().Context(), v.tenant.Tenant
	problem, err := s.confirm(v)
	if err != nil {
		return err
	}
	field := "current"
	if problem == "" {
		problem, field = s.newPassword(v, v.session.mustTOTP, v.session.Email, v.session.Name)
	}
	if problem != "" {
		return s.showAccount(v, http.StatusUnprocessableEntity, view{Error: problem, Field: field})
	}
	hash, err := s.hasher.hash(ctx, v.field("password"))
	if err != nil {
		return err
	}
	err = s.update(ctx, tenant, func(tx *db.Tx) error {
		return storePassword(ctx, tx.Last(), tenant, v.session.PersonID, hash, v.session.hash)
	})
	if err != nil {
		return err
	}
	v.log("password changed", v.session.PersonID)
	s.send(ctx, noticeMail(v.tenant.TenantName, v.session.Email, v.session.Name, "The password was changed"))
	return v.redirect("/account?done=password")
}

func (s *Server) renewRecoveryCodes(v *visit) error {
	ctx, tenant, person := v.Request().Context(), v.tenant.Tenant, v.session.PersonID
	problem, err := s.confirm(v)
	if err != nil {
		return err
	}
	if problem != "" {
		return s.showAccount(v, http.StatusUnprocessableEntity, view{Error: problem, Field: "codes-current"})
	}
	if !v.session.hasTOTP {
		return v.redirect("/account")
	}
	codes := newRecoveryCodes()
	err = s.update(ctx, tenant, func(tx *db.Tx) error {
		if err := tx.DeleteRecoveryCodes(ctx, tenant, person); err != nil {
			return err
		}
		return s.insertCodes(ctx, tx, tenant, person, codes)
	})
	if err != nil {
		return err
	}
	v.log("recovery codes made", person)
	s.send(ctx, noticeMail(v.tenant.TenantName, v.session.Email, v.session.Name, "New recovery codes were made"))
	return s.showCodes(v, codes, "")
}

// dropSecondFactor turns it off where the person's role does not need one.
func (s *Server) dropSecondFactor(v *visit) error {
	ctx, tenant := v.Request().Context(), v.tenant.Tenant
	problem, err := s.confirm(v)
	if err != nil {
		return err
	}
	if problem == "" && v.session.mustTOTP {
		problem = "Your role needs a second factor."
	}
	if problem != "" {
		return s.showAccount(v, http.StatusUnprocessableEntity, view{Error: problem, Field: "drop-current"})
	}
	err = s.update(ctx, tenant, func(tx *db.Tx) error {
		_, err := tx.Last().SetTOTP(ctx, dbsqlc.SetTOTPParams{TenantID: tenant, ID: v.session.PersonID, TotpSecret: []byte{}})
		return err
	})
	if err != nil {
		return err
	}
	v.log("second factor turned off", v.session.PersonID)
	s.send(ctx, noticeMail(v.tenant.TenantName, v.session.Email, v.session.Name, "The second factor was turned off"))
	return v.redirect("/account?done=second-factor")
}

// endSessions ends one of the person's own sessions, or all but this one.
func (s *Server) endSessions(v *visit) error {
	ctx, tenant, person := v.Request().Context(), v.tenant.Tenant, v.session.PersonID
	sid := v.field("sid")
	err := s.update(ctx, tenant, func(tx *db.Tx) (err error) {
		if sid != "" {
			_, err = tx.Last().EndSessionOf(ctx, tenant, person, cut(sid, 64))
		} else {
			_, err = tx.Last().EndOtherSessions(ctx, tenant, person, v.session.hash)
		}
		return err
	})
	if err != nil {
		return err
	}
	v.log("sessions ended", person)
	return v.redirect("/account?done=sessions")
}

func (s *Server) signOut(v *visit) error {
	ctx, tenant := v.Request().Context(), v.tenant.Tenant
	err := s.update(ctx, tenant, func(tx *db.Tx) error {
		_, err := tx.Last().EndSession(ctx, tenant, v.session.hash)
		return err
	})
	if err != nil {
		return err
	}
	s.setCookie(v, v.tenant.TenantSlug, sessionCookie, "")
	v.log("signed out", v.session.PersonID)
	return v.redirect("/login?done=signed-out")
}
