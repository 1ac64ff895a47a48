package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-zeromq/zmq4"
	"google.golang.org/grpc"

	"tsrun/sdk/internal/serve"
	"tsrun/sdk/pluginpb"
	"tsrun/sdk/realtime"
	"tsrun/sdk/zmtp"
)

// errStopped ends the context of an acquisition that is asked to stop.
var errStopped = errors.New("the acquisition was stopped")

// driverServer serves the one driver of the process. It calls the driver's
// methods one at a time and keeps their order.
type driverServer struct {
	pluginpb.UnimplementedDriverServer
	types  []DriverType
	log    *slog.Logger
	work   context.Context // ends when the driver has to let go
	endAll context.CancelCauseFunc
	events *serve.Feed[*pluginpb.DriverEvent]

	mu     sync.Mutex // held while a method of the driver runs, but for Acquire
	driver Driver
	closed bool
	asks   realtime.Settings
	prompt bool         // its device answers so soon that a start may be rehearsed
	armed  *acquisition // the latest; nil before the first Arm
}

// acquisition is one acquisition of a driver, from Arm to Ended.
type acquisition struct {
	Acquisition
	stream  *Stream
	ctx     context.Context
	stop    context.CancelCauseFunc
	started bool
	ended   chan struct{} // closed when Ended has been told
}

func newDriverServer(life context.Context, log *slog.Logger, types []DriverType) *driverServer {
	work, end := context.WithCancelCause(life)
	return &driverServer{types: types, log: log, work: work, endAll: end, events: serve.NewFeed(mergeLoss)}
}

// within returns a context that ends with the call and with work.
func within(call, work context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(call)
	unhook := context.AfterFunc(work, func() { cancel(context.Cause(work)) })
	return ctx, func() { unhook(); cancel(nil) }
}

func (s *driverServer) Configure(call context.Context, r *pluginpb.ConfigureRequest) (*pluginpb.ConfigureResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := within(call, s.work)
	defer cancel()
	if s.driver != nil || s.closed {
		return nil, statusOf(errors.New("configure: this process has had its driver; start another"))
	}
	kind := slices.IndexFunc(s.types, func(t DriverType) bool { return t.name == r.Kind })
	if kind < 0 {
		return nil, statusOf(&Failure{Code: "unknown-kind", Message: fmt.Sprintf("configure: no driver is called %q", r.Kind)})
	}
	env := Env{Log: s.log, Instance: r.Instance, Dir: r.Dir, Simulation: r.Simulation}
	var device Device
	err := guarded(s.log, "open", func() error {
		opened, err := s.types[kind].open(ctx, env, r.Config)
		if err == nil {
			s.driver = opened
		}
		return err
	})
	if err == nil {
		err = guarded(s.log, "Describe", func() (err error) {
			device, err = s.driver.Describe(ctx)
			return err
		})
	}
	if err != nil {
		return nil, statusOf(err)
	}
	s.asks, s.prompt = realtimeIn(r.Realtime), false
	return &pluginpb.ConfigureResponse{Device: deviceOut(device), Grants: grantsOut(s.asks.Probe())}, nil
}

func (s *driverServer) Arm(call context.Context, r *pluginpb.ArmRequest) (*pluginpb.ArmResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := within(call, s.work)
	defer cancel()
	switch {
	case s.driver == nil || s.closed:
		return nil, statusOf(errors.New("arm: no device is open"))
	case s.armed != nil && !s.armed.over():
		return nil, statusOf(errors.New("arm: the acquisition before has not ended; stop it first"))
	}
	a, err := acquisitionIn(r)
	if err != nil {
		return nil, statusOf(err)
	}
	conn, err := dialCore(ctx, r.Endpoint, zmq4.Push)
	if err != nil {
		return nil, statusOf(err)
	}
	if err := guarded(s.log, "Arm", func() error { return s.driver.Arm(ctx, a) }); err != nil {
		conn.Close()
		return nil, statusOf(err)
	}
	stream := NewStream(conn, a)
	stream.lost = func(l Loss) { s.events.Put(lossOut(l)) }
	s.armed = &acquisition{Acquisition: a, stream: stream, ended: make(chan struct{})}
	s.armed.ctx, s.armed.stop = context.WithCancelCause(s.work)
	return &pluginpb.ArmResponse{}, nil
}

// dialCore connects to an endpoint of the distribution core.
func dialCore(ctx context.Context, endpoint string, typ zmq4.SocketType) (*zmtp.Conn, error) {
	path, ok := strings.CutPrefix(endpoint, "ipc://")
	if !ok {
		return nil, fmt.Errorf("connect to the core: endpoint %q does not begin with ipc://", endpoint)
	}
	conn, err := zmtp.Dial(ctx, "unix", path, typ)
	if err != nil {
		return nil, fmt.Errorf("connect to the core: %w", err)
	}
	return conn, nil
}

func (s *driverServer) Start(_ context.Context, r *pluginpb.StartRequest) (*pluginpb.StartResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.armed == nil || s.armed.started {
		return nil, statusOf(errors.New("start: the driver is not armed, or was started or stopped before"))
	}
	if late := time.Now().UnixNano() - r.NotAfterUnixNs; r.NotAfterUnixNs != 0 && late > 0 {
		return nil, statusOf(&Failure{Code: MissedStart, Message: fmt.Sprintf("the order to start came %v after its instant", time.Duration(late)),
			Hint: "look for what holds the processes of this PC up"})
	}
	start := &Start{asks: s.asks, tell: func(shot Shot) { s.events.Put(startedOut(shot)) }}
	if r.AtUnixNs != 0 {
		start.at = time.Unix(0, r.AtUnixNs)
	}
	start.rehearse = s.rehearsal(s.armed.ctx)
	s.armed.started = true
	go s.acquire(s.armed, start)
	return &pluginpb.StartResponse{}, nil
}

// acquire runs the acquisition; whoever waits for it waits on a.ended.
func (s *driverServer) acquire(a *acquisition, start *Start) {
	err := guarded(s.log, "Acquire", func() error { return s.driver.Acquire(a.ctx, start, a.stream) })
	if a.ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, errStopped)) {
		err = nil // it did as it was told
	}
	var report json.RawMessage
	if r, ok := s.driver.(Reporter); ok {
		failed := guarded(s.log, "Report", func() (err error) {
			report, err = json.Marshal(r.Report())
			return err
		})
		if failed != nil {
			s.log.Error("driver's report is lost", "error", failed)
		}
	}
	s.conclude(a, err, report)
}

// conclude ends the streams and tells Ended.
func (s *driverServer) conclude(a *acquisition, err error, report json.RawMessage) {
	counts, sending := a.stream.Finish()
	if err == nil {
		err = sending
	}
	a.stop(nil)
	s.events.Put(&pluginpb.DriverEvent{What: &pluginpb.DriverEvent_Ended{Ended: &pluginpb.Ended{
		Failure: failureOf(err), Streams: countsOut(counts), Report: report}}})
	close(a.ended)
}

// over tells whether the acquisition has ended.
func (a *acquisition) over() bool {
	select {
	case <-a.ended:
		return true
	default:
		return false
	}
}

func (s *driverServer) Stop(call context.Context, _ *pluginpb.StopRequest) (*pluginpb.StopResponse, error) {
	if err := s.halt(call, errStopped); err != nil {
		return nil, statusOf(err)
	}
	return &pluginpb.StopResponse{}, nil
}

// halt ends the latest acquisition, if it has not ended, and waits until it has.
func (s *driverServer) halt(ctx context.Context, cause error) error {
	s.mu.Lock()
	a := s.armed
	if a != nil && !a.started {
		a.started = true
		s.conclude(a, nil, nil)
	}
	s.mu.Unlock()
	if a == nil {
		return nil
	}
	a.stop(cause)
	select {
	case <-a.ended:
		return nil
	case <-ctx.Done():
		return &Failure{Code: "stop-timeout", Message: "stop: the driver is still acquiring; Acquire has not noticed that its context ended"}
	}
}

func (s *driverServer) Watch(_ *pluginpb.WatchRequest, out grpc.ServerStreamingServer[pluginpb.DriverEvent]) error {
	return serve.Relay(s.events, out)
}

func (s *driverServer) Close(context.Context, *pluginpb.CloseRequest) (*pluginpb.CloseResponse, error) {
	if err := s.Release(); err != nil {
		return nil, statusOf(err)
	}
	return &pluginpb.CloseResponse{}, nil
}

// Release stops and lets go of the device, once. It returns when the driver
// has done so, however long that takes: the caller sees to the time.
func (s *driverServer) Release() error {
	s.endAll(errStopped)
	if err := s.halt(context.Background(), errStopped); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events.Close()
	if s.driver == nil || s.closed {
		s.closed = true
		return nil
	}
	s.closed = true
	return guarded(s.log, "Close", s.driver.Close)
}
