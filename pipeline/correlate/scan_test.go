package correlate_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"tsrun/pipeline/correlate"
)

// At every delay a scan counts what the coincidences are with that offset.
func TestScanEqualsCoincidences(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		channels, _, times := drawChannels(t, 2, 40)
		o := correlate.ScanOptions{
			From: rapid.Int64Range(-300, 300).Draw(t, "from"), Step: rapid.Int64Range(1, 50).Draw(t, "step"),
			Window: rapid.Int64Range(1, 60).Draw(t, "window"),
		}
		o.To = o.From + rapid.Int64Range(0, 300).Draw(t, "more")
		s, err := correlate.ScanDelays(channels[0], channels[1], o)
		if err != nil {
			t.Fatal(err)
		}
		if want := int((o.To-o.From)/o.Step) + 1; len(s.Counts) != want || s.TagsA != uint64(len(times[0])) || s.TagsB != uint64(len(times[1])) {
			t.Fatalf("%d delays of %d and %d tags, want %d of %d and %d", len(s.Counts), s.TagsA, s.TagsB, want, len(times[0]), len(times[1]))
		}
		for k, n := range s.Counts {
			delay := o.From + int64(k)*o.Step
			if want := number(times, o.Window/2, 0, delay); float64(n) != want {
				t.Fatalf("%d coincidences at %d ps, want %g", n, delay, want)
			}
		}
	})
}

// A scan of more than a chunk of tags, and wider than 2^20 ps.
func TestScanOfManyTags(t *testing.T) {
	l := light{seconds: 0.4, events: 50_000, see: []float64{1, 1}, noise: []float64{50_000, 1000}, jitter: 100}
	tags := l.tags(1)
	o := correlate.ScanOptions{From: -20_000_000, To: 20_000_000, Step: 1_000_000, Window: 2_000_000}
	s, err := correlate.ScanDelays(channelsOf(tags[0])[0], channelsOf(tags[1])[0], o)
	if err != nil {
		t.Fatal(err)
	}
	for k, n := range s.Counts {
		c := channelsOf(tags...)
		c[1].Offset = o.From + int64(k)*o.Step
		found, err := correlate.Coincide(c, correlate.CoincidenceOptions{Window: o.Window})
		if err != nil || found.All != n {
			t.Fatalf("%d at %d ps, Coincide counts %d, %v", n, c[1].Offset, found.All, err)
		}
	}
}

func TestPeakHolds(t *testing.T) { peakHolds(t, seeds) }

// The peak's place and width are those of the light, whatever window and step
// are, and their uncertainties hold.
func peakHolds(t *testing.T, seeds int) {
	t.Helper()
	g := gather{}
	for seed := range uint64(seeds) {
		l := light{seconds: 0.2, events: 10_000, see: []float64{0.7, 0.6}, noise: []float64{20_000, 30_000}, jitter: 150, later: []float64{0, 24_000.3}}
		tags := l.tags(seed)
		o := correlate.ScanOptions{From: -50_000, To: 100_000, Step: 250, Window: 800}
		if seed%2 == 1 {
			o = correlate.ScanOptions{From: -30_000_000, To: 30_000_000, Step: 1000, Window: 2000}
		}
		s, err := correlate.ScanDelays(channelsOf(tags[0])[0], channelsOf(tags[1])[0], o)
		if err != nil {
			t.Fatal(err)
		}
		p := s.Peak
		if p == nil {
			t.Fatalf("seed %d: no peak", seed)
		}
		g.add("offset", p.Offset.Float(), 24_000.3, p.OffsetSD)
		g.add("sigma", p.Sigma, math.Sqrt2*150, p.SigmaSD)
		g.add("pairs", float64(p.Pairs), l.seconds*l.events*0.7*0.6, float64(p.PairsSD))
		// A Gaussian seen through the window has its half height where the window's edges are as far.
		want := fwhm(math.Sqrt2*150, float64(o.Window+1))
		if math.Abs(p.FWHM-want) > 0.15*want+float64(o.Step)/4 {
			t.Errorf("seed %d: FWHM %.4g ps, want %.4g ps", seed, p.FWHM, want)
		}
		if p.Significance < 10 || p.Highest < 24_000-o.Step-o.Window/2 || p.Highest > 24_000+o.Step+o.Window/2 {
			t.Errorf("seed %d: %+v", seed, p)
		}
	}
	check(t, g)
}

// fwhm is the full width at half maximum of a Gaussian convolved with a window.
func fwhm(sigma, window float64) float64 {
	at := func(x float64) float64 {
		return math.Erf((x+window/2)/(sigma*math.Sqrt2)) - math.Erf((x-window/2)/(sigma*math.Sqrt2))
	}
	low, high := 0., 10*(sigma+window)
	for range 60 {
		if mid := (low + high) / 2; at(mid) > at(0)/2 {
			low = mid
		} else {
			high = mid
		}
	}
	return 2 * low
}

// Light that knows nothing of each other has no peak.
func TestNoPeakOfChance(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 3))
		rate := 1000 * math.Pow(10, 2*rng.Float64())
		l := light{seconds: 0.2, see: []float64{0, 0}, noise: []float64{rate, 1e8 / rate}}
		tags := l.tags(seed)
		s, err := correlate.ScanDelays(channelsOf(tags[0])[0], channelsOf(tags[1])[0], correlate.ScanOptions{From: -100_000, To: 1_000_000, Step: 200, Window: 1000})
		if err != nil || s.Peak != nil {
			t.Errorf("seed %d: a peak of chance: %+v, %v", seed, s.Peak, err)
		}
	}
}

func TestScanRefuses(t *testing.T) {
	a := func() correlate.Channel { return channelsOf(make([]uint64, 1<<10))[0] }
	for _, bad := range []correlate.ScanOptions{
		{}, {Step: 1}, {Step: 1, Window: 1, From: 2, To: 1}, {Step: 1, Window: 1, To: 1 << 40}, {Step: 0, Window: 1, To: 5},
		{Step: 1 << 60, Window: 1, From: math.MinInt64, To: math.MaxInt64}, {Step: 1 << 40, Window: 1, To: 1 << 60},
	} {
		if _, err := correlate.ScanDelays(a(), a(), bad); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
	empty := channelsOf(nil, nil)
	if s, err := correlate.ScanDelays(empty[0], empty[1], correlate.ScanOptions{Step: 5, Window: 4, To: 100}); err != nil || len(s.Counts) != 21 || s.Peak != nil {
		t.Errorf("no tags: %+v, %v", s, err)
	}
	var order *correlate.OrderError
	if _, err := correlate.ScanDelays(a(), channelsOf([]uint64{2, 1})[0], correlate.ScanOptions{Step: 5, Window: 4, To: 100}); !errors.As(err, &order) || order.Stream != "B" {
		t.Errorf("B out of order: %v", err)
	}
}
