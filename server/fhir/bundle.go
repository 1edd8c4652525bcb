package fhir

import (
	"net/http"
	"strconv"
	"time"
)

// Bundle is a Bundle that the server answers with. Resources are the stored bytes; they are copied
// into the output as they are and never parsed.
type Bundle struct {
	Type    string // searchset, history, transaction-response or batch-response
	Tag     *Coding
	Total   *int64 // nil: not known
	Links   []Link
	Entries []BundleEntry
	Time    time.Time // zero: no timestamp
}

// Link is one Bundle.link.
type Link struct{ Relation, URL string }

// Coding is the part of a Coding that the server writes.
type Coding struct{ System, Code, Display string }

// BundleEntry is one Bundle.entry; what is empty is left out.
type BundleEntry struct {
	FullURL  string
	Resource string // JSON
	Mode     string // search.mode
	Method   string // request.method; with URL
	URL      string // request.url
	Response *BundleResponse
}

// BundleResponse is Bundle.entry.response.
type BundleResponse struct {
	Status       int // an HTTP status
	Location     string
	ETag         string
	LastModified time.Time
	Outcome      string // an OperationOutcome as JSON
}

// Append writes b as JSON to dst and returns the extended slice.
func (b *Bundle) Append(dst []byte) []byte {
	dst = append(dst, `{"resourceType":"Bundle"`...)
	if b.Tag != nil {
		dst = append(dst, `,"meta":{"tag":[`...)
		dst = append(b.Tag.Append(dst), `]}`...)
	}
	dst = appendMember(dst, "type", b.Type)
	if !b.Time.IsZero() {
		dst = appendMember(dst, "timestamp", FormatInstant(b.Time))
	}
	if b.Total != nil {
		dst = append(dst, `,"total":`...)
		dst = strconv.AppendInt(dst, *b.Total, 10)
	}
	if len(b.Links) > 0 {
		dst = append(dst, `,"link":[`...)
		for i, l := range b.Links {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, `{"relation":`...)
			dst = AppendString(dst, l.Relation)
			dst = append(appendMember(dst, "url", l.URL), '}')
		}
		dst = append(dst, ']')
	}
	if len(b.Entries) > 0 {
		dst = append(dst, `,"entry":[`...)
		for i := range b.Entries {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = b.Entries[i].append(dst)
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

// Size returns about how many bytes Append will write, so that a buffer can be made at once.
func (b *Bundle) Size() int {
	size := 256
	for _, l := range b.Links {
		size += len(l.URL) + 40
	}
	for i := range b.Entries {
		size += len(b.Entries[i].Resource) + len(b.Entries[i].FullURL) + 256
		if r := b.Entries[i].Response; r != nil {
			size += len(r.Outcome)
		}
	}
	return size
}

// Append writes c as JSON to dst.
func (c *Coding) Append(dst []byte) []byte {
	dst = append(dst, `{"system":`...)
	dst = AppendString(dst, c.System)
	dst = appendMember(dst, "code", c.Code)
	if c.Display != "" {
		dst = appendMember(dst, "display", c.Display)
	}
	return append(dst, '}')
}

// append writes members in the order of the specification; each begins with a comma, and the first
// of them is turned into the opening brace.
func (e *BundleEntry) append(dst []byte) []byte {
	start := len(dst)
	if e.FullURL != "" {
		dst = appendMember(dst, "fullUrl", e.FullURL)
	}
	if e.Resource != "" {
		dst = append(dst, `,"resource":`...)
		dst = append(dst, e.Resource...)
	}
	if e.Mode != "" {
		dst = append(dst, `,"search":{"mode":`...)
		dst = append(AppendString(dst, e.Mode), '}')
	}
	if e.Method != "" {
		dst = append(dst, `,"request":{"method":`...)
		dst = AppendString(dst, e.Method)
		dst = append(appendMember(dst, "url", e.URL), '}')
	}
	if e.Response != nil {
		dst = append(dst, `,"response":`...)
		dst = e.Response.append(dst)
	}
	if start == len(dst) {
		return append(dst, "{}"...)
	}
	dst[start] = '{'
	return append(dst, '}')
}

func (r *BundleResponse) append(dst []byte) []byte {
	dst = append(dst, `{"status":`...)
	dst = AppendString(dst, strconv.Itoa(r.Status)+" "+http.StatusText(r.Status))
	if r.Location != "" {
		dst = appendMember(dst, "location", r.Location)
	}
	if r.ETag != "" {
		dst = appendMember(dst, "etag", r.ETag)
	}
	if !r.LastModified.IsZero() {
		dst = appendMember(dst, "lastModified", FormatInstant(r.LastModified))
	}
	if r.Outcome != "" {
		dst = append(dst, `,"outcome":`...)
		dst = append(dst, r.Outcome...)
	}
	return append(dst, '}')
}

// appendMember writes a comma, a member name and a string value.
func appendMember(dst []byte, name, value string) []byte {
	dst = append(dst, ',', '"')
	dst = append(dst, name...)
	dst = append(dst, '"', ':')
	return AppendString(dst, value)
}
