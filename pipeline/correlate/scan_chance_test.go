package correlate_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"tsrun/internal/pairs"
	"tsrun/pipeline/correlate"
	"tsrun/sdk/tag"
)

func scanOf(t *testing.T, e pairs.Experiment, o correlate.ScanOptions) correlate.Scan {
	t.Helper()
	a, b, _ := e.Make()
	s, err := correlate.ScanDelays(correlate.Channel{Tags: tag.NewReader(a)}, correlate.Channel{Tags: tag.NewReader(b), Offset: 1}, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// What a scan takes for chance under its peak is what pulses without pairs give,
// whether the scan shows one pulse or many.
func TestScanOfPulsedLight(t *testing.T) {
	for _, period := range []float64{13106.159, 1e6 / 7, 1e6, 2.5e7} {
		singles := min(1e6, 0.05e12/period)
		e := pulsedPairs(period, singles, 30_000/singles)
		want := singles * singles * e.Seconds * period * 1e-12 // of all pulses at 0
		for _, reach := range []int64{3000, 40_000} {
			s := scanOf(t, e, correlate.ScanOptions{From: -reach, To: reach, Step: 50, Window: 1000})
			if s.Peak == nil || s.Warning != "" || len(s.Periods) != 1 {
				t.Fatalf("period %g ps, scan to %d ps: %+v, %v %s", period, reach, s.Peak, s.Periods, s.Warning)
			}
			truly(t, "chance", float64(s.Peak.Accidentals), math.Sqrt(want/8+1), want)
			truly(t, "pairs", float64(s.Peak.Pairs), float64(s.Peak.PairsSD), e.Pairs*e.Seconds)
		}
	}
}

// Pulsed and gated light without pairs has no peak, though pulses stand out of the
// mean of all delays.
func TestScanOfPulsesWithoutPairs(t *testing.T) {
	pulsed := pulsedPairs(13106.159, 1e6, 0.03)
	pulsed.Pairs = -1
	for _, e := range []pairs.Experiment{pulsed, gated(1.3e6, 3e5, 3e5, 0.1)} {
		s := scanOf(t, e, correlate.ScanOptions{From: -5_000_000, To: 5_000_000, Step: 2000, Window: 1000})
		if s.Peak != nil {
			t.Errorf("%+v %s", *s.Peak, s.Warning)
		}
		if s = scanOf(t, e, correlate.ScanOptions{From: -20_000, To: 20_000, Step: 100, Window: 1000}); s.Peak != nil {
			t.Errorf("%+v %s", *s.Peak, s.Warning)
		}
	}
}

// A scan as wide as the record leaves nothing to tell chance of pulsed light by:
// that, and not that nothing stands out, is said.
func TestScanOfPulsedLightAsWideAsTheRecord(t *testing.T) {
	e := pulsedPairs(1e6, 2e5, 0.006)
	for _, reach := range []int64{4_000_000_000, 7_000_000_000} {
		s := scanOf(t, e, correlate.ScanOptions{From: -reach, To: reach, Step: 100_000, Window: 100_000})
		if !strings.Contains(s.Warning, "the record is too short") || s.Peak != nil && s.Peak.Pairs.Known() {
			t.Errorf("to %d ps: %+v %q", reach, s.Peak, s.Warning)
		}
	}
}

// A second peak is no chance: what is beside the first is then not stated.
func TestScanOfTwoPeaks(t *testing.T) {
	l := light{seconds: 0.2, events: 20_000, see: []float64{0.7, 0.6}, noise: []float64{10_000, 10_000}, jitter: 100}
	tags := l.tags(5)
	var echoes []uint64
	for i, x := range tags[1] {
		if echoes = append(echoes, x); i%3 == 0 {
			echoes = append(echoes, x+30_000)
		}
	}
	slices.Sort(echoes)
	o := correlate.ScanOptions{From: -50_000, To: 50_000, Step: 100, Window: 500}
	s, err := correlate.ScanDelays(channelsOf(tags[0])[0], channelsOf(echoes)[0], o)
	if err != nil || s.Peak == nil || math.Abs(s.Peak.Offset.Float()) > 5*s.Peak.OffsetSD {
		t.Fatal(s.Peak, err)
	}
	if p := s.Peak; p.Pairs.Known() || p.Accidentals.Known() || p.Significance.Known() || !strings.Contains(s.Warning, "there are other peaks, or the light is pulsed or gated, so what is chance is not known") {
		t.Errorf("%+v %s", *p, s.Warning)
	}
}
