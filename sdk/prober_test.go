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
