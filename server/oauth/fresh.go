package oauth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"strings"
	"time"

	"bulkhead/server/login"
)

// freshParameter comes back with a request for which a person was sent to prove who they are. It
// says since when they must have done so, and is signed, so that no page can leave that out.
const freshParameter = "bulkhead_fresh"

// freshLife is how long a person may take to sign in.
const freshLife = 15 * time.Minute

func (s *Server) freshMark(a *authorizeRequest, at time.Time) string {
	seconds := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, s.freshKey)
	mac.Write(binary.BigEndian.AppendUint32(nil, uint32(a.iss.tenant)))
	mac.Write([]byte(seconds + "\x00" + a.client.id + "\x00" + a.challenge))
	return seconds + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// freshSince reads back the mark of this request; false when it has none.
func (s *Server) freshSince(a *authorizeRequest, now time.Time) (time.Time, bool) {
	text, _, _ := strings.Cut(a.form.Get(freshParameter), ".")
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, false
	}
	at := time.Unix(seconds, 0)
	if !hmac.Equal([]byte(s.freshMark(a, at)), []byte(a.form.Get(freshParameter))) || now.Sub(at) > freshLife {
		return time.Time{}, false
	}
	return at, true
}

// mustProve tells whether the person has to sign in before the request can go on: nobody is signed
// in, it was too long ago, or the client wants it to be done for this request.
func (s *Server) mustProve(a *authorizeRequest, session *login.Session, now time.Time) (must, fresh bool) {
	if session == nil {
		return true, false
	}
	if a.prompts("login") || a.prompts("select_account") || a.maxAge == 0 {
		since, ok := s.freshSince(a, now)
		again := !ok || session.AuthTime.Before(since)
		return again, again
	}
	old := a.maxAge > 0 && now.Sub(session.AuthTime) > a.maxAge
	return old, old
}
