package track_test

import (
	"context"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/track"
	"tsrun/sdk/quantity"
)

// hostileTags are in order, and nothing else is certain.
func hostileTags(t *rapid.T, name string) []uint64 {
	n := rapid.IntRange(0, 3000).Draw(t, name+" tags")
	start := rapid.SampledFrom([]uint64{0, 1 << 40, 1<<64 - 1<<42}).Draw(t, name+" start")
	step := rapid.SampledFrom([]uint64{0, 1, 100, 10_000, 1_000_000, 1_000_000_000}).Draw(t, name+" step")
	burst := rapid.IntRange(1, 500).Draw(t, name+" burst")
	seed := rapid.Uint64().Draw(t, name+" seed")
	tags := make([]uint64, n)
	at := start
	for i := range tags {
		seed = seed*6364136223846793005 + 1442695040888963407
		if i%burst == 0 && step > 0 {
			at += seed>>32%(4*step) + step
		}
		at += seed >> 32 % (step + 1)
		tags[i] = at
	}
	return tags
}

func hostileSeed(t *rapid.T, a, b []uint64) track.Seed {
	weird := rapid.SampledFrom([]float64{0, -1, 1, 300, 1e9, 1e30, math.NaN(), math.Inf(1)})
	s := track.Seed{
		Line: correlate.Line{
			Reference: rapid.Uint64().Draw(t, "reference"), Offset: rapid.Int64Range(-1<<60, 1<<60).Draw(t, "offset"),
			Frequency: quantity.Drift(rapid.Int64Range(-1e12, 1e12).Draw(t, "frequency")),
		},
		OffsetSD: weird.Draw(t, "offset sd"), FrequencySD: weird.Draw(t, "frequency sd"),
		Jitter: weird.Draw(t, "jitter"), PairRate: weird.Draw(t, "rate"),
	}
	if len(a) > 0 && len(b) > 0 && rapid.Bool().Draw(t, "near") {
		s.Line.Reference = a[len(a)/2]
		s.Line.Offset = int64(b[len(b)/2] - a[len(a)/2])
	}
	return s
}

func sound(k track.Knot) bool {
	return !math.IsNaN(k.Offset.Part) && !math.IsNaN(k.Frequency) && k.OffsetSD >= 0 && !math.IsInf(k.OffsetSD, 0) &&
		k.FrequencySD >= 0 && k.Pairs >= 0
}

// TestFollowStandsAnything: whatever the tags are, the answer comes soon, is an
// error or sound, and its correction keeps order.
func TestFollowStandsAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := hostileTags(t, "A"), hostileTags(t, "B")
		if rapid.Bool().Draw(t, "alike") {
			b = slices.Clone(a)
		}
		k, err := track.Follow(context.Background(), a, b, hostileSeed(t, a, b))
		if err != nil {
			return
		}
		for i, q := range k.Knots {
			if !sound(q) || i > 0 && int64(q.Time-k.Knots[i-1].Time) <= 0 {
				t.Fatalf("knot %d: %+v", i, q)
			}
		}
		if !(k.Jitter > 0) || !(k.ChiSquare >= 0) || !sound(k.Straight) || !(k.Accidentals >= 0) {
			t.Fatalf("%+v", k)
		}
		for _, p := range k.Allan {
			if !(p.Deviation >= 0) || !(p.SD >= 0) || !(p.Floor >= 0) {
				t.Fatalf("Allan deviation %+v", p)
			}
		}
		if _, sd := k.At(rapid.Uint64().Draw(t, "time")); math.IsNaN(sd) {
			t.Fatal("standard deviation is not a number")
		}
		c, err := k.Correction()
		if err != nil {
			return // steeper than any clock
		}
		if fixed := c.ApplyAll(nil, b); !slices.IsSortedFunc(fixed, func(x, y uint64) int { return int(int64(x-y) >> 63) }) {
			t.Fatal("corrected tags are out of order")
		}
	})
}

func TestFilterStandsAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := hostileTags(t, "A"), hostileTags(t, "B")
		f := track.NewFilter(hostileSeed(t, a, b))
		for len(a)+len(b) > 0 {
			na, nb := rapid.IntRange(0, len(a)).Draw(t, "of A"), rapid.IntRange(0, len(b)).Draw(t, "of B")
			knots, err := f.Advance(a[:na], b[:nb])
			for _, k := range knots {
				if !sound(k) {
					t.Fatalf("%+v", k)
				}
			}
			if err != nil || na+nb == 0 {
				return
			}
			a, b = a[na:], b[nb:]
		}
	})
}
