package main

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/go-zeromq/zmq4"
	"google.golang.org/grpc"

	"tsrun/sdk"
	"tsrun/sdk/pluginpb"
	"tsrun/sdk/tag"
	"tsrun/sdk/zmtp"
)

// driver plays a device that is faster than time: its tags are 1 us apart for as
// long as was asked for, and without an end they go on ever farther apart.
type driver struct {
	pluginpb.UnimplementedDriverServer
	events chan *pluginpb.DriverEvent
	closed chan struct{}

	mu      sync.Mutex
	shots   int
	request *pluginpb.ArmRequest // armed, and not started
	stream  *sdk.Stream
	cancel  context.CancelFunc // of what is waiting or running; nil: nothing is
	ended   chan struct{}
}

func newDriver() *driver {
	return &driver{events: make(chan *pluginpb.DriverEvent, 100), closed: make(chan struct{})}
}

func (d *driver) Configure(_ context.Context, r *pluginpb.ConfigureRequest) (*pluginpb.ConfigureResponse, error) {
	if err := configure(r.Config); err != nil {
		return nil, err
	}
	v := &pluginpb.Device{Vendor: "Example", Model: "Faulty", ResolutionPs: 1, Simulated: true,
		Inputs: []*pluginpb.Input{{Number: 1}, {Number: 2}}, Can: &pluginpb.Capabilities{ScheduledStart: true}}
	if has("device") {
		v.Simulated = false
	}
	return &pluginpb.ConfigureResponse{Device: v}, nil
}

func (d *driver) Watch(_ *pluginpb.WatchRequest, out grpc.ServerStreamingServer[pluginpb.DriverEvent]) error {
	return relay(d.events, d.closed, out)
}

func (d *driver) Arm(ctx context.Context, r *pluginpb.ArmRequest) (*pluginpb.ArmResponse, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if (d.request != nil || d.cancel != nil) && !has("order-of-calls:arm") {
		return nil, refuse("it is armed")
	}
	a := sdk.Acquisition{Run: tag.RunID(r.Run), Duration: time.Duration(r.DurationNs)}
	for _, c := range r.Channels {
		if c.Input > 2 && !has("arm-after-error") {
			return nil, refuse("there is no such input")
		}
		a.Channels = append(a.Channels, sdk.Channel{Stream: uint16(c.Stream), Name: c.Name})
	}
	if d.shots++; d.shots > 1 && has("shots:one") {
		return nil, refuse("it has had its shot")
	}
	conn, err := zmtp.Dial(ctx, "unix", strings.TrimPrefix(r.Endpoint, "ipc://"), zmq4.Push)
	if err != nil {
		return nil, refuse(err.Error())
	}
	d.request, d.stream, d.ended = r, sdk.NewStream(&wire{conn: conn, reached: map[uint16]uint64{}}, a), make(chan struct{})
	state.Store("armed")
	if has("shots:early") {
		d.events <- &pluginpb.DriverEvent{What: &pluginpb.DriverEvent_Ended{Ended: &pluginpb.Ended{}}}
	}
	return &pluginpb.ArmResponse{}, nil
}

func (d *driver) Start(_ context.Context, r *pluginpb.StartRequest) (*pluginpb.StartResponse, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.request == nil {
		if has("order-of-calls:start") {
			return &pluginpb.StartResponse{}, nil
		}
		return nil, refuse("it is not armed")
	}
	ctx, cancel := context.WithCancel(context.Background())
	request, at := d.request, time.Unix(0, r.AtUnixNs)
	d.request, d.cancel = nil, cancel
	state.Store("waiting")
	go d.acquire(ctx, request, at)
	return &pluginpb.StartResponse{}, nil
}

// acquire is one shot, from the wait for its instant on.
func (d *driver) acquire(ctx context.Context, r *pluginpb.ArmRequest, at time.Time) {
	var failed error
	select {
	case <-ctx.Done():
	case <-time.After(time.Until(at)):
		if !has("shots:unseen") {
			d.events <- &pluginpb.DriverEvent{What: &pluginpb.DriverEvent_Started{Started: begun(time.Now().UnixNano())}}
		}
		state.Store("running")
		failed = play(ctx, d.stream, r)
	}
	d.conclude(failed)
}

// begun is what it tells of its start.
func begun(now int64) *pluginpb.Started {
	s := &pluginpb.Started{AskedUnixNs: now, CalledUnixNs: now, ReturnedUnixNs: now}
	switch {
	case has("shots:started-back"):
		s.ReturnedUnixNs--
	case has("shots:started-never"):
		s.CalledUnixNs, s.ReturnedUnixNs = 0, 0
	case has("shots:started-2116"):
		s.CalledUnixNs, s.ReturnedUnixNs = 1<<62, 1<<62
	}
	return s
}

func (d *driver) conclude(failed error) {
	counts, sending := d.stream.Finish()
	if failed == nil {
		failed = sending
	}
	e := &pluginpb.Ended{}
	if failed != nil && !has("consumer-goes") {
		e.Failure = &pluginpb.Failure{Message: failed.Error()}
	}
	for _, c := range counts {
		e.Streams = append(e.Streams, &pluginpb.StreamCount{Stream: uint32(c.Stream), Blocks: c.Blocks, Tags: c.Tags, Lost: c.Lost, FirstPs: c.First, LastPs: c.Last, UntilPs: c.Until})
	}
	if has("shots:count") {
		e.Streams[0].Tags++
	}
	if has("shots:report") {
		e.Report = []byte(`{"rate":NaN}`)
	}
	d.mu.Lock()
	d.cancel = nil
	state.Store("ended")
	d.mu.Unlock()
	d.events <- &pluginpb.DriverEvent{What: &pluginpb.DriverEvent_Ended{Ended: e}}
	close(d.ended)
}

func (d *driver) Stop(context.Context, *pluginpb.StopRequest) (*pluginpb.StopResponse, error) {
	if at := state.Load().(string); has("stop-" + at) {
		return nil, refuse("not now: " + at)
	}
	d.halt()
	return &pluginpb.StopResponse{}, nil
}

func (d *driver) halt() {
	d.mu.Lock()
	armed, cancel, done := d.request != nil, d.cancel, d.ended
	d.request = nil
	d.mu.Unlock()
	if armed {
		d.conclude(nil)
	}
	if cancel != nil {
		cancel()
		<-done
	}
}

func (d *driver) Close(context.Context, *pluginpb.CloseRequest) (*pluginpb.CloseResponse, error) {
	if at := state.Load().(string); has("close-" + at) {
		return nil, refuse("not now: " + at)
	}
	d.halt()
	return closed(d.closed)
}
