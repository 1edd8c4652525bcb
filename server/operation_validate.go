package server

import (
	"net/http"

	"bulkhead/db"
	"bulkhead/db/dbsqlc"
	"bulkhead/server/access"
	"bulkhead/server/definition"
	"bulkhead/server/fhir"
	"bulkhead/server/validate"
)

// maxNominated is how many profiles a $validate may name.
const maxNominated = 16

// validation is what a $validate asks for.
type validation struct {
	mode     string // "", create, update, delete or profile
	profiles []param
	resource *fhir.Value // nil: the one that is stored
	at       string      // expression of resource in the request
}

// validate answers $validate on a type or an instance
// (http://hl7.org/fhir/R4/resource-operation-validate.html). Whether the resource is valid is said
// by the OperationOutcome; the status is 200 as long as that could be found out.
func (s *Server) validate(r *request) error {
	id := r.Param("id")
	if id != "" {
		if err := checkID(id); err != nil {
			return err
		}
	}
	q, err := r.readValidation()
	if err != nil {
		return err
	}
	if err := q.check(r, id); err != nil {
		return err
	}
	issues, err := q.run(r, id)
	if err != nil {
		return err
	}
	if len(issues) == 0 {
		issues = []fhir.Issue{{Severity: "information", Code: fhir.Information, Diagnostics: "Nothing is wrong."}}
	}
	return r.answer(http.StatusOK, fhir.Outcome(issues))
}

// readValidation takes the resource as it is, or Parameters around it.
func (r *request) readValidation() (*validation, error) {
	known := []string{"resource", "mode", "profile"}
	var body *fhir.Value
	q := &validation{}
	if r.Request().Method == http.MethodPost && (r.entry != nil || r.Request().ContentLength != 0) {
		v, err := r.readAny()
		if err != nil {
			return nil, err
		}
		body = &fhir.Value{}
		switch {
		case v.Get("resourceType").Text() == "Parameters" && (r.typ != "Parameters" || isValidation(v)):
			body = v
		default:
			q.resource = v
		}
	}
	p, err := r.readParams(body, known...)
	if err != nil {
		return nil, err
	}
	if q.mode, err = p.text("mode"); err != nil {
		return nil, err
	}
	switch q.mode {
	case "", "create", "update", "delete", "profile":
	default:
		return nil, fhir.Errorf(fhir.CodeInvalid, "The modes of $validate are create, update, delete and profile.").With(http.StatusBadRequest).At(p.at("mode"))
	}
	if q.profiles = p.all("profile"); len(q.profiles) > maxNominated {
		return nil, fhir.Errorf(fhir.TooCostly, "At most %d profiles can be nominated.", maxNominated).At("profile")
	}
	sent, err := p.object("resource")
	if err != nil {
		return nil, err
	}
	if sent != nil {
		q.resource, q.at = sent, p.at("resource")+".resource"
	}
	return q, nil
}

// isValidation tells whether a Parameters resource holds the parameters of $validate, when it
// could be the resource to validate as well.
func isValidation(v *fhir.Value) bool {
	list := v.Get("parameter")
	if list == nil {
		return false
	}
	for i := range list.Items {
		if list.Items[i].Get("name").Text() == "resource" {
			return true
		}
	}
	return false
}

// readAny parses the body as a resource of any type.
func (r *request) readAny() (*fhir.Value, error) {
	if r.entry != nil {
		return r.entry.resource, nil
	}
	if err := r.checkContentType(jsonTypes, mediaType); err != nil {
		return nil, err
	}
	text, err := r.readBody(r.server.MaxResource)
	if err != nil {
		return nil, err
	}
	v, err := fhir.Parse(text)
	return &v, err
}

// check refuses what does not fit together, and what the token's scopes do not allow: to see what
// would be wrong with a resource, one must be allowed to write or read its type.
func (q *validation) check(r *request, id string) error {
	if id == "" && q.resource == nil {
		return fhir.Errorf(fhir.Required, "$validate needs a resource, or the id of one in the path.").At("resource")
	}
	if id == "" && q.mode == "delete" {
		return fhir.Errorf(fhir.Required, "The mode delete needs the id of a resource in the path.").At("mode")
	}
	if q.resource != nil && q.mode != "delete" {
		if err := checkType(q.resource, r.typ); err != nil {
			return err
		}
	}
	if id != "" {
		return r.permit(r.typ, access.Read)
	}
	for _, do := range []access.Interaction{access.Create, access.Update} {
		if r.permit(r.typ, do) == nil {
			return nil
		}
	}
	return r.permit(r.typ, access.Read)
}

func (q *validation) run(r *request, id string) ([]fhir.Issue, error) {
	var stored *fhir.Value
	if id != "" {
		v, err := r.readStored(id)
		if err != nil && (q.resource == nil || q.mode == "delete") {
			return nil, err
		}
		stored = v
	}
	if q.mode == "delete" {
		return nil, nil // it is there, and nothing here hinders its deletion
	}
	v := q.resource
	if v == nil {
		v = stored
	}
	options, err := q.options(r)
	if err != nil {
		return nil, err
	}
	issues := validate.Resource(r.set, v, options...)
	if q.resource != nil && id != "" && q.mode != "create" {
		if err := checkBodyID(v, id); err != nil {
			_, more := explain(err, r.id)
			issues = append(issues, more...)
		}
	}
	if len(issues) == 0 && r.typ == "StructureDefinition" {
		if issues, err = r.checkProfile(v, nil); err != nil {
			return nil, err
		}
	}
	if q.mode == "create" || q.mode == "update" {
		lost, err := r.lost(v)
		if err != nil {
			return nil, err
		}
		issues = append(issues, lost...)
	}
	return within(issues, r.typ, q.at), nil
}

// options are the rules to check by: all of them, whatever the project's setting says, and the
// profiles that are nominated.
func (q *validation) options(r *request) ([]validate.Option, error) {
	k, err := r.know()
	if err != nil {
		return nil, err
	}
	var further []*validate.Profile
	for _, one := range q.profiles {
		url := one.value.Text()
		if url == "http://hl7.org/fhir/StructureDefinition/"+r.typ {
			continue // the base definition holds anyway
		}
		p := k.holdings.Profile(url)
		if p == nil {
			return nil, fhir.Errorf(fhir.NotFound, "This project holds no profile of this URL that can be used.").With(http.StatusBadRequest).At(one.at)
		}
		further = append(further, p)
	}
	return []validate.Option{validate.WithWarnings(), validate.WithProfiles(k.holdings, further...)}, nil
}

// readStored reads and parses the resource of the path.
func (r *request) readStored(id string) (*fhir.Value, error) {
	var row dbsqlc.ReadResourceRow
	err := r.server.DB.View(r.ctx(), r.plane, r.caller, func(v *db.View) (err error) {
		row, err = v.ReadResource(r.ctx(), dbsqlc.ReadResourceParams{
			TenantID: r.caller.Tenant, ProjectID: r.caller.Project, Type: r.typeID, ID: id,
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	if row.Deleted {
		return nil, r.gone(row.Version, row.LastUpdated)
	}
	v, err := fhir.Parse(row.Body)
	return &v, err
}

// lost tells which references of a resource lead to nothing, as a write would.
func (r *request) lost(v *fhir.Value) (issues []fhir.Issue, err error) {
	if r.project.AllowDanglingReferences || r.plane != db.Clinical {
		return nil, nil
	}
	self := key{r.typ, v.Get("id").Text()}
	var asked []validate.Target
	params := dbsqlc.ReadResourcesParams{TenantID: r.caller.Tenant, ProjectID: r.caller.Project}
	for _, target := range validate.References(r.set, v, r.base) {
		id, ok := definition.TypeID(target.Type)
		if !ok || target.ID == "" || definition.IsPlatform(target.Type) || self == (key{target.Type, target.ID}) {
			continue
		}
		asked = append(asked, target)
		params.Types, params.Ids = append(params.Types, id), append(params.Ids, target.ID)
	}
	if len(asked) == 0 {
		return nil, nil
	}
	there := map[key]bool{}
	err = r.server.DB.View(r.ctx(), r.plane, r.caller, func(view *db.View) error {
		rows, err := view.ReadResources(r.ctx(), params)
		for _, row := range rows {
			there[key{definition.TypeName(row.Type), row.ID}] = !row.Deleted
		}
		return err
	})
	for i := range asked {
		if t := &asked[i]; !there[key{t.Type, t.ID}] {
			issues = append(issues, fhir.Issue{
				Code: fhir.BusinessRule, Diagnostics: "This project holds no " + t.Type + "/" + t.ID + ".", Expression: []string{t.Path},
			})
		}
	}
	return issues, err
}
