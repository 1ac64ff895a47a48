package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	goplugin "github.com/hashicorp/go-plugin"
	"go.uber.org/goleak"
	"google.golang.org/grpc"

	"tsrun/internal/need"
	"tsrun/sdk"
	"tsrun/sdk/quantity"
	"tsrun/sdk/tag"
)

// The test binary plays every plugin of these tests, good and bad: a link to
// it with the plugin's name is a plugin of that name.
func TestMain(m *testing.M) {
	need.OwnFiles()
	if play, ok := roles[filepath.Base(os.Args[0])]; ok {
		play()
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

var roles = map[string]func(){
	"tc-test":      func() { sdk.Serve(testPlugin("tc-test")) },
	"tc-played":    func() { sdk.Serve(playedPlugin()) },
	"runtime-held": holdRuntime,
	"sink-test":    func() { sdk.Serve(testPlugin("sink-test")) },
	"tc-former": func() { // of the release before: protocol 1
		os.Setenv("PLUGIN_PROTOCOL_VERSIONS", "1")
		sdk.Serve(testPlugin("tc-former"))
	},
	"tc-panics": func() { panic("no licence file") },
	"tc-exits": func() {
		fmt.Fprintln(os.Stderr, "cannot open the licence file")
		os.Exit(3)
	},
	"tc-noisy": func() {
		fmt.Println("vendor library 4.2 loaded")
		sdk.Serve(testPlugin("tc-noisy"))
	},
	"tc-silent": func() { forever() },
	"tc-future": func() { // of the next release, which has left the protocols of this one
		goplugin.Serve(&goplugin.ServeConfig{
			HandshakeConfig:  goplugin.HandshakeConfig{MagicCookieKey: sdk.CookieKey, MagicCookieValue: sdk.CookieValue},
			VersionedPlugins: map[int]goplugin.PluginSet{sdk.ProtocolVersion + 1: {"tsrun": nothing{}}},
			GRPCServer:       goplugin.DefaultGRPCServer,
		})
	},
	"the-host": playHost,
}

// nothing serves a plugin protocol without services.
type nothing struct{ dispenser }

func (nothing) GRPCServer(*goplugin.GRPCBroker, *grpc.Server) error { return nil }

func forever() {
	for {
		time.Sleep(time.Hour)
	}
}

func testPlugin(name string) sdk.Plugin {
	return sdk.Plugin{Name: name, Version: "1.2.3", Summary: "Plays a controller.",
		Drivers: []sdk.DriverType{sdk.NewDriver("tc-test", driverConfig{Tags: 1000, Spacing: quantity.Nanosecond}, openDriver)},
		Sinks:   []sdk.SinkType{sdk.NewSink("sink-test", sinkConfig{}, openSink)}}
}

// playedPlugin simulates its device where it is told to, and says what it knows
// of the simulation.
func playedPlugin() sdk.Plugin {
	type settings struct {
		Dark quantity.Frequency `json:"dark"`
	}
	type config struct {
		Address string `json:"address"`
	}
	open := func(_ context.Context, env sdk.Env, _ config) (sdk.Driver, error) {
		var s settings
		light, err := env.Simulated(&s)
		return told(fmt.Sprintf("%d bytes; seed %d, %v, dark %v", len(env.Simulation), light.Seed, light.Pairs.Rate, s.Dark)), err
	}
	return sdk.Plugin{Name: "tc-played", Drivers: []sdk.DriverType{
		sdk.NewDriver("tc-played", config{}, open, sdk.Simulates(settings{}, sdk.When{"address": "sim"}), sdk.NoThresholds())}}
}

// told is a device that says what its driver was told.
type told string

func (d told) Describe(context.Context) (sdk.Device, error) {
	return sdk.Device{Identity: string(d)}, nil
}
func (told) Arm(context.Context, sdk.Acquisition) error             { return nil }
func (told) Acquire(context.Context, *sdk.Start, *sdk.Stream) error { return nil }
func (told) Close() error                                           { return nil }

type driverConfig struct {
	Mode    string        `json:"mode" jsonschema:"enum=,enum=endless,enum=panic,enum=crash,enum=hang-close,enum=deaf,enum=no-device,enum=lossy,enum=bad-arm"`
	Tags    int           `json:"tags" jsonschema:"minimum=0"`
	Spacing quantity.Time `json:"spacing" jsonschema:"description=time between tags"`
	Trace   string        `json:"trace"` // file that Close leaves behind
}

type driver struct {
	driverConfig
	a sdk.Acquisition
}

func openDriver(_ context.Context, env sdk.Env, c driverConfig) (sdk.Driver, error) {
	if c.Mode == "no-device" {
		return nil, &sdk.Failure{Code: "device-timeout", Message: "connect to 192.0.2.7: no answer", Hint: "is it switched on?", Field: "address"}
	}
	fmt.Println("chatter of a vendor's library")
	env.Log.Info("device open", "spacing_ps", int64(c.Spacing))
	return &driver{driverConfig: c}, nil
}

func (d *driver) Describe(context.Context) (sdk.Device, error) {
	return sdk.Device{Vendor: "Example", Model: "Ramp", Serial: "7", ResolutionPs: 1, Simulated: true,
		Inputs: []sdk.Input{{Number: 1, ThresholdMin: -2e6, ThresholdMax: 2e6}}, Can: sdk.Capabilities{ScheduledStart: true}}, nil
}

func (d *driver) Arm(_ context.Context, a sdk.Acquisition) error {
	if d.Mode == "bad-arm" {
		d.Mode = "" // only once
		return &sdk.Failure{Code: "no-clock", Message: "arm: no reference clock"}
	}
	d.a = a
	return nil
}

func (d *driver) Acquire(ctx context.Context, start *sdk.Start, out *sdk.Stream) error {
	if err := start.Fire(ctx, func() error { return nil }); err != nil {
		return err
	}
	switch d.Mode {
	case "panic":
		panic("index out of range")
	case "crash":
		time.AfterFunc(time.Second, func() { panic("a bug in another goroutine") }) // the answer to the order to start is out by then
		forever()
	case "deaf":
		forever()
	}
	tags := make([]uint64, 0, 100)
	for i := 0; i < d.Tags || d.Mode == "endless" && ctx.Err() == nil; {
		tags = tags[:0]
		for ; len(tags) < cap(tags) && (i < d.Tags || d.Mode == "endless"); i++ {
			tags = append(tags, uint64(i)*uint64(d.Spacing))
		}
		for _, c := range d.a.Channels {
			if err := out.Send(c.Stream, tags); err != nil {
				return err
			}
		}
		if d.Mode == "endless" {
			time.Sleep(time.Millisecond)
		}
	}
	for _, c := range d.a.Channels {
		if d.Mode == "lossy" {
			out.Lost(c.Stream, 3, "fifo overflow")
		}
		if err := out.Mark(c.Stream, uint64(d.a.Duration)*1000); err != nil {
			return err
		}
	}
	return nil
}

func (d *driver) Report() any { return map[string]any{"mode": d.Mode} }

func (d *driver) Close() error {
	if d.Mode == "hang-close" {
		forever()
	}
	if d.Trace != "" {
		return os.WriteFile(d.Trace, []byte("safe"), 0o600)
	}
	return nil
}

type sinkConfig struct {
	Mode string `json:"mode" jsonschema:"enum=,enum=full,enum=slow,enum=panic"`
}

// sink writes the tags of each stream to one file.
type sink struct {
	sinkConfig
	r     sdk.Recording
	files map[uint16]*os.File
	tags  map[uint16]uint64
}

func openSink(_ context.Context, _ sdk.Env, c sinkConfig) (sdk.Sink, error) {
	return &sink{sinkConfig: c, files: map[uint16]*os.File{}, tags: map[uint16]uint64{}}, nil
}

func (k *sink) Begin(_ context.Context, r sdk.Recording) error {
	k.r = r
	for _, s := range r.Streams {
		f, err := os.Create(filepath.Join(r.Dir, s.Name+".bin"))
		if err != nil {
			return err
		}
		k.files[s.Stream] = f
	}
	return nil
}

func (k *sink) Write(ctx context.Context, b *tag.Block) error {
	switch k.Mode {
	case "full":
		return &sdk.Failure{Code: "disk-full", Message: "write segment: no space left on device", Hint: "free some"}
	case "slow":
		<-ctx.Done()
		return ctx.Err()
	case "panic":
		panic("nil map")
	}
	k.tags[b.Stream] += uint64(len(b.Tags))
	_, err := k.files[b.Stream].Write(tag.AsBytes(b.Tags))
	return err
}

func (k *sink) Finish(context.Context) error {
	for _, s := range k.r.Streams {
		if err := k.files[s.Stream].Sync(); err != nil {
			return err
		}
		k.r.Closed(sdk.Artifact{Path: s.Name + ".bin", Stream: s.Stream, Tags: k.tags[s.Stream], Size: int64(8 * k.tags[s.Stream])})
	}
	return nil
}

func (k *sink) Close() error {
	var errs []error
	for _, f := range k.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// playHost is a host in a process of its own, to be killed: it starts a
// plugin, says its process id, and waits.
func playHost() {
	signal.Ignore(syscall.SIGTERM)
	h, err := New(Options{Dirs: []string{os.Args[1]}, Runtime: os.Args[2], Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		panic(err)
	}
	d, err := h.StartDriver(context.Background(), Spec{Plugin: "tc-test", Instance: "alice.tc", Config: []byte(os.Args[3])})
	if err != nil {
		panic(err)
	}
	fmt.Println(d.PID())
	forever()
}
