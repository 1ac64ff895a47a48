package stage

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tsrun/pipeline/align"
	"tsrun/pipeline/event"
	"tsrun/pipeline/run/runtest"
	"tsrun/pipeline/track"
	"tsrun/sdk/quantity"
)

func number(n int) *int { return &n }

func someSyncs() []event.Sync {
	value := align.Value{State: align.Tracking, Knot: track.Knot{Time: 1_000_000_000_000, Offset: quantity.NewFine(-412_345, 0.25),
		OffsetSD: 2.5, Frequency: 12.25, FrequencySD: 0.5, Pairs: 300}}
	return []event.Sync{
		{Stage: "align", Reference: "alice.signal", Target: "bob.idler", Segment: number(0), State: align.Searching},
		{Stage: "align", Reference: "alice.signal", Target: "bob.idler", State: align.Tracking, Value: &value},
		{Stage: "align", Reference: "alice.signal", Target: "bob.idler", Segment: number(1), State: align.Tracking, Value: &value},
	}
}

func TestSyncLogKeepsEveryValue(t *testing.T) {
	d := runtest.NewDirectory(t)
	log, err := NewSyncLog(d.Path())
	if err != nil {
		t.Fatal(err)
	}
	want := someSyncs()
	if err := errors.Join(log.Append(want[0]), log.Append(want[1:]...)); err != nil {
		t.Fatal(err)
	}
	if left, err := log.Close(); left != 0 || err != nil {
		t.Fatalf("%d left out: %v", left, err)
	}
	text, err := os.ReadFile(filepath.Join(d.Path(), SyncFile))
	if err != nil {
		t.Fatal(err)
	}
	const first = `{"stage":"align","reference":"alice.signal","target":"bob.idler","segment":0,"state":"searching"}`
	const second = `{"stage":"align","reference":"alice.signal","target":"bob.idler","state":"tracking","time_ps":1000000000000,` +
		`"offset_ps":-412344.750,"offset_sd_ps":2.5,"frequency_ppb":12.25,"frequency_sd_ppb":0.5,"pairs":300}`
	lines := strings.Split(string(text), "\n")
	if len(lines) != 4 || lines[0] != first || lines[1] != second {
		t.Errorf("%d lines:\n%s", len(lines)-1, text)
	}
	var got []event.Sync
	for decoder := json.NewDecoder(bytes.NewReader(text)); decoder.More(); {
		var s event.Sync
		if err := decoder.Decode(&s); err != nil {
			t.Fatal(err)
		}
		if s.Value != nil {
			s.Value.State = s.State // written once, for both
		}
		got = append(got, s)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
	if _, err := NewSyncLog(d.Path()); err == nil {
		t.Error("a second one replaced the first")
	}
}

func TestSyncLogIsBounded(t *testing.T) {
	d := runtest.NewDirectory(t)
	log, err := NewSyncLog(d.Path())
	if err != nil {
		t.Fatal(err)
	}
	log.limit = 300
	for range 10 {
		if err := log.Append(someSyncs()[0]); err != nil {
			t.Fatal(err)
		}
	}
	left, err := log.Close()
	if err != nil || left != 7 || log.written > 300 {
		t.Errorf("%d left out, %d bytes written: %v", left, log.written, err)
	}
}

// A disk that is full costs the values and nothing else, and is told once.
func TestSyncLogOutlivesItsDisk(t *testing.T) {
	d := runtest.NewDirectory(t)
	log, err := NewSyncLog(d.Path())
	if err != nil {
		t.Fatal(err)
	}
	log.file.Close()
	if err := log.Append(someSyncs()...); err == nil {
		t.Error("a write that failed was not told")
	}
	_ = log.Append(someSyncs()[0])
	if left, _ := log.Close(); left != 4 {
		t.Errorf("%d values left out, want all 4", left)
	}
}
