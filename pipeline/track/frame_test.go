package track

import (
	"math"
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"tsrun/pipeline/correlate"
	"tsrun/sdk/quantity"
)

func TestOffsetIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := correlate.Line{
			Reference: rapid.Uint64().Draw(t, "reference"), Offset: rapid.Int64Range(-1<<60, 1<<60).Draw(t, "offset"),
			Frequency: quantity.Drift(rapid.Int64Range(-1e12, 1e12).Draw(t, "frequency")),
		}
		at := rapid.Uint64().Draw(t, "time")
		got := newFrame(Seed{Line: l}).offsetAt(at)
		want := new(big.Rat).SetFrac(new(big.Int).Mul(big.NewInt(int64(at-l.Reference)), big.NewInt(int64(l.Frequency))), big.NewInt(1e15))
		want.Add(want, new(big.Rat).SetInt64(l.Offset)).Sub(want, new(big.Rat).SetInt64(got.Whole))
		if part, _ := want.Float64(); math.Abs(part-got.Part) > 1e-9 {
			t.Fatalf("part %g, should be %g", got.Part, part)
		}
	})
}

// TestCollectFindsEveryPair compares with looking at every pair of tags.
func TestCollectFindsEveryPair(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tags := func(name string, start uint64) []uint64 {
			v := rapid.SliceOfN(rapid.Uint64Range(0, 2_000_000), 0, 200).Draw(t, name)
			slices.Sort(v)
			for i := range v {
				v[i] += start
			}
			return v
		}
		reference := rapid.SampledFrom([]uint64{0, 40_000_000_000_000_000, 1<<64 - 1_000_000}).Draw(t, "reference")
		l := correlate.Line{Reference: reference, Offset: rapid.Int64Range(-1e15, 1e15).Draw(t, "offset"),
			Frequency: quantity.Drift(rapid.Int64Range(-1e12, 1e12).Draw(t, "frequency"))}
		a, b := tags("A", reference), tags("B", reference+uint64(l.Offset))
		m := aim{
			centre: 1_000_000, half: rapid.Float64Range(1, 50_000).Draw(t, "half"),
			x: rapid.Float64Range(-1e5, 1e5).Draw(t, "x"), y: rapid.Float64Range(-1e-4, 1e-4).Draw(t, "y"),
		}
		c := collector{frame: newFrame(Seed{Line: l})}
		got, stride := c.collect(a, b, m, 1<<20)
		var want []point
		for _, ta := range a {
			for _, tb := range b {
				d := quantity.Fine{Whole: int64(tb - ta)}.Minus(c.offsetAt(ta))
				if p := (point{c.since(ta), d}); math.Abs(m.off(p)) <= m.half {
					want = append(want, p)
				}
			}
		}
		same := func(p, q point) bool { return p.at == q.at && math.Abs(p.d-q.d) < 1e-5 }
		if stride != 1 || !slices.EqualFunc(got, want, same) {
			t.Fatalf("%d pairs of %d: %v, %v", len(got), len(want), got, want)
		}
		if few, stride := c.collect(a, b, m, 10); len(few) > 20+len(b) || stride == 1 && len(few) < min(len(want), 10) {
			t.Fatalf("%d pairs where 10 are asked for, stride %d", len(few), stride)
		}
	})
}
