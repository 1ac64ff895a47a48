package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"tsrun/sdk"
	"tsrun/sdk/pluginpb"
)

func init() { roles["tc-leaves"] = func() { sdk.Serve(leavingPlugin()) } }

// leaver is a driver that leaves something behind: processes, or last words.
type leaver struct{ pids string }

func leavingPlugin() sdk.Plugin {
	type config struct {
		Exits bool `json:"exits"`
	}
	open := func(_ context.Context, _ sdk.Env, c config) (sdk.Driver, error) {
		if c.Exits {
			fmt.Fprintln(os.Stderr, "cannot open the licence file")
			os.Exit(3)
		}
		session := exec.Command("sleep", "600")
		session.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		orphan := exec.Command("sh", "-c", "sleep 600 >/dev/null 2>&1 </dev/null & echo $!") // its parent ends at once
		orphan.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := session.Start(); err != nil {
			return nil, err
		}
		pid, err := orphan.Output()
		return leaver{fmt.Sprint(session.Process.Pid, " ", string(pid))}, err
	}
	return sdk.Plugin{Name: "tc-leaves", Drivers: []sdk.DriverType{sdk.NewDriver("tc-leaves", config{}, open)}}
}

func (l leaver) Describe(context.Context) (sdk.Device, error) {
	return sdk.Device{Identity: l.pids}, nil
}

func (leaver) Arm(context.Context, sdk.Acquisition) error             { return nil }
func (leaver) Acquire(context.Context, *sdk.Start, *sdk.Stream) error { return nil }
func (leaver) Close() error                                           { return nil }

// TestNothingOfAPluginIsLeft: what it has started ends with it, in whatever session it is, and
// whether the plugin is closed or dies; what somebody else has started stays.
func TestNothingOfAPluginIsLeft(t *testing.T) {
	stranger := exec.Command("sleep", "600")
	stranger.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	stranger.Env = append(os.Environ(), markKey+"=of another")
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { stranger.Process.Kill(); stranger.Wait() }()
	for _, how := range []string{"closed", "killed"} {
		t.Run(how, func(t *testing.T) {
			h, log := newHost(t, "tc-leaves")
			d, err := h.StartDriver(t.Context(), Spec{Plugin: "tc-leaves", Instance: "alice.tc"})
			if err != nil {
				t.Fatal(err)
			}
			var session, orphan int
			if _, err := fmt.Sscan(d.Device().Identity, &session, &orphan); err != nil {
				t.Fatalf("%q: %v", d.Device().Identity, err)
			}
			if how == "killed" {
				d.Kill()
			}
			d.Close(t.Context()) // what it says of one that was killed is no matter here
			gone(t, session, wait)
			gone(t, orphan, wait)
			if text := log.String(); !strings.Contains(text, "left behind") || !strings.Contains(text, fmt.Sprint(session)) {
				t.Errorf("the log does not tell of process %d: %s", session, text)
			}
		})
	}
	if err := stranger.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the process of somebody else: %v", err)
	}
}

// TestLastWordsOfAnExit: what a driver in Go prints before it exits stands in the failure.
func TestLastWordsOfAnExit(t *testing.T) {
	h, _ := newHost(t, "tc-leaves")
	var f *sdk.Failure
	_, err := h.StartDriver(t.Context(), Spec{Plugin: "tc-leaves", Instance: "alice.tc", Config: json.RawMessage(`{"exits":true}`)})
	if !errors.As(err, &f) || f.Code != "plugin-died" || !strings.Contains(f.Message, "exit status 3") || !strings.Contains(f.Message, "cannot open the licence file") {
		t.Errorf("told %v", err)
	}
}

// TestFaultNamesItsReason: a sink that may read in place is told what ends one that writes there.
func TestFaultNamesItsReason(t *testing.T) {
	for _, ring := range []bool{false, true} {
		b := newBench(t, `{}`, `{}`)
		b.sink.offered.Store(ring)
		syscall.Kill(b.sink.PID(), syscall.SIGABRT) // a program in Go says so, and exits
		e, _ := (<-b.sink.Events()).(Failed)
		b.sink.run.words.read("fatal error: fault")
		if f := failureOf(t, b.sink.death()); e.Err == nil || strings.Contains(f.Hint, "InPlace()") != ring {
			t.Errorf("memory offered %v: %v", ring, f)
		}
	}
}

// TestSinkThatEndsWhenItHasFinished: nothing is lost with it, and no failure is told.
func TestSinkThatEndsWhenItHasFinished(t *testing.T) {
	b := newBench(t, `{}`, `{}`)
	b.start()
	b.events()
	if err := b.sink.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.sink.Kill()
	for e := range b.sink.Events() {
		if failed, ok := e.(Failed); ok {
			t.Errorf("told %v", failed.Err)
		}
	}
}

// TestWordsOfAFailureAreBounded: of what a plugin says a failure keeps names that are as long as names.
func TestWordsOfAFailureAreBounded(t *testing.T) {
	long := strings.Repeat("c", 1<<20)
	var f *sdk.Failure
	if err := (&process{instance: "alice.tc"}).failure(&pluginpb.Failure{Code: long, Field: long, Message: "no"}); !errors.As(err, &f) || len(f.Code)+len(f.Field) > 2000 {
		t.Errorf("%d and %d bytes", len(f.Code), len(f.Field))
	}
}
