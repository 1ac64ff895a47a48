package slave

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tsrun/pipeline/event"
	"tsrun/pipeline/fact"
	"tsrun/pipeline/wire"
	"tsrun/sdk"
)

func TestGoodRun(t *testing.T) {
	t.Parallel()
	l := newLab(t, "", "", "")
	seen := &observed{}
	o := l.options()
	o.Observer = seen
	if err := l.takePart(o); err != nil {
		t.Fatal(err)
	}
	if f := l.failures(); f != nil {
		t.Errorf("failures %v", f)
	}
	if n := l.segments(); n != 1000 {
		t.Errorf("%d tags arrived", n)
	}
	if left := l.kept(); left != nil {
		t.Errorf("left at the slave: %v", left)
	}
	want := []wire.Phase{wire.Ready, wire.Armed, wire.Running, wire.Draining, wire.Transferring, wire.Done}
	news, got := l.heard()
	got = slices.DeleteFunc(got, func(p wire.Phase) bool { return p == wire.Preparing })
	// A phase that is over before a report is told to nobody.
	want = slices.DeleteFunc(want, func(p wire.Phase) bool { return !slices.Contains(got, p) })
	if diff := cmp.Diff(want, got); diff != "" || !slices.Contains(got, wire.Done) {
		t.Errorf("phases (-want +got):\n%s", diff)
	}
	var facts [5]int
	for _, n := range news {
		for i, is := range []bool{n.Controller != nil, n.Sink != nil, n.Shot != nil, n.Segment != nil, n.Ended != nil} {
			if is {
				facts[i]++
			}
		}
		if n.Ended != nil && (len(n.Ended.Sent) != 1 || n.Ended.Sent[0] != (fact.StreamCounts{Counts: fact.Counts{Tags: 1000, Last: 999_000_000, Until: 1_000_000_000_000}}) || string(n.Ended.Report) != `{"mode":""}`) {
			t.Errorf("the driver's own count: %+v", n.Ended)
		}
	}
	if facts != [5]int{1, 1, 1, 1, 1} {
		t.Errorf("controllers, sinks, shots, segments, ends: %v", facts)
	}
	var last event.Progress
	for _, e := range seen.events {
		if p, is := e.(event.Progress); is {
			last = p
		}
	}
	if last.Tags != 1000 || last.Elapsed != last.Duration {
		t.Errorf("the user saw at last %+v", last)
	}
}

// ending is the code of the error that a slave ended with, "abort" where its
// master threw the run away, "" for none.
func ending(err error) string {
	if f := (*sdk.Failure)(nil); errors.As(err, &f) {
		return f.Code
	}
	switch {
	case err == nil:
		return ""
	case errors.Is(err, errAborted):
		return "abort"
	}
	return err.Error()
}

// TestRunsThatGoWrong plays runs in which one thing is not as it should be.
func TestRunsThatGoWrong(t *testing.T) {
	instead := func(phase wire.Phase, kind wire.OrderKind) func(wire.Phase) wire.OrderKind {
		return func(p wire.Phase) wire.OrderKind {
			if p == phase {
				return kind
			}
			return straight(p)
		}
	}
	for name, c := range map[string]struct {
		driver, sink, more string
		give               func(wire.Phase) wire.OrderKind
		onFailure, onTags  wire.OrderKind
		hold               bool
		refuse             wire.Phase // from which on the master has given the node up
		failures           []string   // told to the master
		ends               string     // as ending returns it
		tags               uint64     // that arrived, at least
		kept               int        // files left at the slave
	}{
		"the master aborts before the arming":   {give: instead(wire.Ready, wire.Abort), ends: "abort"},
		"the master aborts before the firing":   {give: instead(wire.Armed, wire.Abort), ends: "abort"},
		"stopped before it began":               {give: instead(wire.Armed, wire.Stop), ends: "abort"},
		"the master aborts in the recording":    {driver: "endless", give: instead(wire.Running, wire.Abort), ends: "abort"},
		"the master stops the recording":        {driver: "endless", onTags: wire.Stop, tags: 1},
		"the device is absent":                  {driver: "absent", onFailure: wire.Release, failures: []string{"device-timeout"}, ends: "device-timeout"},
		"the device cannot be armed":            {driver: "no-arm", onFailure: wire.Abort, failures: []string{"device-refused"}, ends: "device-refused"},
		"the device does not start":             {driver: "no-start", failures: []string{"device-refused"}},
		"the device breaks":                     {driver: "breaks", failures: []string{"device-lost"}, tags: 1},
		"tags are lost":                         {driver: "lossy", tags: 1000},
		"the disk is full":                      {driver: "endless", sink: "full", failures: []string{"disk-full"}},
		"the disk stands still":                 {driver: "flood", sink: "stalls", failures: []string{"sink-slow"}},
		"source files are kept":                 {more: "transfer: {keep_source: always}\n", tags: 1000, kept: 1},
		"given up before the arming":            {refuse: wire.Ready, failures: []string{"node-lost"}, ends: "node-lost"},
		"given up in the recording":             {refuse: wire.Running, hold: true, ends: "node-lost", kept: 1},
		"released before everything is with it": {hold: true, give: instead(wire.Transferring, wire.Release), ends: "abort", kept: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, c.driver, c.sink, c.more)
			l.onFailure, l.onTags, l.hold = c.onFailure, c.onTags, c.hold
			if c.give != nil {
				l.give = c.give
			}
			l.refuse = func(p wire.Phase) *sdk.Failure {
				// Where this process is held up, a recording may be over before it is reported.
				over := p == wire.Draining || p == wire.Transferring
				if c.refuse != "" && p == c.refuse || c.refuse == wire.Running && over {
					return &sdk.Failure{Code: "node-lost", Message: "the run went on without this node"}
				}
				return nil
			}
			err := l.takePart(l.options())
			end := ending(err)
			if end != c.ends {
				t.Errorf("ends with %q, want %q", end, c.ends)
			}
			if diff := cmp.Diff(c.failures, l.failures()); diff != "" {
				t.Errorf("failures told (-want +got):\n%s", diff)
			}
			if c.refuse == wire.Running { // it records on, and the master takes nothing
				if err == nil || !strings.Contains(err.Error(), "the recorded files are in "+l.data) {
					t.Errorf("%v, want the place of the files", err)
				}
			} else if tags := l.segments(); tags < c.tags {
				t.Errorf("%d tags arrived, want %d", tags, c.tags)
			}
			if kept := l.kept(); len(kept) != c.kept {
				t.Errorf("kept %v, want %d files", kept, c.kept)
			}
		})
	}
}

// TestFailedSinkIsNotWaitedFor: for a sink that says why it failed nobody goes on, so
// nothing waits for another process of it.
func TestFailedSinkIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	l := newLab(t, "endless", "full", "")
	l.recipe.Sinks[0].Sink = "sink-anew"
	if end := ending(l.takePart(l.options())); end != "" {
		t.Errorf("ends with %q", end)
	}
	if diff := cmp.Diff([]string{"disk-full"}, l.failures()); diff != "" {
		t.Errorf("failures told (-want +got):\n%s", diff)
	}
	news, _ := l.heard()
	lines := slices.DeleteFunc(news, func(n wire.News) bool {
		return !strings.Contains(string(n.Log), "recording ended with what failed before")
	})
	if len(lines) != 1 || strings.Contains(string(lines[0].Log), "no other process") || !strings.Contains(string(lines[0].Log), "it has failed") {
		t.Errorf("the end of the recording was told of as %+v", lines)
	}
}

// TestAbortIsHeardWhileADeviceStops: a device that takes its time to stop, or
// never does, keeps nobody from giving the run up.
func TestAbortIsHeardWhileADeviceStops(t *testing.T) {
	t.Parallel()
	l := newLab(t, "deaf", "", "")
	l.onTags = wire.Stop
	reports, acknowledged, aborted := 0, false, time.Time{}
	l.refuse = func(wire.Phase) *sdk.Failure {
		if l.order.Kind == wire.Stop {
			acknowledged = acknowledged || l.carriedOut >= l.order.Seq
			if reports++; reports == 3 { // the slave has it
				l.decide(wire.Abort)
				aborted = time.Now()
			}
		}
		return nil
	}
	if end := ending(l.takePart(l.options())); end != "abort" {
		t.Errorf("ends with %q", end)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if took := time.Since(aborted); took >= stopTimeout {
		t.Errorf("it took %v", took)
	}
	if acknowledged {
		t.Error("a stop was acknowledged that had not been carried out")
	}
}

// A first interrupt in the recording ends it, and everything is kept; one before
// it, or a second one, gives up. The slave ends in any case.
func TestUserStopsTheNode(t *testing.T) {
	for name, c := range map[string]struct {
		driver string
		at     wire.Phase
		times  int
		tags   uint64 // that arrived, at least
		told   bool   // the master knows that the recording was ended, or the node given up
		kept   int    // files left at the slave, which the master has then not taken
	}{
		"ready":                          {at: wire.Ready, times: 1, told: true},
		"armed":                          {at: wire.Armed, times: 1, told: true},
		"in the recording":               {driver: "endless", at: wire.Running, times: 1, tags: 1, told: true},
		"after the recording":            {at: wire.Transferring, times: 1, tags: 1000},
		"after the recording, impatient": {at: wire.Transferring, times: 2, told: true, kept: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, c.driver, "", "")
			l.interruptAt, l.interruptTimes, l.hold = c.at, c.times, c.at == wire.Transferring
			l.give = func(p wire.Phase) wire.OrderKind {
				if p == wire.Done || p == c.at {
					return 0
				}
				return straight(p)
			}
			if c.times == 1 {
				l.releaseOn = "interrupted by this node's user"
			}
			err := l.takePart(l.options())
			if !Stopped(err) {
				t.Errorf("ends with %v", err)
			}
			if tags := l.segments(); tags < c.tags {
				t.Errorf("%d tags arrived, want %d", tags, c.tags)
			}
			if kept := l.kept(); len(kept) != c.kept {
				t.Errorf("kept %v, want %d files", kept, c.kept)
			}
			news, _ := l.heard()
			told := slices.Contains(l.failures(), "node-stopped") || slices.ContainsFunc(news, func(n wire.News) bool { return n.Stopped })
			if told != c.told {
				t.Errorf("the master was told: %v, want %v", told, c.told)
			}
		})
	}
}

// TestStartsThatNobodySaw: a driver that brings tags, or a record without any, and tells
// of no start is told of; one that was stopped before its instant
// or did not start is not.
func TestStartsThatNobodySaw(t *testing.T) {
	stopped := func(p wire.Phase) wire.OrderKind {
		if p == wire.Armed {
			return wire.Stop
		}
		return straight(p)
	}
	for name, c := range map[string]struct {
		driver string
		give   func(wire.Phase) wire.OrderKind
		told   *wire.Unstarted
	}{
		"it fires":                {},
		"it brings tags":          {driver: "unseen", told: &wire.Unstarted{Controller: "tc", Tags: 1000}},
		"it brings no tags":       {driver: "unseen-dark", told: &wire.Unstarted{Controller: "tc"}},
		"it does not start":       {driver: "no-start"},
		"it breaks":               {driver: "breaks"},
		"stopped before it began": {driver: "unseen", give: stopped},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, c.driver, "", "")
			if c.give != nil {
				l.give = c.give
			}
			if end := ending(l.takePart(l.options())); (end != "") != (c.give != nil) {
				t.Errorf("ends with %q", end)
			}
			var told *wire.Unstarted
			news, _ := l.heard()
			for _, n := range news {
				if n.Unstarted != nil {
					told = n.Unstarted
				}
			}
			if diff := cmp.Diff(c.told, told); diff != "" {
				t.Errorf("told (-want +got):\n%s", diff)
			}
		})
	}
}
