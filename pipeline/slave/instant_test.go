package slave

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tsrun/pipeline/clock"
	"tsrun/pipeline/wire"
	"tsrun/sdk/tag"
)

// started reports whether a controller of the lab was started, as its master was told.
func (l *lab) started() (shots int) {
	news, _ := l.heard()
	for _, n := range news {
		if n.Shot != nil {
			shots++
		}
	}
	return shots
}

// TestOrderAfterItsInstant: an order that comes after its instant is carried out if
// the master says it again, and nothing starts alone where the start was called off.
func TestOrderAfterItsInstant(t *testing.T) {
	for name, c := range map[string]struct {
		calledOff bool
		ahead     time.Duration // of the instant, beside 100 ms
	}{
		"it holds":                       {false, -time.Second},
		"it was called off":              {true, -time.Second},
		"too near, and it holds":         {false, -95 * time.Millisecond},
		"too near, and it is called off": {true, -95 * time.Millisecond},
	} {
		calledOff := c.calledOff
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, "", "", "")
			l.ahead, l.way = c.ahead, time.Second
			l.recalls = calledOff
			err := l.takePart(l.options())
			switch {
			case calledOff && (ending(err) != "abort" || l.started() != 0):
				t.Errorf("ended with %v after %d starts", err, l.started())
			case !calledOff && (err != nil || l.started() != 1):
				t.Errorf("ended with %v after %d starts", err, l.started())
			}
			news, _ := l.heard()
			told := false
			for _, n := range news {
				told = told || n.Short != nil && n.Short.LeftNs < n.Short.NeedsNs
			}
			if !told {
				t.Error("the master was not told that the order came too late")
			}
		})
	}
}

// TestOrdersOfNobody: what is published on the trigger port and is no order of this run
// starts nothing, and is told once.
func TestOrdersOfNobody(t *testing.T) {
	t.Parallel()
	l := newLab(t, "", "", "")
	now := time.Now().UnixNano()
	l.mu.Lock() // the port is open
	l.strange = []wire.Order{
		{Kind: wire.Fire, Seq: 9, Run: tag.RunID{99}, Instant: now, Sent: now - 1e9},        // of a run before
		{Kind: wire.Fire, Seq: 9, Run: l.run, Instant: now - 3600e9, Sent: now},             // in the past
		{Kind: wire.Fire, Seq: 9, Run: l.run, Instant: now + 3600e9, Sent: now},             // in an hour
		{Kind: wire.Fire, Seq: 9, Run: l.run, Instant: -1 << 62, Sent: 1 << 62},             // beyond a number
		{Kind: wire.Fire, Seq: 1, Run: l.run, Instant: now + 1e9, Sent: now},                // too early: nothing is armed
		{Kind: wire.Abort, Seq: 0, Run: l.run, Sent: now},                                   // without a number
		{Kind: wire.Beacon, Seq: 1 << 63, Run: l.run, Sent: now},                            // a beacon has none
		{Kind: wire.Release, Seq: 1 << 62, Run: tag.RunID{98}, Instant: now + 1, Sent: now}, // of another run
	}
	l.mu.Unlock()
	l.give = func(p wire.Phase) wire.OrderKind {
		if p == wire.Ready {
			l.order.Seq = 1 // that of the order which came too early
		}
		return straight(p)
	}
	if err := l.takePart(l.options()); err != nil {
		t.Fatal(err)
	}
	if n := l.segments(); n != 1000 || l.started() != 1 {
		t.Errorf("%d tags, %d starts", n, l.started())
	}
	told := 0
	news, _ := l.heard()
	for _, n := range news {
		if n.Warning != nil && strings.Contains(n.Warning.Message, "was ignored") {
			told++
		}
	}
	if told != 1 {
		t.Errorf("told %d times", told)
	}
}

// TestCalledOffStartLeavesNothing: of a start that was called off in the lead nothing
// stays on the node's disk, neither a directory nor a record of its clock that looks whole.
func TestCalledOffStartLeavesNothing(t *testing.T) {
	t.Parallel()
	l := newLab(t, "", "", "clock: {source: probe}")
	l.compareClocks(t)
	l.ahead = time.Minute
	l.give = func(p wire.Phase) wire.OrderKind {
		if p != wire.Running {
			return straight(p)
		}
		record := filepath.Join(l.data, l.run.String()+"-bob", "raw", "bob", clock.RecordDir)
		if entries, err := os.ReadDir(record); err != nil || len(entries) != 1 || entries[0].Name() != clockPart {
			t.Errorf("the record of the clock is %v, %v", entries, err)
		}
		return wire.Abort
	}
	err := l.takePart(l.options())
	if ending(err) != "abort" || l.started() != 0 || strings.Contains(err.Error(), l.data) {
		t.Errorf("ended with %v after %d starts", err, l.started())
	}
	if left, _ := filepath.Glob(filepath.Join(l.data, l.run.String()+"*")); len(left) != 0 {
		t.Errorf("left %v, %v", left, l.kept())
	}
	news, _ := l.heard()
	for _, n := range news {
		if n.Segment != nil {
			t.Errorf("the master was told of %s, which is gone", n.Segment.File)
		}
	}
}
