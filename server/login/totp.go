package login

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1" // RFC 6238's default, and the only hash that every authenticator app knows
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"html/template"
	"net/url"
	"strings"
	"time"

	"rsc.io/qr"
)

// Time-based one-time passwords (RFC 6238) as every authenticator app makes them: HMAC-SHA-1, six
// digits, a step of 30 seconds.
const (
	totpStep   = 30 * time.Second
	totpDigits = 6
	totpSecret = 20 // bytes, as RFC 4226 section 4 recommends
	totpDrift  = 1  // steps that a phone's clock may be off, either way
)

var base32Text = base32.StdEncoding.WithPadding(base32.NoPadding)

// totpAt is the code of one time step (RFC 4226 section 5.3).
func totpAt(secret []byte, step int64) string {
	mac := hmac.New(sha1.New, secret)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(step)))
	sum := mac.Sum(nil)
	offset := sum[len(sum)-1] & 0xf
	number := binary.BigEndian.Uint32(sum[offset:]) & 0x7fffffff
	return fmt.Sprintf("%0*d", totpDigits, number%1_000_000)
}

// matchTOTP tells which time step around now a code is for. That the step is a new one is for
// UseTOTPStep to say.
func matchTOTP(secret []byte, code string, now time.Time) (step int64, ok bool) {
	current := now.Unix() / int64(totpStep/time.Second)
	for s := current - totpDrift; s <= current+totpDrift; s++ {
		if subtle.ConstantTimeCompare([]byte(totpAt(secret, s)), []byte(code)) == 1 {
			step, ok = s, true
		}
	}
	return step, ok
}

func newTOTPSecret() []byte {
	secret := make([]byte, totpSecret)
	_, _ = rand.Read(secret) // never fails
	return secret
}

// totpURI is what an authenticator app reads from the QR code (Key URI format).
func totpURI(issuer, account string, secret []byte) string {
	issuer = strings.ReplaceAll(issuer, ":", " ")
	label := url.PathEscape(issuer) + ":" + url.PathEscape(account)
	query := url.Values{
		"secret": {base32Text.EncodeToString(secret)}, "issuer": {issuer},
		"algorithm": {"SHA1"}, "digits": {fmt.Sprint(totpDigits)}, "period": {fmt.Sprint(int(totpStep / time.Second))},
	}
	return "otpauth://totp/" + label + "?" + strings.ReplaceAll(query.Encode(), "+", "%20")
}

// qrSVG draws text as a QR code with the quiet zone that scanners need. It is dark on white in dark
// mode too, because many scanners do not read the inverse.
func qrSVG(text string) (template.HTML, error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return "", err
	}
	const quiet = 4
	var b strings.Builder
	size := code.Size + 2*quiet
	fmt.Fprintf(&b, `<svg class="qr" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="QR code for your authenticator app" shape-rendering="crispEdges"><rect width="%d" height="%d" fill="#fff"/><path fill="#000" d="`, size, size, size, size)
	for y := range code.Size {
		for x := range code.Size {
			if code.Black(x, y) {
				fmt.Fprintf(&b, "M%d %dh1v1h-1z", x+quiet, y+quiet)
			}
		}
	}
	b.WriteString(`"/></svg>`)
	return template.HTML(b.String()), nil // safe: made of numbers only
}

// recoveryCodes is how many codes a person gets to come in without their phone, each good once.
const recoveryCodes = 10

// newRecoveryCodes makes codes of 80 random bits.
func newRecoveryCodes() []string {
	codes := make([]string, recoveryCodes)
	for i := range codes {
		codes[i] = randomWord(10)
	}
	return codes
}

// randomWord writes n random bytes with a-z and 2-7, in groups of four.
func randomWord(n int) string {
	raw := make([]byte, n)
	_, _ = rand.Read(raw) // never fails
	return grouped(strings.ToLower(base32Text.EncodeToString(raw)), '-')
}

// grouped writes a key in groups of four, for whoever types it.
func grouped(key string, between byte) string {
	var b []byte
	for i := range len(key) {
		if i > 0 && i%4 == 0 {
			b = append(b, between)
		}
		b = append(b, key[i])
	}
	return string(b)
}

// recoveryHash is under what a code is stored. Codes are random and long enough for a fast hash; the
// key keeps a stolen table useless.
func (p *People) recoveryHash(tenant int32, person, code string) []byte {
	mac := hmac.New(sha256.New, p.codes)
	mac.Write(sealedFor(tenant, person))
	mac.Write([]byte{0})
	mac.Write([]byte(foldCode(code)))
	return mac.Sum(nil)
}

// foldCode strips from a typed code what people add to it.
func foldCode(code string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' || r == '\u00a0' || r == '\u2013' {
			return -1
		}
		return r
	}, strings.ToLower(code))
}
