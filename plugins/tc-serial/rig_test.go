package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"crypto/sha256"
	"hash"

	"go.uber.org/goleak"

	"tsrun/sdk"
	"tsrun/sdk/quantity"
	"tsrun/sdk/tag"
	"tsrun/sim/sky"
	"tsrun/sim/tdc2"
)

// TestMain is also the helper of a simulated TDC2, as main is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == tdc2.Program {
		main()
	}
	goleak.VerifyTestMain(m)
}

// sink is an output that checks what the SDK would check, and adds up.
type sink struct {
	mu    sync.Mutex
	lanes map[uint16]*received
	err   error  // the first thing that was wrong
	began func() // is called when the first tags come
}

// received is what came on one stream.
type received struct {
	tags, lost     uint64
	sum            hash.Hash
	reached, until uint64
	first, last    uint64
	reasons        []string
	all            []uint64 // the first hundred thousand
}

func newSink(channels []sdk.Channel) *sink {
	s := &sink{lanes: map[uint16]*received{}}
	for _, c := range channels {
		s.lanes[c.Stream] = &received{sum: sha256.New()}
	}
	return s
}

func (s *sink) Send(stream uint16, tags []uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.began != nil {
		s.began()
		s.began = nil
	}
	r := s.lanes[stream]
	for _, t := range tags {
		if t < r.reached {
			s.err = errors.Join(s.err, fmt.Errorf("stream %d: a tag at %d after %d", stream, t, r.reached))
		}
		r.reached, r.last = t, t
	}
	if r.tags == 0 && len(tags) > 0 {
		r.first = tags[0]
	}
	if r.all = append(r.all, tags...); len(r.all) > 100_000 {
		r.all = r.all[:100_000]
	}
	r.tags += uint64(len(tags))
	r.sum.Write(tag.AsBytes(tags))
	return nil
}

func (s *sink) Mark(stream uint16, until uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.lanes[stream]
	r.reached, r.until = max(r.reached, until), max(r.until, until)
	return nil
}

func (s *sink) Lost(stream uint16, n uint64, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lanes[stream].lost += n
	s.lanes[stream].reasons = append(s.lanes[stream].reasons, why)
}

// driver is what all models have.
type driver interface {
	sdk.Driver
	sdk.Reporter
	acquire(ctx context.Context, start *sdk.Start, out output) error
}

// channelsOf are channels on inputs.
func channelsOf(threshold int64, inputs ...int) (channels []sdk.Channel) {
	for i, n := range inputs {
		channels = append(channels, sdk.Channel{Stream: uint16(i), Name: fmt.Sprintf("c%d", n), Input: n, Threshold: threshold})
	}
	return channels
}

// light is a simulation with a clock that is wrong in every way.
func light(seed uint64, rate quantity.Frequency, faults ...string) sdk.Simulation {
	controller, err := json.Marshal(simulation{Controller: sky.Controller{ClockOffset: 400 * quantity.Nanosecond, Drift: 12 * quantity.PartPerBillion,
		WhiteFM: quantity.PartPerBillion, StartDelay: 250 * quantity.Microsecond, Dark: 2 * quantity.Kilohertz, Faults: faults}})
	if err != nil {
		panic(err)
	}
	return sdk.Simulation{Light: sdk.Light{Seed: seed, Pairs: sdk.Pairs{Rate: rate, Jitter: 80}}, Controller: controller}
}

func environment(t testing.TB, s sdk.Simulation) sdk.Env {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return sdk.Env{Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Instance: "alice.tc", Dir: t.TempDir(), Simulation: text}
}

// withoutDelay leaves out what only a TDC1 takes.
func withoutDelay(t testing.TB, s sdk.Simulation) sdk.Simulation {
	t.Helper()
	if len(s.Controller) == 0 {
		return s
	}
	var of simulation
	err := json.Unmarshal(s.Controller, &of)
	of.StartDelay = 0
	if err == nil {
		s.Controller, err = json.Marshal(of)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A device that no command starts has no delay of one; it is refused, not ignored.
func TestStartDelayIsOfATDC1(t *testing.T) {
	for model, want := range map[string]string{"tdc1": "", "ticc": "start_delay is of a TDC1", "tdc2": "start_delay is of a TDC1"} {
		c := defaults()
		c.Model, c.Port = model, simulated
		d, err := open(t.Context(), environment(t, light(1, 0)), c)
		if err == nil {
			err = d.Close()
		}
		if got := fmt.Sprint(err); (want == "") != (err == nil) || !strings.Contains(got, want) {
			t.Errorf("%s: %v", model, err)
		}
	}
}

// openModel opens the driver on a simulator of its own.
func openModel(t testing.TB, model string, s sdk.Simulation, change func(*config)) driver {
	t.Helper()
	c := defaults()
	c.Model, c.Port = model, simulated
	if change != nil {
		change(&c)
	}
	if model != "tdc1" {
		s = withoutDelay(t, s)
	}
	d, err := open(t.Context(), environment(t, s), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return d.(driver)
}

// record arms and acquires.
func record(t testing.TB, ctx context.Context, d driver, a sdk.Acquisition) (*sink, error) {
	t.Helper()
	out := newSink(a.Channels)
	return out, out.record(t, ctx, d, a)
}

// recordFor is record, stopped some time after the first tags have come.
func recordFor(t testing.TB, after time.Duration, d driver, a sdk.Acquisition) (*sink, error) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out := newSink(a.Channels)
	out.began = func() { time.AfterFunc(after, stop) }
	return out, out.record(t, ctx, d, a)
}

func (s *sink) record(t testing.TB, ctx context.Context, d driver, a sdk.Acquisition) error {
	t.Helper()
	if err := d.Arm(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	err := d.acquire(ctx, sdk.NewStart(time.Now().Add(20*time.Millisecond)), s)
	if s.err != nil {
		t.Error(s.err)
	}
	return err
}

// wantTruth checks that every tag that the simulator delivered has arrived, at
// its own time.
func wantTruth(t testing.TB, truth *sky.Truth, a sdk.Acquisition, out *sink) {
	t.Helper()
	for _, c := range a.Channels {
		want, got := truth.Channels[c.Input-1], out.lanes[c.Stream]
		if got.tags != want.Tags || hex.EncodeToString(got.sum.Sum(nil)) != want.SHA256 {
			t.Errorf("channel %s: %d tags from %d to %d ps, want %d from %d to %d ps (losses: %v)", c.Name, got.tags, got.first, got.reached, want.Tags, want.First, want.Last, got.reasons)
		}
		if want.Tags == 0 {
			t.Errorf("channel %s: the simulator delivered nothing, so this shows nothing", c.Name)
		}
		if got.lost != 0 {
			t.Errorf("channel %s: %d tags lost: %v", c.Name, got.lost, got.reasons)
		}
	}
}
