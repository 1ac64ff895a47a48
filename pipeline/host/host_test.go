package host

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tsrun/internal/steady"
	"tsrun/sdk"
)

// pluginDir links the test binary to the names of plugins.
func pluginDir(t testing.TB, names ...string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range names {
		if err := os.Symlink(self, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// shortDir is a directory whose path leaves room for socket names.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ts")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// logged is a log to look into.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func newHost(t *testing.T, plugins ...string) (*Host, *logged) {
	t.Helper()
	log := &logged{}
	h, err := New(Options{Dirs: []string{pluginDir(t, plugins...)}, Runtime: shortDir(t), Log: slog.New(slog.NewJSONHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Errorf("close host: %v", err)
		}
		left, _ := os.ReadDir(h.runtime)
		for _, e := range left {
			t.Errorf("left in the runtime directory: %s", e.Name())
		}
	})
	return h, log
}

func failureOf(t *testing.T, err error) *sdk.Failure {
	t.Helper()
	var f *sdk.Failure
	if !errors.As(err, &f) {
		t.Fatalf("got %v (%T), want an sdk.Failure", err, err)
	}
	return f
}

// alive tells whether a process exists and is more than a zombie.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}

const wait = time.Minute // longer than any test needs, so that speed decides nothing

// freeze stops every thread of a process and returns when they stand.
func freeze(t testing.TB, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	moving := func() bool {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		if err != nil || len(threads) == 0 {
			t.Fatalf("threads of %d: %v", pid, err)
		}
		for _, thread := range threads {
			if stat, err := os.ReadFile(thread); err == nil && !bytes.Contains(stat, []byte(") T ")) {
				return true
			}
		}
		return false
	}
	for deadline := time.Now().Add(wait); moving(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("process %d does not stop", pid)
		}
	}
}

func gone(t testing.TB, pid int, within time.Duration) {
	t.Helper()
	for deadline := time.Now().Add(within); alive(pid); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("process %d is still there after %v", pid, within)
		}
	}
}

func TestStartFailuresSayWhy(t *testing.T) {
	h, _ := newHost(t, "tc-panics", "tc-exits", "tc-noisy", "tc-future", "tc-test")
	impatient, _ := newHost(t, "tc-silent")
	impatient.startTimeout = time.Second // the others may take longer on a busy PC
	write := func(name, text string, mode os.FileMode) {
		if err := os.WriteFile(filepath.Join(h.dirs[0], name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("tc-data", "just a file", 0o644)
	write("tc-foreign", "\x7fELF but for another machine "+sdk.CookieValue, 0o755)
	write("tc-script", "#!/no/such/interpreter\n# "+sdk.CookieValue, 0o755)
	write("tc-deaf", "#!/bin/sh\n# "+sdk.CookieValue+"\nexec sleep 60 >&2\n", 0o755)
	write("ls", "#!/bin/sh\ntouch "+filepath.Join(h.dirs[0], "started")+"\n", 0o755)
	tests := []struct {
		plugin, config string
		code           string
		says           []string
		field          string
	}{
		{plugin: "tc-tset", code: "unknown-plugin", says: []string{h.dirs[0], `did you mean "tc-test"?`, "tc-noisy"}},
		{plugin: "../tc-test", code: "bad-plugin-name", says: []string{"a-z"}},
		{plugin: "tc-data", code: "plugin-not-executable", says: []string{"chmod +x"}},
		{plugin: "tc-foreign", code: "plugin-wrong-format"},
		{plugin: "ls", code: "not-a-plugin", says: []string{"was not started", "ls.json"}},
		{plugin: "tc-script", code: "plugin-start", says: []string{"no such file", "after #!"}},
		{plugin: "tc-deaf", code: "plugin-start", says: []string{"closed its standard output"}},
		{plugin: "tc-panics", code: "plugin-crashed", says: []string{"panic: no licence file", "plugins_test.go"}},
		{plugin: "tc-exits", code: "plugin-crashed", says: []string{"exit status 3", "cannot open the licence file"}},
		{plugin: "tc-noisy", code: "plugin-noise", says: []string{"vendor library 4.2 loaded", "standard error"}},
		{plugin: "tc-future", code: "plugin-protocol", says: []string{"speaks plugin protocol 3", "speaks 1 and 2", "same release"}},
		{plugin: "tc-silent", code: "plugin-start-timeout", says: []string{"1s"}},
		{plugin: "tc-test", config: `{"mode":"no-device"}`, code: "device-timeout", says: []string{"192.0.2.7", "switched on"}, field: "address"},
		{plugin: "tc-test", config: `{"tagz":5}`, code: "bad-config", says: []string{`"tagz"`, `did you mean "tags"?`}, field: "tagz"},
		{plugin: "tc-test", config: `{"tags":-5}`, code: "bad-config", field: "tags"},
		{plugin: "tc-test", config: `{"spacing":"3 parsecs"}`, code: "bad-config", field: "spacing"},
	}
	for _, test := range tests {
		t.Run(strings.ReplaceAll(test.plugin+test.config, "/", "_"), func(t *testing.T) {
			t.Parallel()
			instance := "alice." + strings.TrimLeft(test.plugin, "./") + fmt.Sprint(len(test.config))
			h := h
			if test.plugin == "tc-silent" {
				h = impatient
			}
			d, err := h.StartDriver(t.Context(), Spec{Plugin: test.plugin, Instance: instance, Config: json.RawMessage(test.config)})
			if err == nil {
				d.Close(t.Context())
				t.Fatal("it started")
			}
			f := failureOf(t, err)
			if f.Code != test.code || f.Field != test.field {
				t.Errorf("code %q and field %q, want %q and %q: %v", f.Code, f.Field, test.code, test.field, err)
			}
			for _, text := range test.says {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("it does not say %q: %v", text, err)
				}
			}
		})
	}
}

// TestSimulationIsForSimulatedDevices: a driver hears of the simulation where it
// has said that its configuration means one, and of nothing else.
func TestSimulationIsForSimulatedDevices(t *testing.T) {
	h, _ := newHost(t, "tc-played", "tc-test")
	dark := sdk.Simulation{Light: sdk.DefaultLight(), Controller: json.RawMessage(`{"dark": "2 kHz"}`)}
	for name, c := range map[string]struct {
		plugin, config string
		simulation     sdk.Simulation
		want           string // in the device's identity, or in the error
	}{
		"simulated":         {"tc-played", `{"address": "sim"}`, dark, "seed 1, 20 kHz, dark 2 kHz"},
		"without settings":  {"tc-played", `{"address": "sim"}`, sdk.Simulation{Light: sdk.DefaultLight()}, "seed 1, 20 kHz, dark 0 Hz"},
		"real":              {"tc-played", `{"address": "192.0.2.1"}`, dark, "0 bytes; "},
		"by default":        {"tc-played", ``, dark, "0 bytes; "},
		"simulates nothing": {"tc-test", `{}`, dark, ""},
		"unknown settings":  {"tc-played", `{"address": "sim"}`, sdk.Simulation{Controller: json.RawMessage(`{"drak": "2 kHz"}`)}, `alice.tc: check configuration: simulate.drak: unknown key "drak"`},
		"no section":        {"tc-played", `{"address": "sim"}`, sdk.Simulation{Controller: json.RawMessage(`7`)}, "check configuration: simulate: "},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := h.StartDriver(t.Context(), Spec{Plugin: c.plugin, Instance: "alice.tc", Config: json.RawMessage(c.config), Simulation: c.simulation})
			if err != nil {
				if !strings.Contains(err.Error(), c.want) || c.want == "" {
					t.Error(err)
				}
				return
			}
			if got := d.Device().Identity; !strings.Contains(got, c.want) {
				t.Errorf("the driver was told %q, want %q", got, c.want)
			}
			if d.Component().NoThresholds != (c.plugin == "tc-played") {
				t.Errorf("component %+v", d.Component())
			}
			if err := d.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestDriverDescribesItsDevice(t *testing.T) {
	h, log := newHost(t, "tc-test")
	t.Setenv("SECRET_OF_THE_HOST", "1")
	d, err := h.StartDriver(t.Context(), Spec{Plugin: "tc-test", Instance: "alice.tc", Config: json.RawMessage(`{"spacing":"7 ns"}`)})
	if err != nil {
		t.Fatal(err)
	}
	if c := d.Component(); c.Version != "1.2.3" || c.SHA256 == [32]byte{} {
		t.Errorf("component %+v", c)
	}
	if v := d.Device(); v.Model != "Ramp" || !v.Simulated || !v.Can.ScheduledStart || v.Inputs[0].ThresholdMin != -2e6 {
		t.Errorf("device %+v", v)
	}
	environment, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", d.PID()))
	if err != nil || bytes.Contains(environment, []byte("SECRET_OF_THE_HOST")) || !bytes.Contains(environment, []byte(h.runtime)) {
		t.Errorf("environment %q, %v", environment, err)
	}
	for deadline := time.Now().Add(wait); !strings.Contains(log.String(), "chatter of a vendor's library"); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("what the plugin printed is not in the log: %s", log)
		}
	}
	if err := d.Close(t.Context()); err != nil {
		t.Error(err)
	}
	gone(t, d.PID(), wait)
	if text := log.String(); !strings.Contains(text, "device open") || !strings.Contains(text, `"spacing_ps":7000`) || !strings.Contains(text, `"instance":"alice.tc"`) {
		t.Errorf("the plugin's log record did not arrive: %s", text)
	}
	if e, open := <-d.Events(); open && e.(Ended).Err == nil {
		t.Errorf("closing an idle driver told %v", e)
	}
}

func TestCloseEndsWhatDoesNotWantTo(t *testing.T) {
	for _, mode := range []string{"hang-close", "stopped"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			h, _ := newHost(t, "tc-test")
			config := json.RawMessage(`{"mode":"endless"}`)
			if mode == "hang-close" {
				config = json.RawMessage(`{"mode":"hang-close"}`)
			}
			d, err := h.StartDriver(t.Context(), Spec{Plugin: "tc-test", Instance: "alice.tc", Config: config})
			if err != nil {
				t.Fatal(err)
			}
			if mode == "stopped" {
				freeze(t, d.PID())
			}
			err = d.Close(t.Context())
			if failureOf(t, err).Code != "plugin-timeout" {
				t.Errorf("got %v, want plugin-timeout", err)
			}
			if alive(d.PID()) {
				t.Error("the process is still there")
			}
		})
	}
}

func TestHungPluginIsKilledAndTold(t *testing.T) {
	h, _ := newHost(t, "tc-test")
	h.hungAfter = 2 * time.Second
	d, err := h.StartDriver(t.Context(), Spec{Plugin: "tc-test", Instance: "alice.tc"})
	if err != nil {
		t.Fatal(err)
	}
	freeze(t, d.PID())
	if e := lastEvent(t, d); failureOf(t, e.Err).Code != "plugin-hung" {
		t.Errorf("got %v, want plugin-hung", e.Err)
	}
}

// lastEvent drains a driver's events and returns the last.
func lastEvent(t *testing.T, d *Driver) Ended {
	t.Helper()
	timeout := time.After(wait)
	var last DriverEvent
	for {
		select {
		case e, open := <-d.Events():
			if open {
				last = e
				continue
			}
			ended, ok := last.(Ended)
			if !ok {
				t.Fatalf("the last event was %T, want Ended", last)
			}
			return ended
		case <-timeout:
			t.Fatal("no Ended")
		}
	}
}

// TestPluginDiesWithItsHost: within three seconds, with its device made safe.
func TestPluginDiesWithItsHost(t *testing.T) {
	for _, mode := range []string{"running", "stopped", "hang-close"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			steady.Try(t, 100*time.Millisecond, func(t *steady.T) { dieWithHost(t, mode) })
		})
	}
}

func dieWithHost(t *steady.T, mode string) {
	trace := filepath.Join(t.TempDir(), "trace")
	dir, config := pluginDir(t, "tc-test", "the-host"), fmt.Sprintf(`{"trace":%q}`, trace)
	if mode == "hang-close" {
		config = `{"mode":"hang-close"}`
	}
	always := steady.Always(t)
	host := exec.Command(filepath.Join(dir, "the-host"), dir, shortDir(t), config)
	out, err := host.StdoutPipe()
	if err != nil {
		always.Fatal(err)
	}
	host.Stderr = os.Stderr
	if err := host.Start(); err != nil {
		always.Fatal(err)
	}
	var pid int
	_, err = fmt.Fscan(bufio.NewReader(out), &pid)
	if err == nil && mode == "stopped" {
		freeze(always, pid)
	}
	host.Process.Kill()
	killed := time.Now()
	host.Wait()
	if err != nil {
		always.Fatal(err)
	}
	gone(always, pid, wait)
	if took, most := time.Since(killed), 3*time.Second+time.Duration(t.Slower-1)*time.Second/2; took > most {
		t.Errorf("it took %v, want %v at most", took, most)
	}
	if mode == "hang-close" {
		return
	}
	if text, err := os.ReadFile(trace); string(text) != "safe" {
		t.Errorf("the device was not made safe: %q, %v", text, err)
	}
}

func TestCancelledStartLeavesNothing(t *testing.T) {
	h, _ := newHost(t, "tc-silent")
	cause := errors.New("stopped by a test")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(50*time.Millisecond, func() { cancel(cause) })
	if _, err := h.StartDriver(ctx, Spec{Plugin: "tc-silent", Instance: "alice.tc"}); !errors.Is(err, cause) {
		t.Errorf("got %v, want the cause", err)
	}
}
