// Command tc-block is a driver for measurements: a device that is simulated as cheaply as
// can be, so that what handles its tags is what is measured. It repeats a tenth of a second
// of light, all inputs of all controllers the same, at its time, and holds the last second:
// what is not taken by then is lost.
package main

import (
	"context"
	"hash/fnv"
	"math/rand/v2"
	"time"

	"tsrun/sdk"
	"tsrun/sdk/quantity"
)

const (
	blockPs = uint64(100 * quantity.Millisecond)
	stepPs  = uint64(2 * quantity.Millisecond) // that is sent in one piece
	deadPs  = 1000                             // between two photons at least
	jitter  = 200                              // ps
	holds   = time.Second
)

type config struct {
	Rate quantity.Frequency `json:"rate" jsonschema:"description=mean rate of each input"`
}

type block struct {
	config
	asked  sdk.Acquisition
	jitter *rand.Rand
	light  [][]uint64 // of each channel, in the first tenth of a second
}

func open(_ context.Context, env sdk.Env, c config) (sdk.Driver, error) {
	instance := fnv.New64()
	_, _ = instance.Write([]byte(env.Instance)) // never fails
	return &block{config: c, jitter: rand.New(rand.NewPCG(3, instance.Sum64()))}, nil
}

func (b *block) Describe(context.Context) (sdk.Device, error) {
	return sdk.Device{Vendor: "Example", Model: "block", ResolutionPs: 1, Simulated: true,
		Inputs: []sdk.Input{{Number: 1}, {Number: 2}}, Can: sdk.Capabilities{ScheduledStart: true}}, nil
}

func (b *block) Arm(_ context.Context, a sdk.Acquisition) error {
	b.asked, b.light = a, nil
	for range a.Channels {
		photons, tags := rand.New(rand.NewPCG(1, 2)), []uint64(nil)
		mean := max(1e15/float64(max(b.Rate, quantity.Hertz))-deadPs, 1)
		for at := uint64(0); at < blockPs-deadPs; at += deadPs + uint64(photons.ExpFloat64()*mean) {
			tags = append(tags, at+b.jitter.Uint64N(jitter))
		}
		b.light = append(b.light, tags)
	}
	return nil
}

func (b *block) Acquire(ctx context.Context, start *sdk.Start, out *sdk.Stream) error {
	if err := start.Fire(ctx, func() error { return nil }); err != nil {
		return err
	}
	begun, end, sent := time.Now(), uint64(b.asked.Duration)*1000, make([]int, len(b.light)) // ns to ps
	var piece []uint64
	for at := uint64(0); (end == 0 || at < end) && ctx.Err() == nil; at += stepPs {
		due := begun.Add(time.Duration((at + stepPs) / 1000)) // ps to ns
		if early := time.Until(due); early > 0 {
			time.Sleep(early)
		}
		behind := time.Since(due) > holds
		for i, c := range b.asked.Channels {
			if at%blockPs == 0 {
				sent[i] = 0
			}
			from := at - at%blockPs
			piece = piece[:0]
			for ; sent[i] < len(b.light[i]) && b.light[i][sent[i]]+from < at+stepPs; sent[i]++ {
				piece = append(piece, b.light[i][sent[i]]+from)
			}
			if behind {
				out.Lost(c.Stream, uint64(len(piece)), "nobody took them for a second")
			} else if err := out.Send(c.Stream, piece); err != nil {
				return err
			}
			if err := out.Mark(c.Stream, at+stepPs); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *block) Close() error { return nil }

func main() {
	sdk.Serve(sdk.Plugin{Name: "tc-block", Version: "0.1.0", Summary: "Repeats a tenth of a second of simulated light.",
		Drivers: []sdk.DriverType{sdk.NewDriver("tc-block", config{Rate: 1000 * quantity.Kilohertz}, open)}})
}
