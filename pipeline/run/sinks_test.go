package run_test

import (
	"slices"
	"strings"
	"testing"

	"tsrun/pipeline/fact"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/run/runtest"
	"tsrun/sdk"
)

// TestSinksAreJudgedByWhatTheyKeep: a sink has to hold what it is to keep, and
// nothing is asked of one that keeps no tags.
func TestSinksAreJudgedByWhatTheyKeep(t *testing.T) {
	table := func(m *run.Manifest) {
		m.Segments = append(m.Segments, run.Segment{Node: "alice", Segment: fact.Segment{Sink: "more", Kind: sdk.Table, File: "raw/alice/more/c.csv"}, Verified: true})
	}
	for _, c := range []struct {
		name   string
		sink   run.Sink
		change func(*run.Manifest)
		want   string // "": GOOD
	}{
		{"nothing", run.Sink{Keeps: sdk.NoTags}, func(*run.Manifest) {}, ""},
		{"a table", run.Sink{Keeps: sdk.NoTags}, table, ""},
		{"a table, unsaid", run.Sink{}, table, ""},
		{"nothing, unsaid", run.Sink{}, func(*run.Manifest) {}, `the files of sink "more" hold 0: it told of no file and of no tags kept`},
		{"an unknown word", run.Sink{Keeps: "spam"}, func(*run.Manifest) {}, "hold 0: it told of no file"},
		{"tags, and has none", run.Sink{Keeps: sdk.AllTags}, table, `the files of sink "more" hold 0`},
		{"no tags, and has a file of some", run.Sink{Keeps: sdk.NoTags}, func(m *run.Manifest) {
			m.Segments = append(m.Segments, run.Segment{Node: "alice", Channel: "signal", Segment: fact.Segment{Sink: "more", File: "raw/alice/more/s.bin", Tags: 4}, Verified: true})
		}, `the files of sink "more" hold 4`},
		{"elsewhere", run.Sink{Keeps: sdk.Elsewhere, Kept: map[string]uint64{"signal": 5}}, func(*run.Manifest) {}, ""},
		{"elsewhere, unsaid", run.Sink{Kept: map[string]uint64{"signal": 5}}, table, ""},
		{"fewer elsewhere", run.Sink{Keeps: sdk.Elsewhere, Kept: map[string]uint64{"signal": 4}}, func(*run.Manifest) {}, `sink "more" says it has kept 4`},
		{"more elsewhere", run.Sink{Keeps: sdk.Elsewhere, Kept: map[string]uint64{"signal": 1<<64 - 1}}, table, "has kept 18446744073709551615"},
		{"none elsewhere", run.Sink{Keeps: sdk.Elsewhere}, func(*run.Manifest) {}, `sink "more" says it has kept 0`},
		{"a table that did not come", run.Sink{Keeps: sdk.NoTags}, func(m *run.Manifest) { table(m); m.Segments[len(m.Segments)-1].Verified = false },
			`a file of sink "more" was made but never proven here: raw/alice/more/c.csv`},
		{"a record of a clock that did not come", run.Sink{Keeps: sdk.NoTags}, func(m *run.Manifest) {
			m.Segments = append(m.Segments, run.Segment{Node: "alice", Segment: fact.Segment{File: "raw/alice/clock/clock.csv", Kind: sdk.Other}})
		}, "a record of the node itself was made but never proven here: raw/alice/clock/clock.csv"},
	} {
		m := runtest.GoodManifest()
		c.sink.Channels = []string{"signal"}
		m.Nodes["alice"].Sinks["more"] = &c.sink
		c.change(m)
		m.Judge()
		if got := reasonsOf(m); c.want == "" && len(m.Reasons) > 0 || !strings.Contains(got, c.want) {
			t.Errorf("%s: reasons %q, want %q", c.name, got, c.want)
		}
	}
}

func reasonsOf(m *run.Manifest) string {
	var text []string
	for _, r := range m.Reasons {
		text = append(text, r.Message)
	}
	return strings.Join(text, "\n")
}

// TestSourceOfStages: the stages read the sink that the recipe says feeds them,
// else the first in it that has files of tags, and another only if it has more.
func TestSourceOfStages(t *testing.T) {
	segment := func(sink string, index int, tags uint64) run.Segment {
		return run.Segment{Node: "alice", Channel: "signal", Segment: fact.Segment{Sink: sink, Index: index, Tags: tags, File: "raw/alice/" + sink + "/s.bin"}, Verified: true}
	}
	sinks := []recipe.Sink{{Name: "z", At: "source"}, {Name: "m", At: "alice"}, {Name: "a", At: "source", Takes: []string{"alice.signal"}}, {Name: "other", At: "bob"}}
	feeding := slices.Clone(sinks)
	feeding[2].Feeds = "stages"
	unproven, table := segment("z", 0, 9), segment("z", 0, 9)
	unproven.Verified = false
	table.Kind = sdk.Table
	for _, c := range []struct {
		name     string
		sinks    []recipe.Sink
		segments []run.Segment
		want     string
	}{
		{"first of the recipe", sinks, []run.Segment{segment("a", 0, 5), segment("m", 0, 5), segment("z", 0, 5)}, "z"},
		{"that feeds", feeding, []run.Segment{segment("z", 0, 5), segment("m", 0, 5), segment("a", 0, 5)}, "a"},
		{"has more", feeding, []run.Segment{segment("a", 0, 5), segment("m", 1, 5), segment("m", 0, 1), segment("z", 0, 5)}, "m"},
		{"unproven", sinks, []run.Segment{unproven, segment("a", 0, 5)}, "a"},
		{"a table", sinks, []run.Segment{table, segment("m", 0, 0)}, "m"},
		{"none", sinks, nil, ""},
		{"a recipe of something else", nil, []run.Segment{segment("q", 0, 5), segment("a", 0, 5)}, "q"},
	} {
		m := &run.Manifest{Segments: c.segments}
		sink, got := m.Source(&recipe.Recipe{Sinks: c.sinks}, "alice", "signal")
		if sink != c.want || slices.ContainsFunc(got, func(s run.Segment) bool { return s.Sink != c.want }) || !slices.IsSortedFunc(got, func(a, b run.Segment) int { return a.Index - b.Index }) {
			t.Errorf("%s: %q with %v, want %q", c.name, sink, got, c.want)
		}
	}
}
