package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"bulkhead/server/fhir"
)

// Limits of a package. Beyond them it is refused.
const (
	maxPackageFiles = 20_000
	maxPackageFile  = 16 << 20
	maxPackageBytes = 512 << 20 // unpacked, all files together
	maxPackageKept  = 128 << 20 // of definitions

	packageLimits = "20,000 files, 16 MiB each, 512 MiB together and 128 MiB of definitions"
)

// packageTypes are the resource types that are installed, in the order in which they are stored.
var packageTypes = []string{
	"CodeSystem", "ValueSet", "ConceptMap", "NamingSystem", "StructureDefinition", "SearchParameter", "OperationDefinition", "CapabilityStatement",
}

// packageContent is what a package holds.
type packageContent struct {
	Name         string            `json:"name"`
	Version      string            `json:"version"`
	FHIRVersions []string          `json:"fhirVersions"`
	FHIRList     []string          `json:"fhir-version-list"` // how older packages call it
	Dependencies map[string]string `json:"dependencies"`

	resources []*packageResource
	skipped   int
	kept      int
}

// packageResource is one definition.
type packageResource struct {
	typ, id, url string
	value        fhir.Value
	base         string // of a profile
}

func (c *packageContent) name() string { return strings.TrimSpace(c.Name + " " + c.Version) }

// fits tells whether the package is for a FHIR version. R4B reads what was written for R4.
func (c *packageContent) fits(version string) bool {
	for _, number := range c.FHIRVersions {
		if strings.HasPrefix(number, "4.0") || version == "r4b" && strings.HasPrefix(number, "4.3") {
			return true
		}
	}
	return len(c.FHIRVersions) == 0
}

// readPackage reads an npm-style FHIR package: a gzipped tar whose folder package holds
// package.json and one resource per file. Nothing is written to disk, and no name in it is used as
// a path; names that lead out of the package are refused all the same, as are links, because a
// package that has them is not what it says. most bounds the bytes unpacked.
func readPackage(r io.Reader, narrative bool, most int64) (*packageContent, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("no gzip: %w", err)
	}
	content := &packageContent{}
	bounded := &io.LimitedReader{R: z, N: most + 1}
	files := tar.NewReader(bounded)
	found := false
	for n := 0; ; n++ {
		header, err := files.Next()
		if errors.Is(err, io.EOF) && bounded.N > 0 {
			break
		}
		switch {
		case bounded.N <= 0:
			return nil, fmt.Errorf("it is longer than %d bytes unpacked", most)
		case err != nil:
			return nil, fmt.Errorf("no tar: %w", err)
		case n >= maxPackageFiles:
			return nil, fmt.Errorf("it has more than %d files", maxPackageFiles)
		}
		text, err := readPackageFile(files, header)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", header.Name, err)
		}
		if text == nil {
			continue
		}
		if path.Clean(header.Name) == "package/package.json" {
			found = true
			err = json.Unmarshal(text, content)
		} else {
			err = content.add(text, narrative)
		}
		if err != nil {
			return nil, fmt.Errorf("%q: %w", header.Name, err)
		}
	}
	if !found {
		return nil, errors.New("it has no package/package.json, so it is no FHIR package")
	}
	if len(content.FHIRVersions) == 0 {
		content.FHIRVersions = content.FHIRList
	}
	content.order()
	return content, nil
}

// readPackageFile returns the text of a file that may be a resource, nil for one that is not.
func readPackageFile(r io.Reader, header *tar.Header) ([]byte, error) {
	switch header.Typeflag {
	case tar.TypeReg, tar.TypeDir, tar.TypeXGlobalHeader:
	default:
		return nil, errors.New("a package holds plain files only, no links and no devices")
	}
	if !filepath.IsLocal(header.Name) || strings.ContainsAny(header.Name, "\\\x00") {
		return nil, errors.New("the name leads out of the package")
	}
	name := path.Clean(header.Name)
	if header.Typeflag != tar.TypeReg || path.Dir(name) != "package" || path.Ext(name) != ".json" || strings.HasPrefix(path.Base(name), ".") {
		return nil, nil
	}
	if header.Size > maxPackageFile {
		return nil, fmt.Errorf("it is longer than %d bytes", maxPackageFile)
	}
	return io.ReadAll(io.LimitReader(r, maxPackageFile))
}

// add takes a file in if it is a definition.
func (c *packageContent) add(text []byte, narrative bool) error {
	v, err := fhir.Parse(string(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))))
	if err != nil {
		return err
	}
	d := &packageResource{typ: v.Get("resourceType").Text(), id: v.Get("id").Text(), url: v.Get("url").Text(), value: v}
	if !slices.Contains(packageTypes, d.typ) || d.url == "" && d.typ != "NamingSystem" || d.id == "" {
		c.skipped++
		return nil
	}
	if !narrative {
		d.value.Members = slices.DeleteFunc(d.value.Members, func(m fhir.Member) bool { return m.Name == "text" })
	}
	if d.typ == "StructureDefinition" && v.Get("derivation").Text() == "constraint" {
		d.base, _, _ = strings.Cut(v.Get("baseDefinition").Text(), "|")
	}
	if c.kept += len(text); c.kept > maxPackageKept {
		return fmt.Errorf("it has more than %d bytes of definitions", maxPackageKept)
	}
	c.resources = append(c.resources, d)
	return nil
}

// order sorts the definitions so that each profile comes after the one that it builds on.
func (c *packageContent) order() {
	byURL := map[string]*packageResource{}
	for _, d := range c.resources {
		if d.typ == "StructureDefinition" {
			byURL[d.url] = d
		}
	}
	depth := func(d *packageResource) (n int) {
		for ; d != nil && n < len(packageTypes)*8; n++ {
			d = byURL[d.base]
		}
		return n
	}
	slices.SortStableFunc(c.resources, func(a, b *packageResource) int {
		if a.typ != b.typ {
			return slices.Index(packageTypes, a.typ) - slices.Index(packageTypes, b.typ)
		}
		if by := depth(a) - depth(b); by != 0 {
			return by
		}
		return strings.Compare(a.url+" "+a.id, b.url+" "+b.id)
	})
}
