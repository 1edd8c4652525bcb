package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"bulkhead/server/fhir"
)

// job is one request: a bundle with what is needed to report on each of its entries.
type job struct {
	source  string
	kind    string // transaction or batch
	entries []jobEntry
	grouped bool // single resources, which may also be sent one by one
}

// jobEntry is one entry as it is sent.
type jobEntry struct {
	source string // of a grouped resource
	typ    string // resource type, for the report
	text   []byte

	conditional bool // a create that the server leaves undone if the resource is there
}

// body is the bundle as JSON.
func (j *job) body() []byte {
	size := 64
	for _, e := range j.entries {
		size += len(e.text) + 1
	}
	out := make([]byte, 0, size)
	out = append(out, `{"resourceType":"Bundle","type":"`+j.kind+`","entry":[`...)
	for i, e := range j.entries {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, e.text...)
	}
	return append(out, "]}"...)
}

// bundleJob prepares a transaction or batch bundle.
func bundleJob(source string, bundle *fhir.Value, asIs bool) (*job, error) {
	j := &job{source: source, kind: bundle.Get("type").Text()}
	list := entries(bundle)
	if len(list) == 0 {
		return nil, fmt.Errorf("the bundle has no entry")
	}
	var seed []byte // hashed only if an entry has no id of its own
	taken := map[string]bool{}
	for i := range list {
		entry := list[i]
		if !asIs && creates(&entry) {
			id := ownID(&entry)
			key := entry.Get("resource").Get("resourceType").Text() + "/" + id
			if id == "" || taken[key] {
				if seed == nil {
					sum := sha256.Sum256(bundle.Append(nil))
					seed = sum[:]
				}
				id = derivedID(seed, i)
				key = entry.Get("resource").Get("resourceType").Text() + "/" + id
			}
			taken[key] = true
			entry = updateEntry(&entry, id)
		}
		j.entries = append(j.entries, jobEntry{
			source: source, typ: entryType(&entry), text: entry.Append(nil),
			conditional: entry.Get("request").Get("ifNoneExist") != nil,
		})
	}
	return j, nil
}

// creates tells whether sending the entry twice would make two resources, and a PUT can take its place.
func creates(entry *fhir.Value) bool {
	request, resource := entry.Get("request"), entry.Get("resource")
	typ := resource.Get("resourceType").Text()
	if request.Get("method").Text() != "POST" || typ == "" || request.Get("url").Text() != typ {
		return false
	}
	condition := request.Get("ifNoneExist").Text()
	return condition == "" || identifiesItself(condition, ownID(entry))
}

// identifiesItself tells whether a conditional create asks for the entry's own id as the identifier,
// as Synthea's organizations and locations do. Then everybody who loads that resource means the same
// one, and the id says so better than a condition: a bundle that creates it without one, which Synthea
// writes too, would else make a second resource with the same identifier.
func identifiesItself(condition, id string) bool {
	query, err := url.ParseQuery(strings.TrimPrefix(condition, "?"))
	if err != nil || id == "" || len(query) != 1 || len(query["identifier"]) != 1 {
		return false
	}
	_, value, ok := strings.Cut(query.Get("identifier"), "|")
	return ok && value == id
}

// ownID is the id that an entry brings along: its resource's, else that of its urn:uuid.
func ownID(entry *fhir.Value) string {
	if id := entry.Get("resource").Get("id").Text(); validID(id) {
		return id
	}
	if id, ok := strings.CutPrefix(entry.Get("fullUrl").Text(), "urn:uuid:"); ok && validID(id) {
		return id
	}
	return ""
}

// validID checks the pattern of the datatype id: [A-Za-z0-9\-\.]{1,64}.
func validID(id string) bool {
	return id != "" && len(id) <= 64 && strings.IndexFunc(id, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '-' && r != '.'
	}) < 0
}

// derivedID is a UUID of version 8 (RFC 9562 section 5.8) made of the bundle's hash and the entry's place.
func derivedID(seed []byte, place int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%x %d", seed, place))
	u := sum[:16]
	u[6], u[8] = u[6]&0x0f|0x80, u[8]&0x3f|0x80
	h := hex.EncodeToString(u)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// updateEntry turns an entry into a PUT of that id. All else stays as it was, the fullUrl too, so
// that references to it still find it.
func updateEntry(entry *fhir.Value, id string) fhir.Value {
	out := *entry
	out.Members = slices.Clone(entry.Members)
	for i, m := range out.Members {
		switch m.Name {
		case "resource":
			out.Members[i].Value = withID(m.Value, id)
		case "request":
			out.Members[i].Value = putRequest(entry.Get("resource").Get("resourceType").Text(), id)
		}
	}
	return out
}

func putRequest(typ, id string) fhir.Value {
	return object("method", fhir.StringValue("PUT"), "url", fhir.StringValue(typ+"/"+id))
}

// object makes an object of names and values in turn.
func object(pairs ...any) fhir.Value {
	v := fhir.Value{Kind: fhir.Object}
	for i := 0; i+1 < len(pairs); i += 2 {
		name, _ := pairs[i].(string)
		value, _ := pairs[i+1].(fhir.Value)
		v.Members = append(v.Members, fhir.Member{Name: name, Value: value})
	}
	return v
}

// withID gives a resource an id, in the place where it usually stands.
func withID(resource fhir.Value, id string) fhir.Value {
	if resource.Get("id").Text() == id {
		return resource
	}
	out := fhir.Value{Kind: fhir.Object}
	for _, m := range resource.Members {
		if m.Name == "id" {
			continue
		}
		out.Members = append(out.Members, m)
		if m.Name == "resourceType" {
			out.Members = append(out.Members, fhir.Member{Name: "id", Value: fhir.StringValue(id)})
		}
	}
	return out
}

func entryType(entry *fhir.Value) string {
	if typ := entry.Get("resource").Get("resourceType").Text(); typ != "" {
		return typ
	}
	typ, _, _ := strings.Cut(strings.TrimPrefix(entry.Get("request").Get("url").Text(), "/"), "/")
	typ, _, _ = strings.Cut(typ, "?")
	return typ
}

// resourceEntry prepares a single resource. One without an id gets one that follows from its content.
func resourceEntry(source string, resource *fhir.Value) (jobEntry, error) {
	typ := resource.Get("resourceType").Text()
	if typ == "" {
		return jobEntry{}, fmt.Errorf("it has no resourceType")
	}
	id := resource.Get("id").Text()
	if id == "" {
		sum := sha256.Sum256(resource.Append(nil))
		id = derivedID(sum[:], 0)
	}
	entry := object("resource", withID(*resource, id), "request", putRequest(typ, id))
	return jobEntry{source: source, typ: typ, text: entry.Append(nil)}, nil
}
