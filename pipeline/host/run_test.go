package host

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tsrun/pipeline/core"
	"tsrun/sdk"
	"tsrun/sdk/tag"
)

// bench is one node: a driver of two streams, the core, and a sink.
type bench struct {
	t        *testing.T
	driver   *Driver
	sink     *Sink
	core     *core.Core
	coreDone chan error
	dir      string
	run      tag.RunID
}

// newBench starts everything up to an armed driver and a sink that has begun.
func newBench(t *testing.T, driver, sink string) *bench {
	t.Helper()
	h, _ := newHost(t, "tc-test", "sink-test")
	b := &bench{t: t, dir: t.TempDir(), run: tag.RunID{1, 2, 3}, coreDone: make(chan error, 1)}
	b.core = core.New(shortDir(t), nil)
	b.core.RunID = b.run
	streams := []uint16{4, 5}
	in, err := b.core.Inlet("alice.tc", streams)
	if err != nil {
		t.Fatal(err)
	}
	out, err := b.core.Outlet("alice.raw", streams)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { b.coreDone <- b.core.Run(ctx); close(b.coreDone) }()
	t.Cleanup(func() {
		cancel()
		<-b.coreDone
	})
	if b.driver, err = h.StartDriver(t.Context(), Spec{Plugin: "tc-test", Instance: "alice.tc", Config: json.RawMessage(driver)}); err != nil {
		t.Fatal(err)
	}
	if b.sink, err = h.StartSink(t.Context(), Spec{Plugin: "sink-test", Instance: "alice.raw", Config: json.RawMessage(sink)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // before the host's own end
		b.driver.Close(context.Background())
		b.sink.Close(context.Background())
	})
	begin := sdk.Recording{Run: b.run, Dir: b.dir, Streams: []sdk.RecordedStream{{Stream: 4, Name: "signal"}, {Stream: 5, Name: "idler"}}}
	if err := b.sink.Begin(t.Context(), begin, out, ""); err != nil {
		t.Fatal(err)
	}
	a := sdk.Acquisition{Run: b.run, Duration: 3 * time.Second, Channels: []sdk.Channel{{Stream: 4, Name: "signal", Input: 1}, {Stream: 5, Name: "idler", Input: 2}}}
	if err := b.driver.Arm(t.Context(), a, in); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) start() {
	b.t.Helper()
	if err := b.driver.Start(b.t.Context(), time.Now().Add(20*time.Millisecond), false); err != nil {
		b.t.Fatal(err)
	}
}

// events returns everything the driver told, to the end.
func (b *bench) events() (all []DriverEvent) {
	b.t.Helper()
	timeout := time.After(wait)
	for {
		select {
		case e, open := <-b.driver.Events():
			if !open {
				return all
			}
			all = append(all, e)
		case <-timeout:
			b.t.Fatal("the driver's events did not end within 30 s")
		}
	}
}

func ended(t *testing.T, events []DriverEvent) Ended {
	t.Helper()
	if len(events) == 0 {
		t.Fatal("no events")
	}
	e, ok := events[len(events)-1].(Ended)
	if !ok {
		t.Fatalf("the last event is %T", events[len(events)-1])
	}
	return e
}

// artifacts finishes the sink and returns what it told.
func (b *bench) artifacts() (all []Closed) {
	b.t.Helper()
	if err := b.sink.Finish(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	if err := b.sink.Close(b.t.Context()); err != nil {
		b.t.Error(err)
	}
	for e := range b.sink.Events() {
		switch e := e.(type) {
		case Closed:
			all = append(all, e)
		case Failed:
			b.t.Errorf("sink failed: %v", e.Err)
		}
	}
	return all
}

func (b *bench) tags(name string) []uint64 {
	b.t.Helper()
	text, err := os.ReadFile(filepath.Join(b.dir, name+".bin"))
	if err != nil {
		b.t.Fatal(err)
	}
	return tag.AsTags(text, nil)
}

func TestTagsReachTheSink(t *testing.T) {
	b := newBench(t, `{"tags":200000,"spacing":"3 ns","mode":"lossy"}`, `{}`)
	b.start()
	events := b.events()
	started, ok := events[0].(Started)
	if !ok || started.Called < started.Asked {
		t.Errorf("the first event is %+v", events[0])
	}
	var lost uint64
	for _, e := range events {
		if l, ok := e.(Lost); ok {
			lost += l.Tags
			if l.Why != "fifo overflow" || l.AtPs != 199999*3000 {
				t.Errorf("loss %+v", l)
			}
		}
	}
	e := ended(t, events)
	if e.Err != nil || lost != 6 || string(e.Report) != `{"mode":"lossy"}` || len(e.Streams) != 2 ||
		e.Streams[0].Tags != 200000 || e.Streams[1].Lost != 3 || e.Streams[1].Until != 3e12 {
		t.Errorf("ended %+v with %d lost", e, lost)
	}
	if err := <-b.coreDone; err != nil {
		t.Error(err)
	}
	for _, c := range b.core.Counts() {
		if c.Tags != 200000 || c.Lost != 3 || c.First != 0 || c.Last != 199999*3000 || c.Until != 3e12 || !c.Ended || c.Err != nil {
			t.Errorf("counts %+v", c)
		}
	}
	if got := b.artifacts(); len(got) != 2 || got[0].Tags != 200000 {
		t.Errorf("artifacts %+v", got)
	}
	for _, name := range []string{"signal", "idler"} {
		tags := b.tags(name)
		if len(tags) != 200000 {
			t.Fatalf("%s has %d tags", name, len(tags))
		}
		for i, at := range tags {
			if at != uint64(i)*3000 {
				t.Fatalf("%s: tag %d is at %d ps", name, i, at)
			}
		}
	}
	if err := b.driver.Stop(t.Context()); err != nil {
		t.Errorf("stopping what has ended: %v", err)
	}
}

func TestStopKeepsWhatCame(t *testing.T) {
	b := newBench(t, `{"mode":"endless"}`, `{}`)
	b.start()
	if _, ok := (<-b.driver.Events()).(Started); !ok {
		t.Fatal("it did not start")
	}
	if err := b.driver.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	e := ended(t, b.events())
	if e.Err != nil {
		t.Error(e.Err)
	}
	b.artifacts()
	if n := len(b.tags("signal")); uint64(n) != e.Streams[0].Tags {
		t.Errorf("%d tags in the file, %d were sent", n, e.Streams[0].Tags)
	}
}

func TestStopGivesUpOnADeafDriver(t *testing.T) {
	b := newBench(t, `{"mode":"deaf"}`, `{}`)
	b.start()
	if _, ok := (<-b.driver.Events()).(Started); !ok {
		t.Fatal("it did not start")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	err := b.driver.Stop(ctx)
	if code := failureOf(t, err).Code; code != "stop-timeout" && code != "plugin-timeout" {
		t.Errorf("stop: %v", err)
	}
	if err := b.driver.Close(t.Context()); err == nil {
		t.Error("closing a driver that does not stop went well")
	}
	if alive(b.driver.PID()) {
		t.Error("the process is still there")
	}
	b.artifacts() // whole, without tags
}

func TestStopBeforeStartEndsTheStreams(t *testing.T) {
	b := newBench(t, `{}`, `{}`)
	if err := b.driver.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if e := ended(t, b.events()); e.Err != nil {
		t.Error(e.Err)
	}
	if err := b.driver.Start(t.Context(), time.Time{}, false); err == nil {
		t.Error("a stopped driver was started")
	}
	if err := <-b.coreDone; err != nil {
		t.Error(err)
	}
	if got := b.artifacts(); len(got) != 2 || got[0].Tags != 0 {
		t.Errorf("artifacts %+v", got)
	}
}

// TestMissedStart: an order that may only come in time is not taken after its instant;
// it may be given again.
func TestMissedStart(t *testing.T) {
	b := newBench(t, `{}`, `{}`)
	var f *sdk.Failure
	if err := b.driver.Start(t.Context(), time.Now().Add(-time.Millisecond), true); !errors.As(err, &f) || f.Code != sdk.MissedStart || f.Hint == "" {
		t.Fatalf("an order after its instant: %v", err)
	}
	if err := b.driver.Start(t.Context(), time.Now().Add(-time.Millisecond), false); err != nil {
		t.Fatalf("given again: %v", err)
	}
	started := 0
	for _, e := range b.events() {
		if s, ok := e.(Started); ok {
			started++
			if !s.Late {
				t.Error("a start after its instant is not late")
			}
		}
	}
	if started != 1 {
		t.Errorf("%d starts", started)
	}
}

func TestStopWhileWaitingForTheInstant(t *testing.T) {
	b := newBench(t, `{}`, `{}`)
	if err := b.driver.Start(t.Context(), time.Now().Add(time.Hour), false); err != nil {
		t.Fatal(err)
	}
	if err := b.driver.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	events := b.events()
	if e := ended(t, events); e.Err != nil || len(events) != 1 {
		t.Errorf("events %+v", events)
	}
}

// TestDriverThatFailsEndsItsStreams: whatever becomes of a driver, the sink
// gets whole files with what came before.
func TestDriverThatFailsEndsItsStreams(t *testing.T) {
	tests := []struct {
		name, config string
		act          func(*bench)
		code         string
		says         []string
		coreFault    bool // the driver could not end its streams itself
	}{
		{name: "panic in Acquire", config: `{"mode":"panic"}`, code: "plugin-panic", says: []string{"index out of range"}},
		{name: "panic in a goroutine", config: `{"mode":"crash"}`, code: "plugin-died",
			says: []string{"panic: a bug in another goroutine", "exit status 2", "alice.tc"}, coreFault: true},
		{name: "kill -9", config: `{"mode":"endless"}`, code: "plugin-died", says: []string{"signal: killed"}, coreFault: true,
			act: func(b *bench) {
				<-b.driver.Events() // started
				time.Sleep(50 * time.Millisecond)
				syscall.Kill(b.driver.PID(), syscall.SIGKILL)
			}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t, test.config, `{}`)
			b.start()
			if test.act != nil {
				test.act(b)
			}
			e := ended(t, b.events())
			f := failureOf(t, e.Err)
			if f.Code != test.code {
				t.Errorf("code %q, want %q", f.Code, test.code)
			}
			for _, text := range test.says {
				if !strings.Contains(e.Err.Error(), text) {
					t.Errorf("it does not say %q: %v", text, e.Err)
				}
			}
			err := <-b.coreDone
			var fault *core.Fault
			if got := errors.As(err, &fault); got != test.coreFault {
				t.Errorf("the core says %v", err)
			}
			if fault != nil && (fault.Sink || fault.Name != "alice.tc") {
				t.Errorf("the core blames %+v", fault)
			}
			if got := b.artifacts(); len(got) != 2 {
				t.Errorf("artifacts %+v", got)
			}
			counts := b.core.Counts()
			if n := len(b.tags("signal")); uint64(n) != counts[0].Tags || !counts[0].Ended {
				t.Errorf("%d tags in the file, core counted %+v", n, counts[0])
			}
		})
	}
}

func TestSinkThatFailsIsToldAndLeftBehind(t *testing.T) {
	tests := []struct{ name, config, code string }{
		{"full disk", `{"mode":"full"}`, "disk-full"},
		{"panic in Write", `{"mode":"panic"}`, "plugin-panic"},
		{"takes nothing", `{"mode":"slow"}`, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t, `{"mode":"endless","tags":0}`, test.config)
			b.start()
			if test.code != "" {
				e := <-b.sink.Events()
				failed, ok := e.(Failed)
				if !ok || failureOf(t, failed.Err).Code != test.code {
					t.Errorf("the sink told %+v, want code %s", e, test.code)
				}
				if err := b.sink.Finish(t.Context()); failureOf(t, err).Code != test.code {
					t.Errorf("finish: %v", err)
				}
			}
			// The driver and the core go on.
			time.Sleep(50 * time.Millisecond)
			if err := b.driver.Stop(t.Context()); err != nil {
				t.Error(err)
			}
			if e := ended(t, b.events()); e.Err != nil {
				t.Error(e.Err)
			}
			if test.code == "" {
				return // this little fits the socket; the core's own test fills it
			}
			var fault *core.Fault
			if err := <-b.coreDone; !errors.As(err, &fault) || !fault.Sink {
				t.Errorf("the core says %v, want a fault of the sink", err)
			}
		})
	}
}

func TestSinkThatDiesIsTold(t *testing.T) {
	b := newBench(t, `{}`, `{}`)
	syscall.Kill(b.sink.PID(), syscall.SIGKILL)
	select {
	case e := <-b.sink.Events():
		if failed, ok := e.(Failed); !ok || failureOf(t, failed.Err).Code != "plugin-died" {
			t.Errorf("told %+v", e)
		}
	case <-time.After(wait):
		t.Fatal("nothing was told")
	}
	if err := b.sink.Finish(t.Context()); err == nil {
		t.Error("a dead sink finished")
	}
}

func TestCloseWhileRunningStopsTheDriver(t *testing.T) {
	trace := filepath.Join(t.TempDir(), "trace")
	b := newBench(t, `{"mode":"endless","trace":"`+trace+`"}`, `{}`)
	b.start()
	if _, ok := (<-b.driver.Events()).(Started); !ok {
		t.Fatal("it did not start")
	}
	if err := b.driver.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if e := ended(t, b.events()); e.Err != nil {
		t.Errorf("ended with %v", e.Err)
	}
	if text, err := os.ReadFile(trace); string(text) != "safe" {
		t.Errorf("the device was not made safe: %v", err)
	}
	b.artifacts()
}
