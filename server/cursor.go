package server

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/url"

	"bulkhead/server/fhir"
)

// cursorParam carries the place in a listing where the next page starts. Clients get it in a link
// and are not to look into it.
const cursorParam = "_cursor"

const cursorMAC = 16 // bytes; the rest of the 32 would only make links longer

// sealCursor makes a cursor of place that holds for this caller, in this project, for the same path
// and query alone.
func (r *request) sealCursor(query url.Values, place []byte) string {
	return base64.RawURLEncoding.EncodeToString(append(r.cursorMAC(query, place), place...))
}

// openCursor returns the place that sealCursor was given. Whoever changes one byte of a cursor, or
// takes it to another query, another caller, project or tenant, is told the same.
func (r *request) openCursor(query url.Values, text string) ([]byte, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) < cursorMAC || !hmac.Equal(raw[:cursorMAC], r.cursorMAC(query, raw[cursorMAC:])) {
		return nil, fhir.Errorf(fhir.ValueInvalid, "This is no page of this listing. Follow the links of a Bundle as they are.").At(cursorParam)
	}
	return raw[cursorMAC:], nil
}

func (r *request) cursorMAC(query url.Values, place []byte) []byte {
	mac := hmac.New(sha256.New, r.server.cursorKey)
	var b []byte
	b = binary.BigEndian.AppendUint32(b, uint32(r.caller.Tenant))
	b = binary.BigEndian.AppendUint32(b, uint32(r.caller.Project))
	for _, part := range []string{r.caller.ClientID, r.bearer.Subject, r.Request().URL.Path, withoutCursor(query).Encode(), string(place)} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(part)))
		b = append(b, part...)
	}
	mac.Write(b)
	return mac.Sum(nil)[:cursorMAC]
}

// withoutCursor returns the query as it is on every page of one listing.
func withoutCursor(query url.Values) url.Values {
	rest := make(url.Values, len(query))
	for name, values := range query {
		if name != cursorParam {
			rest[name] = values
		}
	}
	return rest
}

// pageLinks returns the links of a page: self, first, and next where there is more.
func (r *request) pageLinks(path string, query url.Values, next []byte) []fhir.Link {
	url := r.base + path
	here := func(cursor string) string {
		q := withoutCursor(query)
		if cursor != "" {
			q.Set(cursorParam, cursor)
		}
		if encoded := q.Encode(); encoded != "" {
			return url + "?" + encoded
		}
		return url
	}
	links := []fhir.Link{{Relation: "self", URL: here(query.Get(cursorParam))}, {Relation: "first", URL: here("")}}
	if next != nil {
		links = append(links, fhir.Link{Relation: "next", URL: here(r.sealCursor(query, next))})
	}
	return links
}
