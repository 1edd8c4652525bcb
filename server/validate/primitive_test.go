package validate_test

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
	"bulkhead/server/validate"
)

func TestPrimitiveFormats(t *testing.T) {
	t.Parallel()
	tests := []struct {
		format       definition.Format
		valid, wrong []string
	}{
		{
			definition.Date,
			[]string{"2020", "2020-02", "2020-02-29", "0001-01-01", "9999-12-31", "2000-02-29"},
			[]string{"", "20", "0000", "2020-", "2020-13", "2020-00", "2021-02-29", "1900-02-29", "2020-04-31", "2020-1-1", "2020-01-01T00:00:00Z", "2020-01-01 ", "20200101"},
		},
		{
			definition.DateTime,
			[]string{"2020", "2020-02", "2020-02-29", "2020-02-29T23:59:60Z", "2020-02-29T00:00:00.123456789+14:00", "2020-02-29T00:00:00-00:00"},
			[]string{"", "2020-02T00:00:00Z", "2020-02-29T", "2020-02-29T10:00Z", "2020-02-29T10:00:00", "2020-02-29T24:00:00Z", "2020-02-29T10:00:00.Z", "2020-02-29T10:00:00+14:01", "2020-02-29T10:00:00+1:00", "2020-02-29t10:00:00Z", "yesterday"},
		},
		{definition.Instant, []string{"2020-02-29T10:00:00Z", "2020-02-29T10:00:00.5+01:00"}, []string{"", "2020-02-29", "2020-02-29T10:00:00", "2020"}},
		{definition.Time, []string{"00:00:00", "23:59:59.999"}, []string{"", "10:00", "24:00:00", "10:00:00Z", "10:60:00", "10:00:00."}},
		{definition.Code, []string{"a", "a b", "a-b c"}, []string{"", " a", "a ", "a  b", "a\t\tb"}},
		{definition.ID, []string{"a", "A-1.b", strings.Repeat("a", 64)}, []string{"", "a b", "a_b", "ä", strings.Repeat("a", 65)}},
		{definition.URI, []string{"a", "http://x/y", "urn:oid:1.2"}, []string{"", "a b", "a\n"}},
		{definition.OID, []string{"urn:oid:1.2.3", "urn:oid:0.0"}, []string{"", "1.2.3", "urn:oid:3.1", "urn:oid:1", "urn:oid:1.", "urn:oid:1.02", "urn:oid:1..2"}},
		{definition.UUID, []string{"urn:uuid:c757873d-ec9a-4326-a141-556f43239520"}, []string{"", "c757873d-ec9a-4326-a141-556f43239520", "urn:uuid:C757873D-ec9a-4326-a141-556f43239520", "urn:uuid:c757873dxec9a-4326-a141-556f43239520"}},
		{definition.Base64Binary, []string{"YQ==", "YWI=", "YWJj", "YWJj\n YWJj"}, []string{"", " ", "YQ", "YQ=", "Y===", "YQ==YQ==", "YW_j", "*"}},
		{definition.Integer, []string{"0", "1", "-1", "2147483647", "-2147483648"}, []string{"", "-0", "01", "1.0", "1e3", "2147483648", "-2147483649", "+1", "99999999999999"}},
		{definition.UnsignedInt, []string{"0", "2147483647"}, []string{"-1", "-0", "2147483648"}},
		{definition.PositiveInt, []string{"1", "2147483647"}, []string{"0", "-1"}},
		{definition.Decimal, []string{"0", "-0", "1.50", "1e3", "-1.5E-10"}, []string{"", "1.", ".5", "01", "+1", "a", "1 "}},
		{definition.Boolean, []string{"true", "false"}, []string{"", "1", "True"}},
		{definition.String, []string{"a", " ", "a\n\tb", strings.Repeat("ä", 1024*1024)}, []string{"", "a\x01", strings.Repeat("a", 1024*1024+1)}},
	}
	for _, test := range tests {
		for _, text := range test.valid {
			if !validate.Primitive(test.format, text) {
				t.Errorf("format %d refuses %.60q", test.format, text)
			}
		}
		for _, text := range test.wrong {
			if validate.Primitive(test.format, text) {
				t.Errorf("format %d accepts %.60q", test.format, text)
			}
		}
	}
}

// holders says where a value of each type in the corpus may stand, and what else is needed there.
var holders = map[string]string{
	"base64_binary": "base64Binary", "boolean": "boolean", "canonical": "canonical", "code": "code",
	"date_time": "dateTime", "id": "id", "instant": "instant", "integer": "integer", "markdown": "markdown",
	"positive_int": "positiveInt", "reference": "Reference", "time": "time", "unsigned_int": "unsignedInt",
	"uri": "uri", "url": "url", "uuid": "uuid",
}

// TestGooglePrimitives puts each value into an extension. Passed over are null lines and the
// empty xhtml: they follow that project's own parser, where JSON for FHIR has neither.
func TestGooglePrimitives(t *testing.T) {
	t.Parallel()
	dir := filepath.Dir(corpus(t, "validation/google-primitives/code.valid.ndjson"))
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	right, total := 0, 0
	for _, file := range files {
		name, rest, _ := strings.Cut(file.Name(), ".")
		wantValid := strings.HasPrefix(rest, "valid")
		f, err := os.Open(filepath.Join(dir, file.Name()))
		if err != nil {
			t.Fatal(err)
		}
		for scanner := bufio.NewScanner(f); scanner.Scan(); {
			line := strings.TrimSpace(scanner.Text())
			if line == "" || line == "null" || name == "xhtml" && line == `""` {
				continue
			}
			total++
			if valid := googleValue(name, line); valid != wantValid {
				t.Errorf("%s: %s: valid is %v", file.Name(), line, valid)
				continue
			}
			right++
		}
		f.Close()
	}
	t.Logf("google-primitives: %d of %d pass", right, total)
}

func googleValue(name, line string) bool {
	text := `{"resourceType":"Basic","code":{"text":"a"},"text":{"status":"generated","div":` + line + `}}`
	if holder := holders[name]; holder != "" {
		field := "value" + strings.ToUpper(holder[:1]) + holder[1:]
		text = `{"resourceType":"Basic","code":{"text":"a"},"extension":[{"url":"a:b","` + field + `":` + line + `}]}`
	}
	v, err := fhir.Parse(text)
	return err == nil && len(validate.Resource(definition.For(fhir.R4), &v)) == 0
}
