package slave

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tsrun/pipeline/core"
	"tsrun/pipeline/event"
	"tsrun/pipeline/fact"
	"tsrun/pipeline/host"
	"tsrun/pipeline/wire"
	"tsrun/sdk"
)

const (
	// stopTimeout bounds how long a device may take to halt and hand over what it holds.
	stopTimeout = 30 * time.Second
	// finishTimeout bounds how long a sink may take to make one of its last files durable. The
	// master waits longer: it need not say that something took too long, and not know what.
	finishTimeout = 60 * time.Second
	// mostFailures is how many failures of a sink are told; what else it says is in the log.
	mostFailures = 10
	// tellKeptEvery is how often the master hears what a sink has kept elsewhere, while it goes on.
	tellKeptEvery = 10 * time.Second
	// resumeTimeout bounds how long another process of a sink may take to begin.
	resumeTimeout = 20 * time.Second
)

// arm connects drivers and sinks to the core and programs the devices. When it
// returns nil, every device is one short step from recording.
func (eq *equipment) arm(ctx context.Context) error {
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	eq.life, eq.halt = life, stop
	eq.core.Refused = eq.reportRefused
	inlets, err := eq.openInlets()
	if err != nil {
		return err
	}
	outlets := make([]string, len(eq.sinks))
	for i, k := range eq.sinks {
		endpoint, err := eq.core.Outlet(k.recipe.Name, k.streams)
		if err != nil {
			return fmt.Errorf("sink %s: %w", k.recipe.Name, err)
		}
		if outlets[i] = endpoint; k.resumable() {
			if k.ring, err = eq.core.Retain(k.recipe.Name); err != nil {
				return fmt.Errorf("sink %s: %w", k.recipe.Name, err)
			}
		}
	}
	eq.pumps.Go(func() error {
		eq.coreDone <- eq.core.Run(life)
		return nil
	})
	for i, k := range eq.sinks {
		if err := eq.beginSink(ctx, k, outlets[i]); err != nil {
			return err
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	for i, c := range eq.drivers {
		group.Go(func() error {
			if err := c.driver.Arm(ctx, eq.acquisition(i, c), inlets[i]); err != nil {
				return err
			}
			eq.pumps.Go(func() error { eq.reportDriver(c); return nil })
			return nil
		})
	}
	return group.Wait()
}

func (eq *equipment) beginSink(ctx context.Context, k *sink, endpoint string) error {
	err := k.plugin().Begin(ctx, eq.recording(k, eq.part.goesOn()), endpoint, k.ring)
	if err == nil {
		eq.pumps.Go(func() error { eq.reportSink(k); return nil })
	}
	return err
}

// openInlets has the core wait for each driver, and returns where, in their order.
func (eq *equipment) openInlets() (inlets []string, err error) {
	for _, c := range eq.drivers {
		endpoint, err := eq.core.Inlet(c.recipe.Name, c.streams)
		if err != nil {
			return nil, fmt.Errorf("controller %s: %w", c.recipe.Name, err)
		}
		inlets = append(inlets, endpoint)
	}
	return inlets, nil
}

// recording is what a sink is asked to keep. One that is resumed goes on behind the
// segments that the process before it has told of.
func (eq *equipment) recording(k *sink, resumed bool) sdk.Recording {
	r := sdk.Recording{Run: eq.s.id, Dir: filepath.Join(eq.s.dir, k.dir), Segment: eq.s.recipe.Acquire.Segment.Duration(), Resumed: resumed, Recipe: eq.s.welcome.RecipeSum}
	for _, n := range k.streams {
		s := sdk.RecordedStream{Stream: n, Name: eq.s.node.Channels[n].Name, Told: k.told[n]}
		if device, known := eq.deviceOf(n); known {
			s.Device, s.Simulated = device.Name(), device.Simulated
		}
		r.Streams = append(r.Streams, s)
	}
	return r
}

// deviceOf is what the controller of a stream says it is.
func (eq *equipment) deviceOf(stream uint16) (device fact.Device, known bool) {
	for _, c := range eq.drivers {
		if c.driver != nil && slices.Contains(c.streams, stream) {
			return c.driver.Identity(), true
		}
	}
	return device, false
}

// duration is how long the part or the shot takes.
func (eq *equipment) duration() time.Duration {
	d := eq.s.recipe.Acquire.Duration.Duration()
	if eq.part.goesOn() {
		d -= eq.part.begins
	}
	return d
}

func (eq *equipment) acquisition(i int, c *controller) sdk.Acquisition {
	a := sdk.Acquisition{
		Run: eq.s.id, Method: eq.method(),
		Duration: eq.duration(),
		Segment:  eq.s.recipe.Acquire.Segment.Duration(),
		Pulse:    i == 0 && eq.s.recipe.Trigger.Master == eq.s.node.Name,
	}
	for _, n := range c.streams {
		ch := eq.s.node.Channels[n]
		a.Channels = append(a.Channels, sdk.Channel{
			Stream: n, Name: ch.Name, Input: ch.Input, Threshold: ch.Microvolts(),
			Falling: ch.Edge == "falling", Delay: int64(ch.Delay),
		})
	}
	return a
}

// startDrivers gives drivers the instant, earlier by their compensation. With inTime it
// returns those that had it only afterwards, and were not started.
func (eq *equipment) startDrivers(ctx context.Context, drivers []*controller, instant time.Time, inTime bool) (missed []*controller, err error) {
	eq.begun.Store(true)
	group, ctx := errgroup.WithContext(ctx)
	var mu sync.Mutex
	for _, c := range drivers {
		group.Go(func() error {
			err := c.driver.Start(ctx, instant.Add(-time.Duration(c.early.UsedNs)), inTime)
			var f *sdk.Failure
			if errors.As(err, &f) && f.Code == sdk.MissedStart {
				mu.Lock()
				defer mu.Unlock()
				missed, err = append(missed, c), nil
			}
			return err
		})
	}
	err = group.Wait()
	if err == nil && len(missed) == len(eq.drivers) {
		eq.begun.Store(false)
	}
	return missed, err
}

// reportDriver turns what a driver reports into news, until its acquisition is over.
func (eq *equipment) reportDriver(c *controller) {
	defer close(c.ended)
	for told := range c.driver.Events() {
		switch e := told.(type) {
		case host.Started:
			c.started = true
			eq.onReceipt(&e.Shot)
			c.early.note(&e.Shot)
			c.early.learn(e.Shot)
			eq.s.reporter.queueNews(wire.News{Shot: &wire.ShotFired{Controller: c.recipe.Name, Shot: e.Shot}})
		case host.Lost:
			e.AtPs += eq.begins()
			eq.s.reporter.queueNews(wire.News{Loss: &e.StreamLoss})
			eq.s.observe(event.TagsLost{Node: eq.s.node.Name, Channel: eq.s.node.Channels[e.Stream].Name, Loss: e.Loss})
		case host.Ended:
			for i, sent := range e.Streams {
				e.Streams[i] = eq.stretch().added(sent)
			}
			eq.s.reporter.queueNews(wire.News{Ended: &wire.Ended{Controller: c.recipe.Name, Report: e.Report, Sent: e.Streams}})
			switch {
			case e.Err != nil && c.refused.Load(): // what it says follows from that
				eq.log.Warn("driver ended after a block of it was refused", "controller", c.recipe.Name, "error", e.Err)
			case e.Err != nil && c.stands.Load() != nil:
				eq.abandonDriver(c, *c.stands.Load())
			case e.Err != nil:
				eq.abandonDriver(c, e.Err)
			}
		}
	}
}

// tellUnstarted tells of controllers that brought something and never told when they
// began: nobody knows what their tags are counted from. One that waits for an edge tells
// it, too, once that has come. Of a driver that failed, what it had still to tell is gone.
func (eq *equipment) tellUnstarted() {
	for _, c := range eq.drivers {
		if c.started || c.failed {
			continue
		}
		brought, tags := false, uint64(0)
		for _, n := range eq.core.Counts() {
			if n.Inlet == c.recipe.Name {
				brought = brought || n.Tags > 0 || n.Lost > 0 || n.Until > eq.core.Origin
				tags += n.Tags
			}
		}
		if brought { // or it was stopped before its instant
			eq.log.Error("a driver brought tags and has told of no start", "controller", c.recipe.Name, "tags", tags)
			eq.s.reporter.queueNews(wire.News{Unstarted: &wire.Unstarted{Controller: c.recipe.Name, Shot: eq.part.shot, Tags: tags}})
		}
	}
}

// reportRefused reports a driver that sent a bad block: its tags before that stay,
// and the sinks get their End.
func (eq *equipment) reportRefused(f *core.Fault) {
	for _, c := range eq.drivers {
		if c.recipe.Name == f.Name {
			c.refused.Store(true)
		}
	}
	eq.reportFailure(&sdk.Failure{Code: "bad-block", Message: fmt.Sprintf("controller %s: its driver sent a bad block: %v", f.Name, f.Err),
		Hint: "what came before is kept; this is a mistake of the driver: tsrun plugin test PATH shows it to its author"}, false)
}

// abandonDriver continues without a driver: its tags stay, and the sinks get their End.
func (eq *equipment) abandonDriver(c *controller, err error) {
	eq.reportFailure(err, false)
	c.failed = true
	for _, n := range c.streams {
		eq.core.Abandon(n)
	}
}

// reportSink sends the files that a sink closes, and reports how it ends. One that
// dies is started anew where it may be. When the last sink has failed, the devices
// are stopped.
func (eq *equipment) reportSink(k *sink) {
	defer close(k.ended)
	kept := map[uint16]fact.Kept{} // the last of each stream
	for died := eq.followSink(k, kept); died != nil; {
		if err := eq.resumeSink(k, died); err != nil {
			eq.log.Error("nobody goes on for a sink that has died", "sink", k.recipe.Name, "error", err)
			eq.sinkFailed(k, died)
			break
		}
		died = eq.followSink(k, kept)
	}
	for _, stream := range slices.Sorted(maps.Keys(kept)) {
		total := eq.keptElsewhere(k, kept[stream])
		k.elsewhere = append(k.elsewhere, *total)
		eq.s.reporter.queueNews(wire.News{Kept: total})
	}
}

// keptElsewhere is what a sink has kept in no file, with what it had in the shots before.
func (eq *equipment) keptElsewhere(k *sink, now fact.Kept) *wire.Kept {
	total := &wire.Kept{Sink: k.recipe.Name, Kept: now}
	for _, before := range slices.Backward(eq.elsewhere) {
		if before.Sink == total.Sink && before.Stream == now.Stream {
			total.Tags += min(before.Tags, math.MaxUint64-total.Tags)
			break
		}
	}
	return total
}

// followSink follows one process of a sink to its end. It returns why that died,
// where another may go on.
func (eq *equipment) followSink(k *sink, kept map[uint16]fact.Kept) (died error) {
	for event := range k.plugin().Events() {
		switch e := event.(type) {
		case host.Closed:
			eq.renewPatience(k)
			eq.sendFile(k, e)
			eq.acknowledge(k, e)
		case host.Kept:
			eq.renewPatience(k)
			kept[e.Stream] = e.Kept
			if now := time.Now(); now.Sub(k.keptTold) >= tellKeptEvery { // so that the master sees that it comes farther
				k.keptTold = now
				eq.s.reporter.queueNews(wire.News{Kept: eq.keptElsewhere(k, e.Kept)})
			}
		case host.Failed:
			if died == nil && eq.mayResume(k, e.Err) {
				died = e.Err
				continue
			}
			eq.sinkFailed(k, e.Err)
		}
	}
	return died
}

// sinkFailed reports that a sink takes no more blocks.
func (eq *equipment) sinkFailed(k *sink, err error) {
	first := !k.failed // a sink that has failed may also die of it
	k.failed = true
	if k.failures++; k.failures > mostFailures {
		eq.log.Warn("a sink that has failed says more", "sink", k.recipe.Name, "error", err)
		return
	}
	why := eq.whyFailed(k, err)
	eq.core.GiveUp(k.recipe.Name, errors.New("it has failed")) // or blocks would wait for another process of it
	if eq.reportFailure(why, first) == 0 && first {
		eq.pumps.Go(func() error { eq.stopDrivers(context.Background()); return nil })
	}
}

// whyFailed returns the reason of a sink's failure. A sink that the core gave up
// for its slowness only knows that no more blocks come.
func (eq *equipment) whyFailed(k *sink, err error) error {
	if why := k.stands.Load(); why != nil {
		return *why
	}
	cause := eq.core.GivenUp(k.recipe.Name)
	if errors.Is(cause, core.ErrLied) {
		return &sdk.Failure{Code: "sink-lied",
			Message: fmt.Sprintf("%s.%s: %v, so it got no more blocks", eq.s.node.Name, k.recipe.Name, cause),
			Hint:    "this is a mistake of the plugin: tell its author; files that it has closed are whole"}
	}
	if !errors.Is(cause, os.ErrDeadlineExceeded) {
		return err
	}
	return &sdk.Failure{Code: "sink-slow",
		Message: fmt.Sprintf("%s.%s: %v, so it got no more (it says: %v)", eq.s.node.Name, k.recipe.Name, cause, err),
		Hint:    "its disk or the plugin itself stood still: look at the load of that PC, or have the files on a faster disk"}
}

// renewPatience gives a sink its whole time again, because it has closed a file.
func (eq *equipment) renewPatience(k *sink) {
	eq.core.Progressed(k.recipe.Name)
	k.files.Add(1)
	k.progressed.Store(time.Now().UnixNano())
}

// finish waits until every device is done and every file is closed. It does not
// return an error that the master knows already.
func (eq *equipment) finish(ctx context.Context) error {
	for _, c := range eq.drivers {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-c.ended:
		}
	}
	if !eq.broken() { // or it goes on
		eq.s.reporter.setPhase(wire.Draining)
	}
	var err error
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case err = <-eq.coreDone:
	}
	eq.tellUnstarted()
	if err = errors.Join(err, eq.finishSinks(ctx)); err != nil && eq.failureReported() {
		eq.log.Warn("recording ended with what failed before", "error", err)
		return nil
	}
	return err
}
