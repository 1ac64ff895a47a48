package web

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tsrun/pipeline/align"
	"tsrun/pipeline/event"
	"tsrun/pipeline/fact"
	"tsrun/pipeline/run"
	"tsrun/pipeline/run/runtest"
	"tsrun/pipeline/track"
	"tsrun/sdk/quantity"
)

// at is a moment of a run, so many seconds after its begin.
func at(seconds int) time.Time { return time.Unix(1_700_000_000+int64(seconds), 0) }

// tell gives events to a board, all at one moment.
func (b *board) tell(seconds int, events ...event.Event) {
	for _, e := range events {
		b.apply(event.Stamped{Time: at(seconds), Event: e})
	}
}

// section is a part of the page as it stands.
func section(t *testing.T, b *board, name string, seconds int) string {
	t.Helper()
	v, err := b.look(at(seconds))
	if err != nil {
		t.Fatal(err)
	}
	return string(v.sections[name])
}

// syncOf is a clock that one align stage follows, of which there may be several.
func syncOf(target string, offset int64) event.Sync {
	return event.Sync{Stage: "align", Reference: "alice.signal", Target: target, State: align.Tracking,
		Value: &align.Value{State: align.Tracking, Knot: track.Knot{Time: 1e12, Offset: quantity.NewFine(offset, 0), OffsetSD: 1, FrequencySD: 1}}}
}

// An align stage of several targets has several clocks, and none is taken for another.
func TestClocksOfSeveralTargets(t *testing.T) {
	hub := event.NewHub()
	feed := hub.Subscribe()
	for _, target := range []string{"bob.idler", "carol.idler", "bob.idler"} {
		hub.Observe(syncOf(target, int64(len(target))*1000))
	}
	hub.Close()
	b := newBoard(runtest.TwoNodes())
	events, _ := feed.Next(t.Context())
	if len(events) != 2 {
		t.Errorf("of two clocks %d are told", len(events))
	}
	for _, e := range events {
		b.apply(e)
	}
	clocks := section(t, b, "clocks", 1)
	for _, want := range []string{"bob.idler minus alice.signal", "carol.idler minus alice.signal", "9\u2009000", "11\u2009000"} {
		if !strings.Contains(strings.ReplaceAll(clocks, " ", "\u2009"), strings.ReplaceAll(want, " ", "\u2009")) {
			t.Errorf("the clocks lack %q:\n%s", want, clocks)
		}
	}
	ids := map[string]bool{}
	for _, g := range b.graphs() {
		ids[g.ID] = true
		if g.In == "clocks" && !g.Logs && len(g.Curves[0].Points) != 1 {
			t.Errorf("%s has the points of another clock: %v", g.ID, g.Curves[0].Points)
		}
	}
	if len(ids) != 9 {
		t.Errorf("graphs %v", ids)
	}
	var text strings.Builder
	if err := writeMetrics(&text, b.metrics(at(1))); err != nil || checkMetrics(text.String()) != nil || strings.Count(text.String(), "tsrun_clock_offset_seconds{") != 2 {
		t.Errorf("%v\n%s", checkMetrics(text.String()), text.String())
	}
	b.tell(2, event.Sync{Stage: "align", Reference: "alice.signal", Target: "dave.idler", State: align.Searching})
	var titles []string
	for _, g := range b.clockGraphs() {
		if strings.HasPrefix(g.ID, "offset-") {
			titles = append(titles, g.Title)
		}
	}
	if want := []string{"align, bob.idler minus alice.signal: offset, ± sd", "align, carol.idler minus alice.signal: offset, ± sd"}; !slices.Equal(titles, want) {
		t.Errorf("pictures %q, want %q: one for each clock that was found, which says whose it is", titles, want)
	}
}

// Twenty nodes have nineteen clocks, and the page shows each.
func TestClocksOfTwentyNodes(t *testing.T) {
	b := newBoard(nil)
	for i := range 19 {
		b.tell(1, syncOf(fmt.Sprintf("n%02d.c", i), int64(i)))
	}
	if n := strings.Count(section(t, b, "clocks", 1), " minus alice.signal"); n != 19 {
		t.Errorf("%d clocks are shown", n)
	}
}

// Files whose end was never told give their places to others.
func TestTransfersThatNeverEnd(t *testing.T) {
	b := newBoard(nil)
	for i := range 3 * maxTransfers {
		b.tell(i, event.Transfer{Node: "bob", File: fmt.Sprint("raw/bob/", i), Phase: "receiving", Done: 1, Size: 2})
	}
	if files := section(t, b, "transfers", 99); len(b.transfers) != maxTransfers || !strings.Contains(files, fmt.Sprint("raw/bob/", 3*maxTransfers-1)) || strings.Contains(files, "raw/bob/0<") {
		t.Errorf("%d files:\n%s", len(b.transfers), files)
	}
}

// A rate that nobody confirms any more says how old it is, and only while one could.
func TestRatesGrowOld(t *testing.T) {
	b := newBoard(runtest.TwoNodes())
	b.tell(0, event.StateChanged{State: "running"}, progress("alice", 5000, 1))
	if s := section(t, b, "rates", 2); !strings.Contains(s, "5.000 kHz") || strings.Contains(s, "ago") {
		t.Errorf("a new rate:\n%s", s)
	}
	if s := section(t, b, "rates", 12); !strings.Contains(s, "5.000 kHz, 12s ago") {
		t.Errorf("an old rate:\n%s", s)
	}
	b.tell(13, event.StateChanged{State: "draining"})
	if s := section(t, b, "rates", 14); strings.Contains(s, "ago") {
		t.Errorf("the last rate of a recording that is over:\n%s", s)
	}
}

// What ended a part of the run stays among the problems, however much is lost after it.
func TestGraveProblemsStay(t *testing.T) {
	b := newBoard(nil)
	b.tell(0, event.Problem{Node: "bob", Code: "no-answer", Message: "it is gone", Hint: "look for it"}, event.Warning{Message: "worth a look"})
	for range 200 {
		b.tell(1, event.TagsLost{Node: "alice", Channel: "signal", Loss: fact.Loss{Tags: 1, Why: "full"}})
	}
	s := section(t, b, "problems", 2)
	if !strings.Contains(s, "it is gone") || !strings.Contains(s, "worth a look") || strings.Count(s, "<li") != maxProblems {
		t.Error(s)
	}
	for i := range 200 {
		b.tell(3, event.Warning{Message: fmt.Sprint("warning ", i)})
	}
	if s := section(t, b, "problems", 4); !strings.Contains(s, "it is gone") || !strings.Contains(s, "warning 199") {
		t.Error(s)
	}
	for i := range 200 {
		b.tell(5, event.Problem{Message: fmt.Sprint("error ", i)})
	}
	if s := section(t, b, "problems", 6); strings.Count(s, "<li") != maxProblems || !strings.Contains(s, "error 199") {
		t.Error(s)
	}
}

// Who is away is a problem, with what to do, until it is back.
func TestWhoIsAwayIsAProblem(t *testing.T) {
	b := newBoard(runtest.TwoNodes())
	b.tell(0, event.Away{Node: "bob", Silent: 5 * time.Second, Patience: time.Minute, Hint: "look at its cable"})
	if s := section(t, b, "problems", 10); !strings.Contains(s, "bob is away: nothing heard for 15s") || !strings.Contains(s, "look at its cable") || strings.Contains(s, "Nothing is wrong") {
		t.Error(s)
	}
	b.tell(11, event.Back{Node: "bob"})
	if s := section(t, b, "problems", 12); !strings.Contains(s, "Nothing is wrong") {
		t.Error(s)
	}
}

// A card says when its node began, and how many of its files are not here yet.
func TestCardOfANode(t *testing.T) {
	b := newBoard(runtest.TwoNodes())
	p := progress("bob", 5000, 1)
	p.Files = 7
	b.tell(0, event.NodeJoined{Node: "bob", Host: "remote"}, event.StateChanged{State: "running"}, p, event.FileVerified{Node: "bob", File: "a", Size: 1 << 20})
	if s := section(t, b, "nodes", 1); strings.Contains(s, "started") {
		t.Errorf("a start that nobody has told: %s", s)
	}
	b.tell(1, event.Started{Node: "bob", Against: "alice", SkewNs: -1200, BoundNs: 400})
	s := section(t, b, "nodes", 1)
	for _, want := range []string{"1 200 ± 400 ns before alice", "<dt>files closed</dt><dd>7</dd>", "1 (1.000 MiB)"} {
		if !strings.Contains(strings.ReplaceAll(s, "\u2009", " "), want) {
			t.Errorf("lacks %q: %s", want, s)
		}
	}
}

// The deviations of a clock are drawn as its newest segment told them, and forgotten when it
// tells that there are none any more; what no logarithm can show is left out.
func TestDeviationsOfAClock(t *testing.T) {
	b := newBoard(runtest.TwoNodes())
	told := func(points ...track.AllanPoint) {
		e := syncOf("bob.idler", 5)
		e.Segment, e.Allan = new(3), points
		b.tell(1, e)
	}
	drawn := func() (points [2]int, all string) {
		for _, g := range b.graphs() {
			if g.Logs {
				points[min(strings.Index("at", g.ID[:1]), 1)] = len(g.Curves[0].Points)
				all += string(svgOf(g, true))
			}
		}
		return points, all
	}
	told()
	if n, words := drawn(); n != [2]int{} || strings.Count(words, "not followed for long enough yet") != 2 {
		t.Errorf("of none it draws %v: %s", n, words)
	}
	told(track.AllanPoint{Tau: 0.1, Deviation: 0, SD: 1e-12}, track.AllanPoint{Tau: 0.2, Deviation: 2e-12, SD: 1e-12, Time: 3, TimeSD: 1}, track.AllanPoint{Tau: 0.4, Deviation: 1e-12, SD: 1e-12})
	n, words := drawn()
	if n != [2]int{2, 1} || !strings.Contains(words, "time deviation / ps") || !strings.Contains(words, "SIMULATED") {
		t.Errorf("it draws %v: %s", n, words)
	}
	b.tell(2, syncOf("bob.idler", 6)) // of no segment: nothing is told of them
	if again, _ := drawn(); again != n {
		t.Errorf("a value within a segment leaves %v", again)
	}
	v, err := b.look(at(3))
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range v.since(nil).Graphs {
		if g.Logs && len(g.Curves[0].SD) != len(g.Curves[0].Y) {
			t.Errorf("%s is told without deviations: %+v", g.ID, g)
		}
	}
	told()
	if n, _ := drawn(); n != [2]int{} {
		t.Errorf("after the clock was lost it draws %v", n)
	}
}

// A run that ended before a device said what it is, is shown as one.
func TestRunThatNeverBegan(t *testing.T) {
	m := runtest.FullManifest(t)
	m.Condition, m.Results, m.Segments = []run.Condition{run.Aborted}, nil, nil
	for _, n := range m.Nodes {
		for k, c := range n.Controllers {
			c.Device = fact.Device{}
			n.Controllers[k] = c
		}
	}
	b := newBoard(nil)
	b.tell(1, event.Finished{Directory: t.TempDir(), Manifest: m})
	if s := section(t, b, "nodes", 2); !strings.Contains(s, "did not say what it is") || strings.Contains(s, " is <") {
		t.Error(s)
	}
	if s := section(t, b, "verdict", 2); !strings.Contains(s, "given up") || strings.Contains(s, "done") {
		t.Error(s)
	}
}
