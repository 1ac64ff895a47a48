package run

import (
	"slices"
	"strings"
	"testing"

	"tsrun/pipeline/recipe"
	"tsrun/sdk"
)

// TestSinksAreJudgedByWhatTheyKeep: a sink has to hold what it is to keep, and
// nothing is asked of one that keeps no tags.
func TestSinksAreJudgedByWhatTheyKeep(t *testing.T) {
	table := func(m *Manifest) {
		m.Segments = append(m.Segments, Segment{Node: "alice", Sink: "more", Kind: sdk.Table, File: "raw/alice/more/c.csv", Verified: true})
	}
	for _, c := range []struct {
		name   string
		sink   Sink
		change func(*Manifest)
		want   string // "": GOOD
	}{
		{"nothing", Sink{Keeps: sdk.NoTags}, func(*Manifest) {}, ""},
		{"a table", Sink{Keeps: sdk.NoTags}, table, ""},
		{"a table, unsaid", Sink{}, table, ""},
		{"nothing, unsaid", Sink{}, func(*Manifest) {}, `the files of sink "more" hold 0: it told of no file and of no tags kept`},
		{"an unknown word", Sink{Keeps: "spam"}, func(*Manifest) {}, "hold 0: it told of no file"},
		{"tags, and has none", Sink{Keeps: sdk.AllTags}, table, `the files of sink "more" hold 0`},
		{"no tags, and has a file of some", Sink{Keeps: sdk.NoTags}, func(m *Manifest) {
			m.Segments = append(m.Segments, Segment{Node: "alice", Channel: "signal", Sink: "more", File: "raw/alice/more/s.bin", Tags: 4, Verified: true})
		}, `the files of sink "more" hold 4`},
		{"elsewhere", Sink{Keeps: sdk.Elsewhere, Kept: map[string]uint64{"signal": 5}}, func(*Manifest) {}, ""},
		{"elsewhere, unsaid", Sink{Kept: map[string]uint64{"signal": 5}}, table, ""},
		{"fewer elsewhere", Sink{Keeps: sdk.Elsewhere, Kept: map[string]uint64{"signal": 4}}, func(*Manifest) {}, `sink "more" says it has kept 4`},
		{"more elsewhere", Sink{Keeps: sdk.Elsewhere, Kept: map[string]uint64{"signal": 1<<64 - 1}}, table, "has kept 18446744073709551615"},
		{"none elsewhere", Sink{Keeps: sdk.Elsewhere}, func(*Manifest) {}, `sink "more" says it has kept 0`},
		{"a table that did not come", Sink{Keeps: sdk.NoTags}, func(m *Manifest) { table(m); m.Segments[len(m.Segments)-1].Verified = false },
			`a file of sink "more" was made but never proven here: raw/alice/more/c.csv`},
	} {
		m := goodManifest()
		c.sink.Channels = []string{"signal"}
		m.Nodes["alice"].Sinks["more"] = &c.sink
		c.change(m)
		m.Judge()
		if got := reasonsOf(m); c.want == "" && len(m.Reasons) > 0 || !strings.Contains(got, c.want) {
			t.Errorf("%s: reasons %q, want %q", c.name, got, c.want)
		}
	}
}

func reasonsOf(m *Manifest) string {
	var text []string
	for _, r := range m.Reasons {
		text = append(text, r.Message)
	}
	return strings.Join(text, "\n")
}

// TestSourceOfStages: the stages read the sink that the recipe says feeds them,
// else the first in it that has files of tags, and another only if it has more.
func TestSourceOfStages(t *testing.T) {
	segment := func(sink string, index int, tags uint64) Segment {
		return Segment{Node: "alice", Channel: "signal", Sink: sink, Index: index, Tags: tags, Verified: true, File: "raw/alice/" + sink + "/s.bin"}
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
		segments []Segment
		want     string
	}{
		{"first of the recipe", sinks, []Segment{segment("a", 0, 5), segment("m", 0, 5), segment("z", 0, 5)}, "z"},
		{"that feeds", feeding, []Segment{segment("z", 0, 5), segment("m", 0, 5), segment("a", 0, 5)}, "a"},
		{"has more", feeding, []Segment{segment("a", 0, 5), segment("m", 1, 5), segment("m", 0, 1), segment("z", 0, 5)}, "m"},
		{"unproven", sinks, []Segment{unproven, segment("a", 0, 5)}, "a"},
		{"a table", sinks, []Segment{table, segment("m", 0, 0)}, "m"},
		{"none", sinks, nil, ""},
		{"a recipe of something else", nil, []Segment{segment("q", 0, 5), segment("a", 0, 5)}, "q"},
	} {
		m := &Manifest{Segments: c.segments}
		sink, got := m.source(&recipe.Recipe{Sinks: c.sinks}, "alice", "signal")
		if sink != c.want || slices.ContainsFunc(got, func(s Segment) bool { return s.Sink != c.want }) || !slices.IsSortedFunc(got, func(a, b Segment) int { return a.Index - b.Index }) {
			t.Errorf("%s: %q with %v, want %q", c.name, sink, got, c.want)
		}
	}
}
