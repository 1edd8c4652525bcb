package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// source holds the definitions of one release, each list sorted by URL.
type source struct {
	structures   []structureDef
	params       []rawSearchParam
	compartments []rawCompartment
	operations   []rawOperation
	valueSets    map[string]*rawValueSet
	codeSystems  map[string]*rawCodeSystem
	terms        map[termKey]term // what the operations on terminology need
	alsoTerms    map[termKey]term // likewise of the folder that fills the gaps
}

type structureDef struct {
	URL        string `json:"url"`
	Kind       string `json:"kind"`
	Type       string `json:"type"`
	Abstract   bool   `json:"abstract"`
	Base       string `json:"baseDefinition"`
	Derivation string `json:"derivation"`
	Snapshot   struct {
		Element []rawElement `json:"element"`
	} `json:"snapshot"`
}

type rawElement struct {
	Path             string                `json:"path"`
	Min              int                   `json:"min"`
	Max              string                `json:"max"`
	Base             struct{ Path string } `json:"base"`
	ContentReference string                `json:"contentReference"`
	IsModifier       bool                  `json:"isModifier"`
	IsSummary        bool                  `json:"isSummary"`
	Type             []struct {
		Code          string         `json:"code"`
		TargetProfile []string       `json:"targetProfile"`
		Profile       []string       `json:"profile"`
		Extension     []rawExtension `json:"extension"`
	} `json:"type"`
	Binding *struct {
		Strength  string         `json:"strength"`
		ValueSet  string         `json:"valueSet"`
		Extension []rawExtension `json:"extension"`
	} `json:"binding"`
	Constraint []struct {
		Key        string `json:"key"`
		Severity   string `json:"severity"`
		Human      string `json:"human"`
		Expression string `json:"expression"`
	} `json:"constraint"`
}

type rawExtension struct {
	URL            string `json:"url"`
	ValueCanonical string `json:"valueCanonical"`
	ValueURL       string `json:"valueUrl"`
}

type rawSearchParam struct {
	searchParam
}

type rawCompartment struct {
	ID       string `json:"id"`
	URL      string `json:"url"`
	Code     string `json:"code"`
	Resource []struct {
		Code  string   `json:"code"`
		Param []string `json:"param"`
	} `json:"resource"`
}

type rawOperation struct {
	ID       string   `json:"id"`
	URL      string   `json:"url"`
	Code     string   `json:"code"`
	Resource []string `json:"resource"`
	System   bool     `json:"system"`
	Type     bool     `json:"type"`
	Instance bool     `json:"instance"`
	Affects  bool     `json:"affectsState"`
}

type rawValueSet struct {
	URL     string `json:"url"`
	Compose struct {
		Include []rawInclude `json:"include"`
		Exclude []rawInclude `json:"exclude"`
	} `json:"compose"`
}

type rawInclude struct {
	System  string `json:"system"`
	Concept []struct {
		Code string `json:"code"`
	} `json:"concept"`
	Filter []struct {
		Property string `json:"property"`
		Op       string `json:"op"`
		Value    string `json:"value"`
	} `json:"filter"`
	ValueSet []string `json:"valueSet"`
}

type rawCodeSystem struct {
	URL     string       `json:"url"`
	Content string       `json:"content"`
	Concept []rawConcept `json:"concept"`
}

type rawConcept struct {
	Code     string       `json:"code"`
	Concept  []rawConcept `json:"concept"`
	Property []struct {
		Code      string `json:"code"`
		ValueCode string `json:"valueCode"`
	} `json:"property"`
}

// readSource reads every definition in dir, and the terminology in also that dir lacks.
func readSource(dir, also string) (*source, error) {
	s, err := readFolder(dir)
	if err != nil || also == "" {
		return s, err
	}
	more, err := readFolder(also)
	if err != nil {
		return nil, err
	}
	s.alsoTerms = more.terms
	for url, set := range more.valueSets {
		if s.valueSets[url] == nil {
			s.valueSets[url] = set
		}
	}
	for url, system := range more.codeSystems {
		if s.codeSystems[url] == nil {
			s.codeSystems[url] = system
		}
	}
	return s, nil
}

func readFolder(dir string) (*source, error) {
	s := &source{valueSets: map[string]*rawValueSet{}, codeSystems: map[string]*rawCodeSystem{}, terms: map[termKey]term{}}
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		name := filepath.Join(dir, file.Name())
		switch {
		case strings.HasSuffix(name, ".schema.json.gz"):
		case strings.HasSuffix(name, ".ndjson.gz"):
			err = s.readLines(name)
		case strings.HasSuffix(name, ".json"):
			var text []byte
			if text, err = os.ReadFile(name); err == nil {
				err = s.add(text)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	sort.Slice(s.structures, func(i, j int) bool { return s.structures[i].URL < s.structures[j].URL })
	sort.Slice(s.params, func(i, j int) bool { return s.params[i].ID < s.params[j].ID })
	sort.Slice(s.compartments, func(i, j int) bool { return s.compartments[i].URL < s.compartments[j].URL })
	sort.Slice(s.operations, func(i, j int) bool { return s.operations[i].URL < s.operations[j].URL })
	return s, nil
}

func (s *source) readLines(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		if err := s.add(bytes.Clone(lines.Bytes())); err != nil {
			return err
		}
	}
	return lines.Err()
}

// add files one resource; what the generator does not use is passed over. Packages carry
// example instances beside definitions, so only those of the specification itself are taken.
func (s *source) add(text []byte) error {
	var head struct {
		ResourceType, ID, URL string
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return err
	}
	example := strings.HasPrefix(head.ID, "example")
	switch head.ResourceType {
	case "StructureDefinition":
		var d structureDef
		if err := json.Unmarshal(text, &d); err != nil {
			return err
		}
		if d.Derivation != "constraint" && d.Kind != "logical" && strings.HasPrefix(d.URL, specURL) {
			s.structures = append(s.structures, d)
		}
	case "SearchParameter":
		var p rawSearchParam
		if err := json.Unmarshal(text, &p); err != nil || example || len(p.Base) == 0 {
			return err
		}
		s.params = append(s.params, p)
	case "CompartmentDefinition":
		var c rawCompartment
		if err := json.Unmarshal(text, &c); err != nil || example {
			return err
		}
		s.compartments = append(s.compartments, c)
	case "OperationDefinition":
		var o rawOperation
		if err := json.Unmarshal(text, &o); err != nil || example {
			return err
		}
		if strings.HasPrefix(o.URL, "http://hl7.org/fhir/OperationDefinition/") {
			s.operations = append(s.operations, o)
		}
	case "ValueSet":
		v := new(rawValueSet)
		if err := json.Unmarshal(text, v); err != nil {
			return err
		}
		s.valueSets[v.URL] = v
		return s.addTerm(head.ResourceType, head.URL, text)
	case "ConceptMap":
		return s.addTerm(head.ResourceType, head.URL, text)
	case "CodeSystem":
		c := new(rawCodeSystem)
		if err := json.Unmarshal(text, c); err != nil {
			return err
		}
		s.codeSystems[c.URL] = c
		return s.addTerm(head.ResourceType, head.URL, text)
	}
	return nil
}
