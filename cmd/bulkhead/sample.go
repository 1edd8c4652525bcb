package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// Sample patients for `bulkhead dev`: invented people with a few years of believable, unconnected
// care. The same bundles come out each time, and whoever gets them may do with them as they like (CC0).

// sampleSeed fixes the course of every random choice.
const sampleSeed = 20240229

// sampleStart is the first day on which anybody falls ill.
var sampleStart = time.Date(2022, time.March, 1, 8, 0, 0, 0, time.UTC)

// person is somebody to make a record for.
type person struct {
	id, given, family, gender, born, city, phone string
	story                                        []ailment
}

// ailment is a reason to see a doctor: what is found, measured and prescribed.
type ailment struct {
	code, name string // SNOMED CT
	chronic    bool
	measures   []measure
	drug       drug
}

// measure is an observation with its usual range in this condition.
type measure struct {
	code, name string // LOINC
	unit       string // UCUM
	low, high  float64
	digits     int
	category   string
}

// drug is a prescription; the code is of RxNorm.
type drug struct {
	code, name, dose string
}

var (
	systolic    = measure{"8480-6", "Systolic blood pressure", "mm[Hg]", 118, 168, 0, "vital-signs"}
	diastolic   = measure{"8462-4", "Diastolic blood pressure", "mm[Hg]", 70, 102, 0, "vital-signs"}
	weight      = measure{"29463-7", "Body weight", "kg", 52, 101, 1, "vital-signs"}
	temperature = measure{"8310-5", "Body temperature", "Cel", 36.4, 39.6, 1, "vital-signs"}
	heartRate   = measure{"8867-4", "Heart rate", "/min", 58, 104, 0, "vital-signs"}
	saturation  = measure{"2708-6", "Oxygen saturation in Arterial blood", "%", 93, 99, 0, "vital-signs"}
	hba1c       = measure{"4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood", "%", 6.1, 9.4, 1, "laboratory"}
	glucose     = measure{"2339-0", "Glucose [Mass/volume] in Blood", "mg/dL", 92, 214, 0, "laboratory"}
	creatinine  = measure{"2160-0", "Creatinine [Mass/volume] in Serum or Plasma", "mg/dL", 0.6, 1.4, 2, "laboratory"}
	ldl         = measure{"13457-7", "Cholesterol in LDL [Mass/volume] in Serum or Plasma by calculation", "mg/dL", 74, 178, 0, "laboratory"}
	hemoglobin  = measure{"718-7", "Hemoglobin [Mass/volume] in Blood", "g/dL", 9.8, 15.6, 1, "laboratory"}
	tsh         = measure{"3016-3", "Thyrotropin [Units/volume] in Serum or Plasma", "m[IU]/L", 0.8, 8.9, 2, "laboratory"}

	hypertension   = ailment{"38341003", "Hypertensive disorder", true, []measure{systolic, diastolic, heartRate, creatinine}, drug{"314076", "lisinopril 10 MG Oral Tablet", "1 tablet in the morning"}}
	diabetes       = ailment{"44054006", "Diabetes mellitus type 2", true, []measure{hba1c, glucose, weight, creatinine}, drug{"861007", "metformin hydrochloride 500 MG Oral Tablet", "1 tablet twice a day with meals"}}
	asthma         = ailment{"195967001", "Asthma", true, []measure{saturation, heartRate}, drug{"745752", "albuterol 0.09 MG/ACTUAT Metered Dose Inhaler", "2 puffs when needed"}}
	hyperlipidemia = ailment{"55822004", "Hyperlipidemia", true, []measure{ldl, weight}, drug{"617310", "atorvastatin 20 MG Oral Tablet", "1 tablet in the evening"}}
	hypothyroidism = ailment{"40930008", "Hypothyroidism", true, []measure{tsh, weight}, drug{"966247", "levothyroxine sodium 0.05 MG Oral Tablet", "1 tablet before breakfast"}}
	bronchitis     = ailment{"10509002", "Acute bronchitis", false, []measure{temperature, saturation, heartRate}, drug{"313782", "acetaminophen 325 MG Oral Tablet", "2 tablets every 6 hours"}}
	pharyngitis    = ailment{"43878008", "Streptococcal sore throat", false, []measure{temperature}, drug{"308182", "amoxicillin 250 MG Oral Capsule", "1 capsule three times a day for 10 days"}}
	sprain         = ailment{"44465007", "Sprain of ankle", false, []measure{heartRate, systolic, diastolic}, drug{"310965", "ibuprofen 200 MG Oral Tablet", "1 tablet every 6 hours"}}
	anemia         = ailment{"87522002", "Iron deficiency anemia", false, []measure{hemoglobin, heartRate}, drug{"310325", "ferrous sulfate 325 MG Oral Tablet", "1 tablet a day"}}
	pregnancy      = ailment{"72892002", "Normal pregnancy", false, []measure{systolic, diastolic, weight, hemoglobin}, drug{"310325", "ferrous sulfate 325 MG Oral Tablet", "1 tablet a day"}}
)

var people = []person{
	{"amara-okafor", "Amara", "Okafor", "female", "1984-06-02", "Riverton", "555-0101", []ailment{pregnancy, anemia}},
	{"bjorn-astrom", "Björn", "Åström", "male", "1957-11-19", "Riverton", "555-0102", []ailment{hypertension, hyperlipidemia}},
	{"chiara-esposito", "Chiara", "Esposito", "female", "1991-01-30", "Lakeside", "555-0103", []ailment{asthma, pharyngitis}},
	{"daniel-oconnor", "Daniel", "O'Connor", "male", "1972-08-14", "Riverton", "555-0104", []ailment{diabetes, hypertension, sprain}},
	{"elif-yilmaz", "Elif", "Yılmaz", "female", "2015-04-09", "Hillview", "555-0105", []ailment{pharyngitis, bronchitis}},
	{"francois-lefevre", "François", "Lefèvre", "male", "1949-02-27", "Lakeside", "555-0106", []ailment{diabetes, hyperlipidemia, bronchitis}},
	{"grace-mwangi", "Grace", "Mwangi", "female", "1966-12-05", "Hillview", "555-0107", []ailment{hypothyroidism, hypertension}},
	{"hiroshi-tanaka", "Hiroshi", "Tanaka", "male", "1980-10-23", "Riverton", "555-0108", []ailment{sprain, hyperlipidemia}},
	{"ines-garcia", "Inés", "García", "female", "1998-03-16", "Lakeside", "555-0109", []ailment{asthma, anemia}},
	{"jonas-weber", "Jonas", "Weber", "male", "2003-07-01", "Hillview", "555-0110", []ailment{bronchitis, sprain}},
	{"kavya-raman", "Kavya", "Raman", "female", "1977-05-28", "Riverton", "555-0111", []ailment{diabetes, hypothyroidism}},
	{"luis-santos", "Luís", "Santos", "male", "1961-09-11", "Lakeside", "555-0112", []ailment{hypertension, diabetes, bronchitis}},
}

// writeSample writes the bundles, one a line: first the clinic, then a transaction for each patient.
func writeSample(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	if err := e.Encode(clinicBundle()); err != nil {
		return err
	}
	for i, p := range people {
		if err := e.Encode(patientRecord(p, rand.New(rand.NewPCG(sampleSeed, uint64(i))))); err != nil { //nolint:gosec // chance here is no secret
			return err
		}
	}
	return nil
}

// fields is a JSON object; encoding/json writes its members in the order of their names.
type fields map[string]any

func transaction(resources []fields) fields {
	entries := make([]fields, 0, len(resources))
	for _, r := range resources {
		typ, _ := r["resourceType"].(string)
		id, _ := r["id"].(string)
		entries = append(entries, fields{"resource": r, "request": fields{"method": "PUT", "url": typ + "/" + id}})
	}
	return fields{"resourceType": "Bundle", "type": "transaction", "entry": entries}
}

func clinicBundle() fields {
	clinic := fields{
		"resourceType": "Organization", "id": "riverton-clinic", "active": true, "name": "Riverton Clinic",
		"address": []fields{{"line": []string{"1 Mill Lane"}, "city": "Riverton", "country": "US"}},
	}
	doctor := func(id, given, family string) fields {
		return fields{
			"resourceType": "Practitioner", "id": id, "active": true,
			"name": []fields{{"family": family, "given": []string{given}, "prefix": []string{"Dr."}}},
		}
	}
	return transaction([]fields{clinic, doctor("dr-adler", "Ruth", "Adler"), doctor("dr-nwosu", "Chidi", "Nwosu")})
}

// patientRecord tells a person's story as resources.
func patientRecord(p person, chance *rand.Rand) fields {
	resources := []fields{{
		"resourceType": "Patient", "id": p.id, "active": true, "gender": p.gender, "birthDate": p.born,
		"identifier":           []fields{{"system": "https://example.org/riverton/mrn", "value": fmt.Sprintf("R%06d", chance.IntN(1_000_000))}},
		"name":                 []fields{{"use": "official", "family": p.family, "given": []string{p.given}}},
		"telecom":              []fields{{"system": "phone", "value": p.phone, "use": "home"}},
		"address":              []fields{{"line": []string{fmt.Sprintf("%d Station Road", 1+chance.IntN(200))}, "city": p.city, "country": "US"}},
		"managingOrganization": fields{"reference": "Organization/riverton-clinic"},
	}}
	day := sampleStart.AddDate(0, 0, chance.IntN(200))
	for n, a := range p.story {
		visits := 1
		if a.chronic {
			visits = 3 + chance.IntN(3)
		}
		condition := fmt.Sprintf("%s-condition-%d", p.id, n+1)
		for visit := range visits {
			at := day.Add(time.Duration(chance.IntN(36)) * 15 * time.Minute)
			id := fmt.Sprintf("%s-visit-%d-%d", p.id, n+1, visit+1)
			resources = append(resources, p.visit(id, at, a, chance))
			if visit == 0 {
				resources = append(resources, p.condition(condition, id, at, a), p.prescription(fmt.Sprintf("%s-drug-%d", p.id, n+1), id, condition, at, a))
			}
			for m, what := range a.measures {
				resources = append(resources, p.observation(fmt.Sprintf("%s-%d", strings.Replace(id, "visit", "value", 1), m+1), id, at, what, chance))
			}
			day = day.AddDate(0, 0, 60+chance.IntN(90))
		}
	}
	return transaction(resources)
}

func (p person) self() fields {
	return fields{"reference": "Patient/" + p.id, "display": p.given + " " + p.family}
}

func concept(system, code, text string) fields {
	return fields{"coding": []fields{{"system": system, "code": code, "display": text}}, "text": text}
}

func (p person) visit(id string, at time.Time, a ailment, chance *rand.Rand) fields {
	doctor := []string{"Practitioner/dr-adler", "Practitioner/dr-nwosu"}[chance.IntN(2)]
	return fields{
		"resourceType": "Encounter", "id": id, "status": "finished", "subject": p.self(),
		"class":           fields{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB", "display": "ambulatory"},
		"period":          fields{"start": stamp(at), "end": stamp(at.Add(20 * time.Minute))},
		"participant":     []fields{{"individual": fields{"reference": doctor}}},
		"reasonCode":      []fields{concept("http://snomed.info/sct", a.code, a.name)},
		"serviceProvider": fields{"reference": "Organization/riverton-clinic"},
	}
}

func (p person) condition(id, visit string, at time.Time, a ailment) fields {
	status := "active"
	r := fields{
		"resourceType": "Condition", "id": id, "subject": p.self(), "encounter": fields{"reference": "Encounter/" + visit},
		"code":               concept("http://snomed.info/sct", a.code, a.name),
		"category":           []fields{{"coding": []fields{{"system": "http://terminology.hl7.org/CodeSystem/condition-category", "code": "encounter-diagnosis"}}}},
		"verificationStatus": fields{"coding": []fields{{"system": "http://terminology.hl7.org/CodeSystem/condition-ver-status", "code": "confirmed"}}},
		"onsetDateTime":      at.Format(time.DateOnly), "recordedDate": stamp(at),
	}
	if !a.chronic {
		status = "resolved"
		r["abatementDateTime"] = at.AddDate(0, 0, 14).Format(time.DateOnly)
	}
	r["clinicalStatus"] = fields{"coding": []fields{{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": status}}}
	return r
}

func (p person) prescription(id, visit, condition string, at time.Time, a ailment) fields {
	status := "completed"
	if a.chronic {
		status = "active"
	}
	return fields{
		"resourceType": "MedicationRequest", "id": id, "status": status, "intent": "order", "subject": p.self(),
		"medicationCodeableConcept": concept("http://www.nlm.nih.gov/research/umls/rxnorm", a.drug.code, a.drug.name),
		"encounter":                 fields{"reference": "Encounter/" + visit}, "authoredOn": stamp(at),
		"reasonReference":   []fields{{"reference": "Condition/" + condition}},
		"dosageInstruction": []fields{{"text": a.drug.dose}},
	}
}

func (p person) observation(id, visit string, at time.Time, m measure, chance *rand.Rand) fields {
	value := m.low + chance.Float64()*(m.high-m.low)
	return fields{
		"resourceType": "Observation", "id": id, "status": "final", "subject": p.self(),
		"category":          []fields{{"coding": []fields{{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": m.category}}}},
		"code":              concept("http://loinc.org", m.code, m.name),
		"encounter":         fields{"reference": "Encounter/" + visit},
		"effectiveDateTime": stamp(at), "issued": stamp(at.Add(10 * time.Minute)),
		"valueQuantity": fields{
			"value": json.Number(strconv.FormatFloat(value, 'f', m.digits, 64)), "unit": m.unit,
			"system": "http://unitsofmeasure.org", "code": m.unit,
		},
	}
}

func stamp(at time.Time) string { return at.Format("2006-01-02T15:04:05Z07:00") }
