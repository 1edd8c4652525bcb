package server

import (
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"bulkhead/server/fhir"
)

// readBody returns the body as text, unpacked if it came packed, and never more than limit bytes of
// it: what a small packed body grows to is counted, not what was sent.
func (r *request) readBody(limit int64) (string, error) {
	req := r.Request()
	if req.ContentLength > limit {
		return "", tooLong(limit)
	}
	var from io.Reader = req.Body
	switch encoding := strings.ToLower(req.Header.Get(echo.HeaderContentEncoding)); encoding {
	case "", "identity":
	case "gzip", "x-gzip":
		unpacked, err := gzip.NewReader(io.LimitReader(req.Body, limit))
		if err != nil {
			return "", brokenBody(err)
		}
		defer unpacked.Close()
		from = unpacked
	default:
		return "", fhir.Errorf(fhir.NotSupported, "The content encodings known are gzip and identity.").With(http.StatusUnsupportedMediaType)
	}
	if r.clock != nil { // it stands still: a slow line is the client's, and http.Server.ReadTimeout bounds it
		r.clock.Stop()
		defer r.clock.Reset(r.server.Timeout)
	}
	var b strings.Builder
	b.Grow(int(min(max(req.ContentLength, 512), 1<<20)))
	n, err := io.Copy(&b, &budgeted{Reader: io.LimitReader(from, limit+1), r: r})
	switch {
	case n > limit:
		return "", tooLong(limit)
	case err != nil:
		return "", brokenBody(err)
	}
	return b.String(), nil
}

func tooLong(limit int64) error {
	return fhir.Errorf(fhir.TooLong, "The body is longer than the %d bytes allowed here.", limit)
}

func brokenBody(err error) error {
	if told, ok := errors.AsType[*fhir.Error](err); ok {
		return told
	}
	return fhir.Errorf(fhir.Structure, "The body could not be read to its end.").Because(err)
}

// readResource parses the body as one resource of type typ.
func (r *request) readResource(typ string) (fhir.Value, error) {
	if r.entry != nil {
		return *r.entry.resource, checkType(r.entry.resource, typ)
	}
	if err := r.checkContentType(jsonTypes, mediaType); err != nil {
		return fhir.Value{}, err
	}
	text, err := r.readBody(r.server.MaxResource)
	if err != nil {
		return fhir.Value{}, err
	}
	v, err := fhir.Parse(text)
	if err != nil {
		return fhir.Value{}, err
	}
	return v, checkType(&v, typ)
}

// checkType refuses a document that is no resource of type typ.
func checkType(v *fhir.Value, typ string) error {
	if v.Kind != fhir.Object {
		return fhir.Errorf(fhir.Structure, "The body must be a JSON object, not %s.", v.Kind)
	}
	named := v.Get("resourceType")
	switch {
	case named == nil || named.Kind != fhir.String:
		return fhir.Errorf(fhir.Required, "The body has no resourceType.").At("resourceType")
	case named.Text() != typ:
		return fhir.Errorf(fhir.Invalid, "The body's resourceType is not %s, as the path says.", typ).At("resourceType")
	}
	return nil
}
