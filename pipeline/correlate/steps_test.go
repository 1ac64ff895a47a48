package correlate_test

import (
	"math"
	"testing"

	"tsrun/pipeline/correlate"
)

// Tags that a counter brings in steps are no light that repeats, windows of chance hold as
// many steps as that at zero, and light that does repeat is found all the same.
func TestTagsInSteps(t *testing.T) {
	for _, of := range []struct {
		step, period float64
		window       int64
		found        float64
	}{
		{81, 0, 1000, 0}, {80.955, 0, 300, 0}, {12500, 0, 20_000, 0}, {12500, 0, 60_000, 0}, {156.25, 0, 5000, 0},
		{81, 13106.16, 1000, 13106.16}, {500, 1e5, 4000, 1e5}, {12500, 1e6, 60_000, 1e6}, {12500, 130e3, 20_000, 130e3},
	} {
		d := detectors{seconds: 0.4, events: 6e5, see: [2]float64{0.25, 0.25}, noise: [2]float64{150e3, 150e3}, jitter: 60, period: of.period}
		tags, events := d.play(5)
		for i := range tags {
			for k, at := range tags[i] {
				tags[i][k] = uint64(math.Round(math.Floor(float64(at)/of.step) * of.step))
			}
		}
		c, err := correlate.Coincide(channelsOf(tags[0], tags[1]), correlate.CoincidenceOptions{Window: of.window})
		if err != nil || c.Warning != "" {
			t.Fatal(of, c.Warning, err)
		}
		if of.found == 0 && len(c.Periods) > 0 || of.found > 0 && (len(c.Periods) != 1 || math.Abs(c.Periods[0]/of.found-1) > 1e-5) {
			t.Errorf("steps of %g ps, light of %g ps: periods %v", of.step, of.period, c.Periods)
		}
		chance, net := chanceOf(tags, events, uint64(of.window/2))
		sd := math.Hypot(float64(c.AccidentalsSD), math.Sqrt(chance))
		if math.Abs(float64(c.Accidentals)-chance) > 3*sd || math.Abs(float64(c.Net)-net) > 3*float64(c.NetSD) {
			t.Errorf("steps of %g ps, light of %g ps, window %d ps, moved by %d ps: %.5g ± %.3g accidentals, truly %g; net %.5g ± %.3g, truly %g",
				of.step, of.period, of.window, c.Shift, c.Accidentals, c.AccidentalsSD, chance, c.Net, c.NetSD, net)
		}
	}
}
