package sdk

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tsrun/sdk/pluginpb"
	"tsrun/sdk/realtime"
)

// Prober is implemented by drivers that can find out how long their start command
// takes to the device. Then a recipe may say trigger.compensation: auto, and the
// device is started so much earlier.
type Prober interface {
	// Probe asks the device something that changes nothing, over the way that its start
	// command takes, and waits for the answer. It returns how long after the call the
	// device had the question, where its answer tells that; else 0, and half of the
	// round trip is taken for it. It is called many times, while no acquisition is under
	// way, each time on a thread that has waited for an instant as [Start.Fire] does; and, where the
	// device answers within some ms, once more in Fire, shortly before its instant: so the step is taken
	// by a way that is as well trodden as when it was timed.
	Probe(ctx context.Context) (there time.Duration, err error)
}

const (
	// probeAhead is how long before its instant a probe begins to wait: it sleeps and
	// then watches the clock, as one that fires does.
	probeAhead = 2 * time.Millisecond
	maxProbes  = 1000
)

// TimeCommands measures the way of commands, if the driver knows how.
func (s *driverServer) TimeCommands(call context.Context, r *pluginpb.TimeCommandsRequest) (*pluginpb.TimeCommandsResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := within(call, s.work)
	defer cancel()
	p, ok := s.driver.(Prober)
	switch {
	case s.driver == nil || s.closed:
		return nil, statusOf(fmt.Errorf("time commands: no device is open"))
	case !ok:
		return nil, status.Error(codes.Unimplemented, "the driver does not time its commands")
	case s.armed != nil && !s.armed.over():
		return nil, statusOf(fmt.Errorf("time commands: an acquisition is under way"))
	case r.Count < 1 || r.Count > maxProbes:
		return nil, statusOf(fmt.Errorf("time commands: %d of them; it takes 1 to %d", r.Count, maxProbes))
	}
	out := &pluginpb.TimeCommandsResponse{Times: make([]*pluginpb.CommandTime, r.Count)}
	for i := range out.Times {
		out.Times[i] = new(pluginpb.CommandTime)
	}
	err := guarded(s.log, "Probe", func() error { return timeCommands(ctx, p, s.asks, out.Times) })
	if err != nil {
		return nil, statusOf(err)
	}
	s.prompt = arePrompt(out.Times)
	return out, nil
}

// arePrompt reports whether nine of ten questions were answered so soon that one more may be
// asked shortly before an instant.
func arePrompt(times []*pluginpb.CommandTime) bool {
	slow := 0
	for _, t := range times {
		if t.RoundTripNs > realtime.RehearseAhead.Nanoseconds()/2 {
			slow++
		}
	}
	return slow <= len(times)/10
}

// rehearsal returns what is done shortly before the instant of a start; nil: nothing.
func (s *driverServer) rehearsal(ctx context.Context) func() {
	p, ok := s.driver.(Prober)
	if !ok || !s.prompt {
		return nil
	}
	return func() {
		err := guarded(s.log, "Probe", func() error {
			_, err := p.Probe(ctx)
			return err
		})
		if err != nil {
			s.log.Warn("the question before the start was not answered", "error", err)
		}
	}
}

// timeCommands asks once for each of the times, each as a start is waited for.
func timeCommands(ctx context.Context, p Prober, asks realtime.Settings, times []*pluginpb.CommandTime) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer realtime.Quieten(0)()
	defer asks.Enter()()
	for _, t := range times {
		if _, err := realtime.Await(ctx, realtime.ReadClock().Real+probeAhead.Nanoseconds()); err != nil {
			return err
		}
		asked := realtime.Monotonic()
		there, err := p.Probe(ctx)
		t.RoundTripNs, t.ThereNs = realtime.Monotonic()-asked, there.Nanoseconds()
		if err != nil {
			return fmt.Errorf("time commands: %w", err)
		}
		if t.ThereNs < 0 || t.ThereNs > t.RoundTripNs {
			return fmt.Errorf("time commands: the driver says that the device had a question after %v, and its answer came after %v", there, time.Duration(t.RoundTripNs))
		}
	}
	return nil
}
