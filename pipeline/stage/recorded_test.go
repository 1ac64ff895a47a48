package stage_test

import (
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tsrun/pipeline/align"
	"tsrun/pipeline/correlate"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/run/runtest"
	"tsrun/pipeline/stage"
	"tsrun/sdk/quantity"
)

// aRecordedRun is a finished run whose bob is 400 ns ahead of alice and gains 12 ppm.
func aRecordedRun(t *testing.T, stages ...recipe.Stage) (dir string, alice, bob []uint64) {
	t.Helper()
	tags := pairsOf(3, []int64{0, 400_000}, []int64{0, 12_000_000_000})
	r := &recipe.Recipe{Trigger: recipe.Trigger{Method: "scheduled"}, Stages: stages}
	d, m, _, err := analysed(t, map[string][]uint64{"alice.signal": tags[0], "bob.idler": tags[1]}, r)
	if err != nil {
		t.Fatal(err)
	}
	text := []byte("version: 1\n")
	if m.Recipe, err = d.KeepRecipe([]run.RecipeSource{{Path: "pairs.yaml", Bytes: text}}, r, text, nil); err != nil {
		t.Fatal(err)
	}
	if err := d.Seal(m); err != nil {
		t.Fatal(err)
	}
	return d.Path(), tags[0], tags[1]
}

func countOf(t *testing.T, c correlate.Channel) (n int) {
	t.Helper()
	buf := make([]uint64, 1000)
	for {
		k, err := c.Tags.Next(buf)
		n += k
		if err == io.EOF {
			return n
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Channels of a finished run are one stream each, of all segments, and corrected
// as its stages would: by its align stage, by the caller's own correction, or not.
func TestOpenRecorded(t *testing.T) {
	dir, alice, bob := aRecordedRun(t, alignStage("align", "alice.signal", "bob.idler"))
	both := []string{"alice.signal", "bob.idler"}
	opened, err := stage.OpenRecorded(t.Context(), dir, both, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := countOf(t, opened.Channels[0]), countOf(t, opened.Channels[1]); a != len(alice) || b != len(bob) {
		t.Errorf("%d and %d tags, recorded were %d and %d", a, b, len(alice), len(bob))
	}
	if words := strings.Join(opened.Words, "\n"); !strings.Contains(words, `the clock of bob.idler is corrected to that of alice.signal by the run's stage "align"`) ||
		!strings.Contains(words, "SIMULATED") || !opened.Origin.Simulated {
		t.Errorf("words %q of %+v", words, opened.Origin)
	}
	if err := opened.Close(); err != nil {
		t.Error(err)
	}
	if _, err := stage.OpenRecorded(t.Context(), dir, []string{"alice.signal", "bob.idle"}, nil, false); err == nil || !strings.Contains(err.Error(), `did you mean "bob.idler"`) {
		t.Errorf("a channel that is not there: %v", err)
	}
	if _, err := stage.OpenRecorded(t.Context(), t.TempDir(), both, nil, false); err == nil || !strings.Contains(err.Error(), "is no run directory") {
		t.Errorf("a directory of no run: %v", err)
	}
}

// Of a run that has not ended nothing is counted as if it were nothing.
func TestOpenRecordedBeforeTheEnd(t *testing.T) {
	dir, alice, _ := aRecordedRun(t, alignStage("align", "alice.signal", "bob.idler"))
	unend := func(forget bool) {
		m, err := run.ReadManifest(dir)
		if err != nil {
			t.Fatal(err)
		}
		m.Ended = time.Time{}
		if forget { // as a manifest is until everything is recorded
			m.Segments = nil
			for _, n := range m.Nodes {
				for _, c := range n.Channels {
					c.Tags, c.LengthPs = 0, 0
				}
			}
		}
		if err := os.WriteFile(filepath.Join(dir, run.ManifestFile), runtest.ManifestText(t, m), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	unend(false) // what is known is read
	opened, err := stage.OpenRecorded(t.Context(), dir, []string{"alice.signal"}, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	if n := countOf(t, opened.Channels[0]); n != len(alice) {
		t.Errorf("%d tags, recorded were %d", n, len(alice))
	}
	if err := opened.Close(); err != nil {
		t.Error(err)
	}
	unend(true)
	both := [2]string{"alice.signal", "bob.idler"}
	for name, read := range map[string]func() error{
		"open": func() error { _, err := stage.OpenRecorded(t.Context(), dir, both[:], nil, true); return err },
		"align": func() error {
			_, _, err := stage.AlignRecorded(t.Context(), dir, both, stage.ByPairs, align.Options{})
			return err
		},
		"drifts": func() error { _, _, err := stage.Drifts(t.Context(), dir); return err },
	} {
		if err := read(); err == nil || !strings.Contains(err.Error(), "has not ended") || !strings.Contains(err.Error(), "tsrun resume "+dir) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Where nothing connects two clocks it is an error, unless the caller corrects
// the channel or wants it as it is.
func TestOpenRecordedWithoutAlign(t *testing.T) {
	dir, _, _ := aRecordedRun(t)
	both := []string{"alice.signal", "bob.idler"}
	if _, err := stage.OpenRecorded(t.Context(), dir, both, nil, false); err == nil || !strings.Contains(err.Error(), "no align stage of the run found an offset between the clocks of alice.signal and bob.idler") {
		t.Errorf("clocks that nothing connects: %v", err)
	}
	own := map[int]correlate.Correction{1: {}}
	for name, open := range map[string]func() (*stage.Recorded, error){
		"own":    func() (*stage.Recorded, error) { return stage.OpenRecorded(t.Context(), dir, both, own, false) },
		"anyway": func() (*stage.Recorded, error) { return stage.OpenRecorded(t.Context(), dir, both, nil, true) },
		"one":    func() (*stage.Recorded, error) { return stage.OpenRecorded(t.Context(), dir, both[:1], nil, false) },
		"twice": func() (*stage.Recorded, error) {
			return stage.OpenRecorded(t.Context(), dir, []string{both[0], both[0]}, nil, false)
		},
	} {
		opened, err := open()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := opened.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// AlignRecorded finds what a stage would have found, in a run without one too.
func TestAlignRecorded(t *testing.T) {
	dir, _, _ := aRecordedRun(t)
	o := align.Options{Search: 2_000_000, MaxDrift: 20_000 * quantity.PartPerBillion}
	both := [2]string{"alice.signal", "bob.idler"}
	for _, by := range []string{stage.ByPairs, stage.ByMarkers} { // photons of both are a signal of both, too
		found, of, err := stage.AlignRecorded(t.Context(), dir, both, by, o)
		if err != nil || found.Count != 1 || !of.Simulated {
			t.Fatalf("by %s: %+v of %+v, %v", by, found, of, err)
		}
		want := 400_000 + float64(found.Reference)*12e-6
		if miss := found.Offset.Float() - want; math.Abs(miss) > 5*found.OffsetSD+1 {
			t.Errorf("by %s: offset off by %.1f ± %.1f ps", by, miss, found.OffsetSD)
		}
	}
	if _, _, err := stage.AlignRecorded(t.Context(), dir, [2]string{"alice.signal", "zoe.x"}, stage.ByPairs, o); err == nil {
		t.Error("a channel that is not there was aligned")
	}
}
