package master

import (
	"math"
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

func TestClockDifference(t *testing.T) {
	const limit = 20 * time.Millisecond
	for _, c := range []struct {
		name   string
		takes  []time.Duration // of the messages
		ahead  time.Duration   // of the node's clock
		beyond bool
		trip   time.Duration
	}{
		{"a far node", []time.Duration{time.Second, time.Second, time.Second, time.Second, time.Second}, 0, false, 2 * time.Second},
		{"a far node whose clock is ahead", []time.Duration{time.Second}, time.Second + 22*time.Millisecond, true, 2 * time.Second},
		{"equal", []time.Duration{time.Millisecond, 0, 0, 0, 0, 0}, 0, false, 0},
		{"a slow network is no late clock", []time.Duration{time.Second, 90 * time.Millisecond, time.Second, time.Second, time.Second}, 0, false, 0},
		{"nor is one slow message", []time.Duration{3 * time.Second}, 0, false, 0},
		{"ahead, told at once", []time.Duration{time.Millisecond}, 22 * time.Millisecond, true, 0},
		{"a little ahead", []time.Duration{0}, 20 * time.Millisecond, false, 0},
		{"behind", []time.Duration{0, 0, 0, 0, 0}, -200 * time.Millisecond, true, 0},
		{"an hour ahead", []time.Duration{0}, time.Hour, true, 0},
	} {
		var d clockDifference
		for i, takes := range c.takes {
			sent := int64(i) * 1e9
			d.addReport(sent+int64(c.ahead), sent+int64(takes))
		}
		if off, beyond := d.off(limit, c.trip); beyond != c.beyond || beyond && (off-c.ahead).Abs() > 5*time.Millisecond+c.trip/2 {
			t.Errorf("%s: %v off, beyond %v, want %v and %v", c.name, off, beyond, c.ahead, c.beyond)
		}
	}
}

func TestClocksFarOffAreNoticed(t *testing.T) {
	for _, c := range []struct {
		ahead   time.Duration
		phase   phase
		tainted bool
	}{
		{0, joining, false}, {100 * time.Millisecond, joining, true}, {time.Hour, failed, false}, {-time.Hour, failed, false},
		{-time.Second, joining, true}, {math.MinInt64, joining, false},
	} {
		l := listening(t, func(r *recipe.Recipe) { r.Clock.Source, r.Nodes[1].Host = "none", "remote" })
		token := joins(t, l, "bob", "1", wire.Protocol).Welcome.Token
		for range clockReports {
			now := time.Now().UnixNano()
			if c.ahead == math.MinInt64 {
				now = 0 // a slave that does not say
			} else {
				now += int64(c.ahead)
			}
			l.answer(t.Context(), request{body: wire.Request{Node: "bob", Token: token, Report: &wire.Report{Phase: wire.Preparing, ClockNs: now}}})
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
	for range clockReports {
		late := time.Now().Add(-time.Minute).UnixNano()
		l.answer(t.Context(), request{body: wire.Request{Node: "bob", Token: token, Report: &wire.Report{Phase: wire.Preparing, ClockNs: late}}})
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
