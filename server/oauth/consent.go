package oauth

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ory/fosite"

	"bulkhead/db"
	"bulkhead/db/dbsqlc"
	"bulkhead/server/access"
	"bulkhead/server/login"
)

// codeLife is how long a code can be redeemed.
const codeLife = time.Minute

// decide asks the person what must be asked, and answers the client with a code.
func (s *Server) decide(g *login.Guest, a *authorizeRequest, answer string) error {
	now := time.Now()
	session := g.Session()
	if must, fresh := s.mustProve(a, session, now); must {
		if a.prompts("none") {
			return fosite.ErrLoginRequired
		}
		if fresh {
			a.form.Set(freshParameter, s.freshMark(a, now))
		}
		return g.SignIn(a.path(), fresh)
	}
	if answer == "deny" {
		return fosite.ErrAccessDenied.WithHint("The person does not allow it.")
	}
	ctx := g.Context().Request().Context()
	place, err := s.placeOf(ctx, a, session)
	if err != nil {
		return err
	}
	granted := a.grantable(place)
	if len(granted.In(access.None)) == len(granted) && !granted.Has("openid") {
		return fosite.ErrAccessDenied.WithHint("The person has no rights in this project that could be handed on.")
	}
	if answer == "" {
		ask, err := s.mustAsk(ctx, a, session, granted)
		if err != nil {
			return err
		}
		if ask && a.prompts("none") {
			return fosite.ErrConsentRequired
		}
		if ask {
			return g.Consent(a.question(granted))
		}
	}
	code, err := s.giveCode(ctx, a, session, place, granted, answer == "allow", now)
	if err != nil {
		return err
	}
	return a.answer(g.Context(), url.Values{"code": {code}})
}

// grantable leaves of the scopes those that mean something for this person in this project.
// Somebody without a place in the project hands on who they are and nothing else.
func (a *authorizeRequest) grantable(place place) access.Scopes {
	granted := access.Scopes{}
	for _, scope := range a.scopes {
		switch {
		case scope.Context == access.User && !place.member,
			scope.Context == access.Patient && place.patient == "",
			scope.Text == "launch/patient" && place.patient == "",
			scope.Text == "fhirUser" && place.fhirUser == "",
			scope.Text == "launch", scope.Text == "launch/encounter":
			continue
		}
		granted = append(granted, scope)
	}
	return granted
}

// mustAsk tells whether the person has to be asked: they have not agreed to all of it before, the
// client wants them to be, or another program could pretend to be this client (RFC 8252 section 8.6).
func (s *Server) mustAsk(ctx context.Context, a *authorizeRequest, session *login.Session, granted access.Scopes) (bool, error) {
	if a.prompts("consent") || a.client.IsPublic() && !strings.HasPrefix(a.redirect, "https://") {
		return true, nil
	}
	var before []string
	err := s.db.View(ctx, db.Identity, systemOf(a.iss.tenant), func(v *db.View) (err error) {
		before, err = v.FindConsent(ctx, dbsqlc.FindConsentParams{
			TenantID: a.iss.tenant, PersonID: session.PersonID, ClientID: a.client.id, ProjectID: a.project.Project,
		})
		return err
	})
	if errors.Is(err, db.ErrNotFound) {
		return true, nil
	}
	for _, scope := range granted.Strings() {
		if !slices.Contains(before, scope) {
			return true, err
		}
	}
	return false, err
}

// giveCode writes the grant, what the person agreed to just now, and a code for the client.
func (s *Server) giveCode(ctx context.Context, a *authorizeRequest, session *login.Session, place place, granted access.Scopes, agreed bool, now time.Time) (code string, err error) {
	code = NewSecret()
	hash := sha256.Sum256([]byte(code))
	err = s.db.Update(ctx, db.Identity, systemOf(a.iss.tenant), func(tx *db.Tx) error {
		if err := s.purge(ctx, tx, a.iss.tenant); err != nil {
			return err
		}
		if agreed {
			err := tx.PutConsent(ctx, dbsqlc.PutConsentParams{
				TenantID: a.iss.tenant, PersonID: session.PersonID, ClientID: a.client.id, ProjectID: a.project.Project, Scopes: granted.Strings(),
			})
			if err != nil {
				return err
			}
		}
		return tx.Last().InsertGrant(ctx, dbsqlc.InsertGrantParams{
			TenantID: a.iss.tenant, ID: newTokenID(), ClientID: a.client.id, PersonID: session.PersonID, ProjectID: a.project.Project,
			Scopes: granted.Strings(), SessionSid: session.SID, Offline: granted.Has(offlineAccess), AuthTime: session.AuthTime, Amr: notNil(session.AMR),
			Patient: place.patient, FhirUser: place.fhirUser, ExpiresAt: s.grantEnd(a.client, granted, session, now),
			Hash: hash[:], RedirectUri: a.redirect, CodeChallenge: a.challenge, Nonce: a.form.Get("nonce"), CodeExpiresAt: now.Add(codeLife),
		})
	})
	return code, err
}

// grantEnd is when a grant ends whatever is done with it.
func (s *Server) grantEnd(c *client, granted access.Scopes, session *login.Session, now time.Time) time.Time {
	switch {
	case !c.mayRefresh(granted):
		return now.Add(codeLife + s.personTokenLife(c) + time.Minute)
	case granted.Has(offlineAccess):
		return now.Add(s.config.GrantLife)
	}
	return session.Expires
}

// question says in plain words what the client asks for.
func (a *authorizeRequest) question(granted access.Scopes) login.Consent {
	ask := login.Consent{
		App: a.client.name, Place: a.project.Name, Leads: hostOf(a.redirect), Action: consentPath, Request: a.form.Encode(),
		Lasting: granted.Has(offlineAccess) && a.client.mayRefresh(granted),
	}
	for _, scope := range granted {
		if scope.Context != access.None {
			ask.Inert = true
			ask.Asks = append(ask.Asks, resourceWords(scope))
		} else if words := plainWords[scope.Text]; words != "" {
			ask.Asks = append(ask.Asks, words)
		}
	}
	if len(ask.Asks) == 0 {
		ask.Asks = []string{"Know that it is you"}
	}
	return ask
}

var plainWords = map[string]string{
	"openid": "Know that it is you", "profile": "See your name", "email": "See your e-mail address",
	"fhirUser": "See which record in the project is yours", "launch/patient": "Know whose record you want to open",
}

// resourceWords says what a resource scope lets an app do: "Read and search Medication Requests of
// your patient, only where status=active".
func resourceWords(scope access.Scope) string {
	var verbs []string
	for _, verb := range []struct {
		does  access.Interaction
		words string
	}{
		{access.Read, "read"},
		{access.Search, "search"},
		{access.Create, "add"},
		{access.Update, "change"},
		{access.Delete, "delete"},
	} {
		if scope.Allow&verb.does != 0 {
			verbs = append(verbs, verb.words)
		}
	}
	text := strings.Join(verbs, ", ")
	if last := strings.LastIndex(text, ", "); last > 0 {
		text = text[:last] + " and" + text[last+1:]
	}
	what, whose := "all records", " that you may see"
	if scope.Type != access.AnyType {
		what = typeWords(scope.Type)
	}
	if scope.Context == access.Patient {
		whose = " of the patient that you open it for"
	}
	text = strings.ToUpper(text[:1]) + text[1:] + " " + what + whose
	if scope.Query != "" {
		text += ", only where " + scope.Query
	}
	return text
}

// typeWords takes the name of a resource type apart: MedicationRequest is "Medication Request records".
func typeWords(name string) string {
	var b strings.Builder
	for i, r := range name {
		if i > 0 && r >= 'A' && r <= 'Z' {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return b.String() + " records"
}
