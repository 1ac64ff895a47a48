package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"tsrun/sdk"
	"tsrun/sdk/quantity"
	"tsrun/sim/idq"
	"tsrun/sim/sky"
)

func newSimCommand() *cobra.Command {
	return group("sim", "simulate a Time Controller for other programs",
		newSimIDQCommand(), newSimTDC1Command(), newSimTICCCommand(), newSimReadeventsCommand())
}

// lookFlags are the flags of every simulator: the light, and how it looks at it.
type lookFlags struct {
	light      sky.Settings
	controller sky.Controller
	serial     string
	efficiency quantity.Share
	replay     sky.Replay
	channels   []string
	verbose    bool
}

// simFlags are the flags of tsrun sim idq.
type simFlags struct {
	lookFlags
	config idq.Config
}

func newSimIDQCommand() *cobra.Command {
	var f simFlags
	c := &cobra.Command{
		Use:   "idq",
		Short: "simulate an ID Quantique ID1000 and its DataLinkTargetService",
		Long: `Simulate an ID Quantique ID1000 and its DataLinkTargetService.

Prints JSON lines: first where it listens, then after each acquisition the
ground truth: when it really began, how the clock ran, and what was delivered.
Runs until it is interrupted.

Faults: ` + strings.Join(idq.Faults.List(), ", "),
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return runSimIDQ(c, f) },
	}
	f.add(c)
	return c
}

func (f *simFlags) add(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVar(&f.config.Listen, "listen", "127.0.0.1", "`ADDRESS` to listen on")
	flags.IntVar(&f.config.SCPIPort, "scpi-port", idq.SCPIPort, "`PORT` of the Time Controller; 0 for any")
	flags.IntVar(&f.config.DLTPort, "dlt-port", idq.DLTPort, "`PORT` of the DataLinkTargetService; 0 for any")
	flags.StringVar(&f.config.Folder, "folder", "", "`DIR` where start-save puts files with relative names")
	flags.BoolVar(&f.config.Strict, "strict", false, "refuse SCPI headers that only exist at the root")
	flags.StringVar(&f.controller.StartLine, "start-line", "", "`HOST:PORT` where simulators share a START edge")
	f.lookFlags.add(c)
}

func (f *lookFlags) add(c *cobra.Command) {
	f.efficiency = quantity.Whole
	s, k := &f.light, &f.controller
	s.Pairs = sdk.DefaultLight().Pairs
	flags := c.Flags()
	flags.StringVar(&f.serial, "serial", "", "serial `NUMBER`; simulators with different ones detect independently (default: from where it is)")
	flags.Uint64Var(&s.Seed, "seed", 1, "`NUMBER`: simulators of one seed see the same pairs")
	flags.TextVar(&s.Pairs.Rate, "pairs-rate", s.Pairs.Rate, "`RATE` of photon pairs, as \"50 kHz\"")
	flags.TextVar(&s.Pairs.Jitter, "jitter", s.Pairs.Jitter, "rms `TIME` of each detection")
	flags.TextVar(&f.efficiency, "efficiency", f.efficiency, "`SHARE` of photons that an input detects")
	flags.TextVar(&k.Dark, "dark", k.Dark, "`RATE` of dark counts of each input")
	flags.TextVar(&k.DeadTime, "dead-time", k.DeadTime, "`TIME` of each input after a detection")
	flags.TextVar(&k.ClockOffset, "clock-offset", k.ClockOffset, "`TIME` added to every tag")
	flags.TextVar(&k.Drift, "drift", k.Drift, "`PART` by which the clock runs fast, as \"1 ppm\"")
	flags.TextVar(&k.WhiteFM, "white-fm", k.WhiteFM, "`PART`: white frequency noise of its clock: the Allan deviation at 1 s")
	flags.TextVar(&k.RandomWalkFM, "random-walk-fm", k.RandomWalkFM, "`PART`: random walk of its clock's frequency: the change in 1 s")
	flags.TextVar(&k.StartDelay, "start-delay", k.StartDelay, "`TIME` from a start command to the record's begin")
	flags.StringVar(&f.replay.File, "replay", "", "play a recorded `FILE` instead of the sky")
	flags.StringVar(&f.replay.Format, "format", "", "`FORMAT` of the replayed file where its name does not tell")
	flags.StringSliceVar(&f.channels, "channel", []string{"1=1"}, "`INPUT=CHANNEL` of the replayed file, for each input that plays")
	flags.StringArrayVar(&k.Faults, "fault", nil, "`WHAT` goes wrong, NAME or NAME=VALUE; may be repeated")
	flags.BoolVar(&f.verbose, "verbose", false, "log every request to standard error")
}

// done completes the settings and returns where the simulator logs.
func (f *lookFlags) done(c *cobra.Command) (*slog.Logger, error) {
	f.controller.Efficiency = &f.efficiency
	if f.replay.File != "" {
		channels, err := parseChannels(f.channels)
		if err != nil {
			return nil, err
		}
		f.replay.Channels = channels
		f.controller.Replay = &f.replay
	}
	level := slog.LevelWarn
	if f.verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(c.ErrOrStderr(), &slog.HandlerOptions{Level: level})), nil
}

func runSimIDQ(c *cobra.Command, f simFlags) error {
	log, err := f.done(c)
	if err != nil {
		return err
	}
	f.config.Sky, f.config.Controller, f.config.Serial, f.config.Log = f.light, f.controller, cmp.Or(f.serial, "SIM-"+f.config.Listen), log
	f.config.Priority = idq.Prompt

	out := &simOutput{w: c.OutOrStdout()}
	f.config.Acquired = func(t idq.Truth) { out.write("truth", t) }
	sim, err := idq.New(f.config)
	if err != nil {
		return failure(err)
	}
	return serve(c, out, struct {
		Simulated bool   `json:"simulated"`
		Serial    string `json:"serial"`
		SCPI      string `json:"scpi"`
		DLT       string `json:"dlt"`
		Prompt    bool   `json:"prompt"` // it has a real-time priority
	}{true, f.config.Serial, sim.SCPIAddr(), sim.DLTAddr(), sim.Prompt()}, sim.Run)
}

// serve serves a simulated device until it is interrupted; where is what it prints
// first.
func serve(c *cobra.Command, out *simOutput, where any, run func(context.Context) error) error {
	ctx, stop := interruptible(c.Context())
	defer stop()
	out.write("listening", where)
	if err := run(ctx); err != nil {
		return err
	}
	return out.err
}

// parseChannels reads INPUT=CHANNEL pairs.
func parseChannels(list []string) (map[int]int, error) {
	channels := map[int]int{}
	for _, text := range list {
		left, right, _ := strings.Cut(text, "=")
		input, err1 := strconv.Atoi(left)
		channel, err2 := strconv.Atoi(right)
		if err1 != nil || err2 != nil || input < 1 {
			return nil, usage(fmt.Sprintf("--channel %q: write INPUT=CHANNEL, such as 1=2", text))
		}
		if _, twice := channels[input]; twice {
			return nil, usage(fmt.Sprintf("--channel %q: input %d is given twice", text, input))
		}
		channels[input] = channel
	}
	return channels, nil
}

// simOutput prints values as JSON lines {"NAME": VALUE}, also from several
// goroutines, and keeps the first error.
type simOutput struct {
	mu  sync.Mutex
	w   io.Writer
	err error
}

func (l *simOutput) write(name string, v any) {
	line, err := json.Marshal(map[string]any{name: v})
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		_, err = l.w.Write(append(line, '\n'))
	}
	if l.err == nil {
		l.err = err
	}
}
