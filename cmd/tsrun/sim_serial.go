package main

import (
	"cmp"
	"strings"

	"github.com/spf13/cobra"

	"tsrun/sim/pty"
	"tsrun/sim/sky"
	"tsrun/sim/tdc1"
	"tsrun/sim/tdc2"
	"tsrun/sim/ticc"
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

Faults: ` + strings.Join(tdc1.Faults.List(), ", "),
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			log, err := f.done(c)
			if err != nil {
				return err
			}
			serial, out := cmp.Or(f.serial, "SIM-TDC1"), &simOutput{w: c.OutOrStdout()}
			d, err := tdc1.New(tdc1.Config{Config: pty.Config{Light: f.light, Controller: f.controller, Serial: serial, Log: log}, Reference: reference,
				Acquired: func(t sky.Truth) { out.write("truth", t) }})
			if err != nil {
				return failure(err)
			}
			return serve(c, out, onLine{true, serial, d.Path()}, d.Run)
		},
	}
	f.add(c)
	c.Flags().BoolVar(&reference, "reference", false, "a 10 MHz reference is connected")
	return c
}

func newSimTICCCommand() *cobra.Command {
	var f lookFlags
	var config ticc.Config
	c := &cobra.Command{
		Use:   "ticc",
		Short: "simulate a TAPR TICC on a serial line",
		Long: `Simulate a TAPR TICC on a serial line.

Prints a JSON line: the device file that a program opens, which resets the TICC.
When it is interrupted it prints the ground truth of what it wrote since the last
reset. It has the menu of its firmware: # opens that of 2025, and restarts older ones.

Faults: ` + strings.Join(ticc.Faults.List(), ", "),
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if config.Log, err = f.done(c); err != nil {
				return err
			}
			config.Light, config.Controller, config.Serial = f.light, f.controller, cmp.Or(f.serial, "SIM-TICC")
			d, err := ticc.New(config)
			if err != nil {
				return failure(err)
			}
			out := &simOutput{w: c.OutOrStdout()}
			err = serve(c, out, onLine{true, config.Serial, d.Path()}, d.Run)
			out.write("truth", d.Truth())
			return cmp.Or(err, out.err)
		},
	}
	f.add(c)
	c.Flags().StringVar(&config.Firmware, "firmware", ticc.Firmware2025, "`YEAR` of the firmware: 2017, 2020 or 2025")
	c.Flags().DurationVar(&config.Boot, "boot", ticc.RealBoot, "`TIME` from a reset to the sync")
	c.Flags().BoolVar(&config.Jumper, "jumper", false, "opening the line does not reset it")
	return c
}

func newSimReadeventsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   tdc2.Program + " [OPTION]...",
		Short: "simulate an S-Fifteen TDC2 behind its program " + tdc2.Program,
		Long: `Simulate ` + tdc2.Program + `, the program that reads an S-Fifteen TDC2: it takes the same
options (such as -a1 -A -q 1000) and signals, and writes the same words to standard
output until SIGTERM. What it looks at is in ` + tdc2.Environment + `, as JSON:

  {"light": {"seed": 7, "pairs": {"rate": "20 kHz", "jitter": "80 ps"}},
   "controller": {"dark": "2 kHz", "drift": "12 ppb"}, "serial": "TWO", "truth": "truth.json"}

Faults: ` + strings.Join(tdc2.Faults.List(), ", "),
		DisableFlagParsing: true,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 && (args[0] == "--help" || args[0] == "-h") {
				return c.Help()
			}
			ctx, stop := interruptible(c.Context())
			defer stop()
			return failure(tdc2.Run(ctx, args, c.OutOrStdout()))
		},
	}
}
