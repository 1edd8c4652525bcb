package server

import (
	"bytes"
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"bulkhead/server/fhir"
)

// mediaType is the media type of every FHIR answer.
const mediaType = "application/fhir+json"

// jsonTypes are the names of FHIR's JSON format, also as values of _format. In a query a plus sign
// that was not escaped arrives as a space.
var jsonTypes = map[string]bool{
	mediaType: true, "application/json": true, "text/json": true, "application/json+fhir": true,
	"json": true, "application/fhir json": true, "application/json fhir": true,
}

// negotiate refuses answers in a format or version that the project has not. _format goes before
// Accept (http://hl7.org/fhir/R4/http.html#parameters).
func (r *request) negotiate() error {
	query, err := url.ParseQuery(r.Request().URL.RawQuery)
	if err != nil { // Go would leave out what it cannot read, and with it perhaps a filter
		return fhir.Errorf(fhir.ValueInvalid, "The query is not well-formed: a percent sign must be followed by two hexadecimal digits, and a semicolon must be written as %%3B.")
	}
	r.pretty = query.Get("_pretty") == "true"
	if format := query.Get("_format"); format != "" {
		kind, params, err := mime.ParseMediaType(format)
		if err != nil {
			kind, params = format, nil
		}
		if !jsonTypes[kind] || !r.isVersion(params["fhirversion"]) {
			return r.notAcceptable()
		}
		return nil
	}
	accept := strings.Join(r.Request().Header.Values(echo.HeaderAccept), ",")
	if strings.TrimSpace(accept) == "" {
		return nil
	}
	for part := range strings.SplitSeq(accept, ",") {
		if r.accepts(part) {
			return nil
		}
	}
	return r.notAcceptable()
}

// accepts tells whether one part of an Accept header takes what this project answers.
func (r *request) accepts(part string) bool {
	kind, params, err := mime.ParseMediaType(part)
	if err != nil {
		return false
	}
	if q, err := strconv.ParseFloat(params["q"], 64); err == nil && q == 0 {
		return false
	}
	return (jsonTypes[kind] || kind == "*/*" || kind == "application/*") && r.isVersion(params["fhirversion"])
}

// isVersion tells whether a fhirVersion parameter names the project's release: "4.0" or "4.0.1".
func (r *request) isVersion(number string) bool {
	own := r.set.Version.Number()
	return number == "" || number == own || number == own[:3]
}

func (r *request) notAcceptable() error {
	return fhir.Errorf(fhir.NotSupported, "This project answers in %s; fhirVersion=%s alone.", mediaType, r.set.Version.Number()[:3]).With(http.StatusNotAcceptable)
}

// checkContentType refuses a body that is not in one of the media types given, not UTF-8 or of
// another FHIR version.
func (r *request) checkContentType(known map[string]bool, wanted string) error {
	kind, params, err := mime.ParseMediaType(r.Request().Header.Get(echo.HeaderContentType))
	charset := strings.ToLower(params["charset"])
	if err != nil || !known[kind] || charset != "" && charset != "utf-8" && charset != "us-ascii" {
		return fhir.Errorf(fhir.NotSupported, "The body must be %s in UTF-8.", wanted).With(http.StatusUnsupportedMediaType)
	}
	if !r.isVersion(params["fhirversion"]) {
		return fhir.Errorf(fhir.NotSupported, "This project has FHIR version %s.", r.set.Version.Number()).With(http.StatusUnsupportedMediaType)
	}
	return nil
}

// answer answers with a JSON document as it stands, or indented where _pretty asks for it.
func (r *request) answer(status int, body string) error {
	h := r.Response().Header()
	h.Set(echo.HeaderContentType, r.contentType())
	if h.Get(echo.HeaderCacheControl) == "" {
		h.Set(echo.HeaderCacheControl, "private, no-cache") // a copy is the client's own, and it asks about it each time
	}
	if r.pretty {
		var b bytes.Buffer
		if err := json.Indent(&b, []byte(body), "", "  "); err != nil {
			return err
		}
		body = b.String()
	}
	return r.send(status, body)
}

func (r *request) contentType() string {
	if r.set == nil {
		return mediaType
	}
	return mediaType + "; fhirVersion=" + r.set.Version.Number()[:3]
}

// preferred is what the client wants to get back from a write (RFC 7240, FHIR's values).
type preferred uint8

const (
	representation preferred = iota
	minimal
	outcome
)

func (r *request) preferredReturn() preferred {
	for _, header := range r.Request().Header.Values("Prefer") {
		for part := range strings.FieldsFuncSeq(header, func(c rune) bool { return c == ',' || c == ';' }) {
			switch strings.TrimSpace(part) {
			case "return=minimal":
				return minimal
			case "return=OperationOutcome":
				return outcome
			case "return=representation":
				return representation
			}
		}
	}
	return representation
}
