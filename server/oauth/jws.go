package oauth

import (
	"encoding/base64"
	"errors"
	"strconv"
	"strings"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"

	"bulkhead/server/fhir"
)

// MaxTokenLength bounds every JWT that is read, in bytes: access tokens and client assertions.
const MaxTokenLength = 8 << 10

// compactJWS is a JWS in compact serialization (RFC 7515 section 7.1) taken apart. Nothing in it is
// believed yet.
type compactJWS struct {
	alg, typ, kid, jku string
	claims             fhir.Value // the payload, a JSON object
	input              string     // what the signature covers
	signature          []byte
}

// errJWS is the one answer for a text that is no signed JWT; which rule it broke helps nobody who
// has the key.
var errJWS = errors.New("not a signed JWT in compact form")

// parseJWS takes a compact JWS apart, strictly: three base64url parts without padding, a header and
// a payload that are JSON objects without repeated names, and no critical extensions, since none is
// understood here (RFC 7515 section 4.1.11).
func parseJWS(token string) (*compactJWS, error) {
	if len(token) > MaxTokenLength || strings.Count(token, ".") != 2 {
		return nil, errJWS
	}
	last := strings.LastIndexByte(token, '.')
	headerText, payloadText, _ := strings.Cut(token[:last], ".")
	header, err := jsonPart(headerText)
	if err != nil {
		return nil, err
	}
	if header.Get("crit") != nil || header.Get("b64") != nil {
		return nil, errJWS
	}
	claims, err := jsonPart(payloadText)
	if err != nil {
		return nil, err
	}
	signature, err := base64.RawURLEncoding.Strict().DecodeString(token[last+1:])
	if err != nil || len(signature) == 0 {
		return nil, errJWS
	}
	parsed := &compactJWS{claims: claims, input: token[:last], signature: signature}
	for name, into := range map[string]*string{"alg": &parsed.alg, "typ": &parsed.typ, "kid": &parsed.kid, "jku": &parsed.jku} {
		if value := header.Get(name); value != nil {
			if value.Kind != fhir.String {
				return nil, errJWS
			}
			*into = value.Text()
		}
	}
	return parsed, nil
}

func jsonPart(text string) (fhir.Value, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return fhir.Value{}, errJWS
	}
	value, err := fhir.Parse(string(raw))
	if err != nil || value.Kind != fhir.Object {
		return fhir.Value{}, errJWS
	}
	return value, nil
}

// verify checks the signature with one algorithm, chosen by the caller and not by the header.
func (j *compactJWS) verify(alg jwa.SignatureAlgorithm, key any) error {
	verifier, err := jws.NewVerifier(alg)
	if err != nil {
		return err
	}
	return verifier.Verify([]byte(j.input), j.signature, key)
}

// text returns a claim that must be a string, or "".
func (j *compactJWS) text(name string) string {
	if value := j.claims.Get(name); value != nil && value.Kind == fhir.String {
		return value.Text()
	}
	return ""
}

// seconds returns a NumericDate claim (RFC 7519 section 2) in whole seconds since 1970.
func (j *compactJWS) seconds(name string) (int64, bool) {
	value := j.claims.Get(name)
	if value == nil || value.Kind != fhir.Number {
		return 0, false
	}
	f, err := strconv.ParseFloat(value.Raw, 64)
	if err != nil || f < 0 || f > 1<<40 {
		return 0, false
	}
	return int64(f), true
}

// texts returns a claim that is a string or a list of strings, such as aud.
func (j *compactJWS) texts(name string) []string {
	value := j.claims.Get(name)
	if value == nil {
		return nil
	}
	if value.Kind == fhir.String {
		return []string{value.Text()}
	}
	var list []string
	for i := range value.Items {
		if value.Items[i].Kind != fhir.String {
			return nil
		}
		list = append(list, value.Items[i].Text())
	}
	return list
}

// signJWS signs a payload with the active key of a line. typ goes into the header.
func signJWS(key *SigningKey, typ string, payload []byte) (string, error) {
	header := append([]byte(nil), `{"alg":"`...)
	header = append(header, key.Alg...)
	header = append(header, `","typ":"`...)
	header = append(header, typ...)
	header = append(header, `","kid":"`...)
	header = append(header, key.KID...)
	header = append(header, `"}`...)
	input := base64.RawURLEncoding.AppendEncode(nil, header)
	input = append(input, '.')
	input = base64.RawURLEncoding.AppendEncode(input, payload)
	signer, err := jws.NewSigner(key.Alg)
	if err != nil {
		return "", err
	}
	signature, err := signer.Sign(input, key.private)
	if err != nil {
		return "", err
	}
	input = append(input, '.')
	return string(base64.RawURLEncoding.AppendEncode(input, signature)), nil
}
