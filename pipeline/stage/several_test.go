package stage_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"tsrun/internal/pairs"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/report"
	"tsrun/pipeline/run/runtest"
	"tsrun/pipeline/stage"
	"tsrun/sdk/quantity"
)

func alignBetween(references, targets []string, by string) *recipe.Recipe {
	c := stage.AlignConfig{Reference: references[0], Target: targets[0], By: by,
		Search: 20 * quantity.Millisecond, MaxDrift: 20_000 * quantity.PartPerBillion}
	if len(references)+len(targets) > 2 {
		c.References, c.Targets = references, targets
	}
	return &recipe.Recipe{Trigger: recipe.Trigger{Method: "scheduled"}, Stages: []recipe.Stage{
		runtest.Stage("align", "align", c),
		histogramStage("g2", references[0], targets[0]),
	}}
}

// Several detectors of each node give one clock and a delay for each two of them.
func TestAnalyseAlignsSeveralChannels(t *testing.T) {
	a, b, truth := pairs.Experiment{Seed: 9, Seconds: 3, SinglesA: 40e3, SinglesB: 40e3, Start: 1_000_000, Offset: 3_000_000,
		Frequency: 1e-7, DelaysA: []float64{0, 2500}, DelaysB: []float64{0, -7300}}.MakeDetectors()
	references, targets := []string{"alice.one", "alice.two"}, []string{"bob.one", "bob.two"}
	d, m, _, err := analysed(t, map[string][]uint64{"alice.one": a[0], "alice.two": a[1], "bob.one": b[0], "bob.two": b[1]},
		alignBetween(references, targets, "pairs"))
	if err != nil {
		t.Fatal(err)
	}
	s, ok := stage.DecodeSummary[stage.AlignSummary](result(t, m, "align"))
	if !ok || s.Refused || len(s.Channels) != 4 || !slices.Contains(references, s.Reference) || !slices.Contains(targets, s.Target) {
		t.Fatalf("summary %+v", s)
	}
	delay := map[string]float64{"alice.one": 0, "alice.two": 2500, "bob.one": 0, "bob.two": -7300}
	lead := delay[s.Target] - delay[s.Reference]
	for _, c := range s.Channels {
		if want := delay[c.Target] - delay[c.Reference] - lead; !c.Correlated || math.Abs(c.Delay-want) > 5*c.DelaySD+1 {
			t.Errorf("%s and %s: %.1f ± %.1f ps, truly %.1f", c.Reference, c.Target, c.Delay, c.DelaySD, want)
		}
	}
	leadSD := s.Channels[slices.IndexFunc(s.Channels, func(c stage.ChannelDelay) bool { return c.Reference == s.Reference && c.Target == s.Target })].DelaySD
	want := truth.OffsetAt(s.ReferencePs).Plus(lead)
	if miss := s.Alignment.Offset.Minus(want); math.Abs(miss) > 5*math.Hypot(s.OffsetSDPs, leadSD) {
		t.Errorf("offset off by %.1f ± %.1f ps", miss, leadSD)
	}
	if h, ok := stage.DecodeSummary[stage.HistogramSummary](result(t, m, "g2")); !ok || !h.Corrected || h.PeakPs == nil || math.Abs(float64(*h.PeakPs)-(0-lead)) > 400 {
		t.Errorf("histogram of the first two: %+v, lead %v", h, lead)
	}
	var out strings.Builder
	if err := report.Report(&out, m, d.Path(), 200); err != nil || strings.Count(out.String(), " ps later, ") != 3 {
		t.Errorf("report (%v):\n%s", err, &out)
	}
}

func TestAnalyseAlignsMarkers(t *testing.T) {
	e := pairs.Experiment{Seed: 9, Seconds: 20, Pairs: -1, SinglesA: 100, SinglesB: 100, Start: 1_000_000, Offset: 5_000_000,
		Frequency: 2e-7, MarkerPeriod: 0.1, MarkerJitter: 50}
	a, b := e.Markers()
	_, _, truth := e.Make()
	channels := map[string][]uint64{"alice.pps": a, "bob.pps": b}
	_, m, _, err := analysed(t, channels, alignBetween([]string{"alice.pps"}, []string{"bob.pps"}, stage.ByMarkers))
	if err != nil {
		t.Fatal(err)
	}
	s, ok := stage.DecodeSummary[stage.AlignSummary](result(t, m, "align"))
	if !ok || s.Refused || math.Abs(s.Alignment.Offset.Minus(truth.OffsetAt(s.ReferencePs))) > 5*s.OffsetSDPs+1 {
		t.Errorf("summary %+v", s)
	}
}
