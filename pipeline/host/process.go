package host

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"

	"tsrun/pipeline/confine"
	"tsrun/sdk"
	"tsrun/sdk/pluginpb"
	"tsrun/sdk/realtime"
)

// process is one plugin process, from its start to the end of its last trace.
type process struct {
	host      *Host
	component Component
	instance  string
	log       *slog.Logger
	scratch   string
	sockets   string // directory of go-plugin's socket; "" before the start

	run    *child
	client *goplugin.Client
	conn   *grpc.ClientConn

	outcome  confine.Outcome // whether it is confined
	protocol int             // the version that host and plugin have agreed on

	beats    context.Context // of the lease
	endLease context.CancelFunc
	lease    sync.WaitGroup
	hung     atomic.Bool
	leaving  atomic.Bool  // close has begun: its end is no death
	offered  atomic.Bool  // memory of the core that it may only read
	telling  atomic.Bool  // an event of it is being passed on
	told     atomic.Int64 // events that were

	letGo    func(context.Context) error // the Close call of its driver or sink; nil before Configure
	closing  sync.Once
	closeErr error
}

// Spec says which plugin to start, and as what.
type Spec struct {
	Plugin     string
	Instance   string            // "alice.tc"; names the scratch directory and the log's records
	Config     json.RawMessage   // checked against the plugin's schema
	Writes     []string          // directories that it may write to; they are there
	Simulation sdk.Simulation    // of a driver: given to it where it says that Config means a simulated device
	Realtime   realtime.Settings // of a driver: what its thread that fires asks of the system
}

// validInstance takes the longest names of a node and a controller, with a dot between.
var validInstance = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,64}$`)

// start brings a process up to its lease. On failure nothing is left of it.
func (h *Host) start(ctx context.Context, s Spec, role string) (_ *process, err error) {
	component, err := locate(h.dirs, s.Plugin)
	if err != nil {
		return nil, err
	}
	if !validInstance.MatchString(s.Instance) {
		return nil, fmt.Errorf("start plugin %s: instance %q is no file name", s.Plugin, s.Instance)
	}
	p := &process{host: h, component: component, instance: s.Instance,
		log:     h.log.With("plugin", s.Plugin, "instance", s.Instance),
		scratch: filepath.Join(h.runtime, s.Instance)}
	if err := h.enter(p); err != nil {
		return nil, err
	}
	p.beats, p.endLease = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			p.leaving.Store(true)
			p.stop()
		}
	}()
	if err := os.MkdirAll(p.scratch, 0o700); err != nil {
		return nil, fmt.Errorf("make scratch directory of plugin: %w", err)
	}
	if described, err := Find(h.dirs, s.Plugin); err == nil { // a damaged description says nothing here
		p.component.Description = described.Description
	}
	p.run = newChild(command(p.component.Path), p.log)
	p.run.before = func() { p.confineThread(s, role) }
	unhook := context.AfterFunc(ctx, p.run.kill)
	defer unhook()
	if err := p.shakeHands(); err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("start plugin %s: %w", s.Plugin, context.Cause(ctx))
		}
		return nil, p.explainStart(err)
	}
	p.lease.Go(p.hangUpWhenGone)
	return p, p.takeLease()
}

// hangUpWhenGone ends the connection to a process that has ended, when nothing comes by it any
// more: what that has started may hold it open, and nobody would see that it is dead.
func (p *process) hangUpWhenGone() {
	select {
	case <-p.run.exited:
	case <-p.beats.Done():
		return
	}
	const quiet = 10 // times in a row that nothing has come: this process may stand still itself
	for silent := 0; silent < quiet; silent++ {
		told := p.told.Load()
		select {
		case <-p.beats.Done():
			return
		case <-time.After(deathNotice / quiet):
		}
		if p.telling.Load() || p.told.Load() != told {
			silent = -1
		}
	}
	p.conn.Close() // go-plugin does so again, and does not mind
}

// confineThread confines the thread that is about to start the process.
func (p *process) confineThread(s Spec, role string) {
	c := p.confinementOf(s, role)
	if c.off == "" {
		p.outcome = confine.Thread(c.rules, c.outside, c.inside)
	} else {
		p.outcome.Why = c.off
	}
	if p.outcome.Confined {
		p.log.Info("plugin confined: a trial to write outside was refused", "writes", c.rules.Write, "devices", c.rules.Devices, "network", c.rules.Network)
		p.run.cmd.Env = append(p.run.cmd.Env, "TMPDIR="+p.scratch)
	} else {
		p.log.Info("plugin not confined", "why", p.outcome.Why)
	}
}

// markKey is the variable that only a plugin's program and what it starts have: its value is
// another one each time. By it they are found, wherever they have gone.
const markKey = "TSRUN_PROCESS"

// command is the plugin with the few variables of our environment that
// programs need; anything else of the host's would be a hidden setting. The first is its mark.
func command(path string, args ...string) *exec.Cmd {
	cmd := exec.Command(path, args...)
	allowed := []string{"PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "PYTHONPATH",
		"GODEBUG", "GORACE", "GOGC", "GOMEMLIMIT", "GOMAXPROCS", "GOTRACEBACK", "GOCOVERDIR"}
	cmd.Env = []string{markKey + "=" + rand.Text()}
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		if slices.Contains(allowed, name) || strings.HasPrefix(name, "LC_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	return cmd
}

// shakeHands starts the process and connects to it.
func (p *process) shakeHands() error {
	p.client = goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig:  goplugin.HandshakeConfig{MagicCookieKey: sdk.CookieKey, MagicCookieValue: sdk.CookieValue},
		VersionedPlugins: versions(),
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		RunnerFunc: func(_ hclog.Logger, spec *exec.Cmd, sockets string) (runner.Runner, error) {
			p.sockets = sockets
			p.run.cmd.Env = append(p.run.cmd.Env, spec.Env...) // cookie, versions, socket directory
			return p.run, nil
		},
		SkipHostEnv:      true,
		UnixSocketConfig: &goplugin.UnixSocketConfig{TempDir: p.host.runtime},
		StartTimeout:     p.host.startTimeout,
		Logger:           hclog.NewNullLogger(), // lastWords does the logging
		SyncStdout:       &printed{talk: p.run.talk, to: "standard output"},
		SyncStderr:       &printed{talk: p.run.talk, to: "standard error"},
	})
	rpc, err := p.client.Client()
	if err != nil {
		return err
	}
	conn, err := rpc.Dispense("tsrun")
	if err != nil {
		return err
	}
	p.conn, p.protocol = conn.(*grpc.ClientConn), p.client.NegotiatedVersion()
	return nil
}

// versions are the protocols that the host speaks.
func versions() map[int]goplugin.PluginSet {
	spoken := map[int]goplugin.PluginSet{}
	for v := sdk.OldestProtocol; v <= sdk.ProtocolVersion; v++ {
		spoken[v] = goplugin.PluginSet{"tsrun": dispenser{}}
	}
	return spoken
}

// dispenser hands out go-plugin's connection; our services are made on it.
type dispenser struct {
	goplugin.NetRPCUnsupportedPlugin
}

func (dispenser) GRPCServer(*goplugin.GRPCBroker, *grpc.Server) error {
	return errors.New("the host serves no plugin")
}

func (dispenser) GRPCClient(_ context.Context, _ *goplugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return conn, nil
}

// printed logs what a plugin prints once go-plugin has replaced its standard
// output and error; a line may come in pieces, which become records of their own.
type printed struct {
	talk *talk
	to   string
}

func (w *printed) Write(p []byte) (int, error) {
	logPrinted(w.talk, w.to, string(p))
	return len(p), nil
}

func logPrinted(t *talk, to, text string) {
	if text = strings.TrimSpace(strings.ToValidUTF8(text, "?")); text != "" {
		t.say(len(text), func() { t.log.Info("plugin printed", "to", to, "text", text) })
	}
}

// takeLease opens the lease and watches its beats: a process that does not
// beat has hung and is killed.
func (p *process) takeLease() error {
	first, cancel := context.WithTimeout(p.beats, describeWithin)
	defer cancel()
	lease, err := pluginpb.NewPluginClient(p.conn).Lease(p.beats, &pluginpb.LeaseRequest{})
	if err != nil {
		return p.explain("lease", err)
	}
	unhook := context.AfterFunc(first, func() {
		if errors.Is(first.Err(), context.DeadlineExceeded) {
			p.run.kill()
		}
	})
	_, err = lease.Recv()
	if !unhook() && err == nil {
		err = first.Err()
	}
	if err != nil {
		return p.explain("lease", err)
	}
	p.lease.Go(func() {
		beats := make(chan struct{}, 1)
		p.lease.Go(func() { p.killWhenHung(beats) })
		for {
			if _, err := lease.Recv(); err != nil {
				break
			}
			select {
			case beats <- struct{}{}:
			default: // one is there
			}
		}
		close(beats)
		select { // the plugin ended its lease: it must be on its way out
		case <-p.run.exited:
		case <-p.beats.Done():
		case <-time.After(killTimeout):
			p.run.kill()
		}
	})
	return nil
}

// hungSteps is how many times in a row a plugin must be found silent before it is
// killed. They are counted, not timed: when this process was stopped itself, that
// is one step.
const hungSteps = 10

// killWhenHung kills the plugin when no beat has come for hungAfter, until beats is closed.
func (p *process) killWhenHung(beats <-chan struct{}) {
	tick := time.NewTicker(p.host.hungAfter / hungSteps)
	defer tick.Stop()
	for silent := 0; silent < hungSteps; {
		select {
		case _, more := <-beats:
			if !more {
				return
			}
			silent = 0
		case <-tick.C:
			silent++
		}
	}
	p.hung.Store(true)
	p.log.Error("plugin does not answer any more and is killed", "silent_for", p.host.hungAfter)
	p.run.kill()
}

// close lets the plugin go, once: the driver or sink first, then the process.
// It returns what the driver or sink said to that.
func (p *process) close(ctx context.Context) error {
	p.closing.Do(func() {
		p.leaving.Store(true)
		ctx, cancel := context.WithTimeout(ctx, closeTimeout)
		defer cancel()
		if p.letGo != nil && !p.ended() {
			p.closeErr = p.letGo(ctx)
			if ctx.Err() != nil { // it has had its chance
				p.run.kill()
			}
		}
		p.stop()
	})
	return p.closeErr
}

// undo lets a process go whose device or sink was not opened, for a reason. Where the call
// took too long, what closing says is the same again.
func (p *process) undo(ctx context.Context, why error) error {
	late := ctx.Err() != nil
	if err := p.close(context.WithoutCancel(ctx)); !late {
		return errors.Join(why, err)
	}
	return why
}

// ended tells whether the process has ended already.
func (p *process) ended() bool {
	select {
	case <-p.run.exited:
		return true
	default:
		return false
	}
}

// stop ends the process and waits for it. go-plugin asks politely first, but
// without a deadline, so a watchdog stands by.
func (p *process) stop() {
	if p.client != nil {
		watchdog := time.AfterFunc(killTimeout, p.run.kill)
		p.client.Kill()
		watchdog.Stop()
		if p.run.id() != 0 {
			<-p.run.exited
		}
	}
	p.endLease()
	p.lease.Wait()
	if p.run != nil {
		p.run.talk.end()
	}
	p.host.leave(p)
	for _, dir := range []string{p.scratch, p.sockets} {
		if err := os.RemoveAll(dir); err != nil {
			p.log.Warn("directory of plugin stays", "dir", dir, "error", err)
		}
	}
}
