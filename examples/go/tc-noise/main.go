// Command tc-noise is the smallest driver: random events instead of photons.
package main

import (
	"context"
	"math/rand/v2"
	"time"

	"tsrun/sdk"
	"tsrun/sdk/quantity"
)

type config struct {
	Rate quantity.Frequency `json:"rate" jsonschema:"description=mean rate of each input"`
}
type noise struct {
	config
	asked sdk.Acquisition
}

func open(_ context.Context, _ sdk.Env, c config) (sdk.Driver, error) {
	return &noise{config: c}, nil // device: connect, and make sure that it is the right one
}
func (n *noise) Describe(context.Context) (sdk.Device, error) {
	return sdk.Device{Vendor: "Example", Model: "noise", ResolutionPs: 1, Simulated: true,
		Inputs: []sdk.Input{{Number: 1}, {Number: 2}}, Can: sdk.Capabilities{ScheduledStart: true}}, nil
}
func (n *noise) Arm(_ context.Context, a sdk.Acquisition) error {
	for _, c := range a.Channels {
		if c.Input < 1 || c.Input > 2 {
			return &sdk.Failure{Code: "bad-acquisition", Message: "arm: there is no such input", Hint: "take 1 or 2"}
		}
	}
	n.asked = a // device: thresholds and delays
	return nil
}
func (n *noise) Acquire(ctx context.Context, start *sdk.Start, out *sdk.Stream) error {
	if err := start.Fire(ctx, func() error { return nil }); err != nil { // device: its start
		return err
	}
	end, next := uint64(n.asked.Duration)*1000, map[uint16]uint64{} // ps
	for reached := uint64(0); ctx.Err() == nil && (end == 0 || reached < end); time.Sleep(time.Millisecond) {
		reached += uint64(quantity.Millisecond)
		for _, c := range n.asked.Channels {
			var tags []uint64 // device: those that it has by now
			for ; next[c.Stream] < reached; next[c.Stream] += uint64(rand.ExpFloat64() * 1e15 / float64(max(n.Rate, quantity.Hertz))) {
				tags = append(tags, next[c.Stream])
			}
			if out.Send(c.Stream, tags) != nil || out.Mark(c.Stream, reached) != nil {
				return nil // the stream keeps its failure
			}
		}
	}
	return nil
}
func (n *noise) Close() error { return nil }
func main() {
	sdk.Serve(sdk.Plugin{Name: "tc-noise", Version: "0.1.0", Summary: "Random events instead of photons.", Drivers: []sdk.DriverType{
		sdk.NewDriver("tc-noise", config{Rate: 20 * quantity.Kilohertz}, open)}})
}
