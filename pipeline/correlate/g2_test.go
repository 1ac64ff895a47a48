package correlate_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"tsrun/internal/recordings"
	"tsrun/pipeline/correlate"
	"tsrun/sdk/quantity"
	"tsrun/sdk/tagfile"
)

func g2Of(t *testing.T, a, b []uint64, o correlate.G2Options) correlate.G2 {
	t.Helper()
	r, err := correlate.CountG2(channelsOf(a)[0], channelsOf(b)[0], o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestPoissonLightIsOne(t *testing.T) { poissonIsOne(t, 20) }

// Poisson light is 1 in every bin, also where the delay is nearly as long as the
// record, and where the two records begin and end at other times. In bins this
// wide a tag is in many pairs, so what the seeds give is the judge.
func poissonIsOne(t *testing.T, seeds int) {
	t.Helper()
	var values [40][]float64
	for seed := range uint64(seeds) {
		l := light{seconds: 0.1, see: []float64{0, 0}, noise: []float64{20_000, 30_000}}
		tags := l.tags(seed)
		begin, _ := slices.BinarySearch(tags[1], tags[0][0]+25_000_000_000) // B begins a quarter later
		r := g2Of(t, tags[0], tags[1][begin:], correlate.G2Options{Range: 100_000_000_000, Bin: 5_000_000_000})
		for k, g := range r.G2 {
			if r.Counts[k] > 0 {
				values[k] = append(values[k], float64(g))
			}
		}
	}
	tested := 0
	for k, v := range values {
		if len(v) < seeds {
			continue // some seeds have no time there
		}
		tested++
		mean, sd := pulls(v).moments()
		if math.Abs(mean-1) > 4.5*sd/math.Sqrt(float64(seeds)) || k > 10 && k < 35 && sd > 0.1 {
			t.Errorf("bin %d is %.4f ± %.4f in the mean of %d seeds", k, mean, sd/math.Sqrt(float64(seeds)), seeds)
		}
	}
	if tested < 33 {
		t.Errorf("only %d bins were tested", tested)
	}
}

// In bins that see few pairs per tag the stated standard deviations hold.
func TestG2UncertaintiesHold(t *testing.T) {
	g := gather{}
	for seed := range uint64(4) {
		l := light{seconds: 1, see: []float64{0, 0}, noise: []float64{100_000, 150_000}}
		tags := l.tags(seed)
		r := g2Of(t, tags[0], tags[1], correlate.G2Options{Range: 500_000, Bin: 10_000})
		for k := range r.G2 {
			g.add("g2", float64(r.G2[k]), 1, float64(r.SD[k]))
		}
	}
	check(t, g)
}

// A channel on another clock, far from the first, gives what it gives on the same.
func TestG2OfOtherClocks(t *testing.T) {
	l := light{seconds: 0.1, events: 20_000, see: []float64{0.5, 0.5}, noise: []float64{20_000, 30_000}, jitter: 300}
	tags := l.tags(5)
	o := correlate.G2Options{Range: 100_000, Bin: 1000, Far: 20_000}
	want := g2Of(t, tags[0], tags[1], o)
	k := line(t, correlate.Line{Reference: tags[0][0], Offset: 3_000_000_000_000, Frequency: 12_000_000_000})
	late := k.Inverse().ApplyAll(nil, tags[1])
	for i := range late {
		late[i] += 7
	}
	a, b := channelsOf(tags[0])[0], channelsOf(late)[0]
	b.Correction, b.Offset = line(t, correlate.Line{Reference: tags[0][0], Offset: 3_000_000_000_007, Frequency: 12_000_000_000}), 0
	got, err := correlate.CountG2(a, b, o)
	if err != nil {
		t.Fatal(err)
	}
	near := func(x, y float64) bool { return math.Abs(x-y) <= 0.02*max(1, y) }
	for i := range want.G2 {
		if math.Abs(float64(want.Counts[i])-float64(got.Counts[i])) > 3 || !near(float64(got.G2[i]), float64(want.G2[i])) && got.Counts[i] == want.Counts[i] {
			t.Errorf("bin %d: %g of %d, want %g of %d", i, got.G2[i], got.Counts[i], want.G2[i], want.Counts[i])
		}
	}
	if !near(float64(got.Scale), float64(want.Scale)) || !near(float64(got.Overlap), float64(want.Overlap)) {
		t.Errorf("scale %g, overlap %d; want %g and %d", got.Scale, got.Overlap, want.Scale, want.Overlap)
	}
	if middle := want.G2[len(want.G2)/2]; middle < 5 {
		t.Errorf("pairs bunch, g2(0) = %g", middle)
	}
}

// A single emitter sends one photon at a time: after each it is dark for a while.
// g2 is 1 - exp(-|delay| (pump + decay)) for an emitter with these rates.
func TestAntibunching(t *testing.T) {
	const pump, decay, seconds = 5e6, 45e6, 0.05
	rng := rand.New(rand.NewPCG(4, 4))
	var a, b []uint64
	for at := 0.0; at < seconds*1e12; {
		at += rng.ExpFloat64()*1e12/pump + rng.ExpFloat64()*1e12/decay
		switch u := rng.Float64(); {
		case u < 0.3:
			a = append(a, uint64(at))
		case u < 0.7:
			b = append(b, uint64(at))
		}
	}
	r := g2Of(t, a, b, correlate.G2Options{Range: 200_000, Bin: 2_000})
	chi := 0.0
	for k, g := range r.G2 {
		low := float64(r.Start + int64(k)*r.Bin)
		high := low + float64(r.Bin)
		if low < 0 {
			low, high = -high, -low
		}
		c := (pump + decay) / 1e12
		want := 1 + (math.Exp(-high*c)-math.Exp(-low*c))/(c*(high-low)) // mean over the bin
		chi += math.Pow((float64(g)-want)/float64(r.SD[k]), 2)
	}
	if n := float64(len(r.G2)); chi > n+5*math.Sqrt(2*n) {
		t.Errorf("chi-square %.4g of %g bins", chi, n)
	}
	if dip := r.G2[len(r.G2)/2]; dip > 0.1 {
		t.Errorf("g2(0) = %g", dip)
	}
}

// Light whose power varies bunches slowly; over the far bins it is 1.
func TestFarBinsAreOne(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	var ab [2][]uint64
	for i := range ab {
		for at := 0.0; at < 2e11; at += rng.ExpFloat64() * 1e12 / 200_000 {
			if int(at/1e9)%2 == 0 { // on for 1 ms, off for 1 ms
				ab[i] = append(ab[i], uint64(at))
			}
		}
	}
	plain := g2Of(t, ab[0], ab[1], correlate.G2Options{Range: 1_000_000, Bin: 50_000})
	far := g2Of(t, ab[0], ab[1], correlate.G2Options{Range: 1_000_000, Bin: 50_000, Far: 500_000})
	mean := func(v []quantity.Number) (m float64) {
		for _, x := range v {
			m += float64(x) / float64(len(v))
		}
		return m
	}
	if m := mean(plain.G2); math.Abs(m-2) > 0.1 {
		t.Errorf("light that is on half the time has a mean g2 of %g, want 2", m)
	}
	if m := mean(append(slices.Clone(far.G2[:10]), far.G2[30:]...)); math.Abs(m-1) > 1e-5 {
		t.Errorf("the far bins are %g in the mean", m)
	}
}

// The recordings are of single emitters under pulses: the pulse at the delay
// where both paths are as long is nearly missing.
func TestDipsOfRecordings(t *testing.T) {
	dips := map[string]struct {
		offset, period int64
		counts         uint64
		mean           float64
	}{
		"hh_t2":   {23_933, 3128, 2, 486},
		"qutag19": {-1_247, 12_494, 0, 44},
	}
	for _, known := range recordings.All(t) {
		t.Run(known.Name, func(t *testing.T) {
			dip, ok := dips[known.Name]
			if !ok {
				t.Skip("nothing is known of its pulses")
			}
			a, errA := tagfile.ReadAll(known.Path, "", known.A)
			b, errB := tagfile.ReadAll(known.Path, "", known.B)
			if errA != nil || errB != nil {
				t.Fatal(errA, errB)
			}
			channels := channelsOf(a, b)
			channels[1].Offset = dip.offset
			const range16 = 120_000
			r, err := correlate.CountG2(channels[0], channels[1], correlate.G2Options{Range: range16, Bin: 16, Period: float64(dip.period)})
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range r.Pulses {
				switch {
				case p.Number == 0 && (p.Counts > dip.counts+3 || p.G2 > 0.05):
					t.Errorf("the dip holds %+v", p)
				case p.Number != 0 && (p.G2 < 0.4 || p.G2 > 1.6):
					t.Errorf("%+v", p)
				}
			}
			mean := float64(r.Pulses[0].Counts) / float64(r.Pulses[0].G2)
			if math.Abs(mean-dip.mean) > 0.1*dip.mean {
				t.Errorf("%g counts in a pulse, known are %g", mean, dip.mean)
			}
		})
	}
}

func TestG2Refuses(t *testing.T) {
	a := []uint64{1, 2, 3}
	for _, bad := range []correlate.G2Options{
		{}, {Range: 10, Bin: 3}, {Range: 10, Bin: 1, Far: 10}, {Range: 10, Bin: 1, Far: -1}, {Range: 10, Bin: 1, Period: 8}, {Range: 10, Bin: 5, Period: 6},
	} {
		if _, err := correlate.CountG2(channelsOf(a)[0], channelsOf(a)[0], bad); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
	for _, few := range [][]uint64{nil, {5}, {5, 5}} {
		r := g2Of(t, a, few, correlate.G2Options{Range: 10, Bin: 1, Period: 4})
		for _, g := range append(r.G2, r.SD...) {
			if g.Known() {
				t.Errorf("%d tags, which tell no rate: %+v", len(few), r)
			}
		}
	}
}
