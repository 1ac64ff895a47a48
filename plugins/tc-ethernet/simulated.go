package main

import (
	"context"
	"fmt"
	"math"
	"net"
	"time"

	"tsrun/sdk"
	"tsrun/sdk/instrument"
	"tsrun/sim/idq"
	"tsrun/sim/sky"
)

// simulator is a simulated Time Controller with its DataLinkTarget service, in
// this process. The driver talks to it over loopback as to a real one.
type simulator struct {
	endpoint
	controller *idq.Controller
	startDelay time.Duration
	cancel     context.CancelFunc
	done       chan error
}

// simulation is what a recipe may say of the simulated controllers of a node.
type simulation struct{ sky.Controller }

// Check finds what the schema of the settings does not tell.
func (s simulation) Check(a sdk.Acquisition) (found []*sdk.Failure) {
	for _, wrong := range s.OutOfRange() {
		found = append(found, instrument.Mistake(wrong.Key, fmt.Sprintf("%v is out of range", wrong.Value), fmt.Sprintf("write %v to %v", wrong.Low, wrong.High)))
	}
	if s.Replay != nil {
		for input, channel := range s.Replay.Channels {
			if channel < 0 || channel > math.MaxUint16 {
				found = append(found, instrument.Mistake(fmt.Sprintf("replay.channels.%d", input), fmt.Sprintf("%d is out of range", channel), "write 0 to 65535"))
			}
		}
	}
	for i, fault := range s.Faults {
		if err := idq.CheckFaults([]string{fault}); err != nil {
			found = append(found, instrument.Mistake(fmt.Sprintf("faults.%d", i), err.Error(), "leave it out to simulate a controller that behaves"))
		}
	}
	switch {
	case a.Method == sdk.Hardware && s.StartLine == "":
		found = append(found, instrument.Mistake("", `missing key "start_line": trigger.method: hardware starts simulated controllers by a START line`,
			"add start_line: 127.0.0.1:7001, the same at each node"))
	case s.StartLine != "" && !isLine(s.StartLine):
		found = append(found, instrument.Mistake("start_line", fmt.Sprintf("%q is not host:port", s.StartLine), "write it like 127.0.0.1:7001"))
	case a.Method == sdk.Scheduled && s.StartLine != "":
		found = append(found, instrument.Mistake("start_line", "nothing uses a START line with trigger.method: scheduled", "write method: hardware, or remove it"))
	}
	return found
}

func isLine(text string) bool {
	host, port, err := net.SplitHostPort(text)
	return err == nil && isHost(host) && isPort(port)
}

// startSimulator starts a simulated controller on free ports of loopback.
func startSimulator(env sdk.Env) (*simulator, error) {
	var s simulation
	light, err := env.Simulated(&s)
	if err != nil {
		return nil, err
	}
	if len(env.Simulation) == 0 {
		env.Log.Warn("the simulated controller is in the dark: the recipe has no simulate section")
	}
	controller, err := idq.New(idq.Config{Sky: sky.Settings(light), Controller: s.Controller, Serial: serial(env.Instance), Log: env.Log})
	if err != nil {
		return nil, &sdk.Failure{Code: "bad-config", Field: "simulate", Message: err.Error(),
			Hint: "correct the recipe's simulate section"}
	}
	ctx, cancel := context.WithCancel(context.Background())
	sim := &simulator{controller: controller, startDelay: s.StartDelay.Duration(), cancel: cancel, done: make(chan error, 1)}
	sim.scpi, sim.dlt = controller.SCPIAddr(), controller.DLTAddr()
	if sim.host, _, err = net.SplitHostPort(sim.scpi); err != nil {
		cancel()
		return nil, err
	}
	go func() { sim.done <- controller.Run(ctx) }()
	return sim, nil
}

// serial makes a serial number of the instance's name, so that each simulated
// controller of an experiment has its own noise.
func serial(instance string) string {
	if instance == "" {
		return "SIMULATED"
	}
	return "SIMULATED-" + instance
}

func (s *simulator) stop() error {
	s.cancel()
	return <-s.done
}
