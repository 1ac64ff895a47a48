package main

import (
	"context"
	"fmt"

	"tsrun/sdk"
	"tsrun/sdk/instrument"
	"tsrun/sdk/quantity"
	"tsrun/sim/pty"
	"tsrun/sim/sky"
	"tsrun/sim/tdc1"
	"tsrun/sim/tdc2"
	"tsrun/sim/ticc"
)

// simulation is what a recipe may say of the simulated devices of a node.
type simulation struct {
	sky.Controller
	Reference bool          `json:"reference,omitempty" jsonschema:"description=A 10 MHz reference is connected; its clock then keeps true time"`
	Firmware  string        `json:"firmware,omitempty" jsonschema:"enum=2017,enum=2020,enum=2025,description=Year of a TICC's firmware; 2025 where it is left out"`
	Boot      quantity.Time `json:"boot,omitempty" jsonschema:"description=From the reset of a TICC to its sync: 500 ms where it is left out and 11.5 s of a real one"`
	Jumper    bool          `json:"jumper,omitempty" jsonschema:"description=Opening the port does not reset a TICC"`
}

// Check finds what the schema of the settings does not tell.
func (s simulation) Check(sdk.Acquisition) (found []*sdk.Failure) {
	for _, wrong := range s.OutOfRange() {
		found = append(found, instrument.Mistake(wrong.Key, fmt.Sprintf("%v is out of range", wrong.Value), fmt.Sprintf("write %v to %v", wrong.Low, wrong.High)))
	}
	for i, fault := range s.Faults {
		if err := tdc1.Faults.Check([]string{fault}); err != nil && ticc.Faults.Check([]string{fault}) != nil && tdc2.Faults.Check([]string{fault}) != nil {
			found = append(found, instrument.Mistake(fmt.Sprintf("faults.%d", i), err.Error(), "leave it out to simulate a device that behaves"))
		}
	}
	if s.Boot < 0 || s.Boot > 12*quantity.Second {
		found = append(found, instrument.Mistake("boot", fmt.Sprintf("%v is out of range", s.Boot), "write 0 s to 12 s"))
	}
	if s.StartLine != "" {
		found = append(found, instrument.Mistake("start_line", "these devices have no START input", "remove it"))
	}
	return found
}

// simulator is a simulated device, in this process, behind a real line.
type simulator struct {
	path   string
	truth  func() *sky.Truth       // nil where it is not known
	stamps func(input int) []int64 // of a TICC, on its own time scale
	cancel context.CancelFunc
	done   chan error
}

// startTDC1 starts a simulated TDC1.
func startTDC1(env sdk.Env) (*simulator, error) {
	s, line, err := readSimulation(env)
	if err != nil {
		return nil, err
	}
	d, err := tdc1.New(tdc1.Config{Config: line, Reference: s.Reference})
	if err != nil {
		return nil, badSimulation(err)
	}
	return startSimulator(d.Path(), d.Truth, d.Run), nil
}

// startTICC starts a simulated TICC.
func startTICC(env sdk.Env) (*simulator, error) {
	s, line, err := readSimulation(env)
	if err == nil {
		err = s.beginsAtOnce()
	}
	if err != nil {
		return nil, err
	}
	d, err := ticc.New(ticc.Config{Config: line, Firmware: s.Firmware, Boot: s.Boot.Duration(), Jumper: s.Jumper})
	if err != nil {
		return nil, badSimulation(err)
	}
	sim := startSimulator(d.Path(), d.Truth, d.Run)
	sim.stamps = d.Stamps
	return sim, nil
}

func readSimulation(env sdk.Env) (s simulation, line pty.Config, err error) {
	light, err := env.Simulated(&s)
	if err == nil && len(env.Simulation) == 0 {
		env.Log.Warn("the simulated device is in the dark: the recipe has no simulate section")
	}
	return s, pty.Config{Light: sky.Settings(light), Controller: s.Controller, Serial: serialNumber(env.Instance), Log: env.Log}, err
}

// beginsAtOnce refuses the delay of a start command for a device that gets none: it
// writes all the time, and the driver takes what is of the acquisition.
func (s simulation) beginsAtOnce() error {
	if s.StartDelay == 0 {
		return nil
	}
	return &sdk.Failure{Code: "bad-config", Field: "start_delay", Message: "start_delay is of a TDC1: no command starts this device",
		Hint: "remove it from the recipe's simulate section"}
}

func badSimulation(err error) error {
	return &sdk.Failure{Code: "bad-config", Field: "simulate", Message: err.Error(), Hint: "correct the recipe's simulate section"}
}

func startSimulator(path string, truth func() sky.Truth, run func(context.Context) error) *simulator {
	ctx, cancel := context.WithCancel(context.Background())
	s := &simulator{path: path, cancel: cancel, done: make(chan error, 1)}
	s.truth = func() *sky.Truth {
		t := truth()
		return &t
	}
	go func() { s.done <- run(ctx) }()
	return s
}

// serialNumber is made of the instance's name, so that each simulated device of
// an experiment has its own noise.
func serialNumber(instance string) string {
	if instance == "" {
		return "SIMULATED"
	}
	return "SIMULATED-" + instance
}

func (s *simulator) stop() error {
	if s.cancel == nil { // it ends with each acquisition
		return nil
	}
	s.cancel()
	return <-s.done
}
