package idq

import (
	"math"
	"testing"

	"tsrun/sdk/quantity"
)

func TestPulsesThatCross(t *testing.T) {
	p := Pulses{Height: 120 * quantity.Millivolt, Spread: 25 * quantity.Millivolt}
	for threshold, want := range map[quantity.Voltage]float64{0: 1, 95: 0.8413, 120: 0.5, -120: 0.5, 145: 0.1587, 1000: 0} {
		if got := p.Crossing(threshold * quantity.Millivolt); math.Abs(got-want) > 1e-4 {
			t.Errorf("%d mV: %v, want %v", threshold, got, want)
		}
	}
	p.Spread = 0
	if p.Crossing(p.Height) != 1 || p.Crossing(p.Height+1) != 0 || (Pulses{}).Crossing(5*quantity.Volt) != 1 {
		t.Error("pulses of one height do not cross at it alone")
	}
	for _, bad := range []Pulses{{Height: -1}, {Height: MaxPulse + 1}, {Height: 1, Spread: -1}, {Height: 1, Spread: MaxPulse + 1}, {Spread: 1}} {
		if bad.Check() == nil {
			t.Errorf("%+v can be simulated", bad)
		}
	}
}
