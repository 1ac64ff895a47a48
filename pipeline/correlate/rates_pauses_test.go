package correlate_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"tsrun/pipeline/correlate"
	"tsrun/sdk/tag"
)

// TestRatesOfShots: between the shots of a record nothing was recorded, which is neither
// a silence nor time of its rate, whatever clock and gaps it has.
func TestRatesOfShots(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		offset := rapid.SampledFrom([]int64{0, 1000, -7777, 5_000_000}).Draw(t, "offset")
		correction, err := correlate.NewCorrection(correlate.Line{Offset: offset})
		if err != nil {
			t.Fatal(err)
		}
		var tags, breaks []uint64
		var pauses []correlate.Gap
		var count, recorded int64
		at, before := uint64(0), int64(-1)
		for shot := range rapid.IntRange(1, 5).Draw(t, "shots") {
			if shot > 0 {
				at += rapid.SampledFrom([]uint64{1, 50, 100_000}).Draw(t, "pause") // some shorter than many a silence
				breaks = append(breaks, at)
			}
			n := rapid.SampledFrom([]int{0, 1, 2, 20, 20_000}).Draw(t, "tags") // of few every silence is kept
			gaps := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
			for i := range n {
				at += gaps.Uint64N(1000)
				tags = append(tags, at)
				now := int64(at) - offset
				switch {
				case i > 0:
					recorded += now - before
					count++
				case before >= 0 || len(tags) > 1:
					pauses = append(pauses, correlate.Gap{From: before, To: now})
				}
				before = now
			}
			at++
		}
		bin := rapid.SampledFrom([]int64{700, 30_000, 1_000_000}).Draw(t, "bin")
		r, err := correlate.CountRates([]correlate.Channel{{Tags: tag.NewReader(tags), Correction: correction, Breaks: breaks}}, bin)
		if err != nil {
			t.Fatal(err)
		}
		c := r.Channels[0]
		if c.Tags != uint64(len(tags)) || !slices.Equal(c.Pauses, pauses) {
			t.Fatalf("%d tags with pauses %v, want %d with %v", c.Tags, c.Pauses, len(tags), pauses)
		}
		if recorded == 0 && c.Rate.Known() || recorded > 0 && (c.Recording() != recorded || math.Abs(float64(c.Rate)-float64(count)/float64(recorded)*1e12) > 1e-6*float64(c.Rate)) {
			t.Fatalf("rate %v in %d ps, want of %d in %d ps", c.Rate, c.Recording(), count, recorded)
		}
		for _, g := range c.Gaps {
			if slices.Contains(pauses, g) {
				t.Fatalf("a pause among the silences: %v", g)
			}
		}
		for k := range c.Counts {
			low, high := r.Start+int64(k)*bin, r.Start+int64(k+1)*bin
			within, touched := false, false
			for _, p := range pauses {
				within = within || p.From < low && high <= p.To
				touched = touched || p.From < high && low < p.To
			}
			spans := c.Tags > 0 && c.First < high && c.Last >= low
			if got := r.Recorded(0, k); got != (spans && !within) || within && c.Counts[k] > 0 {
				t.Fatalf("bin %d: recorded %v, spans %v, within a pause %v, %d tags", k, got, spans, within, c.Counts[k])
			}
			if got := r.Whole(0, k); got != (c.Tags > 0 && c.First <= low && c.Last >= high-1 && !touched) {
				t.Fatalf("bin %d: whole %v", k, got)
			}
		}
	})
}
