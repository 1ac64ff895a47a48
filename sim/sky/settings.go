// Package sky is what simulated Time Controllers look at: photon pairs that
// are a pure function of a seed and of true time, so that simulators in
// different processes, on different PCs, see the same pairs without talking.
package sky

import "tsrun/pipeline/quantity"

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
	ClockOffset quantity.Time      `json:"clock_offset,omitempty"` // added to every tag
	Drift       quantity.Drift     `json:"drift,omitempty"`        // its clock runs this much fast
	StartDelay  quantity.Time      `json:"start_delay,omitempty"`  // from a start command to the record's begin
	Efficiency  *quantity.Share    `json:"efficiency,omitempty"`   // nil: 100 %
	Dark        quantity.Frequency `json:"dark,omitempty"`         // uncorrelated counts of each input
	DeadTime    quantity.Time      `json:"dead_time,omitempty"`    // of each input after a detection
	Replay      *Replay            `json:"replay,omitempty"`       // a recording instead of the light
	StartLine   string             `json:"start_line,omitempty"`   // host:port where simulators share a START edge
	Faults      []string           `json:"faults,omitempty"`       // misbehaviour on request, see package idq
}

// Replay plays a recorded file. Times are kept relative to the first tag of
// any channel in the file, so that two controllers that replay one file from
// one start edge keep its time differences exactly.
type Replay struct {
	File     string      `json:"file"`
	Format   string      `json:"format,omitempty"` // where the name does not tell
	Channels map[int]int `json:"channels"`         // input of the controller: channel of the file
}
