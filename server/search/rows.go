package search

import (
	"cmp"
	"fmt"
	"slices"
)

// Rows is what one resource puts into the index tables. Each list is sorted and without
// duplicates, so that the rows of two versions can be compared by merging.
type Rows struct {
	Tokens     []Token
	Strings    []String
	Dates      []Date
	Numbers    []Number
	References []Reference
	URIs       []URI
	Composites []Composite
	// Hashes go into resource.tokens: TokenHash and SystemTokenHash of every token.
	Hashes []int64
}

// Token is a row of index_token. System is "" where the resource gives none, and for elements of
// type code, whose system is that of their binding.
type Token struct {
	Param        int32
	Code, System string
}

// String is a row of index_string: the folded value, and a hash of the original.
type String struct {
	Param int32
	Value string
	Hash  int64
}

// Date is a row of index_date: the interval [Lo, Hi) in microseconds since 1970. The ends of
// int64 mean that a period is open. Wide marks intervals of more than 366 days, which searches
// look for apart.
type Date struct {
	Param  int32
	Lo, Hi int64
	Wide   bool
}

// Number is a row of index_number. Unit is
//
//	""              a number, or the value of a quantity whatever its unit
//	"|mg"           the value of a quantity with the code or unit mg, whatever the system
//	"system|code"   the value in the unit of another system than UCUM
//	"=m-3.g"        the value in UCUM base units
//
// with "~" before it for a Range, SampledData or a quantity with a comparator, for which [Lo, Hi]
// is what it covers ("~=" and "~?" if it has one limit), and for a number of very low precision
// (isNarrow). Otherwise [Lo, Hi] is the
// value with its implicit precision, half a unit of the last digit to both sides.
type Number struct {
	Param  int32
	Unit   string
	Lo, Hi float64
}

// Reference is a row of index_reference. TargetType is 0 for what is no resource of the project:
// TargetID is then the URL, or the text as it stands.
type Reference struct {
	Param      int32
	TargetType int16
	TargetID   string
}

// URI is a row of index_uri.
type URI struct {
	Param int32
	Value string
}

// Composite is a row of index_composite, one tuple of component values: the first and second
// component that is a token, reference or URI in Code, System, Code2, System2 (of a reference the
// id and the type's name), the first and second that is a date (epoch seconds), number or
// quantity in Lo, Hi, Lo2, Hi2 with the Unit of a quantity, and a folded string in Value. N
// tells the rows of one parameter and code apart.
type Composite struct {
	Param        int32
	Code, System string
	Code2        string
	System2      string
	Lo, Hi       float64
	Unit         string
	Value        string
	Lo2, Hi2     float64
	N            int16
}

func (r *Rows) finish() {
	r.Tokens = distinct(r.Tokens, func(a, b Token) int {
		return cmp.Or(cmp.Compare(a.Param, b.Param), cmp.Compare(a.Code, b.Code), cmp.Compare(a.System, b.System))
	})
	r.Strings = distinct(r.Strings, func(a, b String) int {
		return cmp.Or(cmp.Compare(a.Param, b.Param), cmp.Compare(a.Value, b.Value), cmp.Compare(a.Hash, b.Hash))
	})
	r.Dates = distinct(r.Dates, func(a, b Date) int {
		return cmp.Or(cmp.Compare(a.Param, b.Param), cmp.Compare(a.Lo, b.Lo), cmp.Compare(a.Hi, b.Hi))
	})
	r.Numbers = distinct(r.Numbers, func(a, b Number) int {
		return cmp.Or(cmp.Compare(a.Param, b.Param), cmp.Compare(a.Unit, b.Unit), cmp.Compare(a.Lo, b.Lo), cmp.Compare(a.Hi, b.Hi))
	})
	r.References = distinct(r.References, func(a, b Reference) int {
		return cmp.Or(cmp.Compare(a.Param, b.Param), cmp.Compare(a.TargetType, b.TargetType), cmp.Compare(a.TargetID, b.TargetID))
	})
	r.URIs = distinct(r.URIs, func(a, b URI) int {
		return cmp.Or(cmp.Compare(a.Param, b.Param), cmp.Compare(a.Value, b.Value))
	})
	r.Composites = distinct(r.Composites, compareComposites)
	r.numberComposites()
	if n := len(r.Tokens); n > 0 {
		r.Hashes = make([]int64, 0, 2*n)
		for _, t := range r.Tokens {
			r.Hashes = append(r.Hashes, TokenHash(t.Param, t.Code), SystemTokenHash(t.Param, t.System, t.Code))
		}
		slices.Sort(r.Hashes)
		r.Hashes = slices.Compact(r.Hashes)
	}
}

func compareComposites(a, b Composite) int {
	return cmp.Or(
		cmp.Compare(a.Param, b.Param), cmp.Compare(a.Code, b.Code), cmp.Compare(a.System, b.System),
		cmp.Compare(a.Code2, b.Code2), cmp.Compare(a.System2, b.System2),
		cmp.Compare(a.Lo, b.Lo), cmp.Compare(a.Hi, b.Hi), cmp.Compare(a.Unit, b.Unit),
		cmp.Compare(a.Value, b.Value), cmp.Compare(a.Lo2, b.Lo2), cmp.Compare(a.Hi2, b.Hi2))
}

func distinct[T comparable](rows []T, compare func(a, b T) int) []T {
	slices.SortFunc(rows, compare)
	return slices.Compact(rows)
}

// numberComposites gives each tuple a number made of its content, so that it keeps its key when
// other tuples come and go; of two with the same number the later one moves on.
func (r *Rows) numberComposites() {
	type place struct {
		param int32
		code  string
		n     int16
	}
	taken := make(map[place]bool, len(r.Composites))
	for i := range r.Composites {
		c := &r.Composites[i]
		text := fmt.Sprint(c.System, "|", c.Code2, "|", c.System2, "|", c.Lo, c.Hi, c.Unit, "|", c.Value, "|", c.Lo2, c.Hi2)
		p := place{c.Param, c.Code, int16(hash64(text))}
		for taken[p] {
			p.n++
		}
		taken[p] = true
		c.N = p.n
	}
}
