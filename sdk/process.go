package sdk

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

// process is the running plugin: it owns the one driver or sink, and sees to
// it that the process does not outlive its host.
type process struct {
	plugin Plugin
	log    *slog.Logger
	life   context.Context // ends when the process has to go
	end    context.CancelCauseFunc
	leased chan struct{} // closed when the host has taken the lease
	lease  sync.Once

	driver *driverServer
	sink   *sinkServer
}

func newProcess(p Plugin, stderr io.Writer) *process {
	life, end := context.WithCancelCause(context.Background())
	log := newLogger(stderr)
	pr := &process{plugin: p, log: log, life: life, end: end, leased: make(chan struct{})}
	pr.driver = newDriverServer(life, log, p.Drivers)
	pr.sink = newSinkServer(life, log, p.Sinks)
	return pr
}

// serve answers the host until it lets go, and returns the exit code.
func (p *process) serve() int {
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
			VersionedPlugins: map[int]goplugin.PluginSet{ProtocolVersion: {"tsrun": service{p: p}}},
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
	case <-p.life.Done():
	}
	return p.leave()
}

// leave makes the device safe, within exitWithin, and returns the exit code.
func (p *process) leave() int {
	p.log.Debug("plugin leaves", "because", context.Cause(p.life))
	safe := make(chan struct{})
	go func() {
		defer close(safe)
		p.driver.release()
		p.sink.release()
	}()
	select {
	case <-safe:
		return 0
	case <-time.After(exitWithin):
		p.log.Error("plugin leaves without having closed its device or files", "waited", exitWithin)
		return 1
	}
}

// service registers the process's services with go-plugin.
type service struct {
	goplugin.NetRPCUnsupportedPlugin
	p *process
}

func (s service) GRPCServer(_ *goplugin.GRPCBroker, g *grpc.Server) error {
	pluginpb.RegisterPluginServer(g, &pluginServer{process: s.p})
	pluginpb.RegisterDriverServer(g, s.p.driver)
	pluginpb.RegisterSinkServer(g, s.p.sink)
	return nil
}

func (s service) GRPCClient(context.Context, *goplugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("a plugin is no client")
}

// pluginServer answers what every plugin is asked.
type pluginServer struct {
	pluginpb.UnimplementedPluginServer
	process *process
}

func (s *pluginServer) Describe(context.Context, *pluginpb.DescribeRequest) (*pluginpb.DescribeResponse, error) {
	d, err := s.process.plugin.Describe()
	if err != nil {
		return nil, statusOf(err)
	}
	return &pluginpb.DescribeResponse{Name: d.Name, Version: d.Version, Summary: d.Summary,
		Drivers: offersOut(d.Drivers), Sinks: offersOut(d.Sinks)}, nil
}

func offersOut(offers []Offer) []*pluginpb.Offer {
	var out []*pluginpb.Offer
	for _, o := range offers {
		out = append(out, &pluginpb.Offer{Name: o.Name, Schema: o.Schema, Defaults: o.Defaults, Keeps: string(o.Keeps)})
	}
	return out
}

// Lease beats until the host is gone; then the process goes too.
func (s *pluginServer) Lease(_ *pluginpb.LeaseRequest, beats grpc.ServerStreamingServer[pluginpb.LeaseBeat]) error {
	p := s.process
	p.lease.Do(func() { close(p.leased) })
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
		case <-p.life.Done():
			return nil
		}
	}
}
