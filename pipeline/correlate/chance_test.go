package correlate_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"tsrun/internal/pairs"
	"tsrun/pipeline/correlate"
	"tsrun/sdk/tag"
)

// pulsedPairs is a source of one pair for five photons, at a period that is no
// whole number of picoseconds.
func pulsedPairs(period, singles, seconds float64) pairs.Experiment {
	return pairs.Experiment{Seed: 7, Seconds: seconds, SinglesA: singles, SinglesB: singles, Pairs: singles / 5, EtaA: 0.2, EtaB: 0.2,
		JitterA: 60, JitterB: 60, Offset: 1, Start: 1e12, PulsePeriod: period, PulseWidth: 40}
}

func coincide(t *testing.T, e pairs.Experiment, o correlate.CoincidenceOptions) (correlate.Coincidences, pairs.Truth) {
	t.Helper()
	a, b, truth := e.Make()
	c, err := correlate.Coincide([]correlate.Channel{{Tags: tag.NewReader(a)}, {Tags: tag.NewReader(b), Offset: 1}}, o)
	if err != nil {
		t.Fatal(err)
	}
	return c, truth
}

// truly says whether a number is there, and within four deviations of the truth.
func truly(t *testing.T, what string, got, sd, want float64) {
	t.Helper()
	if !(math.Abs(got-want) <= 4*sd) {
		t.Errorf("%s: %.4g ± %.3g, want %.4g", what, got, sd, want)
	}
}

func TestAccidentalsOfPulsedLight(t *testing.T) {
	for _, period := range []float64{13106.159, 5000, 1e6 / 7, 1e6, 2.5e7, 1e9} {
		singles := min(1e6, 0.05e12/period)
		e := pulsedPairs(period, singles, 30_000/singles)
		c, _ := coincide(t, e, correlate.CoincidenceOptions{Window: 1000})
		if len(c.Periods) != 1 || math.Abs(c.Periods[0]/period-1) > 1e-5 || c.Warning != "" {
			t.Errorf("a period of %g ps is found as %v %s", period, c.Periods, c.Warning)
		}
		truly(t, "accidentals", float64(c.Accidentals), float64(c.AccidentalsSD), singles*singles*e.Seconds*period*1e-12)
		truly(t, "pairs", float64(c.Net), float64(c.NetSD), e.Pairs*e.Seconds)
		truly(t, "heralding", c.Heralding[0].Value, c.Heralding[0].SD, 0.2)
	}
}

// Where windows hold many tags, accidentals are known no better than the rates of
// the light, of which so many tags happened to be recorded.
func TestAccidentalsOfBrightLight(t *testing.T) {
	var squares float64
	const records = 60
	for seed := range uint64(records) {
		e := pairs.Experiment{Seed: seed, Seconds: 0.004, SinglesA: 1e6, SinglesB: 1e6, Pairs: 1e5, JitterA: 60, JitterB: 60, Offset: 1, Start: 1e12}
		c, _ := coincide(t, e, correlate.CoincidenceOptions{Window: 200_000})
		pull := (float64(c.Accidentals) - 1e12*0.004*200_001e-12) / float64(c.AccidentalsSD)
		squares += pull * pull / records
	}
	if rms := math.Sqrt(squares); rms < 0.75 || rms > 1.25 {
		t.Errorf("accidentals pull by %.2f", rms)
	}
}

// A gate that is too slow for a reach of the search shows there by its overtones
// alone; half of it is no period.
func TestGateIsNotTakenForHalfOfIt(t *testing.T) {
	for seed := range uint64(6) {
		e := gated(185.4461558e6, 18.3515384e6, 5e5, 0.05)
		e.Seed = seed
		if c, _ := coincide(t, e, correlate.CoincidenceOptions{Window: 5687}); c.Warning != "" || len(c.Periods) > 0 && math.Abs(c.Periods[0]/185.4461558e6-1) > 1e-3 {
			t.Errorf("seed %d: %v %s", seed, c.Periods, c.Warning)
		}
	}
}

// gated is light that comes, and is recorded, for a part of each period only.
func gated(period, open, singles, seconds float64) pairs.Experiment {
	e := pulsedPairs(0, singles*period/open, seconds)
	e.PulseWidth, e.GatePeriod, e.GateOpen, e.Pairs = 0, period, open, -1
	return e
}

func TestAccidentalsOfGatedLight(t *testing.T) {
	for _, gate := range []struct{ period, open float64 }{{1.3e6, 3e5}, {2e6, 8e5}, {1e8, 1e6}, {7.3e5, 6e5}, {1e9, 4e8}} {
		e := gated(gate.period, gate.open, 3e5, 0.15)
		c, _ := coincide(t, e, correlate.CoincidenceOptions{Window: 20_000})
		inside := 3e5 * gate.period / gate.open * 1e-12
		want := inside * inside * (20_001*gate.open - 20_001*20_001/4) * 0.15e12 / gate.period
		if len(c.Periods) == 0 || c.Warning != "" {
			t.Errorf("a gate of %g ps is not found: %v %s", gate.period, c.Periods, c.Warning)
		}
		truly(t, "accidentals", float64(c.Accidentals), float64(c.AccidentalsSD), want)
		truly(t, "net", float64(c.Net), float64(c.NetSD), 0)
	}
}

// chanceBesidePairs is how many differences of not more than half a window are of different
// events, by those of more than 1 ns: what is of one event differs by jitter alone.
func chanceBesidePairs(a, b []uint64, half uint64) float64 {
	const beside = 1000 // ps
	chance, from := 0.0, 0
	for _, x := range a {
		for from < len(b) && b[from]+half < x {
			from++
		}
		for _, y := range b[from:] {
			if y > x+half {
				break
			}
			if max(x, y)-min(x, y) > beside {
				chance++
			}
		}
	}
	return chance / (1 - beside/float64(half))
}

// Beyond a dead time the windows see all of the light, and within it what dead detectors let
// be seen.
func TestAccidentalsBeyondDeadTimes(t *testing.T) {
	e := pairs.Experiment{Seed: 3, Seconds: 2, SinglesA: 60e3, SinglesB: 60e3, Pairs: 20e3, EtaA: 0.4, EtaB: 0.4, JitterA: 60, JitterB: 60, Offset: 1, Start: 1e12, DeadTime: 5e6}
	c, _ := coincide(t, e, correlate.CoincidenceOptions{Window: 100_000})
	if c.Shift <= 5e6 {
		t.Errorf("windows are shifted by %d ps, within the dead time", c.Shift)
	}
	a, b, _ := e.Make()
	chance := chanceBesidePairs(a, b, 50_000)
	truly(t, "accidentals", float64(c.Accidentals), math.Hypot(float64(c.AccidentalsSD), math.Sqrt(chance)), chance)
	if all := float64(c.TagsA) * float64(c.TagsB) * 100_001e-12 / 2; chance > 0.8*all || !(c.Blind > 0.2) {
		t.Errorf("%g are seen of the %.4g that detectors without dead times would have, blind for %g", chance, all, c.Blind)
	}
}

// Three channels of pulsed light, one with a clock and a cable of its own.
func TestAccidentalsOfPulsedTriples(t *testing.T) {
	e := pulsedPairs(13106.159, 1e6, 0.05)
	a, b, _ := e.Make()
	e.Seed++
	c, _, _ := e.Make()
	l := correlate.Line{Reference: a[0], Offset: 5_000_000, Frequency: 9_000_000_000}
	away := line(t, l).Inverse()
	for i := range c {
		c[i] = away.Apply(c[i]) + 300
	}
	found, err := correlate.Coincide([]correlate.Channel{{Tags: tag.NewReader(a)}, {Tags: tag.NewReader(b)}, {Tags: tag.NewReader(c), Correction: line(t, l), Offset: 300}},
		correlate.CoincidenceOptions{Window: 1000})
	if err != nil || found.Warning != "" || len(found.Periods) != 1 {
		t.Fatalf("%+v, %v", found, err)
	}
	truly(t, "triples", float64(found.Net), float64(found.NetSD), 0)
	truly(t, "AC", float64(found.Parts[1].Net), float64(found.Parts[1].NetSD), 0)
	truly(t, "AB", float64(found.Parts[0].Net), float64(found.Parts[0].NetSD), e.Pairs*e.Seconds)
	if found.All < 100 {
		t.Errorf("%d triples: this tests little", found.All)
	}
}

// A pulse may have hardly one pair by chance in the whole record: then windows
// beside the pulses have none, and windows on them few.
func TestAccidentalsOfFaintPulses(t *testing.T) {
	for period, singles := range map[float64]float64{13157.894: 2840, 718e3: 660, 50e6: 80} {
		c, _ := coincide(t, pulsedPairs(period, singles, 5), correlate.CoincidenceOptions{Window: 1000})
		if len(c.Periods) != 1 || math.Abs(c.Periods[0]/period-1) > 1e-6 || c.Warning != "" {
			t.Errorf("a period of %g ps is found as %v %s", period, c.Periods, c.Warning)
		}
		truly(t, "accidentals", float64(c.Accidentals), float64(c.AccidentalsSD), singles*singles*5*period*1e-12)
	}
}

// A shift or a period that the light contradicts is no reason to state a number.
func TestLightThatIsNotExplained(t *testing.T) {
	e := pulsedPairs(13106.159, 1e6, 0.05)
	for saying, o := range map[string]correlate.CoincidenceOptions{
		"beside its pulses":          {Window: 1000, Shift: 1_000_000},
		"leave the period out":       {Window: 1000, Period: 13_000},
		"differ from one another":    {Window: 2000, Shift: 4_321_000},
		"repeats after 1310":         {Window: 1000, Period: 20_000},
		"windows that are shifted b": {Window: 500, Shift: 2_000_000},
	} {
		c, _ := coincide(t, e, o)
		if !strings.Contains(c.Warning, saying) || c.Accidentals.Known() || c.Net.Known() || c.CAR.Known() || c.Heralding != nil || c.All == 0 {
			t.Errorf("%+v: %q, %+v; want %q", o, c.Warning, c.Fold, saying)
		}
	}
	if c, _ := coincide(t, e, correlate.CoincidenceOptions{Window: 1000, Period: 13_106}); c.Warning != "" || math.Abs(c.Periods[0]-13106.159) > 0.01 {
		t.Errorf("a period that is given is made finer: %v %s", c.Periods, c.Warning)
	}
	if c, _ := coincide(t, e, correlate.CoincidenceOptions{Window: 1000, Period: 13_106.159}); c.Warning != "" || math.Abs(c.Periods[0]-13106.159) > 0.01 {
		t.Errorf("a period with fractions of a picosecond: %v %s", c.Periods, c.Warning)
	}
	if c, _ := coincide(t, e, correlate.CoincidenceOptions{Window: 1000, Shift: 1_310_616}); c.Warning != "" || !c.CAR.Known() {
		t.Errorf("a shift by whole periods: %s", c.Warning)
	}
}

// Wide windows of light that knows nothing of each other.
func TestAccidentalsOfLongWindows(t *testing.T) {
	const n, second = 5000, 1_000_000_000_000
	g := gather{}
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 12))
		var tags [2][]uint64
		for i := range tags {
			for range n + int(math.Round(math.Sqrt(n)*rng.NormFloat64())) { // of Poisson light
				tags[i] = append(tags[i], rng.Uint64N(second))
			}
			slices.Sort(tags[i])
		}
		for name, o := range map[string]correlate.CoincidenceOptions{
			"1 ms": {Window: second / 1000}, "10 ms": {Window: second / 100}, "100 ms": {Window: second / 10}, "300 ms away": {Window: 1_000_000, Shift: 3 * second / 10},
		} {
			c, err := correlate.Coincide(channelsOf(tags[0], tags[1]), o)
			if err != nil || c.Warning != "" {
				t.Fatal(err, c.Warning)
			}
			w := float64(o.Window)
			g.add("accidentals of "+name, float64(c.Accidentals), n*n*(w-w*w/4/second)/second, float64(c.AccidentalsSD))
			g.add("net of "+name, float64(c.Net), 0, float64(c.NetSD))
		}
	}
	check(t, g)
}

// Whatever the mean is, three deviations about a count of few hold in 99 %.
func TestDeviationsOfFewCounts(t *testing.T) {
	for mean := 0.01; mean < 300; mean *= 1.01 {
		outside, p := 0.0, math.Exp(-mean)
		for n := 0.0; n < mean+20*math.Sqrt(mean)+30; n++ {
			if math.Abs(n-mean) > 3*math.Sqrt(n+3) {
				outside += p
			}
			p *= mean / (n + 1)
		}
		if outside > 0.01 {
			t.Errorf("of a mean of %g three deviations hold in %g", mean, 1-outside)
		}
	}
}

// A channel may have tags before and after all that another recorded, and none
// meanwhile.
func TestCoincidencesOfAChannelThatIsDarkMeanwhile(t *testing.T) {
	const second = 1_000_000_000_000
	around := []uint64{0, 20 * second}
	var between []uint64
	for i := range uint64(100) {
		between = append(between, 5*second+i*second/20)
	}
	for _, tags := range [][][]uint64{{around, between}, {between, around}, {between, between, around}} {
		c, err := correlate.Coincide(channelsOf(tags...), correlate.CoincidenceOptions{Window: 1000})
		if err != nil || c.All != 0 {
			t.Errorf("%+v, %v", c.Fold, err)
		}
	}
	if s, err := correlate.ScanDelays(channelsOf(between)[0], channelsOf(around)[0], correlate.ScanOptions{From: -1000, To: 1000, Step: 100, Window: 100}); err != nil || s.Peak != nil {
		t.Errorf("%+v, %v", s.Peak, err)
	}
}
