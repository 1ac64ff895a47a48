package sky

import (
	"errors"
	"fmt"
	"slices"

	"tsrun/sdk"
	"tsrun/sdk/quantity"
)

// Settings describe the light: they are the [sdk.Light] of a recipe.
type Settings sdk.Light

// Pairs is the source of its photons.
type Pairs = sdk.Pairs

// Check reports everything in the settings that cannot be simulated.
func (s Settings) Check() error { return sdk.Light(s).Check() }

// Controller describes one simulated Time Controller: how it differs from a
// perfect one that stamps true time.
type Controller struct {
	ClockOffset  quantity.Time      `json:"clock_offset,omitempty" jsonschema:"description=Added to every tag"`
	Drift        quantity.Drift     `json:"drift,omitempty" jsonschema:"description=Its clock runs this much fast"`
	WhiteFM      quantity.Drift     `json:"white_fm,omitempty" jsonschema:"description=White frequency noise of its clock: the Allan deviation at 1 s"` // see Wander
	RandomWalkFM quantity.Drift     `json:"random_walk_fm,omitempty" jsonschema:"description=Random walk of its clock's frequency: the rms change in 1 s"`
	StartDelay   quantity.Time      `json:"start_delay,omitempty" jsonschema:"description=From a start command to the begin of the record"`
	Efficiency   *quantity.Share    `json:"efficiency,omitempty" jsonschema:"description=Part of the photons it detects; all where it is left out"`
	Dark         quantity.Frequency `json:"dark,omitempty" jsonschema:"description=Rate of uncorrelated counts of each input"`
	DeadTime     quantity.Time      `json:"dead_time,omitempty" jsonschema:"description=Blindness of each input after a detection"`
	Sees         []string           `json:"sees,omitempty" jsonschema:"minItems=1,maxItems=64,description=Names of the sources of pairs that it sees; the one source of all where it is left out"`
	Replay       *Replay            `json:"replay,omitempty" jsonschema:"description=A recording instead of the light"`
	StartLine    string             `json:"start_line,omitempty" jsonschema:"title=START line,description=host:port where simulators share a START edge for trigger.method: hardware" jsonschema_extras:"shared=true"`
	Faults       []string           `json:"faults,omitempty" jsonschema:"minItems=1,maxItems=64,description=Misbehaviour on request as listed in docs/simulation.md"` // see package idq
}

// Replay plays a recorded file. Times are kept relative to the first tag of
// any channel in the file, so that two controllers that replay one file from
// one start edge keep its time differences exactly.
type Replay struct {
	File     string      `json:"file" jsonschema:"required,title=recording,format=file,description=The recording; its name is relative to the recipe"`
	Format   string      `json:"format,omitempty" jsonschema:"description=Its format where the name does not tell"`
	Channels map[int]int `json:"channels" jsonschema:"required,description=Which channel of the file each input plays"` // input of the controller: channel of the file
}

// Simulation is the input of one simulated controller: the light, which is
// the same for all, and how it looks at it itself.
type Simulation struct {
	Settings
	Controller Controller `json:"controller"`
}

// sources are those of pairs that a controller sees: one of its own for each name, the same
// for all who see it.
func (c Controller) sources(light Settings) []Settings {
	if len(c.Sees) == 0 {
		return []Settings{light}
	}
	var all []Settings
	for _, name := range slices.Compact(slices.Sorted(slices.Values(c.Sees))) {
		own := light
		own.Seed = key(light.Seed, purposeSource, keyOfText(name))
		all = append(all, own)
	}
	return all
}

// What a simulation may ask for. The rates keep a PC able to follow, the
// times keep sums within 64 bits. Any noise must leave the clock running
// forwards: white noise of 1 ppm changes the frequency of a cell by less than
// 200 ppm, and a random walk of 100 ppb adds 1000 ppm in years.
const (
	MaxRate         = sdk.MaxPairRate
	MaxJitter       = sdk.MaxJitter
	MaxDeadTime     = quantity.Millisecond
	MaxDelay        = 10 * quantity.Second
	MaxOffset       = 3600 * quantity.Second
	MaxDrift        = 1_000_000 * quantity.PartPerBillion
	MaxWhiteFM      = 1000 * quantity.PartPerBillion
	MaxRandomWalkFM = 100 * quantity.PartPerBillion
)

// RangeError is of a setting of a controller that cannot be simulated.
type RangeError struct {
	Key              string // "white_fm"
	Value, Low, High fmt.Stringer
}

func (o *RangeError) Error() string {
	return fmt.Sprintf("simulate %s %v: it must lie from %v to %v", o.Key, o.Value, o.Low, o.High)
}

// Check reports everything about the controller that cannot be simulated, each
// a [RangeError], except faults, whose names package idq knows.
func (c Controller) Check() error {
	var wrong []error
	for _, one := range c.OutOfRange() {
		wrong = append(wrong, one)
	}
	return errors.Join(wrong...)
}

// OutOfRange returns the settings that cannot be simulated, one after the other.
func (c Controller) OutOfRange() (wrong []*RangeError) {
	efficiency := quantity.Whole
	if c.Efficiency != nil {
		efficiency = *c.Efficiency
	}
	for _, one := range []*RangeError{
		within("clock_offset", c.ClockOffset, -MaxOffset, MaxOffset),
		within("drift", c.Drift, -MaxDrift, MaxDrift),
		within("white_fm", c.WhiteFM, 0, MaxWhiteFM),
		within("random_walk_fm", c.RandomWalkFM, 0, MaxRandomWalkFM),
		within("start_delay", c.StartDelay, 0, MaxDelay),
		within("efficiency", efficiency, 0, quantity.Whole),
		within("dark", c.Dark, 0, MaxRate),
		within("dead_time", c.DeadTime, 0, MaxDeadTime),
	} {
		if one != nil {
			wrong = append(wrong, one)
		}
	}
	return wrong
}

// within checks one quantity against its bounds, both included; nil: it is
// within.
func within[T interface {
	~int64
	fmt.Stringer
}](key string, v, low, high T) *RangeError {
	if v < low || v > high {
		return &RangeError{key, v, low, high}
	}
	return nil
}
