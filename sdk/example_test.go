package sdk_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"tsrun/sdk"
	"tsrun/sdk/quantity"
)

// config is what a recipe may set. The tags become the schema that recipes are
// checked against.
type config struct {
	Rate quantity.Frequency `json:"rate" jsonschema:"description=mean rate of each input"`
	Seed uint64             `json:"seed" jsonschema:"description=of the random times"`
}

// noise is a driver without a device: its inputs count random events.
type noise struct {
	config
	env sdk.Env
	run sdk.Acquisition
}

func open(_ context.Context, env sdk.Env, c config) (sdk.Driver, error) {
	if c.Rate == 0 {
		return nil, &sdk.Failure{Code: "bad-config", Message: "open: the rate is 0",
			Hint: "set a rate such as 20 kHz", Field: "rate"}
	}
	return &noise{config: c, env: env}, nil
}

func (n *noise) Describe(context.Context) (sdk.Device, error) {
	return sdk.Device{Vendor: "Example", Model: "noise", ResolutionPs: 1, Simulated: true,
		Inputs: []sdk.Input{{Number: 1}, {Number: 2}},
		Can:    sdk.Capabilities{ScheduledStart: true}}, nil
}

func (n *noise) Arm(_ context.Context, a sdk.Acquisition) error {
	n.run = a // a real driver programs thresholds and delays here
	return nil
}

func (n *noise) Acquire(ctx context.Context, start *sdk.Start, out *sdk.Stream) error {
	if err := start.Fire(ctx, func() error { return nil }); err != nil { // a real driver starts its device here
		return err
	}
	const ms = uint64(quantity.Millisecond)
	end := uint64(n.run.Duration) * 1000 // ns to ps
	random := rand.New(rand.NewPCG(n.Seed, 0))
	spacing := 1e15 / float64(n.Rate) // mean, in ps; the rate is in mHz
	next := make(map[uint16]uint64)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for reached := uint64(0); reached < end || end == 0; {
		select {
		case <-ctx.Done():
			return nil // stopped: what was recorded has been sent
		case <-tick.C:
		}
		reached += ms
		for _, c := range n.run.Channels {
			var tags []uint64
			for ; next[c.Stream] < reached; next[c.Stream] += uint64(random.ExpFloat64() * spacing) {
				tags = append(tags, next[c.Stream])
			}
			if err := out.Send(c.Stream, tags); err != nil {
				return fmt.Errorf("send %s: %w", c.Name, err)
			}
			if err := out.Mark(c.Stream, reached); err != nil { // nothing earlier comes any more
				return fmt.Errorf("mark %s: %w", c.Name, err)
			}
		}
	}
	return nil
}

func (n *noise) Close() error { return nil }

// This is the whole of a plugin with a driver.
func Example() {
	sdk.Serve(sdk.Plugin{
		Name: "tc-noise", Version: "0.1.0", Summary: "Random events instead of photons.",
		Drivers: []sdk.DriverType{sdk.NewDriver("tc-noise", config{Rate: 20 * quantity.Kilohertz}, open)},
	})
}
