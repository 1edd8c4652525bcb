package server

import (
	"net/http"

	"bulkhead/db"
	"bulkhead/server/fhir"
)

// meta answers $meta on an instance (http://hl7.org/fhir/R4/resource-operation-meta.html).
func (s *Server) meta(r *request) error {
	if _, err := r.readParams(nil); err != nil {
		return err
	}
	if !validID(r.Param("id")) {
		return notFound()
	}
	v, err := r.readStored(r.Param("id"))
	if err != nil {
		return err
	}
	return r.answerMeta(v)
}

func (r *request) answerMeta(v *fhir.Value) error {
	w := newParameters()
	meta := v.Get("meta")
	if meta == nil {
		meta = &fhir.Value{Kind: fhir.Object}
	}
	w.value("return", "Meta", meta)
	return r.answer(http.StatusOK, w.String())
}

// metaAdd answers $meta-add and metaDelete $meta-delete. Like every change they make a new version,
// unless nothing changes.
func (s *Server) metaAdd(r *request) error    { return r.changeMeta(addLabel) }
func (s *Server) metaDelete(r *request) error { return r.changeMeta(dropLabel) }

// metaLists are the members of meta that are lists of labels.
var metaLists = []string{"profile", "security", "tag"}

func (r *request) changeMeta(edit func(list []fhir.Value, label *fhir.Value) []fhir.Value) error {
	if r.plane != db.Clinical {
		return fhir.Errorf(fhir.NotSupported, "The labels of a %s cannot be changed here.", r.typ)
	}
	id := r.Param("id")
	if !validID(id) {
		return notFound()
	}
	p, err := r.readParams(nil, "meta")
	if err != nil {
		return err
	}
	sent, err := p.object("meta")
	if err != nil {
		return err
	}
	if sent == nil {
		return fhir.Errorf(fhir.Required, "The operation needs a parameter meta.").At("meta")
	}
	for _, m := range sent.Members {
		if m.Value.Kind != fhir.Array && (m.Name == "profile" || m.Name == "security" || m.Name == "tag") {
			return fhir.Errorf(fhir.Structure, "A list is expected.").At(p.at("meta") + ".value." + m.Name)
		}
	}
	var body string
	err = r.write(r.plane, func(tx *db.Tx) error {
		old, err := r.lock(tx, r.typeID, id)
		switch {
		case err != nil:
			return err
		case old == nil:
			return notFound()
		case old.deleted:
			return r.gone(old.version, old.lastUpdated)
		}
		if err := checkPreconditions(r.Request().Header, old); err != nil {
			return err
		}
		v, err := fhir.Parse(old.body)
		if err != nil {
			return err
		}
		if v = withLabels(&v, sent, edit); string(v.Append(nil)) == old.body {
			body = old.body
			return nil
		}
		ch, err := r.prepare(http.MethodPost, r.typ, r.typeID, id, v, "")
		if err != nil {
			return err
		}
		ch.held = old
		err = r.store(r.ctx(), tx.Last(), ch)
		body = ch.body
		return err
	})
	if err != nil {
		return err
	}
	v, err := fhir.Parse(body)
	if err != nil {
		return err
	}
	return r.answerMeta(&v)
}

// withLabels returns v with its labels edited.
func withLabels(v, sent *fhir.Value, edit func([]fhir.Value, *fhir.Value) []fhir.Value) fhir.Value {
	meta := fhir.Value{Kind: fhir.Object}
	if old := v.Get("meta"); old != nil {
		meta.Members = append(meta.Members, old.Members...)
	}
	for _, name := range metaLists {
		labels := sent.Get(name)
		if labels == nil {
			continue
		}
		var list []fhir.Value
		if old := meta.Get(name); old != nil {
			list = append(list, old.Items...)
		}
		for i := range labels.Items {
			list = edit(list, &labels.Items[i])
		}
		if len(list) > 0 {
			setMember(&meta, name, fhir.Value{Kind: fhir.Array, Items: list})
			continue
		}
		for i := range meta.Members {
			if meta.Members[i].Name == name {
				meta.Members = append(meta.Members[:i], meta.Members[i+1:]...)
				break
			}
		}
	}
	out := fhir.Value{Kind: fhir.Object, Members: append([]fhir.Member(nil), v.Members...)}
	setMember(&out, "meta", meta)
	return out
}

// sameLabel compares profiles as texts, and codings by system and code.
func sameLabel(a, b *fhir.Value) bool {
	if a.Kind == fhir.String || b.Kind == fhir.String {
		return a.Kind == b.Kind && a.Text() == b.Text()
	}
	return a.Get("system").Text() == b.Get("system").Text() && a.Get("code").Text() == b.Get("code").Text()
}

func addLabel(list []fhir.Value, label *fhir.Value) []fhir.Value {
	for i := range list {
		if sameLabel(&list[i], label) {
			return list
		}
	}
	return append(list, *label)
}

func dropLabel(list []fhir.Value, label *fhir.Value) []fhir.Value {
	kept := list[:0]
	for i := range list {
		if !sameLabel(&list[i], label) {
			kept = append(kept, list[i])
		}
	}
	return kept
}
