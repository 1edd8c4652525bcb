package oauth

import (
	"context"
	"crypto/sha256"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/ory/fosite"

	"bulkhead/db"
)

// revoke is the revocation endpoint (RFC 7009). It bites on the next request with the token, since
// app.enter() looks for the row in the statement that opens the transaction. A text that is no live
// token of this issuer is answered like one that was revoked (section 2.2).
func (s *Server) revoke(c echo.Context) error {
	iss, asking, form, err := s.tokenRequest(c)
	if err != nil {
		return s.fail(c, err)
	}
	noStore(c)
	ctx := c.Request().Context()
	token, err := s.ours(ctx, iss, form.Get("token"))
	if err != nil {
		return s.fail(c, err)
	}
	if token == nil {
		if err := s.revokeRefreshToken(ctx, iss, asking, form.Get("token")); err != nil {
			return s.fail(c, err)
		}
		return c.NoContent(http.StatusOK)
	}
	if token.ClientID != asking.id {
		return s.fail(c, fosite.ErrUnauthorizedClient.WithHint("The token belongs to another client."))
	}
	err = s.db.Update(ctx, db.Identity, systemOf(iss.tenant), func(tx *db.Tx) error {
		if err := s.purge(ctx, tx, iss.tenant); err != nil {
			return err
		}
		return tx.Last().RevokeToken(ctx, iss.tenant, token.ID, time.Unix(token.Expires, 0))
	})
	if err != nil {
		return s.fail(c, err)
	}
	return c.NoContent(http.StatusOK)
}

// revokeRefreshToken ends the whole grant of a refresh token of the client (RFC 7009 section 2.1).
// Nothing happens when the text is none, or another client's.
func (s *Server) revokeRefreshToken(ctx context.Context, iss issuer, asking *client, text string) error {
	hash := sha256.Sum256([]byte(text))
	return s.db.Update(ctx, db.Identity, systemOf(iss.tenant), func(tx *db.Tx) error {
		_, err := tx.Last().RevokeRefreshToken(ctx, iss.tenant, hash[:], asking.id)
		return err
	})
}
