package correlate_test

import (
	"math"
	"testing"

	"tsrun/pipeline/correlate"
	"tsrun/sdk/quantity"
)

// shotsOfLight are the tags of independent light in shots of 0.1 s that begin every 0.857 s,
// and where these begin but for the first. In the second, B is dark.
func shotsOfLight(seed uint64, shots int) (a, b, breaks []uint64) {
	const apart = 857_000_000_000
	for k := range uint64(shots) {
		l := light{seconds: 0.1, see: []float64{0, 0}, noise: []float64{40_000, 60_000}}
		tags := l.tags(seed + 1000*k)
		if k > 0 {
			breaks = append(breaks, k*apart)
		}
		for _, t := range tags[0] {
			a = append(a, t-min(t, tags[0][0])+k*apart)
		}
		for _, t := range tags[1] {
			if k != 1 {
				b = append(b, t-min(t, tags[0][0])+k*apart)
			}
		}
	}
	return a, b, breaks
}

// Light of a steady rate that is recorded in several shots is 1, and the distance of the
// shots is no period of it.
func TestG2OfSeveralShots(t *testing.T) {
	o := correlate.G2Options{Range: 1_000_000, Bin: 100_000}
	for seed := range uint64(5) {
		tagsA, tagsB, breaks := shotsOfLight(seed, 5)
		channels := channelsOf(tagsA, tagsB)
		channels[0].Breaks, channels[1].Breaks = breaks, breaks
		r, err := correlate.CountG2(channels[0], channels[1], o)
		if err != nil {
			t.Fatal(err)
		}
		if r.TagsA != uint64(len(tagsA)) || r.TagsB != uint64(len(tagsB)) {
			t.Errorf("seed %d: %d and %d tags of %d and %d", seed, r.TagsA, r.TagsB, len(tagsA), len(tagsB))
		}
		if on := float64(r.Overlap) / 1e12; math.Abs(on-0.4) > 0.01 || len(r.Periods) > 0 || r.Warning != "" {
			t.Errorf("seed %d: %.4f s recorded by both, periods %v, %s", seed, on, r.Periods, r.Warning)
		}
		sum, variance := 0.0, 0.0
		for k, g := range r.G2 {
			sum, variance = sum+float64(g), variance+float64(r.SD[k])*float64(r.SD[k])
		}
		if n := float64(len(r.G2)); math.Abs(sum/n-1) > 5*math.Sqrt(variance)/n {
			t.Errorf("seed %d: light is %.4f ± %.4f in the mean", seed, sum/n, math.Sqrt(variance)/n)
		}
		// Of one stretch it would be twice that and more.
		channels = channelsOf(tagsA, tagsB)
		if r, err = correlate.CountG2(channels[0], channels[1], o); err != nil || r.G2[r.AtZero()] < quantity.Number(2) {
			t.Errorf("seed %d: as one stretch it is %v: %v", seed, r.G2[r.AtZero()], err)
		}
	}
}

// What only one channel was interrupted by is not known to be a stretch of both.
func TestG2OfUnevenBreaks(t *testing.T) {
	tagsA, tagsB, breaks := shotsOfLight(1, 3)
	channels := channelsOf(tagsA, tagsB)
	channels[0].Breaks = breaks
	r, err := correlate.CountG2(channels[0], channels[1], correlate.G2Options{Range: 1_000_000, Bin: 100_000})
	if err != nil || r.TagsA != uint64(len(tagsA)) || r.TagsB != uint64(len(tagsB)) {
		t.Errorf("%d and %d tags: %v", r.TagsA, r.TagsB, err)
	}
}

// The distance of shots is no period of the light of coincidences, either.
func TestCoincidencesOfSeveralShots(t *testing.T) {
	found := 0
	for seed := range uint64(1) {
		tagsA, tagsB, breaks := shotsOfLight(seed, 50)
		for _, known := range []bool{true, false} {
			channels := channelsOf(tagsA, tagsB)
			if known {
				channels[0].Breaks, channels[1].Breaks = breaks, breaks
			}
			r, err := correlate.Coincide(channels, correlate.CoincidenceOptions{Window: 2000})
			if err != nil {
				t.Fatal(err)
			}
			if known && len(r.Periods) > 0 {
				t.Errorf("seed %d: the light repeats after %v ps", seed, r.Periods)
			}
			if !known {
				found += len(r.Periods)
			}
		}
	}
	if found == 0 {
		t.Error("shots that are not known to be shots show no period: the test proves nothing")
	}
}
