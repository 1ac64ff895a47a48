package stage_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"tsrun/pipeline/event"
	"tsrun/pipeline/fact"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/run/runtest"
	"tsrun/pipeline/stage"
	"tsrun/sdk/quantity"
)

const (
	second   = 1_000_000_000_000 // ps
	duration = second
)

// pairsOf makes the tags of n channels that see the same photons, each with a
// clock of its own that is offset ps ahead and gains frequency (1e-15), and
// dark counts of its own.
func pairsOf(seed uint64, offset, frequency []int64) [][]uint64 {
	random := rand.New(rand.NewPCG(seed, 1))
	channels := make([][]uint64, len(offset))
	stamp := func(i int, t int64) {
		t += offset[i] + int64(float64(t)*float64(frequency[i])*1e-15) + int64(random.NormFloat64()*50)
		if t >= 0 && t < duration {
			channels[i] = append(channels[i], uint64(t))
		}
	}
	for range 20_000 {
		t := random.Int64N(duration)
		for i := range channels {
			stamp(i, t)
		}
	}
	for i := range channels {
		for range 2_000 {
			stamp(i, random.Int64N(duration))
		}
		slices.Sort(channels[i])
	}
	return channels
}

// halves splits a channel into two segments and an empty one between.
func halves(tags []uint64) [][]uint64 {
	return [][]uint64{tags[:len(tags)/2], {}, tags[len(tags)/2:]}
}

// observed keeps what it is told.
type observed struct {
	mu     sync.Mutex
	events []event.Event
}

func (o *observed) Observe(e event.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.events = append(o.events, e)
}

func analysed(t *testing.T, channels map[string][]uint64, r *recipe.Recipe) (*run.Directory, *run.Manifest, []event.Event, error) {
	t.Helper()
	return analysedAfter(t, channels, r, func(*run.Manifest) {})
}

// analysedAfter is analysed of a run whose manifest was changed before.
func analysedAfter(t *testing.T, channels map[string][]uint64, r *recipe.Recipe, change func(*run.Manifest)) (*run.Directory, *run.Manifest, []event.Event, error) {
	t.Helper()
	d := runtest.NewDirectory(t)
	m := &run.Manifest{Ended: runtest.Noon, Nodes: map[string]*run.Node{}}
	for name, tags := range channels {
		node, channel, _ := strings.Cut(name, ".")
		runtest.WriteChannel(t, d, m, node, channel, halves(tags))
		m.Nodes[node].Channels[channel].Controller = "tc"
		m.Nodes[node].Controllers = map[string]*run.Controller{"tc": {Device: fact.Device{Simulated: node == "bob"}}}
	}
	change(m)
	var heard observed
	err := stage.Analyse(t.Context(), d.Path(), r, m, &heard)
	m.Judge()
	events := slices.DeleteFunc(heard.events, func(e event.Event) bool { // how many there are is a matter of speed
		_, ok := e.(event.Analysing)
		return ok
	})
	return d, m, events, err
}

func alignStage(name, reference, target string) recipe.Stage {
	return alignStageWithin(name, reference, target, 2_000_000)
}

func alignStageWithin(name, reference, target string, search quantity.Time) recipe.Stage {
	return runtest.Stage(name, "align", stage.AlignConfig{Reference: reference, Target: target, Search: search, MaxDrift: 20_000 * quantity.PartPerBillion})
}

func histogramStage(name, start, stop string) recipe.Stage {
	return runtest.Stage(name, "histogram", stage.HistogramConfig{Start: start, Stop: stop, Range: 20_000, Bin: 50})
}

func pairsStage(name, a, b string) recipe.Stage {
	return runtest.Stage(name, "coincidences", stage.CoincidencesConfig{Of: []string{a, b}, Window: 1000})
}

func result(t *testing.T, m *run.Manifest, stage string) run.Result {
	t.Helper()
	i := slices.IndexFunc(m.Results, func(r run.Result) bool { return r.Stage == stage })
	if i < 0 {
		t.Fatalf("no result of stage %q in %+v", stage, m.Results)
	}
	return m.Results[i]
}

func lines(t *testing.T, d *run.Directory, file string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(d.Path(), file))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

func TestAnalyseFindsClocksAndCorrectsThem(t *testing.T) {
	tags := pairsOf(3, []int64{0, 400_000, -300_000}, []int64{0, 12_000_000_000, -7_000_000_000})
	r := &recipe.Recipe{Trigger: recipe.Trigger{Method: "scheduled"}, Stages: []recipe.Stage{
		alignStage("align", "alice.signal", "bob.idler"),
		alignStage("second", "bob.idler", "carol.third"),
		pairsStage("pairs", "alice.signal", "bob.idler"),
		histogramStage("g2", "bob.idler", "alice.signal"), // the corrected one is the start
		histogramStage("over bob", "alice.signal", "carol.third"),
	}}
	d, m, events, err := analysed(t, map[string][]uint64{"alice.signal": tags[0], "bob.idler": tags[1], "carol.third": tags[2]}, r)
	if err != nil {
		t.Fatal(err)
	}
	var align stage.AlignSummary
	if err := json.Unmarshal([]byte(strings.Join(lines(t, d, "results/align.json"), "\n")), &align); err != nil {
		t.Fatal(err)
	}
	want := 400_000 + int64(float64(align.ReferencePs)*12e-6)
	if align.Refused || max(align.OffsetPs-want, want-align.OffsetPs) > 20 || !align.Simulated {
		t.Errorf("offset %d ps at %d ps, truly %d ps: %+v", align.OffsetPs, align.ReferencePs, want, align)
	}
	pairs, ok := stage.DecodeSummary[stage.CoincidencesSummary](result(t, m, "pairs"))
	if !ok || pairs.All < 19_900 || pairs.All > 20_100 || !pairs.Corrected {
		t.Errorf("pairs: %+v", pairs)
	}
	rows := lines(t, d, "results/pairs.csv")
	if !strings.HasPrefix(rows[0], "# SIMULATED") || rows[1] != "a_ps,b_ps,delta_ps,one_to_one" || uint64(len(rows)-2) != pairs.All {
		t.Errorf("%d rows for %d pairs: %q", len(rows), pairs.All, rows[:2])
	}
	for _, row := range rows[2:] {
		var a, b uint64
		var delta, one int64
		if n, err := fmt.Sscanf(row, "%d,%d,%d,%d", &a, &b, &delta, &one); n != 4 || delta < -500 || delta > 500 {
			t.Fatalf("row %q (%v)", row, err)
		}
		if _, found := slices.BinarySearch(tags[1], b); !found {
			t.Fatalf("row %q: bob never recorded that", row)
		}
	}
	for _, name := range []string{"g2", "over bob"} {
		h, ok := stage.DecodeSummary[stage.HistogramSummary](result(t, m, name))
		if !ok || !h.Corrected || h.PeakPs == nil || *h.PeakPs < -100 || *h.PeakPs > 100 || h.PeakCounts < 3000 {
			t.Errorf("%s: %+v", name, h)
		}
	}
	if got := lines(t, d, "results/over_bob.csv"); !strings.HasPrefix(got[0], "# measured; stage ") || got[1] != "lower_edge_ps,counts" || len(got) != 802 || !strings.HasPrefix(got[2], "-20000,") {
		t.Errorf("histogram of real devices: %d lines from %q", len(got), got[:3])
	}
	if len(events) != 5 || !m.Has(run.Good) {
		t.Errorf("%d events, condition %v: %+v", len(events), m.Condition, m.Reasons)
	}
	if err := d.Seal(m); err != nil {
		t.Fatal(err)
	}
	if v := runtest.MustVerify(t, d.Path()); len(v.Findings) > 0 {
		t.Errorf("raw files were changed: %+v", v.Findings)
	}
}

// Without a common clock there is nothing to correct and nothing to count: it
// is said, and nothing is made up.
func TestAnalyseRefuses(t *testing.T) {
	a, b := pairsOf(1, []int64{0}, []int64{0})[0], pairsOf(2, []int64{0}, []int64{0})[0]
	stages := []recipe.Stage{
		alignStage("align", "alice.signal", "bob.idler"),
		pairsStage("pairs", "alice.signal", "bob.idler"),
		histogramStage("own", "alice.signal", "alice.herald"),
	}
	stages[0] = alignStageWithin("align", "alice.signal", "bob.idler", 10*quantity.Microsecond) // a wide search for nothing takes long
	channels := map[string][]uint64{"alice.signal": a, "bob.idler": b, "alice.herald": a}
	d, m, _, err := analysed(t, channels, &recipe.Recipe{Trigger: recipe.Trigger{Method: "scheduled"}, Stages: stages})
	if err != nil {
		t.Fatal(err)
	}
	if s, ok := stage.DecodeSummary[stage.AlignSummary](result(t, m, "align")); !ok || !s.Refused || s.Reason == "" || s.OffsetPs != 0 {
		t.Errorf("uncorrelated channels were aligned: %+v", s)
	}
	if text := strings.Join(lines(t, d, "results/align.json"), ""); !strings.Contains(text, `"refused": true`) {
		t.Errorf("the file does not say it: %s", text)
	}
	if r := result(t, m, "pairs"); r.Skipped == "" || len(r.Files) > 0 {
		t.Errorf("pairs of clocks that were not found: %+v", r)
	}
	if r := result(t, m, "own"); r.Skipped != "" {
		t.Errorf("channels of one clock need no align: %+v", r)
	}
	if !m.Has(run.Tainted) || m.Has(run.Good) || len(m.Reasons) != 3 { // refused, skipped, simulated
		t.Errorf("condition %v: %+v", m.Condition, m.Reasons)
	}
	_, m, _, err = analysed(t, channels, &recipe.Recipe{Trigger: recipe.Trigger{Method: "hardware"}, Stages: stages[1:2]})
	if s, ok := stage.DecodeSummary[stage.CoincidencesSummary](result(t, m, "pairs")); err != nil || !ok || s.Corrected {
		t.Errorf("one START edge makes clocks comparable: %+v (%v)", s, err)
	}
}

func TestAnalyseSkipsWhatItCannotDo(t *testing.T) {
	a := pairsOf(1, []int64{0}, []int64{0})[0]
	backwards := slices.Clone(a)
	backwards[7], backwards[8] = backwards[8]+1, backwards[7]
	for _, c := range []struct {
		name   string
		stage  recipe.Stage
		tags   []uint64
		harm   func(*run.Manifest)
		saying string
	}{
		{"unknown channel", histogramStage("s", "alice.signal", "alice.x"), a, nil, "there is no channel alice.x"},
		{"unknown kind", recipe.Stage{Name: "s", Kind: "magic"}, a, nil, `no stage of the kind "magic"`},
		{"tags that go back", histogramStage("s", "alice.signal", "alice.herald"), backwards, nil, "goes back in time"},
		{"nothing arrived", histogramStage("s", "alice.signal", "alice.herald"), a, func(m *run.Manifest) {
			for i := range m.Segments {
				m.Segments[i].Verified = false
			}
		}, "no file of alice.signal arrived"},
		{"a window that cannot be", runtest.Stage("s", "coincidences", stage.CoincidencesConfig{
			Of: []string{"alice.signal", "alice.herald"}}), a, nil, "window is 0 ps"},
		{"pairs of one", runtest.Stage("s", "coincidences", stage.CoincidencesConfig{Of: []string{"alice.signal"}}), a, nil, "not of 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := runtest.NewDirectory(t)
			m := &run.Manifest{Ended: runtest.Noon, Nodes: map[string]*run.Node{}}
			runtest.WriteChannel(t, d, m, "alice", "signal", [][]uint64{c.tags})
			runtest.WriteChannel(t, d, m, "alice", "herald", [][]uint64{c.tags})
			if c.harm != nil {
				c.harm(m)
			}
			if err := stage.Analyse(t.Context(), d.Path(), &recipe.Recipe{Stages: []recipe.Stage{c.stage}}, m, event.NewHub()); err != nil {
				t.Fatal(err)
			}
			m.Judge()
			if r := result(t, m, "s"); !strings.Contains(r.Skipped, c.saying) || len(r.Files) > 0 || !m.Has(run.Tainted) {
				t.Errorf("%+v, condition %v; want a reason that says %q", r, m.Condition, c.saying)
			}
			if left, err := os.ReadDir(filepath.Join(d.Path(), run.ResultsDir)); err != nil || len(left) > 0 {
				t.Errorf("a skipped stage left %v (%v)", left, err)
			}
		})
	}
}

func TestAnalyseEnds(t *testing.T) {
	stages := []recipe.Stage{pairsStage("pairs", "alice.signal", "alice.herald")}
	d := runtest.NewDirectory(t)
	m := &run.Manifest{Nodes: map[string]*run.Node{}}
	a := pairsOf(1, []int64{0}, []int64{0})[0]
	runtest.WriteChannel(t, d, m, "alice", "signal", [][]uint64{a})
	runtest.WriteChannel(t, d, m, "alice", "herald", [][]uint64{a})
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	cancel(enough)
	if err := stage.Analyse(ctx, d.Path(), &recipe.Recipe{Stages: stages}, m, event.NewHub()); !errors.Is(err, enough) {
		t.Errorf("an analysis that was told to end: %v", err)
	}
	if err := os.RemoveAll(filepath.Join(d.Path(), run.ResultsDir)); err != nil {
		t.Fatal(err)
	}
	if err := stage.Analyse(t.Context(), d.Path(), &recipe.Recipe{Stages: stages}, m, event.NewHub()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("results that cannot be written: %v", err)
	}
	if len(m.Results) > 0 {
		t.Errorf("results: %+v", m.Results)
	}
}
