package core_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tsrun/pipeline/core"
	"tsrun/pipeline/host"
	"tsrun/sdk"
	"tsrun/sdk/tag"
)

const benchPlugin = "bench-plugin"

const (
	benchRounds = 5
	benchTags   = 64 << 20 // in one round: 512 MiB
	benchSend   = 1 << 17  // in one call of Send, and in one write to the plain socket: 1 MiB
	hotTags     = 1 << 15  // of a driver that uses its memory again: 256 KiB
	benchBytes  = benchTags * tag.Size
	benchGB     = benchBytes / 1e9
)

func servePlugin() {
	sdk.Serve(sdk.Plugin{Name: benchPlugin,
		Drivers: []sdk.DriverType{sdk.NewDriver(benchPlugin, benchConfig{}, func(_ context.Context, _ sdk.Env, c benchConfig) (sdk.Driver, error) {
			return &benchDriver{c: c}, nil
		})},
		Sinks: []sdk.SinkType{sdk.NewSink("discard", struct{}{}, func(context.Context, sdk.Env, struct{}) (sdk.Sink, error) {
			return discard{}, nil
		})}})
}

type benchConfig struct {
	Plain string `json:"plain"` // path of a plain socket to write to instead
	Hot   bool   `json:"hot"`   // tags are made in the same memory again and again
}

type benchDriver struct {
	c      benchConfig
	stream uint16
	tags   []uint64
}

func (d *benchDriver) Describe(context.Context) (sdk.Device, error) { return sdk.Device{}, nil }
func (d *benchDriver) Close() error                                 { return nil }

func (d *benchDriver) Arm(_ context.Context, a sdk.Acquisition) error {
	d.stream = a.Channels[0].Stream
	if d.tags = make([]uint64, hotTags); !d.c.Hot {
		d.tags = make([]uint64, benchTags)
	}
	makeTags(d.tags, 0)
	return nil
}

// makeTags makes tags of a recording from number from on.
func makeTags(tags []uint64, from int) {
	for i := range tags {
		tags[i] = uint64(from+i) * 10_000 // 100 Mtags/s
	}
}

// Acquire sends tags that were never in the cache together, as those of a driver that
// keeps them, or makes them where those before were, as one that decodes into a buffer.
func (d *benchDriver) Acquire(_ context.Context, _ *sdk.Start, out *sdk.Stream) error {
	var tags []uint64
	send := func() error { return out.Send(d.stream, tags) }
	if d.c.Plain != "" {
		conn, err := net.Dial("unix", d.c.Plain)
		if err != nil {
			return err
		}
		defer conn.Close()
		send = func() error {
			_, err := conn.Write(tag.AsBytes(tags))
			return err
		}
	}
	size := min(benchSend, len(d.tags))
	for sent := 0; sent < benchTags; sent += size {
		if d.c.Hot {
			tags = d.tags
			makeTags(tags, sent)
		} else {
			tags = d.tags[sent : sent+size]
		}
		if err := send(); err != nil {
			return err
		}
	}
	return nil
}

type discard struct{}

func (discard) Begin(context.Context, sdk.Recording) error { return nil }
func (discard) Write(context.Context, *tag.Block) error    { return nil }
func (discard) Finish(context.Context) error               { return nil }
func (discard) Close() error                               { return nil }

// BenchmarkPluginToCore compares the path of blocks from a plugin's process to
// the core, without a sink, with a plain unix socket that moves the same bytes
// between the same processes in the same run, from memory that is not in the cache and
// from memory that is; the goal is a ratio of 0.8.
func BenchmarkPluginToCore(b *testing.B) {
	for b.Loop() {
		for _, of := range []benchConfig{{}, {Hot: true}} {
			var plain, rates, cost []float64
			for range benchRounds {
				took, used := timeBlocks(b, of, nil)
				blocks := took.Seconds()
				plain = append(plain, timePlain(b, of).Seconds()/blocks)
				rates, cost = append(rates, benchTags*8/blocks/1e9), append(cost, used)
			}
			memory := map[bool]string{true: "-hot"}[of.Hot]
			b.ReportMetric(median(cost), "CPU-s/GB"+memory)
			b.ReportMetric(median(plain), "of-plain-socket"+memory)
			b.ReportMetric(median(rates), "GB/s"+memory)
		}
		b.ReportMetric(0, "ns/op")
	}
}

// BenchmarkPluginToCoreToSink times tags from a driver's process through the
// core to a sink's process that throws them away; the goal is 100 Mtags/s.
func BenchmarkPluginToCoreToSink(b *testing.B) {
	for b.Loop() {
		var rates, cost []float64
		for range benchRounds {
			took, used := timeBlocks(b, benchConfig{}, &benchSink{plugin: benchPlugin})
			rates, cost = append(rates, benchTags/took.Seconds()/1e6), append(cost, used)
		}
		b.ReportMetric(median(cost), "CPU-s/GB")
		b.ReportMetric(median(rates), "Mtags/s")
		b.ReportMetric(0, "ns/op")
	}
}

// benchSink is a sink to send to: a plugin, and where it is found.
type benchSink struct {
	plugin, dir string
	resumable   bool   // the core keeps for it what it has not acknowledged
	prepare     func() // called just before tags come; may be nil
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

func benchHost(b *testing.B, to *benchSink) (*host.Host, string) {
	b.Helper()
	dir, err := os.MkdirTemp("", "ts")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(dir) })
	self, err := os.Executable()
	if err == nil {
		err = os.Symlink(self, filepath.Join(dir, benchPlugin))
	}
	if err != nil {
		b.Fatal(err)
	}
	dirs := []string{dir}
	if to != nil && to.dir != "" {
		dirs = append(dirs, to.dir)
	}
	h, err := host.New(host.Options{Dirs: dirs, Runtime: filepath.Join(dir, "r")})
	if err != nil {
		b.Fatal(err)
	}
	return h, dir
}

// timeBlocks returns how long the tags take from the start of the driver until
// its streams have ended, and with a sink until it has finished; and the processor
// time that all processes have used for a GB, in seconds.
func timeBlocks(b *testing.B, of benchConfig, to *benchSink) (took time.Duration, used float64) {
	b.Helper()
	h, dir := benchHost(b, to)
	defer os.RemoveAll(dir)
	defer h.Close()
	c := core.New(dir, nil)
	c.RunID = run
	in, err := c.Inlet("in", []uint16{1})
	if err != nil {
		b.Fatal(err)
	}
	var out string
	if to != nil {
		if out, err = c.Outlet("out", []uint16{1}); err != nil {
			b.Fatal(err)
		}
	}
	var ring string
	if to != nil && to.resumable {
		if ring, err = c.Retain("out"); err != nil {
			b.Fatal(err)
		}
	}
	done := make(chan error, 1)
	go func() { done <- c.Run(b.Context()) }()
	driver := startDriver(b, h, of, in)
	var sink *host.Sink
	if to != nil {
		if sink, err = h.StartSink(b.Context(), host.Spec{Plugin: to.plugin, Instance: "sink"}); err != nil {
			b.Fatal(err)
		}
		begin := sdk.Recording{Run: run, Dir: dir, Streams: []sdk.RecordedStream{{Stream: 1, Name: "a"}}}
		if err := sink.Begin(b.Context(), begin, out, ring); err != nil {
			b.Fatal(err)
		}
	}
	if to != nil && to.prepare != nil {
		to.prepare()
	}
	before, began := processorTime(), time.Now()
	if err := driver.Start(b.Context(), time.Time{}, false); err != nil {
		b.Fatal(err)
	}
	if err := <-done; err != nil {
		b.Fatal(err)
	}
	if to != nil {
		if err := sink.Finish(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	took, used = time.Since(began), (processorTime()-before)/benchGB
	if n := c.Counts()[0].Tags; n != benchTags {
		b.Fatalf("%d tags arrived, want %d", n, benchTags)
	}
	return took, used
}

// processorTime is what this process and its plugins have used, in seconds; 0 where
// there is no /proc. It is counted by the thread, in nanoseconds.
func processorTime() (sum float64) {
	processes := []string{"self"}
	threads, _ := filepath.Glob("/proc/self/task/*/children")
	for _, t := range threads {
		children, _ := os.ReadFile(t)
		processes = append(processes, strings.Fields(string(children))...)
	}
	for _, p := range processes {
		threads, _ := filepath.Glob("/proc/" + p + "/task/*/schedstat")
		for _, t := range threads {
			line, _ := os.ReadFile(t)
			ns, _, _ := strings.Cut(string(line), " ")
			n, _ := strconv.ParseFloat(ns, 64)
			sum += n / 1e9
		}
	}
	return sum
}

// timePlain is timeBlocks over a plain socket, from the first byte to the last.
func timePlain(b *testing.B, of benchConfig) time.Duration {
	b.Helper()
	h, dir := benchHost(b, nil)
	defer h.Close()
	c := core.New(dir, nil)
	in, err := c.Inlet("in", []uint16{1})
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- c.Run(b.Context()) }()
	path := filepath.Join(dir, "plain")
	l, err := net.Listen("unix", path)
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	of.Plain = path
	driver := startDriver(b, h, of, in)
	began := time.Now()
	if err := driver.Start(b.Context(), time.Time{}, false); err != nil {
		b.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	buffer := tag.AsBytes(make([]uint64, benchSend))
	for range benchTags / benchSend {
		if _, err := io.ReadFull(conn, buffer); err != nil {
			b.Fatal(err)
		}
	}
	took := time.Since(began)
	if err := <-done; err != nil {
		b.Fatal(err)
	}
	return took
}

func startDriver(b *testing.B, h *host.Host, c benchConfig, endpoint string) *host.Driver {
	b.Helper()
	config, err := json.Marshal(c)
	if err != nil {
		b.Fatal(err)
	}
	d, err := h.StartDriver(b.Context(), host.Spec{Plugin: benchPlugin, Instance: "driver", Config: config})
	if err != nil {
		b.Fatal(err)
	}
	a := sdk.Acquisition{Run: run, Channels: []sdk.Channel{{Stream: 1, Name: "a", Input: 1}}}
	if err := d.Arm(b.Context(), a, endpoint); err != nil {
		b.Fatal(err)
	}
	go func() { // until the driver is closed
		for range d.Events() {
		}
	}()
	return d
}
