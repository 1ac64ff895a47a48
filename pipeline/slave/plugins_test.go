package slave

import (
	"context"
	"crypto/sha256"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tsrun/internal/need"
	"tsrun/pipeline/core"
	"tsrun/sdk"
	"tsrun/sdk/tag"
)

// The test binary plays the plugins of these tests: a link to it with the
// plugin's name is a plugin of that name.
func TestMain(m *testing.M) {
	need.OwnFiles()
	switch name := filepath.Base(os.Args[0]); name {
	case "tc-test":
		sdk.Serve(sdk.Plugin{Name: name, Version: "1", Summary: "Plays a controller.",
			Drivers: []sdk.DriverType{sdk.NewDriver(name, testDriver{}, func(_ context.Context, _ sdk.Env, d testDriver) (sdk.Driver, error) { return d.open() })}})
	case "sink-test":
		sdk.Serve(sdk.Plugin{Name: name, Version: "1", Summary: "Keeps tags in files.",
			Sinks: []sdk.SinkType{sdk.NewSink(name, testSink{}, func(_ context.Context, _ sdk.Env, k testSink) (sdk.Sink, error) { return &k, nil })}})
	case "sink-anew":
		sdk.Serve(sdk.Plugin{Name: name, Version: "1", Summary: "Is one that another process can go on for.",
			Sinks: []sdk.SinkType{sdk.NewSink(name, testSink{}, func(_ context.Context, _ sdk.Env, k testSink) (sdk.Sink, error) { return &k, nil }).Keeping(sdk.AllTags).Resumable()}})
	default:
		goleak.VerifyTestMain(m)
	}
}

// testDriver plays a device with one input that sees 1000 tags, 1 us apart.
type testDriver struct {
	Mode string `json:"mode" jsonschema:"enum=,enum=absent,enum=no-arm,enum=no-start,enum=endless,enum=flood,enum=deaf,enum=breaks,enum=lossy,enum=unseen,enum=unseen-dark"`
	a    sdk.Acquisition
}

func (d testDriver) open() (sdk.Driver, error) {
	if d.Mode == "absent" {
		return nil, &sdk.Failure{Code: "device-timeout", Message: "no answer", Hint: "is it switched on?"}
	}
	return &d, nil
}

func (d *testDriver) Describe(context.Context) (sdk.Device, error) {
	return sdk.Device{Vendor: "Example", Model: "Ramp", Serial: "7", ResolutionPs: 1, Simulated: true,
		Inputs: []sdk.Input{{Number: 1}}, Can: sdk.Capabilities{ScheduledStart: true}}, nil
}

func (d *testDriver) Arm(_ context.Context, a sdk.Acquisition) error {
	if d.a = a; d.Mode == "no-arm" {
		return &sdk.Failure{Code: "device-refused", Message: "it will not be armed"}
	}
	return nil
}

func (d *testDriver) Acquire(ctx context.Context, start *sdk.Start, out *sdk.Stream) error {
	stream, end := d.a.Channels[0].Stream, uint64(d.a.Duration)*1000
	if d.Mode == "unseen-dark" {
		return out.Mark(stream, end)
	}
	if d.Mode != "unseen" {
		err := start.Fire(ctx, func() error {
			if d.Mode == "no-start" {
				return &sdk.Failure{Code: "device-refused", Message: "it will not start"}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	for i := uint64(0); d.Mode == "flood" && ctx.Err() == nil; i += 1 << 16 {
		tags := make([]uint64, 1<<16)
		for n := range tags {
			tags[n] = i + uint64(n)
		}
		if err := out.Send(stream, tags); err != nil {
			return err
		}
	}
	for d.Mode == "deaf" {
		if err := out.Send(stream, []uint64{1}); err != nil {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
	for i := uint64(0); d.Mode != "flood" && i < 1000 || d.Mode == "endless" && ctx.Err() == nil; i++ {
		if err := out.Send(stream, []uint64{i * 1_000_000}); err != nil {
			return err
		}
		if i >= 1000 {
			time.Sleep(time.Millisecond)
		}
		if d.Mode == "breaks" && i == 500 {
			return &sdk.Failure{Code: "device-lost", Message: "the device is gone"}
		}
	}
	if d.Mode == "lossy" {
		out.Lost(stream, 3, "buffer overflow")
	}
	return out.Mark(stream, end)
}

func (d *testDriver) Report() any { return map[string]string{"mode": d.Mode} }

func (d *testDriver) Close() error { return nil }

// testSink writes the tags of its one stream to one file.
type testSink struct {
	Mode string `json:"mode" jsonschema:"enum=,enum=full,enum=stalls"`
	r    sdk.Recording
	tags []byte
}

func (k *testSink) Begin(_ context.Context, r sdk.Recording) error {
	k.r = r
	return nil
}

func (k *testSink) Write(_ context.Context, b *tag.Block) error {
	if k.Mode == "full" {
		return &sdk.Failure{Code: "disk-full", Message: "no space left on device"}
	}
	if k.Mode == "stalls" && len(k.tags) == 0 {
		time.Sleep(core.DefaultPatience + time.Second)
	}
	k.tags = append(k.tags, tag.AsBytes(b.Tags)...)
	return nil
}

func (k *testSink) Finish(context.Context) error {
	name := k.r.Streams[0].Name + "-000000.bin"
	if err := os.WriteFile(filepath.Join(k.r.Dir, name), k.tags, 0o600); err != nil {
		return err
	}
	k.r.Closed(sdk.Artifact{Path: name, Stream: k.r.Streams[0].Stream, Size: int64(len(k.tags)),
		SHA256: sha256.Sum256(k.tags), Tags: uint64(len(k.tags) / 8)})
	return nil
}

func (k *testSink) Close() error { return nil }
