package sky

import (
	"errors"
	"fmt"

	"tsrun/sdk/quantity"
)

// Settings describe the light. They are the keys of a recipe's simulate
// section that are not names of nodes.
type Settings struct {
	Seed  uint64 `json:"seed"`
	Pairs Pairs  `json:"pairs"`
}

// Pairs is a source of correlated photons: each pair is offered to every
// input of every controller, which sees it with its own efficiency and jitter.
type Pairs struct {
	Rate   quantity.Frequency `json:"rate"`
	Jitter quantity.Time      `json:"jitter"` // rms, of each detection
}

// Controller describes one simulated Time Controller: how it differs from a
// perfect one that stamps true time.
type Controller struct {
	ClockOffset  quantity.Time      `json:"clock_offset,omitempty"`   // added to every tag
	Drift        quantity.Drift     `json:"drift,omitempty"`          // its clock runs this much fast
	WhiteFM      quantity.Drift     `json:"white_fm,omitempty"`       // its clock's noise, see Wander
	RandomWalkFM quantity.Drift     `json:"random_walk_fm,omitempty"` //
	StartDelay   quantity.Time      `json:"start_delay,omitempty"`    // from a start command to the record's begin
	Efficiency   *quantity.Share    `json:"efficiency,omitempty"`     // nil: 100 %
	Dark         quantity.Frequency `json:"dark,omitempty"`           // uncorrelated counts of each input
	DeadTime     quantity.Time      `json:"dead_time,omitempty"`      // of each input after a detection
	Replay       *Replay            `json:"replay,omitempty"`         // a recording instead of the light
	StartLine    string             `json:"start_line,omitempty"`     // host:port where simulators share a START edge
	Faults       []string           `json:"faults,omitempty"`         // misbehaviour on request, see package idq
}

// Replay plays a recorded file. Times are kept relative to the first tag of
// any channel in the file, so that two controllers that replay one file from
// one start edge keep its time differences exactly.
type Replay struct {
	File     string      `json:"file"`
	Format   string      `json:"format,omitempty"` // where the name does not tell
	Channels map[int]int `json:"channels"`         // input of the controller: channel of the file
}

// Simulation is all that one simulated controller is told: the light, which is
// the same for all, and how it looks at it itself.
type Simulation struct {
	Settings
	Controller Controller `json:"controller"`
}

// What a simulation may ask for. The rates keep a PC able to follow, the
// times keep sums within 64 bits. Any noise must leave the clock running
// forwards: white noise of 1 ppm changes the frequency of a cell by less than
// 200 ppm, and a random walk of 100 ppb adds 1000 ppm in years.
const (
	MaxRate         = 100_000_000 * quantity.Hertz
	MaxJitter       = quantity.Microsecond
	MaxDeadTime     = quantity.Millisecond
	MaxDelay        = 10 * quantity.Second
	MaxOffset       = 3600 * quantity.Second
	MaxDrift        = 1_000_000 * quantity.PartPerBillion
	MaxWhiteFM      = 1000 * quantity.PartPerBillion
	MaxRandomWalkFM = 100 * quantity.PartPerBillion
)

// Check reports everything in the settings that cannot be simulated.
func (s Settings) Check() error {
	return errors.Join(
		within("pairs.rate", s.Pairs.Rate, 0, MaxRate),
		within("pairs.jitter", s.Pairs.Jitter, 0, MaxJitter),
	)
}

// Check reports everything about the controller that cannot be simulated,
// except faults, whose names package idq knows.
func (c Controller) Check() error {
	errs := []error{
		within("clock_offset", c.ClockOffset, -MaxOffset, MaxOffset),
		within("drift", c.Drift, -MaxDrift, MaxDrift),
		within("white_fm", c.WhiteFM, 0, MaxWhiteFM),
		within("random_walk_fm", c.RandomWalkFM, 0, MaxRandomWalkFM),
		within("start_delay", c.StartDelay, 0, MaxDelay),
		within("dark", c.Dark, 0, MaxRate),
		within("dead_time", c.DeadTime, 0, MaxDeadTime),
	}
	if c.Efficiency != nil {
		errs = append(errs, within("efficiency", *c.Efficiency, 0, quantity.Whole))
	}
	return errors.Join(errs...)
}

// within checks one quantity against its bounds, both included.
func within[T interface {
	~int64
	fmt.Stringer
}](name string, v, low, high T) error {
	if v < low || v > high {
		return fmt.Errorf("simulate %s %v: it must lie from %v to %v", name, v, low, high)
	}
	return nil
}
