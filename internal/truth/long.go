package main

import (
	"context"
	"math"

	"tsrun/internal/pairs"
	"tsrun/pipeline/align"
)

var bright = pairs.Light{Rate: 5e6, Share: 0.02, Jitter: 200, Frequency: 50e-9, Offset: 5 * millisecond}

// long are records of which only a part can be held at once.
var long = table{name: "long", about: "records in parts, 2 % pairs among strong light, 200 ps, 50 ppb, 5 ms, at the default limits", run: func(r *report) {
	r.row("tags a side", "counts/s", "most held", "parts", "pairs", "found", "not found s", "error at start, middle, end ps", "pulls", "last knot before the end s")
	type record struct {
		tags, most int
		rate       float64
	}
	records := []record{{30e6, align.MaxTags, 5e6}, {100e6, align.MaxTags, 5e6}}
	if r.part {
		records = []record{{5e6, 2e6, 1e6}}
	}
	for _, c := range records {
		l := bright
		l.Seed, l.Tags, l.Rate = 1, c.tags, c.rate
		found, err := align.AlignParts(context.Background(), l.A(), l.B(), defaults, c.most)
		if err != nil {
			r.row(c.tags, c.rate, c.most, "", "", err)
			r.want(false, "%d tags: %v", c.tags, err)
			continue
		}
		unknown, last := 0.0, found.Start+uint64(found.Overlap)
		for _, g := range found.Refused {
			unknown += float64(g.To-g.From) * 1e-12
		}
		var misses, pulls []float64
		for _, at := range []uint64{found.Start, found.Start + uint64(found.Overlap)/2, last} {
			x, sd := found.OffsetAt(at)
			miss := float64(x.Whole-l.Offset) + x.Part - l.Frequency*float64(at)
			misses, pulls = append(misses, math.Round(100*miss)/100), append(pulls, math.Round(100*miss/sd)/100)
		}
		knots, share := found.Track.Knots, float64(found.Pairs)/l.Pairs()
		open := float64(last-knots[len(knots)-1].Time) * 1e-12
		r.row(c.tags, c.rate, c.most, found.Count, found.Pairs, share, unknown, misses, pulls, open)
		r.want(math.Abs(share-1) < 0.01, "%d tags: %d pairs of %.0f", c.tags, found.Pairs, l.Pairs())
		r.want(unknown == 0 && open < 0.2, "%d tags: not found in %.1f s, no knots in the last %.1f s", c.tags, unknown, open)
		r.want(within(pulls, 4) == 1, "%d tags: pulls %v", c.tags, pulls)
	}
}}

// strong is light with so many accidental pairs that one correlation of it does
// not show the offset.
var strong = table{name: "strong", about: "pairs among strong light, 20 ppm, 20 ms: S = p/sqrt(sA sB fmax) of one correlation, and what is found", run: func(r *report) {
	r.row("counts/s", "s", "pairs/s", "S", "records", "found", "false")
	seconds, rate, shares := 6.0, 5e6, []float64{0.02, 0.01, 0.006, 0.003, 0}
	if r.part {
		seconds, rate, shares = 2, 1e6, []float64{0.02, 0.006}
	}
	for _, share := range shares {
		records := r.seeds(4, 1)
		right, wrong := 0, 0
		for i := range records {
			l := bright
			l.Seed, l.Rate, l.Share, l.Tags = r.seed(30+i), rate, share, int(rate*seconds)
			l.Frequency = []float64{50e-9, 19e-6, -7e-6, 2e-6}[i%4]
			found, err := align.AlignStreams(context.Background(), l.A(), l.B(), defaults)
			if err != nil {
				continue
			}
			x, sd := found.OffsetAt(found.Reference)
			if miss := float64(x.Whole-l.Offset) + x.Part - l.Frequency*float64(found.Reference); math.Abs(miss) <= 5*sd {
				right++
			} else {
				wrong++
			}
		}
		s := share / math.Sqrt(float64(defaults.MaxDrift)*1e-15)
		r.row(rate, seconds, share*rate, s, records, right, wrong)
		r.want(wrong == 0, "%.3g of pairs: %d false answers", share, wrong)
		r.want(share < 0.01 || right == records, "%.3g of pairs: %d of %d found", share, right, records)
	}
}}
