package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"time"

	"tsrun/sdk"
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

// startSimulator starts a simulated controller on free ports of loopback.
func startSimulator(env sdk.Env) (*simulator, error) {
	var s sky.Simulation
	if len(env.Simulation) > 0 {
		decoder := json.NewDecoder(bytes.NewReader(env.Simulation))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&s); err != nil {
			return nil, &sdk.Failure{Code: "bad-config", Field: "simulate", Message: fmt.Sprintf("read simulation: %v", err),
				Hint: "compare the recipe's simulate section with the documentation"}
		}
	} else {
		env.Log.Warn("the simulated controller is in the dark: the recipe has no simulate section")
	}
	controller, err := idq.New(idq.Config{Sky: s.Settings, Controller: s.Controller, Serial: serial(env.Instance), Log: env.Log})
	if err != nil {
		return nil, &sdk.Failure{Code: "bad-config", Field: "simulate", Message: err.Error(),
			Hint: "correct the recipe's simulate section"}
	}
	ctx, cancel := context.WithCancel(context.Background())
	sim := &simulator{controller: controller, startDelay: s.Controller.StartDelay.Duration(), cancel: cancel, done: make(chan error, 1)}
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
