package host

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"tsrun/pipeline/core"
	"tsrun/sdk"
	"tsrun/sdk/tag"
)

// shot is one acquisition of a driver that has had others: a core of its own,
// and what came of it.
type shot struct {
	t      *testing.T
	driver *Driver
	core   *core.Core
	inlet  string
	run    tag.RunID
	done   chan error
}

func newShot(t *testing.T, d *Driver, number byte) *shot {
	t.Helper()
	s := &shot{t: t, driver: d, core: core.New(shortDir(t), nil), run: tag.RunID{number}, done: make(chan error, 1)}
	s.core.RunID = s.run
	var err error
	if s.inlet, err = s.core.Inlet("alice.tc", []uint16{4}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { s.done <- s.core.Run(ctx); close(s.done) }()
	t.Cleanup(func() {
		cancel()
		<-s.done
	})
	return s
}

func (s *shot) arm() error {
	return s.driver.Arm(s.t.Context(), sdk.Acquisition{Run: s.run, Duration: time.Second,
		Channels: []sdk.Channel{{Stream: 4, Name: "signal", Input: 1}}}, s.inlet)
}

// start returns the events of the shot.
func (s *shot) start() []DriverEvent {
	s.t.Helper()
	events := s.driver.Events()
	if err := s.driver.Start(s.t.Context(), time.Time{}, false); err != nil {
		s.t.Fatal(err)
	}
	return drain(s.t, events)
}

func drain(t *testing.T, events <-chan DriverEvent) (all []DriverEvent) {
	t.Helper()
	timeout := time.After(wait)
	for {
		select {
		case e, open := <-events:
			if !open {
				return all
			}
			all = append(all, e)
		case <-timeout:
			t.Fatal("the events did not end within 30 s")
		}
	}
}

// TestShotsFollowEachOther: one process, one open device, and each acquisition
// has its own run, streams and events.
func TestShotsFollowEachOther(t *testing.T) {
	h, _ := newHost(t, "tc-test")
	d, err := h.StartDriver(t.Context(), Spec{Plugin: "tc-test", Instance: "alice.tc", Config: json.RawMessage(`{"tags":1000,"mode":"bad-arm"}`)})
	if err != nil {
		t.Fatal(err)
	}
	pid := d.PID()
	for number := byte(1); number <= 5; number++ {
		s := newShot(t, d, number)
		if number == 1 {
			if err := s.arm(); err == nil || failureOf(t, err).Code != "no-clock" {
				t.Fatalf("the first arm: %v", err)
			}
			s = newShot(t, d, number)
		}
		if err := s.arm(); err != nil {
			t.Fatalf("arm %d: %v", number, err)
		}
		if err := newShot(t, d, 99).arm(); err == nil || !strings.Contains(err.Error(), "has not ended") {
			t.Errorf("armed twice: %v", err)
		}
		var events []DriverEvent
		tags := uint64(1000)
		if number == 3 { // nobody starts it
			waiting := d.Events()
			if err := d.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
			events, tags = drain(t, waiting), 0
		} else if events = s.start(); len(events) != 2 {
			t.Errorf("shot %d: events %+v", number, events)
		}
		if e := ended(t, events); e.Err != nil || e.Streams[0].Tags != tags {
			t.Errorf("shot %d ended %+v", number, e)
		}
		if err := <-s.done; err != nil {
			t.Error(err)
		}
		if c := s.core.Counts()[0]; !c.Ended || c.Tags != tags || c.Err != nil {
			t.Errorf("shot %d: %+v", number, c)
		}
		if err := d.Stop(t.Context()); err != nil {
			t.Errorf("stopping what has ended: %v", err)
		}
		if err := d.Start(t.Context(), time.Time{}, false); err == nil {
			t.Error("an acquisition that has ended was started")
		}
	}
	if d.PID() != pid || !alive(pid) {
		t.Error("it was not one process")
	}
	if err := d.Close(t.Context()); err != nil {
		t.Error(err)
	}
	drain(t, d.Events())
}

// TestDriverThatDiesBetweenShotsIsTold: by the next Arm.
func TestDriverThatDiesBetweenShotsIsTold(t *testing.T) {
	h, _ := newHost(t, "tc-test")
	d, err := h.StartDriver(t.Context(), Spec{Plugin: "tc-test", Instance: "alice.tc"})
	if err != nil {
		t.Fatal(err)
	}
	s := newShot(t, d, 1)
	if err := s.arm(); err != nil {
		t.Fatal(err)
	}
	s.start()
	d.run.kill()
	if err := newShot(t, d, 2).arm(); err == nil || failureOf(t, err).Code != "plugin-died" {
		t.Errorf("arm: %v", err)
	}
}

// TestFormerProtocolHasOneShot: a plugin of the release before works as it did,
// and is asked for nothing that it does not know.
func TestFormerProtocolHasOneShot(t *testing.T) {
	h, _ := newHost(t, "tc-former")
	d, err := h.StartDriver(t.Context(), Spec{Plugin: "tc-former", Instance: "alice.tc"})
	if err != nil {
		t.Fatal(err)
	}
	s := newShot(t, d, 1)
	if err := s.arm(); err != nil {
		t.Fatal(err)
	}
	if e := ended(t, s.start()); e.Err != nil || e.Streams[0].Tags != 1000 {
		t.Errorf("ended %+v", e)
	}
	err = newShot(t, d, 2).arm()
	if f := failureOf(t, err); f.Code != "plugin-protocol" || !strings.Contains(err.Error(), "protocol 1") || !strings.Contains(err.Error(), "protocol 2") {
		t.Errorf("arm: %v", err)
	}
	if err := d.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
