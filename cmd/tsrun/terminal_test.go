package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"tsrun/pipeline/align"
	"tsrun/pipeline/event"
	"tsrun/pipeline/fact"
	"tsrun/pipeline/run"
	"tsrun/pipeline/track"
	"tsrun/sdk/quantity"
)

// aRun is what a run of two nodes may tell, one event every 100 ms.
func aRun() []event.Stamped {
	events := []event.Event{
		event.StateChanged{State: "joining"},
		event.NodeJoined{Node: "alice", Host: "local", PID: 41},
		event.NodeJoined{Node: "bob", Host: "remote", PID: 42, Hostname: "bench"},
		event.DeviceIdentified{Node: "alice", Controller: "tc", Device: fact.Device{Identity: "IDQ,ID900", Simulated: true}},
		event.DeviceIdentified{Node: "bob", Controller: "tc", Device: fact.Device{Vendor: "IDQ", Model: "ID1000", Serial: "7\x1b[2J"}},
		event.Armed{Node: "alice"},
		event.Fired{InstantNs: 1_700_000_000_250_000_000, Method: "scheduled"},
	}
	events = append(events, event.Progress{Node: "alice", Duration: 2 * time.Second}) // not begun
	for i := range 20 {
		at := time.Duration(i+1) * 100 * time.Millisecond
		events = append(events, event.Progress{Node: "alice", Tags: uint64(i+1) * 1000, Elapsed: at, Duration: 2 * time.Second})
	}
	events = append(events, event.Progress{Node: "alice", Tags: 20_000, Elapsed: 2 * time.Second, Duration: 2 * time.Second}) // once more
	for i := range 12 {
		events = append(events, event.TagsLost{Node: "bob", Channel: "idler", Loss: fact.Loss{AtPs: uint64(i), Tags: 2, Why: "overflow"}})
	}
	clock := event.Sync{Stage: "align", Reference: "alice.signal", Target: "bob.idler", State: align.Searching}
	events = append(events, clock)
	clock.State = align.Tracking
	for i := range 12 { // a second and a bit
		clock.Value = &align.Value{State: align.Tracking, Knot: track.Knot{Time: uint64(i+1) * 1_000_000_000_000,
			Offset: quantity.NewFine(400_000, 0.25), OffsetSD: 2, Frequency: -12, FrequencySD: 0.03}}
		events = append(events, clock)
	}
	jumped := *clock.Value
	jumped.Step = &track.Step{Time: 12_500_000_000_000, Offset: 5000, OffsetSD: 3}
	clock.State, clock.Value = align.Stepped, &jumped
	events = append(events, clock,
		event.Transfer{Node: "bob", File: "raw/bob/idler-000000.bin", Done: 50, Size: 100},
		event.FileVerified{Node: "bob", File: "raw/bob/idler-000000.bin", Size: 100},
		event.Warning{Node: "bob", Message: "disk is slow", Hint: "use another"},
		event.StateChanged{State: "analysing"},
		event.StageDone{Result: run.Result{Stage: "g2", Kind: "histogram"}},
		event.StageDone{Result: run.Result{Stage: "pairs", Kind: "coincidences", Skipped: "no offset"}},
		event.Problem{Message: "transfer gave up", Hint: "look at the cable"},
		event.Finished{Directory: "runs/x", Manifest: &run.Manifest{Name: "pairs", Condition: []run.Condition{run.Good}}},
	)
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	stamped := make([]event.Stamped, len(events))
	for i, e := range events {
		stamped[i] = event.Stamped{Time: start.Add(time.Duration(i) * 100 * time.Millisecond), Event: e}
	}
	return stamped
}

const plainLines = `joining
alice joined (local, process 41)
bob joined (remote, process 42 on bench)
alice.tc is IDQ,ID900 (SIMULATED)
bob.tc is IDQ ID1000 7` + "\uFFFD" + `[2J
alice armed
start at 22:13:20.250000000 UTC
alice: 100ms of 2s, 1000 tags
alice: 1.1s of 2s, 11000 tags
alice: 2s of 2s, 20000 tags
warning: bob.idler lost 2 tags at 0 ps: overflow
warning: bob.idler lost 2 tags at 1 ps: overflow
warning: bob.idler lost 2 tags at 2 ps: overflow
warning: bob.idler lost 2 tags at 3 ps: overflow
warning: bob.idler lost 2 tags at 4 ps: overflow
warning: bob.idler lost 2 tags at 5 ps: overflow
warning: bob.idler lost 2 tags at 6 ps: overflow
warning: bob.idler lost 2 tags at 7 ps: overflow
warning: bob.idler lost 2 tags at 8 ps: overflow
warning: bob.idler goes on losing tags; manifest.json will list where
align: bob.idler - alice.signal: not found yet
align: bob.idler - alice.signal = 400 000.2 ± 2.0 ps at 1.000 s, 12.000 ± 0.030 ppb slow
align: bob.idler - alice.signal = 400 000.2 ± 2.0 ps at 11.000 s, 12.000 ± 0.030 ppb slow
warning: align: bob.idler - alice.signal = 400 000.2 ± 2.0 ps at 12.000 s, 12.000 ± 0.030 ppb slow; it jumped by 5 000.0 ± 3.0 ps at 12.500 s
warning: bob: disk is slow; use another
analysing: 1 file with 100 bytes is here and verified
g2 done
pairs skipped: no offset
error: transfer gave up; look at the cable
`

func TestPlainLines(t *testing.T) {
	var out, lines bytes.Buffer
	if err := (&plain{out: &out, err: &lines}).show(aRun()); err != nil {
		t.Fatal(err)
	}
	if lines.String() != plainLines {
		t.Errorf("got:\n%s\nwant:\n%s", &lines, plainLines)
	}
	if !strings.HasPrefix(out.String(), "condition  GOOD\n") {
		t.Errorf("summary on standard output:\n%s", &out)
	}
}

func TestJSONLines(t *testing.T) {
	var out bytes.Buffer
	events := aRun()
	if err := (&jsonLines{out: &out}).show(events); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != len(events) {
		t.Fatalf("%d lines for %d events", len(lines), len(events))
	}
	for _, line := range lines {
		var v struct {
			Event string
			Time  time.Time
		}
		if err := json.Unmarshal([]byte(line), &v); err != nil || v.Event == "" || v.Time.IsZero() {
			t.Errorf("line %q (%v)", line, err)
		}
	}
}

// screen shows what a terminal shows that was sent text: only the cursor moves
// that bars use exist.
func screen(t *testing.T, text string) []string {
	t.Helper()
	var lines []string
	row := 0
	up := regexp.MustCompile(`^\r\x1b\[(\d+)A\x1b\[J`)
	for text != "" {
		if m := up.FindStringSubmatch(text); m != nil {
			var n int
			fmt.Sscan(m[1], &n)
			if row -= n; row < 0 {
				t.Fatalf("the cursor was moved above the first line")
			}
			lines, text = lines[:row], text[len(m[0]):]
			continue
		}
		line, rest, ended := strings.Cut(text, "\n")
		if !ended || strings.Contains(line, "\x1b") || strings.Contains(line, "\r") {
			t.Fatalf("unfinished line or unknown sequence: %q", line)
		}
		lines, text = append(lines, line), rest
		row++
	}
	return lines
}

func TestBars(t *testing.T) {
	var out, terminal bytes.Buffer
	b := &bars{plain: plain{out: &out, err: &terminal}, size: func() (int, int) { return 60, 24 }}
	for _, e := range aRun() {
		if err := b.show([]event.Stamped{e}); err != nil {
			t.Fatal(err)
		}
	}
	lines := screen(t, terminal.String())
	last := lines[len(lines)-3:]
	if !strings.HasPrefix(last[0], "alice    [====") || !strings.Contains(last[0], "100.00%") || !strings.HasSuffix(last[0], "20 000 tags, 10.00 kHz") {
		t.Errorf("bar of the acquisition: %q", last[0])
	}
	if !strings.Contains(last[1], "100.00%") || !strings.Contains(last[1], "raw/bob/idler") {
		t.Errorf("bar of the transfer: %q", last[1])
	}
	if want := "400 000.2 ± 2.0 ps at 12.000 s"; last[2] != want {
		t.Errorf("line of the clock: %q, want %q", last[2], want)
	}
	for _, line := range lines {
		if len([]rune(line)) > 59 && strings.Contains(line, "%") {
			t.Errorf("a bar of %d columns wraps on 60: %q", len([]rune(line)), line)
		}
	}
	var want []string
	for _, line := range strings.Split(strings.TrimSuffix(plainLines, "\n"), "\n") {
		if !strings.HasPrefix(line, "alice: ") && !strings.HasPrefix(line, "align: ") { // on lines of their own
			want = append(want, line)
		}
	}
	if got := lines[:len(lines)-3]; strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("lines above the bars:\n%s", strings.Join(got, "\n"))
	}
	if !strings.HasPrefix(out.String(), "condition  GOOD\n") {
		t.Errorf("summary on standard output:\n%s", &out)
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

// A reader that has gone must not hold up the run.
func TestShowOutlivesItsReader(t *testing.T) {
	hub := event.NewHub()
	feed := hub.Subscribe()
	done := make(chan bool)
	go func() {
		defer close(done)
		show(feed, &jsonLines{out: brokenPipe{}})
	}()
	for range 3 {
		hub.Observe(event.StateChanged{State: "running"})
	}
	hub.Close()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("the run waits for a reader that is gone")
	}
}

// The bar of a file ends where the file ended, also when its last progress was
// never told; the line of an align stage goes when the stage has its answer.
func TestBarsEndWithTheirFiles(t *testing.T) {
	var out, terminal bytes.Buffer
	b := &bars{plain: plain{out: &out, err: &terminal}, size: func() (int, int) { return 80, 24 }}
	for _, e := range []event.Event{
		event.Progress{Node: "bob", Tags: 1, Elapsed: time.Second, Duration: time.Second},
		event.Progress{Node: "alice", Tags: 1, Elapsed: time.Second, Duration: time.Second},
		event.Transfer{Node: "bob", File: "raw/bob/idler-000000.bin", Size: 4000},
		event.Sync{Stage: "clocks", Reference: "alice.signal", Target: "bob.idler", State: align.Searching},
		event.FileVerified{Node: "bob", File: "raw/bob/idler-000000.bin", Size: 4000},
		event.StageDone{Result: run.Result{Stage: "clocks", Kind: "align"}},
		event.Finished{},
	} {
		if err := b.show([]event.Stamped{{Time: time.Unix(100, 0), Event: e}}); err != nil {
			t.Fatal(err)
		}
	}
	lines := screen(t, terminal.String())
	if len(lines) != 4 || lines[0] != "clocks done" || !strings.HasPrefix(lines[1], "alice ") ||
		!strings.HasPrefix(lines[2], "bob ") || !strings.Contains(lines[3], "100.00%") {
		t.Errorf("the terminal shows %q", lines)
	}
}

// A slave takes part in one run after another: each is shown from its first tag
// to its end, as the first was.
func TestSlaveShowsEveryRun(t *testing.T) {
	length := 2 * time.Second
	aPart := []event.Event{
		event.NodeJoined{Node: "bob", Host: "remote", PID: 42},
		event.Progress{Node: "bob", Tags: 1, Elapsed: time.Second, Duration: length},
		event.TagsLost{Node: "bob", Channel: "idler", Loss: fact.Loss{Tags: 1, Why: "overflow"}},
		event.FileVerified{Node: "bob", File: "raw/bob/idler-000000.bin", Size: 100},
		event.Progress{Node: "bob", Tags: 200, Elapsed: length, Duration: length},
		event.StateChanged{State: "transferring"},
		event.FileVerified{Node: "bob", File: "raw/bob/idler-000001.bin", Size: 60},
		event.StateChanged{State: "done"},
	}
	const shown = `bob joined (remote, process 42)
bob: 1s of 2s, 1 tag
warning: bob.idler lost 1 tag at 0 ps: overflow
bob: 2s of 2s, 200 tags
transferring
done: 2 files with 160 bytes are at the master and verified
`
	var lines, terminal bytes.Buffer
	p := &plain{out: &bytes.Buffer{}, err: &lines}
	b := &bars{plain: plain{out: &bytes.Buffer{}, err: &terminal}, size: func() (int, int) { return 100, 24 }}
	for i := range 2 * maxLossLines * len(aPart) {
		e := []event.Stamped{{Time: time.Unix(100+int64(i), 0), Event: aPart[i%len(aPart)]}}
		if err := errors.Join(p.show(e), b.show(e)); err != nil {
			t.Fatal(err)
		}
	}
	if want := strings.Repeat(shown, 2*maxLossLines); lines.String() != want {
		t.Errorf("got:\n%s\nwant as often as there were runs:\n%s", &lines, shown)
	}
	last := screen(t, terminal.String())
	if got := last[len(last)-2]; !strings.Contains(got, "200 tags, 199.0 Hz, 1 lost") || strings.Contains(got, "left") {
		t.Errorf("the bar of the last run shows what was of others: %q", got)
	}
}

// A recording that was ended early has no time left.
func TestNoTimeLeftOfWhatHasEnded(t *testing.T) {
	b := &bars{plain: plain{out: &bytes.Buffer{}, err: &bytes.Buffer{}}, size: func() (int, int) { return 100, 24 }}
	for i, e := range []event.Event{event.Progress{Node: "bob", Tags: 100, Elapsed: time.Second, Duration: 20 * time.Second}, event.StateChanged{State: "draining"}} {
		if err := b.show([]event.Stamped{{Time: time.Unix(100+int64(i), 0), Event: e}}); err != nil {
			t.Fatal(err)
		}
		if row := b.rows(99, 23)[0]; strings.Contains(row, "19s left") != (i == 0) {
			t.Errorf("after %T: %q", e, row)
		}
	}
}
