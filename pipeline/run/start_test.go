package run

import (
	"encoding/json"
	"testing"

	"pgregory.net/rapid"

	"tsrun/pipeline/clock"
	"tsrun/pipeline/fact"
)

func TestEstimateStart(t *testing.T) {
	for _, c := range []struct {
		name                  string
		called, returned      int64
		compensation          int64
		estimate, uncertainty int64
	}{
		{"middle of the bound", 1000, 2999, 0, 2000, 1000},
		{"odd bound: the larger half", 1000, 2000, 0, 1500, 501},
		{"compensation within the bound", 1000, 2000, 250, 1250, 751},
		{"compensation beyond the bound", 1000, 2000, 5000, 2001, 1001},
		{"an instant shot is not exact", 1000, 1000, 0, 1000, 1},
		{"clock set back while starting", 2000, 1000, 0, 1500, 501},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := EstimateStart(fact.Shot{Called: c.called, Returned: c.returned}, 7, c.compensation)
			want := Start{InstantNs: 7, CompensationNs: c.compensation, EstimateNs: c.estimate, UncertaintyNs: c.uncertainty}
			if got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

// The answer of a device that answers once it has begun tells the start, unless it was held up.
func TestEstimateOfADeviceThatAnswers(t *testing.T) {
	back, compensation := int64(50_000), int64(300_000)
	for _, c := range []struct {
		name                            string
		returned, estimate, uncertainty int64
	}{
		{"as expected", 350_000, 300_001, 300_001},
		{"later than expected", 2_399_000, 2_349_001, 2_349_001},
		{"held up", 26_000_000, 13_000_000, 13_000_001},
		{"sooner than it can", 10_000, 0, 10_001},
	} {
		got := EstimateStart(fact.Shot{Returned: c.returned, BackNs: &back, CompensationNs: &compensation}, 0, 0)
		if got.EstimateNs != c.estimate || got.UncertaintyNs != c.uncertainty {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

// Wherever in its bound a device really began, to the picosecond, the stated
// uncertainty holds; for a node with several devices, for each of them.
func TestStartUncertaintyHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const epoch = 1_700_000_000_000_000_000
		compensation := rapid.Int64Range(0, 1_000_000).Draw(t, "compensation")
		var shots []fact.Shot
		var truths []int64 // ps after epoch
		for range rapid.IntRange(1, 4).Draw(t, "devices") {
			low := rapid.Int64Range(0, 1_000_000_000).Draw(t, "called_ps")
			length := rapid.Int64Range(0, 1_000_000_000).Draw(t, "length_ps")
			truths = append(truths, low+rapid.Int64Range(0, length).Draw(t, "began_ps"))
			shots = append(shots, fact.Shot{Called: epoch + low/1000, Returned: epoch + (low+length)/1000})
		}
		start, ok := NodeStart(shots, epoch, compensation, nil)
		if !ok {
			t.Fatal("no start from a shot")
		}
		for _, truth := range truths {
			apart := truth - (start.EstimateNs-epoch)*1000
			if max(apart, -apart) > start.UncertaintyNs*1000 {
				t.Fatalf("true start %d ps from the estimate, uncertainty %d ns", apart, start.UncertaintyNs)
			}
		}
	})
}

func TestSkews(t *testing.T) {
	m := &Manifest{Trigger: Trigger{Master: "bob"}, Nodes: map[string]*Node{
		"carol": {Host: "remote", Clock: &NodeClock{Start: &clock.Reading{}}, Start: &Start{EstimateNs: 90, UncertaintyNs: 5}},
		"alice": {Host: "local", Start: &Start{EstimateNs: 150, UncertaintyNs: 20}},
		"bob":   {Host: "local", Start: &Start{EstimateNs: 100, UncertaintyNs: 10}},
		"dave":  {Host: "local"}, // never fired
		"erin":  {Host: "remote", Clock: &NodeClock{}, Start: &Start{EstimateNs: 3_600_000_000_000, UncertaintyNs: 5}},
		"frank": {Host: "remote", Start: &Start{EstimateNs: 100, UncertaintyNs: 5}}, // nobody compared their clocks
	}}
	want := []SkewRecord{
		{Node: "alice", Against: "bob", SkewNs: 50, UncertaintyNs: 30},
		{Node: "carol", Against: "bob", SkewNs: -10, UncertaintyNs: 15},
	}
	if got := m.Skews(); !equalJSON(t, got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	m.Trigger.Master = "frank"
	if got := m.Skews(); len(got) > 0 {
		t.Errorf("against a clock that nobody compared: %+v", got)
	}
	m.Nodes["bob"].Start = nil
	if got := m.Skews(); len(got) != 0 {
		t.Errorf("skew against a master that never fired: %+v", got)
	}
	if _, ok := NodeStart(nil, 1, 0, nil); ok {
		t.Error("a start without a shot")
	}
}

// TestStartsByTheMastersClock moves a node's clock: the start by the master's stays
// where it was, as far as the reading is right.
func TestStartsByTheMastersClock(t *testing.T) {
	const instant, wrong = int64(1_700_000_000_000_000_000), 300
	for _, offset := range []int64{0, 1, -1e6, 1e9, 3600e9, -3600e9, -1_700_000_000_000_000_000} {
		reading := clock.Reading{At: instant + offset + 5e9, Offset: offset + wrong, Bound: 500, Drift: 20_000}
		moved := func(ns int64) int64 { return ns + offset + (ns-instant-5e9)/50_000 }
		shot := fact.Shot{Called: moved(instant + 1000), Returned: moved(instant + 5000)}
		start, ok := NodeStart([]fact.Shot{shot}, instant, 0, &reading)
		if off := start.EstimateNs - instant - 3000; !ok || max(off, -off) > wrong+2 || start.UncertaintyNs < 2000+500 || start.InstantNs != instant {
			t.Errorf("%d ns ahead: start %+v, off by %d ns", offset, start, off)
		}
	}
}

func equalJSON(t *testing.T, a, b any) bool {
	t.Helper()
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	if errX != nil || errY != nil {
		t.Fatal(errX, errY)
	}
	return string(x) == string(y)
}
