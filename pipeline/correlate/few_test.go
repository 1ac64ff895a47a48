package correlate_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"tsrun/pipeline/correlate"
)

func poisson(seed uint64, rates ...float64) [][]uint64 {
	return light{seconds: 1, see: make([]float64, len(rates)), noise: rates}.tags(seed)
}

// No coincidences, where chance has thousands, are known as well as none counted is.
func TestRatioOfNone(t *testing.T) {
	var a, b []uint64
	rng := rand.New(rand.NewPCG(1, 1))
	for k := range uint64(8000) { // one of the two sees every pulse
		if at := k * 12_500; rng.Float64() < 0.5 {
			a = append(a, at)
		} else {
			b = append(b, at)
		}
	}
	c, err := correlate.Coincide(channelsOf(a, b), correlate.CoincidenceOptions{Window: 1000})
	if err != nil || c.All != 0 || c.Accidentals < 1000 {
		t.Fatal(c.All, c.Accidentals, err)
	}
	if want := math.Sqrt(3) / float64(c.Accidentals); c.CAR != 0 || math.Abs(float64(c.CARSD)/want-1) > 0.1 {
		t.Errorf("the ratio is %g ± %g, want 0 ± %.3g", c.CAR, c.CARSD, want)
	}
	if sd := correlate.CountSD(0); math.Abs(sd-math.Sqrt(3)) > 1e-9 {
		t.Errorf("none counted is 0 ± %g", sd)
	}
}

// Why nothing is said of chance is the true reason.
func TestReasonsOfNoChance(t *testing.T) {
	tags := poisson(1, 3000, 3000, 3000)
	later := make([]uint64, len(tags[1]))
	for i, u := range tags[1] {
		later[i] = u + 3e12
	}
	for _, of := range []struct {
		last   []uint64
		o      correlate.CoincidenceOptions
		reason string
	}{
		{nil, correlate.CoincidenceOptions{Window: 1000}, "nothing was recorded by C"},
		{tags[2][1000:1001], correlate.CoincidenceOptions{Window: 1000}, "the tags of C are of one moment"},
		{[]uint64{1.5e12, 1.5e12}, correlate.CoincidenceOptions{Window: 1000}, "the tags of C are of one moment"},
		{later, correlate.CoincidenceOptions{Window: 1000}, "the channels recorded nothing at the same time"},
		{tags[2], correlate.CoincidenceOptions{Window: 1000, Period: 5e12}, "give no period"},
		{tags[2], correlate.CoincidenceOptions{Window: 2e12}, "and a window below that"},
	} {
		c, err := correlate.Coincide(channelsOf(tags[0], tags[1], of.last), of.o)
		if of.o.Window > 1e12 { // of two channels a window may be that long
			c, err = correlate.Coincide(channelsOf(tags[0][:50], tags[1][:50]), of.o)
		}
		if err != nil || !strings.Contains(c.Warning, of.reason) {
			t.Errorf("want %q: %q, %v", of.reason, c.Warning, err)
		}
		if c.Net.Known() || c.Accidentals.Known() || len(c.Heralding) > 0 {
			t.Errorf("%s: %+v", of.reason, c.Fold)
		}
	}
}

// A period that is said of light that does not show it stays as it was said.
func TestPeriodThatIsNotThere(t *testing.T) {
	for seed := range uint64(2) {
		c, err := correlate.Coincide(channelsOf(poisson(seed, 20_000, 20_000)...), correlate.CoincidenceOptions{Window: 1000, Period: 13157.894})
		if err != nil || !c.Unseen || c.Periods[0] != 13157.894 {
			t.Errorf("%v is seen: %v, %v", c.Periods, !c.Unseen, err)
		}
	}
	e := pulsedPairs(13157.894, 1e6, 0.03)
	if c, _ := coincide(t, e, correlate.CoincidenceOptions{Window: 1000, Period: 13157.89}); c.Unseen || math.Abs(c.Periods[0]-13157.894) > 1e-3 {
		t.Errorf("%v is not seen: %v", c.Periods, c.Unseen)
	}
}

func scanTags(t *testing.T, a, b []uint64, o correlate.ScanOptions) correlate.Scan {
	t.Helper()
	s, err := correlate.ScanDelays(channelsOf(a)[0], channelsOf(b)[0], o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// In a scan of a fair part of the record chance follows the time that both
// recorded, and a peak that is narrower than the bins is known to a bin.
func TestScanOfTheWholeRecord(t *testing.T) {
	for seed := uint64(5); seed < 8; seed++ {
		l := light{seconds: 0.3, events: 4000, see: []float64{0.5, 0.5}, noise: []float64{500, 500}, jitter: 100, later: []float64{0, 3e9}}
		tags := l.tags(seed)
		s := scanTags(t, tags[0], tags[1], correlate.ScanOptions{From: -200e9, To: 250e9, Step: 100e6, Window: 100e6})
		if s.Peak == nil {
			t.Fatalf("seed %d: %s", seed, s.NoPeak)
		}
		truly(t, "offset", s.Peak.Offset.Float(), s.Peak.OffsetSD, 3e9)
		truly(t, "pairs", float64(s.Peak.Pairs), float64(s.Peak.PairsSD), 300)
		if !(s.Peak.SigmaSD > 0) {
			t.Errorf("seed %d: the width is %g ± %g ps", seed, s.Peak.Sigma, s.Peak.SigmaSD)
		}
	}
	tags := poisson(3, 1000, 1000)
	if s := scanTags(t, tags[0], tags[1], correlate.ScanOptions{From: -1e12, To: 1e12, Step: 1e9, Window: 1e9}); s.Peak != nil {
		t.Errorf("light that knows nothing of each other has a peak: %+v", *s.Peak)
	}
}

func TestReasonsOfNoPeak(t *testing.T) {
	l := light{seconds: 0.3, events: 10_000, see: []float64{0.5, 0.5}, noise: []float64{5000, 5000}, jitter: 100}
	tags := l.tags(1)
	narrow := correlate.ScanOptions{Step: 1000, Window: 1000}
	around := correlate.ScanOptions{From: -5000, To: 5000, Step: 100, Window: 1000}
	same := []uint64{2e12, 2e12, 2e12, 2e12, 2e12, 2e12, 2e12, 2e12, 2e12}
	for _, of := range []struct {
		b      []uint64
		o      correlate.ScanOptions
		reason string
	}{
		{tags[1], narrow, "in one window"},
		{nil, around, "nothing was recorded by B"},
		{same, around, "the tags of B are of one moment"},
		{tags[1], correlate.ScanOptions{From: 2e12, To: 3e12, Step: 1e10, Window: 1e9}, "nothing at the same time"},
		{poisson(5, 5000)[0], around, ""},
	} {
		if s := scanTags(t, tags[0], of.b, of.o); s.Peak != nil || !strings.Contains(s.NoPeak, of.reason) {
			t.Errorf("want %q: %q %v", of.reason, s.NoPeak, s.Peak)
		}
	}
	if s := scanTags(t, same, same, around); s.Peak == nil || s.Peak.Pairs.Known() || s.Warning == "" {
		t.Errorf("tags of one moment: %+v %s", s.Peak, s.Warning)
	}
}

// Tags that repeat in a window make more coincidences than there are tags: that is no
// efficiency, of pairs, of more channels and of sums, and a detector that sees all is one.
func TestNoEfficiencyBeyondAll(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 2))
	var a, b, all []uint64
	for k := range uint64(5000) {
		at := k*200_000_000 + uint64(rng.IntN(100_000_000))
		all = append(all, at)
		if rng.Float64() < 0.9 {
			a = append(a, at)
		}
		b = append(b, at, at+100, at+200) // it pulses again
	}
	o := correlate.CoincidenceOptions{Window: 1000}
	c, err := correlate.Coincide(channelsOf(a, b), o)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Heralding) != 1 || c.Heralding[0].Of != "A" || math.Abs(c.Heralding[0].Value-0.9) > 3*c.Heralding[0].SD || !strings.Contains(c.Warning, "more coincidences of one event than tags of A") {
		t.Errorf("heralding %+v, %q", c.Heralding, c.Warning)
	}
	if s := correlate.NewPairSum(); !s.Add(c) || s.OfB.Known() || !s.OfA.Known() {
		t.Errorf("of the sum %v and %v", s.OfA, s.OfB)
	}
	three, err := correlate.Coincide(channelsOf(a, all, b), o)
	if err != nil || !strings.Contains(three.Warning, "see") {
		t.Errorf("three channels: %q, %v", three.Warning, err)
	}
	for _, e := range three.Heralding {
		if e.Value-3*e.SD > 1 {
			t.Errorf("three channels: %+v", e)
		}
	}
	if c, err = correlate.Coincide(channelsOf(a, all), o); err != nil || len(c.Heralding) != 2 || c.Warning != "" || c.Heralding[1].Value+3*c.Heralding[1].SD < 1 {
		t.Errorf("one that sees all: %+v, %q, %v", c.Heralding, c.Warning, err)
	}
}
