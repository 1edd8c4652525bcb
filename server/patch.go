package server

import (
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"bulkhead/db"
	"bulkhead/server/fhir"
	"bulkhead/server/patch"
)

// jsonPatchType is the media type of a JSON Patch (RFC 6902).
const jsonPatchType = "application/json-patch+json"

var patchTypes = map[string]bool{jsonPatchType: true, mediaType: true}

// patch answers PATCH [type]/[id] (http://hl7.org/fhir/R4/http.html#patch). The patch is applied to
// the version that the transaction has locked, so two at once follow one another; what comes out is
// checked like any resource.
func (s *Server) patch(r *request) error {
	if r.plane == db.Identity {
		return s.writePlatform(r)
	}
	if err := r.onlyFormat(); err != nil {
		return err
	}
	id := r.Param("id")
	if !validID(id) {
		return notFound()
	}
	apply, err := r.readPatch()
	if err != nil {
		return err
	}
	var ch *change
	err = r.write(r.plane, func(tx *db.Tx) error {
		old, err := r.lock(tx, r.typeID, id)
		if err != nil {
			return err
		}
		if err := checkPreconditions(r.Request().Header, old); err != nil {
			return err
		}
		if ch, err = r.patched(r.typ, r.typeID, id, old, apply, ""); err != nil {
			return err
		}
		return r.store(r.ctx(), tx.Last(), ch)
	})
	if err != nil {
		return err
	}
	return r.answerWrite(ch)
}

// conditionalPatch answers PATCH [type]?[criteria]: it patches the one resource that matches.
func (s *Server) conditionalPatch(r *request) error {
	if r.plane == db.Identity {
		return s.writePlatform(r)
	}
	cond, err := r.criteria(r.Request().URL.RawQuery, 1)
	if err != nil {
		return err
	}
	apply, err := r.readPatch()
	if err != nil {
		return err
	}
	var ch *change
	err = r.write(r.plane, func(tx *db.Tx) error {
		if err := r.find(tx, cond); err != nil {
			return err
		}
		hit, err := cond.one()
		if err != nil {
			return err
		}
		if hit == nil {
			return fhir.Errorf(fhir.NotFound, "No resource of this project matches the criteria.")
		}
		old, err := r.lockHit(tx, r.typeID, hit)
		if err != nil {
			return err
		}
		if err := checkPreconditions(r.Request().Header, old); err != nil {
			return err
		}
		if ch, err = r.patched(r.typ, r.typeID, hit.ID, old, apply, ""); err != nil {
			return err
		}
		return r.store(r.ctx(), tx.Last(), ch)
	})
	if err != nil {
		return err
	}
	return r.answerWrite(ch)
}

// applier applies a patch to a resource.
type applier func(*fhir.Value) (fhir.Value, error)

// readPatch parses the body: a JSON Patch, or a FHIRPath Patch in a Parameters resource.
func (r *request) readPatch() (applier, error) {
	if r.entry != nil {
		return r.entryPatch(r.entry.resource)
	}
	if err := r.checkContentType(patchTypes, jsonPatchType+" or, with a Parameters resource, "+mediaType); err != nil {
		return nil, err
	}
	text, err := r.readBody(r.server.MaxResource)
	if err != nil {
		return nil, err
	}
	v, err := fhir.Parse(text)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(r.Request().Header.Get(echo.HeaderContentType), jsonPatchType) {
		return jsonPatch(&v), nil
	}
	return r.fhirPathPatch(&v)
}

func jsonPatch(operations *fhir.Value) applier {
	return func(v *fhir.Value) (fhir.Value, error) { return patch.JSON(v, operations) }
}

func (r *request) fhirPathPatch(parameters *fhir.Value) (applier, error) {
	if err := checkType(parameters, "Parameters"); err != nil {
		return nil, err
	}
	return func(v *fhir.Value) (fhir.Value, error) { return patch.FHIRPath(r.set, v, parameters) }, nil
}

// entryPatch reads the patch of a bundle's entry: Parameters, or a Binary that holds a JSON Patch
// (http://hl7.org/fhir/R4/http.html#patch).
func (r *request) entryPatch(v *fhir.Value) (applier, error) {
	if v.Get("resourceType").Text() != "Binary" {
		return r.fhirPathPatch(v)
	}
	if v.Get("contentType").Text() != jsonPatchType {
		return nil, fhir.Errorf(fhir.NotSupported, "The Binary of a PATCH must have the contentType %s.", jsonPatchType).With(http.StatusUnsupportedMediaType)
	}
	text, err := base64.StdEncoding.DecodeString(v.Get("data").Text())
	if err != nil {
		return nil, fhir.Errorf(fhir.ValueInvalid, "The data of the Binary is no base64.")
	}
	operations, err := fhir.Parse(string(text))
	if err != nil {
		return nil, err
	}
	return jsonPatch(&operations), nil
}

// patched makes the change that a patch of a locked version comes to. at is as in prepare.
func (r *request) patched(typ string, typeID int16, id string, old *held, apply applier, at string) (*change, error) {
	switch {
	case old == nil:
		return nil, notFound()
	case old.deleted:
		return nil, r.gone(old.version, old.lastUpdated)
	}
	v, err := fhir.Parse(old.body)
	if err != nil {
		return nil, err
	}
	after, err := apply(&v)
	if err != nil {
		return nil, err
	}
	if err := checkType(&after, typ); err != nil {
		return nil, err
	}
	if err := checkBodyID(&after, id); err != nil {
		return nil, err
	}
	ch, err := r.prepare(http.MethodPatch, typ, typeID, id, after, at)
	if err != nil {
		return nil, err
	}
	ch.held = old
	return ch, nil
}
