package run_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"tsrun/pipeline/fact"
	"tsrun/pipeline/run"
	"tsrun/pipeline/run/runtest"
)

// setRates sets those of two channels of a controller, in mHz.
func setRates(m *run.Manifest, most int64, rates ...run.Rate) {
	n := m.Nodes["alice"]
	n.Controllers["tc"].Device.MaxRateHz = most
	n.Channels["signal"].Controller, n.Channels["signal"].Rate = "tc", &rates[0]
	n.Channels["herald"] = &run.Channel{Controller: "tc", Rate: &rates[1]}
	n.Channels["other"] = &run.Channel{Controller: "other", Rate: &rates[0]}
}

func TestJudge(t *testing.T) {
	at, seven := uint64(77), uint64(7)
	for _, c := range []struct {
		name    string
		change  func(*run.Manifest)
		noticed []run.Reason
		want    string // conditions
		reason  string // part of one reason's message
	}{
		{"all there", func(*run.Manifest) {}, nil, "GOOD", ""},
		{"simulated is still good", func(m *run.Manifest) { m.Nodes["alice"].Controllers["tc"].Device.Simulated = true }, nil,
			"GOOD SIMULATED", `controller "tc" is simulated`},
		{"not ended", func(m *run.Manifest) { m.Ended = time.Time{} }, nil, "INCOMPLETE", "has not ended"},
		{"lost tags", func(m *run.Manifest) {
			m.Nodes["alice"].Channels["signal"].Lost = 4
			m.Nodes["alice"].Channels["signal"].Losses = []fact.Loss{{AtPs: at, Tags: 4, Why: "buffer overflow"}}
		}, nil, "INCOMPLETE", "4 tags lost: buffer overflow"},
		{"segment not proven", func(m *run.Manifest) { m.Segments[1].Verified = false }, nil,
			"INCOMPLETE", "segment 1 was recorded but never proven here"},
		{"many segments not proven are one reason", func(m *run.Manifest) {
			m.Segments[1].Verified = false
			for i := range 100_000 {
				m.Segments = append(m.Segments, run.Segment{Node: "alice", Channel: "signal", Segment: fact.Segment{Sink: "raw", Index: i + 2, File: "raw/alice/x"}})
			}
		}, nil, "INCOMPLETE", "segment 1 was recorded but never proven here: raw/alice/signal-000001.bin, and 100000 more"},
		{"ended early", func(m *run.Manifest) { m.DurationPs = 8_000_000_000_000 }, nil, "INCOMPLETE", "recorded 1.000 s of 8.000 s"},
		{"ended a moment early", func(m *run.Manifest) { m.DurationPs = 1_000_900_000_000 }, nil, "GOOD", ""},
		{"longer than asked", func(m *run.Manifest) { m.DurationPs = 1_000_000_000 }, nil, "GOOD", ""},
		{"recorded nothing", func(m *run.Manifest) {
			m.DurationPs = 1_000_000_000_000
			m.Nodes["alice"].Channels["signal"].LengthPs = 0
		}, nil, "INCOMPLETE", "recorded 0.000 s of 1.000 s"},
		{"ended early by the user", func(m *run.Manifest) { m.DurationPs = 8_000_000_000_000 },
			[]run.Reason{{Condition: run.Interrupted, Message: "stopped by the user"}}, "INTERRUPTED", "stopped by the user"},
		{"another node's user ended that node", func(m *run.Manifest) { m.DurationPs = 8_000_000_000_000 },
			[]run.Reason{{Condition: run.Interrupted, Node: "bob", Message: "stopped there"}}, "INTERRUPTED INCOMPLETE", "recorded 1.000 s of 8.000 s"},
		{"the longest there is", func(m *run.Manifest) {
			m.DurationPs = 1<<63 - 1
			m.Nodes["alice"].Channels["signal"].LengthPs = 1<<64 - 1
		}, nil, "GOOD", ""},
		{"fired late", func(m *run.Manifest) {
			m.Nodes["alice"].Controllers["tc"].Shot = &fact.Shot{Asked: 5, Called: 5 + 3_600_000_000_000, Late: true}
		}, nil,
			"TAINTED", `controller "tc" was started 1h0m0s after its instant`},
		{"as fast as the device is", func(m *run.Manifest) { setRates(m, 10, 6_000, 4_000) }, nil, "GOOD", ""},
		{"faster than the device is", func(m *run.Manifest) { setRates(m, 10, 6_000, 4_001) }, nil, "TAINTED", `controller "tc" recorded 10.001 Hz, its device records at most 10 Hz over all inputs without loss`},
		{"the device does not say how fast it is", func(m *run.Manifest) { setRates(m, 0, 6_000, math.MaxInt64) }, nil, "GOOD", ""},
		{"hostile rates", func(m *run.Manifest) { setRates(m, math.MaxInt64, math.MaxInt64, math.MaxInt64) }, nil, "GOOD", ""},
		{"a hostile highest rate", func(m *run.Manifest) { setRates(m, -1, 6_000, 4_000) }, nil, "GOOD", ""},
		{"the driver counted more", func(m *run.Manifest) { m.Nodes["alice"].Channels["signal"].Sent = &seven }, nil,
			"UNVERIFIED", "the driver delivered 7 tags, 5 arrived at its node"},
		{"the driver lost some, and no block tells of it", func(m *run.Manifest) { m.Nodes["alice"].Channels["signal"].SentLost = &seven }, nil,
			"UNVERIFIED", "the driver lost 7 tags, its blocks tell of 0"},
		{"segment nobody reported", func(m *run.Manifest) { m.Segments = m.Segments[:1] }, nil,
			"INCOMPLETE", `delivered 5 tags, the files of sink "raw" hold 3`},
		{"sink wrote nothing at all", func(m *run.Manifest) { m.Segments = nil }, nil, "INCOMPLETE", "hold 0"},
		{"more tags in files than delivered", func(m *run.Manifest) { m.Segments[0].Tags = 30 }, nil, "INCOMPLETE", "hold 32"},
		{"more tags in files than fit a number, and by that as many as delivered", func(m *run.Manifest) {
			m.Segments[0].Tags, m.Segments[1].Tags = 1<<63+5, 1<<63
		}, nil, "INCOMPLETE", "hold 18446744073709551615"},
		{"files tell of losses that nobody had", func(m *run.Manifest) { m.Segments[0].Lost = 1 }, nil,
			"UNVERIFIED", `the files of sink "raw" tell of 1 tag lost, the channel has lost 0`},
		{"the most losses", func(m *run.Manifest) { m.Segments[1].Lost = 1 << 63 }, nil,
			"UNVERIFIED", `the files of sink "raw" tell of 9223372036854775808 tags lost, the channel has lost 0`},
		{"losses that together are more than fit a number", func(m *run.Manifest) {
			m.Segments[0].Lost, m.Segments[1].Lost = 1<<63, 1<<63
		}, nil, "UNVERIFIED", "tell of 18446744073709551615 tags lost"},
		{"one loss too many", func(m *run.Manifest) {
			m.Segments[0].Lost, m.Segments[1].Lost, m.Nodes["alice"].Channels["signal"].Lost = 3, 2, 4
		}, nil, "UNVERIFIED INCOMPLETE", "tell of 5 tags lost, the channel has lost 4"},
		{"files tell of all losses", func(m *run.Manifest) {
			m.Segments[0].Lost, m.Segments[1].Lost, m.Nodes["alice"].Channels["signal"].Lost = 3, 1, 4
		}, nil, "INCOMPLETE", "4 tags lost"},
		{"files tell of fewer losses", func(m *run.Manifest) { m.Nodes["alice"].Channels["signal"].Lost = 4 }, nil, "INCOMPLETE", "4 tags lost"},
		{"losses in files before the channel is counted", func(m *run.Manifest) { m.Segments[0].Lost, m.Ended = 1, time.Time{} }, nil, "INCOMPLETE", "has not ended"},
		{"channel that no sink takes", func(m *run.Manifest) {
			m.Nodes["alice"].Channels["herald"] = &run.Channel{Tags: 9}
		}, nil, "GOOD", ""},
		{"interrupted, still simulated", func(m *run.Manifest) { m.Nodes["alice"].Controllers["tc"].Device.Simulated = true },
			[]run.Reason{{Condition: run.Interrupted, Message: "stopped by the user"}}, "INTERRUPTED SIMULATED", "stopped by the user"},
		{"many at once, worst first", func(m *run.Manifest) { m.Segments = m.Segments[:1] }, []run.Reason{
			{Condition: run.Tainted, Message: "rate too low"},
			{Condition: run.Unverified, Message: "hash differs"},
			{Condition: run.Aborted, Message: "node bob left"},
		}, "ABORTED UNVERIFIED INCOMPLETE TAINTED", "node bob left"},
		{"nothing noticed speaks for good", func(m *run.Manifest) { m.Ended = time.Time{} },
			[]run.Reason{{Condition: run.Good, Message: "I am sure"}}, "INCOMPLETE", ""},
		{"hostile: holes in the maps", func(m *run.Manifest) {
			m.Nodes["bob"] = nil
			m.Nodes["alice"].Channels["x"] = nil
			m.Nodes["alice"].Controllers["x"] = nil
			m.Nodes["alice"].Sinks["x"] = nil
		}, nil, "GOOD", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := runtest.GoodManifest()
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
				if r.Condition == run.Good {
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
		text, err := json.Marshal(run.RateOf(c.tags, c.ps))
		if err != nil || string(text) != c.want {
			t.Errorf("RateOf(%d, %d) = %s, want %s (%v)", c.tags, c.ps, text, c.want, err)
		}
		var read *run.Rate
		if err := json.Unmarshal(text, &read); err != nil || read.Millihertz() != run.RateOf(c.tags, c.ps).Millihertz() {
			t.Errorf("%s is read as %v (%v)", text, read, err)
		}
	}
	for _, text := range []string{"-1", "1e3", "9223372036854775.808", "9223372036854776", `"5"`, "1.-5"} {
		if err := new(run.Rate).UnmarshalJSON([]byte(text)); err == nil {
			t.Errorf("%s is read as a rate", text)
		}
	}
}
