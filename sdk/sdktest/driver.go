package sdktest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"tsrun/sdk/pluginpb"
	"tsrun/sdk/tag"
)

// driver is a driver with its device open.
type driver struct {
	*process
	suite  *Suite
	rpc    pluginpb.DriverClient
	device *pluginpb.Device
	events chan *pluginpb.DriverEvent
	heard  chan struct{} // closed when nothing more will be told
	shots  byte
}

// shot is one acquisition of a driver.
type shot struct {
	*driver
	in       *inlet
	duration time.Duration // 0: until stopped
	asked    time.Time     // when its start was asked for
	started  *pluginpb.Started
	lost     uint64 // tags, as told by events
}

const (
	// endWithin is how long after its time or its Stop an acquisition may end.
	endWithin = 30 * time.Second
	// tagsWithin is how long the first tags of an acquisition may take.
	tagsWithin = 15 * time.Second
)

// device opens the device in a fresh process, and watches what it tells.
func (s *Suite) device(ctx context.Context) (*driver, error) {
	p, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	d := &driver{process: p, suite: s, rpc: pluginpb.NewDriverClient(p.conn), events: make(chan *pluginpb.DriverEvent, 4096), heard: make(chan struct{})}
	if err := d.configure(ctx); err != nil {
		p.end()
		return nil, err
	}
	go d.watch(context.WithoutCancel(ctx))
	return d, nil
}

func (d *driver) configure(ctx context.Context) error {
	r, err := call(ctx, d.rpc.Configure, d.suite.configuration(d.process, d.suite.Config))
	if err != nil {
		return d.because("open the device: %w", err)
	}
	if d.device = r.GetDevice(); d.device == nil {
		return errors.New("open the device: the answer does not describe it")
	}
	return nil
}

// watch passes events on until the driver is closed.
func (d *driver) watch(ctx context.Context) {
	defer close(d.heard)
	defer close(d.events)
	stream, err := d.rpc.Watch(ctx, &pluginpb.WatchRequest{})
	for err == nil {
		var e *pluginpb.DriverEvent
		if e, err = stream.Recv(); err == nil {
			d.events <- e
		}
	}
}

// inputs are those that are acquired from.
func (d *driver) inputs() []int {
	if len(d.suite.Inputs) > 0 {
		return d.suite.Inputs
	}
	var numbers []int
	for _, in := range d.device.Inputs[:min(2, len(d.device.Inputs))] {
		numbers = append(numbers, int(in.Number))
	}
	return numbers
}

// request asks for an acquisition from the inputs.
func (d *driver) request(duration time.Duration, inputs []int) *pluginpb.ArmRequest {
	d.shots++
	run := tag.RunID{d.shots, 7: 0xA5}
	r := &pluginpb.ArmRequest{Run: run[:], DurationNs: int64(duration), SegmentNs: int64(time.Second)}
	for i, number := range inputs {
		c := &pluginpb.Channel{Stream: uint32(10 + i), Name: fmt.Sprintf("channel%d", i+1), Input: int32(number)}
		if !d.suite.Offer.NoThresholds {
			c.ThresholdUv = 120_000
		}
		for _, in := range d.device.Inputs {
			if int(in.Number) == number && in.ThresholdMinUv < in.ThresholdMaxUv {
				c.ThresholdUv = max(in.ThresholdMinUv, min(c.ThresholdUv, in.ThresholdMaxUv))
			}
		}
		r.Channels = append(r.Channels, c)
	}
	if can := d.device.GetCan(); !can.GetScheduledStart() && can.GetHardwareStart() {
		r.Method, r.Pulse = pluginpb.StartMethod_START_METHOD_HARDWARE, true
	}
	return r
}

// arm prepares an acquisition; a duration of 0 has no end.
func (d *driver) arm(ctx context.Context, duration time.Duration) (*shot, error) {
	r := d.request(duration, d.inputs())
	sh := &shot{driver: d, duration: duration}
	var streams []uint16
	for _, c := range r.Channels {
		streams = append(streams, uint16(c.Stream))
	}
	var err error
	if sh.in, err = newInlet(ctx, d.dir, tag.RunID(r.Run), streams, uint64(max(0, d.device.ResolutionPs))); err != nil {
		return nil, err
	}
	d.atEnd = append(d.atEnd, sh.in.close)
	r.Endpoint = sh.in.endpoint
	if _, err := call(ctx, d.rpc.Arm, r); err != nil {
		return nil, d.because("arm: %w", err)
	}
	return sh, nil
}

// start lets the acquisition begin in a moment, or after a long wait.
func (sh *shot) start(ctx context.Context, wait time.Duration) error {
	if sh.endedEarly() {
		return errors.New("the event Ended was told before the start")
	}
	sh.asked = time.Now()
	r := &pluginpb.StartRequest{}
	if sh.device.GetCan().GetScheduledStart() {
		r.AtUnixNs = time.Now().Add(wait).UnixNano()
	}
	if _, err := call(ctx, sh.rpc.Start, r); err != nil {
		return sh.because("start: %w", err)
	}
	return nil
}

// endedEarly reports whether a shot that was armed is over already. What was told before
// its Arm is read by then.
func (sh *shot) endedEarly() bool {
	select {
	case e := <-sh.events:
		_, ended := e.GetWhat().(*pluginpb.DriverEvent_Ended)
		return ended
	default:
		return false
	}
}

// begin starts the acquisition and waits for its first tags.
func (sh *shot) begin(ctx context.Context) error {
	if err := sh.start(ctx, 20*time.Millisecond); err != nil {
		return err
	}
	return sh.flowing(ctx)
}

// run arms and starts an acquisition, and waits for its first tags.
func (d *driver) run(ctx context.Context, duration time.Duration) (*shot, error) {
	sh, err := d.arm(ctx, duration)
	if err == nil {
		err = sh.begin(ctx)
	}
	return sh, err
}

// shoot does an acquisition from Arm to its end. What a driver starts to read its device
// may begin only behind the end of a short one on a busy PC: then longer ones are tried.
func (d *driver) shoot(ctx context.Context) (*shot, error) {
	for length := shotLength; ; length *= 5 {
		sh, err := d.run(ctx, length)
		if err == nil {
			return sh, sh.complete(ctx)
		}
		if !errors.Is(err, errNoTag) || length > longestShot || d.protocol < 2 {
			return sh, err
		}
		if err := sh.whole(ctx); err != nil {
			return sh, err
		}
	}
}

// errNoTag is of an acquisition that has ended.
var errNoTag = errors.New("the streams ended without a tag")

func (sh *shot) flowing(ctx context.Context) error {
	var came bool // tags that were lost, and told, would have: the PC may be too slow for them
	flow := waitFor(ctx, tagsWithin, func() bool {
		over := closed(sh.in.done) || closed(sh.exited)
		came = sh.in.came()
		return over || came
	})
	switch {
	case came:
		return nil
	case !flow && ctx.Err() != nil:
		return context.Cause(ctx)
	case !flow:
		return fmt.Errorf("no tags within %v", tagsWithin)
	case closed(sh.in.done):
		return errors.Join(errNoTag, sh.in.err)
	}
	return sh.because("the process died before the first tag")
}

// stop ends the acquisition.
func (d *driver) stop(ctx context.Context) error {
	if _, err := call(ctx, d.rpc.Stop, &pluginpb.StopRequest{}); err != nil {
		return d.because("stop: %w", err)
	}
	return nil
}

// ended waits until the acquisition is over.
func (sh *shot) ended(ctx context.Context) (*pluginpb.Ended, error) {
	timeout := time.After(sh.duration + endWithin)
	for {
		select {
		case e, more := <-sh.events:
			if !more {
				return nil, sh.because("the events ended before Ended was told")
			}
			switch what := e.What.(type) {
			case *pluginpb.DriverEvent_Started:
				sh.started = what.Started
				if err := sh.plausible(); err != nil {
					return nil, err
				}
			case *pluginpb.DriverEvent_Lost:
				sh.lost += what.Lost.Tags
			case *pluginpb.DriverEvent_Ended:
				if text := what.Ended.Report; len(text) > 0 && !json.Valid(text) {
					return nil, fmt.Errorf("the report in the event Ended is no JSON, and would be left out: %.100q", text)
				}
				return what.Ended, nil
			}
		case <-timeout:
			return nil, fmt.Errorf("not ended %v after its time", endWithin)
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// plausible: what was told of the start lies within the shot.
func (sh *shot) plausible() error {
	called, returned := time.Unix(0, sh.started.CalledUnixNs), time.Unix(0, sh.started.ReturnedUnixNs)
	switch {
	case returned.Before(called):
		return fmt.Errorf("the event Started says that the start returned %v before it was called", called.Sub(returned))
	case called.Before(sh.asked.Add(-clockStep)) || returned.After(time.Now().Add(clockStep)):
		return fmt.Errorf("the event Started says that the device was started at %v: that is not when it was (Unix time in ns)", called.UTC())
	}
	return nil
}

// clockStep is by how much the clock of a PC may be set in a shot.
const clockStep = time.Minute

// whole waits for the end and checks everything that must hold of an acquisition
// that did not fail: each stream has its End, and what was told is what came.
func (sh *shot) whole(ctx context.Context) error {
	e, err := sh.ended(ctx)
	if err != nil {
		return err
	}
	select {
	case <-sh.in.done:
	case <-time.After(5 * time.Second):
		return errors.New("the event Ended was told, and not every stream has had its End 5 s later")
	}
	if sh.in.err != nil { // what is wrong with the blocks makes the rest fail
		return sh.in.err
	}
	if f := e.Failure; f != nil {
		return fmt.Errorf("the acquisition failed: %s", f.Message)
	}
	if len(e.Streams) != len(sh.in.streams) {
		return fmt.Errorf("the event Ended counts %d streams, there are %d", len(e.Streams), len(sh.in.streams))
	}
	var lost uint64
	for _, c := range e.Streams {
		a := sh.in.streams[uint16(c.Stream)]
		if a == nil {
			return fmt.Errorf("the event Ended counts stream %d, which was not asked for", c.Stream)
		}
		if c.Tags != a.tags || c.Lost != a.lost || c.Blocks != a.seq.Accepted() || c.UntilPs != a.seq.Until() || c.FirstPs != a.first || c.LastPs != a.last {
			return fmt.Errorf("stream %d: Ended counts %d tags from %d to %d ps in %d blocks until %d ps with %d lost; %d tags from %d to %d ps in %d blocks until %d ps with %d lost have come",
				c.Stream, c.Tags, c.FirstPs, c.LastPs, c.Blocks, c.UntilPs, c.Lost, a.tags, a.first, a.last, a.seq.Accepted(), a.seq.Until(), a.lost)
		}
		lost += c.Lost
	}
	if lost != sh.lost {
		return fmt.Errorf("the streams have lost %d tags, the events tell of %d", lost, sh.lost)
	}
	return nil
}

// complete is whole, of an acquisition that ended by itself: its streams are as
// long as was asked for.
func (sh *shot) complete(ctx context.Context) error {
	if err := sh.whole(ctx); err != nil {
		return err
	}
	if sh.started == nil {
		return errors.New("the event Started was not told: fire the start through start.Fire")
	}
	want := uint64(sh.duration) * 1000
	for id, a := range sh.in.streams {
		if got := a.seq.Until(); got < want-want/100 || got > want+want/100 {
			return fmt.Errorf("stream %d is marked until %d ps, and %d ps were asked for: mark the end of the acquisition", id, got, want)
		}
	}
	return nil
}

// close lets go of the device and of the process.
func (d *driver) close(ctx context.Context) error {
	calling, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if _, err := d.rpc.Close(calling, &pluginpb.CloseRequest{}); err != nil {
		return d.because("close: %w", err)
	}
	return d.leave(ctx, d.heard)
}
