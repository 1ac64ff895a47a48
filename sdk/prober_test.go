package sdk

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tsrun/sdk/pluginpb"
)

type silent struct{ Driver }

type prober struct {
	Driver
	asked  int
	there  time.Duration
	failed error
}

func (p *prober) Probe(context.Context) (time.Duration, error) {
	p.asked++
	time.Sleep(200 * time.Microsecond)
	return p.there, p.failed
}

func TestTimeCommands(t *testing.T) {
	serverOf := func(d Driver) *driverServer {
		s := newDriverServer(t.Context(), slog.New(slog.DiscardHandler), nil)
		s.driver = d
		return s
	}
	p := &prober{there: 50 * time.Microsecond}
	s := serverOf(p)
	r, err := s.TimeCommands(t.Context(), &pluginpb.TimeCommandsRequest{Count: 5})
	if err != nil || len(r.Times) != 5 || p.asked != 5 {
		t.Fatalf("%v, %d asked: %v", r, p.asked, err)
	}
	for _, c := range r.Times {
		if c.RoundTripNs < 200_000 || c.ThereNs != 50_000 {
			t.Errorf("%v", c)
		}
	}
	for name, c := range map[string]struct {
		driver Driver
		count  int32
		want   string
	}{
		"none":                      {nil, 1, "no device is open"},
		"an answer before its time": {&prober{there: time.Hour}, 1, "the device had a question after 1h0m0s"},
		"an answer in the past":     {&prober{there: -1}, 1, "-1ns"},
		"a device that does not":    {&prober{failed: errors.New("unplugged")}, 3, "unplugged"},
		"no questions":              {p, 0, "1 to 1000"},
		"too many":                  {p, 1001, "1 to 1000"},
		"a driver that cannot":      {silent{}, 1, "does not time"},
	} {
		_, err := serverOf(c.driver).TimeCommands(t.Context(), &pluginpb.TimeCommandsRequest{Count: c.count})
		if err == nil || !strings.Contains(err.Error(), c.want) || (status.Code(err) == codes.Unimplemented) != (name == "a driver that cannot") {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.armed = &acquisition{ended: make(chan struct{})}
	if _, err := s.TimeCommands(t.Context(), &pluginpb.TimeCommandsRequest{Count: 1}); err == nil || !strings.Contains(err.Error(), "under way") {
		t.Errorf("within an acquisition: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := serverOf(p).TimeCommands(ctx, &pluginpb.TimeCommandsRequest{Count: 1000}); err == nil {
		t.Error("nobody waits any more, and it goes on")
	}
}

// A start is rehearsed once, shortly before its instant, where the device answered soon when
// its commands were timed: not where that was not asked for, where it is slow, or where no
// time is left. What the question comes to changes no start.
func TestAStartIsRehearsed(t *testing.T) {
	at := func(roundTrips ...int64) (times []*pluginpb.CommandTime) {
		for _, ns := range roundTrips {
			times = append(times, &pluginpb.CommandTime{RoundTripNs: ns})
		}
		return times
	}
	const soon, late = 1_000_000, 6_000_000
	if !arePrompt(at(soon)) || arePrompt(at(late)) || arePrompt(at(soon, soon, late)) || !arePrompt(at(soon, soon, soon, soon, soon, soon, soon, soon, soon, late)) {
		t.Error("nine of ten answers within 5 ms are soon")
	}
	for name, c := range map[string]struct {
		driver Driver
		prompt bool
		ahead  time.Duration
	}{
		"it is not asked": {&prober{}, false, 20 * time.Millisecond},
		"no time left":    {&prober{}, true, -time.Second},
		"it cannot":       {silent{}, true, 20 * time.Millisecond},
	} {
		if asked := rehearsed(t, c.driver, c.prompt, c.ahead); asked != 0 {
			t.Errorf("%s: asked %d times", name, asked)
		}
	}
	for _, failed := range []error{nil, errors.New("unplugged")} {
		asked := 0
		for ahead := 50 * time.Millisecond; asked == 0 && ahead < 20*time.Second; ahead *= 2 { // a PC that is busy may leave no time
			asked = rehearsed(t, &prober{failed: failed}, true, ahead)
		}
		if asked != 1 {
			t.Errorf("the answer is %v: asked %d times", failed, asked)
		}
	}
}

// rehearsed fires once, and returns how often the driver was asked before.
func rehearsed(t *testing.T, d Driver, prompt bool, ahead time.Duration) int {
	t.Helper()
	s := newDriverServer(t.Context(), slog.New(slog.DiscardHandler), nil)
	s.driver, s.prompt = d, prompt
	start := NewStart(time.Now().Add(ahead))
	start.rehearse = s.rehearsal(t.Context())
	asked := func() int {
		if p, ok := d.(*prober); ok {
			return p.asked
		}
		return 0
	}
	before := -1
	err := start.Fire(t.Context(), func() error { before = asked(); return nil })
	if shot, fired := start.Shot(); err != nil || !fired || before != asked() || shot.Called.Before(shot.Asked) {
		t.Errorf("asked %d times before, %d in all: %v", before, asked(), err)
	}
	return before
}
