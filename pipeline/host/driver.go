package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"tsrun/pipeline/fact"
	"tsrun/sdk"
	"tsrun/sdk/pluginpb"
	"tsrun/sdk/realtime"
)

// Driver is a driver plugin with its device open. It has any number of
// acquisitions, one after another: Arm, Start, and Stop or a natural end. Its
// methods may be called from several goroutines.
type Driver struct {
	*process
	rpc    pluginpb.DriverClient
	device sdk.Device
	grants []realtime.Grant
	watch  watch

	mu      sync.Mutex
	events  chan DriverEvent // of the acquisition that was armed last
	next    chan DriverEvent // to which the next event goes: another when that has ended
	moved   chan struct{}    // closed when it becomes another
	armed   bool             // an Arm may have succeeded
	streams map[uint32]bool  // with which it was armed, in any acquisition
}

// DriverEvent is one of [Started], [Lost] and [Ended].
type DriverEvent interface{ driverEvent() }

// Started says when the device was started.
type Started struct{ fact.Shot }

// Lost says that tags were lost.
type Lost struct{ fact.StreamLoss }

// Ended says that the acquisition is over; it is its last event. The streams
// have had their End unless Err says why not. A process that dies, hangs or is
// closed before its acquisition ended is reported like this too.
type Ended struct {
	Err     error
	Streams []fact.StreamCounts // what the driver counted
	Report  json.RawMessage     // what the driver has to say; nil if nothing
}

func (Started) driverEvent() {}
func (Lost) driverEvent()    {}
func (Ended) driverEvent()   {}

// StartDriver starts a plugin process and opens its device. It returns after
// the device has described itself, or with everything undone.
func (h *Host) StartDriver(ctx context.Context, s Spec) (*Driver, error) {
	p, err := h.start(ctx, s, "driver")
	if err != nil {
		return nil, err
	}
	d := &Driver{process: p, rpc: pluginpb.NewDriverClient(p.conn),
		events: make(chan DriverEvent, eventBuffer), moved: make(chan struct{}), streams: map[uint32]bool{}}
	d.next = d.events
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	request, err := p.configuration(ctx, s, "driver")
	if err == nil {
		p.letGo = d.closeDevice
		request.Realtime = realtimeOut(s.Realtime)
		var response *pluginpb.ConfigureResponse
		if response, err = d.rpc.Configure(ctx, request); err == nil {
			d.device, d.grants = deviceIn(response.GetDevice()), grantsIn(response.GetGrants())
		} else {
			err = p.explain("open device", err)
		}
	}
	if err != nil {
		return nil, p.undo(ctx, err)
	}
	d.watch.start(p, d.relayEvents)
	return d, nil
}

// withDeadline bounds a call for which the caller set no deadline.
func withDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, openTimeout)
}

// Component returns the plugin's binary and version, as it says itself.
func (p *process) Component() Component { return p.component }

// Kill ends the process of a driver or sink that does not do its work; Events tells so.
func (p *process) Kill() { p.run.kill() }

// PID returns the process id.
func (p *process) PID() int { return p.run.id() }

// Device returns what the device said about itself and what it can do.
func (d *Driver) Device() sdk.Device { return d.device }

// Grants returns what the thread that fires was granted, of what was asked for it;
// a plugin of an older SDK says nothing.
func (d *Driver) Grants() []realtime.Grant { return d.grants }

// Events returns what happens in the acquisition that was armed last, or will be
// armed first, in order; it is closed after [Ended]. Somebody has to receive from
// it until then. Each acquisition has events of its own.
func (d *Driver) Events() <-chan DriverEvent {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.events
}

// Arm prepares the device for an acquisition and connects the driver to an
// endpoint of the core. It may follow the end of an acquisition, where the
// plugin speaks protocol 2 or newer, and an Arm that failed.
func (d *Driver) Arm(ctx context.Context, a sdk.Acquisition, endpoint string) error {
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	if d.armedBefore() && d.protocol < 2 {
		return &sdk.Failure{Code: "plugin-protocol",
			Message: fmt.Sprintf("%s: arm: plugin %s speaks protocol %d, in which a process has one acquisition", d.instance, d.component.Name, d.protocol),
			Hint:    fmt.Sprintf("build it with an SDK of protocol %d, or open the device anew for each acquisition", sdk.ProtocolVersion)}
	}
	d.mu.Lock()
	for _, c := range a.Channels {
		d.streams[uint32(c.Stream)] = true
	}
	d.mu.Unlock()
	_, err := d.rpc.Arm(ctx, armOut(a, endpoint))
	if err = d.explain("arm", err); err == nil {
		d.turn(ctx)
	}
	var refused *sdk.Failure
	if !errors.As(err, &refused) || refused.Code == "plugin-timeout" {
		d.mu.Lock()
		d.armed = true
		d.mu.Unlock()
	}
	return err
}

func (d *Driver) armedBefore() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.armed
}

// turn makes Events that of the acquisition which has just been armed. The Ended
// of the one before has been told, and may be on its way.
func (d *Driver) turn(ctx context.Context) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.armed && d.next == d.events {
		moved := d.moved
		d.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
		d.mu.Lock()
	}
	d.events = d.next
}

// Start lets the acquisition begin at an instant of this machine's clock, or
// at once when it is zero. It returns when the driver has taken the order. With inTime
// one that comes to the driver after the instant is not taken: the failure has the code
// sdk.MissedStart, and Start may be called again.
func (d *Driver) Start(ctx context.Context, at time.Time, inTime bool) error {
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	request := &pluginpb.StartRequest{}
	if !at.IsZero() {
		request.AtUnixNs = at.UnixNano()
		if inTime {
			request.NotAfterUnixNs = request.AtUnixNs
		}
	}
	_, err := d.rpc.Start(ctx, request)
	return d.explain("start", err)
}

// Stop ends the acquisition and returns when it has ended; stopping what has
// ended already, or was never armed, is no mistake.
func (d *Driver) Stop(ctx context.Context) error {
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	_, err := d.rpc.Stop(ctx, &pluginpb.StopRequest{})
	return d.explain("stop", err)
}

// Close leaves the device safe and ends the process, by force when it takes
// longer than some seconds. It returns what the driver said. Events is closed
// when Close returns.
func (d *Driver) Close(ctx context.Context) error {
	err := d.close(ctx)
	d.watch.stop()
	return err
}

func (d *Driver) closeDevice(ctx context.Context) error {
	_, err := d.rpc.Close(ctx, &pluginpb.CloseRequest{})
	d.watch.await(ctx)
	return d.explain("close device", err)
}

// relayEvents turns the plugin's events into ours until the driver is closed.
func (d *Driver) relayEvents(ctx context.Context) {
	tell := func(e DriverEvent) {
		defer d.passOn()()
		select {
		case d.next <- e: // no other goroutine changes it
		case <-d.watch.abandoned:
		}
	}
	defer func() { close(d.next) }()
	stream, err := d.rpc.Watch(ctx, &pluginpb.WatchRequest{})
	for err == nil {
		var e *pluginpb.DriverEvent
		if e, err = stream.Recv(); err != nil {
			break
		}
		switch what := e.What.(type) {
		case *pluginpb.DriverEvent_Started:
			tell(startedIn(what.Started))
		case *pluginpb.DriverEvent_Lost:
			lost, err := d.lossIn(what.Lost)
			if err != nil {
				tell(Ended{Err: err})
				return
			}
			tell(lost)
		case *pluginpb.DriverEvent_Ended:
			tell(d.endedIn(what.Ended))
			d.move()
			if d.protocol < 2 {
				return
			}
		}
	}
	tell(Ended{Err: d.explainCutOff(err)})
}

// move closes the events of an acquisition that has ended and makes those of the
// next.
func (d *Driver) move() {
	d.mu.Lock()
	defer d.mu.Unlock()
	close(d.next)
	d.next = make(chan DriverEvent, eventBuffer)
	close(d.moved)
	d.moved = make(chan struct{})
}

// explainCutOff returns why no more events come.
func (p *process) explainCutOff(err error) error {
	if p.leaving.Load() {
		return fmt.Errorf("%s: it was closed before its end", p.instance)
	}
	if death := p.death(); death != nil {
		return death
	}
	return p.explain("watch", err)
}
