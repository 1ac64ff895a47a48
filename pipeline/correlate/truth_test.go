package correlate_test

import (
	"testing"

	"tsrun/pipeline/correlate"
)

// seeds is how often an experiment is repeated; [TestLongUncertainties] repeats more.
const seeds = 60

// check reports pulls that do not hold.
func check(t *testing.T, all map[string]*pulls) {
	t.Helper()
	for name, p := range all {
		mean, sd := p.moments()
		t.Logf("%-12s mean %+.3f, sd %.3f of %d pulls", name, mean, sd, len(*p))
		if !p.hold() {
			t.Errorf("%s does not hold: its pulls have mean %+.3f and sd %.3f", name, mean, sd)
		}
	}
}

type gather map[string]*pulls

func (g gather) add(name string, estimate, truth, sd float64) {
	if g[name] == nil {
		g[name] = &pulls{}
	}
	*g[name] = append(*g[name], (estimate-truth)/sd)
}

// What is stated of pairs holds: net is the number of events both saw, and the
// heralding efficiencies are those of the channels, diluted by noise.
func TestUncertaintiesOfPairsHold(t *testing.T) { pairsHold(t, seeds) }

func pairsHold(t *testing.T, seeds int) {
	t.Helper()
	l := light{seconds: 0.5, events: 4000, see: []float64{0.5, 0.3}, noise: []float64{20_000, 15_000}, jitter: 100}
	g := gather{}
	both := l.events * l.see[0] * l.see[1] * l.seconds
	for seed := range uint64(seeds) {
		tags := l.tags(seed)
		c, err := correlate.Coincide(channelsOf(tags...), correlate.CoincidenceOptions{Window: 20_000})
		if err != nil {
			t.Fatal(err)
		}
		chance := float64(len(tags[0])) * float64(len(tags[1])) * 20_001e-12 / l.seconds
		g.add("net", float64(c.Net), both, float64(c.NetSD))
		g.add("accidentals", float64(c.Accidentals), chance, float64(c.AccidentalsSD))
		// events seen by one channel, and its noise
		g.add("heralding A", c.Heralding[0].Value, both/(l.seconds*(l.events*l.see[1]+l.noise[1])), c.Heralding[0].SD)
		g.add("heralding B", c.Heralding[1].Value, both/(l.seconds*(l.events*l.see[0]+l.noise[0])), c.Heralding[1].SD)
	}
	check(t, g)
}

// Without noise an efficiency is a binomial's.
func TestUncertaintiesOfEfficienciesHold(t *testing.T) { efficienciesHold(t, seeds) }

func efficienciesHold(t *testing.T, seeds int) {
	t.Helper()
	l := light{seconds: 0.5, events: 4000, see: []float64{0.9, 0.8, 0.7}, noise: []float64{0, 0, 0}, jitter: 50}
	g := gather{}
	for seed := range uint64(seeds) {
		c, err := correlate.Coincide(channelsOf(l.tags(seed)...), correlate.CoincidenceOptions{Window: 1000})
		if err != nil {
			t.Fatal(err)
		}
		for i, h := range c.Heralding { // of A by BC, of B by AC, of C by AB
			g.add("of "+h.Of+" by "+h.By, h.Value, l.see[i], h.SD)
		}
		g.add("of B by A", c.Parts[0].Heralding[1].Value, l.see[1], c.Parts[0].Heralding[1].SD)
	}
	check(t, g)
}

// Three channels and much noise: most of the accidentals are of an event that
// two of them saw and a third tag by chance, and are found as such.
func TestUncertaintiesOfTriplesHold(t *testing.T) { triplesHold(t, seeds) }

func triplesHold(t *testing.T, seeds int) {
	t.Helper()
	l := light{seconds: 0.5, events: 20_000, see: []float64{0.4, 0.3, 0.3}, noise: []float64{20_000, 30_000, 25_000}, jitter: 100}
	three := l.events * l.see[0] * l.see[1] * l.see[2] * l.seconds
	g := gather{}
	partly := 0.0
	for seed := range uint64(seeds) {
		c, err := correlate.Coincide(channelsOf(l.tags(seed)...), correlate.CoincidenceOptions{Window: 4000})
		if err != nil {
			t.Fatal(err)
		}
		g.add("net", float64(c.Net), three, float64(c.NetSD))
		g.add("of C by AB", c.Heralding[2].Value, three/(l.events*l.see[0]*l.see[1]*l.seconds), c.Heralding[2].SD)
		partly += float64((c.Accidentals-c.Chance)/c.Accidentals) / float64(seeds)
	}
	check(t, g)
	if partly < 0.8 {
		t.Errorf("%.0f %% of the accidentals are partly correlated: this tests little", 100*partly)
	}
}

// Two sources, each seen by two channels: there is no event that all four saw,
// and many accidental fours. They are recognised, though they are of two events.
func TestTwoSourcesAreNoFourfold(t *testing.T) { twoSources(t, seeds/4) }

func twoSources(t *testing.T, seeds int) {
	t.Helper()
	g := gather{}
	accidentals := 0.0
	for seed := range uint64(seeds) {
		one := light{seconds: 0.1, events: 400_000, see: []float64{0.5, 0.5}, noise: []float64{1000, 1000}, jitter: 100}
		ab, cd := one.tags(seed), one.tags(seed+1_000_000)
		c, err := correlate.Coincide(channelsOf(ab[0], ab[1], cd[0], cd[1]), correlate.CoincidenceOptions{Window: 20_000})
		if err != nil {
			t.Fatal(err)
		}
		g.add("net", float64(c.Net), 0, float64(c.NetSD))
		accidentals += float64(c.Accidentals) / float64(seeds)
	}
	check(t, g)
	if accidentals < 15 {
		t.Errorf("%.3g accidental fours in the mean: this tests little", accidentals)
	}
}
