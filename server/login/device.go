package login

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"
)

// A browser in which a person has given the right password keeps a cookie that says so. It opens
// nothing. It lets that browser count its wrong passwords by itself, so that a stranger who tries
// passwords for the same address locks out strangers only (OWASP calls these device cookies).

const (
	deviceLife  = 180 * 24 * time.Hour
	deviceNonce = 16 // bytes
)

func (v *visit) deviceMAC(emailKey string, nonce []byte) []byte {
	mac := hmac.New(sha256.New, v.server.devices)
	mac.Write(binary.BigEndian.AppendUint32(nil, uint32(v.tenant.Tenant)))
	mac.Write(nonce)
	mac.Write([]byte(emailKey))
	return mac.Sum(nil)
}

// device names the browser, if somebody has signed in to the tenant with this address in it before.
func (v *visit) device(emailKey string) string {
	raw, err := base64.RawURLEncoding.DecodeString(v.server.cookie(v, deviceCookie))
	if err != nil || len(raw) != deviceNonce+sha256.Size || !hmac.Equal(raw[deviceNonce:], v.deviceMAC(emailKey, raw[:deviceNonce])) {
		return ""
	}
	return string(raw[:deviceNonce])
}

// knowDevice lets the browser be known from now on.
func (v *visit) knowDevice(emailKey string) {
	if v.device(emailKey) != "" {
		return
	}
	nonce := make([]byte, deviceNonce)
	_, _ = rand.Read(nonce) // never fails
	v.server.setCookie(v, v.tenant.TenantSlug, deviceCookie, base64.RawURLEncoding.EncodeToString(append(nonce, v.deviceMAC(emailKey, nonce)...)))
}
