package slave

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tsrun/pipeline/clock"
	"tsrun/pipeline/wire"
	"tsrun/sdk"
)

const (
	// clockPatience is how long a node that is ready waits for its first reading, at
	// most: half of network.join, so that the master waits longer.
	clockPatience = 10 * time.Second
	// firstReading is how many exchanges it waits for: half a second.
	firstReading = 2 * clock.LeastExchanges
	// readEvery is how long a reading serves for reports.
	readEvery = time.Second
)

// clockwork compares this PC's clock with the master's, where the master lets it.
type clockwork struct {
	prober *clock.Prober // nil: the clocks are not compared

	mu   sync.Mutex
	last *clock.Reading
}

// startClock begins to ask the master for its time; the group ends with the session.
func (s *session) startClock(group *errgroup.Group, ctx context.Context) error {
	if s.access == nil {
		return nil
	}
	host, _, err := net.SplitHostPort(s.address.status)
	if err != nil {
		return fmt.Errorf("ask the master for its time: %w", err)
	}
	prober, err := clock.Dial(host, *s.access)
	if err != nil {
		return err
	}
	s.clock.prober = prober
	group.Go(func() error { return prober.Run(ctx) })
	s.reporter.setClock(s.clock.reading)
	return nil
}

// awaitClock waits for the first reading. Without one, a recipe that says auto goes
// on by this PC's clock as it is, which the master sees and judges.
func (s *session) awaitClock(ctx context.Context) error {
	if s.clock.prober == nil {
		return nil
	}
	long := min(clockPatience, s.recipe.Network.Join.Duration()/2)
	patience := time.NewTimer(long)
	defer patience.Stop()
	tick := time.NewTicker(clockTick)
	defer tick.Stop()
	for {
		if r, ok := s.clock.prober.Reading(); ok && r.Exchanges >= firstReading {
			s.log.Info("clock compared with the master's", "offset_ns", r.Offset, "bound_ns", r.Bound, "drift_ppb", r.Drift,
				"round_trip_ns", r.Trip, "kernel_stamps", r.KernelStamps)
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
			continue
		case <-patience.C:
		}
		f := &sdk.Failure{Code: "clock-unheard",
			Message: fmt.Sprintf("compare clocks: the master answered too few of the questions about its clock, on UDP port %d, within %v", s.access.Port, long),
			Hint:    fmt.Sprintf("let the firewalls between pass UDP port %d to the master, or write clock.source: none", s.access.Port)}
		if s.recipe.Clock.Source == "auto" {
			s.log.Warn("clock not compared with the master's", "error", f)
			return nil
		}
		return f
	}
}

// clockTick is how often awaitClock looks.
const clockTick = 50 * time.Millisecond

// translate returns when this PC's clock shows an instant of the master's, and tells
// the master by which reading.
func (s *session) translate(instant int64) int64 {
	if s.clock.prober == nil {
		return instant
	}
	r, ok := s.clock.prober.Reading()
	if !ok {
		return instant
	}
	s.reporter.queueNews(wire.News{Clock: &r})
	return r.Translate(instant)
}

// reading returns the newest reading, at most readEvery old; nil: there is none.
func (c *clockwork) reading() *clock.Reading {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last == nil || c.last.Age(time.Now()) > readEvery || c.last.Age(time.Now()) < 0 {
		c.last = nil
		if r, ok := c.prober.Reading(); ok {
			c.last = &r
		}
	}
	return c.last
}
