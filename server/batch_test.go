package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"bulkhead/db"
	"bulkhead/db/dbtest"
	"bulkhead/server"
	"bulkhead/server/fhir"
)

// transaction and batch build a Bundle of entries, each written "METHOD url {resource}" with
// optional members of request ("ifMatch=..") between, or "fullUrl=..", or as JSON.
func transaction(entries ...string) string { return bundleOf("transaction", entries) }
func batch(entries ...string) string       { return bundleOf("batch", entries) }

func bundleOf(kind string, entries []string) string {
	var list []string
	for _, text := range entries {
		if strings.HasPrefix(text, "{") {
			list = append(list, text)
			continue
		}
		line, resource, has := strings.Cut(text, " {")
		words := strings.Fields(line)
		request := fmt.Sprintf(`"method":%q,"url":%q`, words[0], words[1])
		entry := ""
		for _, word := range words[2:] {
			name, value, _ := strings.Cut(word, "=")
			if name == "fullUrl" {
				entry = fmt.Sprintf(`"fullUrl":%q,`, value)
			} else {
				request += fmt.Sprintf(`,%q:%q`, name, value)
			}
		}
		if has {
			entry += `"resource":{` + resource + `,`
		}
		list = append(list, `{`+entry+`"request":{`+request+`}}`)
	}
	return `{"resourceType":"Bundle","type":"` + kind + `","entry":[` + strings.Join(list, ",") + `]}`
}

// statuses lists the status codes of the entries of an answer.
func statuses(t testing.TB, got answer) string {
	t.Helper()
	b := got.bundle(t)
	var list []string
	for i := range b.Get("entry").Items {
		list = append(list, path(&b, "entry", i, "response", "status").Text()[:3])
	}
	return strings.Join(list, " ")
}

// locations lists where the entries of an answer are, as Type/id.
func locations(t testing.TB, got answer) []string {
	t.Helper()
	b := got.bundle(t)
	var list []string
	for i := range b.Get("entry").Items {
		where := path(&b, "entry", i, "response", "location").Text()
		where, _, _ = strings.Cut(where, "/_history/")
		parts := strings.Split(where, "/")
		list = append(list, strings.Join(parts[max(0, len(parts)-2):], "/"))
	}
	return list
}

// another is a second client of the same project.
func (a *api) another() *api {
	a.t.Helper()
	b := *a
	b.client = "client-2"
	spec, err := fhir.Parse(`{"resourceType":"ClientApplication","name":"second","grantType":["client_credentials"],"scope":"system/*.cruds"}`)
	if err != nil {
		a.t.Fatal(err)
	}
	client, err := a.server.OAuth.ReadClient(&spec)
	if err != nil {
		a.t.Fatal(err)
	}
	err = a.server.DB.Update(a.t.Context(), db.Identity, a.caller, func(tx *db.Tx) (err error) {
		b.secret, err = a.server.OAuth.PutClient(a.t.Context(), tx, a.caller, b.client, client)
		return err
	})
	if err != nil {
		a.t.Fatal(err)
	}
	b.token = b.newToken("system/*.cruds")
	return &b
}

func TestABatchAnswersEachEntryAlone(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	id := a.create(`{"resourceType":"Patient"}`)
	got := a.must(200, "POST", "", batch(
		`GET Patient/`+id,
		`POST Patient {"resourceType":"Patient","active":true}`,
		`POST Patient {"resourceType":"Patient","active":"yes"}`,
		`POST Observation {"resourceType":"Patient"}`,
		`GET Patient/none`,
		`GET Nothing/x`,
		`FETCH Patient/x`,
		`GET ../../../other/api/v1/fhir/r4/Patient/`+id,
		`POST Patient`,
		`{"resource":{"resourceType":"Patient"}}`,
		`{"request":{"method":"GET","url":"Patient/`+id+`","unknown":1}}`,
		`GET Patient/`+id+` ifNoneMatch=W/"1"`,
		`GET Patient/`+id+`/_history`,
		`GET /Patient/`+id,
		`GET `+baseURL+a.path+`/Patient/`+id,
		`GET https://elsewhere.example/fhir/Patient/`+id,
	))
	if codes := statuses(t, got); codes != "200 201 400 400 404 404 400 404 400 400 400 304 200 200 200 400" {
		t.Errorf("%s\n%s", codes, got.body)
	}
	b := got.bundle(t)
	if b.Get("type").Text() != "batch-response" || path(&b, "entry", 0, "resource", "id").Text() != id || path(&b, "entry", 1, "resource") != nil {
		t.Error(got.body)
	}
	for i := range b.Get("entry").Items {
		if status := path(&b, "entry", i, "response", "status").Text(); status >= "4" {
			issue := path(&b, "entry", i, "response", "outcome", "issue", 0)
			if where := path(issue, "expression", 0).Text(); !strings.HasPrefix(where, fmt.Sprintf("Bundle.entry[%d]", i)) {
				t.Errorf("entry %d: expression %q", i, where)
			}
		}
	}
	if a.count() != 2 {
		t.Errorf("%d versions stored", a.count())
	}
}

func TestATransactionAnswersInOrder(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	kept, gone := a.create(`{"resourceType":"Patient"}`), a.create(`{"resourceType":"Patient"}`)
	got := a.must(200, "POST", "", transaction(
		`GET Patient/`+kept,
		`PUT Patient/`+kept+` ifMatch=W/"1" {"resourceType":"Patient","id":"`+kept+`","active":true}`,
		`POST Patient {"resourceType":"Patient","active":false}`,
		`DELETE Patient/`+gone,
		`DELETE Patient/never-there`,
		`PUT Patient/chosen {"resourceType":"Patient","id":"chosen"}`,
	))
	if codes := statuses(t, got); codes != "200 200 201 204 204 201" {
		t.Errorf("%s\n%s", codes, got.body)
	}
	if codes := statuses(t, a.must(200, "POST", "", transaction(`GET Patient/`+kept+` ifNoneMatch=W/"2"`, `GET Patient/`+kept+` ifNoneMatch=W/"1"`))); codes != "304 200" {
		t.Errorf("conditional reads: %s", codes)
	}
	searched := a.must(200, "POST", "", transaction(`GET Patient?_id=new&_total=accurate`, `PUT Patient/new {"resourceType":"Patient","id":"new"}`))
	if sb := searched.bundle(t); path(&sb, "entry", 0, "resource", "entry", 0, "resource", "id").Text() != "new" || path(&sb, "entry", 0, "resource", "total").Text() != "1" {
		t.Errorf("a search does not see what the transaction wrote: %s", searched.body)
	}
	b := got.bundle(t)
	if b.Get("type").Text() != "transaction-response" || path(&b, "entry", 0, "resource", "active").Text() != "true" {
		t.Errorf("GET does not see what the transaction wrote: %s", got.body)
	}
	if e := path(&b, "entry", 1, "response"); e.Get("etag").Text() != `W/"2"` || e.Get("lastModified") == nil ||
		e.Get("location").Text() != baseURL+a.path+"/Patient/"+kept+"/_history/2" {
		t.Errorf("%s", got.body)
	}
	a.must(410, "GET", "Patient/"+gone, "")
	again := a.must(200, "POST", "", transaction(`PUT Patient/`+kept+` {"resourceType":"Patient","id":"`+kept+`"}`), "Prefer", "return=representation")
	if b := again.bundle(t); path(&b, "entry", 0, "resource", "meta", "versionId").Text() != "3" {
		t.Error(again.body)
	}
}

func TestATransactionIsAllOrNothing(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.must(200, "POST", "", transaction(`PUT Patient/there {"resourceType":"Patient","id":"there"}`))
	good := `POST Patient {"resourceType":"Patient"}`
	for name, c := range map[string]struct {
		entry      string
		status     int
		expression string
	}{
		"invalid content":          {`POST Patient {"resourceType":"Patient","active":"yes"}`, 400, "Bundle.entry[2].resource.active"},
		"a type that is not there": {`POST Nothing {"resourceType":"Nothing"}`, 404, "Bundle.entry[2].request.url"},
		"type and url differ":      {`POST Observation {"resourceType":"Patient"}`, 400, "Bundle.entry[2].resource"},
		"id and url differ":        {`PUT Patient/a {"resourceType":"Patient","id":"b"}`, 400, "Bundle.entry[2].resource.id"},
		"no request":               {`{"resource":{"resourceType":"Patient"}}`, 400, "Bundle.entry[2].request"},
		"an unknown method":        {`FETCH Patient/x`, 400, "Bundle.entry[2].request.method"},
		"no resource":              {`POST Patient`, 400, "Bundle.entry[2].resource"},
		"an unknown member":        {`{"request":{"method":"GET","url":"Patient/there"},"x":1}`, 400, "Bundle.entry[2].x"},
		"a stale If-Match":         {`PUT Patient/there ifMatch=W/"9" {"resourceType":"Patient","id":"there"}`, 412, "Bundle.entry[2]"},
		"If-None-Match":            {`PUT Patient/there ifNoneMatch=* {"resourceType":"Patient","id":"there"}`, 412, "Bundle.entry[2]"},
		"a read of nothing":        {`GET Patient/none`, 404, "Bundle.entry[2]"},
		"a dangling reference":     {`POST Observation {"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/none"}}`, 422, "Bundle.entry[2].resource.subject.reference"},
		"an unknown urn":           {`POST Observation {"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"}}`, 422, "Bundle.entry[2].resource.subject.reference"},
		"one resource twice":       {`DELETE Patient/there`, 400, "Bundle.entry[2]"},
		"a platform type":          {`POST ClientApplication {"resourceType":"ClientApplication"}`, 400, "Bundle.entry[2].request.url"},
		"a nested bundle to base":  {`{"request":{"method":"POST","url":"/"},"resource":{"resourceType":"Bundle"}}`, 400, "Bundle.entry[2].request.url"},
	} {
		before := a.count()
		got := a.do("POST", "", transaction(good, `PUT Patient/there {"resourceType":"Patient","id":"there","active":true}`, c.entry))
		if strings.HasPrefix(name, "a stale") || name == "If-None-Match" {
			got = a.do("POST", "", transaction(good, good, c.entry))
		}
		v, _ := fhir.Parse(got.body)
		if where := path(&v, "issue", 0, "expression", 0).Text(); got.StatusCode != c.status || where != c.expression {
			t.Errorf("%s: %d at %q, want %d at %q\n%s", name, got.StatusCode, where, c.status, c.expression, got.body)
		}
		if a.count() != before {
			t.Errorf("%s: something was stored", name)
		}
	}
}

func TestATransactionRewritesLinksBetweenEntries(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	const p, o, q = "urn:uuid:11111111-1111-4111-8111-111111111111", "urn:uuid:22222222-2222-4222-8222-222222222222", "urn:uuid:33333333-3333-4333-8333-333333333333"
	got := a.must(200, "POST", "", transaction(
		// A circle: the patient names the observation and the observation the patient.
		`POST Patient fullUrl=`+p+` {"resourceType":"Patient","identifier":[{"system":"urn:ietf:rfc:3986","value":"`+p+`"}],
			"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">`+p+` <a href=\"`+o+`\">x</a></div>"},
			"extension":[{"url":"http://x.example/o","valueReference":{"reference":"`+o+`"}},{"url":"http://x.example/u","valueUri":"`+q+`"},{"url":"http://x.example/c","valueCanonical":"`+q+`|2"}],
			"_birthDate":{"extension":[{"url":"http://x.example/o","valueReference":{"reference":"`+o+`"}}]},
			"contained":[{"resourceType":"Observation","id":"c","status":"final","code":{"text":"x"},"subject":{"reference":"#"},"focus":[{"reference":"`+o+`"}]}],
			"link":[{"other":{"reference":"Patient/other"},"type":"refer"}]}`,
		`POST Observation fullUrl=`+o+` {"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"`+p+`"},"performer":[{"reference":"http://a.example/fhir/Practitioner/7"}]}`,
		`POST Questionnaire fullUrl=`+q+` {"resourceType":"Questionnaire","status":"draft"}`,
		`PUT Patient/other fullUrl=http://a.example/fhir/Patient/1 {"resourceType":"Patient","id":"other"}`,
		`POST Practitioner fullUrl=http://a.example/fhir/Practitioner/7 {"resourceType":"Practitioner","id":"7"}`,
		// Relative to a fullUrl of a server that is not ours.
		`POST Encounter fullUrl=http://a.example/fhir/Encounter/9 {"resourceType":"Encounter","status":"planned","class":{"code":"AMB"},"subject":{"reference":"Patient/1"},"participant":[{"individual":{"reference":"Practitioner/7"}}]}`,
	))
	at := locations(t, got)
	read := func(n int) fhir.Value {
		v, err := fhir.Parse(a.must(200, "GET", at[n], "").body)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	patient, observation, encounter := read(0), read(1), read(5)
	for what, pair := range map[string][2]string{
		"Reference":                {path(&patient, "extension", 0, "valueReference", "reference").Text(), at[1]},
		"uri":                      {path(&patient, "extension", 1, "valueUri").Text(), at[2]},
		"canonical with a version": {path(&patient, "extension", 2, "valueCanonical").Text(), at[2] + "|2"},
		"extension of a primitive": {path(&patient, "_birthDate", "extension", 0, "valueReference", "reference").Text(), at[1]},
		"contained":                {path(&patient, "contained", 0, "focus", 0, "reference").Text(), at[1]},
		"narrative":                {path(&patient, "text", "div").Text(), `<div xmlns="http://www.w3.org/1999/xhtml">` + p + ` <a href="` + at[1] + `">x</a></div>`},
		"string that is no link":   {path(&patient, "identifier", 0, "value").Text(), p},
		"circle":                   {path(&observation, "subject", "reference").Text(), at[0]},
		"absolute fullUrl":         {path(&observation, "performer", 0, "reference").Text(), at[4]},
		"relative to a fullUrl":    {path(&encounter, "participant", 0, "individual", "reference").Text(), at[4]},
		"relative, PUT elsewhere":  {path(&encounter, "subject", "reference").Text(), "Patient/other"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %q, want %q", what, pair[0], pair[1])
		}
	}
}

func TestBundlesAreBounded(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t)
	tenant := d.NewTenant(t)
	a := apiOf(t, newServer(t, d.DB, func(c *server.Config) { c.MaxBundle = 1 << 20 }), tenant, tenant.Caller, tenant.ProjectSlug)
	if got := a.do("POST", "", `{"resourceType":"Bundle","type":"batch","entry":[`+strings.Repeat(`{},`, 10_000)+`{}]}`); got.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("entries: %d %s", got.StatusCode, got.body)
	}
	if got := a.do("POST", "", strings.Repeat(" ", 1<<20)+transaction()); got.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("bytes: %d %s", got.StatusCode, got.body)
	}
	for body, status := range map[string]int{
		`{"resourceType":"Bundle"}`:                     400,
		`{"resourceType":"Bundle","type":"collection"}`: 400,
		`{"resourceType":"Patient"}`:                    400,
		`[]`:                                            400,
		`{"resourceType":"Bundle","type":"transaction","entry":{}}`:     400,
		`{"resourceType":"Bundle","type":"transaction","entry":[null]}`: 400,
		`{"resourceType":"Bundle","type":"transaction","entry":[1]}`:    400,
		`{"resourceType":"Bundle","type":"transaction","x":1}`:          400,
		`{"resourceType":"Bundle","type":"transaction"}`:                200,
		`{"resourceType":"Bundle","type":"batch"}`:                      200,
		`{"resourceType":"Bundle","type":"batch","entry":[{}]}`:         200,
		`{"resourceType":"Bundle","type":"transaction","entry":"x"}`:    400,
	} {
		if got := a.do("POST", "", body); got.StatusCode != status {
			t.Errorf("%s: %d %s", body, got.StatusCode, got.body)
		}
	}
}
