package correlate_test

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tsrun/pipeline/correlate"
)

func TestRatesEqualBruteForce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 4).Draw(t, "channels")
		channels, _, times := drawChannels(t, n, 60)
		bin := rapid.Int64Range(1, 300).Draw(t, "bin")
		r, err := correlate.CountRates(channels, bin)
		if err != nil {
			t.Fatal(err)
		}
		if r.Start%bin != 0 || r.Bin != bin || len(r.Channels) != n {
			t.Fatalf("got %+v", r)
		}
		longest := 0
		for i, channel := range times {
			want := make([]uint64, len(r.Channels[i].Counts))
			for _, x := range channel {
				k := int((int64(x) - r.Start) / bin)
				if k >= len(want) || int64(x) < r.Start {
					t.Fatalf("a tag at %d ps is in no bin of %+v", int64(x), r)
				}
				want[k]++
			}
			if diff := cmp.Diff(want, r.Channels[i].Counts); diff != "" {
				t.Fatal(diff)
			}
			for k, n := range want {
				if n > 0 {
					longest = max(longest, k+1)
					if !r.Recorded(i, k) {
						t.Fatalf("bin %d of channel %d has tags and counts as not recorded", k, i)
					}
				}
			}
		}
		if n > 0 && longest != len(r.Channels[0].Counts) {
			t.Fatalf("%d bins, of which %d are needed", len(r.Channels[0].Counts), longest)
		}
	})
}

// A silence that chance does not explain is a gap; those of chance are none.
func TestGapsAreSeen(t *testing.T) {
	l := light{seconds: 2, see: []float64{0, 0}, noise: []float64{20_000, 500}}
	for seed := range uint64(10) {
		tags := l.tags(seed)
		holed := slices.DeleteFunc(slices.Clone(tags[0]), func(x uint64) bool { return x > 1_400_000_000_000 && x < 1_450_000_000_000 })
		r, err := correlate.CountRates(channelsOf(tags[0], tags[1], holed), 10_000_000_000)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Channels[0].Gaps)+len(r.Channels[1].Gaps) > 0 {
			t.Errorf("seed %d: gaps of chance %+v", seed, r.Channels)
		}
		g := r.Channels[2].Gaps
		if len(g) != 1 || g[0].From > 1_400_000_000_000 || g[0].To < 1_450_000_000_000 || g[0].To-g[0].From > 52_000_000_000 {
			t.Errorf("seed %d: gaps %+v", seed, g)
		}
		for k := 41; k < 44; k++ { // records begin at 1 s
			if at := int(1_000_000_000_000/r.Bin) - int(r.Start/r.Bin); r.Channels[2].Counts[at+k] != 0 || !r.Recorded(2, at+k) {
				t.Errorf("seed %d: bin %d of the gap: %d", seed, at+k, r.Channels[2].Counts[at+k])
			}
		}
		if c := r.Channels[0]; math.Abs(c.Rate-20_000) > 5*c.RateSD || c.RateSD < 90 || c.RateSD > 110 {
			t.Errorf("seed %d: rate %g ± %g", seed, c.Rate, c.RateSD)
		}
	}
}

func TestRatesRefuse(t *testing.T) {
	var limit *correlate.LimitError
	var order *correlate.OrderError
	if _, err := correlate.CountRates(channelsOf([]uint64{0, 1 << 60}), 1000); !errors.As(err, &limit) {
		t.Errorf("a million million bins: %v", err)
	}
	if _, err := correlate.CountRates(channelsOf([]uint64{0}, []uint64{1 << 60}), 1000); !errors.As(err, &limit) {
		t.Errorf("as many between two channels: %v", err)
	}
	if _, err := correlate.CountRates(channelsOf([]uint64{2, 1}), 1000); !errors.As(err, &order) {
		t.Errorf("out of order: %v", err)
	}
	if _, err := correlate.CountRates(channelsOf([]uint64{1}), 0); err == nil {
		t.Error("bins of nothing are accepted")
	}
	if r, err := correlate.CountRates(channelsOf(nil, nil), 1000); err != nil || len(r.Channels) != 2 || len(r.Channels[0].Counts) != 0 {
		t.Errorf("no tags: %+v, %v", r, err)
	}
}
