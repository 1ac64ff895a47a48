package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"tsrun/sdk"
	"tsrun/sdk/fifteen"
	"tsrun/sdk/instrument"
	"tsrun/sdk/quantity"
	"tsrun/sim/sky"
	"tsrun/sim/tdc2"
)

const (
	tdc2Lowest  = -1024 * quantity.Millivolt
	tdc2Highest = 2047 * quantity.Millivolt
	tdc2Unused  = 768 // threshold of an input without a channel: that of NIM
	// helperTry is how long the helper is tried before the start.
	helperTry = 500 * time.Millisecond
	// helperEnd is how long the helper may take to end when it is told to; while words
	// come that were asked for, the time begins anew, up to helperMost: on a busy PC
	// they come late.
	helperEnd  = 5 * time.Second
	helperMost = time.Minute
	// helperWords bounds what is kept of what the helper says, in bytes.
	helperWords = 4096
)

// tdc2Driver controls one TDC2 through readevents7, the program of its maker,
// which writes the words of the device to its standard output.
type tdc2Driver struct {
	device
	program string
	before  []string // arguments before those of readevents7
	env     []string
	report  *tdc2Report

	withdraw func() // the announcement that this process has the device; nil of a simulated one
}

// tdc2Report is what the manifest keeps of an acquisition.
type tdc2Report struct {
	Device     string       `json:"device"`
	Command    []string     `json:"command"`
	OriginTick uint64       `json:"origin_tick"` // the device's time at the start, which is 0 in the tags, in 1/256 ns
	Stopped    bool         `json:"stopped"`
	Killed     bool         `json:"killed,omitempty"` // readevents7 did not end when it was told to
	Stream     wordCount    `json:"stream"`
	Channels   []laneReport `json:"channels"`
	Simulation *sky.Truth   `json:"simulation,omitempty"`
}

func openTDC2(_ context.Context, env sdk.Env, c config) (sdk.Driver, error) {
	d := &tdc2Driver{device: device{log: env.Log, config: c}, program: c.Program, env: os.Environ()}
	if c.Port == simulated {
		return d, d.simulate(env)
	}
	path, err := exec.LookPath(c.Program)
	if err != nil {
		return nil, &sdk.Failure{Code: "program-missing", Field: "program", Message: fmt.Sprintf("find %s: %v", c.Program, err),
			Hint: "a TDC2 is read by readevents7 of its maker; install it, or give its path in program"}
	}
	if d.program, err = filepath.Abs(path); err != nil {
		return nil, err
	}
	if by := owner(c.Port); by != "" {
		return nil, &sdk.Failure{Code: "port-busy", Field: "port", Message: fmt.Sprintf("the device %s is in use by %s", c.Port, by), Hint: "end the other program, or give another device"}
	}
	d.withdraw = announce(c.Port)
	return d, nil
}

// simulate makes this program the helper, which main sees to.
func (d *tdc2Driver) simulate(env sdk.Env) error {
	s, line, err := readSimulation(env)
	if err == nil {
		err = s.beginsAtOnce()
	}
	if err == nil {
		d.program, err = os.Executable()
	}
	if err != nil {
		return err
	}
	if err := tdc2.Faults.Check(line.Controller.Faults); err != nil {
		return badSimulation(err)
	}
	truth := filepath.Join(env.Dir, "truth.json")
	d.before, d.sim = []string{tdc2.Program}, &simulator{truth: func() (t *sky.Truth) {
		text, err := os.ReadFile(truth)
		if err != nil || json.Unmarshal(text, &t) != nil {
			return nil
		}
		return t
	}}
	settings, err := json.Marshal(tdc2.Settings{Light: line.Light, Controller: line.Controller, Serial: line.Serial, Truth: truth})
	d.env = append(d.env, tdc2.Environment+"="+string(settings))
	return err
}

// Describe reports what the device is and can do.
func (d *tdc2Driver) Describe(context.Context) (sdk.Device, error) {
	device := sdk.Device{Vendor: "S-Fifteen Instruments", Model: "TDC2", ResolutionPs: 1, // ticks of 3.90625 ps come as the nearest
		Can: sdk.Capabilities{ScheduledStart: true}, Simulated: d.sim != nil}
	for n := range fifteen.Detectors {
		device.Inputs = append(device.Inputs, sdk.Input{Number: n + 1, ThresholdMin: int64(tdc2Lowest), ThresholdMax: int64(tdc2Highest)})
	}
	return device, nil
}

// checkTDC2 finds what the device cannot do: the sign of a threshold is its edge.
func checkTDC2(channels []sdk.Channel) []*sdk.Failure {
	found := checkInputs(channels, fifteen.Detectors)
	for _, c := range channels {
		switch {
		case c.Threshold < int64(tdc2Lowest) || c.Threshold > int64(tdc2Highest):
			found = append(found, bad(c, "threshold", fmt.Sprintf("a threshold of %v is not possible", quantity.Voltage(c.Threshold)), fmt.Sprintf("write %v to %v", tdc2Lowest, tdc2Highest)))
		case c.Falling != (c.Threshold < 0):
			found = append(found, bad(c, "edge", fmt.Sprintf("not possible with a threshold of %v", quantity.Voltage(c.Threshold)),
				"a TDC2 takes pulses below a negative threshold (edge: falling) and above a positive one (edge: rising)"))
		}
	}
	return found
}

// arguments are the command line of the helper.
func (d *tdc2Driver) arguments(channels []sdk.Channel, more ...string) []string {
	levels := [fifteen.Detectors]int{tdc2Unused, tdc2Unused, tdc2Unused, tdc2Unused}
	for _, c := range channels {
		levels[c.Input-1] = int(math.Round((float64(c.Threshold)/1e6 + 1.024) * 4095 / 3.071))
	}
	list := strings.Trim(strings.ReplaceAll(fmt.Sprint(levels), " ", ","), "[]")
	args := append(append([]string(nil), d.before...), "-t", list, "-a1")
	if d.sim == nil {
		args = append(args, "-U", d.config.Port)
	}
	return append(args, more...)
}

// Arm tries the helper: what would fail at the start fails here.
func (d *tdc2Driver) Arm(ctx context.Context, a sdk.Acquisition) error {
	d.report = nil
	if err := d.prepare(a, checkTDC2); err != nil {
		return err
	}
	h, err := d.start(d.arguments(a.Channels, "-R"))
	if err == nil {
		instrument.Pause(ctx, helperTry)
		h.terminate()
		for range h.came {
		}
		err = h.wait()
		if h.forced.Load() && h.said() == "" {
			d.log.Warn("readevents7 does not end when it is told to, and is killed", "after", helperEnd)
			err = nil
		}
	}
	if err != nil {
		return err
	}
	d.armed = &a
	return ctx.Err()
}

// Report tells how the last acquisition went.
func (d *tdc2Driver) Report() any {
	if d.report == nil {
		return nil
	}
	d.report.Simulation = d.truth()
	return d.report
}

// Close has nothing to let go of: the helper ends with the acquisition.
func (d *tdc2Driver) Close() error {
	if d.withdraw != nil {
		d.withdraw()
	}
	return nil
}

// helper is readevents7 at work.
type helper struct {
	cmd   *exec.Cmd
	came  chan chunk // closed behind the last
	words firstWords
	kill  *time.Timer
	ended bool      // it was told to end
	told  time.Time // when

	forced atomic.Bool // and did not
}

// firstWords keeps the first of what a program says.
type firstWords struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (w *firstWords) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text.Write(b[:min(len(b), helperWords-w.text.Len())])
	return len(b), nil
}

func (d *tdc2Driver) start(args []string) (*helper, error) {
	h := &helper{cmd: exec.Command(d.program, args...), came: make(chan chunk, chunks)}
	h.cmd.Env, h.cmd.Stderr = d.env, &h.words
	out, in, err := os.Pipe()
	if err == nil {
		h.cmd.Stdout = in
		if err = h.cmd.Start(); err != nil {
			out.Close()
		}
		in.Close()
	}
	if err != nil {
		return nil, &sdk.Failure{Code: "program-failed", Field: "program", Message: fmt.Sprintf("start %s: %v", d.program, err), Hint: "give the path of readevents7 in program"}
	}
	go func() {
		defer close(h.came)
		defer out.Close()
		full := widen(out)
		for last := time.Now(); ; {
			filled := time.Since(last) >= unreadMost && full()
			b := make([]byte, chunkSize)
			n, err := out.Read(b)
			if last = time.Now(); n > 0 {
				h.came <- chunk{at: last, b: b[:n], filled: filled}
			}
			if err != nil {
				return
			}
		}
	}()
	return h, nil
}

// terminate tells the helper to end, and ends it if it does not.
func (h *helper) terminate() {
	if h.kill == nil {
		h.kill, h.ended, h.told = time.AfterFunc(helperEnd, h.force), true, time.Now()
		h.cmd.Process.Signal(syscall.SIGTERM)
	}
}

// postpone gives a helper that was told to end its whole time again.
func (h *helper) postpone() {
	if h.ended && time.Since(h.told) < helperMost {
		h.kill.Reset(helperEnd)
	}
}

// said is what the helper has said; it has ended.
func (h *helper) said() string { return strings.TrimSpace(h.words.text.String()) }

func (h *helper) force() {
	h.forced.Store(true)
	h.cmd.Process.Kill()
}

// terminated is how a process ends that SIGTERM has ended.
var terminated = "signal: " + syscall.SIGTERM.String()

// wait is called when came is closed. What the helper says is an error.
func (h *helper) wait() error {
	if h.kill == nil {
		h.kill = time.AfterFunc(helperEnd, h.force)
	}
	err := h.cmd.Wait()
	h.kill.Stop()
	said := h.said()
	var exit *exec.ExitError
	if h.ended && errors.As(err, &exit) && !exit.Exited() && exit.String() == terminated {
		err = nil // it had not come as far as to expect the signal
	}
	if err == nil && said == "" {
		return nil
	}
	if err == nil {
		err = errors.New("it ended well")
	}
	return &sdk.Failure{Code: "program-failed", Field: "port", Message: fmt.Sprintf("%s: %v, and said %s", filepath.Base(h.cmd.Path), err, instrument.Quote(said)),
		Hint: "try it by hand: readevents7 -a2 -q10 -U DEVICE; is the driver of the device loaded, and may this user open it?"}
}
