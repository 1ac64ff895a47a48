package correlate_test

import (
	"errors"
	"io"
	"math"
	"math/big"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tsrun/pipeline/correlate"
	"tsrun/sdk/quantity"
	"tsrun/sdk/tag"
)

// bases are where integers of 32 or 64 bits and floats of 53 begin to go wrong.
var bases = []uint64{0, 1 << 27, 1 << 32, 1 << 40, 1 << 53, 1<<63 - 3000, math.MaxUint64 - 6000}

// drawTags draws tags in order that start at base and repeat now and then.
func drawTags(t *rapid.T, label string, base uint64) []uint64 {
	steps := rapid.SliceOfN(rapid.Uint64Range(0, 40), 0, 120).Draw(t, label)
	tags := make([]uint64, len(steps))
	for i, d := range steps {
		base += d
		tags[i] = base
	}
	return tags
}

func drawLine(t *rapid.T, base uint64) correlate.Line {
	return correlate.Line{
		Reference: base + rapid.Uint64Range(0, 3000).Draw(t, "reference"),
		Offset:    rapid.Int64Range(-500, 500).Draw(t, "offset"),
		Frequency: quantity.Drift(rapid.Int64Range(-1_000_000_000_000, 1_000_000_000_000).Draw(t, "frequency")),
	}
}

// slowApply is Correction.Apply by big rationals.
func slowApply(c correlate.Line, tag uint64) *big.Int {
	v := new(big.Int).SetUint64(tag)
	ref := new(big.Int).SetUint64(c.Reference)
	v.Sub(v, ref).Sub(v, big.NewInt(c.Offset))
	negative := v.Sign() < 0
	v.Abs(v).Mul(v, big.NewInt(1e15))
	// elapsed - round(elapsed*f/(1+f)), the product rounded half away from zero
	elapsed := new(big.Int).Div(v, big.NewInt(1e15))
	num := new(big.Int).Mul(elapsed, big.NewInt(int64(c.Frequency)))
	minus := num.Sign() < 0
	num.Abs(num)
	den := big.NewInt(1e15 + int64(c.Frequency))
	num.Add(num, new(big.Int).Rsh(den, 1)).Div(num, den)
	if minus {
		num.Neg(num)
	}
	elapsed.Sub(elapsed, num)
	if negative {
		elapsed.Neg(elapsed)
	}
	return ref.Add(ref, elapsed)
}

// pairsOf compares every tag with every tag.
func pairsOf(a, b []uint64, c correlate.Correction, each func(i, j int, delta int64)) {
	for i := range a {
		for j := range b {
			d := slowApply(c.Lines()[0], b[j])
			d.Sub(d, new(big.Int).SetUint64(a[i]))
			each(i, j, d.Int64())
		}
	}
}

func TestCorrectionIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := correlate.Line{
			Reference: rapid.Uint64Range(0, 1<<63).Draw(t, "reference"),
			Offset:    rapid.Int64Range(-1<<61, 1<<61).Draw(t, "offset"),
			Frequency: quantity.Drift(rapid.Int64Range(-1_000_000_000_000, 1_000_000_000_000).Draw(t, "frequency")),
		}
		tag := c.Reference + uint64(rapid.Int64Range(-1<<60, 1<<60).Draw(t, "distance"))
		if c.Reference < 1<<61 && tag > 1<<63 {
			t.Skip("before zero")
		}
		want := slowApply(c, tag)
		got := new(big.Int).SetUint64(c.Apply(tag))
		modulus := new(big.Int).Lsh(big.NewInt(1), 64)
		if want.Mod(want, modulus).Cmp(got) != 0 {
			t.Fatalf("%+v: Apply(%d) = %v, want %v", c, tag, got, want)
		}
		if later := c.Apply(tag + 1); int64(later-c.Apply(tag)) < 0 {
			t.Fatalf("%+v swaps %d and the tag after it", c, tag)
		}
		if all := c.ApplyAll(nil, []uint64{tag}); all[0] != c.Apply(tag) {
			t.Fatalf("ApplyAll gives %d, Apply %d", all[0], c.Apply(tag))
		}
	})
}

func TestCorrectionSubtractsTheOffset(t *testing.T) {
	c := correlate.Line{Reference: 1_000_000_000_000, Offset: 400_000, Frequency: 12_000_000} // 400 ns, 12 ppb
	// One second after the reference B's clock shows 400 ns and 12 ns more.
	if got := c.Apply(2_000_000_412_000); got != 2_000_000_000_000 {
		t.Errorf("Apply gives %d", got)
	}
	if got := c.OffsetAt(2_000_000_000_000); got != 412_000 {
		t.Errorf("OffsetAt gives %d", got)
	}
	if got := c.OffsetAt(0); got != 388_000 {
		t.Errorf("OffsetAt before the reference gives %d", got)
	}
	if got := (correlate.Line{Offset: 10}).Apply(3); int64(got-5) != -12 {
		t.Errorf("a time before zero is %d from 5, want -12", int64(got-5))
	}
}

func TestHistogramEqualsBruteForce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := rapid.SampledFrom(bases).Draw(t, "base")
		a, b := drawTags(t, "a", base), drawTags(t, "b", base)
		o := correlate.HistogramOptions{Bin: rapid.Int64Range(1, 9).Draw(t, "bin"), Correction: line(t, drawLine(t, base))}
		o.Range = o.Bin * rapid.Int64Range(1, 60).Draw(t, "bins")
		want := make([]uint64, 2*o.Range/o.Bin)
		pairsOf(a, b, o.Correction, func(_, _ int, d int64) {
			if d >= -o.Range && d < o.Range {
				want[(d+o.Range)/o.Bin]++
			}
		})
		got, err := correlate.Count(a, b, o)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got.Counts); diff != "" {
			t.Fatal(diff)
		}
		if got.Start != -o.Range || got.TagsA != uint64(len(a)) || got.TagsB != uint64(len(b)) {
			t.Fatalf("got %+v", got)
		}
	})
}

func TestHistogramOfWideBins(t *testing.T) {
	// Bins and ranges beyond 32 bits take the slow division.
	a := []uint64{0, 1 << 40, 1 << 41}
	got, err := correlate.Count(a, a, correlate.HistogramOptions{Range: 1 << 42, Bin: 1 << 40})
	if err != nil {
		t.Fatal(err)
	}
	if want := []uint64{0, 0, 1, 2, 3, 2, 1, 0}; !slices.Equal(got.Counts, want) {
		t.Errorf("counts %v, want %v", got.Counts, want)
	}
}

// TestLargeInputs walks more tags than one chunk holds, with rates so unequal
// that either side has to wait for the other.
func TestLargeInputs(t *testing.T) {
	for _, step := range []struct{ a, b uint64 }{{1000, 1000}, {1000, 7}, {7, 1000}, {100_000, 3}} {
		var a, b []uint64
		for x := uint64(0); x < 400_000; x += step.a {
			a = append(a, x)
		}
		for x := uint64(0); x < 400_000; x += step.b {
			b = append(b, x)
		}
		got, err := correlate.Count(a, b, correlate.HistogramOptions{Range: 2100, Bin: 300})
		if err != nil {
			t.Fatal(err)
		}
		want := make([]uint64, 14)
		for _, x := range a {
			for k := range want {
				lo, hi := int64(x)-2100+300*int64(k), int64(x)-1800+300*int64(k)
				from, _ := slices.BinarySearch(b, uint64(max(lo, 0)))
				to, _ := slices.BinarySearch(b, uint64(max(hi, 0)))
				want[k] += uint64(to - from)
			}
		}
		if !slices.Equal(got.Counts, want) {
			t.Errorf("steps %v: counts %v, want %v", step, got.Counts, want)
		}
	}
}

// trickle hands out one tag, then none, then one.
type trickle struct {
	tags  []uint64
	empty bool
}

func (s *trickle) Next(buf []uint64) (int, error) {
	if s.empty = !s.empty; s.empty {
		return 0, nil
	}
	if len(s.tags) == 0 {
		return 0, io.EOF
	}
	buf[0], s.tags = s.tags[0], s.tags[1:]
	return 1, nil
}

type broken struct{ err error }

func (s broken) Next([]uint64) (int, error) { return 0, s.err }

func TestStreams(t *testing.T) {
	tags := []uint64{10, 20, 30, 40}
	o := correlate.HistogramOptions{Range: 15, Bin: 5}
	whole, err := correlate.Count(tags, tags, o)
	if err != nil {
		t.Fatal(err)
	}
	parts, err := correlate.CountStreams(&trickle{tags: tags}, &trickle{tags: tags}, o)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(whole, parts); diff != "" {
		t.Error(diff)
	}
	torn := errors.New("torn")
	if _, err := correlate.CountStreams(tag.NewReader(tags), broken{torn}, o); err != torn {
		t.Errorf("a broken stream gives %v", err)
	}
	if _, err := correlate.CountStreams(broken{nil}, tag.NewReader(tags), o); err == nil {
		t.Error("a stream that never ends is not noticed")
	}
}

func TestHostileInput(t *testing.T) {
	zeros := make([]uint64, 1<<19)
	o := correlate.HistogramOptions{Range: 1000, Bin: 1}
	var order *correlate.OrderError
	var span *correlate.SpanError
	var limit *correlate.LimitError
	if _, err := correlate.Count(zeros, zeros, o); !errors.As(err, &limit) {
		t.Errorf("2^38 pairs at one time: %v", err)
	}
	if _, err := correlate.Count([]uint64{5, 7, 6}, nil, o); !errors.As(err, &order) || *order != (correlate.OrderError{Stream: "A", Index: 2, Tag: 6, Previous: 7}) {
		t.Errorf("A out of order: %v", err)
	}
	if _, err := correlate.Count(nil, []uint64{5, 4}, o); !errors.As(err, &order) || order.Stream != "B" {
		t.Errorf("B out of order: %v", err)
	}
	if _, err := correlate.Count([]uint64{1}, []uint64{math.MaxUint64}, o); !errors.As(err, &span) {
		t.Errorf("B half an age after A: %v", err)
	}
	for _, bad := range []correlate.HistogramOptions{
		{Range: 10}, {Bin: 1}, {Range: 10, Bin: 3}, {Range: 1 << 40, Bin: 1}, {Range: math.MaxInt64, Bin: math.MaxInt64},
	} {
		if _, err := correlate.Count(zeros[:2], zeros[:2], bad); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}
