package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tsrun/internal/steady"
	"tsrun/sdk"
	"tsrun/sdk/quantity"
	"tsrun/sim/idq"
	"tsrun/sim/sky"
)

// simulationVariable makes the test binary a simulated Time Controller: it
// prints where it listens, serves until its input ends, and prints the truth.
const simulationVariable = "TC_ETHERNET_TEST_SIMULATION"

func TestMain(m *testing.M) {
	if text, simulate := os.LookupEnv(simulationVariable); simulate {
		if err := playDevice(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// listening is where a simulated controller listens.
type listening struct{ SCPI, DLT string }

func playDevice(text string) error {
	var s sky.Simulation
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return err
	}
	c, err := idq.New(idq.Config{Sky: s.Settings, Controller: s.Controller, Serial: "process"})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(listening{c.SCPIAddr(), c.DLTAddr()}); err != nil {
		return err
	}
	io.Copy(io.Discard, os.Stdin)
	stop()
	if err := <-done; err != nil {
		return err
	}
	return out.Encode(c.Truth())
}

// simulatedProcess is a simulated controller in a process of its own.
type simulatedProcess struct {
	*exec.Cmd
	input io.Closer
	lines *bufio.Reader
	listening
}

func startProcess(t testing.TB, s sky.Simulation) *simulatedProcess {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &simulatedProcess{Cmd: exec.Command(self)}
	p.Env = append(os.Environ(), simulationVariable+"="+string(text))
	p.Stderr = t.Output()
	input, err := p.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.input, p.lines = input, bufio.NewReader(output)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Process.Kill()
		p.Wait() // it may have been killed before
	})
	p.read(t, &p.listening)
	return p
}

func (p *simulatedProcess) read(t testing.TB, v any) {
	t.Helper()
	line, err := p.lines.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, v)
	}
	if err != nil {
		t.Fatalf("read from the simulated controller: %v", err)
	}
}

func (p *simulatedProcess) truth(t testing.TB) *idq.Truth {
	t.Helper()
	p.input.Close()
	var truth idq.Truth
	p.read(t, &truth)
	return &truth
}

func (p *simulatedProcess) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := p.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// openProcess opens the driver on it, as on real hardware.
func (p *simulatedProcess) openDriver(t testing.TB) *driver {
	t.Helper()
	c := defaults()
	c.Address, c.DLT, c.StreamPort = p.SCPI, p.DLT, 0
	c.Timeout = patient
	slow(t, &c)
	env := environment(t, sky.Simulation{})
	env.Simulation = nil
	d, err := newDriver(t.Context(), env, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() }) // there may be nobody left to be told
	return d
}

// dim is light so weak that a simulated controller makes up for a pause at once, also
// with the race detector on a PC that gives it little of its time.
func dim(t testing.TB, seed uint64) sky.Simulation {
	s := light(t, seed)
	s.Settings.Pairs.Rate /= 10
	s.Controller.Dark /= 10
	return s
}

// acquireFrom acquires while meanwhile does something to the device.
func acquireFrom(t testing.TB, d *driver, a sdk.Acquisition, out *sink, meanwhile func()) error {
	t.Helper()
	if err := d.Arm(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- d.acquire(t.Context(), sdk.NewStart(time.Time{}), out) }()
	meanwhile()
	err := <-done
	if out.err != nil {
		t.Error(out.err)
	}
	return err
}

func TestOtherProcess(t *testing.T) {
	t.Parallel()
	steady.Try(t, keepUp, func(t *steady.T) {
		p := startProcess(t, dim(t, 21))
		d := p.openDriver(t)
		device, err := d.Describe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !device.Simulated || device.ResolutionPs < 1 || len(device.Inputs) != inputs || device.Identity == "" || device.Serial != "process" {
			t.Errorf("device %+v", device)
		}
		a := sdk.Acquisition{Channels: twoChannels(), Duration: longer(t, 650*ms)}
		out := newSink(a.Channels...)
		if err := acquireFrom(t, d, a, out, func() {}); err != nil {
			t.Fatal(err)
		}
		wantTruth(t, p.truth(t), a, out)
	})
}

// TestPausedDevice: when device and service stand still for some records and
// then deliver them all at once, every tag still finds its record.
func TestPausedDevice(t *testing.T) {
	t.Parallel()
	steady.Try(t, keepUp, func(t *steady.T) {
		p := startProcess(t, dim(t, 22))
		d := p.openDriver(t)
		d.config.Record.Period = quantity.Time(t.Slower) * quantity.Second
		a := sdk.Acquisition{Channels: twoChannels(), Duration: longer(t, 4*time.Second)}
		out := newSink(a.Channels...)
		err := acquireFrom(t, d, a, out, func() {
			time.Sleep(longer(t, 800*ms))
			p.signal(t, syscall.SIGSTOP)
			time.Sleep(longer(t, 1400*ms))
			p.signal(t, syscall.SIGCONT)
		})
		if err != nil {
			t.Fatal(err)
		}
		wantTruth(t, p.truth(t), a, out)
	})
}

// TestKilledDevice: what was received is kept, the loss is recorded, and the
// driver gives up in time.
func TestKilledDevice(t *testing.T) {
	t.Parallel()
	steady.Try(t, keepUp, func(t *steady.T) { // it has sent a record by then
		p := startProcess(t, dim(t, 23))
		d := p.openDriver(t)
		d.patience = longer(t, 2*time.Second)
		a := sdk.Acquisition{Channels: twoChannels(), Duration: time.Minute}
		out := newSink(a.Channels...)
		began := time.Now()
		err := acquireFrom(t, d, a, out, func() {
			time.Sleep(longer(t, 700*ms))
			p.signal(t, syscall.SIGKILL)
		})
		wantFailure(t, err, "service-lost", "channel signal")
		if took := time.Since(began); took > longer(t, 20*time.Second) {
			t.Errorf("took %v to give up", took)
		}
		for i, c := range a.Channels {
			if got := out.lanes[c.Stream]; got.tags == 0 || got.lost == 0 || d.report.Channels[i].Ambiguous > 0 {
				t.Errorf("channel %s: %d tags, %d lost (%q), %+v", c.Name, got.tags, got.lost, got.reasons, d.report.Channels[i])
			}
		}
	})
}
