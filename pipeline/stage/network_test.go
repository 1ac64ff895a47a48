package stage_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tsrun/pipeline/align"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/run/runtest"
	"tsrun/pipeline/stage"
	"tsrun/sdk/quantity"
)

// lit makes the tags of nodes, each with a clock of its own, that look at sources of pairs:
// each source is seen by the nodes it names.
func lit(seed uint64, offset, frequency []int64, sources ...[]int) [][]uint64 {
	return litStepping(seed, offset, frequency, -1, 0, sources...)
}

// litStepping is lit where the clock of one node jumps at half of the record.
func litStepping(seed uint64, offset, frequency []int64, jumps int, by int64, sources ...[]int) [][]uint64 {
	random := rand.New(rand.NewPCG(seed, 9))
	channels := make([][]uint64, len(offset))
	stamp := func(i int, t int64) {
		if i == jumps && t > duration/2 {
			t += by
		}
		t += offset[i] + int64(float64(t)*float64(frequency[i])*1e-15) + int64(random.NormFloat64()*50)
		if t >= 0 {
			channels[i] = append(channels[i], uint64(t))
		}
	}
	for _, nodes := range sources {
		for range 15_000 {
			t := random.Int64N(duration)
			for _, i := range nodes {
				stamp(i, t)
			}
		}
	}
	for i := range channels {
		for range 5_000 {
			stamp(i, random.Int64N(duration))
		}
		slices.Sort(channels[i])
	}
	return channels
}

var nodeNames = []string{"alice.a", "bob.b", "carol.c", "dave.d", "erin.e"}

// named gives the channels of nodes their names.
func named(tags [][]uint64) map[string][]uint64 {
	channels := map[string][]uint64{}
	for i, t := range tags {
		channels[nodeNames[i]] = t
	}
	return channels
}

// recipeOf has the nodes that all is about, and stages.
func recipeOf(channels map[string][]uint64, stages ...recipe.Stage) *recipe.Recipe {
	r := &recipe.Recipe{Trigger: recipe.Trigger{Method: "scheduled"}, Stages: stages}
	for _, name := range nodeNames[:len(channels)] {
		node, channel, _ := strings.Cut(name, ".")
		r.Nodes = append(r.Nodes, recipe.Node{Name: node, Channels: []recipe.Channel{{Name: channel, Controller: "tc"}}})
	}
	return r
}

func networkStage(targets ...string) recipe.Stage {
	return runtest.Stage("net", "align", stage.AlignConfig{Reference: "alice.a", Others: targets, By: stage.ByPairs,
		Search: 2_000_000, MaxDrift: 20_000 * quantity.PartPerBillion})
}

// networkOf is the summary of the stage, which its file holds as well.
func networkOf(t *testing.T, d *run.Directory, m *run.Manifest) stage.AlignSummary {
	t.Helper()
	s, ok := stage.DecodeSummary[stage.AlignSummary](result(t, m, "net"))
	if !ok || s.Network == nil {
		t.Fatalf("no network: skipped %q, %+v", result(t, m, "net").Skipped, s)
	}
	var whole stage.AlignSummary
	if err := json.Unmarshal([]byte(strings.Join(lines(t, d, "results/net.json"), "\n")), &whole); err != nil || len(whole.Clocks) != len(s.Clocks) {
		t.Fatalf("results/net.json: %v", err)
	}
	return s
}

// clockOff is how far a clock is off the truth, in its deviations.
func clockOff(c stage.AlignSummary, offset, frequency int64) (offsetPull, frequencyPull float64) {
	truly := float64(offset) + float64(c.ReferencePs)*float64(frequency)*1e-15
	return (c.Alignment.Offset.Float() - truly) / c.OffsetSDPs, (c.FrequencyPpb - float64(frequency)*1e-6) / c.FrequencySDPpb
}

// All pairs of a star with two edges more make one solution, which corrects every later stage
// and stands in a file for each clock.
func TestAnalyseSeveralClocks(t *testing.T) {
	offset, frequency := []int64{0, 400_000, -300_000, 150_000}, []int64{0, 12_000_000_000, -7_000_000_000, 3_000_000_000}
	channels := named(lit(5, offset, frequency, []int{0, 1}, []int{0, 2}, []int{0, 3}, []int{1, 2}))
	r := recipeOf(channels, networkStage("all"), pairsStage("bc", "bob.b", "carol.c"), histogramStage("g", "alice.a", "dave.d"))
	d, m, _, err := analysed(t, channels, r)
	if err != nil {
		t.Fatal(err)
	}
	s := networkOf(t, d, m)
	if s.Refused || len(s.Clocks) != 3 || len(s.Network.Pairs) != 6 || len(s.Network.Cycles) != 1 || !s.Network.Cycles[0].Closes || s.Network.Freedom != 2 {
		t.Fatalf("%+v", s.Network)
	}
	for i, c := range s.Clocks {
		x, y := clockOff(c, offset[i+1], frequency[i+1])
		if c.Refused || math.Abs(x) > 4 || math.Abs(y) > 4 || c.Target != nodeNames[i+1] || len(c.Via) > 0 {
			t.Errorf("%s is off by %.2g and %.2g deviations: %+v", c.Target, x, y, c)
		}
		if _, err := stage.ReadAlignment(filepath.Join(d.Path(), "results", "net-"+run.PlainName(c.Target)+".json")); err != nil {
			t.Error(err)
		}
	}
	if p := s.Network.Pairs; p[0].OffsetSD <= s.Clocks[0].OffsetSDPs || math.Abs(p[2].OffsetSD-s.Clocks[2].OffsetSDPs) > 1e-9 {
		t.Errorf("a way round makes bob sharper, and tells nothing of dave: %+v, %+v", p, s.Clocks)
	}
	if got := s.Network.Offsets[1][1]; math.Abs(math.Sqrt(got)-s.Clocks[0].OffsetSDPs) > 1e-9 || s.Network.Offsets[1][2] <= 0 || math.Abs(s.Network.Offsets[1][2]-s.Network.Offsets[2][1]) > 1e-9 || s.Network.Offsets[0][1] != 0 {
		t.Errorf("covariance %v", s.Network.Offsets)
	}
	if c, ok := stage.DecodeSummary[stage.CoincidencesSummary](result(t, m, "bc")); !ok || c.All < 14_800 || c.All > 15_300 || !c.Corrected {
		t.Errorf("pairs of bob and carol: %+v", c)
	}
	if h, ok := stage.DecodeSummary[stage.HistogramSummary](result(t, m, "g")); !ok || h.PeakPs == nil || *h.PeakPs < -100 || *h.PeakPs > 100 {
		t.Errorf("histogram: %+v", h)
	}
	if !m.Has(run.Good) {
		t.Errorf("condition %v: %+v", m.Condition, m.Reasons)
	}
	_, err = stage.ReadAlignment(filepath.Join(d.Path(), "results", "net.json"))
	if err == nil || !strings.Contains(err.Error(), "of several nodes") {
		t.Errorf("one of several clocks has to be named: %v", err)
	}
}

// Three nodes that see one flash each time learn nothing from the way round: their clocks are
// stated no better than by their pairs, and it is said why.
func TestAnalyseNodesOfOneFlash(t *testing.T) {
	offset, frequency := []int64{0, 400_000, -300_000}, []int64{0, 12_000_000_000, -7_000_000_000}
	channels := named(lit(8, offset, frequency, []int{0, 1, 2}))
	d, m, _, err := analysed(t, channels, recipeOf(channels, networkStage("all")))
	if err != nil {
		t.Fatal(err)
	}
	s := networkOf(t, d, m)
	if n := s.Network; !n.Shared || n.Widened < 1.15 || n.Widened > 1.35 || !n.Cycles[0].Closes {
		t.Fatalf("%+v", n)
	}
	for i, c := range s.Clocks {
		if direct := s.Network.Pairs[i].OffsetSD; c.OffsetSDPs < 0.999*direct {
			t.Errorf("%s is stated to %.3g ps, its pair to %.3g ps", c.Target, c.OffsetSDPs, direct)
		}
	}
	said := false
	s.Words(func(format string, args ...any) {
		said = said || strings.Contains(fmt.Sprintf(format, args...), "as if each clock were known by its best pairs alone")
	})
	if !said {
		t.Error("nothing says why deviations are wider")
	}
}

// In a chain each clock is reached through the one before it; the one that nothing reaches is
// said with its reason, and the others are answered.
func TestAnalyseChainOfClocks(t *testing.T) {
	offset, frequency := []int64{0, 400_000, -300_000, 150_000, 77}, []int64{0, 12_000_000_000, -7_000_000_000, 3_000_000_000, 0}
	channels := named(lit(6, offset, frequency, []int{0, 1}, []int{1, 2}, []int{2, 3}))
	d, m, _, err := analysed(t, channels, recipeOf(channels, networkStage(nodeNames[1:]...), pairsStage("ad", "alice.a", "dave.d"), pairsStage("ae", "alice.a", "erin.e")))
	if err != nil {
		t.Fatal(err)
	}
	s := networkOf(t, d, m)
	for i, c := range s.Clocks[:3] {
		x, y := clockOff(c, offset[i+1], frequency[i+1])
		if c.Refused || math.Abs(x) > 4 || math.Abs(y) > 4 || len(c.Via) != i || i > 0 && c.OffsetSDPs <= s.Clocks[i-1].OffsetSDPs {
			t.Errorf("%s is off by %.2g and %.2g deviations: %+v", c.Target, x, y, c)
		}
	}
	if e := s.Clocks[3]; !e.Refused || e.Code != "not-reached" || e.Reason == "" {
		t.Errorf("erin: %+v", e)
	}
	if s.Refused || result(t, m, "ad").Skipped != "" || result(t, m, "ae").Skipped == "" {
		t.Errorf("%+v", m.Results)
	}
	said := slices.ContainsFunc(m.Reasons, func(r run.Reason) bool { return strings.Contains(r.Message, "erin.e") && r.Condition == run.Tainted })
	if !said || !m.Has(run.Tainted) {
		t.Errorf("%+v", m.Reasons)
	}
}

// A clock that steps is named, and followed; so are clocks behind it.
func TestAnalyseNamesTheClockThatSteps(t *testing.T) {
	offset, frequency := []int64{0, 400_000, -300_000, 150_000}, []int64{0, 12_000_000, -7_000_000, 3_000_000}
	tags := litStepping(7, offset, frequency, 1, 5000, []int{0, 1}, []int{0, 2}, []int{1, 3})
	channels := named(tags)
	d, m, _, err := analysed(t, channels, recipeOf(channels, networkStage("all"), pairsStage("bd", "bob.b", "dave.d"), pairsStage("ad", "alice.a", "dave.d")))
	if err != nil {
		t.Fatal(err)
	}
	s := networkOf(t, d, m)
	if len(s.Network.Jumps) != 1 || s.Network.Jumps[0].Channel != "bob.b" || math.Abs(s.Network.Jumps[0].Offset-5000) > 100 || s.Network.Jumps[0].Pairs != 2 {
		t.Errorf("jumps %+v of %+v", s.Network.Jumps, s.Network.Pairs)
	}
	if !slices.ContainsFunc(m.Reasons, func(r run.Reason) bool {
		return strings.Contains(r.Message, "the clock of bob.b jumped by") && r.AtPs != nil
	}) {
		t.Errorf("%+v", m.Reasons)
	}
	if p, ok := stage.DecodeSummary[stage.CoincidencesSummary](result(t, m, "bd")); !ok || p.All < 14_700 {
		t.Errorf("pairs of bob and dave: %+v", p)
	}
	for _, name := range []string{"bob.b", "dave.d"} {
		c, err := stage.ReadAlignment(filepath.Join(d.Path(), "results", "net-"+name+".json"))
		if err != nil {
			files, _ := os.ReadDir(filepath.Join(d.Path(), "results"))
			t.Fatal(err, files)
		}
		for _, at := range []float64{0.2, 0.4, 0.6, 0.8} {
			i := map[string]int{"bob.b": 1, "dave.d": 3}[name]
			truly := offset[i] + int64(at*float64(frequency[i])*1e-3)
			if i == 1 && at > 0.5 {
				truly += 5000
			}
			if got := c.OffsetAt(uint64(at * second)); max(got-truly, truly-got) > 30 {
				t.Errorf("%s at %.1f s: %d ps, truly %d", name, at, got, truly)
			}
		}
	}
}

// A pair whose light goes another way does not close, and makes the run TAINTED.
func TestAnalyseClosureThatFails(t *testing.T) {
	offset, frequency := []int64{0, 400_000, -300_000}, make([]int64, 3)
	tags := lit(8, offset, frequency, []int{0, 1}, []int{0, 2})
	late := lit(9, []int64{0, 400_000, -300_000 + 700}, frequency, []int{}, []int{1, 2})
	for i := range tags {
		tags[i] = append(tags[i], late[i]...)
		slices.Sort(tags[i])
	}
	channels := named(tags)
	d, m, _, err := analysed(t, channels, recipeOf(channels, networkStage("all")))
	if err != nil {
		t.Fatal(err)
	}
	s := networkOf(t, d, m)
	if len(s.Network.Cycles) != 1 || s.Network.Cycles[0].Closes || math.Abs(math.Abs(s.Network.Cycles[0].Offset)-700) > 20 || s.Network.Widened < 10 {
		t.Errorf("%+v", s.Network)
	}
	if !slices.ContainsFunc(m.Reasons, func(r run.Reason) bool {
		return strings.Contains(r.Message, "do not close") && strings.Contains(r.Message, "carol.c")
	}) || !m.Has(run.Tainted) {
		t.Errorf("%+v", m.Reasons)
	}
}

// Nothing that leads anywhere is a refusal of all, with numbers that are null.
func TestAnalyseSeveralInTheDark(t *testing.T) {
	channels := named(lit(10, make([]int64, 3), make([]int64, 3)))
	d, m, _, err := analysed(t, channels, recipeOf(channels, networkStage("all")))
	if err != nil {
		t.Fatal(err)
	}
	s := networkOf(t, d, m)
	if !s.Refused || s.Reason == "" || !m.Has(run.Tainted) {
		t.Errorf("%+v: %+v", s, m.Reasons)
	}
	for _, row := range lines(t, d, "results/net.json") {
		if strings.Contains(row, `"offset_ps"`) && !strings.Contains(row, "null") {
			t.Errorf("a number of nothing: %s", row)
		}
	}
	if files := fmt.Sprint(result(t, m, "net").Files); strings.Contains(files, "bob") {
		t.Errorf("files of clocks that were not found: %s", files)
	}
}

// In a star and in a chain, what is searched for long where there is no light does not grow with
// the nodes: once all are connected, pairs are looked for near where they must be.
func TestSearchesOfManyClocks(t *testing.T) {
	const nodes = 20
	var names []string
	for i := range nodes {
		names = append(names, fmt.Sprintf("n%d.c", i))
	}
	for _, c := range []struct {
		name string
		lit  func(i, k int) bool
		most int
	}{
		{"star", func(i, _ int) bool { return i == 0 }, 0},
		{"chain", func(i, k int) bool { return k == i+1 }, 2},
		{"ring", func(i, k int) bool { return k == i+1 || i == 0 && k == nodes-1 }, 2},
		{"all with all", func(_, _ int) bool { return true }, 0},
		{"in the dark", func(_, _ int) bool { return false }, nodes * (nodes - 1)}, // each twice
	} {
		t.Run(c.name, func(t *testing.T) {
			long, lit := 0, 0
			s, err := stage.AlignSeveral(names, func(i, k int, how stage.Look) (align.Parts, error) {
				if c.lit(i, k) {
					lit++
					return align.Parts{Count: 1, Alignment: align.Alignment{Reference: 1e12, OffsetSD: 1, FrequencySD: 1e-3, StartSD: 1, Overlap: 2e12, Pairs: 1000}}, nil
				}
				if how.Known == nil {
					long++
				}
				return align.Parts{}, &align.Refusal{Code: "no-peak"}
			})
			if err != nil || long > c.most || c.name == "in the dark" && long != c.most || s.Refused != (lit == 0) {
				t.Errorf("%d long searches, %d pairs with light, refused: %v, %v", long, lit, s.Refused, err)
			}
			if len(s.Network.Pairs) != nodes*(nodes-1)/2 {
				t.Errorf("%d pairs are told", len(s.Network.Pairs))
			}
		})
	}
}
