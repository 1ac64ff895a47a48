package sdk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"tsrun/sdk/quantity"
)

// Light is what every simulated device of a recipe looks at: a source of photon
// pairs, which is a pure function of the seed and of time. Drivers of different
// vendors that simulate it alike see the same pairs.
type Light struct {
	Seed  uint64 `json:"seed"`
	Pairs Pairs  `json:"pairs"`
}

// Pairs is a source of correlated photons: each pair is offered to every
// input of every controller, which sees it with its own efficiency and jitter.
type Pairs struct {
	Rate   quantity.Frequency `json:"rate"`   // mean, 0 is darkness
	Jitter quantity.Time      `json:"jitter"` // rms, of each detection
}

// What a light may be: a PC has to be able to follow it, and sums have to stay
// within 64 bits.
const (
	MaxPairRate = 100_000_000 * quantity.Hertz
	MaxJitter   = quantity.Microsecond
)

// DefaultLight is the light of a recipe that does not describe it.
func DefaultLight() Light {
	return Light{Seed: 1, Pairs: Pairs{Rate: 20 * quantity.Kilohertz, Jitter: 80 * quantity.Picosecond}}
}

// Check reports everything about the light that cannot be simulated.
func (l Light) Check() error {
	var wrong []error
	if r := l.Pairs.Rate; r < 0 || r > MaxPairRate {
		wrong = append(wrong, fmt.Errorf("simulate pairs.rate %v: it must lie from 0 Hz to %v", r, MaxPairRate))
	}
	if j := l.Pairs.Jitter; j < 0 || j > MaxJitter {
		wrong = append(wrong, fmt.Errorf("simulate pairs.jitter %v: it must lie from 0 s to %v", j, MaxJitter))
	}
	return errors.Join(wrong...)
}

// Simulation is what a driver gets to know whose device is simulated, as JSON in
// Env.Simulation.
type Simulation struct {
	Light
	Controller json.RawMessage `json:"controller"` // the recipe's section simulate.NODE: see [Simulates]
}

// Simulator says in an [Offer] that a driver can play its device by itself.
type Simulator struct {
	Schema json.RawMessage `json:"schema"`         // JSON Schema 2020-12 of the section simulate.NODE
	When   When            `json:"when,omitempty"` // left out: the device is always simulated
}

// When names configurations: those in which each key has this value, be it
// written or the default.
type When map[string]any

// Simulated says whether a configuration means a simulated device. Only the
// plugin knows: it has said it in its offer.
func (o *Offer) Simulated(config json.RawMessage) bool {
	if o == nil || o.Simulation == nil {
		return false
	}
	values := map[string]json.RawMessage{}
	for _, text := range []json.RawMessage{o.Defaults, config} {
		if len(bytes.TrimSpace(text)) > 0 && json.Unmarshal(text, &values) != nil {
			return false // the mistake is reported where the configuration is checked
		}
	}
	for key, want := range o.Simulation.When {
		text, err := json.Marshal(want)
		var got bytes.Buffer
		if err != nil || json.Compact(&got, values[key]) != nil || !bytes.Equal(got.Bytes(), text) {
			return false
		}
	}
	return true
}

// DriverOption says more about a driver than its configuration: see [Simulates]
// and [NoThresholds].
type DriverOption func(*DriverType)

// Simulates says that a driver can play its device by itself, for the
// configurations that when names (nil: for all).
//
// S is a struct like the configuration of [NewDriver]: its keys are what a
// recipe may write about the simulated devices of a node, under simulate. The
// host checks them against the schema that follows from S, and `tsrun check`
// finds what S finds where it is a [DriverChecker]. A text with the format
// "file" (`jsonschema:"title=recording,format=file"`) names a file to read,
// relative to the recipe; the driver gets its whole path. A key that is marked
// shared (`jsonschema_extras:"shared=true"`) must say the same at each node.
//
// The driver reads both, light and settings, by [Env.Simulated].
func Simulates[S any](defaults S, when When) DriverOption {
	return func(t *DriverType) {
		t.simulation = func() (*Simulator, error) {
			o, err := describeConfig(t.name, defaults)
			return &Simulator{Schema: o.Schema, When: when}, err
		}
		t.checkSimulation = checkOf[S, Acquisition](defaults)
	}
}

// NoThresholds says that the inputs of the driver's devices have no thresholds:
// a recipe gives them none.
func NoThresholds() DriverOption {
	return func(t *DriverType) { t.noThresholds = true }
}

// Simulated reads what the recipe says of the simulated device: the light, and
// the settings of the node into settings, which points to the type that
// [Simulates] was given. Without a simulation it is dark.
func (e Env) Simulated(settings any) (Light, error) {
	var s Simulation
	if len(e.Simulation) == 0 {
		return s.Light, nil
	}
	err := decodeStrictly(e.Simulation, &s)
	if err == nil && len(s.Controller) > 0 {
		err = decodeStrictly(s.Controller, settings)
	}
	if err != nil {
		return s.Light, &Failure{Code: "bad-config", Field: "simulate", Message: fmt.Sprintf("read simulation: %v", err),
			Hint: "compare the recipe's simulate section with the documentation"}
	}
	return s.Light, nil
}
