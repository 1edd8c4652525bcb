package validate

import (
	"strings"

	"bulkhead/server/definition"
	"bulkhead/server/fhir"
	"bulkhead/server/fhir/ucum"
)

// checkBinding checks a value of a bound element against its required value set, or against the
// maximum one. What cannot be expanded is judged by rule; where there is none, it is accepted.
func (w *walker) checkBinding(field *definition.Field, b *definition.Binding, v *fhir.Value) {
	url := b.Max
	if b.Strength == "required" {
		url = b.ValueSet
	}
	if url == "" {
		return
	}
	set := codes{url: url, rule: rules[url], set: w.set.ValueSet(url)}
	if set.rule == nil && set.set == nil {
		return
	}
	switch {
	case field.Type.Format != definition.NoFormat:
		if text := v.Text(); set.bare(text) == definition.NotMember {
			w.notMember(&set, text)
		}
	case field.Type == w.codeableConcept:
		w.checkConcept(&set, v, b)
	case field.Type == w.codeableReference:
		if concept := v.Get("concept"); concept != nil {
			w.push("concept", -1)
			w.checkConcept(&set, concept, b)
			w.pop()
		}
	case field.Type == w.coding, field.Type == w.quantity:
		if code := v.Get("code"); code != nil && set.has(v.Get("system").Text(), code.Text()) == definition.NotMember {
			w.notMember(&set, code.Text())
		}
	}
}

// checkConcept demands one coding of the value set. A maximum set is only recommended for
// concepts: the specification's own examples leave it.
func (w *walker) checkConcept(set *codes, v *fhir.Value, b *definition.Binding) {
	required := b.Strength == "required"
	codings := v.Get("coding")
	if codings == nil || codings.Kind != fhir.Array {
		if required && v.Get("extension") == nil {
			w.add(fhir.CodeInvalid, "A code of the value set %s is required%s.", set.url, set.examples())
		}
		return
	}
	if len(codings.Items) == 0 {
		return
	}
	for i := range codings.Items {
		c := &codings.Items[i]
		if c.Get("_code") != nil || c.Get("code") == nil && c.Get("extension") != nil {
			return // an extension says why there is no code
		}
		if set.has(c.Get("system").Text(), c.Get("code").Text()) != definition.NotMember {
			return
		}
	}
	code := codings.Items[0].Get("code").Text()
	if !required {
		w.warn(fhir.CodeInvalid, "%s is no code of the largest value set allowed, %s%s.", quote(code), set.url, set.examples())
		return
	}
	w.notMember(set, code)
	w.alsoAt("coding[0].code")
}

func (w *walker) notMember(set *codes, code string) {
	w.add(fhir.CodeInvalid, "%s is no code of the required value set %s%s.", quote(code), set.url, set.examples())
}

// codes is a value set, and the rule for one whose codes are a grammar.
type codes struct {
	url  string
	rule *rule
	set  *definition.ValueSet
}

func (c *codes) bare(code string) definition.Membership {
	if c.rule != nil {
		return member(c.rule.valid(code))
	}
	return c.set.HasCode(code)
}

func (c *codes) has(system, code string) definition.Membership {
	if c.rule != nil {
		return member((system == c.rule.system || c.rule.system == "") && c.rule.valid(code))
	}
	return c.set.Has(system, code)
}

func member(is bool) definition.Membership {
	if is {
		return definition.Member
	}
	return definition.NotMember
}

// examples lists the codes if they are few.
func (c *codes) examples() string {
	if c.rule != nil {
		return ", which is " + c.rule.says
	}
	if some := c.set.Some(12); len(some) > 0 {
		return "; expected: " + strings.Join(some, ", ")
	}
	return ""
}

// rule judges the codes of a value set that nobody can list.
type rule struct {
	system string // "" if only bare codes are bound to it
	valid  func(code string) bool
	says   string
}

var (
	languageRule = &rule{"urn:ietf:bcp:47", isLanguage, "the language tags of BCP 47"}
	mimeRule     = &rule{"urn:ietf:bcp:13", isMIME, "the media types of BCP 13"}
	currencyRule = &rule{"urn:iso:std:iso:4217", isCurrency, "the currency codes of ISO 4217"}
	ucumRule     = &rule{"http://unitsofmeasure.org", ucum.Valid, "the units of UCUM"}
)

var rules = map[string]*rule{
	"http://hl7.org/fhir/ValueSet/all-languages": languageRule,
	"http://hl7.org/fhir/ValueSet/mimetypes":     mimeRule,
	"http://www.rfc-editor.org/bcp/bcp13.txt":    mimeRule,
	"http://hl7.org/fhir/ValueSet/currencies":    currencyRule,
	"http://hl7.org/fhir/ValueSet/ucum-units":    ucumRule,
}

// isLanguage is the form of a BCP 47 tag: a language of 2 to 8 letters and subtags of at most 8
// letters and digits, or private use (x-).
func isLanguage(code string) bool {
	for i, part := range strings.Split(code, "-") {
		if part == "" || len(part) > 8 || !alphanumeric(part) {
			return false
		}
		if i == 0 && (strings.ContainsAny(part, "0123456789") || len(part) == 1 && (code == part || !strings.ContainsAny(part, "xXiI"))) {
			return false
		}
	}
	return true
}

func alphanumeric(text string) bool {
	for i := 0; i < len(text); i++ {
		c := text[i] | 0x20
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' && text[i] < 0x40) {
			return false
		}
	}
	return true
}

// isMIME is type/subtype with parameters (RFC 6838 section 4.2). The elements bound to it allow
// FHIR's own short names of formats as well ("xml | json | ttl | mime type").
func isMIME(code string) bool {
	switch code {
	case "xml", "json", "ttl", "none":
		return true
	}
	name, _, _ := strings.Cut(code, ";")
	kind, sub, ok := strings.Cut(strings.TrimSpace(name), "/")
	return ok && restrictedName(kind) && restrictedName(sub)
}

// restrictedName is the restricted-name of RFC 6838; a * is allowed for a whole part.
func restrictedName(text string) bool {
	if text == "*" {
		return true
	}
	if text == "" || len(text) > 127 || !alphanumeric(text[:1]) {
		return false
	}
	for i := 1; i < len(text); i++ {
		if !alphanumeric(text[i:i+1]) && strings.IndexByte("!#$&-^_.+", text[i]) < 0 {
			return false
		}
	}
	return true
}

// currencies are the alphabetic codes of ISO 4217, and those withdrawn since 2000, which records
// of that time still carry.
const currencies = " AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN BZD " +
	"CAD CDF CHE CHF CHW CLF CLP CNY COP COU CRC CUC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD " +
	"GNF GTQ GYD HKD HNL HRK HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD " +
	"LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN " +
	"PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SLL SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TVD " +
	"TWD TZS UAH UGX USD USN UYI UYU UYW UZS VED VES VND VUV WST XAF XAG XAU XBA XBB XBC XBD XCD XCG XDR XOF XPD XPF XPT XSU " +
	"XTS XUA XXX YER ZAR ZMW ZWG ZWL " +
	"ADP AFA ATS AZM BEF BGL BYR CSD CYP DEM EEK ESP FIM FRF GHC GRD GWP IEP ITL LTL LUF LVL MGF MRO MTL MZM NLG PTE ROL " +
	"SDD SIT SKK SRG STD TMM TRL USS VEB VEF XFU YUM ZMK ZWD ZWN ZWR "

func isCurrency(code string) bool {
	return len(code) == 3 && strings.Contains(currencies, " "+code+" ")
}
