package master

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tsrun/pipeline/clock"
	"tsrun/pipeline/datagram"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/wire"
)

// What a report and the answer before it took is in no clock, and what is told holds.
func TestClockDifference(t *testing.T) {
	const limit, ms = 5 * time.Millisecond, time.Millisecond
	type trip struct{ there, back time.Duration }
	same := func(n int, one trip) (all []trip) { return slices.Repeat([]trip{one}, n) }
	for _, c := range []struct {
		name   string
		trips  []trip
		ahead  time.Duration // of the node's clock
		beyond bool
	}{
		{"equal", same(5, trip{0, 0}), 0, false},
		{"messages take 50 ms", same(20, trip{50 * ms, 50 * ms}), 0, false},
		{"reports take 50 ms", same(20, trip{50 * ms, 0}), 0, false},
		{"answers take 50 ms", same(20, trip{0, 50 * ms}), 0, false},
		{"a far node", same(5, trip{time.Second, time.Second}), 0, false},
		{"a far node whose clock is ahead", same(1, trip{time.Second, time.Second}), time.Second + 6*ms, true},
		{"a far node whose clock is behind", same(1, trip{time.Second, time.Second}), -time.Second - 6*ms, true},
		{"10 ms ahead", same(1, trip{ms, ms}), 10 * ms, true},
		{"10 ms behind", same(1, trip{ms, ms}), -10 * ms, true},
		{"10 ms behind, one message of many was quick", append(same(9, trip{90 * ms, 80 * ms}), trip{90 * ms, ms}), -10 * ms, true},
		{"10 ms behind, which messages of 50 ms do not show", same(20, trip{50 * ms, 50 * ms}), -10 * ms, false},
		{"a little ahead", same(3, trip{0, 0}), 5 * ms, false},
		{"a little behind", same(3, trip{0, 0}), -5 * ms, false},
		{"1 s ahead", same(1, trip{ms, ms}), time.Second, true},
		{"1 s behind", same(1, trip{ms, ms}), -time.Second, true},
		{"an hour ahead", same(1, trip{ms, ms}), time.Hour, true},
		{"an hour behind", same(1, trip{ms, ms}), -time.Hour, true},
	} {
		var d clockDifference
		quickest := time.Hour
		for i, trip := range c.trips {
			sent := int64(i) * 1e10
			d.addReport(sent+int64(c.ahead), sent+int64(trip.there))
			d.addAnswer(sent+2e9, sent+2e9+int64(trip.back+c.ahead))
			quickest = min(quickest, max(trip.there, trip.back))
		}
		if off, beyond := d.off(limit); beyond != c.beyond || beyond && ((off-c.ahead).Abs() > quickest || off.Abs() > c.ahead.Abs()) {
			t.Errorf("%s: %v off, beyond %v, want %v and %v", c.name, off, beyond, c.ahead, c.beyond)
		}
	}
}

// A clock that runs apart, or was set unnoticed, is compared anew once nothing fits what was before.
func TestClockDifferenceMoves(t *testing.T) {
	for _, step := range []time.Duration{time.Second, -time.Second} {
		var d clockDifference
		for i := range int64(4) {
			off := int64(step) * (i / 2) // the second two times
			d.addReport(i*1e9+off, i*1e9+1e6)
			d.addAnswer(i*1e9+2e6, i*1e9+3e6+off)
		}
		if off, beyond := d.off(time.Millisecond); !beyond || (off-step).Abs() > 2*time.Millisecond {
			t.Errorf("moved by %v: %v, %t", step, off, beyond)
		}
	}
}

// elsewhere puts the second node on another PC, and compares no clocks before the start.
func elsewhere(r *recipe.Recipe) { r.Clock.Source, r.Nodes[1].Host = "none", "remote" }

func TestClocksFarOffAreNoticed(t *testing.T) {
	for _, c := range []struct {
		ahead   time.Duration
		phase   phase
		tainted bool
	}{
		{0, joining, false}, {100 * time.Millisecond, joining, true}, {time.Hour, failed, false}, {-time.Hour, failed, false},
		{-time.Second, joining, true}, {math.MinInt64, joining, false},
	} {
		l := listening(t, elsewhere)
		token := joins(t, l, "bob", "1", wire.Protocol).Welcome.Token
		var answered *wire.Answered
		for range 2 {
			now := time.Now().UnixNano()
			if c.ahead == math.MinInt64 {
				now = 0 // a slave that does not say
			} else {
				now += int64(c.ahead)
			}
			reply := l.answer(t.Context(), request{body: wire.Request{Node: "bob", Token: token, Report: &wire.Report{Phase: wire.Preparing, ClockNs: now, Answered: answered}}})
			if answered = nil; now != 0 {
				answered = &wire.Answered{SentNs: reply.SentNs, CameNs: time.Now().UnixNano() + int64(c.ahead)}
			}
		}
		l.book.manifest.Judge()
		tainted := false
		for _, r := range l.book.manifest.Reasons {
			tainted = tainted || r.Condition == run.Tainted && strings.Contains(r.Message, "its clock is")
		}
		if l.state.phase != c.phase || tainted != c.tainted {
			t.Errorf("%v ahead: phase %s, tainted %v, want %s, %v (%v)", c.ahead, l.state.phase, tainted, c.phase, c.tainted, l.book.manifest.Reasons)
		}
	}
}

// TestClockOfThisPC: a node on this PC has its clock, however late its reports are.
func TestClockOfThisPC(t *testing.T) {
	l := listening(t)
	token := joins(t, l, "bob", "1", wire.Protocol).Welcome.Token
	var answered *wire.Answered
	for range 5 {
		late := time.Now().Add(-time.Minute).UnixNano()
		reply := l.answer(t.Context(), request{body: wire.Request{Node: "bob", Token: token, Report: &wire.Report{Phase: wire.Preparing, ClockNs: late, Answered: answered}}})
		answered = &wire.Answered{SentNs: reply.SentNs, CameNs: late}
	}
	l.book.manifest.Judge()
	for _, r := range l.book.manifest.Reasons {
		if strings.Contains(r.Message, "clock") {
			t.Errorf("%+v", r)
		}
	}
	if l.state.phase != joining {
		t.Errorf("the run is %s", l.state.phase)
	}
}

// What a node says of an answer that it was not given, or that it had before a clock was set, counts for nothing.
func TestAnswersThatDoNotCount(t *testing.T) {
	for name, sent := range map[string]func(given int64) int64{
		"none":    func(int64) int64 { return 0 },
		"another": func(given int64) int64 { return given - 1 },
		"late":    func(int64) int64 { return math.MaxInt64 },
		"before":  func(int64) int64 { return math.MinInt64 },
	} {
		l := listening(t, elsewhere)
		token := joins(t, l, "bob", "1", wire.Protocol).Welcome.Token
		reply := l.answer(t.Context(), request{body: wire.Request{Node: "bob", Token: token, Report: &wire.Report{Phase: wire.Preparing, ClockNs: time.Now().UnixNano()}}})
		l.answer(t.Context(), request{body: wire.Request{Node: "bob", Token: token, Report: &wire.Report{Phase: wire.Preparing, ClockNs: time.Now().UnixNano(),
			Answered: &wire.Answered{SentNs: sent(reply.SentNs), CameNs: time.Now().Add(-time.Hour).UnixNano()}}}})
		if l.state.phase != joining || l.members["bob"].clock.hasMost {
			t.Errorf("%s: the run is %s, %+v", name, l.state.phase, l.members["bob"].clock)
		}
	}
}

// TestReadingsOfClocks: a node on another PC gets access to the master's time, what
// it reads is kept, and by how much its clock is off does not matter then.
func TestReadingsOfClocks(t *testing.T) {
	l := listening(t, func(r *recipe.Recipe) { r.Clock.Source, r.Nodes[0].Host, r.Network.Ports.Clock = "probe", "remote", 0 })
	if w := joins(t, l, "bob", "1", wire.Protocol).Welcome; w.Clock != nil {
		t.Errorf("a node of the same PC is to ask for its time: %+v", w.Clock)
	}
	first := joins(t, l, "alice", "1", wire.Protocol).Welcome
	if first.Clock == nil || first.Clock.Port == 0 || len(first.Clock.Key) != datagram.KeySize {
		t.Fatalf("access %+v", first.Clock)
	}
	report := func(r wire.Report) {
		t.Helper()
		r.ClockNs = time.Now().Add(time.Hour).UnixNano()
		reply := l.answer(t.Context(), request{body: wire.Request{Node: "alice", Token: first.Token, Report: &r}})
		if reply.Refused != nil {
			t.Fatalf("refused: %v", reply.Refused)
		}
	}
	hour := clock.Reading{At: time.Now().UnixNano(), Offset: 3600e9, Bound: 500, Deviation: 20, Exchanges: 16, Trip: 900, Source: clock.Probe}
	report(wire.Report{Phase: wire.Preparing})
	report(wire.Report{Phase: wire.Ready, Clock: &hour})
	wrong := hour
	wrong.Bound = -1
	report(wire.Report{Phase: wire.Ready, Clock: &wrong, News: []wire.News{{Seq: 1, Clock: &wrong}}})
	report(wire.Report{Phase: wire.Ready}) // its clock was set, and is compared again before it starts
	later := hour
	later.Steps = 2
	report(wire.Report{Phase: wire.Ready, Clock: &later, News: []wire.News{{Seq: 2, Clock: &hour}}})
	l.book.close(l.state, nil, time.Now())
	l.book.manifest.Judge()
	if diff := cmp.Diff(&run.NodeClock{Start: &hour, Last: &later}, l.book.manifest.Nodes["alice"].Clock); diff != "" {
		t.Errorf("the manifest's clock (-want +got):\n%s", diff)
	}
	set := false
	for _, r := range l.book.manifest.Reasons {
		set = set || r.Condition == run.Tainted && strings.Contains(r.Message, "was set while the run went on (2 times)")
	}
	if l.state.phase == failed || !set {
		t.Errorf("phase %s, reasons %v", l.state.phase, l.book.manifest.Reasons)
	}
}

// TestDoubtsOfClocks: what speaks against a clock while its node records.
func TestDoubtsOfClocks(t *testing.T) {
	ptp := clock.Reading{Source: clock.PTP, Bound: 500}
	for name, c := range map[string]struct {
		last clock.Reading
		want string // kinds
	}{
		"as it began":            {ptp, ""},
		"lost":                   {clock.Reading{Source: clock.PTP, Lost: "LISTENING"}, "lost"},
		"another is nearer now":  {clock.Reading{Source: clock.Probe, Others: []clock.Others{{Source: clock.PTP, Bound: 500}}}, ""},
		"another took its place": {clock.Reading{Source: clock.Probe, Others: []clock.Others{{Source: clock.PTP, Why: "LISTENING"}}}, "lost"},
		"it begins anew":         {clock.Reading{Source: clock.Probe}, ""},
		"excluded":               {clock.Reading{Source: clock.Probe, Others: []clock.Others{{Source: clock.PTP, Offset: 9e9, Excluded: true}}}, "lost disagrees"},
		"far":                    {clock.Reading{Source: clock.PTP, Offset: -100_000, Bound: 1}, "offset"},
		"at the limit":           {clock.Reading{Source: clock.PTP, Offset: -99_000, Bound: 1000}, ""},
	} {
		var kinds []string
		for _, d := range doubts(ptp, c.last, 100*time.Microsecond) {
			kinds = append(kinds, d.kind)
		}
		if got := strings.Join(kinds, " "); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
