package ucum

import (
	"math/big"
	"strings"
	"testing"
)

func TestCanonicalConverts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ value, unit, want, canonical string }{
		{"4", "mg/dL", "40", "m-3.g"},
		{"1", "1", "1", "1"},
		{"50", "%", "1/2", "1"},
		{"185", "[lb_av]", "8391458845/100000", "g"},
		{"1", "10*3/uL", "1000000000000", "m-3"},
		{"37", "Cel", "31015/100", "K"},
		{"98.6", "[degF]", "31015/100", "K"},
		{"1", "mm[Hg]", "133322", "m-1.s-2.g"},
		{"2", "[iU]/L", "2000", "m-3.[iU]"},
		{"1", "k[IU]/mL", "1000000000", "m-3.[iU]"},
		{"3", "/min", "1/20", "s-1"},
		{"1", "kg.m/s2", "1000", "m.s-2.g"},
		{"1", "{beats}/min", "1/60", "s-1"},
		{"1", "kg{body}", "1000", "g"},
		{"1", "mL/min/{1.73_m2}", "1/60000000", "m3.s-1"},
		{"1e3", "mg", "1", "g"},
		{"1", "(kg.m)/(s2)", "1000", "m.s-2.g"},
		{"1", "Ki.By", "", ""},
		{"1", "KiBy", "8192", "1"},
		{"1", "cal_[15]", "20929/5", "m2.s-2.g"},
	} {
		got, canonical, ok := Canonical(c.value, c.unit)
		if c.want == "" {
			if ok {
				t.Errorf("%s %s: accepted", c.value, c.unit)
			}
			continue
		}
		want, _ := new(big.Rat).SetString(c.want)
		if !ok || got.Cmp(want) != 0 || canonical != c.canonical {
			t.Errorf("%s %s: got %v %s %v, want %s %s", c.value, c.unit, got, canonical, ok, c.want, c.canonical)
		}
	}
}

func TestSpecialScalesAreReadNotConverted(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"[pH]", "dB", "Np", "bit_s"} {
		if !Valid(code) {
			t.Errorf("%s: not read", code)
		}
		if _, _, ok := Canonical("7", code); ok {
			t.Errorf("%s: converted", code)
		}
	}
}

func TestWhatIsNoUnitIsRefused(t *testing.T) {
	t.Parallel()
	for _, code := range []string{
		"", " ", "mg/", "kilogram", "mg//dL", "foo", "m[", "{x", "Cel2", "mg.Cel", "0", "m0", "m999", "(g", "g)", "mi[in_i]",
		strings.Repeat("(", 100) + "g" + strings.Repeat(")", 100), strings.Repeat("m.", 150) + "m", "k%", "é", "{é}",
	} {
		if Valid(code) {
			t.Errorf("%q: accepted", code)
		}
	}
}

func TestEveryAtomResolves(t *testing.T) {
	t.Parallel()
	lines := strings.Split(strings.TrimSpace(table), "\n")
	for _, line := range lines {
		f := strings.Fields(line)
		if !Valid(f[0]) {
			t.Errorf("%s is not read", f[0])
		}
		if !Valid(f[3]) {
			t.Errorf("%s: its unit %s is not read", f[0], f[3])
		}
	}
	t.Logf("%d atoms", len(lines)+len(baseUnits)+len(temperatures))
}

func FuzzLookup(f *testing.F) {
	for _, s := range []string{"mg/dL", "10*3/uL", "[in_i'Hg]", "{a}/min", "(m.s)2", "Cel", "/{x}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, code string) {
		u := parse(code)
		if u == nil || u.Special() {
			return
		}
		x := big.NewRat(7, 2)
		if back := u.FromBase(u.ToBase(x)); back.Cmp(x) != 0 {
			t.Fatalf("%q: %v came back as %v", code, x, back)
		}
		if v := parse(u.Canonical()); v == nil || v.Canonical() != u.Canonical() {
			t.Fatalf("%q: canonical %q is not canonical", code, u.Canonical())
		}
	})
}

func BenchmarkLookup(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Lookup("mmol/L")
	}
}
