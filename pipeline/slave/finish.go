package slave

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tsrun/pipeline/wire"
	"tsrun/sdk"
)

// stopDrivers halts every device; the tags that they hold are still delivered. A driver that
// neither stops nor delivers any more is ended, so that what it has sent can be kept now.
func (eq *equipment) stopDrivers(ctx context.Context) {
	stopping, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	held := eq.lasted()
	var group errgroup.Group
	for _, c := range eq.drivers {
		group.Go(func() error {
			before := eq.reached(held, c) + eq.handed()
			err := c.driver.Stop(stopping)
			if err != nil && stopping.Err() != nil && eq.standsStill(ctx, c, held, before) {
				eq.endDriver(c)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		eq.log.Warn("controllers did not stop cleanly", "error", err)
	}
}

// standsStill waits until a driver has ended or comes no farther in the first so many ps for
// stopTimeout, before being where it had come to by then, and says whether it comes no farther.
func (eq *equipment) standsStill(ctx context.Context, c *controller, held, before uint64) bool {
	for {
		now := eq.reached(held, c) + eq.handed()
		if now == before {
			return ctx.Err() == nil
		}
		before = now
		select {
		case <-ctx.Done():
			return false
		case <-c.ended:
			return false
		case <-time.After(stopTimeout):
		}
	}
}

// lasted is of how much time devices can hold tags by now, in ps.
func (eq *equipment) lasted() uint64 {
	fired := eq.fired.Load()
	if fired == 0 {
		return 0
	}
	return 1000 * uint64(max(0, min(time.Since(time.Unix(0, fired)), eq.s.recipe.Acquire.Duration.Duration())))
}

// reached is how far the channels of drivers have come together, in ps, each in the first so
// many of the recording.
func (eq *equipment) reached(held uint64, drivers ...*controller) (sum uint64) {
	for _, count := range eq.core.Counts() {
		for _, c := range drivers {
			if slices.Contains(c.streams, count.Stream) {
				sum += min(count.Until, held)
			}
		}
	}
	return sum
}

// handed is how often sinks have done something with what they were given. Between a slow one
// and the core lie so many tags that no channel comes farther for minutes.
func (eq *equipment) handed() (sum uint64) {
	for _, k := range eq.sinks {
		sum += uint64(k.files.Load())
	}
	return sum
}

const slowSink = "the sink or its disk is too slow for so many tags: have its files on a faster disk, or leave channels away; what it was given is kept"

// tellOverrun says that a recording has not ended by itself, what becomes of it, and why.
func (eq *equipment) tellOverrun(ctx context.Context, becomes string) {
	w := &wire.Warning{Message: fmt.Sprintf("the recording has not ended %v after it should, and %s", overrunAfter, becomes),
		Hint: "look at its controllers: a driver ends by itself when the duration is over"}
	if name := eq.core.HoldsUp(ctx); name != "" {
		w.Message += fmt.Sprintf(": sink %s takes tags more slowly than they come", name)
		w.Hint = slowSink
	}
	eq.s.reporter.queueNews(wire.News{Warning: w})
}

// endDriver ends the process of a driver that was asked to stop and has not.
func (eq *equipment) endDriver(c *controller) {
	f := &sdk.Failure{Code: "stop-timeout",
		Message: fmt.Sprintf("%s.%s: plugin %s has not stopped within %v, and was ended", eq.s.node.Name, c.recipe.Name, c.recipe.Driver, stopTimeout),
		Hint:    "its device does not answer, or it does not notice that it is to stop, see the log for what it was doing; the tags that it has sent are kept"}
	if name := eq.core.HoldsUp(context.Background()); name != "" {
		f.Message += fmt.Sprintf("; it waited for sink %s, which takes tags too slowly", name)
		f.Hint = slowSink
	}
	why := error(f)
	c.stands.Store(&why)
	c.driver.Kill()
}

// finishSinks has every sink make its files durable and ends it, all at once: one that
// hangs takes no time from the others.
func (eq *equipment) finishSinks(ctx context.Context) error {
	errs := make([]error, len(eq.sinks))
	var finishing sync.WaitGroup
	for i, k := range eq.sinks {
		finishing.Go(func() { errs[i] = eq.finishSink(ctx, k, finishTimeout) })
	}
	finishing.Wait()
	told := eq.failureReported()
	for i, k := range eq.sinks {
		if errs[i] != nil && !k.failed && told { // or what failed before would be all that is told
			k.failed = true
			eq.reportFailure(errs[i], true)
		}
	}
	return errors.Join(errs...)
}

// finishSink has one sink make its files durable and ends it. One that has not come farther
// within so long is ended by force.
func (eq *equipment) finishSink(ctx context.Context, k *sink, within time.Duration) error {
	ctx, cancel := k.whileItCloses(ctx, within)
	defer cancel()
	err := k.plugin().Finish(ctx)
	if err != nil && errors.Is(context.Cause(ctx), errStandsStill) {
		err = &sdk.Failure{Code: "finish-timeout",
			Message: fmt.Sprintf("%s.%s: plugin %s has not finished: it closed no file and told of no tags within %v, and was ended", eq.s.node.Name, k.recipe.Name, k.recipe.Sink, within),
			Hint:    "its disk or the plugin itself stood still, see the log for what it was doing; files that it has closed are whole"}
	}
	if err := k.plugin().Close(ctx); err != nil {
		eq.log.Warn("sink did not close cleanly", "sink", k.recipe.Name, "error", err)
	}
	<-k.ended // Close has closed its events
	return err
}

var errStandsStill = errors.New("the sink stands still")

// whileItCloses returns a context that ends when the sink has come no farther for so long.
func (k *sink) whileItCloses(ctx context.Context, within time.Duration) (context.Context, context.CancelFunc) {
	const longest = 24 * time.Hour // a call without any deadline gets a short one of the host
	ctx, end := context.WithTimeout(ctx, longest)
	ctx, cancel := context.WithCancelCause(ctx)
	k.progressed.Store(time.Now().UnixNano())
	go func() { // ends with ctx
		tick := time.NewTicker(within / 60)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case now := <-tick.C:
				if now.Sub(time.Unix(0, k.progressed.Load())) > within {
					cancel(errStandsStill)
				}
			}
		}
	}()
	return ctx, func() { cancel(nil); end() }
}
