package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"tsrun/internal/steady"
	"tsrun/sdk"
	"tsrun/sdk/quantity"
	"tsrun/sdk/tag"
	"tsrun/sim/idq"
	"tsrun/sim/sky"
)

// sink is an output that checks what the SDK would check, and adds up.
type sink struct {
	mu    sync.Mutex
	lanes map[uint16]*received
	err   error         // the first thing that was wrong
	slow  time.Duration // to wait at every Send
}

// received is what came on one stream.
type received struct {
	tags, lost uint64
	all        []uint64
	sum        hash.Hash
	reached    uint64
	until      uint64 // the last mark
	marks      int
	reasons    []string
}

var _ output = (*sink)(nil)

func newSink(channels ...sdk.Channel) *sink {
	s := &sink{lanes: make(map[uint16]*received)}
	for _, c := range channels {
		s.lanes[c.Stream] = &received{sum: sha256.New()}
	}
	return s
}

func (s *sink) Send(stream uint16, tags []uint64) error {
	time.Sleep(s.slow)
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.lanes[stream]
	for _, t := range tags {
		if t < r.reached {
			s.err = errors.Join(s.err, fmt.Errorf("stream %d: a tag at %d after %d", stream, t, r.reached))
			return s.err
		}
		r.reached = t
	}
	r.tags += uint64(len(tags))
	r.all = append(r.all, tags...)
	r.sum.Write(tag.AsBytes(tags))
	return nil
}

func (s *sink) Mark(stream uint16, until uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.lanes[stream]
	r.reached, r.until = max(r.reached, until), max(r.until, until)
	r.marks++
	return nil
}

func (s *sink) Lost(stream uint16, n uint64, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.lanes[stream]
	r.lost += n
	r.reasons = append(r.reasons, why)
}

// twoChannels are what most tests record: inputs 1 and 3.
func twoChannels() []sdk.Channel {
	return []sdk.Channel{
		{Stream: 0, Name: "signal", Input: 1, Threshold: 120_000},
		{Stream: 1, Name: "herald", Input: 3, Threshold: -80_000, Falling: true, Delay: 12_400},
	}
}

// light is a simulation with a clock that is wrong in every way.
func light(t testing.TB, seed uint64, faults ...string) sky.Simulation {
	slower := quantity.Frequency(steady.Slower(t)) // what is computed for each second is less, too
	return sky.Simulation{
		Settings: sky.Settings{Seed: seed, Pairs: sky.Pairs{Rate: 20 * quantity.Kilohertz / slower, Jitter: 80}},
		Controller: sky.Controller{
			ClockOffset: 400 * quantity.Nanosecond, Drift: 12 * quantity.PartPerBillion,
			StartDelay: 250 * quantity.Microsecond, Dark: 2 * quantity.Kilohertz / slower, Faults: faults,
		},
	}
}

func environment(t testing.TB, s sky.Simulation) sdk.Env {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return sdk.Env{Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Instance: "alice.tc", Dir: t.TempDir(), Simulation: text}
}

// slow makes all that takes time in a configuration take as long as the trial wants.
func slow(t testing.TB, c *config) {
	c.Record.Period *= quantity.Time(steady.Slower(t))
	c.Timeout = min(c.Timeout*quantity.Time(steady.Slower(t)), 60*quantity.Second)
}

// longer is a duration in a trial.
func longer(t testing.TB, d time.Duration) time.Duration { return d * time.Duration(steady.Slower(t)) }

// patient is how long a request may take where no test is about that.
const patient = 20 * quantity.Second

// keepUp is the most that a trial whose PC keeps up is held up, when its records
// take 200 ms.
const keepUp = 10 * ms

// openSimulated opens the driver on a simulator of its own.
func openSimulated(t testing.TB, s sky.Simulation, change func(*config)) *driver {
	t.Helper()
	c := defaults()
	c.Address, c.Timeout = simulated, patient
	if change != nil {
		change(&c)
	}
	slow(t, &c)
	d, err := newDriver(t.Context(), environment(t, s), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil && !t.Failed() {
			t.Logf("close: %v", err)
		}
	})
	return d
}

// acquire arms and acquires, and checks what must hold whatever happened.
func acquire(t testing.TB, ctx context.Context, d *driver, a sdk.Acquisition, out *sink) (*report, error) {
	t.Helper()
	a.Duration = longer(t, a.Duration)
	if err := d.Arm(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	err := d.acquire(ctx, sdk.NewStart(time.Now().Add(20*time.Millisecond)), out)
	if out.err != nil {
		steady.Always(t).Error(out.err)
	}
	if d.report == nil {
		t.Fatalf("nothing was acquired: %v", err)
	}
	r := d.Report().(*report)
	for i, c := range a.Channels {
		got := out.lanes[c.Stream]
		if r.Channels[i].Tags != got.tags {
			steady.Always(t).Errorf("channel %s: %d tags reported, %d sent", c.Name, r.Channels[i].Tags, got.tags)
		}
	}
	return r, err
}

// wantTruth checks that every tag the simulator delivered has arrived, at its
// own time. Only a PC that keeps up can do it; but at any speed what has not arrived
// is counted as lost.
func wantTruth(t testing.TB, truth *idq.Truth, a sdk.Acquisition, out *sink) {
	t.Helper()
	if len(truth.Channels) != len(a.Channels) {
		t.Fatalf("the simulator used %d channels, want %d", len(truth.Channels), len(a.Channels))
	}
	for i, c := range a.Channels {
		want, got := truth.Channels[i], out.lanes[c.Stream]
		if want.Input != c.Input || want.DelayPs != c.Delay {
			t.Errorf("channel %s: input %d with delay %d, want %d with %d", c.Name, want.Input, want.DelayPs, c.Input, c.Delay)
		}
		right := got.tags == want.Tags && hex.EncodeToString(got.sum.Sum(nil)) == want.SHA256
		switch {
		case got.tags+got.lost < want.Tags || !right && got.lost == 0:
			steady.Always(t).Errorf("channel %s: %d tags and %d lost, want %d with their own times", c.Name, got.tags, got.lost, want.Tags)
		case !right || got.lost != 0:
			t.Errorf("channel %s: %d tags and %d lost, want %d: %v", c.Name, got.tags, got.lost, want.Tags, got.reasons)
		}
		if want.Tags == 0 {
			t.Errorf("channel %s: the simulator delivered nothing, so this shows nothing", c.Name)
		}
	}
}

// wantPlaces checks that every tag that was sent on is a detection of its input, at
// its own time to the picosecond: what the simulator saw is worked out anew.
func wantPlaces(t testing.TB, s sky.Simulation, truth *idq.Truth, a sdk.Acquisition, out *sink) {
	t.Helper()
	eye, err := sky.NewEye(s.Settings, s.Controller, truth.Serial)
	if err != nil {
		t.Fatal(err)
	}
	start, limit := sky.Unix(truth.StartUnixNs, truth.StartPs), int64(truth.Records*truth.PeriodPs)
	for i, c := range a.Channels {
		var seen []int64
		sky.NewStamps(truth.Clock(), truth.Channels[i].DelayPs, func(from int64) sky.Source {
			return sky.NewInput(eye.Light, eye.Controller, eye.Serial, c.Input, start, from)
		}).Until(limit, func(at int64) { seen = append(seen, at) })
		slices.Sort(seen)
		for _, at := range out.lanes[c.Stream].all {
			n, found := slices.BinarySearch(seen, int64(at))
			if !found {
				t.Fatalf("channel %s: a tag at %d ps, where nothing was detected", c.Name, at)
			}
			seen = seen[n+1:]
		}
	}
}
