package correlate_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"tsrun/pipeline/correlate"
)

// detectors are two that see a source and noise, and are blind after each tag.
type detectors struct {
	seconds, events float64
	see, noise      [2]float64 // part of the events; per second
	dead            [2]float64 // ps
	jitter          float64
	after, delay    float64 // probability of an afterpulse, ps after the dead time in the mean
	period          float64 // ps between pulses; 0: at any time
}

type seenTag struct {
	at    float64
	event int
}

// play makes the tags, and by which event each is.
func (d detectors) play(seed uint64) (tags [2][]uint64, of [2][]int) {
	rng := rand.New(rand.NewPCG(seed, 79))
	end := d.seconds * 1e12
	pulsed := func(t float64) float64 {
		if d.period == 0 {
			return t
		}
		return math.Round(t/d.period)*d.period + 40*rng.NormFloat64()
	}
	var come [2][]seenTag
	event := 0
	for t := rng.ExpFloat64() * 1e12 / d.events; t < end; t += rng.ExpFloat64() * 1e12 / d.events {
		event++
		at := pulsed(t)
		for i := range come {
			if rng.Float64() < d.see[i] {
				come[i] = append(come[i], seenTag{at + d.jitter*rng.NormFloat64(), event})
			}
		}
	}
	for i := range come {
		for t := rng.ExpFloat64() * 1e12 / d.noise[i]; d.noise[i] > 0 && t < end; t += rng.ExpFloat64() * 1e12 / d.noise[i] {
			event++
			come[i] = append(come[i], seenTag{pulsed(t), event})
		}
		slices.SortFunc(come[i], func(x, y seenTag) int { return int(math.Copysign(1, x.at-y.at)) })
		last, pulse := math.Inf(-1), math.Inf(1)
		take := func(at float64, event int) {
			if at-last < d.dead[i] {
				return
			}
			last, pulse = at, math.Inf(1)
			tags[i], of[i] = append(tags[i], uint64(math.Round(at+1e12))), append(of[i], event)
			if rng.Float64() < d.after {
				pulse = at + d.dead[i] + d.delay*rng.ExpFloat64()
			}
		}
		for _, c := range come[i] {
			for pulse < c.at {
				event++
				take(pulse, event)
			}
			take(c.at, c.event)
		}
	}
	return tags, of
}

// chanceOf is how many pairs within half a window are of different events.
func chanceOf(tags [2][]uint64, of [2][]int, half uint64) (chance, pairs float64) {
	from := 0
	a, b := tags[0], tags[1]
	for i, x := range a {
		for from < len(b) && b[from]+half < x {
			from++
		}
		for k := from; k < len(b) && b[k] <= x+half; k++ {
			if of[0][i] != of[1][k] {
				chance++
			} else {
				pairs++
			}
		}
	}
	return chance, pairs
}

// Detectors that are dead after a tag see fewer pairs of different events near zero than
// where channels are moved, by as much as they saw each other's events: accidentals are
// those that there are, of light that is pulsed as well, and the rest are pairs.
func TestAccidentalsWithinDeadTimes(t *testing.T) {
	seen := 0
	for seed, of := range []struct {
		dead, see, asymmetry, period, after float64
		window                              int64
	}{
		{0, 0.5, 1, 0, 0, 20_000}, {30e3, 0.5, 1, 0, 0.05, 20_000}, {30e3, 0.5, 5, 0, 0, 20_000}, {30e3, 0.1, 1, 0, 0, 1000}, {30e3, 0.6, 1, 0, 0, 1000},
		{1e6, 0.5, 1, 0, 0.05, 20_000}, {1e6, 0.6, 5, 0, 0, 20_000}, {5e6, 0.6, 1, 0, 0, 20_000},
		{0, 0.5, 1, 13106.16, 0, 1000}, {30e3, 0.5, 1, 13106.16, 0, 1000}, {1e6, 0.5, 5, 13106.16, 0, 20_000},
	} {
		singles := min(0.3e12/max(of.dead, 1e6), 5e5)
		d := detectors{seconds: 1e5 / singles, events: singles / of.see / 1.2, see: [2]float64{of.see, of.see / of.asymmetry}, noise: [2]float64{singles / 6, singles / 6},
			dead: [2]float64{of.dead, of.dead}, jitter: 60, after: of.after, delay: 100e3, period: of.period}
		tags, events := d.play(uint64(seed))
		c, err := correlate.Coincide(channelsOf(tags[0], tags[1]), correlate.CoincidenceOptions{Window: of.window})
		if err != nil || c.Warning != "" {
			t.Fatal(of, c.Warning, err)
		}
		chance, net := chanceOf(tags, events, uint64(of.window/2))
		if math.Abs(float64(c.Accidentals)-chance) > 3*math.Hypot(float64(c.AccidentalsSD), math.Sqrt(chance)) || math.Abs(float64(c.Net)-net) > 3*float64(c.NetSD) {
			t.Errorf("%+v: %.5g ± %.3g accidentals, truly %g; net %.6g ± %.3g, truly %g", of, c.Accidentals, c.AccidentalsSD, chance, c.Net, c.NetSD, net)
		}
		ratio := float64(c.All) / chance
		if c.CAR.Known() && math.Abs(float64(c.CAR)-ratio) > 3*math.Hypot(float64(c.CARSD), ratio/math.Sqrt(chance)) {
			t.Errorf("%+v: CAR %.4g ± %.3g, truly %.4g", of, c.CAR, c.CARSD, ratio)
		}
		if c.Blind > 0.2 {
			seen++
		} else if of.dead == 0 && c.Blind > 0 {
			t.Errorf("%+v: blind by %g without dead times", of, c.Blind)
		}
	}
	if seen < 5 {
		t.Errorf("dead times are seen in %d records", seen)
	}
}

// Double counts are in a coincidence each: that is said, and deviations of heralding hold it.
func TestTagsThatRepeat(t *testing.T) {
	d := detectors{seconds: 1, events: 2e5, see: [2]float64{0.3, 0.3}, noise: [2]float64{2e4, 2e4}, jitter: 60}
	tags, _ := d.play(2)
	single, err := correlate.Coincide(channelsOf(tags[0], tags[1]), correlate.CoincidenceOptions{Window: 40_000})
	if err != nil || single.Repeated != 0 {
		t.Fatal(single.Repeated, err)
	}
	for _, part := range []int{10, 1} { // of how many tags one comes again
		var again [2][]uint64
		for i := range tags {
			for k, at := range tags[i] {
				if again[i] = append(again[i], at); k%part == 0 {
					again[i] = append(again[i], at+10_000)
				}
			}
			slices.Sort(again[i])
		}
		c, err := correlate.Coincide(channelsOf(again[0], again[1]), correlate.CoincidenceOptions{Window: 40_000})
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(c.Repeated/(2/float64(part+1))-1) > 0.1 {
			t.Errorf("one of %d again: %g repeated", part, c.Repeated)
		}
		for i, h := range c.Heralding {
			if want := single.Heralding[i]; math.Abs(h.Value-want.Value) > 3*h.SD {
				t.Errorf("one of %d again: %.4g ± %.3g heralded, truly %.4g", part, h.Value, h.SD, want.Value)
			}
		}
	}
}
