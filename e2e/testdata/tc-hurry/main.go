// Command tc-hurry is a driver without a device, for tests: it delivers an
// acquisition as fast as it is taken, however long it is said to be, ends early
// where it is told to, and talks.
package main

import (
	"context"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tsrun/sdk"
	"tsrun/sdk/quantity"
)

type config struct {
	Every    quantity.Time `json:"every,omitempty" jsonschema:"description=between two tags of an input"`
	End      quantity.Time `json:"end,omitempty" jsonschema:"description=of the record; the whole acquisition where it is left out"`
	Jump     quantity.Time `json:"jump,omitempty" jsonschema:"description=the last tag is this much later than the end"`
	Back     quantity.Time `json:"back,omitempty" jsonschema:"description=the last tag of all is this much earlier than the one before it"`
	Pace     quantity.Time `json:"pace,omitempty" jsonschema:"description=of real time for each 100 tags"`
	Open     quantity.Time `json:"open,omitempty" jsonschema:"description=how long the device takes to open"`
	Arm      quantity.Time `json:"arm,omitempty" jsonschema:"description=how long it takes to arm"`
	Lines    int           `json:"lines,omitempty" jsonschema:"description=of the log"`
	LineSize int           `json:"line_size,omitempty" jsonschema:"description=bytes of each"`
	DelayMax quantity.Time `json:"delay_max,omitempty" jsonschema:"description=the longest delay of an input"`
	RateMax  int64         `json:"rate_max,omitempty" jsonschema:"description=tags per second over all inputs"`
	Live     quantity.Time `json:"live,omitempty" jsonschema:"description=what the device holds of tags that come at their time; older ones are lost"`
	Light    bool          `json:"light,omitempty" jsonschema:"description=tags come by chance and all inputs of all controllers see the same, each within 200 ps"`
}

type hurry struct {
	config
	run    sdk.Acquisition
	log    *slog.Logger
	photon uint64 // ps: when the latest was there
	light  *rand.Rand
	jitter *rand.Rand
}

func open(ctx context.Context, env sdk.Env, c config) (sdk.Driver, error) {
	wait(ctx, c.Open)
	instance := fnv.New64()
	_, _ = instance.Write([]byte(env.Instance)) // never fails
	return &hurry{config: c, log: env.Log, light: rand.New(rand.NewPCG(1, 2)), jitter: rand.New(rand.NewPCG(3, instance.Sum64()))}, nil
}

func (h *hurry) Describe(context.Context) (sdk.Device, error) {
	d := sdk.Device{Vendor: "Test", Model: "hurry", ResolutionPs: 1, Simulated: true, MaxRateHz: h.RateMax,
		Can: sdk.Capabilities{ScheduledStart: true, InputDelay: true}}
	for n := range 999 {
		d.Inputs = append(d.Inputs, sdk.Input{Number: n + 1, DelayMax: int64(h.DelayMax)})
	}
	return d, nil
}

func wait(ctx context.Context, t quantity.Time) {
	select {
	case <-ctx.Done():
	case <-time.After(time.Duration(t) / 1000): // ps to ns
	}
}

func (h *hurry) Arm(ctx context.Context, a sdk.Acquisition) error {
	wait(ctx, h.config.Arm)
	h.run = a
	return nil
}

func (h *hurry) Acquire(ctx context.Context, start *sdk.Start, out *sdk.Stream) error {
	if err := start.Fire(ctx, func() error { return nil }); err != nil {
		return err
	}
	for range h.Lines {
		h.log.Info(strings.Repeat("x", h.LineSize))
	}
	end := uint64(h.run.Duration) * 1000 // ns to ps
	if h.End > 0 {
		end = uint64(h.End)
	}
	if h.Live > 0 {
		return h.acquireLive(ctx, end, out)
	}
	every := uint64(h.Every)
	for at, n := uint64(0), 0; at < end && ctx.Err() == nil; at, n = at+100*every, n+1 {
		until := min(at+100*every, end)
		tags := h.tags(at, until)
		for _, c := range h.run.Channels {
			if err := out.Send(c.Stream, h.seen(tags)); err != nil {
				return err
			}
			if err := out.Mark(c.Stream, until); err != nil {
				return err
			}
		}
		wait(ctx, h.Pace)
	}
	if h.Back > 0 {
		return out.Send(h.run.Channels[0].Stream, []uint64{end, end - uint64(h.Back)})
	}
	if h.Jump > 0 {
		return out.Send(h.run.Channels[0].Stream, []uint64{end + uint64(h.Jump)})
	}
	return nil
}

// tags are those from one time to another, in ps.
func (h *hurry) tags(from, until uint64) (tags []uint64) {
	if !h.Light {
		for t := from; t < until; t += uint64(h.Every) {
			tags = append(tags, t)
		}
		return tags
	}
	for ; h.photon < until; h.photon += 1000 + uint64(h.light.ExpFloat64()*float64(h.Every)) {
		if h.photon+1000 < until && h.photon >= from {
			tags = append(tags, h.photon)
		}
	}
	return tags
}

// seen is what one input sees of light.
func (h *hurry) seen(tags []uint64) []uint64 {
	if !h.Light {
		return tags
	}
	seen := make([]uint64, len(tags))
	for i, t := range tags {
		seen[i] = t + h.jitter.Uint64N(200)
	}
	return seen
}

func (h *hurry) Close() error { return nil }

func main() {
	name := filepath.Base(os.Args[0])
	var more []sdk.DriverOption
	if name == "tc-bare" { // the same without thresholds
		more = append(more, sdk.NoThresholds())
	}
	sdk.Serve(sdk.Plugin{Name: name, Version: "0.1.0", Summary: "Delivers at once.",
		Drivers: []sdk.DriverType{sdk.NewDriver(name, config{Every: quantity.Millisecond}, open, more...)}})
}
