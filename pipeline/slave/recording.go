package slave

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"tsrun/pipeline/event"
	"tsrun/pipeline/fact"
	"tsrun/pipeline/host"
	"tsrun/pipeline/wire"
	"tsrun/sdk"
)

const (
	// stopTimeout bounds how long a device may take to halt and hand over what it holds.
	stopTimeout = 30 * time.Second
	// finishTimeout bounds how long a sink may take to make one of its last files durable.
	finishTimeout = 60 * time.Second
)

// arm connects drivers and sinks to the core and programs the devices. When it
// returns nil, every device is one short step from recording.
func (b *bench) arm(ctx context.Context) error {
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	b.halt = stop
	inlets := make([]string, len(b.drivers))
	for i, c := range b.drivers {
		endpoint, err := b.core.Inlet(c.recipe.Name, c.streams)
		if err != nil {
			return fmt.Errorf("controller %s: %w", c.recipe.Name, err)
		}
		inlets[i] = endpoint
	}
	outlets := make([]string, len(b.sinks))
	for i, k := range b.sinks {
		endpoint, err := b.core.Outlet(k.recipe.Name, k.streams)
		if err != nil {
			return fmt.Errorf("sink %s: %w", k.recipe.Name, err)
		}
		outlets[i] = endpoint
	}
	b.pumps.Go(func() error {
		b.coreDone <- b.core.Run(life)
		return nil
	})
	for i, k := range b.sinks {
		if err := b.begin(ctx, k, outlets[i]); err != nil {
			return err
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	for i, c := range b.drivers {
		group.Go(func() error {
			if err := c.driver.Arm(ctx, b.acquisition(i, c), inlets[i]); err != nil {
				return err
			}
			b.pumps.Go(func() error { b.follow(c); return nil })
			return nil
		})
	}
	return group.Wait()
}

func (b *bench) begin(ctx context.Context, k *sink, endpoint string) error {
	dir := filepath.Join(b.s.dir, k.dir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make %s: %w", dir, err)
	}
	streams := make([]sdk.RecordedStream, len(k.streams))
	for i, n := range k.streams {
		streams[i] = sdk.RecordedStream{Stream: n, Name: b.s.node.Channels[n].Name}
	}
	err := k.plugin.Begin(ctx, host.SinkBegin{
		Run: b.s.id, Dir: dir, Streams: streams, Segment: b.s.recipe.Acquire.Segment.Duration(),
	}, endpoint)
	if err == nil {
		b.pumps.Go(func() error { b.collect(k); return nil })
	}
	return err
}

func (b *bench) acquisition(i int, c *controller) sdk.Acquisition {
	a := sdk.Acquisition{
		Run: b.s.id, Method: b.method(),
		Duration: b.s.recipe.Acquire.Duration.Duration(),
		Segment:  b.s.recipe.Acquire.Segment.Duration(),
		Pulse:    i == 0 && b.s.recipe.Trigger.Master == b.s.node.Name,
	}
	for _, n := range c.streams {
		ch := b.s.node.Channels[n]
		a.Channels = append(a.Channels, sdk.Channel{
			Stream: n, Name: ch.Name, Input: ch.Input, Threshold: ch.Microvolts(),
			Falling: ch.Edge == "falling", Delay: int64(ch.Delay),
		})
	}
	return a
}

// fire hands every driver the instant, each its own compensation earlier.
func (b *bench) fire(ctx context.Context, instant time.Time) error {
	at := instant.Add(-b.s.recipe.Trigger.Compensation[b.s.node.Name].Duration())
	group, ctx := errgroup.WithContext(ctx)
	for _, c := range b.drivers {
		group.Go(func() error { return c.driver.Start(ctx, at) })
	}
	return group.Wait()
}

// follow turns what a driver reports into news, until its acquisition is over.
func (b *bench) follow(c *controller) {
	defer close(c.ended)
	for told := range c.driver.Events() {
		switch e := told.(type) {
		case host.Started:
			b.s.reporter.tell(wire.News{Shot: &wire.ShotFired{Controller: c.recipe.Name, Shot: e.Shot}})
		case host.Lost:
			b.s.reporter.tell(wire.News{Loss: &e.StreamLoss})
			b.s.observe(event.TagsLost{Node: b.s.node.Name, Channel: b.s.node.Channels[e.Stream].Name, Loss: e.Loss})
		case host.Ended:
			b.s.reporter.tell(wire.News{Ended: &wire.Ended{Controller: c.recipe.Name, Report: e.Report, Sent: e.Streams}})
			if e.Err != nil {
				b.lose(c, e.Err)
			}
		}
	}
}

// lose goes on without a driver: what came stays, and the sinks get their End.
func (b *bench) lose(c *controller, err error) {
	b.fail(err, false)
	for _, n := range c.streams {
		b.core.Abandon(n)
	}
}

// collect turns what a sink reports into files to send. When the last sink has
// failed there is nowhere left to put tags, and the devices are stopped.
func (b *bench) collect(k *sink) {
	defer close(k.ended)
	kept := map[uint16]fact.Kept{} // the last of each stream
	for event := range k.plugin.Events() {
		switch e := event.(type) {
		case host.Closed:
			b.progressed(k)
			b.closedFile(k, e)
		case host.Kept:
			b.progressed(k)
			kept[e.Stream] = e.Kept
		case host.Failed:
			first := !k.failed // a sink that has failed may also die of it
			k.failed = true
			if b.fail(b.whyFailed(k, e.Err), first) == 0 && first {
				b.pumps.Go(func() error { b.stop(context.Background()); return nil })
			}
		}
	}
	for _, stream := range slices.Sorted(maps.Keys(kept)) {
		b.s.reporter.tell(wire.News{Kept: &wire.Kept{Sink: k.recipe.Name, Kept: kept[stream]}})
	}
}

// whyFailed is the reason of a sink's failure. One that the core has given up
// for its slowness knows only that no more blocks come.
func (b *bench) whyFailed(k *sink, err error) error {
	cause := b.core.GivenUp(k.recipe.Name)
	if !errors.Is(cause, os.ErrDeadlineExceeded) {
		return err
	}
	return &sdk.Failure{Code: "sink-slow",
		Message: fmt.Sprintf("%s.%s: %v, so it got no more (it says: %v)", b.s.node.Name, k.recipe.Name, cause, err),
		Hint:    "its disk or the plugin itself stood still: look at the load of that PC, or have the files on a faster disk"}
}

// progressed notes that a sink is at work, however few blocks it takes.
func (b *bench) progressed(k *sink) {
	b.core.Progressed(k.recipe.Name)
	b.fileClosed.Store(time.Now().UnixNano())
}

// stop halts every device; what they hold is still delivered.
func (b *bench) stop(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	var group errgroup.Group
	for _, c := range b.drivers {
		group.Go(func() error { return c.driver.Stop(ctx) })
	}
	if err := group.Wait(); err != nil {
		b.log.Warn("controllers did not stop cleanly", "error", err)
	}
}

// finish waits until every device is done and every file is closed. An error
// that was already told to the master as a failure is not returned again.
func (b *bench) finish(ctx context.Context) error {
	for _, c := range b.drivers {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-c.ended:
		}
	}
	b.s.reporter.enter(wire.Draining)
	var err error
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case err = <-b.coreDone:
	}
	if err = errors.Join(err, b.finishSinks(ctx)); err != nil && b.failed() {
		b.log.Warn("recording ended with what failed before", "error", err)
		return nil
	}
	return err
}

// whileFilesClose returns a context that ends when no sink has closed a file
// for finishTimeout.
func (b *bench) whileFilesClose(ctx context.Context) (context.Context, context.CancelFunc) {
	const longest = 24 * time.Hour // a call without any deadline gets a short one of the host
	ctx, end := context.WithTimeout(ctx, longest)
	ctx, cancel := context.WithCancelCause(ctx)
	b.fileClosed.Store(time.Now().UnixNano())
	go func() { // ends with ctx
		tick := time.NewTicker(finishTimeout / 60)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case now := <-tick.C:
				if now.Sub(time.Unix(0, b.fileClosed.Load())) > finishTimeout {
					cancel(fmt.Errorf("no file was closed within %v", finishTimeout))
				}
			}
		}
	}()
	return ctx, func() { cancel(nil); end() }
}

// finishSinks has every sink make its files durable and ends it.
func (b *bench) finishSinks(ctx context.Context) error {
	ctx, cancel := b.whileFilesClose(ctx)
	defer cancel()
	var errs []error
	for _, k := range b.sinks {
		if err := k.plugin.Finish(ctx); err != nil {
			errs = append(errs, err)
		}
		if err := k.plugin.Close(ctx); err != nil {
			b.log.Warn("sink did not close cleanly", "sink", k.recipe.Name, "error", err)
		}
		<-k.ended // Close has closed its events
	}
	return errors.Join(errs...)
}
