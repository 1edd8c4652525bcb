package server

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/url"
	"strings"

	"bulkhead/server/fhir"
)

// cursorParam carries the place in a listing where the next page starts. Clients get it in a link
// and are not to look into it.
const cursorParam = "_cursor"

const cursorMAC = 16 // bytes; the rest of the 32 would only make links longer

// sealCursor makes a cursor of place that holds for this caller, in this project, for the same
// listing alone: its path and query in a normal form.
func (r *request) sealCursor(listing string, place []byte) string {
	return base64.RawURLEncoding.EncodeToString(append(r.cursorMAC(listing, place), place...))
}

// openCursor returns the place that sealCursor was given. Whoever changes one byte of a cursor, or
// takes it to another query, another caller, project or tenant, is told the same.
func (r *request) openCursor(listing, text string) ([]byte, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) < cursorMAC || !hmac.Equal(raw[:cursorMAC], r.cursorMAC(listing, raw[cursorMAC:])) {
		return nil, fhir.Errorf(fhir.ValueInvalid, "This is no page of this listing. Follow the links of a Bundle as they are.").At(cursorParam)
	}
	return raw[cursorMAC:], nil
}

func (r *request) cursorMAC(listing string, place []byte) []byte {
	mac := hmac.New(sha256.New, r.server.cursorKey)
	var b []byte
	b = binary.BigEndian.AppendUint32(b, uint32(r.caller.Tenant))
	b = binary.BigEndian.AppendUint32(b, uint32(r.caller.Project))
	for _, part := range []string{r.caller.ClientID, r.bearer.Subject, listing, string(place)} {
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

// listingOf is the normal form of a path below the FHIR base with a query.
func listingOf(path string, query url.Values) string {
	if text := withoutCursor(query).Encode(); text != "" {
		return path + "?" + text
	}
	return path
}

// pageLinks returns the links of a page: self, first, and next where there is more.
func (r *request) pageLinks(listing, cursor string, next []byte) []fhir.Link {
	links := []fhir.Link{{Relation: "self", URL: r.pageURL(listing, cursor)}, {Relation: "first", URL: r.pageURL(listing, "")}}
	if next != nil {
		links = append(links, fhir.Link{Relation: "next", URL: r.pageURL(listing, r.sealCursor(listing, next))})
	}
	return links
}

// pageURL is the URL of a page of a listing; cursor "" is the first.
func (r *request) pageURL(listing, cursor string) string {
	url := r.base + listing
	switch {
	case cursor == "":
		return url
	case strings.Contains(listing, "?"):
		return url + "&" + cursorParam + "=" + cursor
	default:
		return url + "?" + cursorParam + "=" + cursor
	}
}
