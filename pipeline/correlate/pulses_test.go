package correlate_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"tsrun/internal/pairs"
	"tsrun/pipeline/correlate"
	"tsrun/sdk/tag"
)

func g2OfPulses(t *testing.T, e pairs.Experiment, o correlate.G2Options) correlate.G2 {
	t.Helper()
	a, b, _ := e.Make()
	r, err := correlate.CountG2(correlate.Channel{Tags: tag.NewReader(a)}, correlate.Channel{Tags: tag.NewReader(b), Offset: 1}, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Light that comes in pulses, and gates, is told by itself: its pulses are compared.
func TestG2FindsThePeriod(t *testing.T) {
	for _, period := range []float64{13106.159, 5000, 1e6 / 7, 1e6} {
		singles := min(1e6, 0.05e12/period)
		e := pulsedPairs(period, singles, 30_000/singles)
		bin := int64(period / 50)
		r := g2OfPulses(t, e, correlate.G2Options{Range: 250 * bin, Bin: bin})
		if len(r.Periods) != 1 || math.Abs(r.Periods[0]/period-1) > 1e-5 || r.Warning != "" || len(r.Pulses) < 3 {
			t.Errorf("a period of %g ps is found as %v, %d pulses %s", period, r.Periods, len(r.Pulses), r.Warning)
			continue
		}
		for _, p := range r.Pulses {
			want := 1.0
			if p.Number == 0 {
				want += e.Pairs / (singles * singles * period * 1e-12)
			}
			truly(t, "pulse", float64(p.G2), float64(p.SD), want)
		}
	}
	r := g2OfPulses(t, gated(1.3e6, 3e5, 3e5, 0.15), correlate.G2Options{Range: 5e6, Bin: 1e4})
	if len(r.Periods) != 1 || math.Abs(r.Periods[0]/1.3e6-1) > 1e-4 || r.Warning != "" || len(r.Pulses) != 7 {
		t.Fatalf("gates: %v, %d pulses %s", r.Periods, len(r.Pulses), r.Warning)
	}
	truly(t, "gate", float64(r.Pulses[3].G2), float64(r.Pulses[3].SD), 1)
}

// Where bins or range do not let pulses be seen, or what lies beside zero is no
// chance, a warning says so. Light of a steady rate has no period and no warning.
func TestG2WarnsOfPulses(t *testing.T) {
	e := pulsedPairs(13157.894, 1e6, 0.03)
	for _, of := range []struct {
		o    correlate.G2Options
		late float64 // ps, more than the offset says
		want string
	}{
		{correlate.G2Options{Range: 5000, Bin: 500}, 0, "choose a range of at least 1.5 periods"},
		{correlate.G2Options{Range: 500_000, Bin: 50_000}, 0, "choose bins of half a period"},
		{correlate.G2Options{Range: 50_000, Bin: 500}, 2 * 13157.894, "differ by"},
		{correlate.G2Options{Range: 50_000, Bin: 500, Period: 13_000}, 0, "which the period given does not explain"},
		{correlate.G2Options{Range: 5000, Bin: 500, Far: 2000}, 0, ""},
		{correlate.G2Options{Range: 5_000_000, Bin: 500_000}, 0, ""},
	} {
		e.Offset = 1 + int64(of.late)
		if r := g2OfPulses(t, e, of.o); len(r.Periods) == 0 || !strings.Contains(r.Warning, of.want) || of.want == "" && r.Warning != "" {
			t.Errorf("%+v: %v, want %q: %q", of.o, r.Periods, of.want, r.Warning)
		}
	}
	for seed := range uint64(2) {
		tags := light{seconds: 0.5, events: 20_000, see: []float64{0.5, 0.5}, noise: []float64{20_000, 30_000}, jitter: 300}.tags(seed)
		if r := g2Of(t, tags[0], tags[1], correlate.G2Options{Range: 100_000, Bin: 1000}); len(r.Periods) > 0 || r.Warning != "" || r.Pulses != nil {
			t.Errorf("seed %d: steady light repeats after %v %s", seed, r.Periods, r.Warning)
		}
		if r := g2Of(t, tags[0], tags[1], correlate.G2Options{Range: 100_000, Bin: 1000, Period: 13_000}); !r.Unseen || r.Periods[0] != 13_000 {
			t.Errorf("seed %d: a period that is not there is %v", seed, r.Periods)
		}
	}
}

// A single emitter under pulses gives no second photon.
func TestG2OfAnEmitterUnderPulses(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var a, b []uint64
	for k := range 400_000 {
		at := uint64(float64(k)*12_500.25 + rng.ExpFloat64()*500)
		switch u := rng.Float64(); {
		case u < 0.1:
			a = append(a, at)
		case u < 0.2:
			b = append(b, at)
		}
	}
	r := g2Of(t, a, b, correlate.G2Options{Range: 100_000, Bin: 100})
	if len(r.Periods) != 1 || math.Abs(r.Periods[0]-12_500.25) > 0.01 || len(r.Pulses) != 15 {
		t.Fatalf("%v, %d pulses", r.Periods, len(r.Pulses))
	}
	if p := r.Pulses[7]; p.G2 > 0.01 || !(p.SD > 0 && p.SD < 0.01) {
		t.Errorf("the pulse at zero is %g ± %g of the others", p.G2, p.SD)
	}
}

// Of pulses as sharp as these, bins show overtones far beyond what they resolve;
// none of those is a period of its own.
func TestOvertonesOfSharpPulses(t *testing.T) {
	const period, window = 823005.5384257163, 439
	e := pairs.Experiment{Seed: 0x5000111cf, Seconds: 0.6584044307405731, SinglesA: 60752.932593433514, SinglesB: 60752.932593433514,
		Pairs: 12150.586518686703, EtaA: 0.2, EtaB: 0.2, JitterA: 60, JitterB: 60, Offset: 1, Start: 1e12, PulsePeriod: period, PulseWidth: 40}
	a, b, _ := e.Make()
	c, err := correlate.Coincide([]correlate.Channel{{Tags: tag.NewReader(a)}, {Tags: tag.NewReader(b), Offset: 1}}, correlate.CoincidenceOptions{Window: window})
	if err != nil || len(c.Periods) != 1 || math.Abs(c.Periods[0]-period) > 0.01 {
		t.Fatalf("periods %v, %v", c.Periods, err)
	}
	if miss := float64(c.Accidentals) - 1937.3; math.Abs(miss) > 3*float64(c.AccidentalsSD) {
		t.Errorf("%v ± %v by chance, want 1937", c.Accidentals, c.AccidentalsSD)
	}
}
