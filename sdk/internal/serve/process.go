// Package serve is the process behind sdk.Serve: the handshake with the host,
// the lease, the log, and the time in which a device or files are made safe when
// the host is gone.
//
//	New ──▶ Serve: handshake, gRPC, until the host is done, gone or silent
//	           └─▶ Release of the driver and the sink, within 2.5 s
//
// It knows the protocol and none of the types that authors write; package sdk
// turns those into the services that it serves.
package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"tsrun/sdk/pluginpb"
)

const (
	// exitWithin is how long a plugin may take to make its device safe when it
	// has to go. What hangs longer is left behind.
	exitWithin = 2500 * time.Millisecond
	// leaseWithin is how long after its start a plugin waits for its host to
	// take the lease.
	leaseWithin = 15 * time.Second
	// beatEvery is the period of the beats that show the host a live process.
	beatEvery = 500 * time.Millisecond
)

// The versions of the plugin protocol. What a plugin serves is in all of them:
//
//	1  a driver has one acquisition, then its process ends
//	2  Arm may follow an acquisition that has ended, and Watch goes on until Close
const (
	ProtocolVersion = 2 // the newest that is served
	OldestProtocol  = 1 // hosts of the release before speak it
)

// The magic cookie tells a plugin that it was started by a host.
const (
	CookieKey   = "TSRUN_PLUGIN"
	CookieValue = "4f1d0c6b-time-tags"
)

// Services are what a plugin process answers. It uses one of its driver and its
// sink.
type Services struct {
	Describe func() (*pluginpb.DescribeResponse, error)
	Driver   interface {
		pluginpb.DriverServer
		Releaser
	}
	Sink interface {
		pluginpb.SinkServer
		Releaser
	}
}

// Releaser makes a device or files safe and lets go of them, once. It may take
// as long as it likes: the process sees to the time.
type Releaser interface{ Release() error }

// Process is the running plugin. It sees to it that it does not outlive its
// host.
type Process struct {
	Log  *slog.Logger
	Life context.Context // ends when the process has to go

	end      context.CancelCauseFunc
	leased   chan struct{} // closed when the host has taken the lease
	lease    sync.Once
	stderr   *os.File // that of the process
	services Services
}

// New makes a process that logs to stderr and serves nothing yet.
func New(stderr io.Writer) *Process {
	life, end := context.WithCancelCause(context.Background())
	return &Process{Log: NewLogger(stderr), Life: life, end: end, leased: make(chan struct{})}
}

// Serve answers the host until it lets go, and returns the exit code.
func (p *Process) Serve(s Services) int {
	p.services, p.stderr = s, os.Stderr
	signals := make(chan os.Signal, 1)
	// The kernel sends SIGTERM when the host dies, and SIGHUP to a plugin that
	// was stopped at that time.
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGHUP)
	// Logging to a host that is gone must not end us before the device is safe.
	signal.Ignore(syscall.SIGPIPE)
	served := make(chan struct{})
	go func() {
		defer close(served)
		goplugin.Serve(&goplugin.ServeConfig{
			HandshakeConfig:  goplugin.HandshakeConfig{MagicCookieKey: CookieKey, MagicCookieValue: CookieValue},
			VersionedPlugins: versions(service{p: p}),
			GRPCServer:       goplugin.DefaultGRPCServer,
			Logger:           hclog.New(&hclog.LoggerOptions{Output: os.Stderr, JSONFormat: true, Level: hclog.Error}),
		})
	}()
	unleased := time.AfterFunc(leaseWithin, func() {
		select {
		case <-p.leased:
		default:
			p.end(errors.New("no host took the lease"))
		}
	})
	defer unleased.Stop()
	select {
	case s := <-signals:
		p.end(fmt.Errorf("signal %v", s))
	case <-served:
		p.end(errors.New("the host is done"))
	case <-p.Life.Done():
	}
	return p.leave()
}

// versions are all that is served, each by the same services.
func versions(s service) map[int]goplugin.PluginSet {
	served := map[int]goplugin.PluginSet{}
	for v := OldestProtocol; v <= ProtocolVersion; v++ {
		served[v] = goplugin.PluginSet{"tsrun": s}
	}
	return served
}

// leave makes the device safe, within exitWithin, and returns the exit code.
func (p *Process) leave() int {
	p.Log.Debug("plugin leaves", "because", context.Cause(p.Life))
	safe := make(chan struct{})
	go func() {
		defer close(safe)
		p.services.Driver.Release()
		p.services.Sink.Release()
	}()
	select {
	case <-safe:
		return 0
	case <-time.After(exitWithin):
		p.Log.Error("plugin leaves without having closed its device or files", "waited", exitWithin)
		return 1
	}
}

// service registers the process's services with go-plugin.
type service struct {
	goplugin.NetRPCUnsupportedPlugin
	p *Process
}

func (s service) GRPCServer(_ *goplugin.GRPCBroker, g *grpc.Server) error {
	pluginpb.RegisterPluginServer(g, &pluginServer{Process: s.p})
	pluginpb.RegisterDriverServer(g, s.p.services.Driver)
	pluginpb.RegisterSinkServer(g, s.p.services.Sink)
	return nil
}

func (s service) GRPCClient(context.Context, *goplugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("a plugin is no client")
}

// pluginServer answers what every plugin is asked.
type pluginServer struct {
	pluginpb.UnimplementedPluginServer
	*Process
}

func (s *pluginServer) Describe(context.Context, *pluginpb.DescribeRequest) (*pluginpb.DescribeResponse, error) {
	return s.services.Describe()
}

// Lease beats until the host is gone; then the process goes too.
func (s *pluginServer) Lease(_ *pluginpb.LeaseRequest, beats grpc.ServerStreamingServer[pluginpb.LeaseBeat]) error {
	p := s.Process
	p.lease.Do(func() {
		// go-plugin has put a pipe in its place, which is read too late for what a process
		// writes that exits at once: its last words.
		os.Stderr = p.stderr
		close(p.leased)
	})
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		if err := beats.Send(&pluginpb.LeaseBeat{}); err != nil {
			p.end(fmt.Errorf("the lease ended: %w", err))
			return err
		}
		select {
		case <-tick.C:
		case <-beats.Context().Done():
			p.end(errors.New("the lease ended"))
			return nil
		case <-p.Life.Done():
			return nil
		}
	}
}
