package server

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"bulkhead/db"
	"bulkhead/server/definition"
	"bulkhead/server/fhir"
	"bulkhead/server/search"
)

// capabilities answers GET metadata (http://hl7.org/fhir/R4/http.html#capabilities): what this
// project really supports. It needs no token.
func (s *Server) capabilities(r *request) error {
	query, err := r.query()
	if err != nil {
		return err
	}
	switch query.Get("mode") {
	case "", "full", "normative":
	default:
		return fhir.Errorf(fhir.NotSupported, "The modes of metadata here are full and normative.").At("mode")
	}
	body := s.capabilityStatement(r)
	sum := sha256.Sum256([]byte(body))
	tag := `W/"` + hex.EncodeToString(sum[:8]) + `"`
	h := r.Response().Header()
	h.Set("ETag", tag)
	h.Set(echo.HeaderCacheControl, "public, max-age=60")
	h.Add(echo.HeaderVary, "Accept")
	if slices.Contains(strings.Split(strings.ReplaceAll(r.Request().Header.Get("If-None-Match"), " ", ""), ","), tag) {
		return r.NoContent(http.StatusNotModified)
	}
	return r.answer(http.StatusOK, body)
}

// versions answers GET $versions: the one version that the project has.
func (s *Server) versions(r *request) error {
	number := r.set.Version.Number()[:3]
	return r.answer(http.StatusOK, `{"resourceType":"Parameters","parameter":[{"name":"version","valueString":"`+number+
		`"},{"name":"default","valueString":"`+number+`"}]}`)
}

// capabilityStatement puts what belongs to the project around what all projects of its version
// have in common.
func (s *Server) capabilityStatement(r *request) string {
	text := func(s string) string { return string(fhir.AppendString(nil, s)) }
	issuer, p := s.OAuth.IssuerURL(r.project.TenantSlug), r.project
	var b strings.Builder
	b.WriteString(`{"resourceType":"CapabilityStatement","url":` + text(r.base+"/metadata") + `,"name":"Bulkhead","title":` + text(p.Name+" ("+p.TenantName+")"))
	b.WriteString(`,"status":"active","date":` + text(built().date) + `,"publisher":"Bulkhead","kind":"instance","software":{"name":"Bulkhead","version":` + text(built().version) + `}`)
	b.WriteString(`,"implementation":{"description":` + text(p.TenantSlug+"/"+p.Slug) + `,"url":` + text(r.base) + `}`)
	b.WriteString(`,"fhirVersion":"` + r.set.Version.Number() + `","format":["application/fhir+json","json"],"patchFormat":["application/json-patch+json"]`)
	b.WriteString(`,"rest":[{"mode":"server","documentation":` + text(s.limits()))
	b.WriteString(`,"security":{"extension":[{"url":"http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris","extension":[` +
		`{"url":"token","valueUri":` + text(s.OAuth.TokenEndpoint(p.TenantSlug)) + `},` +
		`{"url":"introspect","valueUri":` + text(issuer+"/introspect") + `},{"url":"revoke","valueUri":` + text(issuer+"/revoke") + `}]}]`)
	b.WriteString(`,"cors":true,"service":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/restful-security-service","code":"SMART-on-FHIR"}]}]` +
		`,"description":"Every request but for this one and .well-known needs an access token with SMART scopes, of this project."}`)
	b.WriteString(common(r.set.Version, p.Project == db.SystemProject))
	b.WriteString(`}]}`)
	return b.String()
}

// limits says in words what a request may ask for at most.
func (s *Server) limits() string {
	return fmt.Sprintf("Limits: a resource %d bytes; a bundle %d bytes and %d entries; a page %d entries, %d when nothing is said; "+
		"in a search %d parameters, %d alternatives of one, %d steps of a chain, %d includes, and %d resources that come along with a page; "+
		"a conditional delete %d resources; a request %s. "+
		"Beyond a limit the answer is a 4xx that says so. An unknown search parameter is refused, unless the client prefers handling=lenient. "+
		"References must lead to resources of this project.",
		s.MaxResource, s.MaxBundle, maxEntries, search.MaxCount, search.DefaultCount,
		search.MaxCriteria, search.MaxValues, search.MaxChain, search.MaxIncluded, search.MaxIncludes, maxDelete, s.Timeout)
}

// built is what is known of this build of the program.
var built = sync.OnceValue(func() (b struct{ version, date string }) {
	b.version, b.date = "devel", time.Now().UTC().Format(time.DateOnly)
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if info.Main.Version != "" && info.Main.Version != "(devel)" {
		b.version = info.Main.Version
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.time" {
			b.date = setting.Value
		}
	}
	return b
})

// common is the part of the statement that all projects of a version share, made once: the
// resource types of project system, or those of all others.
func common(version fhir.Version, system bool) string {
	return commons[map[fhir.Version]int{fhir.R4: 0, fhir.R4B: 1}[version]][map[bool]int{false: 0, true: 1}[system]]()
}

var commons = func() (made [2][2]func() string) {
	for i, version := range []fhir.Version{fhir.R4, fhir.R4B} {
		for j, system := range []bool{false, true} {
			made[i][j] = sync.OnceValue(func() string { return describeTypes(definition.For(version), system) })
		}
	}
	return made
}()

// changeable are the platform types that can be written, and where besides project system.
var changeable = map[string]bool{"Project": true, "ClientApplication": true}

func describeTypes(set *definition.Set, system bool) string {
	includes := map[string][]string{} // by target type: what _revinclude can name
	var types []*definition.Type
	for _, t := range set.ResourceTypes() {
		if t.Platform && changeable[t.Name] && (system || t.Name == "ClientApplication") || !t.Platform && !system {
			types = append(types, t)
		}
	}
	for _, t := range types {
		for _, p := range set.SearchParams(t.Name) {
			for _, target := range p.Target {
				if p.Type == definition.ReferenceParam {
					includes[target] = append(includes[target], t.Name+":"+p.Code)
				}
			}
		}
	}
	var b []byte
	b = append(b, `,"resource":[`...)
	for i, t := range types {
		if i > 0 {
			b = append(b, ',')
		}
		b = describeType(b, set, t, includes[t.Name])
	}
	b = append(b, `],"interaction":[`...)
	for i, code := range []string{"transaction", "batch", "search-system", "history-system"} {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"code":"`+code+`"}`...)
	}
	b = append(b, ']')
	if !system {
		b = append(b, `,"compartment":[`...)
		first := true
		for _, code := range []string{"Device", "Encounter", "Patient", "Practitioner", "RelatedPerson"} {
			if c := set.Compartment(code); c != nil {
				if !first {
					b = append(b, ',')
				}
				b, first = fhir.AppendString(b, c.URL), false
			}
		}
		b = append(b, ']')
	}
	return string(b)
}

func describeType(b []byte, set *definition.Set, t *definition.Type, revincludes []string) []byte {
	interactions := []string{"read", "vread", "update", "patch", "delete", "history-instance", "history-type", "create", "search-type"}
	conditional := `,"conditionalCreate":true,"conditionalRead":"full-support","conditionalUpdate":true,"conditionalDelete":"multiple"`
	profile := `,"profile":"http://hl7.org/fhir/StructureDefinition/` + t.Name + `"`
	if t.Platform {
		interactions = slices.DeleteFunc(interactions, func(code string) bool { return code == "patch" })
		conditional = `,"conditionalCreate":false,"conditionalRead":"full-support","conditionalUpdate":false,"conditionalDelete":"not-supported"`
		profile = ""
	}
	b = append(b, `{"type":"`+t.Name+`"`+profile+`,"interaction":[`...)
	for i, code := range interactions {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"code":"`+code+`"}`...)
	}
	b = append(b, `],"versioning":"versioned-update","readHistory":true,"updateCreate":true`+conditional+`,"referencePolicy":["literal","logical","local","enforced"]`...)
	params := set.SearchParams(t.Name)
	var includes []string
	for _, p := range params {
		if p.Type == definition.ReferenceParam {
			includes = append(includes, t.Name+":"+p.Code)
		}
	}
	b = appendList(b, "searchInclude", includes)
	sort.Strings(revincludes)
	b = appendList(b, "searchRevInclude", slices.Compact(revincludes))
	if len(params) > 0 {
		b = append(b, `,"searchParam":[`...)
		for i, p := range params {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, `{"name":"`+p.Code+`","definition":`...)
			b = append(fhir.AppendString(b, p.URL), `,"type":"`+string(p.Type)+`"}`...)
		}
		b = append(b, ']')
	}
	return append(describeOperations(b, t), '}')
}

// describeOperations lists the operations on a type.
func describeOperations(b []byte, t *definition.Type) []byte {
	first := true
	for _, op := range operations {
		if op.types != nil && !slices.Contains(op.types, t.Name) || op.types == nil && t.Platform {
			continue
		}
		if first {
			b = append(b, `,"operation":[`...)
		} else {
			b = append(b, ',')
		}
		b, first = append(b, `{"name":"`+op.code+`","definition":"`+op.url+`"}`...), false
	}
	if !first {
		b = append(b, ']')
	}
	return b
}

func appendList(b []byte, name string, values []string) []byte {
	if len(values) == 0 {
		return b
	}
	b = append(b, `,"`+name+`":[`...)
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = fhir.AppendString(b, v)
	}
	return append(b, ']')
}
