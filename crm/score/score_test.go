package score

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestAdd(t *testing.T) {
	for _, c := range []struct{ a, b, want Score }{
		{1, 2, 3}, {-1, 1, 0}, {Infinity, -5, Infinity}, {Infinity, MinusInfinity, MinusInfinity}, {MinusInfinity, Infinity, MinusInfinity},
		{MinusInfinity, 5, MinusInfinity}, {600_000, 600_000, Infinity}, {-600_000, -600_000, MinusInfinity}, {Infinity, Infinity, Infinity},
	} {
		if got := c.a.Add(c.b); got != c.want {
			t.Errorf("%s + %s = %s, want %s", c.a, c.b, got, c.want)
		}
	}
}

func TestTimes(t *testing.T) {
	for _, c := range []struct {
		a    Score
		n    int64
		want Score
	}{
		{3, 4, 12}, {Infinity, 2, Infinity}, {Infinity, -1, MinusInfinity}, {MinusInfinity, -1, Infinity}, {MinusInfinity, 3, MinusInfinity},
		{Infinity, 0, 0}, {0, 7, 0}, {2, math.MaxInt64, Infinity}, {2, math.MinInt64, MinusInfinity}, {-3, math.MaxInt64, MinusInfinity}, {1000, 2000, Infinity},
	} {
		if got := c.a.Times(c.n); got != c.want {
			t.Errorf("%s × %d = %s, want %s", c.a, c.n, got, c.want)
		}
	}
}

func TestParse(t *testing.T) {
	for text, want := range map[string]Score{
		"0": 0, "100": 100, "-5": -5, "+5": 5, "INFINITY": Infinity, "-INFINITY": MinusInfinity, "+INFINITY": Infinity, "infinity": Infinity,
		"1000000": Infinity, "99999999999999999999": Infinity, "-99999999999999999999": MinusInfinity,
	} {
		if got, err := Parse(text); err != nil || got != want {
			t.Errorf("Parse(%q) = %s, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", " ", "x", "1.5", "--1", "+-1", "1 ", " 1", "INF", "-", "0x10"} {
		if got, err := Parse(text); err == nil {
			t.Errorf("Parse(%q) = %s", text, got)
		}
	}
	for text, want := range map[string]Score{"": 7, "x": 7, "1.5": 1, " 12abc": 12, "-3 ": -3, "-infinity": MinusInfinity} {
		if got := ParseOr(text, 7); got != want {
			t.Errorf("ParseOr(%q) = %s, want %s", text, got, want)
		}
	}
}

// Addition against the rules said slowly: in any order, -INFINITY wins.
func TestAddLaws(t *testing.T) {
	draw := rapid.Custom(func(t *rapid.T) Score {
		if rapid.IntRange(0, 3).Draw(t, "bound") == 0 {
			return rapid.SampledFrom([]Score{Infinity, MinusInfinity, 0, 999_999, -999_999}).Draw(t, "edge")
		}
		return Of(rapid.Int64().Draw(t, "score"))
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw.Draw(t, "a"), draw.Draw(t, "b")
		sum := a.Add(b)
		if sum != b.Add(a) || sum > Infinity || sum < MinusInfinity {
			t.Fatalf("%s + %s = %s, reversed %s", a, b, sum, b.Add(a))
		}
		if (a == MinusInfinity || b == MinusInfinity) != (sum == MinusInfinity) && int64(a)+int64(b) > int64(MinusInfinity) {
			t.Fatalf("%s + %s = %s", a, b, sum)
		}
		if a.Neg().Neg() != a || a.Add(0) != a {
			t.Fatalf("laws of %s", a)
		}
		if got, err := Parse(sum.String()); err != nil || got != sum {
			t.Fatalf("%s read as %s, %v", sum, got, err)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"0", "-INFINITY", "+5", "1e6", "99999999999999999999", "٣"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text)
		if err != nil {
			return
		}
		if again, err := Parse(s.String()); err != nil || again != s || ParseOr(text, 7) != s {
			t.Fatalf("%q is %s, then %s, %v, leniently %s", text, s, again, err, ParseOr(text, 7))
		}
	})
}
