package pyreader

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tsrun/pipeline/align"
	"tsrun/pipeline/correlate"
	"tsrun/pipeline/run"
	"tsrun/pipeline/run/runtest"
	"tsrun/pipeline/stage"
	"tsrun/pipeline/track"
	"tsrun/sdk/quantity"
)

// edited changes the manifest of a run.
func edited(t *testing.T, dir string, edit func(m map[string]any)) string {
	t.Helper()
	path := filepath.Join(dir, "manifest.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	edit(m)
	if text, err = json.Marshal(m); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func segment(m map[string]any, i int) map[string]any {
	return m["segments"].([]any)[i].(map[string]any)
}

func TestRuns(t *testing.T) {
	signal, idler := []string{"1000", "2000", "2000", "3000", "1000000", "2000000"}, []string{"1400", "2400", "3400"}
	killed := edited(t, runtest.WriteRun(t), func(m map[string]any) {
		delete(m, "ended")
		m["condition"] = []string{"INCOMPLETE", "SIMULATED"}
	})
	shots := edited(t, runtest.WriteRun(t), func(m map[string]any) {
		m["nodes"].(map[string]any)["alice"].(map[string]any)["takes"] = []map[string]any{{"shot": 1, "at_ps": 0}, {"shot": 2, "at_ps": 5_000_000}}
		segment(m, 1)["part"] = 1
	})
	got := readAll(t, runtest.WriteRun(t), killed, shots)
	later := append(slices.Clone(signal[:4]), "6000000", "7000000")
	for i, want := range []read{
		{Condition: []string{"GOOD"}, Ended: true, Channels: map[string][]string{"alice.signal": signal, "bob.idler": idler}},
		{Condition: []string{"INCOMPLETE", "SIMULATED"}, Simulated: true, Channels: map[string][]string{"alice.signal": signal, "bob.idler": idler}},
		{Condition: []string{"GOOD"}, Ended: true, Channels: map[string][]string{"alice.signal": later, "bob.idler": idler}},
	} {
		want.Run = got[i].Run
		if diff := cmp.Diff(want, got[i]); diff != "" {
			t.Errorf("%d: %s", i, diff)
		}
	}
}

// TestRunsThatAreNotWhole: each says where and why.
func TestRunsThatAreNotWhole(t *testing.T) {
	flipped, short, gone := runtest.WriteRun(t), runtest.WriteRun(t), runtest.WriteRun(t)
	first := func(dir string) string { return filepath.Join(dir, "raw", "alice", "signal-000000.bin") }
	runtest.FlipByte(t, first(flipped), 9)
	if err := os.Truncate(first(short), 24); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(first(gone)); err != nil {
		t.Fatal(err)
	}
	edit := func(f func(m map[string]any)) string { return edited(t, runtest.WriteRun(t), f) }
	text := runtest.WriteRun(t)
	if err := os.WriteFile(filepath.Join(text, "manifest.json"), []byte(`{"run":`), 0o644); err != nil {
		t.Fatal(err)
	}
	cases := []struct{ dir, want string }{
		{flipped, "Damaged: .*SHA-256"}, {short, "24 bytes, the manifest says 32"}, {gone, "NotFound: .*signal-000000.bin"}, {text, "it is no JSON"},
		{t.TempDir(), "NotFound: .*manifest.json"},
		{edit(func(m map[string]any) { segment(m, 0)["verified"] = false }), "were not proven by the run, which is GOOD"},
		{edit(func(m map[string]any) { segment(m, 0)["tags"] = 5 }), "4 tags, the manifest says 5"},
		{edit(func(m map[string]any) { segment(m, 0)["file"] = "../../etc/passwd" }), "which is elsewhere"},
		{edit(func(m map[string]any) { segment(m, 0)["file"] = 5 }), "its manifest is damaged"},
		{edit(func(m map[string]any) { m["segments"] = m["segments"].([]any)[1:] }), "segment 0 of alice.signal is missing"},
		{edit(func(m map[string]any) { m["nodes"] = []int{} }), "its manifest has no nodes"},
		{edit(func(m map[string]any) { delete(m, "condition") }), "its manifest has no condition"},
	}
	var dirs []string
	for _, c := range cases {
		dirs = append(dirs, c.dir)
	}
	for i, got := range readAll(t, dirs...) {
		kind, rest, _ := strings.Cut(cases[i].want, ".*")
		if !strings.Contains(got.Error, kind) || !strings.Contains(got.Error, rest) {
			t.Errorf("%d: %q, want %q", i, got.Error, cases[i].want)
		}
	}
}

// TestTimesAreThoseOfTheStages: a straight clock to the picosecond, one that wanders
// along its knots.
func TestTimesAreThoseOfTheStages(t *testing.T) {
	straight := &align.Alignment{Reference: 3_000_001, Offset: quantity.NewFine(-411, 0), Frequency: -999_999.987_654, Pairs: 10}
	tr := &track.Track{ChiSquare: 900, Freedom: 10, Steps: []track.Step{{Time: 1_500_000, Offset: 700}}}
	for i := range uint64(4) {
		tr.Knots = append(tr.Knots, track.Knot{Time: i * 1_000_000, Offset: quantity.NewFine(500, float64(i*i)*10+float64(i/2)*700), Frequency: 1e4})
	}
	wandering := &align.Alignment{Reference: 0, Offset: quantity.NewFine(500, 0), Pairs: 10, Track: tr, Wanders: true}
	at := []uint64{0, 1, 999, 1_000_000, 1_499_000, 1_501_000, 2_000_000, 2_700_000}
	for name, of := range map[string]struct {
		found *align.Alignment
		bound int64
	}{"straight": {straight, 0}, "wandering": {wandering, 2}} {
		dir := aligned(t, of.found)
		correction, err := stage.ReadAlignment(filepath.Join(dir, "results", "align.json"))
		if err != nil {
			t.Fatal(err)
		}
		compare(t, name, dir, correction, at, of.bound)
	}
}

func compare(t *testing.T, name, dir string, c correlate.Correction, at []uint64, bound int64) {
	t.Helper()
	args := []string{dir}
	for _, t := range at {
		args = append(args, fmt.Sprint(t))
	}
	var got struct{ Times, Own, Offset []int64 }
	if err := json.Unmarshal(python(t, "clocks.py", args...), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Own) != 6 || got.Own[5] != 2_000_000 || len(got.Times) != 3 || len(got.Offset) != len(at) {
		t.Fatalf("%s: %+v", name, got)
	}
	near := func(what string, got, want int64) {
		if d := got - want; d > bound || d < -bound {
			t.Errorf("%s: %s: %d ps, want %d ± %d", name, what, got, want, bound)
		}
	}
	for i, tag := range []uint64{1400, 2400, 3400} {
		near(fmt.Sprint("tag ", tag), got.Times[i], int64(c.Apply(tag)))
	}
	for i, tag := range at {
		near(fmt.Sprint("offset at ", tag), got.Offset[i], c.OffsetAt(tag))
	}
}

// aligned is a run with the result of an align stage.
func aligned(t *testing.T, found *align.Alignment) string {
	t.Helper()
	summary, err := stage.NewAlignSummary("alice.signal", "bob.idler", *found, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(summary)
	if err != nil {
		t.Fatal(err)
	}
	dir := edited(t, runtest.WriteRun(t), func(m map[string]any) {
		nodes := m["nodes"].(map[string]any)
		for node, channel := range map[string]string{"alice": "signal", "bob": "idler"} {
			nodes[node].(map[string]any)["channels"].(map[string]any)[channel].(map[string]any)["controller"] = "tc"
		}
		m["results"] = []run.Result{{Stage: "align", Kind: "align", Files: []string{"results/align.json"}}}
	})
	if err := os.WriteFile(filepath.Join(dir, "results", "align.json"), text, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}
