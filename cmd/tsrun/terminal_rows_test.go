package main

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"tsrun/pipeline/align"
	"tsrun/pipeline/event"
	"tsrun/pipeline/fact"
	"tsrun/pipeline/track"
	"tsrun/pipeline/transfer"
	"tsrun/sdk/quantity"
)

// manyNodes is a run of twelve nodes with the longest names there are.
func manyNodes() (events []event.Event, names []string) {
	for i := range 12 {
		names = append(names, fmt.Sprintf("%c%s", 'a'+(i*7)%12, strings.Repeat("x", 62)))
	}
	clock := event.Sync{Stage: "align", Reference: names[0] + ".signal", Target: names[1] + ".idler", State: align.Tracking,
		Value: &align.Value{State: align.Tracking, Knot: track.Knot{Time: 12_000_000_000_000,
			Offset: quantity.NewFine(1_739_484_293, 0.25), OffsetSD: 2, Frequency: -12, FrequencySD: 0.03}}}
	for second := range 4 {
		for i, name := range names {
			events = append(events, event.Progress{Node: name, Tags: uint64(second * 20_000), Elapsed: time.Duration(second) * time.Second, Duration: 10 * time.Second},
				event.Transfer{Node: name, File: fmt.Sprintf("raw/%s/%s-%06d.bin", name, name, i), Phase: transfer.Hashing, Done: 10, Size: 100})
		}
		events = append(events, clock, event.TagsLost{Node: names[2], Channel: "x", Loss: fact.Loss{Tags: 3, Why: "overflow"}},
			event.Analysing{Stage: "g2", Kind: "g2", Done: 42, Of: 100, Elapsed: 3 * time.Second})
	}
	return events, names
}

// The bars never are more lines than the terminal has, and no line wraps: else
// the cursor would not find back, and fill the terminal with copies.
func TestBarsFitTheTerminal(t *testing.T) {
	events, names := manyNodes()
	for _, size := range [][2]int{{40, 24}, {80, 24}, {80, 5}, {80, 2}, {80, 60}, {200, 24}, {20, 3}} {
		width, height := size[0], size[1]
		var terminal bytes.Buffer
		b := &bars{plain: plain{out: &bytes.Buffer{}, err: &terminal}, size: func() (int, int) { return width, height }}
		for i, e := range events {
			if err := b.show([]event.Stamped{{Time: time.Unix(100, 0).Add(time.Duration(i) * time.Second), Event: e}}); err != nil {
				t.Fatal(err)
			}
			if b.drawn > height-1 {
				t.Fatalf("%d by %d: %d lines of bars", width, height, b.drawn)
			}
			for _, row := range b.rows(width-1, height-1) {
				if n := utf8.RuneCountInString(row); n > width-1 {
					t.Fatalf("%d by %d: a line of %d: %q", width, height, n, row)
				}
			}
		}
		shown := strings.Join(screen(t, terminal.String()), "\n")
		if height >= 5 && (!strings.Contains(shown, "1 739 484 293.2 ± 2.0 ps at 12.000 s") || !strings.Contains(shown, "g2, 42 % read")) {
			t.Errorf("%d by %d: the value, its time or the stage is cut:\n%s", width, height, shown)
		}
		switch height {
		case 5:
			if !strings.Contains(shown, "12 nodes [") || !strings.Contains(shown, "720 000 tags, 240.0 kHz, 12 lost, 7s left") {
				t.Errorf("one bar for all:\n%s", shown)
			}
		case 60:
			if strings.Count(shown, "20.00 kHz") != 12 || strings.Count(shown, ".bin") != 12 || strings.Count(shown, ", 12 lost, 7s left") != 1 {
				t.Errorf("all bars:\n%s", shown)
			}
		}
		if height >= 24 { // in the order of their names
			at := -1
			for _, first := range "abcdefghijkl" {
				i := strings.Index(shown, "\n"+string(first)+"xxx")
				if i <= at {
					t.Fatalf("node %c of %v does not come after those before it:\n%s", first, names, shown)
				}
				at = i
			}
		}
	}
}

// What a user asked for is no error.
func TestWhatAUserAskedForIsNoError(t *testing.T) {
	for _, c := range []struct {
		event event.Problem
		want  string
	}{
		{event.Problem{Code: "interrupted", Message: "stopped by the user"}, "stopped by the user"},
		{event.Problem{Node: "bob", Code: "node-stopped", Message: "ended"}, "bob: ended"},
		{event.Problem{Code: "aborted", Message: "aborted by the user"}, "aborted by the user"},
		{event.Problem{Code: "x", Message: "broken", Hint: "mend it"}, "error: broken; mend it"},
	} {
		if got := event.Describe(c.event); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

// A stage that has read all is not done: its line says what it is at.
func TestStageLineSaysWhatTheStageIsAt(t *testing.T) {
	for _, c := range []struct {
		done, of uint64
		want     string
	}{
		{0, 0, "analysing: align, 3s"},
		{0, 200, "analysing: align, 0 % read, 3s"},
		{50, 200, "analysing: align, 25 % read, 3s"},
		{200, 200, "analysing: align, all read, calculating, 3s"},
		{400, 200, "analysing: align, all read, calculating, 3s"},
		{math.MaxUint64 - 1, math.MaxUint64, "analysing: align, 100 % read, 3s"},
	} {
		if got := stageLines(event.Analysing{Stage: "align", Done: c.done, Of: c.of, Elapsed: 3 * time.Second})[0]; got != c.want {
			t.Errorf("%d of %d tags: %q, not %q", c.done, c.of, got, c.want)
		}
	}
}
