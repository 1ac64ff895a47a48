package master

import (
	"math"
	"strings"
	"testing"
	"time"

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
		l := listening(t)
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
