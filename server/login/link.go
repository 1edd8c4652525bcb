package login

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"time"

	"bulkhead/db"
	"bulkhead/db/dbsqlc"
)

// newSecret makes 256 random bits as text, and the hash under which they are stored.
func newSecret() (text string, hash []byte) {
	var raw [32]byte
	_, _ = rand.Read(raw[:]) // never fails
	text = base64.RawURLEncoding.EncodeToString(raw[:])
	return text, hashSecret(text)
}

// hashSecret hashes what a browser or a link holds. It is random and long: one SHA-256 will do.
func hashSecret(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:]
}

// purpose is what a mailed link is for; a link of one is no good for the other.
type purpose string

const (
	resetLink      purpose = "reset"
	invitationLink purpose = "invitation"
)

// life is how long a link is good.
func (p purpose) life() time.Duration {
	if p == invitationLink {
		return 7 * 24 * time.Hour
	}
	return 30 * time.Minute
}

// path is where its page is, below the tenant's.
func (p purpose) path() string {
	if p == invitationLink {
		return "/login/invitation"
	}
	return "/login/password"
}

// mailed is a link and whom to send it to.
type mailed struct{ secret, email, name string }

// newLink makes a link for the person with an e-mail address or an id; the other is "". Whether there
// is one or not, the same statement runs. db.ErrNotFound when there is nobody active of that
// description who signs in with a password.
func (p *People) newLink(ctx context.Context, tenant int32, kind purpose, email, id string) (mailed, error) {
	secret, hash := newSecret()
	var row dbsqlc.InsertLoginLinkRow
	err := p.update(ctx, tenant, func(tx *db.Tx) (err error) {
		row, err = tx.Last().InsertLoginLink(ctx, dbsqlc.InsertLoginLinkParams{
			TenantID: tenant, EmailKey: FoldEmail(email), PersonID: id, Purpose: string(kind), Hash: hash,
			ExpiresAt: time.Now().Add(kind.life()),
		})
		return err
	})
	return mailed{secret: secret, email: row.Email, name: row.Name}, err
}

// findLink tells whose link it is without using it. db.ErrNotFound: it is not good (any more).
func (p *People) findLink(ctx context.Context, tenant int32, kind purpose, secret string) (row dbsqlc.FindLoginLinkRow, err error) {
	err = p.view(ctx, tenant, func(v *db.View) error {
		row, err = v.FindLoginLink(ctx, tenant, hashSecret(secret), string(kind))
		return err
	})
	return row, err
}

// redeem uses a link to set a password: one transaction, so that of two at once one wins.
func (p *People) redeem(ctx context.Context, tenant int32, kind purpose, secret, passwordHash string) error {
	return p.update(ctx, tenant, func(tx *db.Tx) error {
		id, err := tx.UseLoginLink(ctx, tenant, hashSecret(secret), string(kind))
		if err != nil {
			return err
		}
		return storePassword(ctx, tx.Last(), tenant, id, passwordHash, nil)
	})
}

// Invitation makes an invitation for a person and returns its link, which opens the account's door
// once, and the message to send. issuer is the tenant's URL. db.ErrNotFound when there is no active
// person of this id who signs in with a password.
func (p *People) Invitation(ctx context.Context, tenant db.Project, issuer, id string) (link string, message Mail, err error) {
	made, err := p.newLink(ctx, tenant.Tenant, invitationLink, "", id)
	link = linkURL(issuer, invitationLink, made.secret)
	return link, invitationMail(tenant.TenantName, made, link), err
}

// Reset makes a link by which a person can choose a new password, as Invitation does.
func (p *People) Reset(ctx context.Context, tenant db.Project, issuer, id string) (link string, message Mail, err error) {
	made, err := p.newLink(ctx, tenant.Tenant, resetLink, "", id)
	link = linkURL(issuer, resetLink, made.secret)
	return link, resetMail(tenant.TenantName, made, link), err
}

func linkURL(issuer string, kind purpose, secret string) string {
	return issuer + kind.path() + "?code=" + secret
}
