package correlate_test

import (
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tsrun/pipeline/correlate"
	"tsrun/sdk/quantity"
)

const maxFrequency = 1_000_000_000_000 // 1000 ppm

// drawCorrection draws one line or several that follow each other, with steps
// of the clock between them of up to jump ps. About at they are around.
func drawCorrection(t *rapid.T, at uint64, jump int64) correlate.Correction {
	lines := make([]correlate.Line, rapid.IntRange(1, 5).Draw(t, "lines"))
	l := correlate.Line{
		Reference: at + uint64(rapid.Int64Range(-1<<40, 1<<40).Draw(t, "reference")),
		Offset:    rapid.Int64Range(-1<<50, 1<<50).Draw(t, "offset"),
	}
	for i := range lines {
		l.Frequency = quantity.Drift(rapid.Int64Range(-maxFrequency, maxFrequency).Draw(t, "frequency"))
		lines[i] = l
		next := l.Reference + rapid.Uint64Range(uint64(2*jump), 1<<40).Draw(t, "length")
		l.Offset = l.OffsetAt(next) + rapid.Int64Range(-jump, jump).Draw(t, "step")
		l.Reference = next
	}
	c, err := correlate.NewCorrection(lines...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// exactly is a way from clock to clock in rationals, nothing rounded. edge says
// whether t is within 2 ps of a place where one line ends.
type exactly func(t *big.Rat) (fixed *big.Rat, edge bool)

// alongExactly is Apply of lines that are given, in rationals; against is Apply
// of their inverse.
func alongExactly(lines []correlate.Line, against bool) exactly {
	whole := func(v uint64) *big.Rat { return new(big.Rat).SetInt(new(big.Int).SetUint64(v)) }
	return func(t *big.Rat) (*big.Rat, bool) {
		var from, to []*big.Rat
		for _, l := range lines {
			a := whole(l.Reference)
			b := new(big.Rat).Add(a, new(big.Rat).SetInt64(l.Offset))
			if against {
				a, b = b, a
			}
			from, to = append(from, b), append(to, a)
		}
		i, edge := 0, false
		for k := range lines {
			distance := new(big.Rat).Sub(t, from[k])
			if k > 0 && distance.Sign() >= 0 {
				i = k
			}
			edge = edge || k > 0 && distance.Abs(distance).Cmp(big.NewRat(2, 1)) <= 0
		}
		rate := new(big.Rat).Add(big.NewRat(1, 1), big.NewRat(int64(lines[i].Frequency), 1e15))
		if !against {
			rate.Inv(rate)
		}
		fixed := new(big.Rat).Sub(t, from[i])
		fixed.Mul(fixed, rate).Add(fixed, to[i])
		if i+1 < len(lines) && fixed.Cmp(to[i+1]) > 0 {
			fixed = to[i+1]
		}
		return fixed, edge
	}
}

// near fails unless got is within so many ps of want.
func near(t *rapid.T, what string, got uint64, want *big.Rat, ps float64) {
	t.Helper()
	distance := new(big.Rat).Sub(new(big.Rat).SetInt(new(big.Int).SetUint64(got)), want)
	if d, _ := distance.Float64(); d > ps || d < -ps {
		t.Fatalf("%s is %d, %v ps from the exact result", what, got, d)
	}
}

func TestInverseAndChainAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := rapid.SampledFrom([]uint64{1 << 53, 1 << 62, 1<<63 - 3000}).Draw(t, "base")
		first, second := drawCorrection(t, base, 1<<30), drawCorrection(t, base, 1<<30)
		if rapid.Bool().Draw(t, "inverse first") {
			first = first.Inverse()
		}
		// The chain of both and then back again is four steps.
		ways := func(c correlate.Correction, against bool) exactly {
			lines := c.Lines()
			if lines == nil {
				lines, against = c.Inverse().Lines(), !against
			}
			return alongExactly(lines, against)
		}
		steps := []exactly{ways(second, false), ways(first, false), ways(first, true), ways(second, true)}
		chain := correlate.Chain(first, second)
		all := correlate.Chain(correlate.Chain(second.Inverse(), first.Inverse()), chain)
		all2 := correlate.Chain(chain.Inverse(), chain)

		tag := base + uint64(rapid.Int64Range(-1<<52, 1<<52).Draw(t, "distance"))
		exact, edge := new(big.Rat).SetInt(new(big.Int).SetUint64(tag)), false
		for i, step := range steps {
			at := false
			if exact, at = step(exact); at || edge {
				t.Skip("rounding may choose the next line there")
			}
			switch i {
			case 0:
				near(t, "one step", second.Apply(tag), exact, 0.5)
			case 1:
				near(t, "a chain of two", chain.Apply(tag), exact, 2)
			case 3:
				near(t, "there and back", all.Apply(tag), exact, 4)
			}
		}
		if all.Apply(tag) != all2.Apply(tag) {
			t.Fatalf("the inverse of a chain gives %d, the chain of inverses %d", all2.Apply(tag), all.Apply(tag))
		}
	})
}

// TestCorrectionsKeepOrder looks closely where lines meet, with steps of the
// clock to both sides.
func TestCorrectionsKeepOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCorrection(t, 1<<53, 1<<19)
		lines := c.Lines()
		l := lines[rapid.IntRange(0, len(lines)-1).Draw(t, "line")]
		for _, way := range []correlate.Correction{c, c.Inverse(), correlate.Chain(c, c), correlate.Chain(c, c.Inverse())} {
			at := l.Reference
			if rapid.Bool().Draw(t, "on B's scale") {
				at += uint64(l.Offset)
			}
			at += uint64(rapid.Int64Range(-1<<20, 1<<20).Draw(t, "distance"))
			step := rapid.Uint64Range(0, 1<<10).Draw(t, "step")
			var tags, want []uint64
			for range 200 {
				tags, want = append(tags, at), append(want, way.Apply(at))
				at += step
			}
			if !slices.IsSorted(want) {
				t.Fatalf("%v puts %v in another order", way, tags)
			}
			got := way.ApplyAll([]uint64{7}, tags)
			if got[0] != 7 || !slices.Equal(got[1:], want) {
				t.Fatalf("%v: ApplyAll gives %v, Apply %v", way, got[1:], want)
			}
		}
	})
}

// TestApplyAllEqualsApply draws far tags, where the reciprocal is nearly too
// short, and frequencies that make halves.
func TestApplyAllEqualsApply(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := drawFarLine(t)
		at := l.Reference + uint64(rapid.Int64Range(-1<<62, 1<<62).Draw(t, "distance"))
		step := rapid.Uint64Range(0, 1<<40).Draw(t, "step")
		tags := make([]uint64, 1<<12)
		for i := range tags {
			tags[i] = at
			at += step
		}
		there := line(t, l)
		for _, c := range []correlate.Correction{there, there.Inverse()} {
			for i, got := range c.ApplyAll(nil, tags) {
				if want := c.Apply(tags[i]); got != want {
					t.Fatalf("%+v: ApplyAll gives %d for %d, Apply %d", l, got, tags[i], want)
				}
			}
		}
		for i, got := range l.ApplyAll(nil, tags) {
			if want := l.Apply(tags[i]); got != want {
				t.Fatalf("%+v: the line's ApplyAll gives %d for %d, Apply %d", l, got, tags[i], want)
			}
		}
	})
}

func drawFarLine(t *rapid.T) correlate.Line {
	f := rapid.OneOf(
		rapid.Int64Range(-maxFrequency, maxFrequency),
		rapid.SampledFrom([]int64{0, 1, -1, 5, -1000, maxFrequency, -maxFrequency}),
	).Draw(t, "frequency")
	return correlate.Line{
		Reference: rapid.Uint64().Draw(t, "reference"),
		Offset:    rapid.Int64Range(-1<<61, 1<<61).Draw(t, "offset"),
		Frequency: quantity.Drift(f),
	}
}

// TestHalvesAreRoundedAwayFromTheReference holds for both ways of applying, and
// the product falls short of every half by a hair.
func TestHalvesAreRoundedAwayFromTheReference(t *testing.T) {
	back := line(t, correlate.Line{Reference: 1 << 60, Frequency: 1}).Inverse() // 1 ps in 1e15
	for _, tt := range []struct {
		after int64
		want  int64
	}{{499_999_999_999_999, 0}, {500_000_000_000_000, 1}, {-499_999_999_999_999, 0}, {-500_000_000_000_000, -1}, {1_500_000_000_000_000, 2}} {
		tag := uint64(1<<60 + tt.after)
		if got := int64(back.Apply(tag) - tag); got != tt.want {
			t.Errorf("%d ps after the reference: %d, want %d", tt.after, got, tt.want)
		}
		if got := int64(back.ApplyAll(nil, []uint64{tag})[0] - tag); got != tt.want {
			t.Errorf("%d ps after the reference: ApplyAll gives %d, want %d", tt.after, got, tt.want)
		}
	}
}

func TestInverseWhereLinesDoNotMeet(t *testing.T) {
	c, err := correlate.NewCorrection(
		correlate.Line{Reference: 1000, Offset: 100},
		correlate.Line{Reference: 2000, Offset: 150}, // B's clock skips 50 ps
		correlate.Line{Reference: 3000, Offset: 120}, // and shows 30 ps twice
	)
	if err != nil {
		t.Fatal(err)
	}
	inverse := c.Inverse()
	for _, tt := range []struct{ b, a, back uint64 }{
		{500, 400, 500}, {2099, 1999, 2099}, {2100, 2000, 2150}, {2149, 2000, 2150}, {2150, 2000, 2150},
		{3119, 2969, 3119}, {3120, 3000, 3120}, {3200, 3080, 3200},
	} {
		if got := c.Apply(tt.b); got != tt.a {
			t.Errorf("B's %d is A's %d, want %d", tt.b, got, tt.a)
		}
		if got := inverse.Apply(tt.a); got != tt.back {
			t.Errorf("A's %d is B's %d, want %d", tt.a, got, tt.back)
		}
		if got, want := c.OffsetAt(tt.a), int64(tt.back-tt.a); got != want {
			t.Errorf("the offset at A's %d is %d, want %d", tt.a, got, want)
		}
	}
	if got := inverse.Apply(2980); got != 3120 {
		t.Errorf("A's 2980 is B's %d, want 3120: B showed it twice", got)
	}
	if got := c.OffsetAt(999); got != 100 {
		t.Errorf("the offset before the first line is %d, want 100", got)
	}
}

func TestZeroCorrection(t *testing.T) {
	var zero correlate.Correction
	none, err := correlate.NewCorrection()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]correlate.Correction{
		"zero": zero, "no lines": none, "inverse": zero.Inverse(), "chain": correlate.Chain(zero, none),
	} {
		if !c.IsZero() || c.Apply(5) != 5 || c.OffsetAt(5) != 0 || c.Lines() != nil || !slices.Equal(c.ApplyAll([]uint64{1}, []uint64{2, 3}), []uint64{1, 2, 3}) {
			t.Errorf("%s changes something", name)
		}
	}
	some := line(t, correlate.Line{Reference: 10, Offset: 3})
	for name, c := range map[string]correlate.Correction{"before": correlate.Chain(some, zero), "after": correlate.Chain(zero, some)} {
		if c.IsZero() || c.Apply(20) != 17 || !slices.Equal(c.Lines(), some.Lines()) {
			t.Errorf("a zero correction %s another changes it", name)
		}
	}
}

func TestNewCorrectionRefuses(t *testing.T) {
	type lines = []correlate.Line
	for _, tt := range []struct {
		name  string
		lines lines
		want  string
	}{
		{"offset", lines{{Offset: 1<<61 + 1}}, "26 days"},
		{"negative offset", lines{{Offset: -1<<61 - 1}}, "26 days"},
		{"frequency", lines{{Frequency: maxFrequency + 1}}, "1000 ppm"},
		{"negative frequency", lines{{}, {Reference: 5, Frequency: -maxFrequency - 1}}, "1000 ppm"},
		{"one reference twice", lines{{Reference: 5}, {Reference: 5, Offset: 9}}, "line 1 of a correction begins at 5 ps"},
		{"order on A's scale", lines{{Reference: 5}, {Reference: 9}, {Reference: 8, Offset: 99}}, "line 2 of a correction"},
		{"order on B's scale", lines{{Reference: 5, Offset: 10}, {Reference: 9, Offset: 6}}, "9 ps of A and 15 ps of B"},
	} {
		c, err := correlate.NewCorrection(tt.lines...)
		if err == nil || !strings.Contains(err.Error(), tt.want) || !c.IsZero() {
			t.Errorf("%s: %v, want an error with %q", tt.name, err, tt.want)
		}
	}
	var limit *correlate.LimitError
	if _, err := correlate.NewCorrection(correlate.Line{Offset: 1<<61 + 1}); !errors.As(err, &limit) {
		t.Errorf("an offset of a month: %v", err)
	}
}

func TestCorrectionKeepsItsOwnLines(t *testing.T) {
	given := []correlate.Line{{Offset: 5}}
	c, err := correlate.NewCorrection(given...)
	if err != nil {
		t.Fatal(err)
	}
	given[0].Offset = 6
	c.Lines()[0].Offset = 7
	if got := c.Apply(10); got != 5 {
		t.Errorf("a correction by 5 ps carries 10 to %d after others changed their lines", got)
	}
}
