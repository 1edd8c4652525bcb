package server

import (
	"net/url"
	"strings"
	"time"

	"bulkhead/server/fhir"
)

// query returns the parameters of the URL. Echo's own reading drops what it cannot decode; here
// that is refused, since a filter that is dropped shows more than was asked for.
func (r *request) query() (url.Values, error) {
	return parseValues(r.Request().URL.RawQuery)
}

func parseValues(text string) (url.Values, error) {
	values, err := url.ParseQuery(text)
	if err != nil {
		return nil, fhir.Errorf(fhir.Invalid, "The parameters are not well-formed: a broken percent escape, or a semicolon that is not escaped.")
	}
	return values, nil
}

// lenient tells whether the client prefers that what is not understood is ignored
// (http://hl7.org/fhir/R4/search.html#errors).
func (r *request) lenient() bool {
	for _, header := range r.Request().Header.Values("Prefer") {
		for part := range strings.FieldsFuncSeq(header, func(c rune) bool { return c == ',' || c == ';' }) {
			if strings.TrimSpace(part) == "handling=lenient" {
				return true
			}
		}
	}
	return false
}

// shorten cuts what a client sent to a length that fits into an answer.
func shorten(text string) string {
	const most = 60
	if len(text) > most {
		return strings.ToValidUTF8(text[:most], "") + "..."
	}
	return strings.ToValidUTF8(text, "")
}

// moments are the forms of a date or time and how long each lasts.
var moments = []struct {
	layout string
	end    func(time.Time) time.Time // nil: fraction says
}{
	{"2006", func(t time.Time) time.Time { return t.AddDate(1, 0, 0) }},
	{"2006-01", func(t time.Time) time.Time { return t.AddDate(0, 1, 0) }},
	{"2006-01-02", func(t time.Time) time.Time { return t.AddDate(0, 0, 1) }},
	{"2006-01-02T15:04Z07:00", func(t time.Time) time.Time { return t.Add(time.Minute) }},
	{"2006-01-02T15:04:05Z07:00", nil},
}

// fraction is how long the last digit of the seconds in text lasts: "12.50" is exact to 10 ms.
func fraction(text string) time.Duration {
	_, digits, _ := strings.Cut(text, ".")
	unit := time.Second
	for i := 0; i < len(digits) && digits[i] >= '0' && digits[i] <= '9' && unit > time.Microsecond; i++ {
		unit /= 10
	}
	return unit
}

// parseMoment reads a date, dateTime or instant of the parameter name as the time from start up to
// end. Dates are in UTC; digits beyond microseconds are cut.
func parseMoment(name, text string) (start, end time.Time, err error) {
	text = strings.ReplaceAll(text, " ", "+") // a plus sign that was not escaped
	for _, m := range moments {
		if start, err := time.Parse(m.layout, text); err == nil {
			start = start.UTC().Truncate(time.Microsecond)
			if m.end == nil {
				return start, start.Add(fraction(text)), nil
			}
			return start, m.end(start), nil
		}
	}
	return start, end, fhir.Errorf(fhir.ValueInvalid, "%s must be an instant with a time zone, or a date.", name).At(name)
}
