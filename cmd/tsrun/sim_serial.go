package main

import (
	"cmp"
	"context"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"tsrun/sim/sky"
	"tsrun/sim/tdc1"
)

// onLine is what a simulator prints first: the device file that a program opens.
type onLine struct {
	Simulated bool   `json:"simulated"`
	Serial    string `json:"serial"`
	Port      string `json:"port"`
}

func newSimTDC1Command() *cobra.Command {
	var f lookFlags
	var reference bool
	c := &cobra.Command{
		Use:   "tdc1",
		Short: "simulate an S-Fifteen TDC1 on a serial line",
		Long: `Simulate an S-Fifteen TDC1 on a serial line.

Prints JSON lines: first the device file that a program opens, then after each
acquisition the ground truth. Runs until it is interrupted.

Faults: ` + strings.Join(tdc1.Faults(), ", "),
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			log, err := f.done(c)
			if err != nil {
				return err
			}
			serial, out := cmp.Or(f.serial, "SIM-TDC1"), &simOutput{w: c.OutOrStdout()}
			d, err := tdc1.New(tdc1.Config{Light: f.light, Controller: f.controller, Reference: reference, Serial: serial, Log: log,
				Acquired: func(t sky.Truth) { out.write("truth", t) }})
			if err != nil {
				return failure(err)
			}
			return serveLine(c, out, onLine{true, serial, d.Path()}, d.Run)
		},
	}
	f.add(c)
	c.Flags().BoolVar(&reference, "reference", false, "a 10 MHz reference is connected")
	return c
}

// serveLine serves a simulated device on a serial line until it is interrupted.
func serveLine(c *cobra.Command, out *simOutput, where onLine, run func(context.Context) error) error {
	ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	out.write("listening", where)
	if err := run(ctx); err != nil {
		return &exitError{exitOther, err}
	}
	return out.err
}
