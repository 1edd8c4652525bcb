package server

import (
	"strconv"
	"time"

	"github.com/google/uuid"

	"bulkhead/server/fhir"
)

// newID makes the id of a resource that the server names: a UUIDv7, so that ids rise with time.
func newID() string { return uuid.Must(uuid.NewV7()).String() }

// validID tells whether id keeps to FHIR's type id: 1 to 64 of [A-Za-z0-9-.].
func validID(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

// withID returns v with its id set: in its place if v has one, else behind resourceType.
func withID(v *fhir.Value, id string) fhir.Value {
	named := fhir.Member{Name: "id", Value: fhir.StringValue(id)}
	members := make([]fhir.Member, 0, len(v.Members)+1)
	members = append(members, v.Members...)
	at := 0
	for i := range members {
		switch members[i].Name {
		case "id":
			members[i] = named
			return fhir.Value{Kind: fhir.Object, Members: members}
		case "resourceType":
			at = i + 1
		}
	}
	members = append(members, fhir.Member{})
	copy(members[at+1:], members[at:])
	members[at] = named
	return fhir.Value{Kind: fhir.Object, Members: members}
}

// appendStored writes a resource that has an id as it is stored: compact, as it was sent, but for
// the version and the time in meta, which are the server's.
func appendStored(dst []byte, v *fhir.Value, version int32, at time.Time) []byte {
	meta := v.Get("meta")
	dst = append(dst, '{')
	for i := range v.Members {
		m := &v.Members[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = fhir.AppendString(dst, m.Name)
		dst = append(dst, ':')
		if m.Name == "meta" {
			dst = appendMeta(dst, meta, version, at)
			continue
		}
		dst = m.Value.Append(dst)
		if m.Name == "id" && meta == nil {
			dst = append(dst, `,"meta":`...)
			dst = appendMeta(dst, nil, version, at)
		}
	}
	return append(dst, '}')
}

func appendMeta(dst []byte, meta *fhir.Value, version int32, at time.Time) []byte {
	dst = append(dst, `{"versionId":"`...)
	dst = strconv.AppendInt(dst, int64(version), 10)
	dst = append(dst, `","lastUpdated":"`...)
	dst = append(dst, fhir.FormatInstant(at)...)
	dst = append(dst, '"')
	if meta != nil {
		for i := range meta.Members {
			m := &meta.Members[i]
			switch m.Name {
			case "versionId", "lastUpdated", "_versionId", "_lastUpdated":
				continue
			}
			dst = append(dst, ',')
			dst = fhir.AppendString(dst, m.Name)
			dst = append(dst, ':')
			dst = m.Value.Append(dst)
		}
	}
	return append(dst, '}')
}
