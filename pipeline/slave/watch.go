package slave

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"tsrun/pipeline/host"
	"tsrun/pipeline/wire"
	"tsrun/sdk"
)

// longestWatch is for how long controllers are at work of which nothing is kept: as long
// as a recipe may let them record.
const longestWatch = 2400 * time.Hour

// awaitArm waits for the order to arm. Where the master only watches, the controllers
// are at work until then, and nothing of what they see is kept; the devices are handed
// to what is returned, without being opened again.
func (s *session) awaitArm(ctx context.Context, eq *equipment) (*equipment, wire.Order, error) {
	if !s.welcome.Watch || s.watched {
		order, err := s.awaitOrder(ctx, wire.Arm)
		if err != nil {
			s.endShots(err)
		}
		return eq, order, err
	}
	s.watched = true
	if err := eq.watch(ctx); err != nil {
		return eq, wire.Order{}, err
	}
	order, err := s.awaitOrder(ctx, wire.Arm)
	s.reporter.setGlimpse(nil)
	eq.stopDrivers(context.WithoutCancel(ctx)) // also of a watch that just ends: the devices are halted before they are closed
	if err != nil {
		return eq, order, err
	}
	if err := eq.awaitEnds(ctx); err != nil {
		return eq, order, err
	}
	eq, err = eq.hand(ctx, eq.part)
	return eq, order, err
}

// watch lets the controllers record into nothing, each from now on. Their starts need not
// be together: each tells when it was.
func (eq *equipment) watch(ctx context.Context) error {
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	eq.life, eq.halt = life, stop
	glimpses := newGlimpses(len(eq.s.node.Channels), time.Now)
	eq.core.Tap, eq.core.Refused = glimpses.take, eq.reportRefused
	inlets, err := eq.openInlets()
	if err != nil {
		return err
	}
	eq.pumps.Go(func() error {
		eq.coreDone <- eq.core.Run(life)
		return nil
	})
	group, ctx := errgroup.WithContext(ctx)
	for i, c := range eq.drivers {
		group.Go(func() error { return eq.watchController(ctx, c, eq.watched(i, c), inlets[i], glimpses) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	eq.s.reporter.setGlimpse(glimpses.next)
	return nil
}

// watched is what a controller is to do while nothing is recorded: it waits for no edge.
func (eq *equipment) watched(i int, c *controller) sdk.Acquisition {
	a := eq.acquisition(i, c)
	a.Method, a.Duration, a.Pulse = sdk.Scheduled, longestWatch, false
	return a
}

func (eq *equipment) watchController(ctx context.Context, c *controller, a sdk.Acquisition, endpoint string, g *glimpses) error {
	if err := c.driver.Arm(ctx, a, endpoint); err != nil {
		return err
	}
	eq.pumps.Go(func() error { eq.followWatched(c, g); return nil })
	return c.driver.Start(ctx, time.Now().Add(startTakes), false)
}

// followWatched hears a controller of which nothing is kept, until its acquisition is over.
func (eq *equipment) followWatched(c *controller, g *glimpses) {
	defer close(c.ended)
	for told := range c.driver.Events() {
		switch e := told.(type) {
		case host.Started:
			zero := e.Called + (e.Returned-e.Called)/2
			if eq.s.access != nil {
				if r := eq.s.clock.reading(); r != nil {
					zero = r.Back(zero)
				}
			}
			g.began(c.streams, zero)
		case host.Ended:
			switch {
			case c.refused.Load(): // that was told
			case e.Err != nil:
				eq.reportFailure(e.Err, false)
			}
		}
	}
}

// awaitEnds waits until the acquisition of every controller is over that was told to stop.
func (eq *equipment) awaitEnds(ctx context.Context) error {
	late := time.NewTimer(stopTimeout)
	defer late.Stop()
	for _, c := range eq.drivers {
		select {
		case <-c.ended:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-late.C:
			return &sdk.Failure{Code: "not-stopped", Message: fmt.Sprintf("controller %s was told to stop and has not within %v", c.recipe.Name, stopTimeout),
				Hint: "look at the device and at the log of its driver; nothing was recorded yet"}
		}
	}
	return nil
}
