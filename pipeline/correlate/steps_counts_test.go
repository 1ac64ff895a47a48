package correlate_test

import (
	"math"
	"strings"
	"testing"

	"tsrun/pipeline/correlate"
	"tsrun/sdk/tag"
)

// inSteps are tags of two detectors that a counter brings in steps.
func inSteps(d detectors, seed uint64, step float64) (tags [2][]uint64) {
	tags, _ = d.play(seed)
	for i := range tags {
		for k, at := range tags[i] {
			tags[i][k] = uint64(math.Round(math.Floor(float64(at)/step) * step))
		}
	}
	return tags
}

// A scan of tags in steps finds the peak of pairs and no other, and what is chance in the
// window of the highest count.
func TestScanOfTagsInSteps(t *testing.T) {
	noise := detectors{seconds: 0.4, events: 1, see: [2]float64{0, 0}, noise: [2]float64{400e3, 400e3}}
	pairs := detectors{seconds: 0.4, events: 4e5, see: [2]float64{0.25, 0.25}, noise: [2]float64{300e3, 300e3}, jitter: 60}
	for _, of := range []struct {
		step       float64
		reach      int64
		by, window int64
	}{{81, 20_000, 50, 300}, {12500, 3_000_000, 2000, 20_000}, {80.955, 20_000, 50, 300}} {
		o := correlate.ScanOptions{From: -of.reach, To: of.reach, Step: of.by, Window: of.window}
		for _, light := range []detectors{noise, pairs} {
			tags := inSteps(light, 7, of.step)
			r, err := correlate.ScanDelays(correlate.Channel{Tags: tag.NewReader(tags[0])}, correlate.Channel{Tags: tag.NewReader(tags[1])}, o)
			if err != nil || r.Warning != "" || len(r.Periods) > 0 {
				t.Errorf("steps of %g ps: %v %s %v", of.step, r.Periods, r.Warning, err)
			}
			if light.events == 1 {
				if r.Peak != nil {
					t.Errorf("steps of %g ps: a peak of no pairs, %+v", of.step, *r.Peak)
				}
				continue
			}
			most := math.Floor(float64(of.window)/of.step) + 1
			chance := 4e5 * 4e5 * 0.4 * most * of.step * 1e-12
			if r.Peak == nil || math.Abs(r.Peak.Offset.Float()) > 5*r.Peak.OffsetSD+of.step/4 || math.Abs(float64(r.Peak.Pairs)-10_000) > 4*float64(r.Peak.PairsSD)+100 || math.Abs(float64(r.Peak.Accidentals)/chance-1) > 0.1 {
				t.Errorf("steps of %g ps: %+v, want %.4g by chance", of.step, r.Peak, chance)
			}
		}
	}
}

// Bins beside the steps of tags hold more or fewer of them, which is said.
func TestG2OfTagsInSteps(t *testing.T) {
	tags := inSteps(detectors{seconds: 0.4, events: 1, noise: [2]float64{400e3, 400e3}}, 7, 81)
	for bin, said := range map[int64]bool{16: true, 81: false, 162: false, 100: true} {
		r, err := correlate.CountG2(correlate.Channel{Tags: tag.NewReader(tags[0])}, correlate.Channel{Tags: tag.NewReader(tags[1])}, correlate.G2Options{Range: 400 * bin, Bin: bin})
		if err != nil || strings.Contains(r.Warning, "steps of 81 ps") != said {
			t.Errorf("bins of %d ps: %q, %v", bin, r.Warning, err)
		}
	}
}
