package login

import (
	"context"
	"errors"
	"html/template"
	"net/http"
	"time"

	"bulkhead/db"
	"bulkhead/db/dbsqlc"
)

// recent is how long after signing in a person may change their second factor without doing so anew.
const recent = 15 * time.Minute

var errWrongCode = errors.New("the code is wrong, or was used before")

func (s *Server) codePage(v *visit) error {
	if v.session == nil || v.session.at() != stageCode {
		return s.elsewhere(v)
	}
	return s.showCode(v, http.StatusOK, "")
}

// elsewhere leads from a page of the second factor to where the visit belongs.
func (s *Server) elsewhere(v *visit) error {
	if v.session == nil {
		return v.redirect("/login")
	}
	return v.redirect(v.session.page())
}

func (s *Server) showCode(v *visit, status int, problem string) error {
	v.leadsAway(v.session.next)
	return v.show(status, "code", view{Title: "Enter your code", Error: problem, Field: "code"})
}

// enterCode completes signing in by a code of the authenticator app, or a recovery code.
func (s *Server) enterCode(v *visit) error {
	if v.session == nil || v.session.at() != stageCode {
		return s.elsewhere(v)
	}
	ctx, tenant, person := v.Request().Context(), v.tenant.Tenant, v.session.PersonID
	own, shared := s.count(tenant, byPerson, person), s.count(tenant, byAddress, networkOf(v.address()))
	if err := s.attempt(ctx, tenant, own, shared); err != nil {
		if wait, is := blocked(err); is {
			v.retryAfter(wait)
			return s.showCode(v, http.StatusTooManyRequests, "Too many attempts. Please try again in "+minutes(wait)+".")
		}
		return err
	}
	code := foldCode(v.field("code"))
	recovery := len(code) != totpDigits
	var secret string
	err := s.update(ctx, tenant, func(tx *db.Tx) (err error) {
		if err := s.takeCode(ctx, tx, tenant, person, code, recovery); err != nil {
			return err
		}
		if secret, err = v.complete(ctx, tx, "otp", "mfa"); err != nil {
			return err
		}
		if err := tx.NoteLogin(ctx, tenant, person); err != nil {
			return err
		}
		return forgive(ctx, tx.Last(), tenant, own, shared)
	})
	if errors.Is(err, errWrongCode) {
		v.log("code refused", person)
		return s.showCode(v, http.StatusUnprocessableEntity, "The code is not right, or was used already. Wait for the next one and try again.")
	}
	if err != nil {
		return err
	}
	s.setCookie(v, v.tenant.TenantSlug, sessionCookie, secret)
	v.log("signed in with a second factor", person)
	if recovery {
		s.send(ctx, noticeMail(v.tenant.TenantName, v.session.Email, v.session.Name, "A recovery code was used"))
	}
	return v.onward(v.session.next)
}

// takeCode uses up a code. Errors: errWrongCode.
func (s *Server) takeCode(ctx context.Context, tx *db.Tx, tenant int32, person, code string, recovery bool) error {
	if recovery {
		found, err := tx.UseRecoveryCode(ctx, tenant, person, s.recoveryHash(tenant, person, code))
		if err == nil && found == 0 {
			err = errWrongCode
		}
		return err
	}
	row, err := tx.FindPerson(ctx, tenant, person)
	if err != nil {
		return err
	}
	if len(row.TotpSecret) == 0 {
		return errWrongCode
	}
	secret, err := s.sealer.open(tenant, person, row.TotpSecret)
	if err != nil {
		return err
	}
	step, ok := matchTOTP(secret, code, s.now())
	if !ok {
		return errWrongCode
	}
	taken, err := tx.UseTOTPStep(ctx, step, tenant, person)
	if err == nil && taken == 0 {
		err = errWrongCode
	}
	return err
}

// maySetUp tells whether the visit may set up a second factor: because it must, or because the
// person is signed in and proved who they are a short while ago. Half signed in, with a code still
// to be given, nobody may. Without leave the answer has been given.
func (s *Server) maySetUp(v *visit) (may bool, answered error) {
	if v.session == nil || v.session.at() == stageCode || v.session.federated != "" {
		return false, s.elsewhere(v)
	}
	if v.session.at() == stageFull && s.now().Sub(v.session.AuthTime) > recent {
		return false, s.SignIn(v, v.tenant, "/w/"+v.tenant.TenantSlug+"/login/setup", true)
	}
	return true, nil
}

func (s *Server) setupPage(v *visit) error {
	if may, answered := s.maySetUp(v); !may {
		return answered
	}
	ctx, tenant := v.Request().Context(), v.tenant.Tenant
	if len(v.session.pending) == 0 {
		v.session.pending = s.sealer.seal(tenant, v.session.PersonID, newTOTPSecret())
		err := s.update(ctx, tenant, func(tx *db.Tx) error {
			return tx.Last().SetPendingTOTP(ctx, v.session.pending, tenant, v.session.hash)
		})
		if err != nil {
			return err
		}
	}
	return s.showSetup(v, http.StatusOK, "")
}

func (s *Server) showSetup(v *visit, status int, problem string) error {
	secret, err := s.sealer.open(v.tenant.Tenant, v.session.PersonID, v.session.pending)
	if err != nil {
		return err
	}
	uri := totpURI(v.tenant.TenantName, v.session.Email, secret)
	picture, err := qrSVG(uri)
	if err != nil {
		return err
	}
	return v.show(status, "setup", view{
		Title: "Set up a second factor", Error: problem, Field: "code",
		Data: map[string]any{
			"QR": picture, "Key": grouped(base32Text.EncodeToString(secret), ' '), "Required": v.session.at() == stageSetup,
			"URI": template.URL(uri), // safe: of a scheme that we chose, and escaped
		},
	})
}

// setUp turns the second factor on once the person's app shows the right code, and shows the
// recovery codes.
func (s *Server) setUp(v *visit) error {
	if may, answered := s.maySetUp(v); !may {
		return answered
	}
	if len(v.session.pending) == 0 {
		return v.redirect("/login/setup")
	}
	ctx, tenant, person := v.Request().Context(), v.tenant.Tenant, v.session.PersonID
	own := s.count(tenant, byPerson, person)
	if err := s.attempt(ctx, tenant, own); err != nil {
		return err
	}
	secret, err := s.sealer.open(tenant, person, v.session.pending)
	if err != nil {
		return err
	}
	step, ok := matchTOTP(secret, foldCode(v.field("code")), s.now())
	if !ok {
		return s.showSetup(v, http.StatusUnprocessableEntity, "The code is not right. Wait for the next one; if that is not right either, check that the clock of your phone is.")
	}
	codes := newRecoveryCodes()
	var cookie string
	err = s.update(ctx, tenant, func(tx *db.Tx) error {
		set, err := tx.SetTOTP(ctx, dbsqlc.SetTOTPParams{TenantID: tenant, ID: person, TotpSecret: v.session.pending, TotpStep: step})
		if err == nil && set == 0 {
			err = errOutOfDate
		}
		if err != nil {
			return err
		}
		if err := s.insertCodes(ctx, tx, tenant, person, codes); err != nil {
			return err
		}
		if cookie, err = v.complete(ctx, tx, "otp", "mfa"); err != nil {
			return err
		}
		if err := tx.NoteLogin(ctx, tenant, person); err != nil {
			return err
		}
		return forgive(ctx, tx.Last(), tenant, own, counted{})
	})
	if err != nil {
		return err
	}
	s.setCookie(v, v.tenant.TenantSlug, sessionCookie, cookie)
	v.log("second factor set up", person)
	s.send(ctx, noticeMail(v.tenant.TenantName, v.session.Email, v.session.Name, "A second factor was set up"))
	return s.showCodes(v, codes, v.session.next)
}

func (s *Server) insertCodes(ctx context.Context, tx *db.Tx, tenant int32, person string, codes []string) error {
	hashes := make([][]byte, len(codes))
	for i, code := range codes {
		hashes[i] = s.recoveryHash(tenant, person, code)
	}
	return tx.InsertRecoveryCodes(ctx, tenant, person, hashes)
}

// showCodes shows recovery codes, the only time that they can be seen.
func (s *Server) showCodes(v *visit, codes []string, next string) error {
	if next = safeNext(v.tenant.TenantSlug, next); next == "" {
		next = "/w/" + v.tenant.TenantSlug + "/account"
	}
	return v.show(http.StatusOK, "codes", view{Title: "Your recovery codes", Data: map[string]any{"Codes": codes, "Next": next}})
}
