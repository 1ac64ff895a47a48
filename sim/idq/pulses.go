package idq

import (
	"fmt"
	"math"

	"tsrun/sdk/quantity"
	"tsrun/sim/sky"
)

// MaxPulse bounds the height of pulses and how much it varies.
const MaxPulse = 5 * quantity.Volt

// Pulses say how high the pulses of the detectors are, which varies from pulse to pulse by
// a normal distribution: a photon or a dark count is seen if its pulse crosses the
// threshold of its input.
type Pulses struct {
	Height quantity.Voltage // in the mean, either way from 0 V; 0: beyond every threshold
	Spread quantity.Voltage // standard deviation
}

// Check says what cannot be simulated.
func (p Pulses) Check() error {
	switch {
	case p.Height < 0 || p.Height > MaxPulse:
		return fmt.Errorf("simulate pulse_height %v: it must lie from 0 V to %v", p.Height, MaxPulse)
	case p.Spread < 0 || p.Spread > MaxPulse:
		return fmt.Errorf("simulate pulse_spread %v: it must lie from 0 V to %v", p.Spread, MaxPulse)
	case p.Spread > 0 && p.Height == 0:
		return fmt.Errorf("simulate pulse_spread %v: the pulses have no height", p.Spread)
	}
	return nil
}

// Crossing is the part of the pulses that cross a threshold, which the edge turns to
// their side.
func (p Pulses) Crossing(threshold quantity.Voltage) float64 {
	over := float64(p.Height - max(threshold, -threshold))
	switch {
	case p.Height == 0:
		return 1
	case p.Spread > 0:
		return math.Erfc(-over/float64(p.Spread)/math.Sqrt2) / 2
	case over >= 0:
		return 1
	}
	return 0
}

// crossing is the controller that an input sees through its threshold.
func (d *device) crossing(c sky.Controller, input int) sky.Controller {
	if d.config.Pulses.Height == 0 {
		return c
	}
	part := d.config.Pulses.Crossing(quantity.Voltage(d.get(fmt.Sprintf("INPUt%d:THREshold", input)).n))
	efficiency := quantity.Whole
	if c.Efficiency != nil {
		efficiency = *c.Efficiency
	}
	c.Efficiency = new(quantity.Share(math.Round(part * float64(efficiency))))
	c.Dark = quantity.Frequency(math.Round(part * float64(c.Dark)))
	return c
}
