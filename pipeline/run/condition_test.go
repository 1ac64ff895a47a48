package run

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func equalJSON(t *testing.T, a, b any) bool {
	t.Helper()
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	if errX != nil || errY != nil {
		t.Fatal(errX, errY)
	}
	return string(x) == string(y)
}

// goodManifest is a finished run of one real controller with one channel of
// two segments.
func goodManifest() *Manifest {
	return &Manifest{
		Ended: time.Date(2026, 3, 1, 12, 0, 9, 0, time.UTC),
		Nodes: map[string]*Node{"alice": {
			Controllers: map[string]*Controller{"tc": {Driver: "tc-ethernet"}},
			Sinks:       map[string]*Sink{"raw": {Sink: "sink-file", Channels: []string{"signal"}}},
			Channels:    map[string]*Channel{"signal": {Controller: "tc", Tags: 5, LengthPs: 1_000_000_000_000, Rate: new(Rate(5000))}},
		}},
		Segments: []Segment{
			{Node: "alice", Channel: "signal", Sink: "raw", Index: 0, File: "raw/alice/signal-000000.bin", Tags: 3, Verified: true},
			{Node: "alice", Channel: "signal", Sink: "raw", Index: 1, File: "raw/alice/signal-000001.bin", Tags: 2, Verified: true},
		},
	}
}

func TestJudge(t *testing.T) {
	at, seven := uint64(77), uint64(7)
	for _, c := range []struct {
		name    string
		change  func(*Manifest)
		noticed []Reason
		want    string // conditions
		reason  string // part of one reason's message
	}{
		{"all there", func(*Manifest) {}, nil, "GOOD", ""},
		{"simulated is still good", func(m *Manifest) { m.Nodes["alice"].Controllers["tc"].Device.Simulated = true }, nil,
			"GOOD SIMULATED", `controller "tc" is simulated`},
		{"not ended", func(m *Manifest) { m.Ended = time.Time{} }, nil, "INCOMPLETE", "has not ended"},
		{"lost tags", func(m *Manifest) {
			m.Nodes["alice"].Channels["signal"].Lost = 4
			m.Nodes["alice"].Channels["signal"].Losses = []Loss{{AtPs: at, Tags: 4, Why: "buffer overflow"}}
		}, nil, "INCOMPLETE", "4 tags lost: buffer overflow"},
		{"segment not proven", func(m *Manifest) { m.Segments[1].Verified = false }, nil,
			"INCOMPLETE", "segment 1 was recorded but never proven here"},
		{"many segments not proven are one reason", func(m *Manifest) {
			m.Segments[1].Verified = false
			for i := range 100_000 {
				m.Segments = append(m.Segments, Segment{Node: "alice", Channel: "signal", Sink: "raw", Index: i + 2, File: "raw/alice/x"})
			}
		}, nil, "INCOMPLETE", "segment 1 was recorded but never proven here: raw/alice/signal-000001.bin, and 100000 more"},
		{"ended early", func(m *Manifest) { m.DurationPs = 8_000_000_000_000 }, nil, "INCOMPLETE", "recorded 1.000 s of 8.000 s"},
		{"ended a moment early", func(m *Manifest) { m.DurationPs = 1_000_900_000_000 }, nil, "GOOD", ""},
		{"longer than asked", func(m *Manifest) { m.DurationPs = 1_000_000_000 }, nil, "GOOD", ""},
		{"recorded nothing", func(m *Manifest) {
			m.DurationPs = 1_000_000_000_000
			m.Nodes["alice"].Channels["signal"].LengthPs = 0
		}, nil, "INCOMPLETE", "recorded 0.000 s of 1.000 s"},
		{"ended early by the user", func(m *Manifest) { m.DurationPs = 8_000_000_000_000 },
			[]Reason{{Condition: Interrupted, Message: "stopped by the user"}}, "INTERRUPTED", "stopped by the user"},
		{"another node's user ended that node", func(m *Manifest) { m.DurationPs = 8_000_000_000_000 },
			[]Reason{{Condition: Interrupted, Node: "bob", Message: "stopped there"}}, "INTERRUPTED INCOMPLETE", "recorded 1.000 s of 8.000 s"},
		{"the longest there is", func(m *Manifest) {
			m.DurationPs = 1<<63 - 1
			m.Nodes["alice"].Channels["signal"].LengthPs = 1<<64 - 1
		}, nil, "GOOD", ""},
		{"fired late", func(m *Manifest) {
			m.Nodes["alice"].Controllers["tc"].Shot = &Shot{Asked: 5, Called: 5 + 3_600_000_000_000, Late: true}
		}, nil,
			"TAINTED", `controller "tc" was started 1h0m0s after its instant`},
		{"the driver counted more", func(m *Manifest) { m.Nodes["alice"].Channels["signal"].Sent = &seven }, nil,
			"UNVERIFIED", "the driver delivered 7 tags, 5 arrived at its node"},
		{"segment nobody reported", func(m *Manifest) { m.Segments = m.Segments[:1] }, nil,
			"INCOMPLETE", `delivered 5 tags, the files of sink "raw" hold 3`},
		{"sink wrote nothing at all", func(m *Manifest) { m.Segments = nil }, nil, "INCOMPLETE", "hold 0"},
		{"more tags in files than delivered", func(m *Manifest) { m.Segments[0].Tags = 30 }, nil, "INCOMPLETE", "hold 32"},
		{"channel that no sink takes", func(m *Manifest) {
			m.Nodes["alice"].Channels["herald"] = &Channel{Tags: 9}
		}, nil, "GOOD", ""},
		{"interrupted, still simulated", func(m *Manifest) { m.Nodes["alice"].Controllers["tc"].Device.Simulated = true },
			[]Reason{{Condition: Interrupted, Message: "stopped by the user"}}, "INTERRUPTED SIMULATED", "stopped by the user"},
		{"many at once, worst first", func(m *Manifest) { m.Segments = m.Segments[:1] }, []Reason{
			{Condition: Tainted, Message: "rate too low"},
			{Condition: Unverified, Message: "hash differs"},
			{Condition: Aborted, Message: "node bob left"},
		}, "ABORTED UNVERIFIED INCOMPLETE TAINTED", "node bob left"},
		{"nothing noticed speaks for good", func(m *Manifest) { m.Ended = time.Time{} },
			[]Reason{{Condition: Good, Message: "I am sure"}}, "INCOMPLETE", ""},
		{"hostile: holes in the maps", func(m *Manifest) {
			m.Nodes["bob"] = nil
			m.Nodes["alice"].Channels["x"] = nil
			m.Nodes["alice"].Controllers["x"] = nil
			m.Nodes["alice"].Sinks["x"] = nil
		}, nil, "GOOD", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := goodManifest()
			c.change(m)
			for _, r := range c.noticed {
				m.Notice(r)
			}
			m.Judge()
			var words []string
			for _, w := range m.Condition {
				words = append(words, string(w))
			}
			if got := strings.Join(words, " "); got != c.want {
				t.Errorf("condition %q, want %q (%+v)", got, c.want, m.Reasons)
			}
			found := c.reason == ""
			for _, r := range m.Reasons {
				found = found || strings.Contains(r.Message, c.reason)
				if r.Condition == Good {
					t.Errorf("a reason for GOOD: %+v", r)
				}
			}
			if !found {
				t.Errorf("no reason says %q: %+v", c.reason, m.Reasons)
			}
			before := len(m.Reasons)
			m.Judge()
			if len(m.Reasons) != before {
				t.Errorf("judging twice gives %d reasons, then %d", before, len(m.Reasons))
			}
		})
	}
}

func TestRate(t *testing.T) {
	const second = 1_000_000_000_000
	for _, c := range []struct {
		tags, ps uint64
		want     string
	}{
		{0, second, "0"},
		{5, 0, "null"},
		{20_000, second, "20000"},
		{1, 3 * second, "0.333"},
		{1, 50 * second, "0.02"},
		{1 << 63, second, "9223372036854775.807"}, // more than fits
		{1 << 60, 1 << 60, "1000000000000"},
	} {
		text, err := json.Marshal(RateOf(c.tags, c.ps))
		if err != nil || string(text) != c.want {
			t.Errorf("RateOf(%d, %d) = %s, want %s (%v)", c.tags, c.ps, text, c.want, err)
		}
		var read *Rate
		if err := json.Unmarshal(text, &read); err != nil || read.orNone() != RateOf(c.tags, c.ps).orNone() {
			t.Errorf("%s is read as %v (%v)", text, read, err)
		}
	}
	for _, text := range []string{"-1", "1e3", "9223372036854775.808", "9223372036854776", `"5"`, "1.-5"} {
		if err := new(Rate).UnmarshalJSON([]byte(text)); err == nil {
			t.Errorf("%s is read as a rate", text)
		}
	}
}
