package login

import (
	"context"
	"errors"
	"net/mail"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"bulkhead/db"
	"bulkhead/db/dbsqlc"
	"bulkhead/server/fhir"
)

// Roles of a person in the tenant.
const (
	RoleOwner  = "owner"
	RoleAdmin  = "admin"
	RoleMember = "member"
)

var roles = []string{RoleOwner, RoleAdmin, RoleMember}

// UserSpec is what a User resource says.
type UserSpec struct {
	Email     string
	Name      string
	Role      string // owner, admin or member
	Disabled  bool   // status inactive
	Federated string // id of the IdentityProvider that alone signs the person in, or ""
}

// ReadUser reads a User whose structure has been validated. Errors are *fhir.Error with the
// element's path.
func ReadUser(resource *fhir.Value) (UserSpec, error) {
	spec := UserSpec{
		Email:    strings.TrimSpace(resource.Get("email").Text()),
		Name:     strings.TrimSpace(resource.Get("name").Text()),
		Role:     resource.Get("role").Text(),
		Disabled: resource.Get("status").Text() == "inactive",
	}
	if reference := resource.Get("federated"); reference != nil {
		kind, id, _ := strings.Cut(reference.Get("reference").Text(), "/")
		if kind != "IdentityProvider" || id == "" || strings.Contains(id, "/") {
			return spec, fhir.Errorf(fhir.ValueInvalid, "The reference must be IdentityProvider/[id].").At("User.federated")
		}
		spec.Federated = id
	}
	return spec, spec.check()
}

func (spec UserSpec) check() error {
	if !validEmail(spec.Email) {
		return fhir.Errorf(fhir.ValueInvalid, "This is not an e-mail address that mail can be sent to.").At("User.email")
	}
	if !validRole(spec.Role) {
		return fhir.Errorf(fhir.ValueInvalid, "A role is owner, admin or member.").At("User.role")
	}
	if utf8.RuneCountInString(spec.Name) > 200 || strings.ContainsFunc(spec.Name, unicode.IsControl) {
		return fhir.Errorf(fhir.ValueInvalid, "A name has at most 200 characters and no control characters.").At("User.name")
	}
	return nil
}

// Resource writes a User that ReadUser reads back as spec, without id and meta.
func (spec UserSpec) Resource() string {
	text := func(s string) string { return string(fhir.AppendString(nil, s)) }
	status := "active"
	if spec.Disabled {
		status = "inactive"
	}
	body := `{"resourceType":"User","email":` + text(spec.Email)
	if spec.Name != "" {
		body += `,"name":` + text(spec.Name)
	}
	body += `,"role":` + text(spec.Role) + `,"status":"` + status + `"`
	if spec.Federated != "" {
		body += `,"federated":{"reference":` + text("IdentityProvider/"+spec.Federated) + `}`
	}
	return body + "}"
}

func validRole(role string) bool { return slices.Contains(roles, role) }

// validEmail takes the plain addr-spec of RFC 5322 in ASCII: no display name, no comment, no quoted
// local part, nothing that could end a header line.
func validEmail(email string) bool {
	if len(email) > 254 || strings.ContainsFunc(email, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),:;<>[\]`, r) }) {
		return false
	}
	parsed, err := mail.ParseAddress(email)
	return err == nil && parsed.Name == "" && parsed.Address == email
}

// FoldEmail is the form in which addresses are compared: one person's address in two spellings of
// case is one address. Mail is only ever sent to the address as it was registered.
func FoldEmail(email string) string {
	return strings.ToLower(norm.NFKC.String(strings.TrimSpace(email)))
}

// PutUser brings the row of a User resource into step with it, in the transaction that writes the
// resource, which is one in the tenant's project `system`. The person's password and second factor
// stay as they are; who is disabled, or is signed in by another provider from now on, is signed
// out. An e-mail address that another person of the tenant has is a *fhir.Error of type duplicate.
func PutUser(ctx context.Context, tx *db.Tx, tenant int32, id string, spec UserSpec) error {
	if err := spec.check(); err != nil {
		return err
	}
	state := "active"
	if spec.Disabled {
		state = "disabled"
	}
	err := tx.PutPerson(ctx, dbsqlc.PutPersonParams{
		TenantID: tenant, ID: id, Email: spec.Email, EmailKey: FoldEmail(spec.Email), Name: spec.Name, Role: spec.Role,
		State: state, Federated: spec.Federated,
	})
	if errors.Is(err, db.ErrDuplicate) {
		return fhir.Errorf(fhir.Duplicate, "Another user of this tenant has this e-mail address.").At("User.email")
	}
	return err
}

// DropUser removes the row of a User resource that is being deleted, and with it the person's
// sessions, links and codes.
func DropUser(ctx context.Context, tx *db.Tx, tenant int32, id string) error {
	_, err := tx.DeletePerson(ctx, tenant, id)
	return err
}

// Person describes somebody to an administrator of the tenant.
type Person struct {
	ID           string     `json:"id"`
	Email        string     `json:"email"`
	Name         string     `json:"name"`
	Role         string     `json:"role"`
	State        string     `json:"state"` // active or disabled
	Federated    string     `json:"identity_provider,omitempty"`
	Password     bool       `json:"password"`      // has set one
	SecondFactor bool       `json:"second_factor"` // has set one up
	Created      time.Time  `json:"created"`
	LastLogin    *time.Time `json:"last_login"` // nil: never
}

// People keeps the people of every tenant. The pages and the commands share it; it knows nothing of
// HTTP.
type People struct {
	db     *db.DB
	hasher *hasher
	sealer *sealer
	counts []byte // keys the hashes of what attempts are counted by
	codes  []byte // keys the hashes of recovery codes
}

// NewPeople returns the people of a database.
func NewPeople(database *db.DB) (*People, error) {
	sealer, err := newSealer(database.Derive("second factor"))
	if err != nil {
		return nil, err
	}
	return &People{
		db: database, hasher: newHasher(database.Derive("password")), sealer: sealer,
		counts: database.Derive("login attempt"), codes: database.Derive("recovery code"),
	}, nil
}

// systemOf is the context of a tenant's own affairs.
func systemOf(tenant int32) db.Caller { return db.Caller{Tenant: tenant, Project: db.SystemProject} }

func (p *People) view(ctx context.Context, tenant int32, fn func(*db.View) error) error {
	return p.db.View(ctx, db.Identity, systemOf(tenant), fn)
}

func (p *People) update(ctx context.Context, tenant int32, fn func(*db.Tx) error) error {
	return p.db.Update(ctx, db.Identity, systemOf(tenant), fn)
}

// List returns everybody of a tenant, by e-mail address.
func (p *People) List(ctx context.Context, tenant int32) ([]Person, error) {
	list := []Person{}
	err := p.view(ctx, tenant, func(v *db.View) error {
		rows, err := v.ListPersons(ctx, tenant)
		for _, row := range rows {
			person := Person{
				ID: row.ID, Email: row.Email, Name: row.Name, Role: row.Role, State: row.State, Federated: row.Federated,
				Password: row.HasPassword, SecondFactor: row.HasTotp, Created: row.Created,
			}
			if row.LastLogin.Unix() > 0 {
				person.LastLogin = &row.LastLogin
			}
			list = append(list, person)
		}
		return err
	})
	return list, err
}

// ID returns the id of the person with an e-mail address, or db.ErrNotFound.
func (p *People) ID(ctx context.Context, tenant int32, email string) (id string, err error) {
	err = p.view(ctx, tenant, func(v *db.View) error {
		row, err := v.FindPersonByEmail(ctx, tenant, FoldEmail(email))
		id = row.ID
		return err
	})
	return id, err
}

// CheckPassword holds a password against the rules for somebody who is not there yet.
// Errors: *PasswordError.
func (p *People) CheckPassword(ctx context.Context, tenant db.Project, spec UserSpec, password string) error {
	policy, err := p.Policy(ctx, tenant.Tenant)
	if err != nil {
		return err
	}
	return checkPassword(password, slices.Contains(policy.SecondFactor, spec.Role), spec.Email, spec.Name, tenant.TenantName)
}

// SetPassword gives a person a password, ends all their sessions and makes mailed links useless.
// Errors: *PasswordError when it is too weak; db.ErrNotFound when there is no active person of this
// id who may have a password here.
func (p *People) SetPassword(ctx context.Context, tenant int32, id, password string) error {
	var row dbsqlc.FindPersonRow
	err := p.view(ctx, tenant, func(v *db.View) (err error) {
		row, err = v.FindPerson(ctx, tenant, id)
		return err
	})
	if err != nil {
		return err
	}
	if err := checkPassword(password, row.NeedsSecondFactor, row.Email, row.Name); err != nil {
		return err
	}
	hash, err := p.hasher.hash(ctx, password)
	if err != nil {
		return err
	}
	return p.update(ctx, tenant, func(tx *db.Tx) error { return storePassword(ctx, tx.Last(), tenant, id, hash, nil) })
}

// DropSecondFactor takes a person's second factor away, for somebody who lost phone and recovery codes.
// Where their role needs one they set up another when they sign in next. db.ErrNotFound when there is
// no active person of this id who has one here.
func (p *People) DropSecondFactor(ctx context.Context, tenant int32, id string) error {
	return p.update(ctx, tenant, func(tx *db.Tx) error {
		row, err := tx.FindPerson(ctx, tenant, id)
		if err == nil && len(row.TotpSecret) == 0 {
			err = db.ErrNotFound
		}
		if err != nil {
			return err
		}
		changed, err := tx.Last().SetTOTP(ctx, dbsqlc.SetTOTPParams{TenantID: tenant, ID: id, TotpSecret: []byte{}})
		if err == nil && changed == 0 {
			err = db.ErrNotFound
		}
		return err
	})
}

func storePassword(ctx context.Context, q *dbsqlc.Queries, tenant int32, id, hash string, keepSession []byte) error {
	if keepSession == nil {
		keepSession = []byte{}
	}
	changed, err := q.SetPassword(ctx, dbsqlc.SetPasswordParams{TenantID: tenant, ID: id, PasswordHash: hash, KeepSession: keepSession})
	if err == nil && changed == 0 {
		err = db.ErrNotFound
	}
	return err
}
