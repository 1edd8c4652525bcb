package server

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"bulkhead/server/fhir"
)

// unchanged tells whether If-None-Match or, without it, If-Modified-Since says that the client has
// this version (RFC 9110 section 13.2.2).
func (r *request) unchanged(version int32, lastUpdated time.Time) bool {
	h := r.Request().Header
	if tags := h.Values("If-None-Match"); len(tags) > 0 {
		return matches(tags, version)
	}
	since, err := http.ParseTime(h.Get(echo.HeaderIfModifiedSince))
	return err == nil && !lastUpdated.Truncate(time.Second).After(since)
}

// matches tells whether a list of entity tags holds that of a version, or is "*".
func matches(headers []string, version int32) bool {
	own := strconv.Itoa(int(version))
	for _, header := range headers {
		for tag := range strings.SplitSeq(header, ",") {
			tag = strings.TrimSpace(tag)
			if tag == "*" || strings.Trim(strings.TrimPrefix(tag, "W/"), `"`) == own {
				return true
			}
		}
	}
	return false
}

// checkPreconditions refuses a write whose If-Match or If-None-Match does not hold for the version
// that is locked; nil means that there is no resource.
func checkPreconditions(h http.Header, old *held) error {
	there := old != nil && !old.deleted
	if tags := h.Values("If-Match"); len(tags) > 0 && (!there || !matches(tags, old.version)) {
		return fhir.Errorf(fhir.Conflict, "The resource is not at the version that If-Match asks for.").With(http.StatusPreconditionFailed)
	}
	if tags := h.Values("If-None-Match"); len(tags) > 0 && there && matches(tags, old.version) {
		return fhir.Errorf(fhir.Conflict, "The resource is there already, as If-None-Match rules out.").With(http.StatusPreconditionFailed)
	}
	return nil
}
