package oauth

import (
	"strconv"

	"bulkhead/server/fhir"
)

// DefaultNamespace leads the names of the claims that no RFC defines.
const DefaultNamespace = "https://haste.health/"

// accessTokenType is the typ header of an access token (RFC 9068 section 2.1). It is what keeps an
// id_token of the same issuer from being taken for one.
const accessTokenType = "at+jwt"

// Claims is the content of an access token: a JWT profiled by RFC 9068 and the facts of the caller
// under the platform's namespace.
type Claims struct {
	Issuer   string
	Subject  string   // the client itself, for client_credentials
	Audience []string // the project's FHIR base URL, and the client id
	ClientID string
	ID       string // jti: what a revocation names
	Session  string // sid: the grant or session that the token belongs to
	Issued   int64  // seconds since 1970
	Expires  int64  // seconds since 1970
	Scope    string // between spaces (RFC 8693 section 4.2)

	Tenant         string
	Project        string
	ProjectID      int32    // never used twice, unlike a name: a token does not outlive its project
	UserRole       string   // role in the tenant
	UserID         string   // id of the User or ClientApplication
	ResourceType   string   // type of the resource that UserID names
	AccessPolicies []string // ids of AccessPolicyV2 resources
	Membership     string   // id of the Membership used; "" becomes null

	Patient  string // launch context: id of the Patient; left out when ""
	FHIRUser string // URL of the resource that is the person; left out when ""
}

// ResourceType is one of these.
const (
	clientType = "ClientApplication"
	personType = "User"
)

// IsPerson tells whether the token was granted by a person, and not to a client for itself.
func (c *Claims) IsPerson() bool { return c.ResourceType == personType }

// JSON writes the claims set, the private claims under namespace.
func (c *Claims) JSON(namespace string) []byte {
	w := claimWriter{dst: make([]byte, 0, 1024), namespace: namespace}
	w.text("iss", c.Issuer)
	w.text("sub", c.Subject)
	w.texts("aud", c.Audience)
	w.text("client_id", c.ClientID)
	w.number("exp", c.Expires)
	w.number("iat", c.Issued)
	w.text("jti", c.ID)
	w.text("scope", c.Scope)
	w.text("sid", c.Session)
	w.text(namespace+"tenant", c.Tenant)
	w.text(namespace+"project", c.Project)
	w.number(namespace+"project_id", int64(c.ProjectID))
	w.text(namespace+"user_role", c.UserRole)
	w.text(namespace+"user_id", c.UserID)
	w.text(namespace+"resource_type", c.ResourceType)
	w.texts(namespace+"access_policies", c.AccessPolicies)
	if c.Membership == "" {
		w.name(namespace + "membership")
		w.dst = append(w.dst, "null"...)
	} else {
		w.text(namespace+"membership", c.Membership)
	}
	if c.Patient != "" {
		w.text("patient", c.Patient)
	}
	if c.FHIRUser != "" {
		w.text("fhirUser", c.FHIRUser)
	}
	return append(w.dst, '}')
}

type claimWriter struct {
	dst       []byte
	namespace string
}

func (w *claimWriter) name(name string) {
	separator := byte(',')
	if len(w.dst) == 0 {
		separator = '{'
	}
	w.dst = append(w.dst, separator)
	w.dst = fhir.AppendString(w.dst, name)
	w.dst = append(w.dst, ':')
}

func (w *claimWriter) text(name, value string) {
	w.name(name)
	w.dst = fhir.AppendString(w.dst, value)
}

func (w *claimWriter) number(name string, value int64) {
	w.name(name)
	w.dst = strconv.AppendInt(w.dst, value, 10)
}

func (w *claimWriter) texts(name string, list []string) {
	w.name(name)
	w.dst = append(w.dst, '[')
	for i, value := range list {
		if i > 0 {
			w.dst = append(w.dst, ',')
		}
		w.dst = fhir.AppendString(w.dst, value)
	}
	w.dst = append(w.dst, ']')
}

// readClaims reads back what JSON wrote, from a token whose signature is known to be good.
func readClaims(token *compactJWS, namespace string) Claims {
	issued, _ := token.seconds("iat")
	expires, _ := token.seconds("exp")
	projectID, _ := token.seconds(namespace + "project_id")
	return Claims{
		Issuer:         token.text("iss"),
		Subject:        token.text("sub"),
		Audience:       token.texts("aud"),
		ClientID:       token.text("client_id"),
		ID:             token.text("jti"),
		Session:        token.text("sid"),
		Issued:         issued,
		Expires:        expires,
		Scope:          token.text("scope"),
		Tenant:         token.text(namespace + "tenant"),
		Project:        token.text(namespace + "project"),
		ProjectID:      int32(projectID),
		UserRole:       token.text(namespace + "user_role"),
		UserID:         token.text(namespace + "user_id"),
		ResourceType:   token.text(namespace + "resource_type"),
		AccessPolicies: token.texts(namespace + "access_policies"),
		Membership:     token.text(namespace + "membership"),
		Patient:        token.text("patient"),
		FHIRUser:       token.text("fhirUser"),
	}
}
