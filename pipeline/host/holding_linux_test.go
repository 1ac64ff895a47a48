package host

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tsrun/sdk"
)

func init() { roles["tc-holds"] = func() { sdk.Serve(holdingPlugin()) } }

// holdingPlugin is a driver that starts a process which holds all that it has open and that
// nothing shows to be of it, or that says more than anybody reads.
func holdingPlugin() sdk.Plugin {
	type config struct {
		Prints int `json:"prints,omitempty"`
	}
	open := func(_ context.Context, _ sdk.Env, c config) (sdk.Driver, error) {
		if c.Prints > 0 {
			for _, text := range [][]byte{bytes.Repeat([]byte("x"), c.Prints), []byte("\nthe last line\n")} {
				for len(text) > 0 { // as a library in C does: sdk.Serve has another os.Stdout
					n, err := syscall.Write(1, text)
					if err != nil {
						return nil, err
					}
					text = text[n:]
				}
			}
			return leaver{}, nil
		}
		child := exec.Command("sleep", "600")
		child.Env, child.SysProcAttr = []string{}, &syscall.SysProcAttr{Setsid: true}
		open, err := os.ReadDir("/proc/self/fd")
		for _, f := range open {
			n, _ := strconv.Atoi(f.Name())
			if held, err := syscall.Dup(n); err == nil {
				child.ExtraFiles = append(child.ExtraFiles, os.NewFile(uintptr(held), f.Name()))
			}
		}
		if err != nil || child.Start() != nil {
			return nil, fmt.Errorf("start a process: %w", err)
		}
		return leaver{fmt.Sprint(child.Process.Pid)}, nil
	}
	return sdk.Plugin{Name: "tc-holds", Drivers: []sdk.DriverType{sdk.NewDriver("tc-holds", config{}, open)}}
}

// TestDeathIsSeenThoughItsSocketsAreHeld: a plugin that has died is dead, also where a process
// that it has started keeps its connections open.
func TestDeathIsSeenThoughItsSocketsAreHeld(t *testing.T) {
	h, _ := newHost(t, "tc-holds")
	d, err := h.StartDriver(t.Context(), Spec{Plugin: "tc-holds", Instance: "alice.tc"})
	if err != nil {
		t.Fatal(err)
	}
	holder, err := strconv.Atoi(d.Device().Identity)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Kill(holder, syscall.SIGKILL) }()
	if err := syscall.Kill(d.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if e := lastEvent(t, d); failureOf(t, e.Err).Code != "plugin-died" {
		t.Errorf("got %v, want plugin-died", e.Err)
	}
	if !alive(holder) {
		t.Error("the process that held its connections is gone, so this shows nothing")
	}
}

// TestWhatIsPrintedHoldsNobodyUp: a line without an end on standard output, which go-plugin
// would not read on.
func TestWhatIsPrintedHoldsNobodyUp(t *testing.T) {
	h, log := newHost(t, "tc-holds")
	d, err := h.StartDriver(t.Context(), Spec{Plugin: "tc-holds", Instance: "alice.tc", Config: json.RawMessage(fmt.Sprintf(`{"prints":%d}`, 1<<20))})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if text := log.String(); !strings.Contains(text, "the last line") || len(text) > 4*longestLog {
		t.Errorf("log of %d bytes: %.300s", len(text), text)
	}
}

// slowLog is a log that takes nothing until it is opened.
type slowLog struct {
	logged
	open chan struct{}
}

func (l *slowLog) Write(p []byte) (int, error) {
	<-l.open
	return l.logged.Write(p)
}

// TestTalkHoldsNobodyUp: what a plugin writes is read however much it is, while the log takes
// nothing, and what was left out is counted.
func TestTalkHoldsNobodyUp(t *testing.T) {
	log := &slowLog{open: make(chan struct{})}
	w := &lastWords{talk: &talk{log: slog.New(slog.NewTextHandler(log, nil))}}
	const lines = 20_000
	read := make(chan struct{})
	go func() {
		defer close(read)
		w.listen(strings.NewReader(strings.Repeat("chatter\n", lines) + "panic: no device\n"))
	}()
	select {
	case <-read:
	case <-time.After(wait):
		t.Error("nobody reads on while the log takes nothing")
	}
	close(log.open)
	<-read
	w.talk.end()
	text := log.String()
	written := strings.Count(text, "text=chatter")
	var left int
	if _, after, found := strings.Cut(text, "lines_left_out="); found {
		_, _ = fmt.Sscan(after, &left)
	}
	if written < mostLines || written+left != lines+1 {
		t.Errorf("%d lines are in the log and %d were left out, of %d", written, left, lines+1)
	}
	if cause, _ := w.last(); cause != "panic: no device" {
		t.Errorf("the cause is %q", cause)
	}
}

// TestTalkIsBounded in bytes as well.
func TestTalkIsBounded(t *testing.T) {
	log := &slowLog{open: make(chan struct{})}
	k := &talk{log: slog.New(slog.NewTextHandler(log, nil))}
	for range 10 {
		k.say(mostLineBytes/4, func() { k.log.Info("long") })
	}
	close(log.open)
	k.end()
	if written := strings.Count(log.String(), "msg=long"); written < 4 || written > 5 { // one may be at the log
		t.Errorf("%d of 10 lines of a quarter of the room were written, want 4 or 5", written)
	}
}
