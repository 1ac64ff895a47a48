package slave

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
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
	// lostPatience is how long it waits for a source that was believed and is not: it may begin
	// anew here or at the master.
	lostPatience = 3 * time.Second
	// readEvery is how long a reading serves for reports.
	readEvery = time.Second
)

// clockwork compares this PC's clock with the master's, where the master lets it.
type clockwork struct {
	comparer *clock.Comparer // nil: the clocks are not compared
	record   clockRecord
	compared bool        // by a reading that served
	set      atomic.Bool // this PC's clock, since that reading

	mu   sync.Mutex
	last *clock.Reading
}

// watchClock tells the master of each time that this PC's clock is set. The clock of a
// node of the master's own PC is the one that the master watches.
func (s *session) watchClock(group *errgroup.Group, ctx context.Context) {
	if s.node.Host == "local" {
		return
	}
	watch := s.options.WatchClock
	if watch == nil {
		watch = clock.Watch
	}
	group.Go(func() error {
		watch(ctx, s.clockSet)
		return nil
	})
}

func (s *session) clockSet(step clock.Step) {
	s.clock.set.Store(true)
	if s.clock.comparer != nil {
		s.clock.comparer.Set()
	}
	s.log.Warn("the clock of this PC was set", "by_ns", step.By, "at_ns", step.At)
	s.reporter.queueNews(wire.News{ClockSet: &step})
}

// compareAgain waits for another reading where the clock was set since the first one.
func (s *session) compareAgain(ctx context.Context) error {
	if !s.clock.set.Load() {
		return nil
	}
	return s.awaitClock(ctx)
}

// startClock begins to compare clocks; the group ends with the session.
func (s *session) startClock(group *errgroup.Group, ctx context.Context) error {
	if s.access == nil {
		return nil
	}
	host, _, err := net.SplitHostPort(s.address.status)
	if err != nil {
		return fmt.Errorf("ask the master for its time: %w", err)
	}
	c := s.recipe.Clock
	comparer, err := clock.NewComparer(host, *s.access, clock.Options{Source: c.Source, Domain: c.Domain, Socket: c.Socket, Reached: s.address.datagrams})
	if err != nil {
		return err
	}
	s.clock.comparer = comparer
	if err := s.recordClock(comparer); err != nil {
		return err
	}
	group.Go(func() error { return comparer.Run(ctx) })
	s.reporter.setClock(s.clock.reading, comparer.Hear)
	return nil
}

// awaitClock waits for the first reading. Without one, a recipe that says auto goes
// on by this PC's clock as it is, which the master sees and judges.
func (s *session) awaitClock(ctx context.Context) error {
	if s.clock.comparer == nil {
		return nil
	}
	s.clock.set.Store(false)
	long := min(clockPatience, s.recipe.Network.Join.Duration()/2)
	patience := time.NewTimer(long)
	defer patience.Stop()
	tick := time.NewTicker(clockTick)
	defer tick.Stop()
	for began := time.Now(); ; {
		if r, ok := s.clock.comparer.Reading(); ok && (r.Exchanges >= firstReading || r.Source != clock.Probe) && (r.Lost == "" || time.Since(began) > lostPatience) {
			s.log.Info("clock compared with the master's", "source", r.Source, "offset_ns", r.Offset, "bound_ns", r.Bound, "drift_ppb", r.Drift,
				"round_trip_ns", r.Trip, "kernel_stamps", r.KernelStamps)
			s.clock.compared = true
			return s.judgeClock(r)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
			continue
		case <-patience.C:
		}
		f := s.unheard(long)
		if s.recipe.Clock.Source == "auto" && s.recipe.Clock.MaxOffset == 0 {
			s.log.Warn("clock not compared with the master's", "error", f)
			return nil
		}
		return f
	}
}

// unheard says that the source of the recipe gave no reading.
func (s *session) unheard(long time.Duration) *sdk.Failure {
	source := s.recipe.Clock.Source
	if source == clock.PTP || source == clock.Chrony {
		why := s.clock.comparer.Why()
		if why == "" {
			why = "it has said too little"
		}
		return &sdk.Failure{Code: "clock-unheard", Message: fmt.Sprintf("compare clocks by %s: no reading within %v: %s", source, long, why),
			Hint: clock.ServicesHint}
	}
	return &sdk.Failure{Code: "clock-unheard",
		Message: fmt.Sprintf("compare clocks: the master answered too few of the questions about its clock, on UDP port %d, within %v", s.access.Port, long),
		Hint:    fmt.Sprintf("let the firewalls between pass UDP port %d to the master, or write clock.source: none", s.access.Port)}
}

// judgeClock refuses a reading by which nothing may start.
func (s *session) judgeClock(r clock.Reading) error {
	if r.Lost != "" {
		return &sdk.Failure{Code: "clock-lost", Message: fmt.Sprintf("compare clocks by %s: %s", r.Source, r.Lost),
			Hint: "look at the service on both PCs, or write clock.source: auto"}
	}
	if other, ok := r.Disagrees(); ok && s.recipe.Clock.Source != "auto" {
		return &sdk.Failure{Code: "clock-disagrees",
			Message: fmt.Sprintf("compare clocks: %s says that this clock is %d ± %d ns ahead of the master's, and %s %d ± %d ns, which cannot both be",
				r.Source, r.Offset, r.Bound, other.Source, other.Offset, other.Bound),
			Hint: "the bound of the probe needs no trust: look at the other one's configuration, or write clock.source: auto"}
	}
	if limit := s.recipe.Clock.MaxOffset.Duration().Nanoseconds(); limit > 0 && r.Farthest() > limit {
		return &sdk.Failure{Code: "clock-offset",
			Message: fmt.Sprintf("this PC's clock is %d ± %d ns ahead of the master's, by %s; clock.max_offset allows %v", r.Offset, r.Bound, r.Source, time.Duration(limit)),
			Hint:    "bring the clocks nearer with chrony or ptp4l, or allow more: the start is by the master's clock all the same"}
	}
	return nil
}

// clockTick is how often awaitClock looks.
const clockTick = 50 * time.Millisecond

// translate returns when this PC's clock shows an instant of the master's, and tells
// the master by which reading. The error says why nothing may start by it.
func (s *session) translate(instant int64) (int64, *clock.Reading, error) {
	if s.clock.comparer == nil {
		return instant, nil, nil
	}
	r, ok := s.clock.comparer.Reading()
	switch {
	case !ok && s.clock.compared:
		return 0, nil, &sdk.Failure{Code: "clock-set", Message: "this PC's clock or the master's was set, or follows another reference, since the node was armed, and they are not compared again yet",
			Hint: clock.SetHint}
	case !ok && s.recipe.Clock.MaxOffset > 0:
		return 0, nil, s.unheard(0)
	case !ok:
		return instant, nil, nil
	}
	s.clock.record.Segment("")
	if !s.fired { // that of another shot goes with its start
		s.reporter.queueNews(wire.News{Clock: &r})
	}
	return r.Translate(instant), &r, s.judgeClock(r)
}

// reading returns the newest reading, at most readEvery old; nil: there is none.
func (c *clockwork) reading() *clock.Reading {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last == nil || c.last.Age(time.Now()) > readEvery || c.last.Age(time.Now()) < 0 {
		c.last = nil
		if r, ok := c.comparer.Reading(); ok {
			c.last = &r
		}
	}
	return c.last
}
