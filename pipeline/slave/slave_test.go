package slave

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tsrun/pipeline/event"
	"tsrun/pipeline/fact"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/wire"
	"tsrun/sdk"
	"tsrun/sdk/quantity"
)

func TestJoinWaitsUntilItIsLetIn(t *testing.T) {
	t.Parallel()
	l := newLab(t, "", "", "")
	l.joins = []wire.Reply{{Wait: "a run is under way"}, {Wait: "a run is under way"}, {Wait: "the run is over"}}
	seen := &observed{}
	o := l.options()
	o.Observer = seen
	if err := l.takePart(o); err != nil {
		t.Fatal(err)
	}
	var why []string
	silent := false
	for _, e := range seen.events {
		w, is := e.(event.Waiting)
		if !is {
			continue
		}
		// Where this PC is held up, an answer comes too late, and what it says is told again.
		if again := silent && len(why) > 0 && why[len(why)-1] == w.Why; !again && !strings.HasPrefix(w.Why, "no answer") {
			why = append(why, w.Why)
		}
		silent = strings.HasPrefix(w.Why, "no answer")
	}
	if diff := cmp.Diff([]string{"a run is under way", "the run is over"}, why); diff != "" {
		t.Errorf("the user was told (-want +got):\n%s", diff)
	}
}

// TestOnceEndsWhereNothingIsWanted: a master that collects and has all of this node lets
// nobody in, and who is meant for one run does not wait for another.
func TestOnceEndsWhereNothingIsWanted(t *testing.T) {
	t.Parallel()
	l := newLab(t, "", "", "")
	l.joins = []wire.Reply{{Wait: "it has all", Unwanted: true}}
	seen := &observed{}
	o := l.options()
	o.Observer, o.Once = seen, true
	if err := l.takePart(o); err != nil {
		t.Fatal(err)
	}
	if len(l.news) > 0 || len(seen.events) == 0 || seen.events[len(seen.events)-1] != event.Event(event.Warning{Node: "bob", Message: "it has all"}) {
		t.Errorf("it took part, or the user was told otherwise: %+v", seen.events)
	}
}

// TestDatagramsGoWhereTheMasterAnswered: a name may have several addresses, of which a
// connection tries all, and a datagram takes one.
func TestDatagramsGoWhereTheMasterAnswered(t *testing.T) {
	t.Parallel()
	l := newLab(t, "", "", "")
	o := l.options()
	_, port, _ := net.SplitHostPort(o.Master)
	o.Master = net.JoinHostPort("localhost", port) // which may be ::1 before it is 127.0.0.1
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	o.watchdog = ofThisProcess()
	j := joiner{options: o, host: "localhost"}
	w, err := j.join(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if a := j.addresses(w); a.datagrams != "127.0.0.1" || a.status != o.Master {
		t.Errorf("addresses of the session: %+v", a)
	}
}

func TestSlavesThatTakeNoPart(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*lab, *Options)
		says   string
	}{
		"refused": {func(l *lab, _ *Options) {
			l.joins = []wire.Reply{{Refused: &sdk.Failure{Code: "unknown-node", Message: "the recipe has no node bob"}}}
		}, "no node bob"},
		"refused by nobody it knows": {func(l *lab, _ *Options) {
			l.joins = []wire.Reply{{Refused: &sdk.Failure{Code: "x\x1b[2J", Message: "\r\x1b]0;tsrun: GOOD\a" + strings.Repeat("y", 1<<16), Hint: "\n"}}}
		}, "\uFFFD\uFFFD]0;tsrun: GOOD\uFFFDyy"},
		"no port": {func(_ *lab, o *Options) { o.Master = "master" }, "write it as HOST:PORT"},
		"interrupted while it waits": {func(l *lab, _ *Options) {
			for range 1000 {
				l.joins = append(l.joins, wire.Reply{Wait: "a run is under way"})
			}
			l.interrupts <- struct{}{}
		}, "stopped by this node's user"},
		"another node's recipe": {func(_ *lab, o *Options) { o.Node = "carol" }, "does not describe node carol alone"},
		"a recipe out of bounds": {func(l *lab, _ *Options) {
			l.recipe.Acquire.Duration = 0
		}, "acquire.duration"},
		"no recipe": {func(l *lab, _ *Options) {
			w := l.welcome()
			w.Recipe = json.RawMessage(`[]`)
			l.joins = []wire.Reply{{Welcome: w}}
		}, "read the recipe sent by the master"},
		"a run without a name": {func(l *lab, _ *Options) {
			w := l.welcome()
			w.Run = strings.Repeat("../", 100)
			l.joins = []wire.Reply{{Welcome: w}}
		}, "32 hexadecimal digits"},
		"a short token": {func(l *lab, _ *Options) {
			w := l.welcome()
			w.Token = "00"
			l.joins = []wire.Reply{{Welcome: w}}
		}, "the token is not 32"},
		"no directory for files": {func(l *lab, o *Options) {
			o.Data, l.onFailure = "/dev/null/data", wire.Abort
		}, "make the directory for recorded files"},
		"no such plugin": {func(l *lab, o *Options) {
			o.PluginDirs, l.onFailure = nil, wire.Abort
		}, "find plugin"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, "", "", "")
			o := l.options()
			c.change(l, &o)
			if err := l.takePart(o); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("ends with %v, want %q", err, c.says)
			}
			if kept := l.kept(); kept != nil {
				t.Errorf("left behind: %v", kept)
			}
		})
	}
}

// A slave that is not meant for one run goes on after one that ended badly.
func TestSlaveComesBackForTheNextRun(t *testing.T) {
	t.Parallel()
	l := newLab(t, "", "", "")
	good := l.give
	l.give = func(p wire.Phase) wire.OrderKind {
		if p == wire.Ready {
			l.give = good // for the next
			return wire.Abort
		}
		return 0
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o := l.options()
	o.Once = false
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, o) }()
	for late := time.After(wait); ; {
		l.mu.Lock()
		released := l.order.Kind == wire.Release
		l.mu.Unlock()
		if released {
			break
		}
		select {
		case <-late:
			t.Fatal("no second run")
		case err := <-ended:
			t.Fatalf("ended with %v", err)
		case <-time.After(time.Millisecond):
		}
	}
	cancel()
	if err := <-ended; err != nil && !errors.Is(err, context.Canceled) { // nil: it was not done with the run
		t.Errorf("ended with %v", err)
	}
}

func TestUserIsRemindedNotFlooded(t *testing.T) {
	var w waiting
	start := time.Unix(1000, 0)
	for _, c := range []struct {
		why   string
		after time.Duration
		want  bool
	}{
		{"no answer", 0, true}, {"no answer", time.Second, false}, {"the run is over", 2 * time.Second, true},
		{"no answer", 3 * time.Second, true}, {"no answer", 3*time.Second + remindEvery - 1, false}, {"no answer", 3*time.Second + remindEvery, true},
	} {
		if got := w.worthSaying(c.why, start.Add(c.after)); got != c.want {
			t.Errorf("%q after %v: said %v", c.why, c.after, got)
		}
	}
}

// silent is a session whose master has not answered for longer than it may.
func silent(t *testing.T) *session {
	t.Helper()
	r := newReporter("bob", "token", wire.NewStatusClient("127.0.0.1:1", nil), newInbox())
	r.heard = time.Now().Add(-usualPatience - time.Second)
	return &session{reporter: r, orders: r.orders, dir: "/data/run-bob", sent: make(chan error, 1)}
}

func TestMasterThatIsSilentIsNotWaitedForWithoutEnd(t *testing.T) {
	s := silent(t)
	if _, err := s.awaitOrder(t.Context(), wire.Arm); err == nil || !strings.Contains(err.Error(), "has not answered") {
		t.Errorf("waiting for an order: %v", err)
	}
	_, gone := s.awaitSent(t.Context())
	if f := (*sdk.Failure)(nil); !errors.As(gone, &f) || f.Code != "master-gone" || !strings.Contains(f.Hint, s.dir) {
		t.Errorf("waiting for the files to arrive: %v", gone)
	}
}

func TestAwaitEndsWithWhatEndsTheRun(t *testing.T) {
	refused := errors.New("refused")
	canceled, cancel := context.WithCancelCause(t.Context())
	cancel(errStopped)
	for name, c := range map[string]struct {
		ctx   context.Context
		order wire.OrderKind
		close error
		want  error
	}{
		"the order":            {order: wire.Fire},
		"another order first":  {order: wire.Arm, close: refused, want: refused},
		"stop":                 {order: wire.Stop, want: errAborted},
		"abort":                {order: wire.Abort, want: errAborted},
		"release":              {order: wire.Release, want: errAborted},
		"refused":              {close: refused, want: refused},
		"the session is ended": {ctx: canceled, want: errStopped},
	} {
		t.Run(name, func(t *testing.T) {
			s := silent(t)
			s.reporter.heard = time.Now()
			if c.order != 0 {
				s.orders.put(wire.Order{Kind: c.order, Seq: 1}, fact.ByPub, time.Now())
			}
			if c.close != nil {
				time.AfterFunc(time.Millisecond, func() { s.orders.close(c.close) })
			}
			ctx := c.ctx
			if ctx == nil {
				ctx = t.Context()
			}
			if o, err := s.awaitOrder(ctx, wire.Fire); !errors.Is(err, c.want) || err == nil && o.Kind != c.order {
				t.Errorf("got %v, %v, want %v", o, err, c.want)
			}
		})
	}
}

// That no further shot is taken is no matter of a node that has ended its part: it still
// waits until the master lets it go, or gives the run up.
func TestStopEndsNoDelivery(t *testing.T) {
	for kind, want := range map[wire.OrderKind]error{wire.Release: nil, wire.Abort: errAborted} {
		s := silent(t)
		s.reporter.heard, s.fired = time.Now(), true
		s.orders.put(wire.Order{Kind: wire.Stop, Seq: 1}, fact.ByPub, time.Now())
		time.AfterFunc(time.Millisecond, func() { s.orders.put(wire.Order{Kind: kind, Seq: 2}, fact.ByPub, time.Now()) })
		if o, err := s.awaitOrder(t.Context(), wire.Release); !errors.Is(err, want) || err == nil && o.Seq != 2 {
			t.Errorf("%v after a stop: %+v, %v", kind, o, err)
		}
	}
}

func TestDeviceMustSuitTheRecipe(t *testing.T) {
	able := sdk.Device{Inputs: []sdk.Input{{Number: 1, ThresholdMin: -2_000_000, ThresholdMax: 2_000_000, DelayMax: 1000}},
		Can: sdk.Capabilities{ScheduledStart: true, HardwareStart: true, InputDelay: true}}
	for name, c := range map[string]struct {
		channel func(*recipe.Channel)
		device  func(*sdk.Device)
		method  string
		expect  []int64 // least rates of b, in Hz
		says    string  // "" where it suits
		none    bool    // its inputs have no thresholds
	}{
		"as it should be":            {},
		"hardware":                   {method: "hardware"},
		"no START input":             {method: "hardware", device: func(d *sdk.Device) { d.Can.HardwareStart = false }, says: "no START input, trigger.method: hardware needs one; it can be started at an instant (scheduled)"},
		"no START needed":            {device: func(d *sdk.Device) { d.Can.HardwareStart = false }},
		"no start on receipt":        {method: "broadcast", device: func(d *sdk.Device) { d.Can.ScheduledStart = false }, says: "cannot be started at an instant, trigger.method: broadcast needs that"},
		"no scheduled start":         {method: "scheduled", device: func(d *sdk.Device) { d.Can.ScheduledStart = false }, says: "cannot be started at an instant, trigger.method: scheduled needs that; it can be started by an edge on its START input (hardware)"},
		"no such input":              {channel: func(c *recipe.Channel) { c.Input = 2 }, says: "channel b is on input 2, the device has 1 inputs"},
		"the highest threshold":      {channel: func(c *recipe.Channel) { c.Threshold = new(quantity.Voltage(2_000_000)) }},
		"above it":                   {channel: func(c *recipe.Channel) { c.Threshold = new(quantity.Voltage(2_000_001)) }, says: "is outside -2000 mV to 2000 mV"},
		"the lowest threshold":       {channel: func(c *recipe.Channel) { c.Threshold = new(quantity.Voltage(-2_000_000)) }},
		"below it":                   {channel: func(c *recipe.Channel) { c.Threshold = new(quantity.Voltage(-2_000_001)) }, says: "is outside"},
		"range not known":            {channel: func(c *recipe.Channel) { c.Threshold = new(quantity.Voltage(9_000_000)) }, device: func(d *sdk.Device) { d.Inputs = []sdk.Input{{Number: 1}} }},
		"none, where it is needed":   {channel: func(c *recipe.Channel) { c.Threshold = nil }, says: "channel b has no threshold, and the device needs one"},
		"none, where there is none":  {channel: func(c *recipe.Channel) { c.Threshold = nil }, none: true},
		"one, where there is none":   {none: true, says: "a threshold of 100 mV, and the device has no thresholds"},
		"no delays":                  {channel: func(c *recipe.Channel) { c.Delay = 1 }, device: func(d *sdk.Device) { d.Can.InputDelay = false }, says: "no input delays"},
		"the longest delay":          {channel: func(c *recipe.Channel) { c.Delay = -1000 }},
		"a longer one":               {channel: func(c *recipe.Channel) { c.Delay = 1001 }, says: "beyond the 1 ns of the device"},
		"a longer one the other way": {channel: func(c *recipe.Channel) { c.Delay = -1001 }, says: "beyond"},
		"no rate expected":           {device: func(d *sdk.Device) { d.MaxRateHz = 10 }},
		"the highest rate":           {expect: []int64{10}, device: func(d *sdk.Device) { d.MaxRateHz = 10 }},
		"a higher rate":              {expect: []int64{6, 5}, device: func(d *sdk.Device) { d.MaxRateHz = 10 }, says: "expect wants at least 11 Hz of its channels, the device records at most 10 Hz over all inputs"},
		"a rate beyond all bounds":   {expect: []int64{1 << 53, 1 << 53}, device: func(d *sdk.Device) { d.MaxRateHz = 1 << 50 }, says: "the device records at most"},
		"no bound is reached":        {expect: []int64{1 << 53, 1 << 53}, device: func(d *sdk.Device) { d.MaxRateHz = 1 << 62 }},
		"highest rate not known":     {expect: []int64{1 << 50}},
		"a hostile highest rate":     {expect: []int64{10}, device: func(d *sdk.Device) { d.MaxRateHz = -5 }},
		"longest delay not known":    {channel: func(c *recipe.Channel) { c.Delay = quantity.Nanosecond * 5 }, device: func(d *sdk.Device) { d.Inputs[0].DelayMax = 0 }},
	} {
		t.Run(name, func(t *testing.T) {
			channel, device := recipe.Channel{Name: "b", Controller: "tc", Input: 1, Threshold: new(quantity.Voltage(100_000))}, able
			device.Inputs = append([]sdk.Input(nil), able.Inputs...)
			if c.channel != nil {
				c.channel(&channel)
			}
			if c.device != nil {
				c.device(&device)
			}
			node := recipe.Node{Name: "bob", Channels: []recipe.Channel{channel}}
			r := &recipe.Recipe{Trigger: recipe.Trigger{Method: c.method}}
			for _, hertz := range c.expect {
				r.Expect = append(r.Expect, recipe.Expect{Channel: "bob.b", RateMin: new(quantity.Frequency(hertz * 1000))})
			}
			eq := &equipment{s: &session{node: &node, recipe: r}}
			err := eq.checkDevice(&controller{recipe: recipe.Controller{Name: "tc"}, streams: []uint16{0}, noThresholds: c.none}, device)
			if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
}

func TestSinksOfANode(t *testing.T) {
	node := recipe.Node{Name: "bob", Channels: []recipe.Channel{{Name: "a"}, {Name: "b"}}}
	s := &session{node: &node, recipe: &recipe.Recipe{Sinks: make([]recipe.Sink, 1)}}
	eq := &equipment{s: s}
	for name, c := range map[string]struct {
		sink  recipe.Sink
		sinks int
		want  []uint16
		dir   string
	}{
		"all channels":         {recipe.Sink{At: "source"}, 1, []uint16{0, 1}, "raw/bob"},
		"at this node":         {recipe.Sink{At: "bob"}, 1, []uint16{0, 1}, "raw/bob"},
		"at another":           {recipe.Sink{At: "alice"}, 1, nil, ""},
		"one channel":          {recipe.Sink{At: "source", Takes: []string{"bob.b", "alice.a"}}, 1, []uint16{1}, "raw/bob"},
		"another's channels":   {recipe.Sink{At: "source", Takes: []string{"alice.a"}}, 1, nil, ""},
		"one of several sinks": {recipe.Sink{Name: "fast", At: "source"}, 2, []uint16{0, 1}, "raw/bob/fast"},
	} {
		s.recipe.Sinks = make([]recipe.Sink, c.sinks)
		k := eq.sinkFor(c.sink)
		if k == nil {
			if c.want != nil {
				t.Errorf("%s: not for this node", name)
			}
			continue
		}
		if diff := cmp.Diff(c.want, k.streams); diff != "" || k.dir != c.dir {
			t.Errorf("%s: streams %v in %s", name, k.streams, k.dir)
		}
	}
}

// Warnings and errors of the log reach the user, with their attributes; lines
// of less weight do not.
func TestUserSeesWarnings(t *testing.T) {
	seen := &observed{}
	var file strings.Builder
	log := slog.New(fanout{ObserverLog(seen, "bob"), slog.NewTextHandler(&file, &slog.HandlerOptions{Level: slog.LevelDebug})})
	log = log.With("sink", "raw").WithGroup("g")
	log.Debug("not for him")
	log.Warn("slow disk", "ms", 900)
	log.Error("disk full")
	want := []event.Event{
		event.Warning{Node: "bob", Message: "slow disk, sink raw, ms 900"},
		event.Problem{Node: "bob", Message: "disk full, sink raw"},
	}
	if diff := cmp.Diff(want, seen.events); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	for _, line := range []string{"level=DEBUG msg=\"not for him\" sink=raw", "g.ms=900", "level=ERROR"} {
		if !strings.Contains(file.String(), line) {
			t.Errorf("the other log has no %s:\n%s", line, file.String())
		}
	}
}

// Whatever a master lets a slave in for, the slave keeps its list of revoked certificates.
func TestRevocationsAreKept(t *testing.T) {
	for name, w := range map[string]wire.Welcome{
		"a run":                {},
		"what it holds":        {Deliver: true},
		"what it has recorded": {Collect: &wire.Collect{}},
	} {
		var kept []byte
		j := joiner{options: Options{Node: "bob", Data: t.TempDir(), watchdog: newWatchdog(func(string) string { return "" }, 1), Log: slog.New(slog.DiscardHandler), KeepRevocations: func(list []byte) error { kept = list; return nil }}}
		w.Revoked = []byte(name)
		if err := j.serve(t.Context(), &w); err == nil || string(kept) != name {
			t.Errorf("%s: %v, kept %q", name, err, kept)
		}
	}
}
